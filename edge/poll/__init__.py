"""When to ask whom, and who speaks by itself: a schedule, one owner a line, a breaker a unit.

``Poller`` is handed the drivers' factories and the two calls that every due poll makes, and everything that came by
itself: ``offer``, then ``deliver``.
"""

from __future__ import annotations

from edge.poll.poller import Poller
from edge.poll.unit import UnitStatus

__all__ = ["Poller", "UnitStatus"]

"""When to ask whom: a schedule, one owner a line, a breaker a unit.

``Poller`` is handed the drivers' factory and the two calls that every due poll makes: ``offer``, then ``deliver``.
"""

from __future__ import annotations

from edge.poll.line import UnitStatus
from edge.poll.poller import Poller

__all__ = ["Poller", "UnitStatus"]

"""Builds every room and hands each what it needs. The only place that knows them all; it decides nothing.

``start`` runs a gateway until a signal; ``gateway`` is the rooms of one; ``judging`` and ``norths`` hold those of which
there may be many; ``panel`` keeps the panel's own process, and ``proof`` says whether what is read becomes alarms.
"""

from edge.runtime.gateway import Gateway
from edge.runtime.start import run

__all__ = ["Gateway", "run"]

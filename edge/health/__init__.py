"""The gateway's own health: what it sees of itself every few seconds, judged by pure rules, as alarms of its own.

``snapshot`` is what is seen, ``rules`` say what is wrong with it, ``hour`` remembers an hour of counts, ``machine``
reads the board and the disk. The runtime takes the snapshots and hands what is found to the alarm desk.
"""

from edge.health.room import HealthRoom
from edge.health.rules import concerns
from edge.health.snapshot import Snapshot

__all__ = ["HealthRoom", "Snapshot", "concerns"]

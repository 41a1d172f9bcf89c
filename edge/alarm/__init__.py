"""Alarms: rules over readings and verdicts, and the life of each alarm after IEC 62682.

``rules``, ``states`` and ``holding`` are pure; ``desk`` keeps what stands. Nothing here waits for disk, network or
inference.
"""

from edge.alarm.desk import AlarmDesk
from edge.alarm.memory import Moment
from edge.alarm.place import Watched

__all__ = ["AlarmDesk", "Moment", "Watched"]

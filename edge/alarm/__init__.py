"""Alarms: rules over readings and verdicts, and the life of each alarm after IEC 62682.

``rules`` and ``states`` are pure; ``desk`` keeps what stands. Nothing here waits for disk, network or inference.
"""

from edge.alarm.desk import AlarmDesk, Watched

__all__ = ["AlarmDesk", "Watched"]

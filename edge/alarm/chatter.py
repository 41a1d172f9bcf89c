"""Chattering: an alarm that is raised three times in a minute (ISA-18.2) has stopped telling anything new.

One alarm of the machine's says so, with its priority, and stands for it; the chattering one is held until it has been
calm for a minute. What it does meanwhile is recorded and counted all the same. A restart goes on counting.
"""

from __future__ import annotations

from collections import deque

from edge.alarm.entry import Entry
from edge.alarm.memory import Chattered
from edge.contract.types import Priority

WINDOW_NS = 60 * 10**9
CHATTER_RULE = "chattering"
RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


class Chatter:
    """The alarms of one machine that come and go, ``raises`` times a minute (0: none does); ``entry`` tells of them."""

    def __init__(self, asset: str, name: str, raises: int) -> None:
        self._raises = raises
        self._raised: dict[str, deque[int]] = {}
        self._now: dict[str, Entry] = {}
        self.entry = Entry(
            asset=asset, id=CHATTER_RULE, tag="", priority=Priority.LOW, on_ns=0, off_ns=0, name=name,
            ended=f"{name}: no alarm comes and goes any more",
            cause="the value lies about its limit, or a contact is loose",
            action="look at the sensor and its wiring; widen the rule's deadband or its delays",
        )  # fmt: skip

    def names(self) -> list[str]:
        """The rules that chatter now."""
        return list(self._now)

    def begins(self, entry: Entry, mono_ns: int) -> bool:
        """Count a raising; whether ``entry`` chatters from now on."""
        raised = self._raised.setdefault(entry.id, deque(maxlen=self._raises or 1))
        raised.append(mono_ns)
        if not self._raises or entry.id in self._now or len(raised) < self._raises or mono_ns - raised[0] > WINDOW_NS:
            return False
        self._now[entry.id] = entry
        self._tell(entry)
        return True

    def holds(self, entry: Entry) -> bool:
        return entry.id in self._now

    def counted(self, rule: str, mono_ns: int) -> Chattered | None:
        """What a restart needs of one alarm; None where its last raising is too long ago to count."""
        raised = self._raised.get(rule)
        if raised is None or mono_ns - raised[-1] > WINDOW_NS:
            return None
        return Chattered(self.entry.asset, rule, tuple(raised), rule in self._now)

    def restore(self, entry: Entry, counted: Chattered, later_ns: int) -> None:
        """Go on from what was counted, whose times are ``later_ns`` more now."""
        if not self._raises or not counted.raised_mono_ns:
            return
        raised = (raised_ns + later_ns for raised_ns in counted.raised_mono_ns)
        self._raised[entry.id] = deque(raised, maxlen=self._raises)
        if counted.active:
            self._now[entry.id] = entry

    def pass_time(self, mono_ns: int) -> bool:
        """Those that are calm chatter no longer; whether of others there is another thing to say now."""
        calm = [rule for rule in self._now if mono_ns - self._raised[rule][-1] > WINDOW_NS]
        for rule in calm:
            del self._now[rule], self._raised[rule]
        if calm and self._now:
            self._tell(next(reversed(self._now.values())))
        return bool(calm and self._now)

    def _tell(self, entry: Entry) -> None:
        told = self.entry
        told.priority = min((one.priority for one in self._now.values()), key=RANK.__getitem__)
        told.tag = entry.tag
        title = (entry.meaning.title if entry.meaning is not None else "") or entry.tag
        about = f"{title} alarm ({entry.id})" if title else f"alarm {entry.id}"
        told.sentence = f"{told.name}: {about} comes and goes, {self._raises} times within a minute"

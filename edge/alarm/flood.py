"""A flood: more new alarms than a person can take. Of its alarms those of low priority wait until it is over.

More than ten in ten minutes begin it, fewer than five end it (ISA-18.2, EEMUA 191). Nothing is lost: what waits is
recorded and listed as held, one alarm says how many there are, and what still stands when the flood ends calls then.
A restart amid a flood, or shortly before one, goes on counting.
"""

from __future__ import annotations

from collections import deque

from edge.alarm.entry import Entry
from edge.alarm.memory import Counted
from edge.config.alarms import Alarms
from edge.contract.types import Priority

WINDOW_NS = 600 * 10**9
FLOOD_RULE = "flood"


class Flood:
    """``entry`` is the alarm that tells of it; ``held`` counts what was held back since it began."""

    def __init__(self, gateway: str, config: Alarms) -> None:
        self._above, self._below = config.flood_above, config.flood_below
        # As many as must be known to tell whether there are more than ``above``.
        self._raised: deque[int] = deque(maxlen=config.flood_above + 1)
        self.active = False
        self.held = 0
        self.entry = Entry(
            asset=gateway, id=FLOOD_RULE, tag="", priority=Priority.MEDIUM, on_ns=0, off_ns=0, name=gateway,
            ended="The flood of alarms is over",
            cause="one fault that many alarms follow, or limits too tight for the present state of the plant",
            action="look for the first alarm of the flood; the list shows those held back",
        )  # fmt: skip

    def takes(self, entry: Entry, mono_ns: int) -> bool:
        """Count a raising that would call; whether it is held back."""
        self._raised.append(mono_ns)
        self.active = self.active or self._recent(mono_ns) > self._above
        holds = self.active and entry.priority is Priority.LOW
        self.held += holds
        return holds

    def pass_time(self, mono_ns: int) -> None:
        if self.active and self._recent(mono_ns) < self._below:
            self.active = False

    def tell(self) -> None:
        """Put what there is to say now into the alarm."""
        self.entry.value = float(self.held)
        self.entry.sentence = f"Flood of alarms: {self.held} of low priority held back"

    def kept(self, mono_ns: int) -> Counted:
        """What a restart needs."""
        self._recent(mono_ns)
        return Counted(tuple(self._raised), self.active, self.held)

    def restore(self, kept: Counted, later_ns: int) -> None:
        """Go on from what was kept, whose times are ``later_ns`` more now; the next ``pass_time`` ends what is over."""
        self._raised.extend(raised_ns + later_ns for raised_ns in kept.raised_mono_ns)
        self.active, self.held = kept.active, kept.held

    def _recent(self, mono_ns: int) -> int:
        while self._raised and mono_ns - self._raised[0] >= WINDOW_NS:
            self._raised.popleft()
        return len(self._raised)

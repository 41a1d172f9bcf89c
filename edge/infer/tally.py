"""What two minds thought of the same readings, counted, and whether the new one does worse.

Nobody knows the truth yet while a bundle is on trial, so it is measured by what can be seen at once: how often it knows
nothing, how often it would raise an alarm, how often its life lies outside that of the one that is trusted. Verdicts
count once the new one has learned what it needs; until then it is waited for, but not for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.infer.opinion import Opinion
from edge.ports import Standing

VERDICTS_MIN = 20
GAP_S_MAX = 60.0
"""A longer silence between two verdicts was a stop: only so much of it counts as watched."""
PATIENCE = 4.0
"""So many times the watch may pass before it has learned enough to be compared."""
MORE_UNKNOWN = 0.10
MORE_ANOMALOUS = 0.10
MORE_RAISED = 1
"""One anomaly more than the other's may be chance, or a fault that only the new one sees."""
APART_MAX = 0.5


@dataclass(slots=True)
class Tally:
    """Plain counts, so that a restart goes on with them. ``apart``: of ``lives`` that both gave, intervals that do not
    even touch."""

    watched_s: float = 0.0
    learning_s: float = 0.0
    verdicts: int = 0
    new_unknown: int = 0
    old_unknown: int = 0
    new_anomalous: int = 0
    old_anomalous: int = 0
    new_raised: int = 0
    old_raised: int = 0
    lives: int = 0
    apart: int = 0
    new_was: bool = False
    old_was: bool = False

    def count(self, new: Opinion, old: Opinion, elapsed_s: float) -> None:
        """One verdict of each, ``elapsed_s`` after the one before."""
        elapsed_s = min(max(elapsed_s, 0.0), GAP_S_MAX)
        if self.verdicts == 0 and new.anomaly is None:
            self.learning_s += elapsed_s
            return
        if self.verdicts == 0:
            self.new_was, self.old_was = new.anomalous, old.anomalous
        self.watched_s += elapsed_s
        self.verdicts += 1
        self.new_unknown += new.life is None
        self.old_unknown += old.life is None
        self.new_anomalous += new.anomalous
        self.old_anomalous += old.anomalous
        self.new_raised += new.anomalous and not self.new_was
        self.old_raised += old.anomalous and not self.old_was
        self.new_was, self.old_was = new.anomalous, old.anomalous
        if new.life is not None and old.life is not None:
            self.lives += 1
            self.apart += new.life.high_h < old.life.low_h or old.life.high_h < new.life.low_h

    def standing(self, watch_s: float) -> Standing:
        """How the new one stands after a watch that is to last ``watch_s``."""
        if self.learning_s > PATIENCE * watch_s and self.verdicts == 0:
            words = f"it had not learned enough to judge after {_span(self.learning_s)}"
            return Standing(self.verdicts, self.watched_s, done=True, words=words)
        done = self.watched_s >= watch_s and self.verdicts >= VERDICTS_MIN
        return Standing(self.verdicts, self.watched_s, done=done, words=self._worse(whole=done))

    def _worse(self, *, whole: bool) -> str:
        """In what the new one does worse, empty where in nothing. Shares are only told of a ``whole`` watch."""
        if self.new_raised > self.old_raised + MORE_RAISED:
            return f"it would have raised {self.new_raised} anomalies, the other {self.old_raised}"
        if not whole:
            return ""
        if self._share(self.new_unknown) > self._share(self.old_unknown) + MORE_UNKNOWN:
            return f"it knew no life {self._shares(self.new_unknown, self.old_unknown)}"
        if self._share(self.new_anomalous) > self._share(self.old_anomalous) + MORE_ANOMALOUS:
            return f"it found the machine anomalous {self._shares(self.new_anomalous, self.old_anomalous)}"
        if self.lives >= VERDICTS_MIN and self.apart > APART_MAX * self.lives:
            return f"its life lay wholly outside the other's {self.apart / self.lives:.0%} of the time"
        return ""

    def _share(self, count: int) -> float:
        return count / self.verdicts

    def _shares(self, new: int, old: int) -> str:
        return f"{self._share(new):.0%} of the time, the other {self._share(old):.0%}"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds:.0f} s"

"""How high an anomaly must score to be an alarm, so that a healthy asset raises at most so many a week.

Scores of neighbouring polls depend on each other, so none of them is evidence by itself: the highest score of each hour
is. Of n healthy hours the next one is above the k-th highest with a chance of at most k / (n + 1), whatever the scores'
distribution is (split conformal prediction; Vovk, Gammerman and Shafer, 2005), as long as hours are exchangeable. So a
budget of one alarm a week, which is one hour in 168, takes 167 healthy hours to keep by evidence, and a p-value of 1e-k
takes 10^k - 1 of them. The last ``KEPT_MAX`` hours count, so that the limit follows a slow change of habit.

Until then, and wherever a budget is spent before its time, a further alarm must cross a limit half as high again as
the one before did. An alarm that stands counts as the one hour that it began in: a fault of a week must not become the
habit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from typing import Any

PERIOD_S = 3600.0
PERIOD_POLLS = 30
"""An asset that is polled slowly has longer periods: at least so many polls."""
KEPT_MAX = 1000
SPENT = 1.5
_WEEK_S = 7.0 * 24.0 * PERIOD_S


def p_value(healthy: Collection[float], score: float) -> float | None:
    """How likely a healthy one scores so high: (1 + those of ``healthy`` that do) / (n + 1); None where n is 0."""
    return (1 + sum(each >= score for each in healthy)) / (len(healthy) + 1) if healthy else None


class AlarmBudget:
    """Takes every score, gives the ``limit`` and p-values. Below 1.0 no alarm is worth having, ever.

    Time is the time watched, which no clock can move.
    """

    def __init__(self, alarms_per_week: float, poll_s: float) -> None:
        """``poll_s``: the time between two polls as configured, in seconds."""
        self.period_s = max(PERIOD_S, PERIOD_POLLS * poll_s)
        self._share = min(alarms_per_week * self.period_s / _WEEK_S, 0.5)
        self._allowed = max(math.floor(alarms_per_week), 1)
        self._window_s = _WEEK_S * self._allowed / alarms_per_week
        self._maxima: deque[float] = deque(maxlen=KEPT_MAX)
        self._raised: deque[tuple[float, float]] = deque(maxlen=KEPT_MAX)
        self._watched_s = 0.0
        self._ends_s = self.period_s
        self._highest = 0.0
        self._standing_before = self._stands = False
        self.limit = 1.0

    @property
    def periods(self) -> int:
        """How many healthy periods are the evidence."""
        return len(self._maxima)

    @property
    def wanted(self) -> int:
        """How many healthy periods it takes to keep the budget by evidence."""
        return math.ceil(1.0 / self._share) - 1

    @property
    def evidence(self) -> str:
        """What is lacking to keep the budget by evidence, in words; empty where nothing is."""
        if self.periods >= self.wanted:
            return ""
        return f"the alarm budget is proven after {self.wanted} quiet periods, {self.periods} so far"

    def p_value(self, score: float) -> float | None:
        """How likely a healthy period reaches ``score``, at most; None before the first. Never below 1 / (n + 1)."""
        return p_value(self._maxima, score)

    def take(self, score: float, elapsed_s: float, *, stands: bool) -> bool:
        """One poll's ``score``, ``elapsed_s`` after the one before, and whether an alarm ``stands`` by it.

        True where it ended a period.
        """
        self._watched_s += elapsed_s
        ended = self._watched_s >= self._ends_s
        if ended:
            self._close()
        if stands and not self._stands:
            self._raised.append((self._watched_s, self.limit))
        if self._raised and self._watched_s - self._raised[0][0] > self._window_s:
            self._raised.popleft()
        changed, self._stands = ended or stands != self._stands, stands
        if changed:
            self._weigh()
        self._highest = max(self._highest, score)
        return ended

    def forgive(self) -> None:
        """What was raised was right: the asset was repaired, and has spent nothing."""
        self._raised.clear()
        self._stands = False
        self._weigh()

    def _close(self) -> None:
        if not self._standing_before:
            self._maxima.append(self._highest)
        self._standing_before, self._highest = self._stands, 0.0
        # Time that passed without a poll was not watched, however many periods it was.
        self._ends_s = self._watched_s + self.period_s

    def _weigh(self) -> None:
        if self._stands:
            # What stands is measured by the limit that it crossed.
            return
        n = len(self._maxima)
        rank = math.ceil((n + 1) * (1.0 - self._share))
        proven = sorted(self._maxima)[rank - 1] if rank <= n else 0.0
        spent = len(self._raised) >= self._allowed
        self.limit = max(1.0, proven, SPENT * max(limit for _, limit in self._raised) if spent else 0.0)

    def kept(self) -> dict[str, Any]:
        return {
            "maxima": list(self._maxima),
            "raised": [list(raised) for raised in self._raised],
            "watched": [self._watched_s, self._ends_s, self._highest],
            "standing": [self._standing_before, self._stands],
            "limit": self.limit,
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Continue from ``kept``, perhaps with another budget. Raises as indexing does where it is something else."""
        self._maxima = deque((float(score) for score in kept["maxima"]), maxlen=KEPT_MAX)
        self._raised = deque(((float(at), float(score)) for at, score in kept["raised"]), maxlen=KEPT_MAX)
        self._watched_s, self._ends_s, self._highest = (float(x) for x in kept["watched"])
        self._standing_before, self._stands = (bool(x) for x in kept["standing"])
        self.limit = float(kept["limit"])
        self._weigh()

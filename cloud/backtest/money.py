"""What it would have saved against running to failure, and between what bounds that lies.

A failure caught in time costs a planned stop, one caught late or missed an unplanned one, an event that cried wolf a
look at the machine. Few failures say little: the bounds are the middle 90 % under Jeffreys' priors, Beta(c + 1/2,
n - c + 1/2) for the share of failures caught and Gamma(w + 1/2) for the number of wolves (Brown, Cai & DasGupta 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloud.backtest.score import Tally

_DRAWS = 20_000
_SEED = 1


@dataclass(frozen=True, slots=True)
class Prices:
    """In ``currency``: an hour of downtime, and a look at a machine that has nothing. Hours of an unplanned stop and of
    a planned one."""

    downtime: float = 1000.0
    false_alarm: float = 200.0
    unplanned_h: float = 8.0
    planned_h: float = 2.0
    currency: str = "EUR"

    @property
    def failure(self) -> float:
        return self.unplanned_h * self.downtime

    @property
    def planned(self) -> float:
        return self.planned_h * self.downtime


@dataclass(frozen=True, slots=True)
class Saved:
    """Against running to failure, over the days judged; ``low`` to ``high`` holds 90 %."""

    amount: float
    low: float
    high: float


def saved_by(tally: Tally, prices: Prices) -> Saved:
    """What alarms saved."""
    caught, judged, wolf = tally.count("caught"), tally.judged, len(tally.wolf)
    gain = prices.failure - prices.planned
    draw = np.random.default_rng(_SEED)
    shares = draw.beta(caught + 0.5, judged - caught + 0.5, _DRAWS) if judged else np.zeros(_DRAWS)
    amounts = judged * gain * shares - prices.false_alarm * draw.gamma(wolf + 0.5, 1.0, _DRAWS)
    low, high = np.quantile(amounts, (0.05, 0.95))
    amount = caught * gain - wolf * prices.false_alarm
    # The likeliest value itself is always within its bounds, also where nothing at all was caught or cried.
    return Saved(amount, min(float(low), amount), max(float(high), amount))


@dataclass(frozen=True, slots=True)
class TimeBased:
    """Replacing every ``every_h`` of the calendar, the best in hindsight: how many failures it would have prevented."""

    every_h: float
    caught: int
    missed: int
    replaced: int
    saved: float


def time_based(lives_h: Sequence[float], censored_h: Sequence[float], prices: Prices) -> TimeBased | None:
    """``lives_h`` are the hours to each failure from the start or the failure before, ``censored_h`` those that ended
    without one. The interval is chosen on the same failures, which flatters this rival. None without failures.
    """
    if not lives_h:
        return None
    lives, running = np.array(lives_h), np.array(censored_h)
    best: TimeBased | None = None
    for failed in np.unique(lives):
        every_h = float(np.nextafter(failed, 0.0))
        if every_h <= 0.0:
            continue
        missed = int((lives <= every_h).sum())
        replaced = int((lives // every_h).sum() + (running // every_h).sum())
        saved = (len(lives) - missed) * prices.failure - replaced * prices.planned
        if best is None or saved > best.saved:
            best = TimeBased(every_h, len(lives) - missed, missed, replaced, saved)
    return best

"""Who learns, who calibrates, who judges: parts of a fleet that share no machine, simulated and stored ones alike.

A simulated fleet is a prior: with few real failures it gives the shape, and real rows, which weigh more, move it. What
the interval stands on is said: on real machines where enough of them failed, else on both, widened until it holds for
every real failure that was kept out of the fit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.learn.censoring import expected_beyond_h
from cloud.learn.dataset import DataSet, fleet_of
from cloud.learn.figures import Outcome
from cloud.learn.fleet import Fleet
from cloud.learn.survival import Histories, TooFewError, weibull_mle
from edge.contract.bundle import Interval, life_score
from edge.errors import BundleError

Array = NDArray[np.float64]
Law = Callable[[Array], Array]
"""Hours that a machine taken out healthy would have run on, given those that it is known to have had; both [rows]."""

SHARES = (0.45, 0.35, 0.2)
"""Of machines: for fitting, calibration and test."""
FAILURES_MIN = 19
"""Fewer failed machines give no 95 % quantile (rank 19 of 20), and a 90 % interval has two such tails."""
FAILURES_LEAST = 9
"""Fewer give no 90 % interval at all, not even one with a single margin."""
STORED_WEIGHT = 3
"""How many simulated rows a real one weighs."""
FIRST_STORED = 1_000_000
"""Stored machines are numbered from here on, simulated ones from 0."""
WIDEN_MAX = 4.0


@dataclass(frozen=True)
class Split:
    """``basis`` says in words what the interval's calibration stands on."""

    fitting: Fleet
    calibration: Fleet
    test: Fleet
    basis: str = "simulated machines"

    @property
    def rows(self) -> int:
        return sum(len(part.rul_h) for part in (self.fitting, self.calibration, self.test))


def of_simulated(fleet: Fleet, machines: int) -> Split:
    """Machines numbered 0 to ``machines`` - 1, in that order."""
    fitting, calibration, test = (fleet.only(part) for part in _parts(np.arange(machines)))
    return Split(fitting, calibration, test)


def with_stored(simulated: Split | None, data: DataSet, *, cap_h: float, rows: int, seed: int) -> Split:
    """``data``'s assets, drawn by ``seed``, beside the simulated ones; those that failed and those that did not are
    drawn apart, so that each part has its share. Raises ``BundleError`` where nothing can be calibrated.
    """
    stored = fleet_of(data, cap_h=cap_h, rows=rows, first=FIRST_STORED)
    failed_names = {life.name for life in data.lives if life.failed}
    draw = np.random.default_rng(seed)
    numbers: list[list[int]] = [[], [], []]
    for failed in (True, False):
        mine = [FIRST_STORED + i for i, name in enumerate(data.assets) if (name in failed_names) is failed]
        for part, chosen in zip(numbers, _parts(draw.permutation(np.array(mine, np.int64))), strict=True):
            part += chosen.tolist()
    fitting, calibration, test = (stored.only(np.array(part, np.int64)) for part in numbers)
    failures = len(np.unique(calibration.machine[~calibration.censored & np.isfinite(calibration.rul_h)]))
    if simulated is None:
        if failures < FAILURES_LEAST:
            problem = f"{failures} failed machines to calibrate on, {FAILURES_LEAST} give a 90 % interval"
            raise BundleError(data.asset_class, problem, "learn with simulated ones beside them: --plant")
        return Split(fitting, calibration, test, basis=f"{failures} real failed machines")
    repeated = fitting
    for _ in range(STORED_WEIGHT - 1):
        repeated = repeated.joined(fitting)
    if failures >= FAILURES_MIN:
        basis = f"{failures} real failed machines"
    else:
        basis = f"simulated machines and {failures} real failed ones ({FAILURES_MIN} would do alone)"
        calibration = simulated.calibration.joined(calibration)
    return Split(simulated.fitting.joined(repeated), calibration, simulated.test.joined(test), basis)


def _parts(machines: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    count = len(machines)
    return np.split(machines, [round(SHARES[0] * count), round((SHARES[0] + SHARES[1]) * count)])


def healthy(fleet: Fleet) -> Fleet:
    """The healthy rows alone."""
    return fleet.where(fleet.is_healthy)


def seen(fleet: Fleet) -> Fleet:
    """Rows whose end is known."""
    return fleet.where(~fleet.censored)


def imputed(fleet: Fleet, law: Law | None) -> Fleet:
    """Censored rows with the life that such a machine can be expected to have had: what it is known to have had, and
    what ``law`` says of those hours on. Without a law there are none to be told of."""
    if not fleet.censored.any():
        return fleet
    assert law is not None
    rul_h = fleet.rul_h.copy()
    rul_h[fleet.censored] += law(fleet.rul_h[fleet.censored])
    return replace(fleet, rul_h=rul_h, censored=np.zeros_like(fleet.censored))


def beyond_law(data: DataSet | None, prior: Fleet | None, *, cap_h: float) -> Law | None:
    """From a Weibull law of the real lives where at least two failed (Buckley & James 1979); else a machine has no
    memory and the mean life of the simulated ones; None without either.
    """
    if data is not None and data.failures >= 2:
        lives = [(max(life.end_h - float(life.hour_h[0]), 1e-3), life.failed) for life in data.lives]
        with contextlib.suppress(TooFewError):  # lives all alike have no law
            law = weibull_mle(Histories.of([h for h, _ in lives], [failed for _, failed in lives]))
            return lambda known_h: expected_beyond_h(law, known_h, np.maximum(cap_h - known_h, 0.0))
    if prior is None or not np.isfinite(prior.rul_h).any():
        return None
    mean_h = float(np.minimum(prior.rul_h, cap_h)[np.isfinite(prior.rul_h)].mean())
    return lambda known_h: mean_h * -np.expm1(-np.maximum(cap_h - known_h, 0.0) / mean_h)


def widening(score: Array, ends: Array, actual: Array, part: Fleet) -> float:
    """The least factor (1 to 4) on margins with which intervals ``ends`` [rows, 2] about ``score`` [rows] hold the
    ``actual`` one [rows], of each real machine of ``part`` that failed, in nine rows of ten."""
    missing = np.where(actual < score, score - actual, actual - score)
    margin = np.where(actual < score, score - ends[:, 0], ends[:, 1] - score)
    needed = missing / np.maximum(margin, 1e-6)
    failed = (part.machine >= FIRST_STORED) & np.isfinite(part.rul_h)
    factors = [float(np.quantile(needed[part.machine == machine], 0.9)) for machine in np.unique(part.machine[failed])]
    return min(max([1.0, *factors]), WIDEN_MAX)


def widened(interval: Interval, factor: float) -> Interval:
    """Both margins times ``factor``."""
    return interval if factor == 1.0 else replace(interval, low=interval.low * factor, high=interval.high * factor)


def widenings(outcome: Outcome, part: Fleet, *, established_below: float, cap_h: float) -> tuple[float, float]:
    """``widening`` of the early and of the established interval, each by the rows that it is for."""
    actual = life_score(part.rul_h, cap_h)
    early = outcome.health >= established_below
    first, second = (
        widening(outcome.score[rows], outcome.ends[rows], actual[rows], part.where(rows)) for rows in (early, ~early)
    )
    return first, second

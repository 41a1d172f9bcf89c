"""Which sensor explains what stands off, or whether it must be the machine.

Each sensor is a hypothesis: that it alone is off, by whatever amount. What then remains of all the other residuals is
their own Mahalanobis distance, which the suspect cannot leak into: the sensor is blamed only where the rest is as
healthy as ever (reconstruction-based contribution, C. F. Alcala and S. J. Qin, Automatica 2009; that plain
contributions smear over the neighbours is the spillover of NUREG/CR-6895). Sensors that are known to be off are free
parameters of every hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.infer.sensors.spec import Coupling

Array = NDArray[np.float64]

P_HEALTHY = 1e-5
"""How rarely a healthy asset's distance exceeds the limit, were its averages normal."""
STRENGTH_MIN = 6.0
MOVED = 4.0
"""Standard deviations of the average: to blame a sensor, and to count a residual among those that moved."""
_DOUBT = 1.5
"""The scatter of a block is known from some two dozen blocks only: distances are held against so much more."""
ABOUT_AS_WELL, FAR_BETTER = 9.0, -25.0
"""Differences of the squared distances that two explanations leave: three standard deviations, and five."""
_MODEL_ERROR = 0.25
"""What a sensor of a condition does to the others is known to so much of itself only."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``sensors`` alone explain what stands off (none: nothing does); ``machine`` says that no sensor can.

    ``together`` are the residuals that moved as ``coupling`` says, empty where no known fault moves them so.
    """

    sensors: tuple[int, ...] = ()
    strength: float = 0.0
    machine: bool = False
    coupling: str = ""
    together: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Averaged residuals [residuals] with their covariance; ``signature`` [residuals, sensors] of a shift of each.

    ``tags`` name the residuals, "" for balances; ``known`` are sensors that are off already; ``inexact`` those whose
    signature is learned.
    """

    mean: Array
    covariance: Array
    signature: Array
    tags: tuple[str, ...]
    known: tuple[int, ...] = ()
    inexact: frozenset[int] = frozenset()


def quantile_chi2(p: float, dof: int) -> float:
    """Upper quantile of chi-squared by Wilson and Hilferty's cube (1931); within 2 % for any use here."""
    if dof == 0:
        return 0.0
    # The normal quantile of the upper tail, Abramowitz and Stegun 26.2.23.
    t = math.sqrt(-2.0 * math.log(p))
    top = 2.515517 + 0.802853 * t + 0.010328 * t * t
    z = t - top / (1.0 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t**3)
    a = 2.0 / (9.0 * dof)
    return float(dof * (1.0 - a + z * math.sqrt(a)) ** 3)


def isolate(evidence: Evidence, couplings: Sequence[Coupling]) -> Finding:
    """What explains ``evidence``: nothing, one sensor, two that no fault of the machine moves so, or the machine."""
    rest, limit = _Rest(evidence), _limit(evidence)
    total = rest.of(())
    if total <= limit:
        return Finding()
    sensors = [j for j in range(evidence.signature.shape[1]) if j not in evidence.known and rest.sees(j)]
    single = _best(rest, [(j,) for j in sensors], total, limit)
    if single is not None:
        return single
    coupling, together = _coupled(evidence, couplings)
    if coupling:
        return Finding(machine=True, coupling=coupling, together=together)
    pair = _best(rest, _pairs(rest, sensors, limit), total, limit)
    return pair if pair is not None else Finding(machine=True)


def _limit(evidence: Evidence) -> float:
    return _DOUBT * quantile_chi2(P_HEALTHY, len(evidence.mean))


def _pairs(rest: _Rest, sensors: Sequence[int], limit: float) -> list[tuple[int, ...]]:
    """Pairs of which neither could be left out: what one alone leaves is far beyond what is healthy."""
    alone = {j: rest.of((j,)) for j in sensors}
    return [(i, j) for i in sensors for j in sensors if i < j and min(alone[i], alone[j]) > limit + STRENGTH_MIN**2]


def shift_of(evidence: Evidence, sensor: int) -> tuple[float, float]:
    """Estimated shift of ``sensor`` (in its residual's unit) beside all others that are known, and its sd."""
    known = tuple(k for k in evidence.known if k != sensor)
    columns = evidence.signature[:, [sensor, *known]]
    weight = np.linalg.inv(evidence.covariance)
    normal = np.linalg.pinv(columns.T @ weight @ columns)
    return float((normal @ (columns.T @ weight @ evidence.mean))[0]), float(math.sqrt(max(normal[0, 0], 0.0)))


class _Rest:
    """The distance that remains once some sensors may be off by any amount."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        root = np.linalg.cholesky(evidence.covariance)
        self._mean = np.linalg.solve(root, evidence.mean)
        self._columns = np.linalg.solve(root, evidence.signature)

    def sees(self, sensor: int) -> bool:
        return bool((self.evidence.signature[:, sensor] != 0.0).any())

    def of(self, sensors: tuple[int, ...]) -> float:
        columns = self._columns[:, [*self.evidence.known, *sensors]]
        if columns.shape[1] == 0:
            return float(self._mean @ self._mean)
        shift = np.linalg.lstsq(columns, self._mean, rcond=1e-9)[0]
        left = self._mean - columns @ shift
        return float(left @ left)


def _best(rest: _Rest, hypotheses: list[tuple[int, ...]], total: float, limit: float) -> Finding | None:
    """The hypothesis that leaves least, where what it leaves is healthy and what it explains is not."""
    if not hypotheses:
        return None
    inexact = rest.evidence.inexact
    left, sensors = min((rest.of(sensors), sensors) for sensors in hypotheses)
    strength = math.sqrt(max(total - left, 0.0))
    if not _is_enough(left, strength, limit, inexact=bool(inexact & set(sensors))):
        return None
    return Finding(sensors=sensors, strength=strength)


def _is_enough(left: float, strength: float, limit: float, *, inexact: bool) -> bool:
    slack = (_MODEL_ERROR * strength) ** 2 if inexact else 0.0
    return left <= limit + slack and strength >= STRENGTH_MIN


def explains(evidence: Evidence, sensors: tuple[int, ...], best: tuple[int, ...]) -> bool:
    """Whether ``sensors`` alone would still explain what stands off, about as well as ``best`` does."""
    rest = _Rest(evidence)
    left = rest.of(sensors)
    strength = math.sqrt(max(rest.of(()) - left, 0.0))
    enough = _is_enough(left, strength, _limit(evidence), inexact=bool(evidence.inexact & set(sensors)))
    return enough and left - rest.of(best) < ABOUT_AS_WELL


def rivals(evidence: Evidence, sensor: int) -> list[tuple[float, int]]:
    """Other sensors that would explain what ``sensor`` does and leave nothing unexplained, the best first.

    Each with how much more of a distance it leaves: below ``ABOUT_AS_WELL`` nobody can tell the two apart, and where
    it is far below 0 the wrong one is blamed.
    """
    rest, limit = _Rest(evidence), _limit(evidence)
    mine = rest.of((sensor,))
    others = [j for j in range(evidence.signature.shape[1]) if j not in (sensor, *evidence.known) and rest.sees(j)]
    return sorted((left - mine, j) for j in others if (left := rest.of((j,))) <= limit)


def _coupled(evidence: Evidence, couplings: Sequence[Coupling]) -> tuple[str, tuple[str, ...]]:
    """The fault whose signals moved its way, two at least: the one with the most; its name and those signals."""
    z = evidence.mean / np.sqrt(np.diag(evidence.covariance))
    best: tuple[float, str, tuple[str, ...]] = (-math.inf, "", ())
    for coupling in couplings:
        ways = dict(coupling.moves)
        moved = tuple(t for t, x in zip(evidence.tags, z, strict=True) if t and x * ways.get(t, 0) >= MOVED)
        against = sum(abs(x) >= MOVED for t, x in zip(evidence.tags, z, strict=True) if t) - len(moved)
        # Of two faults that explain the same, the one that asks for less that was not seen.
        fits = len(moved) - against - 0.1 * len(ways)
        if len(moved) >= 2 and fits > best[0]:
            best = (fits, coupling.title, moved)
    return best[1], best[2]

"""Training targets of life models where many machines were replaced while healthy.

To drop them trains on those that failed early; to call their end a failure teaches that machines fail when planners
replace them: both make every machine look worse than it is. Three remedies that do neither, for whoever trains:

- bounds for an objective that knows censoring (``survival:aft`` of XGBoost): the first choice, it looks at features.
  Its gradients are clipped: start it (``base_score``) at the median of ``low_h``; with the distribution ``extreme`` it
  then gives about the median life;
- the expected remaining life of a machine that lived on beyond its replacement (Buckley & James 1979), for learners
  that want one number a row;
- inverse-probability-of-censoring weights (Robins & Rotnitzky 1992): failures speak for the like of them that were
  taken out. For conformal calibration too, where a residual must be known to count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.learn.survival import Histories, TooFewError, Weibull, censoring_curve, weibull_mle

Array = NDArray[np.float64]

_NODES = 400
_WEIGHT_MAX = 20.0
"""A machine that stood for more than so many others would decide alone what is learned."""


@dataclass(frozen=True)
class Targets:
    """For rows of machines at known ages, all [rows].

    The remaining life is within ``low_h`` and ``high_h``: both the same where the machine failed, the latter infinite
    where it was taken out healthy. ``rul_h`` is the one number, expected where it is not known, at most the cap.
    ``weight`` is that of failures under censoring, 0 for the rest; its mean is 1.
    """

    low_h: Array
    high_h: Array
    rul_h: Array
    weight: Array


def censored_targets(age_h: Array, machine: NDArray[np.int64], histories: Histories, *, cap_h: float) -> Targets:
    """``machine`` [rows] numbers the rows' machines as ``histories`` does; ``age_h`` [rows] is their age then.

    Raises ``TooFewError`` where fewer than two machines failed, ``ValueError`` for ages after a machine's end.
    """
    end_h, failed = histories.end_h[machine], histories.failed[machine]
    left_h = end_h - age_h
    if (left_h < 0.0).any():
        raise ValueError("a row is older than its machine became")
    expected_h = left_h
    if not failed.all():
        beyond_h = expected_beyond_h(weibull_mle(histories), end_h, np.maximum(cap_h - left_h, 0.0))
        expected_h = np.where(failed, left_h, left_h + beyond_h)
    weight = machine_weights(histories)[machine]
    return Targets(
        low_h=left_h,
        high_h=np.where(failed, left_h, np.inf),
        rul_h=np.minimum(expected_h, cap_h),
        weight=weight / weight.mean() if weight.any() else weight,
    )


def machine_weights(histories: Histories) -> Array:
    """[machines]: one over the chance of not having been taken out before, for failures; 0 for the censored.

    At most 20: where nearly all are taken out by some age, what fails later is too rare to speak for them.
    """
    if histories.failures == 0:
        raise TooFewError("every machine was taken out healthy")
    left_in = censoring_curve(histories)(histories.end_h, before=True)
    with np.errstate(divide="ignore"):
        return np.where(histories.failed, np.minimum(1.0 / left_in, _WEIGHT_MAX), 0.0)


def expected_beyond_h(law: Weibull, survived_h: Array, most_h: Array) -> Array:
    """Mean of min(T - survived, most) among lives T of ``law`` over ``survived_h``; all [rows]."""
    shares = (np.arange(_NODES) + 0.5) / _NODES
    beyond = np.stack([law.quantile_h(share, survived_h) - survived_h for share in shares])
    return np.asarray(np.minimum(beyond, most_h).mean(axis=0))

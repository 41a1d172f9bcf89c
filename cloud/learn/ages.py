"""At what age the machines of a class have failed: what a bundle tells the priors of gateways.

Only lives whose beginning was told (a failure or a replacement before them) have a known age; the first life of each
asset began before its data, nobody knows when, and to call it new then would make every machine look short-lived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloud.learn.lives import Life
from cloud.learn.survival import Histories, TooFewError, weibull_mle
from edge.contract.bundle import Ages
from edge.physics.bearing import WEIBULL_SLOPE

FAILURES_FOR_SHAPE = 5
"""With fewer the shape would be read from chance: that of rolling bearings is taken."""


def fleet_ages(lives: Sequence[Life]) -> Ages:
    """The class' law of ages by maximum likelihood, replaced and running machines as censored.

    Raises ``TooFewError`` where no life with a known beginning has failed.
    """
    began_h = {(life.name, life.number + 1): life.end_h for life in lives}
    told = [life for life in lives if (life.name, life.number) in began_h]
    known = [(life.end_h - began_h[life.name, life.number], life) for life in told]
    if not known:
        raise TooFewError("no life of the data is known from its beginning")
    histories = Histories.of([max(hours, 1e-3) for hours, _ in known], [life.failed for _, life in known])
    try:
        law = weibull_mle(histories, shape=None if histories.failures >= FAILURES_FOR_SHAPE else WEIBULL_SLOPE)
    except TooFewError:
        # Five that failed at one age have a scale and no scatter to read.
        law = weibull_mle(histories, shape=WEIBULL_SLOPE)
    spread = math.sqrt(float(law.covariance[0, 0]))
    return Ages(law.shape, law.scale_h, spread, histories.failures, histories.end_h.size)

"""Why what was written is to be taken back: an abort, a figure that is regretted, the enable input. Pure.

What cannot be told for ``blind_s`` counts as the worst that it could be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.command.checks import unknown
from edge.contract.setpoint import Regret, SetpointContract
from edge.contract.terms import Look


@dataclass(frozen=True, slots=True)
class Watched:
    """One moment of a watch, ``for_s`` after the write.

    ``before`` and ``now`` are the means of each regretted figure, None where there is none. ``blind_s`` is for how long
    each abort could not be told by then.
    """

    for_s: float
    look: Look
    disabled: str
    before: Sequence[float | None]
    now: Sequence[float | None]
    blind_s: Sequence[float]


def reason(contract: SetpointContract, watched: Watched) -> str:
    """Why to roll back now, empty while there is no reason."""
    if watched.disabled:
        return watched.disabled
    for condition, blind_s in zip(contract.abort, watched.blind_s, strict=True):
        holds = condition.holds(watched.look)
        if holds:
            return f"`{condition}` aborts"
        if holds is None and blind_s >= contract.blind_s:
            missing = unknown(condition.tags, watched.look)
            return f"for {blind_s:.0f} s it was not known whether `{condition}` holds: {missing}"
    for regret, before, now in zip(contract.regret, watched.before, watched.now, strict=True):
        words = _regretted(contract, regret, before, now, watched.for_s)
        if words:
            return words
    return ""


def _regretted(
    contract: SetpointContract, regret: Regret, before: float | None, now: float | None, for_s: float
) -> str:  # fmt: skip
    """Judged once its while has passed since the write, which is within the watch."""
    if for_s < regret.over_s:
        return ""
    if before is None or now is None:
        return f"{regret.tag} was not measured well enough to be compared" if for_s >= contract.watch_s else ""
    by = worse_percent(regret, before, now)
    if by < regret.percent:
        return ""
    change = f"by {by:.1f} %" if math.isfinite(by) else "from nothing"
    return f"{regret.tag} went {regret.worse} {change}: {before:.6g} before, {now:.6g} since"


def worse_percent(regret: Regret, before: float, now: float) -> float:
    """By how many percent of what it was before the figure is worse; negative where it is better."""
    worse = now - before if regret.worse == "up" else before - now
    if before == 0.0:
        return math.copysign(math.inf, worse) if worse else 0.0
    return 100.0 * worse / abs(before)

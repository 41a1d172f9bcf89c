"""The rival that every plant has already: a limit at three standard deviations on every signal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cloud.backtest.replay import Alarmed

SIGMAS = 3.0
_RAISE, _CLEAR = 5, 30
"""Rows in sequence beyond the limit, and within it: as patient as the gateway's own judge is."""


def fixed_threshold(
    at_ns: NDArray[np.int64], tags: Mapping[str, NDArray[np.float64]], learned: int
) -> tuple[Alarmed, ...]:
    """Alarms of mean +- 3 standard deviations of the first ``learned`` rows, those that the judge learned from, on any
    signal that varied in them and did not only rise."""
    beyond = np.zeros(len(at_ns), bool)
    which = np.full(len(at_ns), "", dtype=object)
    for tag, numbers in tags.items():
        first = numbers[:learned]
        first = first[np.isfinite(first)]
        if first.size < 2 or first.std() == 0.0 or (np.diff(first) >= 0.0).all():
            continue
        off = np.abs(numbers - first.mean()) > SIGMAS * first.std()
        which = np.where(off & ~beyond, tag, which)
        beyond |= off
    beyond[:learned] = False
    return tuple(_episodes(at_ns, beyond, which))


def _episodes(at_ns: NDArray[np.int64], beyond: NDArray[np.bool_], which: NDArray[np.object_]) -> list[Alarmed]:
    found: list[Alarmed] = []
    run, since, words, active = 0, 0, "", False
    for i, is_beyond in enumerate(beyond.tolist()):
        run = run + 1 if is_beyond is not active else 0
        if not active and run >= _RAISE:
            active, since, words, run = True, int(at_ns[i]), f"{which[i]} beyond {SIGMAS:g} sd", 0
        elif active and run >= _CLEAR:
            active, run = False, 0
            found.append(Alarmed("threshold", since, int(at_ns[i]), words))
    if active:
        found.append(Alarmed("threshold", since, None, words))
    return found

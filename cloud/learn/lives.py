"""One asset's history cut into lives by what people told, each with how it ended; and what of it cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.learn.follow import Followed
from cloud.learn.outcomes import Kind, Told

HOUR_NS = 3600 * 10**9
UNSEEN_MAX_H = 24.0
"""A failure that the last reading precedes by more happened unseen: how many hours the machine ran is not known."""
HEALTHY_BEFORE_H = 24.0
"""So far back from an alarm that a person called false the asset counts as healthy."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What was left out: ``count`` rows, blocks or outcomes of ``where``, and why."""

    where: str
    count: int
    words: str


@dataclass(frozen=True)
class Life:
    """One life of one asset: ``features`` [rows, features], ``hour_h`` [rows] on the asset's own operating hours,
    ``risen_h`` [rows] for how long its signals have stood off their baseline, ``at_ns`` [rows]. It ended at ``end_h``,
    by failure or (``failed`` False) with the machine still healthy: replaced, or running on. ``healthy`` [rows]: a
    person has said so.
    """

    gateway: str
    asset: str
    number: int
    features: NDArray[np.float32]
    hour_h: Array
    risen_h: Array
    at_ns: NDArray[np.int64]
    end_h: float
    end_ns: int
    failed: bool
    healthy: NDArray[np.bool_]

    @property
    def name(self) -> str:
        return f"{self.gateway}/{self.asset}"

    @property
    def wear(self) -> Array:
        """[rows]: the share consumed since the onset, by the newest row's ``risen_h``; 0 before it and in a life that
        did not fail."""
        if not self.failed:
            return np.zeros(len(self.hour_h))
        onset_h = float(self.hour_h[-1] - self.risen_h[-1])
        return np.clip((self.hour_h - onset_h) / max(self.end_h - onset_h, 1e-9), 0.0, 1.0)

    def before(self, at_ns: int) -> Life | None:
        """What was known of it at ``at_ns``: a life that had not ended by then was still running; None before it."""
        known = self.at_ns < at_ns
        if not known.any():
            return None
        cut = replace(
            self, features=self.features[known], hour_h=self.hour_h[known], risen_h=self.risen_h[known],
            at_ns=self.at_ns[known], healthy=self.healthy[known],
        )  # fmt: skip
        if self.end_ns < at_ns:
            return cut
        return replace(cut, end_h=float(cut.hour_h[-1]), end_ns=int(cut.at_ns[-1]), failed=False)


def cut(name: str, followed: Followed, outcomes: Sequence[Told]) -> tuple[list[Life], list[Exclusion]]:
    """The lives of one asset, and what of it cannot be used. Where nothing ended the last one, it is still running."""
    gateway, asset = name.split("/", 1)
    excluded = _unusable(name, followed)
    if not len(followed.at_ns):
        count = len(outcomes)
        if count:
            excluded.append(Exclusion(name, count, "outcomes have no features before them"))
        return [], excluded
    ends, without = _ends(name, followed, outcomes)
    excluded += without
    healthy = _said_healthy(followed, outcomes)
    lives = []
    begin = 0
    for number, (row_end, end_h, end_ns, failed) in enumerate(ends, 1):
        rows = slice(begin, row_end)
        if row_end == begin:
            kind = "a failure" if failed else "an end without failure"
            excluded.append(Exclusion(name, 1, f"{kind} has no features before it"))
            continue
        lives.append(
            Life(
                gateway, asset, number, followed.features[rows], followed.hour_h[rows], followed.risen_h[rows],
                followed.at_ns[rows], end_h, end_ns, failed, healthy[rows],
            )
        )  # fmt: skip
        begin = row_end
    return lives, excluded


End = tuple[int, float, int, bool]
"""Rows up to here (exclusive), operating hours and wall time of the end, and whether it was a failure."""


def _ends(name: str, followed: Followed, outcomes: Sequence[Told]) -> tuple[list[End], list[Exclusion]]:
    ends: list[End] = []
    excluded = []
    # A wall clock may have been set back; operating hours were not.
    clock_ns, row_ns = (np.maximum.accumulate(at_ns) for at_ns in (followed.clock_ns, followed.at_ns))
    first_ns, last_ns = int(clock_ns[0]), int(clock_ns[-1])
    unseen_ns = round(UNSEEN_MAX_H * HOUR_NS)
    for told in sorted(outcomes):
        if not told.kind.ends_life:
            continue
        at = int(np.searchsorted(clock_ns, told.at_ns, "right")) - 1
        failed = told.kind is Kind.FAILURE
        if told.at_ns < first_ns:
            excluded.append(Exclusion(name, 1, f"{_said(told)} was before its first reading"))
            continue
        if told.at_ns - clock_ns[at] > unseen_ns:
            after = "after its last reading" if at == len(clock_ns) - 1 else "in a gap of its readings"
            words = (
                f"{_said(told)} was more than {UNSEEN_MAX_H:.0f} h {after}: it counts as running until then, no more"
            )
            excluded.append(Exclusion(name, 1, words))
            failed = False
        row_end = int(np.searchsorted(row_ns, told.at_ns, "right"))
        ends.append((row_end, float(followed.clock_h[at]), told.at_ns, failed))
    if not ends or ends[-1][0] < len(followed.at_ns):
        ends.append((len(followed.at_ns), float(followed.hour_h[-1]), last_ns, False))
    return ends, excluded


def _said(told: Told) -> str:
    return {Kind.FAILURE: "a failure"}.get(told.kind, "a replacement")


def _unusable(name: str, followed: Followed) -> list[Exclusion]:
    found = []
    if followed.ended:
        words = f"polls are after {followed.ended}: numbers before and after are not of one kind"
        found.append(Exclusion(name, followed.after_end, words))
    if followed.by_exception:
        words = f"signals are kept by exception ({', '.join(followed.by_exception)}): what was unchanged weighs nothing"
        found.append(Exclusion(name, len(followed.by_exception), words))
    if followed.polls == 0:
        found.append(Exclusion(name, 0, "has not one poll: an empty history"))
    elif followed.learned < 1.0:
        done = f"{100.0 * followed.learned:.0f} % of its healthy baseline is learned"
        found.append(Exclusion(name, followed.polls, f"polls give no features yet: {done}"))
    return found


def _said_healthy(followed: Followed, outcomes: Sequence[Told]) -> NDArray[np.bool_]:
    healthy = np.zeros(len(followed.at_ns), bool)
    for told in outcomes:
        if told.kind in (Kind.FALSE_ALARM, Kind.INSPECTED_OK):
            since_ns = told.at_ns - round(HEALTHY_BEFORE_H * HOUR_NS)
            healthy |= (followed.at_ns >= since_ns) & (followed.at_ns <= told.at_ns)
    return healthy

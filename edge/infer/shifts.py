"""Which channels of an asset have shifted off their level, incrementally, poll by poll.

Averages of two lengths are held against a reference that follows slowly while nothing is amiss, and stands still for a
channel that has shifted, while its yardstick grows as the channel wanders by itself. The distance is in healthy
standard deviations of exactly this difference, corrected for how few independent looks they rest on (``wander``). A
shift is over once it has gone back most of its way: what is left then is followed as the new habit.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.infer.averages import LENGTHS, Averages
from edge.infer.channels import SHORT_TAU, WANDERS, Channels, learn
from edge.infer.wander import distance_as_rare, looks, noise, slope, wander

Array = NDArray[np.float64]

FOLLOW_POLLS = 150.0
HOLD_POLLS = 600.0
"""A shift that has stood for so long slowly becomes the habit: what is off for days is told by ``lasting``."""
LIMIT = 3.5
"""Normal deviates that are as rare as a score of 1."""
KEEP = 0.3
"""A shift stands until its score falls below so much of the limit."""
RETURNED = 0.2
"""Or until it is back to so much of its largest distance."""
WANDERER = 5.0
"""A channel that wanders must move so many times further: what it did while learning says little of what it will do."""
_AGREES = 0.3
_FLOOR = 0.1
_SETTLES = 5.0
"""Polls by which a yardstick that has grown is cut again with each quiet one."""
_USUAL, _USUAL_PERIODS = 0.75, 168.0
"""A channel whose score nears the limit so far in an ordinary period has its yardstick stretched."""
_WARM_UP = 30


class Shifts:
    """Learned from healthy rows once; then ``step`` takes each poll's row, with NaN where a signal gave nothing."""

    def __init__(self, rows: Array) -> None:
        """``rows`` [polls, signals]: NaN where a signal gave nothing, at least one finite value a signal."""
        self.channels, values, self._short, self._deviation = learn(_filled(rows))
        count = self.channels.size
        self._averages, self._value = Averages(values[0]), values[-1].copy()
        levels, errors = np.empty((len(LENGTHS), *values.shape)), np.empty((len(LENGTHS), *values.shape))
        for i, value in enumerate(values):
            self._averages.take(value, np.ones(count))
            self._averages.follow(max(1.0 / FOLLOW_POLLS, 1.0 / (i + 1)) * np.ones(count))
            levels[:, i] = self._averages.means()
            errors[:, i] = levels[:, i] - self._averages.reference
        levels, errors = levels[:, _WARM_UP:], errors[:, _WARM_UP:]
        floor = _FLOOR * np.sqrt(LENGTHS[0] / np.array(LENGTHS))
        self._yard = np.maximum(np.sqrt((errors**2).mean(axis=1)), floor[:, None])
        self._slope = np.array([slope(each, length) for each, length in zip(levels, LENGTHS, strict=True)])
        of_noise = np.maximum(noise(values), 0.3) / np.sqrt(LENGTHS[0])
        factor = np.where(wander(levels[0], of_noise) > WANDERS, WANDERER, 1.0)
        # An average spread moves slowly by its making.
        factor[count - rows.shape[1] :] = 1.0
        self._far = factor * np.array([distance_as_rare(LIMIT, looks(each)) for each in errors])
        self._peak, self._on = np.zeros((len(LENGTHS), count)), np.zeros((len(LENGTHS), count))
        self._age, self._usual, self._highest = np.zeros(count), np.zeros(count), np.zeros(count)
        self._muted, self.since_ns = np.zeros(count), np.zeros(count)
        self.scores = np.zeros(count)
        """By channel, 1.0 is the limit by design."""

    @property
    def score(self) -> float:
        return float(self.scores.max())

    @property
    def shifted(self) -> NDArray[np.bool_]:
        """By channel, whether it stands off its level."""
        return np.asarray(self._on.max(axis=0) > 0.0)

    def step(self, row: Array, limit: float, at_ns: int) -> None:
        """Take one poll's ``row`` [signals] at wall time ``at_ns``; a score above ``limit`` is a shift."""
        given = self._look(row)
        self._averages.take(self._value, given.astype(np.float64))
        error = self._averages.means() - self._averages.reference
        grown = (1.0 + self._age / FOLLOW_POLLS) ** (self._slope / 2.0)
        distance = np.abs(error) / (self._yard * grown)
        self._peak = np.where(self._on > 0.0, np.maximum(self._peak, distance), self._peak * (1.0 - 1.0 / FOLLOW_POLLS))
        score = distance / (self._far * np.maximum(self._usual / _USUAL, 1.0))
        away = distance > RETURNED * self._peak
        # A long average still tells of what is over: the short one must agree that it is off, and to which side.
        away &= error[0] * np.sign(error) >= _AGREES * np.abs(error)
        score = np.where(away, score, np.minimum(score, 0.98 * KEEP))
        score = np.where(self._muted > 0.0, 0.0, score)
        self._on = np.where(score > limit * np.where(self._on > 0.0, KEEP, 1.0), 1.0, 0.0)
        self.scores = score.max(axis=0)
        self._highest = np.maximum(self._highest, self.scores)
        self._follow(given, at_ns)

    def mute(self, signals: NDArray[np.bool_]) -> None:
        """Say nothing of these ``signals`` [signals], nor of relations that they are part of."""
        relations = ((self.channels.relations != 0.0) & signals).any(axis=1)
        muted = np.concatenate([signals, relations, signals]).astype(np.float64)
        if (muted != self._muted).any():
            # Neither what was muted nor what comes back may be judged by what it said before.
            self._averages.settle((muted != self._muted) | (muted > 0.0))
            self._muted = muted

    def end_period(self, periods: int) -> None:
        """A healthy period has ended, the ``periods``-th: what a channel scores in it is what it usually does."""
        highest = self._highest * np.maximum(self._usual / _USUAL, 1.0)
        self._usual += (highest - self._usual) / min(float(max(periods, 1)), _USUAL_PERIODS)
        self._highest = np.zeros_like(self._highest)

    def levels(self) -> tuple[Array, Array]:
        """The level of each signal now, and its healthy reference, both in the signal's unit, [signals]."""
        now, healthy = self._averages.means()[0], self._averages.reference
        centre, scale = self.channels.centre, self.channels.scale
        return centre + scale * now[: len(centre)], centre + scale * healthy[: len(centre)]

    def deviates(self) -> Array:
        """How far each channel is off, with the sign of its shift; 3.5 is the limit by design, [channels]."""
        return np.asarray(np.copysign(LIMIT * self.scores, self._averages.means()[0] - self._averages.reference))

    def _look(self, row: Array) -> NDArray[np.bool_]:
        z = self.channels.scaled(row)
        given = np.isfinite(z)
        z = np.where(given, z, self._value[: len(z)])
        self._short += np.where(given, z - self._short, 0.0) / SHORT_TAU
        self._deviation += np.where(given, np.abs(z - self._short) - self._deviation, 0.0) / SHORT_TAU
        relations = ((self.channels.relations != 0.0) <= given).all(axis=1)
        self._value = self.channels.of(z, self._deviation)
        return np.concatenate([given, relations, given])

    def _follow(self, given: NDArray[np.bool_], at_ns: int) -> None:
        shifted = self.shifted
        held = np.where(self._age > HOLD_POLLS, 0.1, 0.0)
        self._averages.follow(np.where(given, np.where(shifted, held, 1.0) / FOLLOW_POLLS, 0.0))
        self._age = np.where(shifted, self._age + 1.0, np.maximum(self._age - _SETTLES, 0.0))
        self.since_ns = np.where(shifted, np.where(self.since_ns == 0.0, float(at_ns), self.since_ns), 0.0)

    # -- keeping ---------------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """What a restart needs, bit for bit."""
        return {
            "signals": len(self.channels.centre),
            "owner": self.channels.owner.tolist(),
            "averages": self._averages.kept(),
            "numbers": base64.b64encode(np.concatenate([part.ravel() for part in self._parts()]).tobytes()).decode(),
        }

    @classmethod
    def restored(cls, kept: dict[str, Any]) -> Shifts:
        """Raises ``ValueError`` and what indexing raises where ``kept`` is something else."""
        signals, owner = int(kept["signals"]), np.array(kept["owner"], dtype=np.intp)
        lengths, count = len(LENGTHS), len(owner)
        numbers = np.frombuffer(base64.b64decode(kept["numbers"]), dtype=np.float64)
        shapes = [
            (signals,), (signals,), (count - 2 * signals, signals), (signals,), (signals,),
            *[(lengths, count)] * 5, *[(count,)] * 7,
        ]  # fmt: skip
        sizes = [int(np.prod(shape)) for shape in shapes]
        if numbers.size != sum(sizes) or not np.isfinite(numbers).all():
            raise ValueError("kept by another version")
        split = np.split(numbers, np.cumsum(sizes)[:-1])
        parts = [part.reshape(shape).copy() for part, shape in zip(split, shapes, strict=True)]
        shifts = cls.__new__(cls)
        shifts.channels = Channels(parts[0], parts[1], parts[2], owner)
        for name, part in zip(("_averages", *_NAMES), (Averages.restored(kept["averages"]), *parts[3:]), strict=True):
            setattr(shifts, name, part)
        return shifts

    def _parts(self) -> Iterator[Array]:
        yield from (self.channels.centre, self.channels.scale, self.channels.relations)
        for name in _NAMES:
            yield getattr(self, name)


_NAMES = (
    "_short", "_deviation", "_yard", "_far", "_slope", "_peak", "_on",
    "_value", "_age", "_usual", "_highest", "_muted", "since_ns", "scores",
)  # fmt: skip


def _filled(rows: Array) -> Array:
    """``rows`` with each gap filled by the value before it, and the first gaps by the first value."""
    filled = rows.copy()
    for column in filled.T:
        finite = np.flatnonzero(np.isfinite(column))
        before = np.maximum.accumulate(np.where(np.isfinite(column), np.arange(len(column)), -1))
        column[:] = column[np.where(before < 0, finite[0], before)]
    return filled

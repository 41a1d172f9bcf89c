"""Averages of several lengths of many channels at once, and a reference that follows them, in bounded memory.

Five polls make a bucket, and so many buckets are kept as the longest average needs: an average over the last 20 polls
is one over 20 to 24 of them. Unlike an exponential average it forgets wholly what is older than that.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BUCKET_POLLS = 5
_BUCKETS = (1, 4)
LENGTHS = tuple(BUCKET_POLLS * count for count in _BUCKETS)
"""How many polls each average is over, at least."""
_LAG = 2
"""The reference follows this bucket, not the newest: a shift must not have drawn it along before it is seen."""


class Averages:
    """Begins as if ``value`` [channels] had always been."""

    def __init__(self, value: Array) -> None:
        self._buckets = np.repeat(value[None], max(_BUCKETS), axis=0)
        self._sum, self._count = np.zeros_like(value), np.zeros_like(value)
        self._polls = 0
        self.reference = value.copy()

    def take(self, value: Array, given: Array) -> None:
        """One poll's ``value`` [channels]; ``given`` is 0 for those that are gaps, else 1."""
        if self._polls == BUCKET_POLLS:
            # For a channel that gave nothing no time has passed.
            mean = self._sum / np.maximum(self._count, 1.0)
            moved = np.concatenate([mean[None], self._buckets[:-1]])
            self._buckets = np.where(self._count > 0.0, moved, self._buckets)
            self._sum, self._count = np.zeros_like(mean), np.zeros_like(mean)
            self._polls = 0
        self._sum = self._sum + given * value
        self._count = self._count + given
        self._polls += 1

    def means(self) -> Array:
        """The averages, shortest first, [lengths, channels]."""
        sums = [self._sum + BUCKET_POLLS * self._buckets[:count].sum(axis=0) for count in _BUCKETS]
        return np.array([total / (self._count + length) for total, length in zip(sums, LENGTHS, strict=True)])

    def follow(self, gain: Array) -> None:
        """Draw the reference by ``gain`` [channels] toward where the channels were a little before."""
        self.reference = self.reference + gain * (self._buckets[_LAG] - self.reference)

    def settle(self, which: NDArray[np.bool_]) -> None:
        """Forget how these channels moved: from now on they have always been at their reference."""
        self._buckets = np.where(which, self.reference, self._buckets)
        self._sum, self._count = np.where(which, 0.0, self._sum), np.where(which, 0.0, self._count)

    def kept(self) -> dict[str, Any]:
        numbers = np.vstack([self._sum, self._count, self.reference, self._buckets])
        return {"polls": self._polls, "numbers": base64.b64encode(numbers.tobytes()).decode()}

    @staticmethod
    def restored(kept: dict[str, Any]) -> Averages:
        """Raises ``ValueError`` where ``kept`` is something else."""
        numbers = np.frombuffer(base64.b64decode(kept["numbers"]), dtype=np.float64).reshape(3 + max(_BUCKETS), -1)
        if not np.isfinite(numbers).all():
            raise ValueError("kept by another version")
        averages = Averages(numbers[3])
        averages._sum, averages._count, averages.reference = (row.copy() for row in numbers[:3])
        averages._buckets, averages._polls = numbers[3:].copy(), int(kept["polls"])
        return averages

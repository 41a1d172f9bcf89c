"""The plant of the benchmarks: what its machines measure, poll by poll.

Of each device's tags 60 % are 12-bit random walks (half as raw counts, half times 0.1), 20 % are single-precision noise
and 20 % are constant. Each device answers some milliseconds after the one before, with the jitter of a bus.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from edge.contract.types import Batch, Quality, Value

START_NS = 1_790_000_000_000_000_000
START_MONO_NS = 86_400_000_000_000


class Plant:
    """The same seed gives the same readings."""

    def __init__(self, devices: int, tags: int, *, seed: int, period_ns: int = 100_000_000) -> None:
        self._rng = random.Random(seed)
        self._period_ns = period_ns
        self._polls = 0
        self.tags = tuple(f"station_{tag // 10}.signal_{tag % 10}" for tag in range(tags))
        self._walks = [[self._rng.randrange(4096) for _ in range(tags)] for _ in range(devices)]

    def poll(self) -> Iterator[Batch]:
        """The next poll of every device, in the order in which a gateway takes them."""
        rng, count = self._rng, len(self.tags)
        for device, walk in enumerate(self._walks):
            passed_ns = self._polls * self._period_ns + device * 4_000_000 + rng.randrange(1_500_000)
            read_ns = START_NS + passed_ns
            source_ns = read_ns - rng.randrange(2_000_000)
            yield Batch(
                f"machine-{device:02d}", self.tags, _signals(walk, rng), (Quality.GOOD,) * count, (source_ns,) * count,
                read_ns, START_MONO_NS + passed_ns + rng.randrange(800),
            )  # fmt: skip
        self._polls += 1


def plant(devices: int, tags: int, polls: int, *, seed: int, period_ns: int = 100_000_000) -> list[Batch]:
    """Some polls of every device."""
    machines = Plant(devices, tags, seed=seed, period_ns=period_ns)
    return [batch for _ in range(polls) for batch in machines.poll()]


def _signals(walk: list[int], rng: random.Random) -> tuple[Value, ...]:
    """One poll of one device; moves its walks."""
    values: list[Value] = []
    for tag in range(len(walk)):
        walk[tag] = min(4095, max(0, walk[tag] + round(rng.gauss(0, 8))))
        share = tag % 10
        if share < 6:
            values.append(walk[tag] if share < 3 else walk[tag] * 0.1)
        elif share < 8:
            values.append(struct.unpack("<f", struct.pack("<f", rng.gauss(50.0, 2.0)))[0])
        else:
            values.append(float(tag))
    return tuple(values)

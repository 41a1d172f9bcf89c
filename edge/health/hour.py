"""How much counts that only grow have grown within the last hour, from samples half a minute apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

HOUR_NS = 3600 * 10**9
APART_NS = 30 * 10**9


class Hour:
    """Counts since the first sample, where that is less than an hour ago. Memory: 121 samples."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, Mapping[str, int]]] = deque()

    def take(self, counts: Mapping[str, int], mono_ns: int) -> dict[str, int]:
        """By how much each of ``counts`` has grown within the hour."""
        samples = self._samples
        if not samples or mono_ns - samples[-1][0] >= APART_NS:
            samples.append((mono_ns, dict(counts)))
        # The newest sample that is an hour old is what there was an hour ago.
        while len(samples) > 1 and mono_ns - samples[1][0] >= HOUR_NS:
            samples.popleft()
        before = samples[0][1]
        return {name: count - before.get(name, 0) for name, count in counts.items()}

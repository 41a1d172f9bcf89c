"""How much of what should have been read was good, over the last polls."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from edge.contract.types import Batch, Quality

POLLS = 30


class Coverage:
    """Share of good readings of ``tags`` (all tags where it is empty) among those that were due."""

    def __init__(self, tags: Collection[str], period_ns: int) -> None:
        self._tags = frozenset(tags)
        self._period_ns = period_ns
        self._polls: deque[tuple[int, int, int]] = deque(maxlen=POLLS)

    def change(self, tags: Collection[str]) -> None:
        """Of ``tags`` from now on; what was counted of others still counts until it is past."""
        self._tags = frozenset(tags)

    def observe(self, batch: Batch) -> None:
        asked = good = 0
        for tag, quality in zip(batch.tags, batch.quality, strict=True):
            if not self._tags or tag in self._tags:
                asked += 1
                good += quality == Quality.GOOD
        if asked:
            self._polls.append((batch.mono_ns, asked, good))

    def share(self, mono_ns: int) -> float:
        """0..1; polls that should have come since the last one, but did not, count as missing.

        By the monotonic clock, which no correction of the time can move.
        """
        if not self._polls:
            return 0.0
        asked = sum(poll[1] for poll in self._polls)
        good = sum(poll[2] for poll in self._polls)
        # One period may pass, and half of one for jitter, before silence is silence.
        silent_polls = max(0.0, (mono_ns - self._polls[-1][0]) / self._period_ns - 1.5)
        return good / (asked + min(silent_polls, 10.0 * POLLS) * asked / len(self._polls))

    def kept(self) -> list[list[int]]:
        return [list(poll) for poll in self._polls]

    def restore(self, kept: list[list[int]]) -> None:
        """Continue from ``kept``, perhaps of another boot, whose clock means nothing here."""
        self._polls = deque(((int(at), int(asked), int(good)) for at, asked, good in kept), maxlen=POLLS)

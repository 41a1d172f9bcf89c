"""Which stored blocks wait to be derived from, and how much time may be spent on it.

The truth is stored at once, what is derived from it where time allows: with little to do in the same transaction, under
load some seconds later and many blocks of a gateway together, which costs a fraction. A gateway of many signals is
derived a part at a time, so that what comes in meanwhile waits for a part only. What waits is bounded in readings and
in age, and is in the store as well: after a crash it is derived from there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

from cloud.store.stored import Stored

READINGS_MAX = 1_500_000
"""About 20 bytes each while they wait."""
PRESSING_READINGS = 500_000
"""From here on it is derived before more of a backlog is taken."""
AGE_S_MAX = 60.0
DRAINING_READINGS = 200_000
"""A gateway with more than this in its journal is in no hurry to be shown, and will soon send the next of it."""
RIPE_READINGS, RIPE_S = 2**19, 0.5
TAGS_AT_ONCE_MAX = 200
"""What is written costs by the tag: a gateway with more than these in its blocks is derived a part at a time."""
SHARE = 0.25
BURST_S = 0.1

Clock = Callable[[], float]


class Waiting:
    """Blocks by gateway, that of the oldest block first."""

    def __init__(self, *, tags_at_once_max: int = TAGS_AT_ONCE_MAX, monotonic_s: Clock = time.monotonic) -> None:
        self._tags_at_once_max, self._monotonic_s = tags_at_once_max, monotonic_s
        self._blocks: dict[int, list[Stored]] = {}
        self._since_s: dict[int, float] = {}
        self._readings: Counter[int] = Counter()
        self._draining: set[int] = set()
        self._wide: set[int] = set()
        self.readings = 0

    def add(self, stored: Sequence[Stored], *, draining: Collection[str] = ()) -> None:
        """``draining`` names gateways that have much more to send."""
        for one in stored:
            self._blocks.setdefault(one.gateway, []).append(one)
            self._since_s.setdefault(one.gateway, self._monotonic_s())
            self._readings[one.gateway] += one.block.header.readings
            if sum(len(series.tags) for series in one.block.series) > self._tags_at_once_max:
                self._wide.add(one.gateway)
            self.readings += one.block.header.readings
            if one.block.header.key.gateway in draining:
                self._draining.add(one.gateway)
            else:
                self._draining.discard(one.gateway)

    def remove(self, gateway: int) -> None:
        del self._since_s[gateway], self._blocks[gateway]
        self._draining.discard(gateway)
        self._wide.discard(gateway)
        self.readings -= self._readings.pop(gateway)

    def take_back(self, stored: Sequence[Stored]) -> None:
        """As if these, of whichever gateways, had never been."""
        gone = {one.id for one in stored}
        for gateway in {one.gateway for one in stored} & self._blocks.keys():
            left = [one for one in self._blocks[gateway] if one.id not in gone]
            names = {one.block.header.key.gateway for one in left} if gateway in self._draining else set()
            self.remove(gateway)
            self.add(left, draining=names)

    def __len__(self) -> int:
        return len(self._blocks)

    def of(self, gateway: int) -> list[Stored]:
        return self._blocks[gateway]

    def gateways(self) -> Iterator[int]:
        """Those that have waited longest first."""
        return iter(list(self._blocks))

    @property
    def is_pressing(self) -> bool:
        return self.readings > PRESSING_READINGS

    def is_wide(self, gateway: int) -> bool:
        """Whether to derive from it at once would take long."""
        return gateway in self._wide

    def is_ripe(self, gateway: int) -> bool:
        """Whether nothing is won by waiting for more: deriving costs by the tag as well as by the reading."""
        return (
            gateway not in self._draining
            or self._readings[gateway] > RIPE_READINGS
            or self._monotonic_s() - self._since_s[gateway] > RIPE_S
        )

    def is_late(self, gateway: int, *, derived: Collection[int]) -> bool:
        """Whether a gateway's blocks must not wait any longer, where those of the ``derived`` ones wait no more."""
        left = self.readings - sum(self._readings[one] for one in derived)
        return left > READINGS_MAX or self._monotonic_s() - self._since_s[gateway] > AGE_S_MAX

    def before(self, newest: int, *, without: Sequence[int]) -> int:
        """The last row up to which nothing waits but for these gateways'; ``newest`` is the last row of all."""
        waiting = (blocks[0].id for gateway, blocks in self._blocks.items() if gateway not in without)
        return min(waiting, default=newest + 1) - 1


class Allowance:
    """Seconds that may be spent: a share of the time that passes, with a small reserve."""

    def __init__(self, *, share: float = SHARE, burst_s: float = BURST_S, monotonic_s: Clock = time.monotonic) -> None:
        self._share, self._burst_s, self._monotonic_s = share, burst_s, monotonic_s
        self._left_s, self._at_s = burst_s, monotonic_s()

    def is_left(self) -> bool:
        now_s = self._monotonic_s()
        self._left_s = min(self._left_s + (now_s - self._at_s) * self._share, self._burst_s)
        self._at_s = now_s
        return self._left_s > 0

    def spend(self, began_s: float) -> None:
        """Since ``began_s``, by the same clock."""
        self._left_s -= self._monotonic_s() - began_s

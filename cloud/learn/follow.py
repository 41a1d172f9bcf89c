"""One asset's blocks through the gateway's own feature code: the rows that its judge saw, to the bit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.contract.block import Block
from edge.contract.types import Asset, Batch, Value
from edge.features.held import Held
from edge.features.tracker import FeatureSpec, FeatureTracker, number

_MINUTE_NS = 60 * 10**9


@dataclass(frozen=True)
class Followed:
    """What following gave: ``features`` [rows, features], ``at_ns`` [rows] (wall time of the poll that closed the
    step) and ``hour_h`` [rows], operating hours since the first poll, which never fall: where a meter was replaced they
    go on; ``risen_h`` [rows] is for how long some signal has stood off its baseline. ``clock_ns`` and ``clock_h``
    [minutes] are wall time and hours of the last poll of each minute, and of the first one, to date what was told.

    ``learned``: share of the baseline. ``repeated`` polls came twice. ``ended``: why the history ends before its last
    ``after_end`` polls, empty where it does not. ``by_exception`` are signals of which only changes are kept.
    """

    features: NDArray[np.float32]
    at_ns: NDArray[np.int64]
    hour_h: NDArray[np.float64]
    risen_h: NDArray[np.float64]
    clock_ns: NDArray[np.int64]
    clock_h: NDArray[np.float64]
    polls: int
    learned: float
    repeated: int
    ended: str
    after_end: int
    by_exception: tuple[str, ...] = ()


@dataclass
class Follower:
    """Takes blocks of one asset in the order of sealing.

    It begins anew at a boot what a judge does not keep: the readings held of polls in parts. A tag whose declared unit
    changes ends the history: numbers before and after are not of one kind.
    """

    asset: str
    spec: FeatureSpec
    tracker: FeatureTracker = field(init=False)

    def __post_init__(self) -> None:
        self.tracker = FeatureTracker(self.spec)
        self._held: Held[Value] = Held()
        self._boot = ""
        self._newest: dict[tuple[str, ...], int] = {}
        self._units: dict[str, str] = {}
        self._by_exception: dict[str, None] = {}
        self._hours, self._meter = 0.0, -1.0
        self._rows: list[NDArray[np.float32]] = []
        self._row_times: list[tuple[int, float, float]] = []
        self._clock: list[tuple[int, float]] = []
        self._polls = self._repeated = self._after_end = 0
        self._ended = ""

    def take(self, block: Block) -> None:
        if block.header.boot != self._boot:
            self._boot = block.header.boot
            self._held = Held()
            self._newest.clear()
        for record in block.records:
            if isinstance(record, Asset) and record.asset == self.asset:
                self._introduced(record)
        mine = (one.batches() for one in block.series if one.asset == self.asset)
        for batch in sorted((batch for batches in mine for batch in batches), key=lambda batch: batch.mono_ns):
            self._poll(batch)

    def _introduced(self, asset: Asset) -> None:
        followed = {*self.spec.tags, self.spec.hour_meter}
        for tag in asset.tags:
            if tag.tag not in followed:
                continue
            if tag.heartbeat_ms:
                self._by_exception[tag.tag] = None
            before = self._units.setdefault(tag.tag, tag.unit)
            if before != tag.unit and not self._ended:
                self._ended = f"{tag.tag} changed its unit from {before or 'none'} to {tag.unit or 'none'}"

    def _poll(self, batch: Batch) -> None:
        if batch.mono_ns <= self._newest.get(batch.tags, -1):
            self._repeated += 1  # A gateway that was killed may seal its last readings twice.
            return
        self._newest[batch.tags] = batch.mono_ns
        if self._ended:
            self._after_end += 1
            return
        self._polls += 1
        values = self._held.take(batch.tags, batch.good())
        hour = number(values.get(self.spec.hour_meter))
        if hour is not None and hour >= 0.0:
            self._hours += max(hour - self._meter, 0.0) if self._meter >= 0.0 else 0.0
            self._meter = hour
            self._date(batch.read_ns)
        if self.tracker.update(values, hour) and self.tracker.ready:
            self._rows.append(self.tracker.vector())
            self._row_times.append((batch.read_ns, self._hours, float(self.tracker.risen_h().max())))

    def _date(self, read_ns: int) -> None:
        """Once a minute is enough to date what people told: a year of polls a second would not fit in memory."""
        if len(self._clock) > 1 and self._clock[-1][0] // _MINUTE_NS == read_ns // _MINUTE_NS:
            self._clock.pop()
        self._clock.append((read_ns, self._hours))

    def result(self) -> Followed:
        size = len(self.spec.names)
        at_ns, hour_h, risen_h = zip(*self._row_times, strict=True) if self._row_times else ((), (), ())
        clock_ns, clock_h = zip(*self._clock, strict=True) if self._clock else ((), ())
        return Followed(
            np.stack(self._rows) if self._rows else np.empty((0, size), np.float32),
            np.array(at_ns, np.int64), np.array(hour_h, np.float64), np.array(risen_h, np.float64),
            np.array(clock_ns, np.int64), np.array(clock_h, np.float64),
            polls=self._polls, learned=self.tracker.learned, repeated=self._repeated, ended=self._ended,
            after_end=self._after_end, by_exception=tuple(self._by_exception),
        )  # fmt: skip


def follow(asset: str, spec: FeatureSpec, blocks: Iterable[Block]) -> Followed:
    """All at once; see ``Follower``."""
    follower = Follower(asset, spec)
    for block in blocks:
        follower.take(block)
    return follower.result()

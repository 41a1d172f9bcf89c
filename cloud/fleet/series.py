"""One asset's signals over a span of time, from raw blocks where that is little work, else from rollups.

A gap is never a missing line: it says from when to when, and why. ``bus``, ``device`` and ``decode`` are readings that
came bad; the other causes are losses that the gateway declared; ``no data`` is nothing at all, yet or for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cloud.store.reader import AssetRow, DroppedRow, Reader, RollupRow
from cloud.store.rollup import HOUR_S, MINUTE_S, SECOND_NS, run_of
from edge.contract.block import Series, decode_block
from edge.contract.types import Quality

RAW_BLOCKS_MAX = 1200
MS_NS = 1_000_000
NO_DATA = "no data"
# A poll may be late; three in a row are a hole. Nothing shorter than this is called one, whatever the period.
HOLE_PERIODS = 3
HOLE_MS_MIN = 1500

Resolution = Literal["raw", "minute", "hour"]


@dataclass(frozen=True, slots=True)
class Gap:
    from_ms: int
    to_ms: int
    cause: str


@dataclass(slots=True)
class Signal:
    """One tag: ``value`` (a mean where points stand for many readings) with ``low`` and ``high``, None in a gap."""

    tag: str
    resolution: Resolution
    at_ms: list[int] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    low: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def add(self, at_ms: int, value: float | None, low: float | None, high: float | None) -> None:
        self.at_ms.append(at_ms)
        self.value.append(value)
        self.low.append(low)
        self.high.append(high)


def signals(
    reader: Reader,
    asset: AssetRow,
    tags: Sequence[str],
    from_ns: int,
    to_ns: int,
    *,
    points_max: int,
    raw_blocks_max: int = RAW_BLOCKS_MAX,
) -> list[Signal]:
    """At most about ``points_max`` points a tag between the two times, both inclusive.

    Where more than ``raw_blocks_max`` blocks would have to be opened, minutes or hours are shown instead.
    """
    period_ms = asset.record.period_ms if asset.record else 1000
    dropped = reader.dropped(asset.id, from_ns, to_ns)
    blocks = reader.spans(asset.id, from_ns, to_ns, limit=raw_blocks_max + 1)
    if len(blocks) <= raw_blocks_max:
        found = [s for data in reader.blocks(blocks) for s in decode_block(data).series if s.asset == asset.asset]
        made = [_raw(tag, found, from_ns, to_ns, points_max, period_ms) for tag in tags]
    else:
        minutes = (to_ns - from_ns) // SECOND_NS // MINUTE_S
        width: Literal["minute", "hour"] = "minute" if minutes <= 2 * points_max else "hour"
        rows = reader.rollups(asset.id, tags, width, *_whole(from_ns, to_ns, width))
        made = [_rolled(tag, [row for row in rows if row.tag == tag], width, points_max) for tag in tags]
    for signal in made:
        signal.gaps = [_explained(gap, signal.tag, dropped) for gap in signal.gaps]
    return made


def _whole(from_ns: int, to_ns: int, width: Resolution) -> tuple[int, int]:
    step = MINUTE_S if width == "minute" else HOUR_S
    return from_ns // SECOND_NS // step * step, to_ns // SECOND_NS


def _raw(tag: str, found: Sequence[Series], from_ns: int, to_ns: int, points_max: int, period_ms: int) -> Signal:
    parts = [column_of(series, tag) for series in found if tag in series.tags]
    if not parts:
        return Signal(tag, "raw")
    at_ns, numbers, quality = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    inside = (at_ns >= from_ns) & (at_ns <= to_ns)
    order = np.argsort(at_ns[inside], kind="stable")
    at_ms, numbers, quality = (at_ns[inside][order] // MS_NS), numbers[inside][order], quality[inside][order]
    signal = Signal(tag, "raw", gaps=bad_spans(at_ms, quality, period_ms) + holes(at_ms, period_ms))
    signal.gaps.sort(key=lambda gap: gap.from_ms)
    _fill(signal, at_ms, numbers, points_max, hole_ms(period_ms))
    return signal


def column_of(series: Series, tag: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]:
    """``read_ns``, values as floats (NaN where bad or no number) and quality of one tag, sorted by time."""
    run = run_of([series])
    j = run.tags.index(tag)
    return run.read_ns, run.numbers[:, j], run.quality[:, j]


def hole_ms(period_ms: int) -> int:
    return max(HOLE_PERIODS * period_ms, HOLE_MS_MIN)


def holes(at_ms: NDArray[np.int64], period_ms: int) -> list[Gap]:
    """Spans in which there was no reading at all."""
    wide = np.flatnonzero(np.diff(at_ms) > hole_ms(period_ms))
    return [Gap(int(at_ms[i]), int(at_ms[i + 1]), NO_DATA) for i in wide]


def bad_spans(at_ms: NDArray[np.int64], quality: NDArray[np.uint8], period_ms: int) -> list[Gap]:
    """Runs of readings that were bad for one cause, each as long as its readings' periods."""
    if not len(at_ms):
        return []
    edges = np.flatnonzero((np.diff(quality) != 0) | (np.diff(at_ms) > hole_ms(period_ms))) + 1
    gaps = []
    for run in np.split(np.arange(len(at_ms)), edges):
        cause = Quality(int(quality[run[0]])).cause
        if cause is not None:
            gaps.append(Gap(int(at_ms[run[0]]), int(at_ms[run[-1]]) + period_ms, str(cause)))
    return gaps


@np.errstate(over="ignore", invalid="ignore")  # a mean that no double holds is shown as none
def _fill(signal: Signal, at_ms: NDArray[np.int64], numbers: NDArray[np.float64], points_max: int, hole: int) -> None:
    """Every point where they are few, else one for each of ``points_max`` equal spans; a None where the line breaks."""
    if len(at_ms) > points_max:
        step = max(1, int(at_ms[-1] - at_ms[0]) // points_max + 1)
        starts = np.flatnonzero(np.diff((at_ms - at_ms[0]) // step, prepend=-1))
    else:
        step, starts = 0, np.arange(len(at_ms))
    before: int | None = None
    for run in np.split(np.arange(len(at_ms)), starts[1:]):
        at = int(at_ms[run[0]])
        if before is not None and at - before > hole + step:
            signal.add(before + 1, None, None, None)
        finite = numbers[run][np.isfinite(numbers[run])]
        values = (float(finite.mean()), float(finite.min()), float(finite.max())) if len(finite) else (None,) * 3
        signal.add(at, *values)
        before = int(at_ms[run[-1]])


def _rolled(tag: str, rows: Sequence[RollupRow], width: Resolution, points_max: int) -> Signal:
    signal = Signal(tag, width)
    step = MINUTE_S if width == "minute" else HOUR_S
    group = max(1, -(-len(rows) // points_max))
    before: int | None = None
    for row in rows:
        if before is not None and row.start_s > before + step:
            signal.gaps.append(Gap((before + step) * 1000, row.start_s * 1000, NO_DATA))
            signal.add((before + step) * 1000, None, None, None)
        if row.good == 0:
            signal.gaps.append(Gap(row.start_s * 1000, (row.start_s + step) * 1000, _worst_cause(row)))
        before = row.start_s
        signal.add(row.start_s * 1000 + step * 500, row.mean, row.low, row.high)
    return _thinned(signal, group)


def _thinned(signal: Signal, group: int) -> Signal:
    if group == 1:
        return signal
    thin = Signal(signal.tag, signal.resolution, gaps=signal.gaps)
    for i in range(0, len(signal.at_ms), group):
        part = slice(i, i + group)
        means, lows, highs = (_known(values[part]) for values in (signal.value, signal.low, signal.high))
        thin.add(
            signal.at_ms[i], sum(means) / len(means) if means else None,
            min(lows) if lows else None, max(highs) if highs else None,
        )  # fmt: skip
    return thin


def _known(values: Sequence[Any]) -> list[float]:
    return [v for v in values if v is not None]


def _worst_cause(row: RollupRow) -> str:
    causes = {"bus": row.bad_bus, "device": row.bad_device, "decode": row.bad_decode}
    return max(causes, key=lambda cause: causes[cause])


def _explained(gap: Gap, tag: str, dropped: Sequence[DroppedRow]) -> Gap:
    """A hole that the gateway has declared gets the cause that it gave."""
    if gap.cause == NO_DATA:
        for row in dropped:
            if row.tag == tag and row.from_ns // MS_NS <= gap.to_ms and row.to_ns // MS_NS >= gap.from_ms:
                return Gap(gap.from_ms, gap.to_ms, row.cause)
    return gap

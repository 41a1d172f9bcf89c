"""One asset's signals over a span of time, from raw readings where that is little work, else from rollups.

A gap is never a missing line: it says from when to when, and why. ``bus``, ``device`` and ``decode`` are readings that
came bad; ``thinned`` is where the gateway took readings out on purpose and kept extremes and events, so that the line
goes on; ``no data`` is nothing at all, yet or for ever; the other causes are losses that the gateway declared.

Of a signal of which changes alone are kept, what lies between two readings is no gap while its heartbeat lasts and no
loss is declared in it: the value is held until the poll before the next reading. (Means of minutes and hours are those
of what was kept.)
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cloud.store.history import BLOCKS_MAX, Readings, raw
from cloud.store.reader import Reader
from cloud.store.rollup import HOUR_S, MINUTE_S, SECOND_NS, run_of
from cloud.store.rows import AssetRow, DroppedRow, RollupRow
from edge.contract.block import Series
from edge.contract.types import Quality

RAW_BLOCKS_MAX = BLOCKS_MAX
MS_NS = 1_000_000
NO_DATA = "no data"
THINNED = "thinned"
# A poll may be late; three in a row are a hole. Nothing shorter than this is called one, whatever the period.
HOLE_PERIODS = 3
HOLE_MS_MIN = 1500
# Where readings were thinned, minimum, maximum and last of each span are left, however they lie in it.
HOLE_THINNED_STEPS = 6

Resolution = Literal["raw", "minute", "hour"]
Times = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a tag is read, and within how long one reading of it is kept at least; 0 where all are."""

    period_ms: int
    heartbeat_ms: int = 0

    @property
    def hole_ms(self) -> int:
        """The longest step between two readings that are polled one after the other."""
        return max(HOLE_PERIODS * self.period_ms, HOLE_MS_MIN)

    @property
    def silence_ms(self) -> int:
        """The longest step between two readings that is no hole."""
        return self.hole_ms + self.heartbeat_ms


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    from_ms: int
    to_ms: int
    cause: str


@dataclass(slots=True)
class Signal:
    """One tag: ``value`` (a mean where points stand for many readings) with ``low`` and ``high``, None in a gap.

    ``silence_ms``: after so long without a reading there is a gap.
    """

    tag: str
    resolution: Resolution
    silence_ms: int = 0
    at_ms: list[int] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    low: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Points:
    """``at_ms`` int64[n]; ``value``, ``low``, ``high`` float64[n], NaN where there is nothing to show."""

    at_ms: Times
    value: Floats
    low: Floats
    high: Floats

    def broken(self, after_ms: Times) -> _Points:
        """With a point of nothing just after each of these times, so that no line is drawn across a hole."""
        return self._with(after_ms + 1, [np.full(len(after_ms), np.nan)] * 3)

    def held(self, which: Times, before_ms: int) -> _Points:
        """With each of these points once more, so long before the next one."""
        until_ms = np.maximum(self.at_ms[which + 1] - before_ms, self.at_ms[which] + 1)
        return self._with(until_ms, [a[which] for a in (self.value, self.low, self.high)])

    def _with(self, at_ms: Times, further: Sequence[Floats]) -> _Points:
        at = np.concatenate([self.at_ms, at_ms])
        order = np.argsort(at, kind="stable")
        columns = zip((self.value, self.low, self.high), further, strict=True)
        value, low, high = (np.concatenate(pair)[order] for pair in columns)
        return _Points(at[order], value, low, high)


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

    Where more than ``raw_blocks_max`` blocks would have to be opened, or more readings looked at than
    ``cloud.store.history`` gives, minutes or hours are shown instead.
    """
    paces = {tag: _pace(asset, tag) for tag in tags}
    dropped = reader.dropped(asset.id, from_ns, to_ns)
    losses = {tag: sorted(_loss(row, paces[tag]) for row in dropped if row.tag == tag) for tag in tags}
    found = raw(reader, asset, tags, from_ns, to_ns, blocks_max=raw_blocks_max)
    if found is not None:
        return [_raw(tag, found[tag], losses[tag], points_max, paces[tag]) for tag in tags]
    minutes = (to_ns - from_ns) // SECOND_NS // MINUTE_S
    width: Literal["minute", "hour"] = "minute" if minutes <= 2 * points_max else "hour"
    step_s = MINUTE_S if width == "minute" else HOUR_S
    rows: dict[str, list[RollupRow]] = {tag: [] for tag in tags}
    for row in reader.rollups(asset.id, tags, width, from_ns // SECOND_NS // step_s * step_s, to_ns // SECOND_NS):
        rows[row.tag].append(row)
    thinned = reader.thinned_hours(asset.id, from_ns // SECOND_NS, to_ns // SECOND_NS)
    return [_rolled(tag, rows[tag], losses[tag], thinned.get(tag, []), width, points_max, paces[tag]) for tag in tags]


def _pace(asset: AssetRow, tag: str) -> Pace:
    if asset.record is None:
        return Pace(1000)
    told = next((one for one in asset.record.tags if one.tag == tag), None)
    return Pace((told.period_ms if told else 0) or asset.record.period_ms, told.heartbeat_ms if told else 0)


def _loss(row: DroppedRow, pace: Pace) -> Gap:
    return Gap(row.from_ns // MS_NS, row.to_ns // MS_NS + pace.period_ms, row.cause)


def _raw(tag: str, found: Readings, losses: Sequence[Gap], points_max: int, pace: Pace) -> Signal:
    at_ns = found.at_ns
    if not len(at_ns):
        return Signal(tag, "raw", pace.silence_ms, gaps=list(losses))
    steps = np.diff(at_ns)
    limits = _hole_limits(steps, found, losses, pace)
    wide = np.flatnonzero(steps > limits)
    holes = [
        Gap(start, stop, NO_DATA)
        for start, stop in zip((at_ns[wide] // MS_NS).tolist(), (at_ns[wide + 1] // MS_NS).tolist(), strict=True)
    ]
    thinned = [Gap(start // MS_NS, stop // MS_NS, THINNED) for start, stop in found.thinned]
    gaps = [
        *bad_spans(at_ns, found.quality, pace), *losses, *undeclared(holes, losses, pace.hole_ms),
        *_merged(thinned, int(limits.max(initial=0)) // MS_NS),
    ]  # fmt: skip
    span_ns = (int(at_ns[-1] - at_ns[0]) // points_max // MS_NS + 1) * MS_NS
    if len(gaps) > points_max:
        # What could not be told apart on the chart becomes one, so that a signal that flaps all day stays small.
        gaps = _merged(sorted(gaps, key=lambda gap: (gap.cause, gap.from_ms)), span_ns // MS_NS)
    if len(at_ns) > points_max:
        points = _downsampled(at_ns, found.numbers, span_ns)
        # A hole within one span of the chart is narrower than the line.
        wide = wide[steps[wide] > limits[wide] + span_ns]
    else:
        numbers = np.where(np.isfinite(found.numbers), found.numbers, np.nan)
        points = _Points(at_ns // MS_NS, numbers, numbers, numbers)
        if pace.heartbeat_ms:
            points = points.held(np.flatnonzero((steps > pace.hole_ms * MS_NS) & (steps <= limits)), pace.period_ms)
    return _signal(tag, "raw", points.broken(at_ns[wide] // MS_NS), gaps, pace)


def _signal(tag: str, resolution: Resolution, points: _Points, gaps: Iterable[Gap], pace: Pace) -> Signal:
    value, low, high = (_listed(values) for values in (points.value, points.low, points.high))
    return Signal(tag, resolution, pace.silence_ms, points.at_ms.tolist(), value, low, high, sorted(gaps))


def _listed(values: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def column_of(series: Series, tag: str) -> tuple[Times, Floats, NDArray[np.uint8]]:
    """``read_ns``, values as floats (NaN where bad or no number) and quality of one tag, sorted by time."""
    run = run_of([series])
    j = series.tags.index(tag)
    return run.read_ns, run.numbers[:, j], run.quality[:, j]


def _hole_limits(steps: Times, found: Readings, losses: Sequence[Gap], pace: Pace) -> Times:
    """For each step from one reading to the next, in nanoseconds, how long it may be before it is a hole."""
    usual = np.int64(pace.silence_ms * MS_NS)
    if not found.thinned and not (losses and pace.heartbeat_ms):
        return np.broadcast_to(usual, steps.shape)
    limits = np.full(len(steps), usual)
    for loss in losses if pace.heartbeat_ms else ():
        first, last = found.at_ns.searchsorted((loss.from_ms * MS_NS, loss.to_ms * MS_NS))
        limits[max(first - 1, 0) : last] = pace.hole_ms * MS_NS
    inside = np.zeros(len(steps) + 1, np.bool_)
    for start, stop in found.thinned:
        inside[found.at_ns.searchsorted(start) : found.at_ns.searchsorted(stop, "right")] = True
    thin = inside[:-1] | inside[1:]
    if thin.any():
        limits[thin] = max(int(usual), int(np.median(steps[thin])) * HOLE_THINNED_STEPS)
    return limits


def bad_spans(at_ns: Times, quality: NDArray[np.uint8], pace: Pace) -> list[Gap]:
    """Runs of readings that were bad for one cause, each as long as its readings' periods."""
    if not (quality >= Quality.BAD_BUS).any():
        return []
    is_new = (np.diff(quality) != 0) | (np.diff(at_ns) > pace.hole_ms * MS_NS)
    first = np.flatnonzero(np.concatenate([[True], is_new]))
    last = np.append(first[1:], len(at_ns)) - 1
    bad = quality[first] >= Quality.BAD_BUS
    starts, stops = at_ns[first[bad]] // MS_NS, at_ns[last[bad]] // MS_NS + pace.period_ms
    runs = zip(starts.tolist(), stops.tolist(), quality[first[bad]].tolist(), strict=True)
    return [Gap(start, stop, str(Quality(code).cause)) for start, stop, code in runs]


def _merged(gaps: Iterable[Gap], apart_ms: int) -> list[Gap]:
    """Neighbours of one cause that are no more than this apart as one; each cause's come in order of time."""
    found: list[Gap] = []
    for gap in gaps:
        if found and gap.cause == found[-1].cause and gap.from_ms - found[-1].to_ms <= apart_ms:
            found[-1] = Gap(found[-1].from_ms, max(gap.to_ms, found[-1].to_ms), gap.cause)
        else:
            found.append(gap)
    return found


def undeclared(holes: Iterable[Gap], losses: Sequence[Gap], slack_ms: int) -> Iterator[Gap]:
    """What is left of holes without the losses (sorted) in them; no more than ``slack_ms`` beside one is part of it."""
    ends = list(itertools.accumulate((loss.to_ms for loss in losses), max))
    for hole in holes:
        at = hole.from_ms
        within = slice(bisect_left(ends, hole.from_ms), bisect_right(losses, hole.to_ms, key=lambda loss: loss.from_ms))
        for loss in losses[within]:
            if loss.from_ms - at > slack_ms:
                yield Gap(at, loss.from_ms, hole.cause)
            at = max(at, loss.to_ms)
        if hole.to_ms - at > slack_ms or at == hole.from_ms:
            yield Gap(at, hole.to_ms, hole.cause)


def _downsampled(at_ns: Times, numbers: Floats, span_ns: int) -> _Points:
    """Mean, minimum and maximum of each span that has a reading."""
    first = np.unique(at_ns.searchsorted(np.arange(at_ns[0], at_ns[-1] + 1, span_ns)))
    return _summed(at_ns[first] // MS_NS, first, numbers, numbers, numbers)


def _summed(at_ms: Times, first: Times, value: Floats, low: Floats, high: Floats) -> _Points:
    """Points as one from each of ``first`` on; a mean that no double holds is shown as none."""
    finite = np.isfinite(low)
    whole = bool(finite.all())
    count = np.add.reduceat(finite, first, dtype=np.int64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean = np.add.reduceat(value if whole else np.where(finite, value, 0.0), first) / count
    lows = np.minimum.reduceat(low if whole else np.where(finite, low, np.inf), first)
    highs = np.maximum.reduceat(high if whole else np.where(finite, high, -np.inf), first)
    return _Points(at_ms, *(np.where((count > 0) & np.isfinite(a), a, np.nan) for a in (mean, lows, highs)))


def _rolled(
    tag: str,
    rows: Sequence[RollupRow],
    losses: Sequence[Gap],
    thinned_s: Sequence[int],
    width: Literal["minute", "hour"],
    points_max: int,
    pace: Pace,
) -> Signal:
    step_s = MINUTE_S if width == "minute" else HOUR_S
    start_s = np.array([row.start_s for row in rows], np.int64)
    mean, low, high = (
        np.array(values, np.float64)
        for values in ([row.mean for row in rows], [row.low for row in rows], [row.high for row in rows])
    )
    all_points = _Points(start_s * 1000 + step_s * 500, mean, low, high)
    points = _grouped(all_points, max(1, -(-len(rows) // points_max)))
    wide = np.flatnonzero(np.diff(start_s) > step_s + pace.heartbeat_ms // 1000)
    holes = [Gap((int(start_s[i]) + step_s) * 1000, int(start_s[i + 1]) * 1000, NO_DATA) for i in wide]
    gaps = [Gap(row.start_s * 1000, (row.start_s + step_s) * 1000, _worst_cause(row)) for row in rows if row.good == 0]
    thinned = _merged((Gap(hour * 1000, (hour + HOUR_S) * 1000, THINNED) for hour in thinned_s), 0)
    broken = points.broken((start_s[wide] + step_s) * 1000 - 1)
    left = undeclared(holes, losses, step_s * 1000 - 1)
    return _signal(tag, width, broken, [*_merged(gaps, 0), *thinned, *losses, *left], pace)


def _grouped(points: _Points, size: int) -> _Points:
    """Each ``size`` neighbours as one, at the first one's time."""
    if size == 1:
        return points
    first = np.arange(0, len(points.at_ms), size)
    return _summed(points.at_ms[first], first, points.value, points.low, points.high)


def _worst_cause(row: RollupRow) -> str:
    causes = {"bus": row.bad_bus, "device": row.bad_device, "decode": row.bad_decode}
    return max(causes, key=lambda cause: causes[cause])

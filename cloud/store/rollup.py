"""From columns of readings to rows of minutes and hours: pure numpy, no step per reading in Python.

``good`` counts every reading that is not bad (uncertain ones too), as the ledger does. ``finite`` counts those that are
also numbers, which is what ``total / finite``, the mean, is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.block import Series
from edge.contract.types import Quality, Value

SECOND_NS = 1_000_000_000
MINUTE_S = 60
HOUR_S = 3600

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Run:
    """Polls of one asset with one list of tags, from one block or several, sorted by ``read_ns`` (length n).

    ``numbers`` [n, m] are the values as floats, NaN where a value is text or bad; ``quality`` is uint8 [n, m].
    """

    read_ns: Ints
    quality: NDArray[np.uint8]
    numbers: Floats


@dataclass(frozen=True, slots=True)
class Buckets:
    """Rows of one run for one width: ``start_s`` [b], the rest [b, m]; ``last_ns`` is 0 where nothing is good.

    ``total`` is not finite where a double cannot hold the sum.
    """

    start_s: Ints
    count: Ints
    good: Ints
    bad_bus: Ints
    bad_device: Ints
    bad_decode: Ints
    finite: Ints
    total: Floats
    low: Floats
    high: Floats
    last: Floats
    last_ns: Ints


def run_of(series: Sequence[Series]) -> Run:
    """Join series that agree in asset and tags."""
    first = series[0]
    assert all(s.asset == first.asset and s.tags == first.tags for s in series)
    read_ns = np.concatenate([s.read_ns for s in series])
    quality = np.concatenate([s.quality for s in series])
    columns = np.empty((len(first.tags), len(read_ns)))
    for number, column in enumerate(columns):
        np.concatenate([_numeric(s.columns[number]) for s in series], out=column, casting="unsafe")
    numbers = columns.T
    numbers[quality >= Quality.BAD_BUS] = np.nan
    if (read_ns[1:] >= read_ns[:-1]).all():
        return Run(read_ns, quality, numbers)
    order = np.argsort(read_ns, kind="stable")
    return Run(read_ns[order], quality[order], numbers[order])


def buckets_of(run: Run, width_s: int) -> Buckets:
    """What each tag did in each span of ``width_s`` seconds that the run touches."""
    at = run.read_ns // (width_s * SECOND_NS)
    first = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
    good = run.quality < Quality.BAD_BUS
    finite = np.isfinite(run.numbers)
    rows = np.arange(len(at))[:, None]
    last = np.maximum.reduceat(np.where(good, rows, -1), first, axis=0)
    columns = np.arange(good.shape[1])

    def count(mask: NDArray[np.bool_]) -> Ints:
        return np.add.reduceat(mask.astype(np.int64), first, axis=0)

    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduceat(np.where(finite, run.numbers, 0.0), first, axis=0)
    return Buckets(
        start_s=at[first] * width_s,
        count=np.repeat(np.diff(first, append=len(at))[:, None], good.shape[1], axis=1),
        good=count(good),
        bad_bus=count(run.quality == Quality.BAD_BUS),
        bad_device=count(run.quality == Quality.BAD_DEVICE),
        bad_decode=count(run.quality == Quality.BAD_DECODE),
        finite=count(finite),
        total=total,
        low=np.minimum.reduceat(np.where(finite, run.numbers, np.inf), first, axis=0),
        high=np.maximum.reduceat(np.where(finite, run.numbers, -np.inf), first, axis=0),
        last=np.where(last >= 0, run.numbers[last, columns], np.nan),
        last_ns=np.where(last >= 0, run.read_ns[last], 0),
    )


def rows_of(buckets: Buckets, tag_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """One tuple a tag and span, in the columns' order of the tables ``minute`` and ``hour``."""
    spans, tags = buckets.count.shape
    has = buckets.finite > 0
    return list(
        zip(
            list(tag_ids) * spans,
            np.repeat(buckets.start_s, tags).tolist(),
            buckets.count.ravel().tolist(), buckets.good.ravel().tolist(), buckets.bad_bus.ravel().tolist(),
            buckets.bad_device.ravel().tolist(), buckets.bad_decode.ravel().tolist(),
            buckets.finite.ravel().tolist(), buckets.total.ravel().tolist(),
            _or_none(buckets.low, has), _or_none(buckets.high, has),
            _or_none(buckets.last, np.isfinite(buckets.last)), buckets.last_ns.ravel().tolist(),
            strict=True,
        )
    )  # fmt: skip


def _or_none(values: Floats, has: NDArray[np.bool_]) -> list[float | None]:
    return [v if h else None for v, h in zip(values.ravel().tolist(), has.ravel().tolist(), strict=True)]


def _numeric(column: Any) -> Any:
    """A column of text or mixed types as floats; one of numbers as it is."""
    return column if isinstance(column, np.ndarray) else np.array([_as_float(v) for v in column], dtype=np.float64)


def _as_float(value: Value) -> float:
    """A value of a column of text or mixed types; what no double can hold is no number here."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan

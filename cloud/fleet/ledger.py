"""Compares what a gateway's journal says it delivered with what is held here, for every tag and hour.

A gateway's row says how many good readings it has kept, with all that its journal did up to and including the block
that carries the row. What it did not thin or drop must be here once every block up to that one is; what it gave up
may be here after all, where a block had arrived already when the gateway let go of it. So the two sides agree where
``expected <= held <= expected + thinned + dropped``. Readings of later blocks are set aside first, so that the hour
that is still running can be verified as well. Hours are those that the gateway's clock stamped, on both sides.

What it costs is bounded: the last day is compared at every look, hour by hour; older hours are summed by days and
months, whose sums are remembered until a block comes that concerns them, and are counted a few at a look.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Literal

import numpy as np

from cloud.store import accounts
from cloud.store.accounts import LedgerPair
from cloud.store.reader import Reader
from cloud.store.rollup import HOUR_S, SECOND_NS
from cloud.store.rows import AssetRow
from edge.contract.block import Block
from edge.contract.types import LedgerRow, Quality
from edge.errors import BlockError

DAY_S = 24 * HOUR_S
RECENT_S = 24 * HOUR_S
DAYS_SHOWN = 31
END_S = 2**53
LATER_BLOCKS_MAX = 256
TALLIED_MAX = 200_000
LATER_S = 120.0
"""A gateway tells its rows each minute: what was counted of the blocks since the former ones serves no more."""
MISMATCHES_MAX = 50
"""Named one by one; beyond that they are counted."""
RECHECK_S = 15.0
COUNT_S_MAX = 0.05
"""How long one look may spend on sums that nobody has made yet."""

State = Literal["agrees", "waiting", "disagrees"]
Good = Counter[tuple[str, str, int]]
"""Good readings by asset, tag and hour."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Of a tag and hour ``expected`` good readings by the gateway's word, up to ``most``, and ``held`` here."""

    tag: str
    hour_s: int
    expected: int
    most: int
    held: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over tags and hours, as the gateway told them, with what is held beside it.

    ``expected`` is what must be held of what was told, ``held_good`` what is; ``later_good`` came after it. ``waiting``
    counts tags and hours that cannot be compared yet, since blocks before the gateway's row are still missing, or no
    row has come.
    """

    offered: int = 0
    bad_bus: int = 0
    bad_device: int = 0
    bad_decode: int = 0
    unchanged: int = 0
    kept: int = 0
    thinned: int = 0
    dropped_disk: int = 0
    dropped_clock: int = 0
    dropped_power: int = 0
    dropped_cap: int = 0
    dropped_decode: int = 0
    expected: int = 0
    held_good: int = 0
    later_good: int = 0
    held_bad: int = 0
    agreed: int = 0
    waiting: int = 0
    disagreed: int = 0

    @property
    def bad(self) -> int:
        return self.bad_bus + self.bad_device + self.bad_decode

    @property
    def good(self) -> int:
        return self.offered - self.bad

    @property
    def dropped(self) -> int:
        return self.dropped_disk + self.dropped_clock + self.dropped_power + self.dropped_cap + self.dropped_decode

    @property
    def compared(self) -> int:
        return self.agreed + self.disagreed

    @property
    def state(self) -> State:
        return "disagrees" if self.disagreed else "agrees" if self.agreed else "waiting"

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in _NAMES))


_NAMES = tuple(one.name for one in fields(Sums))
_TOLD = tuple(name for name in _NAMES if name in {one.name for one in fields(LedgerRow)})


_told_of = attrgetter(*_TOLD)


@dataclass(frozen=True, slots=True)
class Span:
    """The sums of an hour, a day or a month (UTC), and the first of its disagreements."""

    from_s: int
    to_s: int
    sums: Sums
    mismatches: tuple[Mismatch, ...] = ()

    def __add__(self, later: Span) -> Span:
        mismatches = (self.mismatches + later.mismatches)[:MISMATCHES_MAX]
        return Span(self.from_s, later.to_s, self.sums + later.sums, mismatches)


@dataclass(frozen=True, slots=True)
class Balance:
    """An asset's ledger: ``spans`` newest first, hours, then days, then months, and their sum.

    ``uncounted`` spans are left for the next look. ``gone`` counts blocks, of all of the gateway's assets, that were
    acknowledged and are in the store no longer; ``altered`` those whose bytes are no longer what was sealed.
    """

    sums: Sums
    spans: tuple[Span, ...]
    uncounted: int
    gone: int
    altered: int
    mismatches: tuple[Mismatch, ...]

    @property
    def state(self) -> State:
        return "disagrees" if self.gone or self.altered else self.sums.state


@dataclass(slots=True)
class _Known:
    """A span as far as it was counted, and when."""

    span: Span
    at_s: float = 0.0


@dataclass(slots=True)
class _Counted:
    """What is remembered of an asset: its spans' sums, which spans there are before ``recent_s``, and since when."""

    spans: dict[tuple[int, int], _Known] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    recent_s: int | None = None
    looked_s: float = 0.0


@dataclass(slots=True)
class _Tallied:
    """What a block that came after the gateway's row holds, and when that was last asked for."""

    good: Good
    used_s: float = 0.0


class Books:
    """Balances assets. May be asked from any thread; ``faults`` tells gone and altered blocks of a gateway."""

    def __init__(
        self,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        faults: Callable[[Reader, str], tuple[int, int]] = lambda _reader, _gateway: (0, 0),
    ) -> None:
        self._monotonic_s, self._faults = monotonic_s, faults
        self._lock = threading.Lock()
        self._later: OrderedDict[tuple[int, int], _Tallied] = OrderedDict()
        self._tallied = 0
        self._counted: dict[int, _Counted] = {}
        self._touched: dict[tuple[str, str], tuple[int, int, float]] = {}

    def arrived(self, gateway: str, blocks: Iterable[Block]) -> None:
        """Blocks were stored: the sums of the hours that they concern are made anew. Cheap; call it from the loop."""
        now_s = self._monotonic_s()
        for block in blocks:
            for series in block.series:
                self._touch(gateway, series.asset, int(series.read_ns.min()), int(series.read_ns.max()), now_s)
            for record in block.records:
                if isinstance(record, LedgerRow):
                    self._touch(gateway, record.asset, record.hour_ns, record.hour_ns, now_s)

    def _touch(self, gateway: str, asset: str, from_ns: int, to_ns: int, now_s: float) -> None:
        from_s, to_s = from_ns // SECOND_NS, to_ns // SECOND_NS
        old = self._touched.get((gateway, asset), (from_s, to_s, now_s))
        self._touched[gateway, asset] = (min(from_s, old[0]), max(to_s, old[1]), now_s)

    def balance(self, reader: Reader, asset: AssetRow, now_s: int) -> Balance:
        """How the two sides stand at ``now_s`` (Unix time)."""
        with self._lock:
            gone, altered = self._faults(reader, asset.gateway)
            spans, uncounted = self._spans(reader, asset, now_s)
        sums = sum((span.sums for span in spans), Sums())
        mismatches = [mismatch for span in spans for mismatch in span.mismatches]
        return Balance(sums, tuple(spans), uncounted, gone, altered, tuple(mismatches[:MISMATCHES_MAX]))

    def _spans(self, reader: Reader, asset: AssetRow, now_s: int) -> tuple[list[Span], int]:
        recent_s = now_s // HOUR_S * HOUR_S - RECENT_S + HOUR_S
        found = _by_hour(self._compared(reader, asset, recent_s, END_S))
        counted = self._older(reader, asset, recent_s, now_s)
        uncounted, began_s = 0, self._monotonic_s()
        spans = [(from_s, min(span_end(from_s, now_s), recent_s)) for from_s in reversed(counted.starts)]
        for from_s, to_s in spans:
            known = counted.spans.setdefault((from_s, to_s), _Known(Span(from_s, from_s, Sums())))
            if known.span.to_s == to_s and not _is_settled(known.span) and self._monotonic_s() - known.at_s > RECHECK_S:
                known.span = Span(from_s, from_s, Sums())
            while known.span.to_s < to_s and self._monotonic_s() - began_s <= COUNT_S_MAX:
                until_s = min(known.span.to_s + DAY_S, to_s)
                known.span += _span(known.span.to_s, until_s, self._compared(reader, asset, known.span.to_s, until_s))
                known.at_s = self._monotonic_s()
            if known.span.to_s == to_s:
                found.append(known.span)
            else:
                uncounted += 1
        counted.spans = {key: known for key, known in counted.spans.items() if key in spans}
        return found, uncounted

    def _older(self, reader: Reader, asset: AssetRow, recent_s: int, now_s: int) -> _Counted:
        """What is remembered of the hours before ``recent_s``, now and then without what has been touched since."""
        counted = self._counted.setdefault(asset.id, _Counted())
        looked_s = self._monotonic_s()
        if counted.recent_s == recent_s and looked_s - counted.looked_s < RECHECK_S:
            return counted
        counted.recent_s, counted.looked_s = recent_s, looked_s
        touched = self._touched.get((asset.gateway, asset.asset))
        if touched is not None:
            from_s, to_s, touched_s = touched
            counted.spans = {key: known for key, known in counted.spans.items() if key[1] <= from_s or to_s < key[0]}
            if looked_s - touched_s >= RECHECK_S:
                # Until then what was just stored may not have been counted yet: the next time once more.
                self._touched.pop((asset.gateway, asset.asset), None)
        counted.starts = []
        with reader.snapshot() as connection:
            hour_s = accounts.first_hour(connection, asset.id, -END_S)
            while hour_s is not None and hour_s < recent_s:
                counted.starts.append(span_start(hour_s, now_s))
                hour_s = accounts.first_hour(connection, asset.id, span_end(hour_s, now_s))
        return counted

    def _compared(self, reader: Reader, asset: AssetRow, from_s: int, to_s: int) -> list[tuple[LedgerPair, LedgerPair]]:
        """The pairs of these hours, each beside itself without what came after its row, as far as that can be told."""
        with reader.snapshot() as connection:
            found = accounts.pairs(connection, asset.id, from_s, to_s)
            since: dict[int, int] = {}
            for pair in found:
                if _has_later(pair):
                    since[pair.stream] = min(pair.told_seq, since.get(pair.stream, pair.told_seq))
            limit = LATER_BLOCKS_MAX + 1
            later = {s: accounts.later(connection, s, seq, limit=limit) for s, seq in since.items()}
        known = {stream: blocks for stream, blocks in later.items() if len(blocks) < limit}
        self._tally(reader, [block for blocks in known.values() for block in blocks])
        return [(pair, self._as_told(pair, asset.asset, known.get(pair.stream))) for pair in found]

    def _as_told(self, pair: LedgerPair, asset: str, later: Sequence[accounts.StoredBlock] | None) -> LedgerPair:
        if not _has_later(pair) or later is None:
            return pair
        since = sum(
            self._later[pair.stream, b.seq].good[asset, pair.tag, pair.hour_s] for b in later if b.seq > pair.told_seq
        )
        return replace(pair, held_good=pair.held_good - since, held_seq=pair.told_seq)

    def _tally(self, reader: Reader, blocks: Sequence[accounts.StoredBlock]) -> None:
        """Count these blocks, each only once for all assets that ask; those that nobody asks for are forgotten."""
        now_s = self._monotonic_s()
        for one in blocks:
            known = self._later.pop((one.stream, one.seq), None)
            if known is None:
                known = _Tallied(_tallied(reader, one.id))
                self._tallied += len(known.good)
            known.used_s = now_s
            self._later[one.stream, one.seq] = known
        while self._later:
            oldest = next(iter(self._later.values()))
            if oldest.used_s == now_s or (now_s - oldest.used_s < LATER_S and self._tallied <= TALLIED_MAX):
                break
            self._later.popitem(last=False)
            self._tallied -= len(oldest.good)


def _tallied(reader: Reader, block: int) -> Good:
    """Nothing of a block that was altered or is gone: that is told apart."""
    try:
        return sum((tally(one) for one in reader.opened([block])), Counter())
    except BlockError:
        return Counter()


def tally(block: Block) -> Good:
    """The good readings of a block."""
    found: Good = Counter()
    for series in block.series:
        hours = series.read_ns // (HOUR_S * SECOND_NS) * HOUR_S
        good = series.quality < Quality.BAD_BUS
        for hour in np.unique(hours).tolist():
            counts = good[hours == hour].sum(axis=0).tolist()
            for tag, count in zip(series.tags, counts, strict=True):
                found[series.asset, tag, hour] += count
    return found


def judge(pair: LedgerPair) -> State:
    """Whether the two sides of one tag and hour agree."""
    told = pair.told
    if told is None or pair.told_seq > pair.through:
        return "waiting"
    expected = expected_of(told)
    if pair.held_good < expected:
        return "disagrees"
    if pair.held_seq > pair.told_seq:
        return "waiting"
    return "agrees" if pair.held_good <= expected + told.thinned + told.dropped else "disagrees"


def expected_of(told: LedgerRow) -> int:
    """Good readings that must be held by the gateway's word."""
    return told.kept - told.thinned - told.dropped


def span_start(hour_s: int, now_s: int) -> int:
    """Where the day, or of what is older the month, begins that an hour belongs to."""
    if hour_s >= _days_from(now_s):
        return hour_s // DAY_S * DAY_S
    return _month(hour_s)


def span_end(hour_s: int, now_s: int) -> int:
    """Where the next one begins."""
    days_from_s = _days_from(now_s)
    if hour_s >= days_from_s:
        return hour_s // DAY_S * DAY_S + DAY_S
    return min(_month(_month(hour_s) + 32 * DAY_S), days_from_s)


def _days_from(now_s: int) -> int:
    return now_s // DAY_S * DAY_S - DAYS_SHOWN * DAY_S


def _month(hour_s: int) -> int:
    when = datetime.fromtimestamp(hour_s, UTC)
    return int(datetime(when.year, when.month, 1, tzinfo=UTC).timestamp())


def _has_later(pair: LedgerPair) -> bool:
    return pair.told is not None and pair.told_seq <= pair.through and pair.held_seq > pair.told_seq


def _is_settled(span: Span) -> bool:
    return not (span.sums.waiting or span.sums.disagreed or span.sums.later_good)


def _by_hour(found: Sequence[tuple[LedgerPair, LedgerPair]]) -> list[Span]:
    hours: dict[int, list[tuple[LedgerPair, LedgerPair]]] = {}
    for both in found:
        hours.setdefault(both[0].hour_s, []).append(both)
    return [_span(hour_s, hour_s + HOUR_S, hours[hour_s]) for hour_s in sorted(hours, reverse=True)]


def _span(from_s: int, to_s: int, found: Sequence[tuple[LedgerPair, LedgerPair]]) -> Span:
    """The sums of pairs, each with itself as it was when its row was told, and its disagreements."""
    states = [judge(then) for _, then in found]
    told = [(pair.told, pair, then) for pair, then in found if pair.told is not None]
    counts = dict(zip(_TOLD, map(sum, zip(*[_told_of(row) for row, _, _ in told], strict=True)), strict=False))
    held_good = sum(then.held_good for _, _, then in told)
    wrong = [then for (_, then), state in zip(found, states, strict=True) if state == "disagrees"]
    return Span(
        from_s,
        to_s,
        Sums(
            **counts,
            expected=sum(expected_of(row) for row, _, _ in told),
            held_good=held_good,
            later_good=sum(pair.held_good for pair, _ in found) - held_good,
            held_bad=sum(pair.held_bad for pair, _ in found),
            agreed=states.count("agrees"),
            waiting=states.count("waiting"),
            disagreed=len(wrong),
        ),
        tuple(_mismatch(pair) for pair in wrong[:MISMATCHES_MAX]),
    )


def _mismatch(pair: LedgerPair) -> Mismatch:
    assert pair.told is not None
    expected = expected_of(pair.told)
    return Mismatch(pair.tag, pair.hour_s, expected, expected + pair.told.thinned + pair.told.dropped, pair.held_good)

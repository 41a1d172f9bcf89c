"""What has come in since the last commit: bounded memory between the event loop and the disk.

Every call here is made from the event loop, except ``swap``, which a commit makes from its own thread: the one lock is
held for a few microseconds by either, so a poll never waits for the disk. A poll is counted in the recorder before
it is put anywhere, in an order in which a kill between any two steps can only declare a loss too many.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edge.contract.types import Batch, Cause, Dropped, Lane, Quality, Record, Waveform
from edge.journal.counts import BAD_FIELD_OF, Poll, ScanGroup, Tallies, Tally, tally
from edge.journal.recorder import ANSWERED, ASKED, LAST_NS, Cells

RECORDS_MAX = 20_000
# All records but snapshots are small; these are bounded by what they weigh.
SAMPLE_BYTES_MAX = 16 * 1024 * 1024
STATE_BYTES_MAX = 16 * 1024 * 1024

GroupOf = Callable[[str, tuple[str, ...]], ScanGroup]
CellsOf = Callable[[ScanGroup], Cells]


@dataclass(slots=True)
class Intake:
    """One commit's worth. ``spilled`` counts what the bound on memory dropped, ``records_lost`` the records.

    ``sample_bytes`` is what the snapshots among the records weigh.
    """

    polls: deque[Poll] = field(default_factory=deque)
    readings: int = 0
    urgent: deque[Record] = field(default_factory=deque)
    telemetry: deque[Record] = field(default_factory=deque)
    sample_bytes: int = 0
    declared: dict[tuple[str, str, Cause], Dropped] = field(default_factory=dict)
    spilled: Tallies = field(default_factory=dict)
    records_lost: int = 0
    states: dict[str, bytes] = field(default_factory=dict)
    counts: dict[ScanGroup, Cells] = field(default_factory=dict)

    def add(self, record: Record, lane: Lane) -> None:
        """Put a record behind the others, in place of the oldest ones where there are too many."""
        records = self.urgent if lane is Lane.URGENT else self.telemetry
        records.append(record)
        self.sample_bytes += sample_bytes(record)
        if len(records) > RECORDS_MAX:
            self._forget(records, 0)
        while self.sample_bytes > SAMPLE_BYTES_MAX:
            self._forget(records, next(place for place, one in enumerate(records) if sample_bytes(one)))

    def _forget(self, records: deque[Record], place: int) -> None:
        self.sample_bytes -= sample_bytes(records[place])
        del records[place]
        self.records_lost += 1


class Door:
    """Where the event loop hands things in."""

    def __init__(self, group_of: GroupOf, cells_of: CellsOf, states: dict[str, bytes], *, readings_max: int) -> None:
        self._lock = threading.Lock()
        self._group_of, self._cells_of, self._states = group_of, cells_of, states
        self._groups: dict[tuple[str, tuple[str, ...]], tuple[ScanGroup, Cells]] = {}
        self._named: set[tuple[str, tuple[str, ...]]] = set()
        self._open = Intake()
        self._readings_max = readings_max

    def offer(self, asset: str, tags: tuple[str, ...]) -> None:
        with self._lock:
            self._cells(asset, tags)[1].polls[ASKED] += 1

    def append(self, batch: Batch, stored: Sequence[Batch] | None = None) -> None:
        with self._lock:
            group, cells = self._cells(batch.asset, batch.tags)
            assert cells.polls[ANSWERED] < cells.polls[ASKED], "an answer to a poll that was never offered"
            cells.polls[LAST_NS] = batch.read_ns
            cells.polls[ANSWERED] += 1
            if max(batch.quality, default=Quality.GOOD) >= Quality.BAD_BUS:
                for tag, quality in enumerate(batch.quality):
                    if quality >= Quality.BAD_BUS:
                        cells.bad[BAD_FIELD_OF[quality], tag] += 1
            for part in stored or ():
                self._name(part)
            self._open.polls.append(Poll(group, batch, stored))
            self._open.readings += len(batch.tags)
            self._spill()

    def record(self, record: Record, lane: Lane, kept: Mapping[str, bytes] | None = None) -> None:
        with self._lock:
            self._open.add(record, lane)
            if kept is not None:
                self._keep(kept)

    def declare(self, dropped: Dropped) -> None:
        with self._lock:
            cells = self._cells(dropped.asset, (dropped.tag,))[1]
            cells.polls[LAST_NS] = dropped.to_ns
            cells.polls[ASKED] += dropped.count
            cells.polls[ANSWERED] += dropped.count
            add_dropped(self._open.declared, dropped)

    def keep(self, states: Mapping[str, bytes]) -> None:
        with self._lock:
            self._keep(states)

    def _keep(self, states: Mapping[str, bytes]) -> None:
        assert max(map(len, states.values()), default=0) <= STATE_BYTES_MAX
        self._states.update(states)
        self._open.states.update(states)

    def kept(self, name: str) -> bytes | None:
        with self._lock:
            return self._states.get(name)

    def awaits(self, name: str) -> bool:
        """Whether a state has come that no commit has taken yet."""
        with self._lock:
            return name in self._open.states

    def swap(self) -> Intake:
        """Take everything, with a snapshot of the counters that it answers for."""
        with self._lock:
            taken, self._open = self._open, Intake()
            taken.counts = {
                group: Cells(cells.polls.copy(), cells.bad.copy(), cells.waiting)
                for group, cells in self._groups.values()
            }
            return taken

    def give_back(self, intake: Intake) -> None:
        """Put back what a commit could not even account for: it comes before what has come in since."""
        with self._lock:
            later, self._open = self._open, intake
            intake.polls.extend(later.polls)
            intake.readings += later.readings
            for record in later.urgent:
                intake.add(record, Lane.URGENT)
            for record in later.telemetry:
                intake.add(record, Lane.TELEMETRY)
            intake.records_lost += later.records_lost
            for dropped in later.declared.values():
                add_dropped(intake.declared, dropped)
            for key, polls in later.spilled.items():
                intake.spilled.setdefault(key, Tally()).merge(polls)
            intake.states.update(later.states)
            self._spill()

    def peek(self) -> Tallies:
        """What has come in and not been committed, counted; spilled and declared readings are left for the commit."""
        with self._lock:
            polls = list(self._open.polls)
        return tally(polls)

    def cells(self, group: ScanGroup) -> Cells:
        """The counters of ``group``, for what the store's side counts in them (``waiting``)."""
        with self._lock:
            return self._cells(group.asset, group.tags)[1]

    def count_in(self, cells_of: CellsOf) -> None:
        """Go on counting in other counters, which begin with what was counted so far."""
        with self._lock:
            self._cells_of = cells_of
            for key, (group, old) in self._groups.items():
                new = cells_of(group)
                new.waiting[:], new.bad[:], new.polls[:] = old.waiting, old.bad, old.polls
                self._groups[key] = (group, new)

    def abandon(self) -> list[tuple[ScanGroup, int]]:
        """Polls that were asked and never answered: taken out of the counters, for the caller to account for."""
        with self._lock:
            left = []
            for group, cells in self._groups.values():
                count = int(cells.polls[ASKED] - cells.polls[ANSWERED])
                if count:
                    left.append((group, count))
                    cells.polls[ANSWERED] += count
                    cells.bad[0] += count
            return left

    def _name(self, part: Batch) -> None:
        """Blocks name a part's tags by the epoch's dictionary too."""
        if (part.asset, part.tags) not in self._named:
            self._named.add((part.asset, part.tags))
            self._group_of(part.asset, part.tags)

    def _cells(self, asset: str, tags: tuple[str, ...]) -> tuple[ScanGroup, Cells]:
        known = self._groups.get((asset, tags))
        if known is None:
            group = self._group_of(asset, tags)
            known = self._groups[asset, tags] = (group, self._cells_of(group))
        return known

    def _spill(self) -> None:
        if self._open.readings <= self._readings_max:
            return
        oldest = []
        while self._open.readings > self._readings_max:
            poll = self._open.polls.popleft()
            self._open.readings -= len(poll.batch.tags)
            oldest.append(poll)
        tally(oldest, into=self._open.spilled)


def add_dropped(declared: dict[tuple[str, str, Cause], Dropped], dropped: Dropped) -> None:
    """Merge one declaration into those of the same tag and cause."""
    key = (dropped.asset, dropped.tag, dropped.cause)
    old = declared.get(key)
    declared[key] = dropped if old is None else Dropped(
        dropped.asset, dropped.tag, dropped.cause, old.count + dropped.count,
        min(old.from_ns, dropped.from_ns), max(old.to_ns, dropped.to_ns),
    )  # fmt: skip


def sample_bytes(record: Record) -> int:
    return record.samples.nbytes if isinstance(record, Waveform) else 0

"""The ``Journal`` port over SQLite.

Two sides, two locks. The event loop hands things in through the ``Door`` (memory only). Everything that touches the
disk (``commit``, ``pending``, ``acknowledge``, ``ledger``, ``close``) belongs in a worker thread and holds the store's
lock, so that the one connection is used by one thread at a time. ``backlog`` and ``kept`` read memory.

All writing is one transaction (``_write``): what it could not write stays in bounded memory and goes with the next.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from edge.contract.types import Ack, Batch, Cause, Dropped, Lane, LedgerRow, Record
from edge.errors import BrokenStoreError, StoreError, UnwritableStoreError
from edge.journal import schema
from edge.journal.blocks import Chosen
from edge.journal.counts import Tally, hour_of, tally, totals
from edge.journal.files import Files
from edge.journal.groups import Groups
from edge.journal.handed import Handed
from edge.journal.intake import Door, Intake, add_dropped
from edge.journal.ledger import Ledger, Report, account_of
from edge.journal.limits import Limits
from edge.journal.merge import Merger
from edge.journal.recorder import Recorder, Recording, apart, counted, mark_incomplete, read_recording
from edge.journal.recovery import (
    LastRun,
    declare_broken_store,
    declare_crash,
    newest_number,
    read_last_run,
    write_run,
)
from edge.journal.room import Room
from edge.journal.seal import Sealer
from edge.journal.space import free_for_opening, lacks_room, wal_bytes_max
from edge.journal.states import read_states, sealed_states
from edge.journal.stock import Stock
from edge.ports import Clock, Losses, StoredBlock
from edge.stand_in import takes_nothing

log = logging.getLogger("babbitt.journal")

T = TypeVar("T")

_KEEP = "INSERT INTO state VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET data = excluded.data"
"""A state of the same length is written where it lies: a third of the pages that a replaced row takes."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SqliteJournal:
    """See the room's docstring. Raises ``StoreError`` where the file is another's, in use, or cannot be opened."""

    def __init__(
        self, path: Path, *, gateway: str, clock: Clock, limits: Limits | None = None, boot: str | None = None
    ) -> None:
        """``boot`` (a UUID) names the machine's boot; None asks the kernel."""
        self._path, self._clock, self._limits = path, clock, limits or Limits()
        self._lock = threading.RLock()
        self._closed = False
        self._broken: BrokenStoreError | None = None
        self._trouble = ""
        self._states_unwritten: dict[str, bytes] = {}
        self._report_due_ns = clock.mono_ns()
        self._opened = False
        self._recorder: Recorder | None = None
        self._unrecorded = False
        self._files = Files(path)
        try:
            self._open(gateway, (boot or BOOT_ID.read_text()).strip())
        except sqlite3.DatabaseError as error:
            self._failed(error)
            self._files.release()
            raise UnwritableStoreError(str(path), f"cannot be opened: {error}", "is the disk in order?") from error
        except OSError as error:
            self._files.release()
            if takes_nothing(error):
                raise UnwritableStoreError(str(path), f"cannot be opened: {error.strerror}") from error
            raise
        except BaseException:
            self._files.release()
            raise

    # What the event loop calls: memory only.

    def offer(self, asset: str, tags: Sequence[str]) -> None:
        self._door.offer(asset, tuple(tags))

    def append(self, batch: Batch, stored: Sequence[Batch] | None = None) -> None:
        self._door.append(batch, stored)

    def record(
        self, record: Record, *, lane: Lane = Lane.TELEMETRY, kept: Mapping[str, bytes] | None = None
    ) -> None:  # fmt: skip
        self._door.record(record, lane, kept)

    def declare(self, dropped: Dropped) -> None:
        self._door.declare(dropped)

    def keep(self, name: str, state: bytes) -> None:
        self._door.keep({name: state})

    def keep_together(self, states: Mapping[str, bytes]) -> None:
        self._door.keep(states)

    def kept(self, name: str) -> bytes | None:
        return self._door.kept(name)

    def backlog(self) -> tuple[int, int]:
        return self._stock.backlog

    # What touches the disk.

    def commit(self) -> int:
        with self._lock:
            if self._broken is not None:
                raise self._broken  # Whoever met it first may not be the one who can start the gateway again.
            return 0 if self._closed else self._commit()

    def is_durable(self, name: str) -> bool:
        with self._lock:
            return not self._closed and not self._door.awaits(name) and name not in self._states_unwritten

    def report(self) -> None:
        """Let the next commit send the changed ledger rows at once: for the last one before an end."""
        with self._lock:
            self._report_due_ns = self._clock.mono_ns()

    @property
    def trouble(self) -> str:
        return self._trouble

    @property
    def last_seq(self) -> int:
        return self._last_seq

    def pending(self, *, limit_bytes: int, since: int = 0) -> list[StoredBlock]:
        return self._handed_out(lambda: self._stock.blocks.pending(limit_bytes, since))

    def waiting(self, *, limit_bytes: int, until: int, newest_first: bool = False) -> list[StoredBlock]:
        return self._handed_out(lambda: self._stock.blocks.waiting(limit_bytes, until, newest_first=newest_first))

    def oldest(self) -> int:
        """As the last commit left it: until then a crash can undo what was settled since, and numbers given since."""
        with self._lock:
            if not self._closed:
                try:
                    return self._stock.blocks.lowest() or self._last_seq + 1
                except sqlite3.DatabaseError as error:
                    self._failed(error)
            return 1

    def acknowledge(self, ack: Ack) -> None:
        """As the port says, of what was handed out in this run: no reply can claim more than was sent to it."""
        with self._lock:
            if self._closed or ack.epoch != self.epoch:
                return
            sent = self._stock.sent
            refused = {seq: why for seq, why in ack.refused if seq in sent}
            held = ({seq for seq in sent if seq <= ack.through} | sent.intersection(ack.also)) - set(refused)
            for seq, why in refused.items():
                log.error("the receiver refused block %d: %s", seq, why)
            try:
                self._stock.settle(held, None)
                self._stock.refuse(refused)
            except sqlite3.DatabaseError as error:
                self._failed(error)
                return
            self._declare()
            if self._write():
                self._stock.drained()

    def ledger(self) -> list[LedgerRow]:
        return self._counted_up(lambda: self._ledger.rows(self._stock.held(), self._door.peek()))

    def totals(self) -> dict[str, int]:
        """The sums of ``ledger()``, for a status that is asked often: no row is made for each hour that ever was."""
        return self._counted_up(self._totals)

    def _totals(self) -> dict[str, int]:
        sums = self._ledger.sums()
        sums["pending"] = self._stock.good
        for (group, _), polls in self._door.peek().items():
            coming = account_of(polls, len(group.tags))
            sums.update({name: int(counts.sum()) for name, counts in coming.items()})
            sums["pending"] += int(coming["kept"].sum())
        return totals([LedgerRow("", "", 0, **sums)])

    def _counted_up(self, count: Callable[[], T]) -> T:
        with self._lock:
            try:
                return count()
            except sqlite3.DatabaseError as error:
                self._failed(error)
                raise StoreError(str(self._path), f"cannot be read now: {error}", "is the disk in order?") from error

    def losses(self) -> Losses:
        return self._stock.losses

    def close(self) -> None:
        """Commit what is left with the last ledger rows, and count polls that nobody waited for as unanswered."""
        with self._lock:
            if self._closed:
                return
            for group, count in self._door.abandon():
                unanswered = Tally(polls=count, bad={(0, tag): count for tag in range(len(group.tags))})
                self._ledger.answered(group, hour_of(self._clock.wall_ns()), unanswered)
            self.report()
            self._clean = True
            self._commit()
            if self._trouble:
                log.error("what the disk did not take is lost with this end, and is declared at the next start")
            self._closed = True
            self._connection.close()
            self._files.release()

    # Opening.

    def _open(self, gateway: str, boot: str) -> None:
        self._door: Door
        self._ledger: Ledger
        self._counted: dict[str, list[Any]] = {}
        recording = read_recording(self._files.recorder)
        free_for_opening(self._path)
        self._connection, broken = self._files.connect(gateway=gateway, recording=recording)
        self.replaced: bool = broken
        schema.bound_wal(self._connection, wal_bytes_max(self._limits.store_bytes_max))
        last = read_last_run(self._connection)
        self.epoch: str = last.epoch
        if last.gateway != gateway:
            self._connection.close()
            problem = f"the store of gateway {last.gateway!r}, not of {gateway!r}"
            raise StoreError(str(self._path), problem, "give each a data_dir of its own")
        self._run, self._boot, self._clean = last.run + 1, boot, False
        self._committed_ns = self._clock.wall_ns()
        self._last_seq = newest_number(last, recording)
        self._groups = Groups(self._connection)
        self._handed = Handed(self._connection)
        self._newest_handed = -1
        self._sealer = Sealer(gateway, self.epoch, boot, self._last_seq, self._groups)
        self._ledger = Ledger(self._connection, self._groups.by_id, bytes_max=self._limits.ledger_bytes_max)
        states = dict(self._connection.execute("SELECT name, data FROM state").fetchall())
        self._door = Door(self._groups.of, apart, read_states(states), readings_max=self._limits.readings_max)
        self._stock = Stock(self._connection, self._groups, self._ledger, self._door, losses=last.losses)
        merger = Merger(self._stock.blocks, self._groups.by_id)
        self._room = Room(self._path, self._connection, self._stock, merger, self._handed, self._limits)
        self._account_crash(last, recording, broken=broken)
        self._start_counting()

    def _account_crash(self, last: LastRun, recording: Recording | None, *, broken: bool) -> None:
        """Declare what the former run lost, and open this one, in one transaction."""
        now_ns, group_of = self._committed_ns, self._groups.of
        if not last.clean and (self._stock.blocks.last_seq() > last.last_seq or not self._balances()):
            # The disk took the end of the WAL back, and some pages were in the database already.
            raise sqlite3.DatabaseError("what the disk has left of it does not balance")
        if broken:
            lost = declare_broken_store(recording, now_ns=now_ns, group=group_of, ledger=self._ledger)
        else:
            lost = declare_crash(last, recording, boot=self._boot, now_ns=now_ns, group=group_of, ledger=self._ledger)
        if lost:
            count = sum(dropped.count for dropped in lost)
            log.warning("%s readings were lost with the former run and are declared", count or "an unknown number of")
        for dropped in lost:
            add_dropped(self._stock.declared, dropped)
        self._seal(Intake(), now_ns)
        self._write()

    def _balances(self) -> bool:
        sums = self._ledger.sums()
        sums["pending"] = sum(int(part.good.sum()) for part in self._stock.held())
        return LedgerRow("", "", 0, **sums).balanced

    def _start_counting(self) -> None:
        self._stock.count()
        if self._opened:
            self._record()
        else:
            mark_incomplete(self._files.recorder)

    def _record(self) -> None:
        """Count in a recorder from now on. It is made anew only once what the old one told is durable."""
        try:
            self._recorder = Recorder(self._files.recorder, epoch=self.epoch, run=self._run)
        except OSError as error:
            if not self._unrecorded:
                log.warning("no recorder: %s; a crash will be known by its times only", error.strerror)
            self._unrecorded = True
        else:
            self._door.count_in(self._recorder.cells)
            self._recorder.durable(self._last_seq)

    # One commit.

    def _commit(self) -> int:
        intake = self._door.swap()
        now_ns = self._clock.wall_ns()
        try:
            self._account(intake)
        except sqlite3.DatabaseError as error:
            self._door.give_back(intake)
            self._failed(error)
            return 0
        self._committed_ns = now_ns
        self._counted = {str(group.id): counted(cells) for group, cells in intake.counts.items()}
        try:
            self._room.make(self._clock.mono_ns())
        except sqlite3.DatabaseError as error:
            self._failed(error)
        self._seal(intake, now_ns)
        if self._newest_handed >= self._last_seq:
            # What is new goes up at once: this will too.
            self._handed.add(range(self._last_seq + 1, self._sealer.last_seq + 1))
        readings = sum(block.readings for block in self._stock.sealed)
        if not self._write():
            return 0
        if self._recorder is None:
            self._record()
        return readings

    def _account(self, intake: Intake) -> None:
        """Enter everything into the ledger, in memory. Raises before the first change or not at all."""
        tallies = tally(intake.polls)
        declared = [(self._groups.of(d.asset, (d.tag,)), d) for d in intake.declared.values()]
        self._ledger.load((hour_ns, group.id) for group, hour_ns in [*tallies, *intake.spilled])
        self._ledger.load((hour_of(dropped.to_ns), group.id) for group, dropped in declared)
        for (group, hour_ns), polls in tallies.items():
            self._ledger.answered(group, hour_ns, polls)
            if polls.unchanged:
                self._stock.forgo(group, polls.unchanged_counts(len(group.tags)))
        for (group, hour_ns), polls in intake.spilled.items():
            good = self._ledger.answered(group, hour_ns, polls, dropped=Cause.DISK)
            self._stock.lost(group, good, Cause.DISK, polls.from_ns, polls.to_ns)
        for group, dropped in declared:
            self._ledger.declared(group, dropped)
            add_dropped(self._stock.declared, dropped)
        self._states_unwritten.update(intake.states)
        self._stock.count_lost(intake.records_lost)

    def _seal(self, intake: Intake, now_ns: int) -> None:
        """Seal the urgent records into one block, polls and the other records into another."""
        self._stock.trim(self._limits.sealed_bytes_max)
        again, self._stock.again = self._stock.again, Intake()
        self._stock.count_lost(again.records_lost)
        records: list[Record] = [*again.telemetry, *intake.telemetry, *self._stock.declared.values()]
        self._stock.declared.clear()
        is_due = self._stock.owes or self._clock.mono_ns() >= self._report_due_ns
        report = self._report() if is_due else Report([], [], more=False)
        urgent = self._sealer.seal(Lane.URGENT, now_ns, (), [*again.urgent, *intake.urgent])
        blocks = self._sealer.seal(Lane.TELEMETRY, now_ns, list(intake.polls), [*records, *report.rows])
        if report.rows:
            # Whichever of these blocks is lost, the rows are told again.
            told = blocks[-1].seq
            blocks = self._stock.owing([replace(block, tells=told) for block in blocks])
            self._ledger.told(report, told)
        self._stock.add([*urgent, *blocks])

    def _declare(self) -> None:
        """Tell losses, and say again what must be, with the end of the blocks themselves: a power cut between the two
        would take both.
        """
        stock = self._stock
        if stock.declared or stock.owes or stock.again.urgent or stock.again.telemetry:
            self._seal(Intake(), self._clock.wall_ns())

    def _report(self) -> Report:
        try:
            report = self._ledger.report()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            report = Report([], [], more=False)
        if not report.more:
            self._report_due_ns = self._clock.mono_ns() + int(self._limits.report_interval_s * 1e9)
        return report

    def _write(self) -> bool:
        """Everything that memory holds, in one FULL transaction; what cannot be written now stays for the next.

        The first one tells that the store was opened, and is made even where there is nothing else to tell.
        """
        stock = self._stock
        unwritten = (
            stock.sealed or stock.blocks.gone or self._states_unwritten or self._ledger.unwritten
            or self._handed.unwritten
        )  # fmt: skip
        if self._opened and not (unwritten or self._clean):
            return True
        for attempt in itertools.count():
            try:
                self._transact()
                break
            except sqlite3.DatabaseError as error:
                if not (lacks_room(error) and self._won_room(attempt)):
                    self._failed(error)
                    return False
        self._written()
        return True

    def _won_room(self, attempt: int) -> bool:
        """Whether a write that found no room is worth another try."""
        self._roll_back()
        try:
            return self._room.win(attempt, self._clock.mono_ns())
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return False

    def _transact(self) -> None:
        db, stock = self._connection, self._stock
        db.execute("BEGIN IMMEDIATE")
        self._groups.write()
        stock.write(self._clock.wall_ns())
        oldest = stock.blocks.lowest() or self._sealer.last_seq + 1
        self._ledger.write(self._clock.mono_ns(), settled_below=oldest)
        self._handed.write(oldest=oldest)
        db.executemany(_KEEP, sealed_states(self._states_unwritten))
        write_run(
            db, run=self._run, boot=self._boot, clean=self._clean, last_seq=self._sealer.last_seq,
            committed_ns=self._committed_ns, counted=self._counted, losses=stock.losses,
        )  # fmt: skip
        db.execute("COMMIT")

    def _written(self) -> None:
        self._opened = True
        self._last_seq = self._sealer.last_seq
        self._stock.written()
        self._states_unwritten.clear()
        self._groups.written()
        self._handed.written()
        self._ledger.written()
        if self._recorder is not None:
            self._recorder.durable(self._last_seq)
        if self._trouble:
            log.warning("the store can be written again")
            self._trouble = ""
        self._room.give_back()

    # Blocks that leave.

    def _handed_out(self, choose: Callable[[], Chosen]) -> list[StoredBlock]:
        with self._lock:
            if self._closed:
                return []
            try:
                blocks = self._stock.hand_out(choose())
            except sqlite3.DatabaseError as error:
                self._failed(error)
                return []
            if self._handed.add(block.seq for block in blocks):
                self._declare()
                self._write()  # Where the disk refuses even that, draining it is worth more.
            self._newest_handed = max([self._newest_handed, *(block.seq for block in blocks)])
            return blocks

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.rollback()

    def _contradicts_itself(self, error: sqlite3.DatabaseError) -> bool:
        """Whether a row that is refused is so by an index that has what its table has lost: a page stayed an old one.

        The check at the start, which must be quick, compares no index with its table.
        """
        if not isinstance(error, sqlite3.IntegrityError):
            return False
        self._roll_back()
        return schema.contradicts_itself(self._connection)

    def _failed(self, error: sqlite3.DatabaseError) -> None:
        """A disk that refuses is waited for, and logged once; a broken store is set aside (``BrokenStoreError``)."""
        if isinstance(error, sqlite3.OperationalError):
            self._roll_back()
            if not self._trouble:
                log.error("the store cannot be written: %s; what comes in stays in memory within bounds", error)
            self._trouble = str(error)
            return
        if type(error) is not sqlite3.DatabaseError and not self._contradicts_itself(error):
            raise error  # Its subclasses are mistakes of ours, not the disk's.
        self._closed = True
        self._connection.close()
        self._files.set_aside(str(error))
        self._files.release()
        self._broken = BrokenStoreError(
            str(self._path), f"broken: {error}; it was set aside", "start the gateway again"
        )
        raise self._broken from error

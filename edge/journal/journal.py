"""The ``Journal`` port over SQLite.

Two sides, two locks. The event loop hands things in through the ``Door`` (memory only). Everything that touches the
disk (``commit``, ``pending``, ``acknowledge``, ``ledger``, ``close``) belongs in a worker thread and holds the store's
lock, so that the one connection is used by one thread at a time. ``backlog`` and ``kept`` read memory.

All writing is one transaction (``_write``): what it could not write stays in bounded memory and goes with the next.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge.contract.block import decode_block
from edge.contract.types import Ack, Asset, Batch, Cause, Dropped, Lane, LedgerRow, Record
from edge.errors import BlockError, StoreError
from edge.journal import schema
from edge.journal.blocks import Blocks, Entry, intact
from edge.journal.counts import Counts, Held, ScanGroup, Tally, hour_of, tally, totals
from edge.journal.files import Files
from edge.journal.groups import Groups
from edge.journal.intake import Door, Intake, add_dropped
from edge.journal.ledger import Ledger, account_of
from edge.journal.limits import Limits
from edge.journal.recorder import Recorder, Recording, apart, counted, mark_incomplete, read_recording
from edge.journal.recovery import LastRun, declare_broken_store, declare_crash, read_last_run, write_run
from edge.journal.seal import Sealed, Sealer
from edge.journal.states import read_states, sealed_states
from edge.ports import Clock, StoredBlock

log = logging.getLogger("babbitt.journal")

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
        self._trouble = ""
        self._sealed: list[Sealed] = []
        self._sent: set[int] = set()
        self._declared: dict[tuple[str, str, Cause], Dropped] = {}
        self._states_unwritten: dict[str, bytes] = {}
        self._backlog = (0, 0)
        self._pending_good = 0
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
            raise StoreError(str(path), f"cannot be opened: {error}", "is the disk in order?") from error
        except BaseException:
            self._files.release()
            raise

    # What the event loop calls: memory only.

    def offer(self, asset: str, tags: Sequence[str]) -> None:
        self._door.offer(asset, tuple(tags))

    def append(self, batch: Batch) -> None:
        self._door.append(batch)

    def record(self, record: Record, *, lane: Lane = Lane.TELEMETRY) -> None:
        self._door.record(record, lane)

    def declare(self, dropped: Dropped) -> None:
        self._door.declare(dropped)

    def keep(self, name: str, state: bytes) -> None:
        self._door.keep(name, state)

    def kept(self, name: str) -> bytes | None:
        return self._door.kept(name)

    def backlog(self) -> tuple[int, int]:
        return self._backlog

    # What touches the disk.

    def commit(self) -> int:
        with self._lock:
            return 0 if self._closed else self._commit()

    def report(self) -> None:
        """Let the next commit send the changed ledger rows at once: for the last one before an end."""
        with self._lock:
            self._report_due_ns = self._clock.mono_ns()

    @property
    def last_seq(self) -> int:
        return self._last_seq

    def pending(self, *, limit_bytes: int, since: int = 0) -> list[StoredBlock]:
        return self._handed_out(lambda: self._blocks.pending(limit_bytes, since))

    def waiting(self, *, limit_bytes: int, until: int, newest_first: bool = False) -> list[StoredBlock]:
        return self._handed_out(lambda: self._blocks.waiting(limit_bytes, until, newest_first=newest_first))

    def oldest(self) -> int:
        """As the last commit left it: until then a crash can undo what was settled since, and numbers given since."""
        with self._lock:
            if not self._closed:
                try:
                    return self._blocks.lowest() or self._last_seq + 1
                except sqlite3.DatabaseError as error:
                    self._failed(error)
            return 1

    def acknowledge(self, ack: Ack) -> None:
        """As the port says, of what was handed out in this run: no reply can claim more than was sent to it."""
        with self._lock:
            if self._closed or ack.epoch != self.epoch:
                return
            refused = {seq: why for seq, why in ack.refused if seq in self._sent}
            held = ({seq for seq in self._sent if seq <= ack.through} | self._sent.intersection(ack.also)) - set(
                refused
            )
            for seq, why in refused.items():
                log.error("the receiver refused block %d: %s", seq, why)
            try:
                self._settle(held, None)
                self._refused(refused)
            except sqlite3.DatabaseError as error:
                self._failed(error)
                return
            self._write()

    def ledger(self) -> list[LedgerRow]:
        with self._lock:
            return self._ledger.rows(self._held(), self._door.peek())

    def totals(self) -> dict[str, int]:
        """The sums of ``ledger()``, for a status that is asked often: no row is made for each hour that ever was."""
        with self._lock:
            sums = self._ledger.sums()
            sums["pending"] = self._pending_good
            for (group, _), polls in self._door.peek().items():
                coming = account_of(polls, len(group.tags))
                sums.update({name: int(counts.sum()) for name, counts in coming.items()})
                sums["pending"] += int(coming["kept"].sum())
            return totals([LedgerRow("", "", 0, **sums)])

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
        self._connection, broken = self._files.connect(gateway=gateway, recording=recording)
        last = read_last_run(self._connection)
        self.epoch: str = last.epoch
        if last.gateway != gateway:
            self._connection.close()
            problem = f"the store of gateway {last.gateway!r}, not of {gateway!r}"
            raise StoreError(str(self._path), problem, "give each a data_dir of its own")
        self._run, self._boot, self._clean = last.run + 1, boot, False
        self._committed_ns = self._clock.wall_ns()
        self._last_seq = last.last_seq
        self._sealer = Sealer(gateway, self.epoch, boot, last_seq=last.last_seq)
        self._groups = Groups(self._connection)
        self._blocks = Blocks(self._connection, self._groups.by_id)
        self._ledger = Ledger(self._connection, self._groups.by_id)
        self._door = Door(self._groups.of, apart, {}, readings_max=self._limits.readings_max)
        self._account_crash(last, recording, broken=broken)
        self._start_counting()

    def _account_crash(self, last: LastRun, recording: Recording | None, *, broken: bool) -> None:
        """Declare what the former run lost, and open this one, in one transaction."""
        now_ns, group_of = self._committed_ns, self._groups.of
        if not last.clean:
            self._ledger.report_from(last.committed_ns)
        if broken:
            lost = declare_broken_store(recording, now_ns=now_ns, group=group_of, ledger=self._ledger)
        else:
            lost = declare_crash(last, recording, boot=self._boot, now_ns=now_ns, group=group_of, ledger=self._ledger)
        if lost:
            count = sum(dropped.count for dropped in lost)
            log.warning("%s readings were lost with the former run and are declared", count or "an unknown number of")
        for dropped in lost:
            add_dropped(self._declared, dropped)
        self._seal(Intake(), now_ns)
        self._write()

    def _start_counting(self) -> None:
        states = dict(self._connection.execute("SELECT name, data FROM state").fetchall())
        self._door = Door(self._groups.of, apart, read_states(states), readings_max=self._limits.readings_max)
        self._backlog = self._blocks.sums()
        for part in self._held():
            self._pending_good += int(part.good.sum())
            self._door.cells(self._groups.by_id[part.group]).waiting[:] += part.good
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
        self._make_room()
        self._seal(intake, now_ns)
        readings = sum(block.readings for block in self._sealed)
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
        for (group, hour_ns), polls in intake.spilled.items():
            good = self._ledger.answered(group, hour_ns, polls, dropped=Cause.DISK)
            self._door.cells(group).waiting[:] -= good
            self._lost(group, good, Cause.DISK, polls.from_ns, polls.to_ns)
        for group, dropped in declared:
            self._ledger.declared(group, dropped)
            self._door.cells(group).waiting[:] -= dropped.count
            add_dropped(self._declared, dropped)
        self._states_unwritten.update(intake.states)
        if intake.records_lost:
            log.warning("%d records did not fit into memory while the disk was waited for", intake.records_lost)

    def _seal(self, intake: Intake, now_ns: int) -> None:
        """Seal the urgent records into one block, polls and the other records into another."""
        records: list[Record] = [*intake.telemetry, *self._declared.values()]
        self._declared.clear()
        if self._clock.mono_ns() >= self._report_due_ns:
            records += self._report()
        blocks = self._sealer.seal(Lane.URGENT, now_ns, (), list(intake.urgent))
        blocks += self._sealer.seal(Lane.TELEMETRY, now_ns, list(intake.polls), records)
        for block in blocks:
            self._pending_good += sum(int(part.good.sum()) for part in block.held)
            if block.data:
                self._sealed.append(block)
            else:
                log.error("one poll or record is more than a block holds and was dropped")
                self._let_go(block, Cause.DECODE)
        while sum(len(block.data) for block in self._sealed) > self._limits.sealed_bytes_max:
            oldest = min(self._sealed, key=lambda block: (-block.lane, block.seq))
            self._sealed.remove(oldest)
            self._let_go(oldest, Cause.DISK)
            self._save_records(oldest.data)

    def _report(self) -> list[LedgerRow]:
        self._report_due_ns = self._clock.mono_ns() + int(self._limits.report_interval_s * 1e9)
        try:
            return self._ledger.report()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return []

    def _write(self) -> bool:
        """Everything that memory holds, in one FULL transaction; what cannot be written now stays for the next.

        The first one tells that the store was opened, and is made even where there is nothing else to tell.
        """
        unwritten = self._sealed or self._blocks.gone or self._states_unwritten or self._ledger.unwritten
        if self._opened and not (unwritten or self._clean):
            return True
        db = self._connection
        try:
            db.execute("BEGIN IMMEDIATE")
            self._groups.write()
            self._blocks.write(self._sealed)
            self._ledger.write()
            db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", sealed_states(self._states_unwritten))
            write_run(
                db, run=self._run, boot=self._boot, clean=self._clean, last_seq=self._sealer.last_seq,
                committed_ns=self._committed_ns, counted=self._counted,
            )  # fmt: skip
            db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return False
        self._written()
        return True

    def _written(self) -> None:
        self._opened = True
        self._last_seq = self._sealer.last_seq
        blocks, readings = self._backlog
        self._backlog = (blocks + len(self._sealed), readings + sum(block.readings for block in self._sealed))
        self._sealed.clear()
        self._blocks.written()
        self._states_unwritten.clear()
        self._groups.written()
        self._ledger.written()
        if self._trouble:
            log.warning("the store can be written again")
            self._trouble = ""
        schema.shrink(self._connection)

    # Blocks that leave.

    def _handed_out(self, choose: Callable[[], list[StoredBlock]]) -> list[StoredBlock]:
        """Those of the chosen blocks that are as they were sealed; an acknowledgement may name them from now on."""
        with self._lock:
            if self._closed:
                return []
            try:
                blocks, altered = intact(choose())
                self._settle(altered, Cause.DECODE)
            except sqlite3.DatabaseError as error:
                self._failed(error)
                return []
            self._sent.update(block.seq for block in blocks)
            return blocks

    def _settle(self, seqs: Iterable[int], cause: Cause | None) -> None:
        """Let stored blocks go: acknowledged, or dropped for a cause. Raises before the first change or not at all."""
        found = self._blocks.find(seqs)
        self._ledger.load((part.hour_ns, part.group) for entry in found for part in entry.held)
        for entry in found:
            self._blocks.gone.add(entry.seq)
            self._sent.discard(entry.seq)
            self._backlog = (self._backlog[0] - 1, self._backlog[1] - entry.readings)
            self._let_go(entry, cause)

    def _refused(self, seqs: Iterable[int]) -> None:
        """Let blocks go that the receiver will never take. Raises before the first change or not at all.

        Their declaration becomes durable with their end, or a power cut between the two would lose both. What they say
        of earlier losses goes up once more, unless that is all they hold: then it would be refused for ever.
        """
        records = [self._blocks.data(entry.seq) for entry in self._blocks.find(seqs) if entry.readings]
        self._settle(seqs, Cause.DECODE)
        for data in records:
            self._save_records(data)
        if records:
            self._seal(Intake(), self._clock.wall_ns())

    def _let_go(self, block: Entry | Sealed, cause: Cause | None) -> None:
        """Move its readings out of what is pending; a loss is declared with the next commit."""
        self._ledger.settled(block.held, cause)
        for part in block.held:
            self._pending_good -= int(part.good.sum())
            group = self._groups.by_id[part.group]
            self._door.cells(group).waiting[:] -= part.good
            if cause is not None:
                self._lost(group, part.good, cause, block.from_ns, block.to_ns)

    def _lost(self, group: ScanGroup, good: Counts, cause: Cause, from_ns: int, to_ns: int) -> None:
        for tag, count in zip(group.tags, good.tolist(), strict=True):
            if count:
                add_dropped(self._declared, Dropped(group.asset, tag, cause, count, from_ns, to_ns))

    def _save_records(self, data: bytes) -> None:
        """What a dropped block says of losses and names goes up with the next one."""
        try:
            records = decode_block(data).records
        except BlockError:
            return
        for record in records:
            if isinstance(record, Dropped):
                add_dropped(self._declared, record)
            elif isinstance(record, LedgerRow):
                self._ledger.report_again(record)
            elif isinstance(record, Asset):
                self._door.record(record, Lane.TELEMETRY)

    def _make_room(self) -> None:
        """Over the cap the oldest telemetry is dropped first, what may be on its way already later, alarms last."""
        if self._blocks.gone:
            return  # The disk did not take the last deletion: it still holds, and counts, what was let go.
        try:
            over = schema.used_bytes(self._connection) - self._limits.store_bytes_max
            if over <= 0:
                return
            victims = self._blocks.oldest(over, spare=self._sent)
            records = [self._blocks.data(seq) for seq in victims]
            self._settle(victims, Cause.CAP)
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return
        for data in records:
            self._save_records(data)

    def _held(self) -> Iterator[Held]:
        """All good readings that await acknowledgement, but for those that no commit has taken yet."""
        yield from self._blocks.held()
        for block in self._sealed:
            yield from block.held

    def _failed(self, error: sqlite3.DatabaseError) -> None:
        """A disk that refuses is waited for, and logged once; a store that is broken is set aside (``StoreError``)."""
        if isinstance(error, sqlite3.OperationalError):
            if self._connection.in_transaction:
                self._connection.rollback()
            if not self._trouble:
                log.error("the store cannot be written: %s; what comes in stays in memory within bounds", error)
            self._trouble = str(error)
            return
        if type(error) is not sqlite3.DatabaseError:
            raise error  # Its subclasses are mistakes of ours, not the disk's.
        self._closed = True
        self._connection.close()
        self._files.set_aside(str(error))
        self._files.release()
        raise StoreError(str(self._path), f"broken: {error}; it was set aside", "start the gateway again") from error

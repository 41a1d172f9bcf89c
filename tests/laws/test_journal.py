"""The law of the ``Journal`` port, in any order of polls, commits, acknowledgements, refusals, kills and restarts.

1. The ledger balances at every moment, row by row, and its numbers are those that were polled.
2. What was acknowledged is never handed out again; what is handed out again is the same bytes; no number is used twice.
3. Every good reading is in a block that was acknowledged or waits, or is declared. None is in two blocks.
4. Whoever has received every block that was not refused knows the ledger: the last row told of each tag and hour is it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.contract.block import peek
from edge.contract.types import Ack, Alarm, AlarmState, Cause, Dropped, Lane, LedgerRow, Priority, Quality
from edge.journal import totals
from edge.ports import StoredBlock
from tests.laws.journals import TAGS, BentClock, good_readings, killed, opened, opened_block, poll

QUALITIES = st.tuples(*[st.sampled_from(Quality)] * len(TAGS))


class JournalLaw(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="journal-"))
        self.clock = BentClock()
        self.journal = opened(self.folder, self.clock)
        self.number = 0
        self.offered: Counter[str] = Counter()
        self.good: Counter[str] = Counter()
        self.in_flight = 0
        self.sent: dict[int, StoredBlock] = {}
        self.held: dict[int, StoredBlock] = {}
        self.refused: set[int] = set()
        self.oldest = 1

    def teardown(self) -> None:
        if not hasattr(self, "journal"):
            return
        self._reopen(clean=True)
        blocks = self.journal.pending(limit_bytes=10**9)
        self._check_handed_out(blocks)
        rows = totals(self.journal.ledger())
        held = sum(good_readings(self.held.values()).values())
        assert rows["acknowledged"] == held
        assert rows["pending"] == sum(good_readings(blocks).values())
        assert rows["good"] == sum(self.good.values())
        assert rows["good"] == held + rows["pending"] + rows["dropped"]
        assert self._told([*self.held.values(), *blocks]) == {
            (row.asset, row.tag, row.hour_ns): replace(row, acknowledged=0, pending=0) for row in self.journal.ledger()
        }
        self.journal.close()
        shutil.rmtree(self.folder)

    @rule(quality=QUALITIES, seconds=st.sampled_from([0.2, 1.0, 1800.0]))
    def poll(self, quality: tuple[Quality, ...], seconds: float) -> None:
        self.clock.pass_s(seconds)
        self.number += 1
        poll(self.journal, self.clock, self.number, quality)
        self.offered.update(TAGS)
        self.good.update(tag for tag, q in zip(TAGS, quality, strict=True) if not q.is_bad)

    @rule()
    def offer(self) -> None:
        self.journal.offer("spindle-1", TAGS)
        self.in_flight += 1

    @rule(count=st.integers(1, 5), cause=st.sampled_from([Cause.CLOCK, Cause.DISK]))
    def declare(self, count: int, cause: Cause) -> None:
        at_ns = self.clock.wall_ns()
        self.journal.declare(Dropped("spindle-1", TAGS[0], cause, count, at_ns, at_ns))
        self.journal.commit()
        self.offered[TAGS[0]] += count
        self.good[TAGS[0]] += count

    @rule()
    def alarm(self) -> None:
        self.journal.record(self._alarm(), lane=Lane.URGENT)

    def _alarm(self) -> Alarm:
        at_ns = self.clock.wall_ns()
        return Alarm(
            "spindle-1", "hot", TAGS[0], Priority.HIGH, AlarmState.UNACKNOWLEDGED, at_ns, at_ns, 1.0, "Too hot."
        )

    @rule(state=st.binary(max_size=8))
    def keep_and_commit(self, state: bytes) -> None:
        self.journal.keep("judge", state)
        self.journal.commit()
        self.state = state

    @rule(state=st.binary(max_size=8), recorded=st.booleans())
    def keep_together(self, state: bytes, recorded: bool) -> None:
        states = dict.fromkeys(("row.1", "row.2"), state)
        if recorded:
            self.journal.record(self._alarm(), lane=Lane.URGENT, kept=states)
        else:
            self.journal.keep_together(states)

    @rule()
    def commit(self) -> None:
        self.journal.commit()

    @rule(limit=st.sampled_from([1, 1000, 10**6]))
    def send(self, limit: int) -> None:
        blocks = self.journal.pending(limit_bytes=limit)
        assert bool(blocks) == (self.journal.backlog()[0] > 0)
        assert [b.lane for b in blocks] == sorted(b.lane for b in blocks)
        self._check_handed_out(blocks)
        self.sent.update((b.seq, b) for b in blocks)

    @rule(limit=st.sampled_from([1, 1000, 10**6]), newest_first=st.booleans(), ago=st.integers(0, 5))
    def send_by_lane(self, limit: int, newest_first: bool, ago: int) -> None:
        """From any dividing number on, the two lanes together hand out what waits, each in its order."""
        divide = max(0, self.journal.last_seq - ago)
        live = self.journal.pending(limit_bytes=limit, since=divide)
        backlog = self.journal.waiting(limit_bytes=limit, until=divide, newest_first=newest_first)
        assert bool(live or backlog) == (self.journal.backlog()[0] > 0)
        telemetry = [b.seq for b in live if b.lane is Lane.TELEMETRY]
        assert telemetry == sorted(telemetry)
        assert all(seq >= divide for seq in telemetry)
        assert [b.seq for b in backlog] == sorted((b.seq for b in backlog), reverse=newest_first)
        assert all(b.lane is Lane.TELEMETRY and b.seq < divide for b in backlog)
        for blocks in (live, backlog):
            assert len(blocks) <= 1 or sum(len(b.data) for b in blocks) <= limit
            self._check_handed_out(blocks)
            self.sent.update((b.seq, b) for b in blocks)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        seqs = sorted(self.sent)
        through = data.draw(st.sampled_from([0, *seqs]))
        also = tuple(data.draw(st.sets(st.sampled_from(seqs))))
        refused = tuple(data.draw(st.sets(st.sampled_from(seqs), max_size=1)))
        self.journal.acknowledge(
            Ack(self.journal.epoch, through, also, tuple((seq, "cannot be read") for seq in refused))
        )
        self.refused.update(refused)
        for seq in seqs:
            if seq in refused:
                del self.sent[seq]
            elif seq <= through or seq in also:
                self.held[seq] = self.sent.pop(seq)

    @rule()
    def acknowledge_foreign(self) -> None:
        self.journal.acknowledge(Ack("f" * 32, through=2**62))

    @rule()
    def kill(self) -> None:
        self._reopen(clean=False)

    @rule()
    def restart(self) -> None:
        self._reopen(clean=True)

    @invariant()
    def balanced(self) -> None:
        if not hasattr(self, "journal"):
            return
        rows = self.journal.ledger()
        assert all(row.balanced for row in rows), rows
        sums = totals(rows)
        assert self.journal.totals() == sums
        assert (sums["offered"], sums["good"]) == (sum(self.offered.values()), sum(self.good.values()))

    @invariant()
    def never_looks_back(self) -> None:
        """What lies below ``oldest`` is settled whatever happens next, and its number is not given again."""
        if not hasattr(self, "journal"):
            return
        oldest = self.journal.oldest()
        assert self.oldest <= oldest <= self.journal.last_seq + 1
        self.oldest = oldest

    def _reopen(self, *, clean: bool) -> None:
        """A poll in flight at the end is an answer that never came; one in flight at a kill may have been served."""
        self.offered.update(dict.fromkeys(TAGS, self.in_flight))
        if clean:
            self.journal.close()
        else:
            killed(self.journal)
            self.good.update(dict.fromkeys(TAGS, self.in_flight))
        self.in_flight = 0
        self.sent.clear()
        self.journal = opened(self.folder, self.clock)
        assert self.journal.kept("judge") == getattr(self, "state", None)
        assert self.journal.kept("row.1") == self.journal.kept("row.2")

    def _told(self, blocks: list[StoredBlock]) -> dict[tuple[str, str, int], LedgerRow]:
        ordered = sorted(blocks, key=lambda block: block.seq)
        rows = [r for block in ordered for r in opened_block(block).records if isinstance(r, LedgerRow)]
        return {(row.asset, row.tag, row.hour_ns): row for row in rows}

    def _check_handed_out(self, blocks: list[StoredBlock]) -> None:
        for block in blocks:
            assert block.seq not in self.held
            assert block.seq not in self.refused
            assert self.oldest <= block.seq <= self.journal.last_seq
            assert peek(block.data).key.seq == block.seq
            assert self.sent.get(block.seq, block) == block
            for one in opened_block(block).batches():
                assert one.read_ns <= self.clock.wall_ns()


JournalLaw.TestCase.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestJournalLaw = JournalLaw.TestCase

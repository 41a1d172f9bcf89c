"""A clock that jumps, by seconds or by decades, forwards and backwards, trusted or not, touches no reading.

Through the real journal, over the receiver's store and back out of the blocks, with kills and restarts in between:
every poll is there once, in the order of the monotonic clock; every key is used once; both ledgers balance and agree;
and what was stamped before the clock was set gets its true time from the recorded offset.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cloud.store.reader import Reader
from edge.clock_watch import ClockWatch, Step
from edge.contract.block import Block
from edge.contract.types import ClockSet, Lane, Quality
from edge.journal import totals
from tests.laws.journals import TAGS, BentClock, killed, poll
from tests.rooms.cloud.sending import BOOT, GATEWAY, START_NS
from tests.rooms.cloud.test_ledger import Chain

S = 10**9
YEARS_NS = 40 * 366 * 86_400 * S
JUMPS_NS = st.one_of(
    st.integers(-YEARS_NS, YEARS_NS),
    st.sampled_from([-3600 * S, -S, -1, 1, S, 3600 * S]),
    st.integers(-5, 5).map(lambda hours: hours * 3600 * S),
)
BAD = (Quality.BAD_BUS, Quality.GOOD, Quality.GOOD)


class ClockJumps(RuleBasedStateMachine):
    """``true_ns`` is the wall time that a right clock would show; a clock that becomes trusted shows it."""

    @initialize(
        believed=st.booleans(), wall_ns=st.sampled_from([0, START_NS - YEARS_NS, START_NS, START_NS + YEARS_NS])
    )
    def start(self, believed: bool, wall_ns: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jumps-"))
        self.clock = BentClock(START_NS if believed else wall_ns, believed=believed)
        self.chain = Chain(self.folder, self.clock)
        self.number = 0
        self.polled: dict[int, int] = {}
        self.committed = 0
        self.bad = 0
        self.blocks: list[Block] = []
        self._watch()

    def teardown(self) -> None:
        if hasattr(self, "chain"):
            self._verify()
            self.chain.close()
            shutil.rmtree(self.folder)

    @property
    def true_ns(self) -> int:
        return START_NS - S + self.clock.mono_ns()

    @rule(count=st.integers(1, 4), seconds=st.sampled_from([0.001, 1.0, 700.0]), bad=st.booleans())
    def poll(self, count: int, seconds: float, bad: bool) -> None:
        for _ in range(count):
            self.clock.pass_s(seconds)
            self.number += 1
            self.bad += bad
            self.polled[self.number] = self.true_ns
            poll(self.chain.journal, self.clock, self.number, BAD if bad else (Quality.GOOD,) * len(TAGS))

    @rule(by_ns=JUMPS_NS)
    def jump(self, by_ns: int) -> None:
        self.clock.set_wall(max(self.clock.wall_ns() + by_ns, 0))
        self.watch.look()

    @rule()
    def become_trusted(self) -> None:
        self.clock.set_wall(self.true_ns)
        self.clock.believed = True
        self.watch.look()

    @rule(by_ns=JUMPS_NS)
    def lose_trust(self, by_ns: int) -> None:
        self.clock.believed = False
        self.jump(by_ns)

    @rule()
    def commit(self) -> None:
        self.chain.journal.commit()
        self.committed = self.number

    @rule()
    def deliver(self) -> None:
        self.blocks += self.chain.deliver(oldest=self.chain.journal.oldest())

    @rule()
    def restart(self) -> None:
        self.chain.journal.keep("clock", self.watch.state())
        self.chain.journal.close()
        self.committed = self.number
        self._reopen()

    @precondition(lambda self: self.committed == self.number)
    @rule()
    def kill(self) -> None:
        """Of a gateway that has just committed: what a kill takes otherwise is another test's."""
        self.chain.journal.keep("clock", self.watch.state())
        self.chain.journal.commit()
        killed(self.chain.journal)
        self._reopen()

    def _reopen(self) -> None:
        self.chain.open_journal()
        self._watch()
        self.watch.restore(self.chain.journal.kept("clock") or b"")

    def _watch(self) -> None:
        self.steps: list[Step] = []
        self.watch = ClockWatch(self.clock, boot=BOOT, on_set=self._set, on_step=self.steps.append)

    def _set(self, found: ClockSet) -> None:
        self.chain.journal.record(found, lane=Lane.URGENT)

    def _verify(self) -> None:
        self.become_trusted()
        journal = self.chain.journal
        for _ in range(2):
            journal.report()
            journal.commit()
            self.deliver()
        rows = journal.ledger()
        assert all(row.balanced for row in rows)
        sums = totals(rows)
        assert (sums["offered"], sums["bad_bus"], sums["pending"], sums["dropped"]) == (
            self.number * len(TAGS), self.bad, 0, 0,
        )  # fmt: skip
        self._verify_blocks()
        found = self.chain.balance(after_s=(self.clock.wall_ns() - START_NS) // S)
        assert (found.sums.disagreed, found.sums.waiting, found.gone, found.uncounted) == (0, 0, 0, 0)
        assert (found.sums.offered, found.sums.held_good) == (sums["offered"], sums["acknowledged"])

    def _verify_blocks(self) -> None:
        keys = Counter(block.header.key for block in self.blocks)
        assert max(keys.values(), default=1) == 1
        reader = Reader(self.folder / "cloud")
        held = [
            block for block in reader.opened(range(1, len(self.blocks) + 10)) if block.header.key.gateway == GATEWAY
        ]
        reader.close()
        assert sorted(block.header.key.seq for block in held) == sorted(key.seq for key in keys)
        # The vibration of a bad poll is lost, its speed tells the number as well.
        batches = sorted((one for block in held for one in block.batches()), key=lambda one: one.mono_ns)
        assert [one.values[1] for one in batches] == sorted(self.polled), "each once, in order"
        sets = [record for block in held for record in block.records if isinstance(record, ClockSet)]
        for one in batches:
            if not one.trusted:
                setting = next(found for found in sorted(sets, key=lambda s: s.mono_ns) if found.mono_ns >= one.mono_ns)
                assert one.mono_ns + setting.offset_ns == self.polled[int(one.values[1] or 0)]


ClockJumps.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestClockJumps = ClockJumps.TestCase

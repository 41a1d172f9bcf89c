"""What a gateway sees of itself, with a real journal: a store at its cap, readings that wait, a ledger, a power cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.clock_watch import ClockWatch
from edge.config.site import load_site
from edge.contract.types import Ack
from edge.health import Snapshot
from edge.journal import Limits
from edge.ports import Finding, Journal
from edge.runtime import looking
from edge.runtime.judging import Judging
from edge.runtime.looking import Looking
from edge.trust import trust_of
from edge.update import Seats, Shelf
from tests.laws.journals import BentClock, killed, opened, poll
from tests.rooms.journal.test_space import MB, Machine
from tests.rooms.runtime.test_gateway import lonely_site


class Watched:
    """A journal under watch; ``holds`` is what was found wrong last."""

    def __init__(self, folder: Path, clock: BentClock, journal: Journal) -> None:
        path = lonely_site(folder)
        path.write_text(path.read_text().replace('id = "gw-1"', 'id = "gw-1"\n        inference = false'))
        site = load_site(path)
        self.clock, self.journal, self.found = clock, journal, dict[str, Finding]()
        watch = ClockWatch(clock, boot="0" * 32, on_set=lambda _: None, on_step=lambda _: None)
        seats = Seats(site, Shelf(folder / "bundles", trust_of(site).check))
        judging = Judging(site, seats, clock=clock, tell=lambda _: None)
        self.up: tuple[bool, str] | None = (False, "connection refused")
        self.looking = Looking(
            site, clock=clock, journal=journal, watch=watch, judging=judging, restarts={}, uplink=lambda: self.up,
            on_disk=self._at_once, tell=self._tell,
        )  # fmt: skip

    async def _at_once(self, call: Callable[[], Any]) -> Any:
        return call()

    def _tell(self, found: list[Finding]) -> None:
        self.found = {one.rule: one for one in found}

    def holds(self) -> set[str]:
        self.looking.room.judge(asyncio.run(self.looking.look()))
        return {rule for rule, one in self.found.items() if one.holds} - {"memory_low", "disk_low"}


@pytest.fixture
def clock() -> BentClock:
    return BentClock()


def test_a_store_at_its_cap_says_that_it_thins_and_then_that_it_loses(tmp_path: Path, clock: BentClock) -> None:
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=MB // 12))
    watched = Watched(tmp_path, clock, journal)
    assert watched.holds() == set()
    often, seldom = Machine(journal, clock), Machine(journal, clock, period_s=30.0)
    for _ in range(60):
        often.run()
        if watched.holds():
            break
    assert watched.holds() == {"store_thins"}
    for _ in range(60):
        seldom.run()  # so far apart that there is little to thin
        if "readings_lost" in watched.holds():
            break
    assert watched.holds() - {"backlog_old"} == {"store_thins", "readings_lost"}
    lost = watched.found["readings_lost"]
    assert lost.sentence == f"gw-1 has lost {lost.value:,.0f} readings within the hour"
    assert lost.value == journal.totals()["dropped"]
    for _ in range(62):
        clock.pass_s(60)
        watched.holds()
    assert watched.holds() - {"backlog_old"} == set(), "of another hour"
    journal.close()


def test_what_waits_is_told_by_how_long_at_least_and_no_more_once_it_went_up(tmp_path: Path, clock: BentClock) -> None:
    journal = opened(tmp_path, clock)
    watched, machine = Watched(tmp_path, clock, journal), Machine(journal, clock)
    machine.run()
    for _ in range(12):
        assert watched.holds() == set()
        machine.run()
        clock.pass_s(300)
    assert watched.holds() == {"backlog_old"}
    assert watched.found["backlog_old"].sentence == (
        "gw-1 has 5,200 readings waiting to go up, the oldest for 1.0 h (connection refused)"
    )
    watched.up = (True, "")
    sent = [block.seq for block in journal.pending(limit_bytes=10**9)]
    journal.acknowledge(Ack(epoch=journal.epoch, through=max(sent)))
    machine.run()
    assert watched.holds() == set()
    watched.up = None
    clock.pass_s(10_000)
    assert watched.holds() == set(), "without an uplink nothing waits"
    journal.close()


def test_a_power_cut_is_nobodys_to_mend_and_the_ledger_balances_after_it(tmp_path: Path, clock: BentClock) -> None:
    journal = opened(tmp_path, clock)
    Machine(journal, clock).run()
    for number in range(5):
        poll(journal, clock, number)
    killed(journal)
    again = opened(tmp_path, clock)
    watched = Watched(tmp_path, clock, again)
    assert watched.holds() == set()
    assert again.totals()["dropped_power"] > 0
    assert watched.looking.health()["seen"]["balanced"] is True
    again.close()


def test_a_disk_that_hangs_is_an_alarm_and_hides_no_other(
    tmp_path: Path, clock: BentClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "READ_WITHIN_S", 0.05)
    watched = Watched(tmp_path, clock, opened(tmp_path, clock))
    asked = 0

    async def story() -> None:
        free = asyncio.Event()

        async def hanging(call: Callable[[], Any]) -> Any:
            nonlocal asked
            asked += 1
            await free.wait()
            return call()

        async def look() -> Snapshot:
            now = await watched.looking.look()
            watched.looking.room.judge(now)
            return now

        monkeypatch.setattr(watched.looking, "_on_disk", hanging)
        assert (await look()).free_mb is None
        clock.pass_s(11)
        seen = await look()
        assert asked == 1, "no queue of questions grows"
        assert (watched.found["disk_hangs"].holds, seen.memory_percent is not None) == (True, True)
        assert watched.found["disk_hangs"].sentence.startswith("gw-1 has had no answer from its disk for 11 s")
        free.set()
        await look()
        assert not watched.found["disk_hangs"].holds

    asyncio.run(story())

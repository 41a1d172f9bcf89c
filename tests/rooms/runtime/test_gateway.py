"""One room of a running gateway breaks: the others go on, and nothing that was read is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from gpiozero.pins.mock import MockFactory

from edge.alarm import AlarmDesk
from edge.clock import SystemClock
from edge.config.site import load_site
from edge.contract.downlink import Acknowledged
from edge.contract.types import Alarm, AlarmState, Batch, Quality
from edge.errors import BrokenStoreError, StoreError
from edge.infer import Judge
from edge.journal import open_journal, read_ledger, totals
from edge.keys import make_pair
from edge.local_socket import ask
from edge.panel import Condition
from edge.runtime import Gateway, run
from tests.laws.journals import opened_block
from tests.waiting import until_async

DEADLINE_S = 60.0


class BrokenJudge(Judge):
    """Breaks at every poll that it sees."""

    def observe(self, batch: Batch) -> None:
        raise AssertionError(f"no judge for {batch.asset}")


class BrokenDesk(AlarmDesk):
    """Breaks at its fifth poll."""

    heard = 0

    def observe(self, batch: Batch) -> list[Alarm]:
        self.heard += 1
        assert self.heard != 5, f"a rule of {batch.asset} broke"
        return []


def lonely_site(folder: Path, *, commit_interval_ms: int = 50) -> Path:
    """One pump, whose PLC is switched off: every poll is answered, badly."""
    path = folder / "site.toml"
    path.write_text(
        f"""
        [gateway]
        id = "gw-1"
        data_dir = "gateway"
        commit_interval_ms = {commit_interval_ms}
        [[line]]
        kind = "modbus-tcp"
        name = "hall"
        port = 9
        [[asset]]
        id = "pump-1"
        class = "generic"
        unit = [{{ line = "hall", profile = "plant-pump", period_ms = 20 }}]
        """
    )
    return path


async def run_until(gateway: Gateway, done: Callable[[], bool]) -> None:
    """Run the gateway until ``done``, then stop it as anybody would."""
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(gateway.run(ready.set, stop))
    async with asyncio.timeout(DEADLINE_S):
        await ready.wait()
        while not done():
            assert not running.done(), running
            await asyncio.sleep(0.01)
        stop.set()
        await running
    gateway.close()


async def seen(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def polls_of(gateway: Gateway) -> int:
    return sum(unit.polls for unit in gateway.rooms.poller.status())


def test_a_judge_that_breaks_stops_neither_polls_nor_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = load_site(lonely_site(tmp_path))
    gateway = Gateway(site)
    asset = site.file.asset[0]
    gateway.rooms.judging.judges = {asset.id: BrokenJudge(asset.id, site.classes[asset.class_], None, 20)}
    asyncio.run(run_until(gateway, lambda: gateway.rooms.restarts["infer"] >= 1 and polls_of(gateway) >= 30))
    assert gateway.rooms.restarts["poll"] == 0
    assert "infer broke and starts again" in caplog.text
    rows = read_ledger(tmp_path / "gateway/store.db")
    assert all(row.balanced for row in rows)
    tags = len(site.profiles["plant-pump"].point)
    assert totals(rows)["offered"] == polls_of(gateway) * tags


def test_an_alarm_rule_that_breaks_loses_no_reading(tmp_path: Path) -> None:
    site = load_site(lonely_site(tmp_path))
    gateway = Gateway(site)
    gateway.rooms.desk = desk = BrokenDesk([])
    asyncio.run(run_until(gateway, lambda: gateway.rooms.restarts["poll"] == 1 and desk.heard >= 20))
    journal = open_journal(tmp_path / "gateway/store.db", site.file.gateway, clock=SystemClock())
    blocks = [opened_block(stored) for stored in journal.pending(limit_bytes=10**9)]
    journal.close()
    assert sum(1 for block in blocks for series in block.series for _ in series.batches()) == desk.heard


def spoil(path: Path, file: BinaryIO) -> None:
    """Make noise of a store's tables, and let whoever has it open find that what it remembers is no longer so.

    ``file`` is that store, whatever stands at ``path`` by now: once it was set aside, the next one does.
    """
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as store:
        store.execute("UPDATE store SET run = run")
        store.commit()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 4)


async def set_aside(folder: Path) -> None:
    """Spoil the store until whoever has it open has found so."""
    with (folder / "store.db").open("r+b", buffering=0) as file:
        while not list(folder.glob("store.db.corrupt-*")):  # noqa: ASYNC240
            await asyncio.to_thread(spoil, folder / "store.db", file)
            await asyncio.sleep(0.1)


def status_once_polled(path: Path) -> dict[str, Any] | None:
    answer = ask(path, "status")
    return answer if answer["ledger"]["offered"] else None


def test_a_store_that_breaks_while_the_gateway_runs_is_set_aside_and_the_gateway_goes_on(tmp_path: Path) -> None:
    site = load_site(lonely_site(tmp_path))
    folder = tmp_path / "gateway"

    async def scenario() -> None:
        ready = asyncio.Event()
        running = asyncio.create_task(run(site, ready=ready.set))
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            ready.clear()
            await set_aside(folder)
            await ready.wait()
            answer = await until_async(lambda: asyncio.to_thread(status_once_polled, folder / "gateway.sock"))
            assert answer["restarts"] == {}
            os.kill(os.getpid(), signal.SIGTERM)
            await running

    asyncio.run(scenario())
    assert all(row.balanced for row in read_ledger(folder / "store.db"))


def test_a_gateway_that_was_told_to_end_ends_though_its_store_breaks_by_then(tmp_path: Path) -> None:
    site = load_site(lonely_site(tmp_path, commit_interval_ms=10_000))
    folder = tmp_path / "gateway"

    async def scenario() -> None:
        ready = asyncio.Event()
        running = asyncio.create_task(run(site, ready=ready.set))
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            with (folder / "store.db").open("r+b", buffering=0) as file:
                await asyncio.to_thread(spoil, folder / "store.db", file)
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(BrokenStoreError):
                await running

    asyncio.run(scenario())
    assert len(list(folder.glob("store.db.corrupt-*"))) == 1


def test_a_disk_that_hangs_holds_up_neither_polls_nor_alarms_nor_the_status_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.runtime.disk.DISK_HANGS_NS", 10**8)
    monkeypatch.setattr("edge.runtime.disk.TOTALS_S", 0.1)
    gateway = Gateway(load_site(lonely_site(tmp_path)))
    disk, commit = threading.Lock(), gateway.rooms.journal.commit

    def hangs() -> int:
        with disk:
            return commit()

    monkeypatch.setattr(gateway.rooms.journal, "commit", hangs)
    monkeypatch.setattr(gateway.rooms.journal, "totals", lambda: hangs() or {})

    def health() -> tuple[Condition, ...]:
        return gateway.rooms.report.panel_state().health

    async def scenario() -> None:
        ready, stop = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(gateway.run(ready.set, stop))
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            with disk:
                polls = polls_of(gateway)
                await seen(lambda: any(told.what == "disk" and not told.ok for told in health()))
                answer = await gateway.rooms.report.status()
                assert answer["ledger"]["offered"] >= 0
                await seen(lambda: polls_of(gateway) > polls + 20 and bool(gateway.rooms.desk.standing()))
                await seen(lambda: gateway.rooms.proof.trouble() == "")
            await seen(lambda: not any(told.words.startswith("no answer") for told in health()))
            stop.set()
            await running

    asyncio.run(scenario())
    gateway.close()


def test_what_a_gateway_has_of_the_machine_is_free_for_the_one_after_a_broken_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pin of the enable switch, the judges' thread and the way up: they are of the process, which goes on."""
    monkeypatch.setattr("gpiozero.Device.pin_factory", MockFactory())
    path = lonely_site(tmp_path)
    make_pair(tmp_path / "engineer.key", tmp_path / "engineer.pub")
    (tmp_path / "gateway.token").write_text("x" * 43)
    (tmp_path / "gateway.token").chmod(0o600)
    path.write_text(f"""{path.read_text()}
        [command]
        contract_keys = ["engineer.pub"]
        enable_gpio = 5
        [uplink]
        url = "http://127.0.0.1:9"
        token_file = "gateway.token"
        """)
    folder = tmp_path / "gateway"

    async def scenario() -> None:
        ready = asyncio.Event()
        running = asyncio.create_task(run(load_site(path), ready=ready.set))
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            ready.clear()
            await set_aside(folder)
            await ready.wait()
            told = await asyncio.to_thread(ask, folder / "gateway.sock", "contracts")
            assert told["disabled"] == "the enable switch (pin 5) is off"
            assert [thread.name for thread in threading.enumerate()].count("babbitt.judges") <= 1
            os.kill(os.getpid(), signal.SIGTERM)
            await running

    asyncio.run(scenario())


def test_an_end_that_waits_for_the_disk_says_so_and_commits_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.runtime.disk.END_TOLD_S", 0.05)
    gateway = Gateway(load_site(lonely_site(tmp_path)))
    answers, report = threading.Event(), gateway.rooms.journal.report

    def hangs() -> None:
        assert answers.wait(DEADLINE_S)
        report()

    monkeypatch.setattr(gateway.rooms.journal, "report", hangs)

    async def scenario() -> None:
        ready, stop = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(gateway.run(ready.set, stop))
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            await seen(lambda: polls_of(gateway) >= 3)
            stop.set()
            await seen(lambda: "the disk does not answer: the end waits for it" in caplog.text)
            assert not running.done()
            answers.set()
            await running

    asyncio.run(scenario())
    polls = polls_of(gateway)
    gateway.close()
    tags = len(gateway.rooms.site.profiles["plant-pump"].point)
    assert totals(read_ledger(tmp_path / "gateway/store.db"))["offered"] == polls * tags


def test_a_disk_that_refuses_to_be_read_leaves_the_status_to_be_asked(tmp_path: Path) -> None:
    gateway = Gateway(load_site(lonely_site(tmp_path)))
    journal = gateway.rooms.journal
    asked: list[int] = []

    def refuses() -> dict[str, int]:
        asked.append(1)
        raise StoreError("store.db", "cannot be read now")

    async def scenario() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "totals", refuses)
            answer = await gateway.rooms.report.status()
            assert answer["ledger"]["offered"] == 0, "the last sums that it gave"
            assert asked

    asyncio.run(scenario())
    gateway.close()


def test_who_asks_on_and_on_while_the_disk_hangs_fills_no_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.runtime.disk.TOTALS_S", 0.01)
    gateway = Gateway(load_site(lonely_site(tmp_path)))
    answers, asked = threading.Event(), list[int]()

    def hangs() -> dict[str, int]:
        asked.append(1)
        assert answers.wait(DEADLINE_S)
        return {"offered": 7}

    async def scenario() -> None:
        monkeypatch.setattr(gateway.rooms.journal, "totals", hangs)
        for _ in range(20):
            await gateway.rooms.disk.totals()
        answers.set()
        await seen(lambda: not gateway.rooms.disk.workers._work_queue.qsize())
        assert asked == [1]
        assert await gateway.rooms.disk.totals() == {"offered": 7}

    asyncio.run(scenario())
    gateway.close()


def test_who_resets_in_the_cloud_resets_what_they_saw_and_nothing_that_is_not_seen_yet(tmp_path: Path) -> None:
    path = lonely_site(tmp_path)
    rule = (
        'id = "hot", tag = "bearing_temperature_c", above = 80.0, deadband = 1.0, on_delay_s = 0.0, off_delay_s = 0.0'
    )
    more = 'priority = "high", sentence = "{name} is at {value}", latch = true'
    path.write_text(path.read_text() + f"rule = [{{ {rule}, {more} }}]\n")
    gateway = Gateway(load_site(path))
    desk, flow = gateway.rooms.desk, gateway.rooms.flow

    def read(value: float) -> None:
        at_ns = gateway.rooms.clock.wall_ns()
        mono_ns = gateway.rooms.clock.mono_ns()
        flow.announce(
            desk.observe(
                Batch("pump-1", ("bearing_temperature_c",), (value,), (Quality.GOOD,), (at_ns,), at_ns, mono_ns)
            )
        )

    def alarm() -> Alarm:
        found = desk.find("pump-1", "hot")
        assert found is not None
        return found

    async def story() -> None:
        read(90.0)
        read(20.0)
        assert alarm().latched
        seen = Acknowledged("pump-1", "hot", alarm().since_ns, "ada", 1, repeats=0)
        flow.acknowledged_above(replace(seen, resets=True))
        assert alarm().state is AlarmState.UNACKNOWLEDGED, "nobody has seen it yet"
        flow.acknowledged_above(replace(seen, repeats=None, since_ns=seen.since_ns - 1))
        assert alarm().state is AlarmState.UNACKNOWLEDGED, "another raising"
        for _ in range(2):
            flow.acknowledged_above(seen)
            assert (alarm().state, alarm().latched) == (AlarmState.ACKNOWLEDGED, True)
        for _ in range(2):
            flow.acknowledged_above(replace(seen, resets=True))
            assert (alarm().state, alarm().by) == (AlarmState.NORMAL, "ada")

    try:
        asyncio.run(story())
    finally:
        gateway.close()

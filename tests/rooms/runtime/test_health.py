"""A running gateway that is not well says so, as alarms of its own: lamp, journal and command show them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.cli.health import lines_of
from edge.config.site import load_site
from edge.contract.types import Alarm, AlarmState
from edge.errors import ConfigError
from edge.panel import Condition, lamps
from edge.runtime import Gateway
from tests.laws.journals import opened_block
from tests.rooms.runtime.test_gateway import BrokenJudge, lonely_site, run_until

OF_THE_MACHINE = 'off = ["memory_low", "disk_low", "disk_full"]'
"""What else the tests' machine has to do is none of theirs."""


def site(folder: Path, lines: str) -> Path:
    path = lonely_site(folder)
    path.write_text(path.read_text() + f"\n[health]\ninterval_s = 0.1\n{lines}\n")
    return path


def told(gateway: Gateway) -> list[Alarm]:
    """The gateway's own alarms that its journal holds, in their order."""
    blocks = gateway.rooms.journal.pending(limit_bytes=10**8)
    records = [record for block in blocks for record in opened_block(block).records]
    return [record for record in records if isinstance(record, Alarm) and record.asset == "gw-1"]


def run(path: Path, done: Callable[[Gateway], bool], *, before: Callable[[Gateway], None] = lambda _: None) -> Gateway:
    async def whole() -> Gateway:
        gateway = Gateway(load_site(path))
        before(gateway)
        await run_until(gateway, lambda: done(gateway))
        return gateway

    return asyncio.run(whole())


def standing(gateway: Gateway) -> set[str]:
    return {alarm.rule for alarm in gateway.rooms.desk.standing() if alarm.asset == "gw-1"}


def test_a_gateway_that_is_well_raises_nothing(tmp_path: Path) -> None:
    looks: list[str] = []

    def looked(gateway: Gateway) -> bool:
        looks.extend(one.rule for one in gateway.rooms.looking.room.found if one.holds)
        running_ns = gateway.rooms.clock.mono_ns() - gateway.rooms.report.started_ns
        return gateway.rooms.looking.room.now is not None and running_ns > 10**9

    gateway = run(site(tmp_path, f'board_path = "{tmp_path}/none"\n{OF_THE_MACHINE}'), looked)
    assert looks == []
    seen = gateway.rooms.looking.health()["seen"]
    assert seen["store_mb"] > 0
    assert seen["waiting_s"] is None, "no uplink: nothing waits"
    assert seen["balanced"] is True


def test_a_hot_board_lights_the_lamp_and_is_in_the_journal(tmp_path: Path) -> None:
    zone = tmp_path / "thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("91000")
    held: list[Alarm] = []

    def hot(gateway: Gateway) -> bool:
        found = [one for one in gateway.rooms.looking.room.found if one.rule == "board_hot"]
        held.extend(told(gateway))
        return bool(found and found[0].holds)

    gateway = run(site(tmp_path, f'board_path = "{tmp_path}/thermal"\n{OF_THE_MACHINE}'), hot)
    assert gateway.rooms.looking.health()["findings"][0]["sentence"] == (
        "gw-1 is 91 °C hot, more than 80: it slows down to save itself"
    )
    assert held == [], "a minute of it is an alarm, and not less"
    assert Condition("board", "91 C", ok=True) in gateway.rooms.report.panel_state().health


def test_a_cut_cable_is_an_alarm_once_readings_have_waited_for_too_long(tmp_path: Path) -> None:
    path = site(tmp_path, "backlog_h = 0.0001")
    (tmp_path / "gateway.token").write_text("x" * 43)
    (tmp_path / "gateway.token").chmod(0o600)
    uplink = '[uplink]\nurl = "http://127.0.0.1:9"\ntoken_file = "gateway.token"\n'
    path.write_text(path.read_text() + uplink)
    held: list[Alarm] = []

    def waited(gateway: Gateway) -> bool:
        held[:] = told(gateway)
        return any(alarm.rule == "backlog_old" for alarm in held)

    shown: list[str] = []

    def watched(gateway: Gateway) -> bool:
        if waited(gateway):
            shown.append(lamps(gateway.rooms.report.panel_state()).amber)
            return True
        return False

    run(path, watched)
    alarm = next(alarm for alarm in held if alarm.rule == "backlog_old")
    assert (alarm.asset, alarm.state, alarm.tag) == ("gw-1", AlarmState.UNACKNOWLEDGED, "")
    assert "readings waiting to go up, the oldest for 0 min (" in alarm.sentence
    assert alarm.cause
    assert alarm.action
    assert shown != ["off"]


def test_a_part_that_breaks_again_and_again_is_an_alarm_that_names_it(tmp_path: Path) -> None:
    held: list[Alarm] = []

    def broken(gateway: Gateway) -> None:
        asset = gateway.rooms.site.file.asset[0]
        judge = BrokenJudge(asset.id, gateway.rooms.site.classes[asset.class_], None, 20)
        gateway.rooms.judging.judges = {asset.id: judge}

    def noticed(gateway: Gateway) -> bool:
        held[:] = told(gateway)
        return any(alarm.rule == "room_restarts" for alarm in held)

    run(site(tmp_path, "restarts_an_hour = 2"), noticed, before=broken)
    [alarm] = [alarm for alarm in held if alarm.rule == "room_restarts"]
    # At least: it may break once more while the disk is looked at.
    assert alarm.value is not None
    assert alarm.value >= 2
    assert alarm.sentence == f"gw-1 has started its part `infer` again {alarm.value:g} times within the hour"


class Stepping:
    """A clock whose wall time a test sets."""

    def __init__(self, real: object) -> None:
        self._real, self.by_ns = real, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def wall_ns(self) -> int:
        return int(self._real.wall_ns()) + self.by_ns  # type: ignore[attr-defined]


def test_a_clock_that_is_set_while_it_was_believed_is_an_alarm(tmp_path: Path) -> None:
    held, clocks = list[Alarm](), list[Stepping]()

    def bent(gateway: Gateway) -> None:
        clocks.append(Stepping(gateway.rooms.clock))
        gateway.rooms.watch._clock = clocks[0]  # type: ignore[assignment]

    def noticed(gateway: Gateway) -> bool:
        if gateway.rooms.looking.room.now is not None:
            clocks[0].by_ns = 3600 * 10**9
        held[:] = told(gateway)
        return any(alarm.rule == "clock_stepped" for alarm in held)

    run(site(tmp_path, ""), noticed, before=bent)
    alarm = next(alarm for alarm in held if alarm.rule == "clock_stepped")
    assert alarm.sentence == "gw-1 has another time than before: the gateway's clock was set forward by 1 h 0 min"
    assert alarm.value == 1.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 40 MB in memory."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40M", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk wants root")
def test_a_disk_that_fills_up_is_an_alarm_and_ends_once_it_has_room(small_disk: Path) -> None:
    path = lonely_site(small_disk)
    text = path.read_text().replace("commit_interval_ms", "free_mb_min = 8\n        commit_interval_ms")
    path.write_text(text + "\n[health]\ninterval_s = 0.1\ndisk_free_mb = 10\n")
    filler, free, shown = small_disk / "filler", list[float](), list[bool]()

    def filled(gateway: Gateway) -> bool:
        now = next((one for one in gateway.rooms.looking.room.found if one.rule == "disk_full"), None)
        if now is None or now.value is None:
            return False
        free.append(now.value)
        if len(free) == 1:
            filler.write_bytes(bytes(31 * 2**20))
        if "disk_full" in standing(gateway):
            shown.extend(one.ok for one in gateway.rooms.report.panel_state().health if one.what == "disk")
            filler.unlink(missing_ok=True)
        return min(free) < 8.0 and not now.holds

    gateway = run(path, filled)
    [alarm] = [alarm for alarm in gateway.rooms.desk.standing() if alarm.rule == "disk_full"]
    assert "its store grows no more" in alarm.sentence
    assert free[0] > 8.0 < free[-1]
    assert not any(shown), "the panel says that the disk is not well"
    assert shown


def test_a_gateway_bears_no_machines_name(tmp_path: Path) -> None:
    path = lonely_site(tmp_path)
    path.write_text(path.read_text().replace('id = "pump-1"', 'id = "gw-1"'))
    with pytest.raises(ConfigError, match=r"`gateway.id`: 'gw-1' is also a machine's"):
        load_site(path)


def test_a_person_who_asks_sees_the_figures_and_what_is_wrong(tmp_path: Path) -> None:
    zone = tmp_path / "thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("91000")
    path = site(tmp_path, f'board_path = "{tmp_path}/thermal"\n{OF_THE_MACHINE}')
    said: list[tuple[int, str]] = []

    def asked(gateway: Gateway) -> bool:
        if gateway.rooms.looking.room.now is not None and not said:
            lines = "\n".join(lines_of(gateway.rooms.looking.health()))
            said.append((len(gateway.rooms.looking.health()["findings"]), lines))
        return bool(said)

    run(path, asked)
    [(count, text)] = said
    assert count == 1
    for line in ("board     91 °C", "ledger    balances", "way up    no uplink", "parts     none broke"):
        assert line in text
    assert "WRONG     board_hot: gw-1 is 91 °C hot, more than 80: it slows down to save itself" in text
    assert "          check fan, filter and cabinet" in text

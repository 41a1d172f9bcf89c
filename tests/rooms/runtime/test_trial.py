"""A configuration on trial at a running gateway, over the command line: kept, gone back from, aborted, cut short.

Every reading that the devices gave carries its own number. Through all of it the lines that are the same in both
configurations miss none, the ledger balances, and the store goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from asyncua import ua

from cloud.demo.processes import Child
from edge.clock import SystemClock
from edge.config.site import load_site
from edge.journal import open_journal, read_ledger
from edge.local_socket import ask
from tests.faults.field import Field, describe
from tests.faults.numbered import check
from tests.laws.journals import opened_block
from tests.ports import free_port
from tests.rooms.north.hosted import patient_client
from tests.waiting import until
from tests.world.processes import ended

DEADLINE_S = 60.0
TRIAL = ("--minutes", "0.03", "--margin", "40", "--yes", "--json")
"""A margin for a busy machine: what is gone back from here gives nothing at all."""
TRIES = 3


class Shop:
    """Two machines on two lines, a gateway that polls them, and its site file."""

    def __init__(self, folder: Path, *, period_ms: int = 20, opcua: bool = False) -> None:
        self.folder, self.site = folder, folder / "site.toml"
        self.steady, self.other = Field(), Field()
        self.tables: dict[str, Any] = {"gateway": {"id": "gw", "data_dir": "gw", "commit_interval_ms": 50}, "plant": {}}
        describe(self.tables, folder, self.steady.port, period_ms=period_ms)
        # One that is late by a second is not lost: where a machine stands still, a served reading would be.
        line = {**self.tables["line"][0], "timeout_ms": 30_000}
        self.tables["line"] = [{**line, "name": "steady"}, {**line, "name": "other", "port": self.other.port}]
        for asset, name in zip(self.tables["asset"], ("steady", "other"), strict=True):
            asset["unit"][0]["line"] = name
        self.opcua = free_port()
        if opcua:
            self.tables["north"] = {"opcua": {"port": self.opcua, "security": ["none"], "anonymous": True}}
        self.write(self.site)
        self.gateway = Child("gateway", ["gateway", "run", str(self.site)], folder / "gateway.log")
        self.until(lambda: self.status()["ledger"]["good"] > 150)

    def write(self, path: Path, change: Callable[[dict[str, Any]], None] = lambda tables: None) -> Path:
        tables = json.loads(json.dumps(self.tables))
        change(tables)
        path.write_text(tomli_w.dumps(tables), encoding="utf-8")
        return path

    def new(self, change: Callable[[dict[str, Any]], None]) -> str:
        return str(self.write(self.folder / "new.toml", change))

    def status(self) -> dict[str, Any]:
        return ask(self.folder / "gw/gateway.sock", "status")

    def until(self, attempt: Callable[[], Any]) -> None:
        until(attempt, meanwhile=self.gateway.check)

    def goes_on(self) -> None:
        """Wait until the line that was changed has been asked some more."""
        served = len(self.other.served[2])
        self.until(lambda: len(self.other.served[2]) > served + 20)

    def periods(self) -> dict[str, int]:
        """What the site file says now."""
        return {asset.id: asset.unit[0].period_ms for asset in load_site(self.site).file.asset}

    def versions(self) -> list[tuple[int, str]]:
        rows = json.loads(run("versions", str(self.site), "--json").stdout)
        return [(row["number"], row["state"]) for row in rows]

    def end(self) -> None:
        self.gateway.end()
        self.steady.close()
        self.other.close()

    def settle(self) -> dict[int, list[int]]:
        """Stop; the ledger balances; the numbers that the store holds of each unit, in the order of their blocks."""
        assert ended(self.gateway) == 0
        assert all(row.balanced for row in read_ledger(self.folder / "gw/store.db"))
        journal = open_journal(self.folder / "gw/store.db", load_site(self.site).file.gateway, clock=SystemClock())
        held: dict[int, list[int]] = defaultdict(list)
        for stored in journal.pending(limit_bytes=10**9):
            for series in opened_block(stored).series:
                for batch in series.batches():
                    found = check(batch.values[0]) if batch.values[0] is not None else None
                    if found is not None:
                        held[int(batch.asset[-1])].append(found[1])
        journal.close()
        return held


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.end()


async def shown_by(port: int, path: str) -> bool:
    """Whether the gateway's OPC UA server, which may be starting anew, has a node there."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                async with patient_client(f"opc.tcp://127.0.0.1:{port}/") as client:
                    await client.get_node(f"ns=2;s={path}").read_browse_name()
                    return True
            except ua.UaStatusCodeError as error:
                if error.code == ua.StatusCodes.BadNodeIdUnknown:
                    return False
            except (ConnectionError, TimeoutError):
                pass
            await asyncio.sleep(0.1)


def slower(tables: dict[str, Any]) -> None:
    tables["asset"][1]["unit"][0]["period_ms"] = 40


def nobody_there(tables: dict[str, Any]) -> None:
    tables["line"][1]["port"] = 9


def test_kept_rolled_back_and_back_again_with_no_reading_missed(shop: Shop) -> None:
    answer = kept(shop, slower, "--why", "too fast")
    number = answer["number"]
    assert [change["words"].split() for change in answer["changes"]] == [
        ["~", "unit", "machine-2", "other/2", "period_ms", "20", "->", "40"]
    ]
    assert (answer["anew"], answer["undisturbed"]) == (["other"], ["steady"])
    assert shop.periods() == {"machine-1": 20, "machine-2": 40}

    lost = run("apply", shop.new(nobody_there), str(shop.site), *TRIAL)
    answer = json.loads(lost.stdout)
    assert (lost.returncode, answer["state"]) == (1, "rolled back"), lost.stderr
    assert "machine-2 other/2: none of its readings are good, before it were" in answer["reason"]
    assert shop.periods() == {"machine-1": 20, "machine-2": 40}

    shop.goes_on()
    back = run("rollback", str(shop.site))
    assert back.returncode == 0, back.stderr
    assert f"back to version 1 (version {number} before)" in back.stdout
    assert shop.periods() == {"machine-1": 20, "machine-2": 20}
    assert shop.versions()[:2] == [(number + 1, "rolled back"), (number, "kept")]
    assert shop.versions()[-1] == (1, "kept")

    held = shop.settle()
    assert held[1] == list(range(len(shop.steady.served[1]))), "the line that was the same missed none"
    assert held[2] == list(range(len(shop.other.served[2]))), "and what the other was asked for is all there"


def kept(shop: Shop, change: Callable[[dict[str, Any]], None], *more: str) -> dict[str, Any]:
    """Try it until it is kept: what a machine that stands still does not ask for counts against a trial."""
    for _ in range(TRIES):
        done = run("apply", shop.new(change), str(shop.site), *TRIAL, *more)
        answer: dict[str, Any] = json.loads(done.stdout)
        if answer["state"] == "kept" or "of its readings are good" not in answer["reason"]:
            break
    assert (done.returncode, answer["state"]) == (0, "kept"), done.stdout + done.stderr
    return answer


def another(tables: dict[str, Any]) -> None:
    """One machine goes, one comes."""
    unit = {**tables["asset"][0]["unit"][0], "line": "other", "unit": 1}
    tables["asset"][1:] = [{"id": "machine-3", "unit": [unit]}]


def test_other_systems_are_shown_what_runs(tmp_path: Path) -> None:
    shop = Shop(tmp_path, period_ms=250, opcua=True)
    try:
        assert asyncio.run(shown_by(shop.opcua, "Assets/machine-2"))
        kept(shop, another)
        assert asyncio.run(shown_by(shop.opcua, "Assets/machine-3"))
        assert not asyncio.run(shown_by(shop.opcua, "Assets/machine-2"))
        assert shop.status()["restarts"] == {}
    finally:
        shop.end()


def test_a_machine_that_is_new_and_one_that_goes(shop: Shop) -> None:
    units = {unit["asset"]: unit for unit in kept(shop, another, "--minutes", "0.1")["units"]}
    assert units["machine-3"]["before"] is None
    assert units["machine-3"]["share"] > 0.6
    assert {unit["asset"] for unit in shop.status()["units"]} == {"machine-1", "machine-3"}
    held = shop.settle()
    assert held[1] == list(range(len(shop.steady.served[1])))
    rows = read_ledger(shop.folder / "gw/store.db")
    assert {row.asset for row in rows} == {"machine-1", "machine-2", "machine-3"}


def test_a_gateway_that_is_killed_amid_a_trial_starts_with_what_was_kept(shop: Shop) -> None:
    shop.write(shop.site, slower)  # edited in place: the harder case
    command = [sys.executable, "-m", "edge.cli", "gateway", "apply", str(shop.site), "--minutes", "5", "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as applying:
        shop.until(lambda: ask(shop.folder / "gw/gateway.sock", "trial")["state"] == "on trial")
        os.kill(shop.gateway.process.pid, signal.SIGKILL)
        _, errors = applying.communicate(timeout=DEADLINE_S)
    assert applying.returncode == 1
    assert "its next start runs what ran before it" in errors
    shop.gateway.process.wait(DEADLINE_S)
    shop.gateway.start()
    shop.until(lambda: shop.versions() == [(2, "rolled back"), (1, "kept")])
    assert shop.periods() == {"machine-1": 20, "machine-2": 20}
    assert "rolled back to version 1" in (shop.folder / "gateway.log").read_text()
    assert all(row.balanced for row in read_ledger(shop.folder / "gw/store.db"))


def test_a_trial_that_is_aborted_goes_back_by_ctrl_c_or_from_elsewhere(shop: Shop) -> None:
    command = [sys.executable, "-m", "edge.cli", "gateway", "apply", shop.new(slower), str(shop.site)]
    for number, how in ((2, "ctrl-c"), (3, "elsewhere")):
        with subprocess.Popen([*command, "--minutes", "5", "--yes"], stdout=subprocess.PIPE, text=True) as applying:
            shop.until(lambda: ask(shop.folder / "gw/gateway.sock", "trial")["state"] == "on trial")
            if how == "ctrl-c":
                applying.send_signal(signal.SIGINT)
            else:
                second = run("apply", shop.new(another), str(shop.site), "--yes")
                assert "version 3 is on trial" in second.stderr
                assert shop.status()["configuration"]["on_trial"] == 3
                assert run("apply", "--abort", str(shop.site)).returncode == 1
            said, _ = applying.communicate(timeout=DEADLINE_S)
        assert applying.returncode == 1
        assert f"version {number} rolled back: aborted" in said
        assert shop.periods() == {"machine-1": 20, "machine-2": 20}
        shop.goes_on()


def test_the_way_back_is_open_where_no_gateway_runs(shop: Shop) -> None:
    number = kept(shop, slower)["number"]
    os.kill(shop.gateway.process.pid, signal.SIGKILL)
    shop.gateway.process.wait(DEADLINE_S)
    back = run("rollback", str(shop.site), "1")
    assert back.returncode == 0, back.stderr
    assert shop.periods() == {"machine-1": 20, "machine-2": 20}
    assert [(told, state) for told, state in shop.versions() if state == "kept"] == [(number, "kept"), (1, "kept")]


def test_what_cannot_be_tried_changes_nothing(shop: Shop) -> None:
    def other_gateway(tables: dict[str, Any]) -> None:
        tables["gateway"]["id"] = "another"

    def wrong(tables: dict[str, Any]) -> None:
        tables["asset"][1]["unit"][0]["line"] = "nowhere"

    def no_port(tables: dict[str, Any]) -> None:
        tables["line"][1] = {"kind": "modbus-rtu", "name": "other", "device": "/dev/ttyNONE9"}

    text = shop.site.read_text()
    refused = run("apply", shop.new(other_gateway), str(shop.site), "--yes")
    assert (refused.returncode, "`gateway.id`: changes only with a restart" in refused.stderr) == (2, True)
    broken = run("apply", shop.new(wrong), str(shop.site), "--yes")
    assert "there is no line 'nowhere'" in broken.stderr
    assert broken.returncode != 0
    shut = run("apply", shop.new(no_port), str(shop.site), *TRIAL)
    answer = json.loads(shut.stdout)
    assert (shut.returncode, answer["state"]) == (1, "rolled back")
    assert "/dev/ttyNONE9: no such device" in answer["reason"]
    same = run("apply", shop.new(lambda tables: None), str(shop.site), "--yes")
    assert (same.returncode, same.stdout) == (0, "nothing differs in meaning: nothing to try\n")
    assert shop.site.read_text() == text
    held = shop.settle()
    for unit, field in ((1, shop.steady), (2, shop.other)):
        assert held[unit] == list(range(len(field.served[unit])))

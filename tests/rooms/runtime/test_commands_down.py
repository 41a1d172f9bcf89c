"""Commands from the cloud to a register and their outcomes back up, with the cable cut and both ends killed.

Cloud, plant and gateway are processes; the plant counts the writes that it took, whatever anybody says of them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from nacl.signing import SigningKey

from cloud.cli import cloud
from cloud.demo.relay import Relay
from cloud.dispatch.offering import offer_contract
from cloud.dispatch.ordering import draft, submit, withdraw
from cloud.dispatch.signatures import sign_command
from cloud.dispatch.standing import CommandView
from cloud.dispatch.views import Views
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from edge.contract.commands import Command
from edge.contract.signature import pack_signature, private_pem
from edge.keys import PrivateKey, make_pair
from tests.world.processes import World

GATEWAY, MACHINE, TAG = "demo-gateway", "pump-1", "speed_setpoint_rpm"


class Cable:
    """Between gateway and cloud, in a thread of its own."""

    def __init__(self, port: int) -> None:
        self._relay, self._loop = Relay(port), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._relay.start(), self._loop).result(60)
        self.port = self._relay.port

    def cut(self) -> None:
        self._call(self._relay.cut)

    def mend(self) -> None:
        self._call(self._relay.mend)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _end(self) -> None:
        await self._relay.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _call(self, what: Callable[[], None]) -> None:
        async def do() -> None:
            what()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(60)


class Hall(World):
    """The demonstration's pump, whose speed ada commands under a contract in mode auto."""

    def __init__(self, folder: Path) -> None:
        self.ada = folder / "ada.pem"
        self.ada.write_bytes(private_pem(hashlib.sha256(b"ada").digest()))
        self.ada.chmod(0o600)
        make_pair(folder / "engineer.pem", folder / "engineer.pub")

        def change(tables: dict[str, Any]) -> None:
            self.cable = Cable(self.port)
            tables["uplink"] |= {"url": f"http://127.0.0.1:{self.cable.port}", "backoff_s_max": 0.5}
            tables["command"] = {"contract_keys": ["engineer.pub"]}
            # On a machine that stands still an answer is late, and not lost.
            tables["line"], tables["asset"] = [{**tables["line"][0], "timeout_ms": 10_000}], tables["asset"][1:2]
            tables["plant"] |= {"speed": 1.0, "machine": tables["plant"]["machine"][1:2]}

        super().__init__(folder, change)
        self.commands, self.values = Commands(folder / "cloud"), itertools.cycle((1400.0, 1360.0, 1320.0, 1360.0))
        self.reader = Reader(folder / "cloud")
        self.views = Views(self.commands, self.reader)

    def end(self) -> None:
        super().end()
        self.cable.end()
        self.reader.close()
        self.commands.close()

    def offer(self) -> None:
        public = base64.b64encode(bytes(SigningKey(hashlib.sha256(b"ada").digest()).verify_key)).decode()
        now = datetime.now(UTC)
        paper, signature = self.folder / "pump-speed.toml", self.folder / "pump-speed.sig"
        paper.write_text(f"""
id = "pump-speed"
gateway = "{GATEWAY}"
asset = "{MACHINE}"
tag = "{TAG}"
unit = "/min"
low = 1000.0
high = 1600.0
step_max = 100.0
rate_per_min = 10000.0
dwell_s = 0.0
tolerance = 1.0
settle_s = 5.0
watch_s = 0.0
mode = "auto"
valid_from = {(now - timedelta(hours=1)).isoformat()}
expires = {(now + timedelta(days=1)).isoformat()}
person = [{{ name = "ada", key = "{public}", may = ["command"] }}]
""")
        digest = hashlib.sha256(paper.read_bytes()).hexdigest()
        signature.write_bytes(pack_signature(PrivateKey(self.folder / "engineer.pem").sign_contract(digest)))
        offer_contract(self.commands, paper, signature, by="eva", why="", now_ns=time.time_ns())

    def submit(self, value: float | None = None, *, expires_s: float = 600.0) -> Command:
        """A signed one that waits for its gateway; ``value`` differs from the one before by less than a step."""
        now_ns = time.time_ns()
        made = draft(
            self.commands, GATEWAY, "pump-speed", value or next(self.values), by="ada", why="less wear",
            expires_s=expires_s, now_ns=now_ns,
        )  # fmt: skip
        return submit(self.commands, sign_command(made, self.ada, at_ns=now_ns), now_ns=time.time_ns()).command

    def view(self, command: Command) -> CommandView:
        return self.views.command(command.id)

    def state(self, command: Command) -> str:
        return self.view(command).standing.state

    def steps(self, command: Command) -> list[str]:
        return [str(told.step) for told in self.view(command).steps]

    def until_done(self, *commands: Command) -> None:
        self.until(lambda: all(self.view(command).standing.is_final for command in commands))

    def writes(self) -> int:
        return int(self.plant_status()["written"].get(MACHINE, {}).get(TAG, 0))

    def kill(self, which: str) -> None:
        child = getattr(self, which)
        self.children.remove(child)
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    made = Hall(tmp_path_factory.mktemp("hall"))
    try:
        made.offer()
        made.start()
        made.until(lambda: made.views.contracts(GATEWAY)[0].standing.state == "accepted")
        yield made
    finally:
        made.end()


@pytest.fixture
def away(hall: Hall) -> Iterator[Hall]:
    """The gateway is away as the story begins, and there again after it."""
    hall.cable.cut()
    # What the gateway had asked by then is answered before whoever asks now.
    for _ in range(2):
        hall.until(hall.stats)
    yield hall
    hall.cable.mend()


def test_what_came_while_it_was_away_is_done_once_in_order_and_called_done_when_it_has_said_so(away: Hall) -> None:
    before = away.writes()
    first, second = away.submit(), away.submit()
    assert [away.state(one) for one in (first, second)] == ["waiting for the gateway"] * 2
    away.cable.mend()
    away.until_done(first, second)
    assert [away.state(one) for one in (first, second)] == ["kept", "kept"]
    assert away.writes() - before == 2
    ends = [away.view(one).steps[-1] for one in (first, second)]
    assert ends[0].number < ends[1].number
    executed = [next(told for told in away.view(one).steps if told.step == "executed") for one in (first, second)]
    assert [told.read_back for told in executed] == [first.value, second.value]


def test_what_expired_while_it_was_away_is_told_as_expired_and_never_written(away: Hall) -> None:
    before = away.writes()
    command = away.submit(expires_s=1.0)
    away.until(lambda: time.time_ns() > command.expires_ns)
    assert away.state(command) == "waiting for the gateway", "nobody but the gateway can tell"
    away.cable.mend()
    away.until_done(command)
    assert (away.state(command), away.steps(command)) == ("expired", ["expired"])
    assert away.writes() == before


def test_what_was_withdrawn_before_it_went_down_is_never_heard_of_there(away: Hall) -> None:
    before = away.writes()
    gone, after = away.submit(), away.submit()
    withdraw(away.commands, gone.id, by="bob", why="not now", now_ns=time.time_ns())
    away.cable.mend()
    away.until_done(after)
    assert (away.state(gone), away.steps(gone)) == ("withdrawn", [])
    assert away.writes() - before == 1


def test_a_gateway_killed_between_receiving_and_its_outcome_writes_once_at_most_and_says_what_it_did(
    hall: Hall,
) -> None:
    before, command = hall.writes(), hall.submit()
    hall.until(lambda: hall.commands.get(command.id)[0].served_ns)
    hall.kill("gateway")
    hall.start()
    # One that was interrupted amid its write gives the machine half a minute to show what it holds.
    hall.until(lambda: hall.view(command).standing.is_final, within_s=90)
    written = hall.writes() - before
    print(f"killed as it came: {hall.state(command)}, {written} written, steps {hall.steps(command)}")
    assert (hall.state(command), written) in (
        ("kept", 1), ("failed", 0), ("failed", 1), ("rolled back", 2), ("refused", 0),
    )  # fmt: skip


def test_a_killed_cloud_goes_on_with_what_it_had_taken(hall: Hall) -> None:
    before = hall.writes()
    hall.kill("cloud")
    command = hall.submit()
    hall.cloud = hall._spawn(
        "cloud", "serve", "--port", str(hall.port), "--data", str(hall.folder / "cloud"), "--tokens",
        str(hall.folder / "cloud.tokens"),
    )  # fmt: skip
    hall.until_done(command)
    assert (hall.state(command), hall.writes() - before) == ("kept", 1)


def test_all_of_it_is_in_an_audit_whose_chain_holds(hall: Hall) -> None:
    with contextlib.suppress(SystemExit):
        found = CliRunner().invoke(cloud, ["audit", GATEWAY, "--data", str(hall.folder / "cloud")])
    assert found.exit_code == 0, found.output
    assert "the chain is whole" in found.output
    assert "expired" in found.output
    end = hall.status()["audit"]
    assert f"last no. {end['number']:,}, seal {end['seal'][:16]}" in found.output, "both ends know the same"

"""A gateway killed at random instants around its writes: a real process, a real drive that logs each write it hears.

Every command has a value of its own. From the drive's log and the gateway's audit alone it is then told whether any was
written twice, any without being announced, and whether the machine stands where the audit says.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge.clock import SystemClock
from edge.config.tables import Gateway
from edge.contract.commands import Command, CommandStep, Outcome, order_after
from edge.contract.seal import Link, genesis_of_audit
from edge.contract.signature import Kind, Signature, fingerprint, pack_signature, public_pem, signed_message
from edge.errors import BabbittError
from edge.journal import open_journal
from edge.local_socket import ask
from tests.laws.journals import opened_block
from tests.peers.drive import Drive, over_tcp
from tests.rooms.command.rig import GATEWAY, PRESSURE, SETPOINT, S, contract_of, contract_text, key_of, signed

LOW, HIGH = 1000, 1900
READY_S, END_S = 40.0, 60.0
PROFILE = f"""
[device]
id = "drive"
products = ["the drive of a test"]
source = "tests/peers/drive.py"
[quirks]
gap_max = 16
[[point]]
tag = "setpoint"
function = 3
address = {SETPOINT}
type = "uint16"
unit = "/min"
writable = true
[[point]]
tag = "pressure"
function = 3
address = {PRESSURE}
type = "float32"
"""
SITE = """
profiles = "own"
[gateway]
id = "{gateway}"
data_dir = "gw"
commit_interval_ms = 200
[[line]]
kind = "modbus-tcp"
name = "hall"
port = {port}
timeout_ms = 5000
[[asset]]
id = "pump-1"
unit = [{{ line = "hall", profile = "drive", period_ms = 100 }}]
[command]
contract_keys = ["engineer.pub"]
"""


@dataclass
class Found:
    """What a round found; all but the first three are wrong."""

    kills: int = 0
    given: int = 0
    writes: int = 0
    twice: list[str] = field(default_factory=list)
    unannounced: list[str] = field(default_factory=list)
    without_end: list[str] = field(default_factory=list)
    elsewhere: str = ""


class Killed:
    """One gateway over several lives, and what was asked of it."""

    def __init__(self, folder: Path, seed: int, drive: Drive) -> None:
        self.folder, self.drive, self.chance = folder, drive, random.Random(seed)
        self.socket = folder / "gw/gateway.sock"
        self.values = list(range(LOW + 1, HIGH))
        self.chance.shuffle(self.values)
        self.given: dict[str, Command] = {}
        self._order = 0
        text = contract_text(
            id="speed", low=float(LOW), high=float(HIGH), step_max=2000.0, rate_per_min=1e9, dwell_s=0.0, tolerance=0.5,
            settle_s=1.0, watch_s=0.4, precondition=[], abort=["pressure > 6"], blind_s=2.0,
        )  # fmt: skip
        self.hash = contract_of(text).hash
        (folder / "own/devices").mkdir(parents=True)
        (folder / "own/contracts").mkdir()
        (folder / "own/devices/drive.toml").write_text(PROFILE)
        (folder / "site.toml").write_text(SITE.format(gateway=GATEWAY, port=drive.port))
        engineer = key_of("engineer")
        (folder / "engineer.pub").write_bytes(public_pem(engineer.verify_key.encode()))
        signature = engineer.sign(signed_message(self.hash, Kind.CONTRACT)).signature
        name = fingerprint(engineer.verify_key.encode())
        (folder / "own/contracts/speed.toml").write_text(text)
        (folder / "own/contracts/speed.sig").write_bytes(
            pack_signature(Signature(self.hash, name, signature, Kind.CONTRACT))
        )
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        command = [sys.executable, "-m", "edge.cli", "gateway", "run", str(self.folder / "site.toml")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    async def start(self) -> None:
        self.begin()
        await self.until(lambda told: bool(told["contracts"]), "contracts", READY_S)

    async def until(self, condition: Any, question: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while True:
            told = await self.ask(question)
            if told is not None and condition(told):
                return
            assert time.monotonic() < deadline, (question, told, (self.folder / "log").read_text()[-2000:])
            await asyncio.sleep(0.02)

    async def ask(self, question: str, **arguments: Any) -> dict[str, Any] | None:
        """None where nobody answers, or not in time."""
        try:
            return await asyncio.to_thread(ask, self.socket, question, **arguments)
        except BabbittError:
            return None

    def next_order(self) -> int:
        self._order = order_after(self._order, time.time_ns())
        return self._order

    async def give(self) -> None:
        now_ns = time.time_ns()
        command = signed(Command(
            gateway=GATEWAY, order=self.next_order(), contract=self.hash, asset="pump-1", tag="setpoint",
            value=float(self.values.pop()), issued_ns=now_ns, expires_ns=now_ns + 60 * S, by="Ada", why="a try",
        ), "Ada")  # fmt: skip
        self.given[command.id] = command
        told = await self.ask("command", signed=asdict(command))
        if told is None or told["step"] == "refused":
            # Nobody answered, or it said no at once: then it is not known to have been taken.
            self.given.pop(command.id)

    async def life(self) -> None:
        """Give commands, and kill it at some instant."""
        assert self.process is not None
        killed_at = time.monotonic() + self.chance.choice([0.02, 0.1, 0.3, 0.6, 1.0]) * self.chance.uniform(0.5, 1.5)
        if self.chance.random() < 0.5:
            # In the very moment in which the drive hears of a write.
            process, number = self.process, len(self.drive.log) + self.chance.randint(1, 2)
            self.drive.heard = lambda _: process.kill() if len(self.drive.log) >= number else None
        while self.process.poll() is None and time.monotonic() < killed_at + 1.5:
            await self.give()
            if self.chance.random() < 0.3:
                self.drive.put_float(1, PRESSURE, self.chance.choice([3.0, 7.0]))
            await asyncio.sleep(self.chance.uniform(0.0, 0.3))
            if time.monotonic() > killed_at and self.chance.random() < 0.5:
                break
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.drive.heard = lambda _: None

    async def end(self) -> None:
        """Let it finish what it finds, and stop it as anybody would."""
        assert self.process is not None
        self.drive.put_float(1, PRESSURE, 3.0)
        await self.until(lambda told: not told["advice"], "advice", END_S)
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, END_S)

    def account(self, kills: int) -> Found:
        found = Found(kills=kills, given=len(self.given), writes=len(self.drive.log))
        outcomes = self.audited()
        announced = Counter(one.value for one in outcomes if one.step is CommandStep.WRITING)
        heard = Counter(float(one.numbers[0]) for one in self.drive.log)
        found.unannounced = [f"{v:g}: {n} writes" for v, n in heard.items() if n > announced[v]]
        own = Counter(one.command for one in outcomes if one.step is CommandStep.WRITING and "back to" not in one.words)
        found.twice = [f"{digest}: {n} times" for digest, n in own.items() if n > 1]
        ended = {one.command for one in outcomes if one.step.is_end}
        found.without_end = [digest for digest in own if digest not in ended]
        named = [one.read_back for one in outcomes if one.read_back is not None]
        stands = float(self.drive.registers[1, SETPOINT])
        if named and named[-1] != stands:
            found.elsewhere = f"it stands at {stands:g}, the audit ends at {named[-1]:g}"
        return found

    def audited(self) -> list[Outcome]:
        """The audit, whose chain must hold over every kill."""
        journal = open_journal(self.folder / "gw/store.db", Gateway(id=GATEWAY), clock=SystemClock())
        try:
            blocks = [opened_block(block) for block in journal.pending(limit_bytes=2**31)]
            link = Link(0, genesis_of_audit(GATEWAY, journal.epoch))
        finally:
            journal.close()
        found = [record for block in blocks for record in block.records if isinstance(record, Outcome)]
        for outcome in found:
            assert link.holds(outcome), outcome
            link = link.after(outcome)
        return found


async def play(folder: Path, seed: int, kills: int) -> Found:
    drive = Drive({})
    drive.put(1, SETPOINT, 1200, *[0] * 16)
    drive.put_float(1, PRESSURE, 3.0)
    async with over_tcp(drive):
        gateway = Killed(folder, seed, drive)
        try:
            await gateway.start()
            for _ in range(kills):
                await gateway.life()
                await gateway.start()
            await gateway.end()
        finally:
            if gateway.process is not None:
                gateway.process.kill()
                gateway.process.wait(10)
        return gateway.account(kills)

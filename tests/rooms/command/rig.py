"""A guard at a real line: a drive behind Modbus TCP that logs every write, polled for real, in time that a test passes.

Time is the test's, so that minutes of dwell and watch take no minutes; what goes over the wire goes over a real socket.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from cloud.ingest import plausible
from edge.command import Audit, Enable, Guard, Machine, Told
from edge.command.checks import Check
from edge.config.lines import ModbusTcp
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.config.tables import Asset, Unit
from edge.contract.commands import Command, CommandStep, Outcome, Signed, signed_message
from edge.contract.downlink import ContractDocument
from edge.contract.seal import Link, genesis_of_audit
from edge.contract.setpoint import SetpointContract, parse_contract
from edge.contract.terms import TagRef
from edge.contract.types import Batch, Value
from edge.drivers import make_driver, make_source
from edge.journal import SqliteJournal
from edge.poll import Poller
from edge.ports import Answer
from edge.registers import pack, unpack
from edge.trust import is_signed
from tests.laws.journals import BOOT, START_NS, killed, opened, opened_block
from tests.peers.drive import Drive, over_tcp
from tests.peers.image import profile_of
from tests.rooms.poll.virtual import site_of

S = 10**9
GATEWAY = "gw-1"
SETPOINT, RUNNING, ENABLED, PRESSURE, FLOW = 0, 10, 11, 12, 14
UNITS = {"pump-1": 1, "fan-2": 2}
POLL_MS = 1000
REAL_S_MAX = 60.0


class Steps:
    """A clock that stands until a test lets time pass; whoever sleeps wakes in the order of time."""

    def __init__(self, wall_ns: int = START_NS) -> None:
        self._wall_ns, self._mono_ns, self.believed = wall_ns, 10**9, True
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def wall_ns(self) -> int:
        return self._wall_ns

    def mono_ns(self) -> int:
        return self._mono_ns

    def trusted(self) -> bool:
        return self.believed

    def set_wall(self, wall_ns: int) -> None:
        self._wall_ns = wall_ns

    def skip(self, seconds: float) -> None:
        """So long nobody wakes."""
        self._forward(self._mono_ns + round(seconds * S))

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._mono_ns + max(1, round(seconds * S)), self._count, future))
        await future

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call ``do`` in so many seconds of this clock."""

        async def wait() -> None:
            await self.sleep(seconds)
            do()

        self._task = asyncio.ensure_future(wait())

    def wake_next(self, end_ns: int) -> bool:
        """Go on to where the first wants to wake, no further than ``end_ns``; whether anybody does."""
        self._sleepers = [one for one in self._sleepers if not one[2].cancelled()]
        first = min(self._sleepers, default=None)
        if first is None or first[0] > end_ns:
            self._forward(end_ns)
            return False
        self._sleepers.remove(first)
        self._forward(first[0])
        first[2].set_result(None)
        return True

    def _forward(self, to_ns: int) -> None:
        self._wall_ns += max(to_ns - self._mono_ns, 0)
        self._mono_ns = max(to_ns, self._mono_ns)


@lru_cache
def key_of(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


@lru_cache
def fingerprint_of(name: str) -> str:
    return hashlib.sha256(key_of(name).verify_key.encode()).hexdigest()[:16]


def signed(command: Command, *names: str) -> Command:
    """With the signatures of these people behind those that it has."""
    message = signed_message(command)
    made = tuple(
        Signed(fingerprint_of(n), command.issued_ns, base64.b64encode(key_of(n).sign(message).signature).decode())
        for n in names
    )
    return replace(command, signed=(*command.signed, *made))


PERSONS = {"Ada": ("command", "approve"), "Ben": ("approve",), "Cleo": ("approve",), "Dan": ("command",)}

TERMS: dict[str, Any] = {
    "id": "pump-speed", "gateway": GATEWAY, "asset": "pump-1", "tag": "setpoint", "unit": "/min", "low": 1000.0,
    "high": 1500.0, "step_max": 100.0, "rate_per_min": 200.0, "dwell_s": 20.0, "tolerance": 1.0, "settle_s": 3.0,
    "precondition": ["running", "pressure > 1"], "abort": ["pressure > 6"], "watch_s": 30.0, "mode": "auto",
    "valid_from": "2025-01-01T00:00:00Z", "expires": "2029-01-01T00:00:00Z",
}  # fmt: skip


def contract_text(persons: Mapping[str, Sequence[str]] | None = None, **terms: Any) -> str:
    """A contract as an engineer writes it."""
    lines = [f"{name} = {_toml(value)}" for name, value in (TERMS | terms).items() if name != "regret"]
    for regret in terms.get("regret", ()):
        lines += ["[[regret]]", *(f"{name} = {_toml(value)}" for name, value in regret.items())]
    for name, may in (persons or PERSONS).items():
        key = base64.b64encode(key_of(name).verify_key.encode()).decode()
        lines += ["[[person]]", f'name = "{name}"', f'key = "{key}"', f"may = {_toml(list(may))}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, str) and not (value.endswith("Z") and value[:2] == "20"):
        return "'" + value + "'"
    return str(value)


@lru_cache(256)
def contract_of(text: str) -> SetpointContract:
    return parse_contract(text.encode(), where="a contract")


def device() -> ModbusProfile:
    """A drive with one setpoint, and the readings that its contracts ask about."""
    return profile_of([
        Point(tag="setpoint", function=3, address=SETPOINT, type="uint16", writable=True, unit="/min"),
        Point(tag="running", function=3, address=RUNNING, type="uint16"),
        Point(tag="enabled", function=3, address=ENABLED, type="uint16"),
        Point(tag="pressure", function=3, address=PRESSURE, type="float32"),
        Point(tag="flow", function=3, address=FLOW, type="float32"),
    ], gap_max=16)  # fmt: skip


def a_drive() -> Drive:
    drive = Drive({})
    for unit in UNITS.values():
        drive.put(unit, SETPOINT, 1200, *[0] * 9)
        drive.put(unit, RUNNING, 1, 1)
        drive.put_float(unit, PRESSURE, 3.0)
        drive.put_float(unit, FLOW, 100.0)
    return drive


def hasten(seconds: float) -> None:
    """So much of the event loop's time has passed: nobody waits for real for an answer that will not come."""
    loop: Any = asyncio.get_running_loop()
    if not hasattr(loop, "ahead_s"):
        loop.ahead_s = 0.0
        loop.time = lambda: time.monotonic() + loop.ahead_s
    loop.ahead_s += seconds


class Counted:
    """The poller, and how many of the guard's questions are under way."""

    def __init__(self, poller: Poller) -> None:
        self._poller, self.under_way, self.asked = poller, 0, asyncio.Event()

    async def ask(self, asset: str, tag: str, *, within_s: float) -> Answer:
        self.under_way += 1
        self.asked.set()
        try:
            return await self._poller.ask(asset, tag, within_s=within_s)
        finally:
            self.under_way -= 1

    async def write(
        self, asset: str, tag: str, value: Value, *, within_s: float, unless: Callable[[], str]
    ) -> Answer:  # fmt: skip
        self.under_way += 1
        try:
            return await self._poller.write(asset, tag, value, within_s=within_s, unless=unless)
        finally:
            self.under_way -= 1


class Rig:
    """``told`` is the audit as it was entered; ``audited()`` what of it is durable."""

    def __init__(
        self, folder: Path, drive: Drive, *, clock: Steps | None = None, enable: Enable | None = None,
        checks: Mapping[str, Check] | None = None, timeout_ms: int = 2000,
        documents: Sequence[str] = (), boot: str = BOOT, poll_ms: int = POLL_MS,
    ) -> None:  # fmt: skip
        self.folder, self.drive, self.clock = folder, drive, clock or Steps()
        self.told: list[Outcome] = []
        self._offers = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._order = 0
        self.profile = device()
        assets = [
            Asset(id=name, unit=(Unit(line="l", unit=unit, profile="p", period_ms=poll_ms),))
            for name, unit in UNITS.items()
        ]
        line = ModbusTcp(name="l", port=drive.port, timeout_ms=timeout_ms)
        site = site_of([line], assets, {"p": self.profile})
        self.journal: SqliteJournal = opened(folder, self.clock, boot=boot)  # type: ignore[arg-type]
        self.poller = Poller(
            site, clock=self.clock, offer=self._offer, deliver=self._deliver, make_driver=make_driver,
            make_source=make_source,
        )  # fmt: skip
        self.poll = Counted(self.poller)
        self.register = "unit 1, register 0"
        self.audit = Audit(
            self.journal, GATEWAY, clock=self.clock, boot=boot, commit=self._commit, told=self.told.append
        )
        self.guard = Guard(
            self.audit, self.journal, Machine(self.poll, self._resolve, lambda asset, tag: self.register),
            gateway=GATEWAY, assets=set(UNITS),
            clock=self.clock, enable=enable or Switch(), verify=is_signed,
            read=lambda document: contract_of(document.text), checks=checks,
        )  # fmt: skip
        self.guard.start([ContractDocument(f"c{i}", text, "") for i, text in enumerate(documents)])
        drive.later = self.clock.later
        drive.unanswered = lambda: hasten(timeout_ms / 1000)

    # The world around it.

    def _offer(self, asset: str, tags: Sequence[str]) -> None:
        self._offers += 1

    def _deliver(self, batch: Batch) -> None:
        self._offers -= 1
        self.guard.observe(batch)

    async def _commit(self, name: str) -> bool:
        self.journal.commit()
        return self.journal.is_durable(name)

    def _resolve(self, asset: str, tag: str, value: float) -> float:
        point = next((p for p in self.profile.point if p.tag == tag and asset in UNITS), None)
        if point is None or not point.writable:
            raise ValueError(f"{asset}.{tag} is not writable")
        held = unpack(point, pack(point, value))[0]
        assert isinstance(held, int | float)
        return held

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Rig]:
        self._tasks = [asyncio.ensure_future(self.poller.run()), asyncio.ensure_future(self.guard.run())]
        try:
            await self.poller.opened.wait()
            await self.quiet()
            yield self
        finally:
            await self.stop()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    def close(self) -> None:
        """As a gateway ends that is asked to."""
        self.audit.keep(clean=True)
        self.guard.close()
        self.journal.close()

    def kill(self) -> None:
        killed(self.journal)

    # Time.

    async def quiet(self) -> None:
        """Let everything happen that can without time passing."""
        async with asyncio.timeout(REAL_S_MAX):
            calm = 0
            while calm < 8:
                await asyncio.sleep(0 if calm else 0.0002)
                assert all(not task.done() for task in self._tasks), self._tasks
                calm = calm + 1 if self._offers == self.poll.under_way == 0 else 0

    async def pass_s(self, seconds: float) -> None:
        end_ns = self.clock.mono_ns() + int(seconds * S)
        while True:
            await self.quiet()
            if not self.clock.wake_next(end_ns):
                return

    async def until(self, condition: Callable[[], bool], within_s: float = 600.0) -> None:
        """Let time pass until ``condition``, at most ``within_s`` of it."""
        end_ns = self.clock.mono_ns() + int(within_s * S)
        while True:
            await self.quiet()
            if condition():
                return
            assert self.clock.wake_next(end_ns), [(one.step.value, one.words) for one in self.told[-8:]]

    # What people do.

    def command(self, value: float, *names: str, contract: str | None = None, **fields: Any) -> Command:
        """A new one, signed by ``names`` (Ada by default), under the only contract in force unless told otherwise."""
        self._order = max(self._order, self.audit.kept.order) + 1
        now_ns = self.clock.wall_ns()
        told: dict[str, Any] = {
            "gateway": GATEWAY, "order": self._order, "asset": "pump-1", "tag": "setpoint", "value": value,
            "contract": contract or next(iter(self.guard.in_force), "0" * 64), "issued_ns": now_ns,
            "expires_ns": now_ns + 600 * S, "by": (names or ("Ada",))[0], "why": "less flow at night",
        } | fields  # fmt: skip
        return signed(Command(**told), *(names or ("Ada",)))

    def give(self, value: float, *names: str, **fields: Any) -> Told:
        return self.guard.receive(self.command(value, *names, **fields))

    async def ended(self, told: Told, within_s: float = 600.0) -> Outcome:
        """What became of it."""
        await self.until(lambda: any(one.step.is_end for one in self.of(told)), within_s)
        return self.of(told)[-1]

    def of(self, told: Told) -> list[Outcome]:
        return [one for one in self.told if one.command == told.id]

    def steps(self, told: Told) -> list[CommandStep]:
        return [one.step for one in self.of(told)]

    @property
    def written(self) -> list[int]:
        """Every write that the drive heard, in order."""
        return [number for one in self.drive.log for number in one.numbers]

    @property
    def stands(self) -> int:
        return self.drive.registers[1, SETPOINT]

    def audited(self) -> list[Outcome]:
        """What is durable of the audit, whose chain must hold."""
        self.journal.commit()
        blocks = [opened_block(block) for block in self.journal.pending(limit_bytes=2**31)]
        for block in blocks:
            plausible.check(block)  # What a receiver refuses would never be told.
        found = [record for block in blocks for record in block.records if isinstance(record, Outcome)]
        link = Link(0, genesis_of_audit(GATEWAY, self.journal.epoch))
        for outcome in found:
            assert link.holds(outcome), outcome
            link = link.after(outcome)
        return found


class Switch:
    """An enable switch that a test flips."""

    tags: frozenset[TagRef] = frozenset()

    def __init__(self) -> None:
        self.on = True

    def why_not(self, look: Any) -> str:
        return "" if self.on else "the enable switch is off"

    def close(self) -> None: ...


@asynccontextmanager
async def rig_at(folder: Path, *texts: str, drive: Drive | None = None, **options: Any) -> AsyncIterator[Rig]:
    """A running one, with these contracts, that has polled once."""
    async with over_tcp(drive or a_drive()) as served:
        rig = Rig(folder, served, documents=texts or [contract_text()], **options)
        try:
            async with rig.running():
                await rig.pass_s(1.5)
                yield rig
        finally:
            rig.close()

"""Generated commands of every bad kind, among good ones, at a guard whose world changes under it.

Everything follows from the seed. A burst of commands comes, the world may change, time passes; ``World.play`` goes on
until so many have come, and then lets all of them end.
"""

from __future__ import annotations

import base64
import contextlib
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.command.checks import Check
from edge.command.guard import WAITING_MAX
from edge.contract.commands import Command, CommandStep, Outcome, Signed
from edge.contract.downlink import ContractDocument, WithdrawnContract
from tests.peers.drive import DEAF, HONEST, OTHER, REFUSES, RESETS, Drive, Written, over_tcp
from tests.rooms.command.oracle import Oracle
from tests.rooms.command.rig import (
    FLOW,
    GATEWAY,
    PRESSURE,
    RUNNING,
    SETPOINT,
    UNITS,
    Rig,
    S,
    Switch,
    a_drive,
    contract_of,
    contract_text,
    signed,
)  # fmt: skip

ASSETS = {unit: asset for asset, unit in UNITS.items()}
BURST_MAX = 20
LIFE_S = 90.0
Mutation = Callable[["World", Command], Command]


@dataclass(frozen=True)
class Mood:
    """How the world is: ``kinds`` of commands by weight, and by what chance something changes, and to what.

    ``meanwhile`` may happen while something is put on the disk, with the chance ``restless``; ``turns`` is the chance
    that something changes at the machines after a burst, ``mends`` that all is well again, ``early`` that a contract
    does not hold yet, ``regretted`` that it regrets a flow that falls, ``foreign`` that one of another gateway comes.
    """

    kinds: Mapping[str, float]
    restless: float = 0.15
    meanwhile: tuple[str, ...] = ("_flip_switch", "_jump_clock", "_doubt_clock", "_swap")
    turns: float = 0.3
    acts: tuple[str, ...] = ("running", "pressure", "broken", "manner", "hand", "flow")
    mends: float = 0.6
    pressures: tuple[float, ...] = (3.0, 3.0, 3.0, 0.5, 7.0, math.nan, math.inf)
    early: float = 0.07
    regretted: float = 0.3
    foreign: float = 0.1


@dataclass
class Given:
    """A command as it was made good, and under which of the world's contracts."""

    command: Command
    unit: int


class World:
    """A rig, what the test knows of it, and the oracle that is told of everything."""

    def __init__(self, rig: Rig, switch: Switch, seed: int, mood: Mood) -> None:
        self.rig, self.switch, self.seed = rig, switch, seed
        self.chance = random.Random(seed)
        self.mood = mood
        self.oracle = Oracle(GATEWAY, ASSETS, rig.clock.wall_ns())
        self.kinds: Counter[str] = Counter()
        self.came = 0
        self.texts: dict[int, str] = {}
        self.versions: Counter[int] = Counter()
        self.foreign: dict[int, str] = {}
        self.recent: list[Command] = []
        self.taken: set[str] = set()
        self.not_taken: set[str] = set()
        self.forgotten: set[str] = set()
        self.strange: dict[str, set[Command]] = {}
        self.order = 0
        self.wall_skew_ns = self.announced = 0
        drive = rig.drive
        drive.heard, drive.served = self._heard, self._served
        rig.audit._told = self._told
        self._commit = rig.audit._commit
        rig.audit._commit = self._commit_and_more

    # What the machine and the gateway do.

    def _heard(self, written: Written) -> None:
        if len(self.rig.drive.log) > self.announced:
            self.oracle.wrong.append(f"{written} went out before it was on the disk")
        stands = self.rig.drive.registers.get((written.unit, written.address), -1)
        clock, asset = self.rig.clock, ASSETS.get(written.unit)
        said = next(
            (one for one in reversed(self.rig.told) if one.step is CommandStep.WRITING and one.asset == asset), None
        )
        self.oracle.judge(
            written.unit, written.address, written.numbers, stands, claim=said.command if said else "",
            back=said is not None and said.words.startswith("back to"), now_ns=clock.mono_ns(), wall_ns=clock.wall_ns(),
            trusted=clock.trusted(), enabled=self.switch.on,
        )  # fmt: skip
        self._reasons()

    def _told(self, outcome: Outcome) -> None:
        self.rig.told.append(outcome)
        if outcome.step is CommandStep.KEPT:
            unit = UNITS[outcome.asset]
            self.oracle.kept(
                outcome.command, unit, self.rig.drive.registers[unit, SETPOINT], self.rig.clock.mono_ns()
            )  # fmt: skip

    def _served(self, unit: int, address: int, numbers: tuple[int, ...]) -> None:
        self.oracle.serves(unit, address, numbers, self.rig.clock.mono_ns())

    async def _commit_and_more(self, name: str) -> bool:
        """While it is put on the disk, the world goes on."""
        writing = sum(1 for one in self.rig.told if one.step is CommandStep.WRITING)
        done = await self._commit(name)
        self.announced = writing if done else self.announced
        if self.rig.poll.under_way == 0 and self.chance.random() < self.mood.restless:
            getattr(self, self.chance.choice(self.mood.meanwhile))()
        return done

    # What may happen in the world.

    def _reasons(self) -> None:
        """Whatever stands now may be why something is taken back."""
        for unit in self.oracle.units:
            pressure = self.rig.drive.registers[unit, PRESSURE]
            flow = self.rig.drive.registers[unit, FLOW]
            strange = (pressure, flow) != (0x4040, 0x42C8) or bool(self.rig.drive.broken)
            if strange or not self.switch.on or self.rig.drive.manner != HONEST:
                self.oracle.reason(unit, "something is wrong")

    def _flip_switch(self) -> None:
        self.switch.on = not self.switch.on
        self._reasons()

    def _jump_clock(self) -> None:
        clock = self.rig.clock
        by_ns = int(self.chance.choice([-3600, -5, 5, 60, 200, 3600]) * S)
        if self.wall_skew_ns and self.chance.random() < 0.6:
            by_ns = -self.wall_skew_ns
        self.wall_skew_ns += by_ns
        clock.set_wall(clock.wall_ns() + by_ns)

    def _doubt_clock(self) -> None:
        self.rig.clock.believed = not self.rig.clock.believed

    def _swap(self) -> None:
        unit = self.chance.choice(list(ASSETS))
        now_ns = self.rig.clock.mono_ns()
        if self.chance.random() < self.mood.foreign:
            self._offer_foreign(unit)
        elif unit in self.texts and self.chance.random() < 0.2:
            digest = contract_of(self.texts.pop(unit)).hash
            self.oracle.out_of_force(f"c{unit}", now_ns)
            self.rig.guard._contracts.withdraw(WithdrawnContract(digest, "Ada", "not now"))
        else:
            self.offer(unit)

    def _offer_foreign(self, unit: int) -> None:
        """One that is signed and sound, and meant for another gateway: commands under it must come to nothing."""
        self.versions[unit] += 1
        text = contract_text(
            id=f"c{unit}", version=self.versions[unit], asset=ASSETS[unit], gateway="gw-2", dwell_s=0.0, watch_s=2.0
        )
        self.foreign[unit] = contract_of(text).hash
        self.rig.guard._contracts.take(ContractDocument(f"f{unit}", text, ""), came_down=True)

    def offer(self, unit: int) -> None:
        """A new version, with terms of its own."""
        self.versions[unit] += 1
        low = self.chance.choice([1000.0, 1100.0, 1150.5])
        terms: dict[str, Any] = {
            "id": f"c{unit}", "version": self.versions[unit], "asset": ASSETS[unit], "low": low,
            "high": low + self.chance.choice([200.0, 299.6, 400.0]),
            "step_max": self.chance.choice([40.0, 75.0, 100.0]), "rate_per_min": self.chance.choice([100.0, 150.0]),
            "dwell_s": self.chance.choice([5.0, 12.0, 20.0]), "tolerance": self.chance.choice([0.0, 0.3, 0.6]),
            "settle_s": 0.4, "watch_s": self.chance.choice([2.0, 6.0]), "blind_s": 1.5, "fresh_s": 5.0,
        }  # fmt: skip
        if self.chance.random() < self.mood.regretted:
            terms |= {"watch_s": 10.0, "regret": [{"tag": "flow", "worse": "down", "percent": 5.0, "over_s": 10.0}]}
        if unit == 2:
            terms |= {"mode": "approve", "approvals": self.chance.choice([1, 1, 2])}
        if self.chance.random() < self.mood.early:
            terms["valid_from"] = "2027-01-01T00:00:00Z"
        text = contract_text(**terms)
        self.texts[unit] = text
        self.oracle.contract(text, self.rig.clock.mono_ns())
        self.rig.guard._contracts.take(ContractDocument(f"c{unit}", text, ""), came_down=True)
        self.rig.guard._follow()

    def _turn(self) -> None:
        """Something changes at the machines."""
        drive, unit = self.rig.drive, self.chance.choice(list(ASSETS))
        match self.chance.choice(self.mood.acts):
            case "running":
                drive.put(unit, RUNNING, int(self.chance.random() < 0.7))
            case "pressure":
                drive.put_float(unit, PRESSURE, self.chance.choice(self.mood.pressures))
            case "flow":
                drive.put_float(unit, FLOW, self.chance.choice([100.0, 60.0, 60.0, math.nan]))
            case "broken":
                places = {(unit, PRESSURE), (unit, SETPOINT)}
                drive.broken = drive.broken - places if drive.broken else {self.chance.choice(sorted(places))}
            case "manner":
                drive.manner = self.chance.choice([HONEST, HONEST, HONEST, DEAF, OTHER, REFUSES, RESETS])
            case "hand":
                drive.put(unit, SETPOINT, self.chance.choice([1100, 1200, 1300]))
        self._reasons()

    def _mend(self) -> None:
        drive, clock = self.rig.drive, self.rig.clock
        drive.manner, drive.broken, self.switch.on, clock.believed = HONEST, set(), True, True
        clock.set_wall(clock.wall_ns() - self.wall_skew_ns)
        self.wall_skew_ns = 0
        for unit in ASSETS:
            drive.put(unit, RUNNING, 1, 1)
            drive.put_float(unit, PRESSURE, 3.0)
            drive.put_float(unit, FLOW, 100.0)
            if not 1100 <= drive.registers[unit, SETPOINT] <= 1300:
                drive.put(unit, SETPOINT, 1200)
            if unit not in self.texts:
                self.offer(unit)

    # What comes.

    def good(self, unit: int) -> Given:
        """As somebody means it who knows the contract, at this moment."""
        contract = contract_of(self.texts[unit]) if unit in self.texts else contract_of(contract_text())
        stands = self.rig.drive.registers[unit, SETPOINT]
        step = self.chance.choice([-1, 1]) * self.chance.choice([0.2, 0.5, 1.0]) * contract.step_max
        value = float(round(min(max(stands + step, contract.low), contract.high)))
        now_ns = self.rig.clock.wall_ns()
        self.order = max(self.order, self.oracle.order) + self.chance.choice([1, 1, 2, 5])
        command = Command(
            gateway=GATEWAY, order=self.order, contract=contract.hash, asset=ASSETS[unit], tag="setpoint", value=value,
            issued_ns=now_ns, expires_ns=now_ns + int(LIFE_S * S), by="Ada", why="a try",
        )  # fmt: skip
        return Given(command, unit)

    def one(self) -> None:
        """One command of one kind comes, good or bad."""
        kind = self.chance.choices(list(self.mood.kinds), list(self.mood.kinds.values()))[0]
        given = self.good(self.chance.choice(list(ASSETS)))
        names = ["Ada"] if self.chance.random() < 0.8 else ["Dan"]
        command = MUTATIONS[kind](self, replace(given.command, by=names[0]))
        if kind not in AS_THEY_ARE:
            command = signed(command, *names)
            if given.unit == 2:
                people = ["Ben", "Cleo"] if self.chance.random() < 0.7 else ["Ben", "Cleo", "Ada", "Dan"]
                command = signed(command, *self.chance.sample(people, self.chance.randrange(3)))
        if kind in AFTER_SIGNING:
            command = AFTER_SIGNING[kind](self, command)
        self.kinds[kind] += 1
        self.deliver(command)

    def deliver(self, command: Command) -> None:
        self.came += 1
        self.recent = [*self.recent, command][-60:]
        clock = self.rig.clock
        genuine = self.oracle.arrives(command, clock.mono_ns(), wall_ns=clock.wall_ns(), trusted=clock.trusted())
        refused = self.rig.guard.refused
        kept_out = refused["order"] + refused["ahead"]
        told = self.rig.guard.receive(command)
        if refused["order"] + refused["ahead"] > kept_out:
            self.oracle.out_of_order(told.words)
        if not genuine:
            self.strange.setdefault(told.id, set()).add(command)
        elif told.words.startswith(f"{WAITING_MAX} commands wait"):
            self.not_taken.add(told.id)
            self.oracle.not_taken(command)
        elif command.order <= self.rig.audit.kept.floor:
            self.forgotten.add(told.id)
        else:
            self.taken.add(told.id)

    async def play(self, commands: int) -> None:
        for unit in ASSETS:
            self.offer(unit)
        while self.came < commands and not self.oracle.wrong:
            for _ in range(self.chance.randint(1, BURST_MAX)):
                self.one()
            for happens, chance in ((self._turn, self.mood.turns), (self._swap, 0.05), (self._flip_switch, 0.05)):
                if self.chance.random() < chance:
                    happens()
            if self.chance.random() < 0.08:
                self.chance.choice([self._jump_clock, self._doubt_clock])()
            if self.chance.random() < self.mood.mends:
                self._mend()
            await self.rig.pass_s(self.chance.choice([0.0, 0.3, 1.0]))
            if self.rig.audit.kept.runs and self.chance.random() < 0.3:
                self._turn()
            await self.rig.pass_s(self.chance.choice([0.0, 1.0, 3.0, 6.0, 15.0]))
        self._mend()
        if not self.oracle.wrong:
            kept = self.rig.audit.kept
            # Some were given by a clock that was an hour ahead, and this one may be doubted once more.
            self.rig.clock.set_wall(self.rig.clock.wall_ns() + 4 * 3600 * S)
            await self.rig.until(lambda: not kept.waiting and not kept.runs, within_s=4000)

    def executed(self) -> int:
        return self.oracle.counts["executed"]


# --- the bad kinds ----------------------------------------------------------------------------------------------------


def _ulp(world: World, command: Command) -> Command:
    """At a bound, or one double beside it."""
    terms = contract_of(world.texts[UNITS[command.asset]]) if UNITS[command.asset] in world.texts else None
    if terms is None:
        return command
    bound, out = world.chance.choice([(terms.low, -math.inf), (terms.high, math.inf)])
    return replace(command, value=world.chance.choice([bound, math.nextafter(bound, out), math.nextafter(bound, -out)]))


def _wild(world: World, command: Command) -> Command:
    values = [1e308, -1e308, 5e-324, -0.0, 0.0, 65535.0, 65536.0, -1.0, 1.7e6, 2.0**53, 1200.5, 1234.4999, 99999.0]
    return replace(command, value=world.chance.choice(values))


def _any_field(world: World, command: Command) -> Command:
    changes: list[dict[str, Any]] = [
        {"value": command.value + 1}, {"order": command.order + 7}, {"expires_ns": command.expires_ns + S},
        {"asset": "fan-2"}, {"tag": "flow"}, {"why": "another"}, {"by": "Mallory"}, {"contract": "0" * 64},
        {"gateway": "gw-2"}, {"issued_ns": command.issued_ns - 1},
    ]  # fmt: skip
    return replace(command, **world.chance.choice(changes))


def _forged(world: World, command: Command) -> Command:
    first = command.signed[0]
    raw = bytearray(base64.b64decode(first.signature))
    raw[world.chance.randrange(64)] ^= 1 << world.chance.randrange(8)
    forged = [
        replace(first, signature=base64.b64encode(bytes(raw)).decode()),
        replace(first, signature="A" * 88),
        replace(first, signature=""),
        replace(first, key="0" * 16),
        Signed(signed(replace(command, signed=()), "Mallory").signed[0].key, 0, first.signature),
        replace(signed(replace(command, signed=()), "Mallory").signed[0], key=first.key),
    ]
    return replace(command, signed=(world.chance.choice(forged), *command.signed[1:]))


def _replayed(world: World, command: Command) -> Command:
    return world.chance.choice(world.recent) if world.recent else signed(command, "Ada")


def _approved_again(world: World, command: Command) -> Command:
    """One of those that came, with the further signatures of anybody, in any order, twice, or of itself."""
    if not world.recent:
        return signed(command, "Ada")
    old = world.chance.choice(world.recent)
    people = world.chance.choices(["Ada", "Ben", "Cleo", "Dan", "Mallory"], k=world.chance.randint(1, 4))
    if world.chance.random() < 0.6:
        people = world.chance.sample(["Ben", "Cleo"], world.chance.randint(1, 2))
        old = replace(old, signed=old.signed[:1])
    more = signed(old, *people)
    rest = list(more.signed[1:])
    world.chance.shuffle(rest)
    return replace(more, signed=(*more.signed[:1], *rest))


def _late_approval(world: World, command: Command) -> Command:
    """For the other machine, unapproved: the approvals come later, perhaps after others were carried out."""
    return signed(replace(command, asset="fan-2", contract=_hash(world, 2)), "Ada")


def _hash(world: World, unit: int) -> str:
    return contract_of(world.texts[unit]).hash if unit in world.texts else "0" * 64


def _elsewhere(world: World, command: Command) -> Command:
    other = "fan-2" if command.asset == "pump-1" else "pump-1"
    changes: list[dict[str, Any]] = [{"asset": other}, {"tag": "flow"}, {"asset": "ghost"}, {"tag": ""}]
    return replace(command, **world.chance.choice(changes))


def _times(world: World, command: Command) -> Command:
    now_ns = world.rig.clock.wall_ns()
    changes: list[dict[str, Any]] = [
        {"issued_ns": now_ns + 6 * S}, {"issued_ns": now_ns + 4 * S}, {"expires_ns": now_ns},
        {"expires_ns": now_ns - 1}, {"expires_ns": now_ns + S // 2}, {"issued_ns": 0},
        {"expires_ns": now_ns + 8 * 86_400 * S}, {"issued_ns": world.oracle.started_ns - S},
    ]  # fmt: skip
    return replace(command, **world.chance.choice(changes))


def _order(world: World, command: Command) -> Command:
    """Lower than it should be, or far above, or just as far above as it may be, and just not."""
    limit = max(world.oracle.order, command.issued_ns // 10**6) + 60_000
    orders = [
        max(0, command.order - world.chance.choice([0, 1, 3, 20, 1000])), limit, limit + 1, limit + 10**9,
        command.issued_ns, 2**62, 2**62 + 1, 2**63 - 1,
    ]  # fmt: skip
    return replace(command, order=world.chance.choice(orders))


MUTATIONS: dict[str, Mutation] = {
    "good": lambda _, command: command,
    "bounds": _ulp,
    "wild": _wild,
    "far": lambda w, c: replace(c, value=c.value + w.chance.choice([-150.0, 150.0, 101.0, -76.0, 41.0])),
    "between": lambda w, c: replace(c, value=c.value + w.chance.choice([0.25, 0.5, -0.5, 0.59])),
    "times": _times,
    "order": _order,
    "elsewhere": _elsewhere,
    "gateway": lambda w, c: replace(c, gateway=w.chance.choice(["gw-2", "GW-1", ""])),
    "contract": lambda w, c: replace(
        c, contract=w.chance.choice(["0" * 64, _hash(w, 1), _hash(w, 2), w.foreign.get(UNITS[c.asset], "1" * 64)])
    ),
    "altered": lambda _, command: command,
    "forged": lambda _, command: command,
    "nobody": lambda _, command: command,
    "another": lambda _, command: command,
    "replayed": _replayed,
    "approved again": _approved_again,
    "late approval": _late_approval,
}
AFTER_SIGNING: dict[str, Mutation] = {
    "altered": _any_field,
    "forged": _forged,
    "another": lambda w, c: signed(replace(c, signed=()), "Dan" if c.by == "Ada" else "Ada"),
    "nobody": lambda w, c: replace(
        c, signed=w.chance.choice([(), c.signed[1:], signed(replace(c, signed=()), "Ben").signed])
    ),
}
AS_THEY_ARE = {"replayed", "approved again", "late approval"}
USUAL = Mood(dict.fromkeys(MUTATIONS, 1.0) | {"good": 9.0, "late approval": 2.0, "approved again": 3.0})


@contextlib.asynccontextmanager
async def world_at(
    folder: Path, seed: int, *, checks: Mapping[str, Check] | None = None, mood: Mood = USUAL
) -> AsyncIterator[World]:  # fmt: skip
    drive: Drive = a_drive()
    switch = Switch()
    async with over_tcp(drive):
        rig = Rig(folder, drive, enable=switch, checks=checks, timeout_ms=2000, poll_ms=2000)
        world = World(rig, switch, seed, mood)
        try:
            async with rig.running():
                await rig.pass_s(1.5)
                yield world
        finally:
            rig.kill()


def ends_of(world: World) -> tuple[Counter[str], list[str]]:
    """Of the durable audit: how many ends of each kind there are, and what is wrong with them."""
    outcomes = world.rig.audited()
    ends: Counter[str] = Counter()
    of: Counter[str] = Counter()
    problems = []
    for outcome in outcomes:
        if outcome.command and outcome.step.is_end:
            ends[outcome.step.value] += 1
            of[outcome.command] += 1
    for digest in world.taken:
        most = 1 + len(world.strange.get(digest, ()))
        if not 1 <= of[digest] <= most:
            problems.append(f"{of[digest]} ends of a command that was taken: {digest}")
    problems += [
        f"{of[digest]} ends of a command that was never taken: {digest}"
        for digest in of.keys() - world.taken - world.forgotten
        if of[digest] > len(world.strange.get(digest, ()))
    ]
    writing = [one for one in outcomes if one.step is CommandStep.WRITING]
    if len(writing) < len(world.rig.drive.log):
        problems.append(f"{len(world.rig.drive.log)} writes, {len(writing)} of them announced")
    return ends, problems

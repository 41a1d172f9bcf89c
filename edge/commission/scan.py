"""Who is there? What the scans of every kind of line have in common, and what a site file would say of what they found.

A scan only reads, asks only where a person named, tells before it begins what it will send, and gives what it has found
so far whenever it is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.commission.identify import identity_of, probed
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.config.profiles.signal import Device
from edge.contract.types import Quality
from edge.ports import Driver

NO_PROFILE = "FILL-IN"


@dataclass(frozen=True, slots=True)
class Found:
    """One device. ``line`` is the ``[[line]]`` table that reaches it, without its name; ``unit`` is None where only
    the line answers.

    ``answered`` tells in words what it gave, ``identity`` what it says of itself, ``profiles`` which of those that are
    known fit: their probe was read and is right. ``at`` is its place where the line has no numbers.
    """

    line: Mapping[str, Any]
    unit: int | None
    answered: str
    identity: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    at: str = ""

    @property
    def place(self) -> str:
        """Of its line, in a few words."""
        line = self.line
        if "device" in line:
            return f"{line['device']} {line['baud']} 8{line['parity']}{line['stop_bits']}"
        if "host" in line:
            return f"{line['host']}:{line['port']}"
        return str(line.get("url") or line.get("interface"))


@dataclass(frozen=True, slots=True)
class Step:
    """How far a scan is: ``done`` of ``total`` questions, where it is asking, and how many seconds are left at most."""

    done: int
    total: int
    where: str
    left_s: float


Tell = Callable[[Step], None]


def question(function: int, register: int) -> ModbusProfile:
    """The one question of a Modbus scan, as a driver takes it: one register."""
    point = Point(tag="asked", function=function, address=register, type="uint16")  # type: ignore[arg-type]
    return ModbusProfile(device=Device(id="scan", products=(), source="a scan"), point=(point,))


async def ask(driver: Driver, unit: int, asked: ModbusProfile) -> tuple[bool, str]:
    """Whether ``unit`` lives, and what it or the line said. A refusal is a sign of life."""
    [answer] = await driver.read(unit, asked)
    if answer.quality == Quality.BAD_BUS:
        return False, answer.detail
    point = asked.point[0]
    if answer.quality.is_bad:
        return True, answer.detail
    return True, f"register {point.address} = {answer.value}"


async def introduce(
    driver: Driver, unit: int, line: Mapping[str, Any], answered: str, profiles: Iterable[ModbusProfile]
) -> Found:
    """What a unit that lives says of itself, and which profiles fit: still reading only."""
    identity = await identity_of(driver, unit)
    fitting = []
    for profile in profiles:
        proof = await probed(driver, unit, profile)
        if proof is not None and proof.proved:
            fitting.append(profile.device.id)
    return Found(line, unit, answered, identity, tuple(fitting))


def proposal(found: Sequence[Found]) -> str:
    """A piece of a site file with a line for each that answers and a machine for each device on it."""
    lines: list[Mapping[str, Any]] = []
    for one in found:
        if one.line not in lines and (one.unit is not None or one.at):
            lines.append(one.line)
    parts = ["# Proposed by babbitt scan: give each machine an id of yours, and each unit its profile."]
    for number, line in enumerate(lines, start=1):
        keys = "\n".join(f"{key} = {_toml(value)}" for key, value in line.items())
        parts.append(f'[[line]]\nname = "line-{number}"\n{keys}')
        parts += [_asset(one, number) for one in found if one.line == line and (one.unit is not None or one.at)]
    return "\n\n".join(parts) + "\n"


def _asset(one: Found, number: int) -> str:
    said = " ".join(one.identity.values())
    fits = f"profiles that fit: {', '.join(one.profiles)}" if one.profiles else "no known profile was proved"
    profile = one.profiles[0] if one.profiles else NO_PROFILE
    place = f"at = {_toml(one.at)}" if one.at else f"unit = {one.unit}"
    return (
        f"# {_comment(said or one.answered)}; {fits}\n"
        f'[[asset]]\nid = "line-{number}-{one.unit if one.unit is not None else "device"}"\n'
        f'unit = [{{ line = "line-{number}", {place}, profile = {_toml(profile)} }}]'
    )


def _comment(said: str) -> str:
    """What a device said is text of a stranger: a comment ends at the line's end."""
    return "".join(c if c.isprintable() else "?" for c in said)[:120]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in str(value))
    return f'"{escaped}"'

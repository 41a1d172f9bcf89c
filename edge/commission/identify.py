"""Is it the device that the profile describes? By the profile's probe, and by what the device says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Quality
from edge.ports import Driver, Identifier, NoAnswer


@dataclass(frozen=True, slots=True)
class Proof:
    """``proved`` is None where the probe's registers could not be read; ``words`` say what was found."""

    proved: bool | None
    words: str


async def probed(driver: Driver, unit: int, profile: Any) -> Proof | None:
    """Compare the probe's registers, through the port like any others. None where ``profile`` has no probe."""
    probe = getattr(profile, "probe", None)
    if not isinstance(profile, ModbusProfile) or probe is None:
        return None
    points = tuple(
        Point(tag=f"probe_{i}", function=probe.function, address=probe.address + i, type="uint16")
        for i in range(len(probe.equals))
    )
    answers = await driver.read(unit, msgspec.structs.replace(profile, point=points))
    bad = next((answer for answer in answers if answer.quality != Quality.GOOD), None)
    if bad is not None:
        return Proof(None, f"registers {probe.address} ff. cannot be read: {bad.detail}")
    found = tuple(answer.value for answer in answers)
    if found == probe.equals:
        return Proof(True, f"registers {probe.address} ff. are {_shown(probe.equals)}")
    return Proof(False, f"registers {probe.address} ff. are {_shown(found)}, a {profile.device.id} has "
                        f"{_shown(probe.equals)}: another device, or another unit id?")  # fmt: skip


async def identity_of(driver: Driver, unit: int) -> dict[str, str]:
    """What the device says that it is, where its driver can ask (port ``Identifier``)."""
    if not isinstance(driver, Identifier):
        return {}
    try:
        return await driver.identify(unit)
    except NoAnswer:
        return {}


def _shown(numbers: tuple[Any, ...]) -> str:
    return ", ".join(f"{n:#06x}" if isinstance(n, int) else str(n) for n in numbers)

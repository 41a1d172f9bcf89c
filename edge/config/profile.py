"""A device profile: one TOML file under ``firmware_profiles/devices`` says what a device is and where values live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge.config.load import load
from edge.errors import ConfigError

RegisterType = Literal["bool", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
ByteOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
SignalKind = Literal[
    "vibration", "temperature", "speed", "load", "power", "pressure", "flow", "counter", "hours", "state", "other"
]

REGISTERS_OF = {
    "bool": 1, "uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "float32": 2, "uint64": 4, "int64": 4, "float64": 4,
}  # fmt: skip


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one value lives in a device, and what it means.

    ``function`` is the Modbus function that reads it (1 coils, 2 discrete inputs, 3 holding, 4 input registers),
    ``address`` 0-based as in the PDU. ``value = raw * scale + offset``. A raw value listed in ``not_available`` means
    that the device has none. ``order`` names bytes as they arrive, A the most significant.
    """

    tag: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    function: Literal[1, 2, 3, 4]
    address: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    type: RegisterType
    order: ByteOrder = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    title: str = ""
    kind: SignalKind = "other"
    decimals: Annotated[int, msgspec.Meta(ge=0, le=9)] = 2
    not_available: tuple[int, ...] = ()

    @property
    def registers(self) -> int:
        """How many registers (or bits, for coils and discrete inputs) it takes."""
        return REGISTERS_OF[self.type]


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``source`` says where the facts come from; ``products`` which devices they are true of."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    products: tuple[str, ...]
    source: str
    protocol: Literal["modbus"] = "modbus"


class Quirks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this device cannot do, or needs: the planner keeps to it."""

    registers_max: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    gap_max: Annotated[int, msgspec.Meta(ge=0, le=124)] = 16
    pause_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The registers that prove that it is this device: read ``len(equals)`` from ``address``, compare."""

    function: Literal[3, 4]
    address: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    equals: tuple[int, ...]


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An oracle: a captured PDU request and response in hex, and the values that they must decode to."""

    request: str
    response: str
    values: dict[str, float | int | bool]


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: Device
    point: Annotated[tuple[Point, ...], msgspec.Meta(min_length=1)]
    quirks: Quirks = Quirks()
    probe: Probe | None = None
    sample: tuple[Sample, ...] = ()


def load_profile(path: Path) -> Profile:
    """Read and check one profile. Raises ``ConfigError``."""
    profile = load(path, Profile)
    seen: set[str] = set()
    for i, point in enumerate(profile.point):
        where = f"`point[{i}]` ({point.tag})"
        if point.tag in seen:
            raise ConfigError(str(path), f"{where}: tag `{point.tag}` stands twice", "give each point a tag of its own")
        if (point.type == "bool") != (point.function in (1, 2)):
            raise ConfigError(
                str(path), f"{where}: type {point.type} with function {point.function}",
                "functions 1 and 2 give bool, 3 and 4 give numbers",
            )  # fmt: skip
        if point.address + point.registers > 65536:
            raise ConfigError(str(path), f"{where}: ends past register 65535", "addresses are 0-based")
        if point.function >= 3 and point.registers > profile.quirks.registers_max:
            raise ConfigError(
                str(path), f"{where}: takes {point.registers} registers, `quirks.registers_max` allows fewer",
                "a value is read in one request, lest it be torn",
            )  # fmt: skip
        if point.scale == 0.0:
            raise ConfigError(str(path), f"{where}: scale is 0", "value = raw * scale + offset")
        seen.add(point.tag)
    return profile

"""A Modbus device: in which registers its values live, and what it asks of whoever reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from edge.config.profiles.signal import Device, Signal, Strict

RegisterType = Literal["bool", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
ByteOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]

REGISTERS_OF = {
    "bool": 1, "uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "float32": 2, "uint64": 4, "int64": 4, "float64": 4,
}  # fmt: skip


class Point(Signal, frozen=True, kw_only=True):
    """One value and where it lives.

    ``function`` is the Modbus function that reads it (1 coils, 2 discrete inputs, 3 holding, 4 input registers),
    ``address`` 0-based as in the PDU. A raw value listed in ``not_available`` means that the device has none. ``order``
    names bytes as they arrive, A the most significant.
    """

    function: Literal[1, 2, 3, 4]
    address: Annotated[int, Meta(ge=0, le=65535)]
    type: RegisterType
    order: ByteOrder = "ABCD"
    not_available: tuple[int, ...] = ()

    @property
    def registers(self) -> int:
        """How many registers (or bits, for coils and discrete inputs) it takes."""
        return REGISTERS_OF[self.type]


class Quirks(Strict, frozen=True, kw_only=True):
    """What this device cannot do, or needs: the planner keeps to it."""

    registers_max: Annotated[int, Meta(ge=1, le=125)] = 125
    gap_max: Annotated[int, Meta(ge=0, le=124)] = 16
    pause_ms: Annotated[int, Meta(ge=0, le=10_000)] = 0


class Probe(Strict, frozen=True, kw_only=True):
    """The registers that prove that it is this device: read ``len(equals)`` from ``address``, compare."""

    function: Literal[3, 4]
    address: Annotated[int, Meta(ge=0, le=65535)]
    equals: tuple[int, ...]


class Sample(Strict, frozen=True, kw_only=True):
    """An oracle: a captured PDU request and response in hex, and the values that they must decode to."""

    request: str
    response: str
    values: dict[str, float | int | bool]


class ModbusProfile(Strict, frozen=True, kw_only=True):
    """The whole file."""

    device: Device
    point: Annotated[tuple[Point, ...], Meta(min_length=1)]
    quirks: Quirks = Quirks()
    probe: Probe | None = None
    sample: tuple[Sample, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong beyond types, each with a hint."""
        for i, point in enumerate(self.point):
            where = f"`point[{i}]` ({point.tag})"
            if (point.type == "bool") != (point.function in (1, 2)):
                yield (
                    f"{where}: type {point.type} with function {point.function}",
                    "functions 1 and 2 give bool, 3 and 4 give numbers",
                )
            if point.address + point.registers > 65536:
                yield f"{where}: ends past register 65535", "addresses are 0-based"
            if point.function >= 3 and point.registers > self.quirks.registers_max:
                yield (
                    f"{where}: takes {point.registers} registers, `quirks.registers_max` allows fewer",
                    "a value is read in one request, lest it be torn",
                )

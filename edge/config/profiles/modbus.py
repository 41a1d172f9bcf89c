"""A Modbus device: in which registers its values live, and what it asks of whoever reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, field

from edge.config.profiles.signal import AnyProfile, Device, Signal, Strict

PlainType = Literal["bool", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
RegisterType = Literal[
    "bool", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64",
    "bcd16", "bcd32", "bcd64", "string",
]  # fmt: skip
ByteOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]

REGISTERS_OF = {
    "bool": 1, "uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "float32": 2, "uint64": 4, "int64": 4, "float64": 4,
    "bcd16": 1, "bcd32": 2, "bcd64": 4,
}  # fmt: skip
"""How many registers a type takes; a ``string`` says so itself."""

WRITTEN_MAX = 123
"""As many registers function 16 takes."""

Address = Annotated[int, Meta(ge=0, le=65535)]
Bit = Annotated[int, Meta(ge=0, le=63)]


class Point(Signal, frozen=True, kw_only=True):
    """One value and where it lives.

    ``function`` is the Modbus function that reads it (1 coils, 2 discrete inputs, 3 holding, 4 input registers),
    ``address`` 0-based as in the PDU. ``order`` names bytes as they arrive, A the most significant. A raw value listed
    in ``not_available``, as the unsigned number that its bits make, means that the device has none.

    ``bcd16`` to ``bcd64`` hold a decimal digit in four bits. A ``string`` takes ``length`` registers of two ASCII
    characters, without the NULs and spaces around it. ``bit`` (0 the least significant) makes a bool of an unsigned
    integer, ``bits`` (the first and the last) a smaller unsigned integer. ``values`` gives words to raw numbers; the
    value then is the word. Only a ``writable`` point may be written, with function 5 or 15, 6 or 16; a number never
    below ``write_low`` or above ``write_high`` (in its unit), the device's own limits.
    """

    function: Literal[1, 2, 3, 4]
    address: Address
    type: RegisterType
    order: ByteOrder = "ABCD"
    length: Annotated[int, Meta(ge=0, le=125)] = 0
    bit: Bit | None = None
    bits: tuple[Bit, Bit] | None = None
    values: dict[int, str] = field(default_factory=dict)
    not_available: tuple[int, ...] = ()
    writable: bool = False
    write_low: float | None = None
    write_high: float | None = None

    @property
    def registers(self) -> int:
        """How many registers (or bits, for coils and discrete inputs) it takes."""
        return REGISTERS_OF.get(self.type, self.length)

    @property
    def is_scaled(self) -> bool:
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def picked(self) -> tuple[int, int] | None:
        """The first and the last bit that it takes of its registers, None where it takes all."""
        return self.bits if self.bit is None else (self.bit, self.bit)


class Quirks(Strict, frozen=True, kw_only=True):
    """What this device cannot do, or needs: the planner keeps to it.

    ``holes`` are registers, each from a first to a last, that no request may touch; ``write_multiple_only`` says that
    the device knows functions 15 and 16 but not 5 and 6.
    """

    registers_max: Annotated[int, Meta(ge=1, le=125)] = 125
    gap_max: Annotated[int, Meta(ge=0, le=124)] = 16
    holes: tuple[tuple[Address, Address], ...] = ()
    pause_ms: Annotated[int, Meta(ge=0, le=10_000)] = 0
    write_multiple_only: bool = False


class Probe(Strict, frozen=True, kw_only=True):
    """The registers that prove that it is this device: read ``len(equals)`` from ``address``, compare."""

    function: Literal[3, 4]
    address: Address
    equals: tuple[int, ...]


class Sample(Strict, frozen=True, kw_only=True):
    """An oracle: a captured PDU request and response in hex, and the values that they must decode to."""

    request: str
    response: str
    values: dict[str, float | int | bool | str]


class ModbusProfile(AnyProfile, frozen=True, kw_only=True):
    """The whole file."""

    device: Device
    point: Annotated[tuple[Point, ...], Meta(min_length=1)]
    quirks: Quirks = Quirks()
    probe: Probe | None = None
    sample: tuple[Sample, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong beyond types, each with a hint."""
        for first, last in self.quirks.holes:
            if first > last:
                yield f"`quirks.holes`: [{first}, {last}] ends before it begins", "a hole is [first, last], both in it"
        for i, point in enumerate(self.point):
            for check in (_of_its_place, _of_its_writing, _of_its_type, _of_its_field, _of_its_meaning):
                for problem, hint in check(point, self.quirks):
                    yield f"`point[{i}]` ({point.tag}): {problem}", hint


def _of_its_place(point: Point, quirks: Quirks) -> Iterator[tuple[str, str]]:
    end = point.address + point.registers
    if end > 65536:
        yield "ends past register 65535", "addresses are 0-based"
    if point.function >= 3 and point.registers > quirks.registers_max:
        yield (
            f"takes {point.registers} registers, `quirks.registers_max` allows fewer",
            "a value is read in one request, lest it be torn",
        )
    for first, last in quirks.holes:
        if point.function >= 3 and point.address <= last and first < end:
            yield f"lies in the hole [{first}, {last}]", "`quirks.holes` lists registers that must never be read"
    if point.writable and point.registers > WRITTEN_MAX:
        yield f"writable with {point.registers} registers", f"function 16 writes {WRITTEN_MAX} at most"
    if point.writable and point.function not in (1, 3):
        yield f"writable with function {point.function}", "only coils (1) and holding registers (3) can be written"


def _of_its_writing(point: Point, quirks: Quirks) -> Iterator[tuple[str, str]]:  # noqa: ARG001
    bounds = [bound for bound in (point.write_low, point.write_high) if bound is not None]
    if not bounds:
        return
    if not point.writable:
        yield "`write_low` or `write_high` of what is not writable", "add `writable = true`, or leave them out"
    if point.type in ("bool", "string") or point.values:
        yield "`write_low` or `write_high` of what is no number", "leave them out for bool, string and `values`"
    if not all(math.isfinite(bound) for bound in bounds) or (len(bounds) == 2 and bounds[0] >= bounds[1]):
        yield f"`write_low` and `write_high` are {' and '.join(f'{b:g}' for b in bounds)}", "finite numbers, low < high"


def _of_its_type(point: Point, quirks: Quirks) -> Iterator[tuple[str, str]]:  # noqa: ARG001 - one form for all checks
    if (point.type == "bool") != (point.function in (1, 2)):
        yield (
            f"type {point.type} with function {point.function}",
            "functions 1 and 2 give bool, 3 and 4 give numbers; a bool in a register is `uint16` with `bit`",
        )
    if point.type == "string" and not point.length:
        yield "a string without `length`", "give the number of its registers, two characters each"
    if point.type != "string" and point.length:
        yield f"`length` with type {point.type}", "only a string has a length of its own"
    if point.not_available and point.type in ("bool", "string"):
        yield f"`not_available` with type {point.type}", "only numbers have patterns that mean none"
    for pattern in point.not_available:
        if point.type not in ("bool", "string") and not 0 <= pattern < 1 << 16 * point.registers:
            yield (
                f"`not_available` {pattern} does not fit into {point.type}",
                "give the unsigned number that the bits make: -1 of an int16 is 0xffff",
            )


def _of_its_field(point: Point, quirks: Quirks) -> Iterator[tuple[str, str]]:  # noqa: ARG001
    if point.picked is None:
        return
    first, last = point.picked
    if point.bit is not None and point.bits is not None:
        yield "`bit` and `bits`", "`bit` gives a bool, `bits = [first, last]` a number: give one of them"
    if point.type not in ("uint16", "uint32", "uint64"):
        yield f"`bit` or `bits` with type {point.type}", "they pick from uint16, uint32 or uint64"
    elif first > last or last >= 16 * point.registers:
        yield (
            f"bits {first} to {last} of a {point.type}",
            f"first ≤ last, from 0 (the least significant) to {16 * point.registers - 1}",
        )
    if point.writable:
        yield (
            "writable with `bit` or `bits`",
            "a write replaces the whole register: let a point without them be written",
        )


def _of_its_meaning(point: Point, quirks: Quirks) -> Iterator[tuple[str, str]]:  # noqa: ARG001
    if point.is_scaled and (point.type in ("bool", "string") or point.bit is not None or point.values):
        yield "`scale` or `offset` of what is no number", "leave them out for bool, string, `bit` and `values`"
    if not point.values:
        return
    if point.type in ("string", "float32", "float64"):
        yield f"`values` with type {point.type}", "words are given to whole numbers"
    words = list(point.values.values())
    if not all(words) or len(set(words)) < len(words):
        yield "`values` with a word that is empty or stands twice", "each number has a word of its own"

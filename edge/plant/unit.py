"""One simulated device: a profile's registers filled from a source's signals, and the count of what it served and took.

A reply is one snapshot: the source is asked once for all the registers of a request. The device keeps to its profile's
quirks, so a planner that does not is refused as the real device would refuse it. A write is done whole or not at all.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from edge.config.profiles.modbus import WRITTEN_MAX, ModbusProfile, Point, RegisterType
from edge.contract.types import Quality, Value
from edge.errors import ConfigError
from edge.registers import from_words, pack, unpack, words

BITS_MAX = 2000
NUMBER_TAG = "reading_number"
"""The point of this name counts the read requests that cover it: the plant's own number for each poll."""

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3


class Source(Protocol):
    """What stands behind a device. ``signals`` gives the same answer until the source itself goes on."""

    model: str

    def step(self, dt_h: float) -> None: ...
    def signals(self) -> dict[str, Value]: ...
    def asked(self, tags: tuple[str, ...]) -> None:
        """A request for these tags is about to be answered."""

    def served(self, tags: tuple[str, ...]) -> None:
        """These tags went out in good order."""

    def take(self, values: dict[str, Value]) -> bool:
        """Whether it takes these setpoints, by tag: all of them from now on, or none."""


@dataclass(slots=True)
class LineFaults:
    """What the line does to one asset's frames."""

    dead: bool = False
    corrupted: float = 0.0
    late_ms: float = 0.0

    def words(self) -> Iterator[str]:
        if self.dead:
            yield "dead_unit"
        if self.corrupted:
            yield f"noisy_line probability={self.corrupted:g}"
        if self.late_ms:
            yield f"late_replies ms={self.late_ms:g}"


@dataclass(slots=True)
class Station:
    """One asset of the plant: its source, its line faults, and the plant's own count of what was served.

    ``served``: for each tag how many replies that cover it went out in good order. ``replies``: how many replies went
    out ``good``, ``corrupted`` or ``late`` (late ones are good too), and how many requests met ``silence``.
    ``written``: for each tag how many writes were done, whether or not their reply was heard.
    """

    asset: str
    source: Source
    faults: LineFaults = field(default_factory=LineFaults)
    served: Counter[str] = field(default_factory=Counter)
    replies: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)

    def sent(self, tags: tuple[str, ...], *, late: bool) -> None:
        self.served.update(tags)
        self.replies["good"] += 1
        self.replies["late"] += late
        self.source.served(tags)


@dataclass(frozen=True, slots=True)
class Reply:
    """Registers (functions 3 and 4) or bits (1 and 2) with the tags that they carry; or a Modbus exception code."""

    numbers: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    exception: int = 0


class Unit:
    """The device at one unit id of one line. Raises ``ConfigError`` where its profile has what its source has not."""

    def __init__(self, station: Station, profile: ModbusProfile, *, where: str) -> None:
        self.station, self._profile = station, profile
        self._reading_number = 0
        self._spaces = {function: _Space(profile, function) for function in (1, 2, 3, 4)}
        self._writable = [p for p in profile.point if p.writable and p.function == 3]
        known = {*station.source.signals(), NUMBER_TAG}
        strange = sorted({point.tag for point in profile.point} - known)
        if strange:
            raise ConfigError(
                where, f"profile {profile.device.id} has {strange[0]!r}, the {station.source.model} has not",
                f"it has {', '.join(sorted(known))}",
            )  # fmt: skip

    def read(self, function: int, address: int, count: int) -> Reply:
        """Answer one read as the device would: its registers, or the exception that it must give."""
        if function not in self._spaces:
            return Reply(exception=ILLEGAL_FUNCTION)
        if not 1 <= count <= (BITS_MAX if function < 3 else self._profile.quirks.registers_max):
            return Reply(exception=ILLEGAL_VALUE)
        space = self._spaces[function]
        if not space.holds(address, count):
            return Reply(exception=ILLEGAL_ADDRESS)
        points = space.covered(address, count)
        tags = tuple(point.tag for point in points)
        self.station.source.asked(tags)
        self._reading_number += NUMBER_TAG in tags
        signals = self.station.source.signals() | {NUMBER_TAG: self._reading_number}
        numbers = space.fixed(address, count)
        for point in space.touched(address, count):
            for i, number in enumerate(_numbers(point, signals[point.tag]), point.address - address):
                if 0 <= i < count:
                    # Bit fields share their register.
                    numbers[i] = number if point.picked is None else numbers[i] | number
        return Reply(numbers=tuple(numbers), tags=tags)

    def write(self, function: int, address: int, numbers: Sequence[int]) -> Reply:
        """Take registers (function 6: one, 16: several) as the device would, or give its exception."""
        points = self._writable
        if not points or (function == 6 and self._profile.quirks.write_multiple_only):
            return Reply(exception=ILLEGAL_FUNCTION)
        if not 1 <= len(numbers) <= WRITTEN_MAX:
            return Reply(exception=ILLEGAL_VALUE)
        end = address + len(numbers)
        written = [p for p in points if address <= p.address and p.address + p.registers <= end]
        if sum(p.registers for p in written) != len(numbers):
            return Reply(exception=ILLEGAL_ADDRESS)
        values: dict[str, Value] = {}
        for point in written:
            start = point.address - address
            value, quality, _ = unpack(point, from_words(numbers[start : start + point.registers]))
            if quality is not Quality.GOOD:
                return Reply(exception=ILLEGAL_VALUE)
            values[point.tag] = value
        if not self.station.source.take(values):
            return Reply(exception=ILLEGAL_VALUE)
        self.station.written.update(values.keys())
        return Reply()


class _Space:
    """The addresses of one function. Holes no wider than the profile's ``gap_max`` read as 0, others do not exist."""

    def __init__(self, profile: ModbusProfile, function: int) -> None:
        self._points = sorted((p for p in profile.point if p.function == function), key=lambda p: p.address)
        self._fixed: dict[int, int] = {}
        if profile.probe is not None and profile.probe.function == function:
            self._fixed = dict(enumerate(profile.probe.equals, profile.probe.address))
        used = sorted({a for p in self._points for a in range(p.address, p.address + p.registers)} | set(self._fixed))
        self._exists = set(used)
        for left, right in itertools.pairwise(used):
            if right - left - 1 <= profile.quirks.gap_max:
                self._exists.update(range(left, right))

    def holds(self, address: int, count: int) -> bool:
        return all(a in self._exists for a in range(address, address + count))

    def fixed(self, address: int, count: int) -> list[int]:
        return [self._fixed.get(a, 0) for a in range(address, address + count)]

    def covered(self, address: int, count: int) -> list[Point]:
        """Points that lie whole in the request."""
        return [p for p in self._points if address <= p.address and p.address + p.registers <= address + count]

    def touched(self, address: int, count: int) -> list[Point]:
        return [p for p in self._points if p.address < address + count and address < p.address + p.registers]


def _numbers(point: Point, value: Value) -> tuple[int, ...]:
    """The registers (or the bit) of one value; the device's own word for "none" where the value is missing."""
    if point.type == "bool":
        return (pack(point, value)[0] if point.values else int(bool(value)),)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _none(point)
    return words(pack(point, value, clamp=True))


def _none(point: Point) -> tuple[int, ...]:
    if point.not_available:
        return words(pack(_bare(point, _UNSIGNED[point.registers]), point.not_available[0], clamp=True))
    assert point.type in ("float32", "float64"), f"{point.tag}: an integer register cannot say that it has no value"
    return words(pack(_bare(point, point.type), math.nan, clamp=True))


def _bare(point: Point, kind: RegisterType) -> Point:
    """The same registers, without scale and offset, as another type of the same width."""
    return msgspec.structs.replace(point, type=kind, scale=1.0, offset=0.0, bit=None, bits=None, values={})


_UNSIGNED: dict[int, RegisterType] = {1: "uint16", 2: "uint32", 4: "uint64"}

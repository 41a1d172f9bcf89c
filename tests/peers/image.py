"""What a Modbus peer holds: four tables, each value at its own address, packed by struct alone."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge.config.profiles.modbus import ModbusProfile, Point, Quirks
from edge.config.profiles.signal import Device

TYPES = {
    "uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q",
    "float32": "f", "float64": "d",
}  # fmt: skip
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
TRUTH: dict[str, float | int] = {
    "uint16": 51966, "int16": -12345, "uint32": 4275878552, "int32": -1985229329, "uint64": 0xFEDCBA9876543210,
    "int64": -8613303245920329199, "float32": -12.375, "float64": 6.02214076e23,
}  # fmt: skip


@dataclass
class Image:
    """Bits and registers by address: ``coils`` (1), ``inputs`` (2), ``holding`` (3), ``input`` (4)."""

    tables: dict[int, dict[int, int]] = field(default_factory=lambda: {1: {}, 2: {}, 3: {}, 4: {}})

    def put(self, function: int, address: int, data: bytes) -> None:
        for i in range(0, len(data), 2):
            self.tables[function][address + i // 2] = int.from_bytes(data[i : i + 2], "big")

    def reply(self, function: int, address: int, count: int) -> bytes:
        """The honest reply's PDU: data, or exception 1 (no such function) or 2 (no such address)."""
        table = self.tables.get(function)
        if table is None:
            return bytes((function | 0x80, 1))
        if any(a not in table for a in range(address, address + count)):
            return bytes((function | 0x80, 2))
        numbers = [table[a] for a in range(address, address + count)]
        if function >= 3:
            data = struct.pack(f">{count}H", *numbers)
        else:
            data = sum(bit << i for i, bit in enumerate(numbers)).to_bytes((count + 7) // 8, "little")
        return bytes((function, len(data))) + data

    def lines(self) -> Iterable[str]:
        """As a peer of another language reads it: function, address, value."""
        for function, table in self.tables.items():
            for address, value in table.items():
                yield f"{function} {address} {value}"


def wire_bytes(kind: str, order: str, value: float) -> bytes:
    """``value`` in the order in which its bytes travel, spelt out letter by letter."""
    plain = struct.pack(">" + TYPES[kind], value)
    words = [plain[i : i + 2] for i in range(0, len(plain), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


def profile_of(points: Iterable[Point], **quirks: Any) -> ModbusProfile:
    return ModbusProfile(
        device=Device(id="under-test", products=("a peer",), source="the test itself"),
        point=tuple(points),
        quirks=Quirks(**quirks),
    )


def everything() -> tuple[Image, ModbusProfile, list[float | int | bool]]:
    """An image, a profile of every type in every order at functions 3 and 4 and of bits at 1 and 2, and the truth."""
    image, points, truth = Image(), [], []
    for function in (3, 4):
        address = 7
        for kind in TYPES:
            for order in ORDERS:
                data = wire_bytes(kind, order, TRUTH[kind])
                image.put(function, address, data)
                tag = f"f{function}_{kind}_{order.lower()}"
                points.append(Point(tag=tag, function=function, address=address, type=kind, order=order))  # type: ignore[arg-type]
                truth.append(TRUTH[kind])
                address += len(data) // 2
    for function in (1, 2):
        for i in range(19):
            bit = (i * i + function) % 3 == 0
            image.tables[function][i] = int(bit)
            points.append(Point(tag=f"bit{function}_{i}", function=function, address=i, type="bool"))  # type: ignore[arg-type]
            truth.append(bit)
    # The profile's order is not the addresses' order, and answers follow the profile.
    order_of_points = sorted(range(len(points)), key=lambda i: (i * 37) % len(points))
    return image, profile_of(points[i] for i in order_of_points), [truth[i] for i in order_of_points]

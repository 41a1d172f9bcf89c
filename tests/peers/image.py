"""What a Modbus peer holds: four tables, each value at its own address, packed by struct alone."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge.config.profiles.modbus import ModbusProfile, Point, Quirks
from edge.config.profiles.signal import Device
from edge.contract.types import Value

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
    """Bits and registers by address: coils (1), discrete inputs (2), holding (3) and input registers (4).

    ``identity`` is what it says of itself, by object number, at most ``objects_max`` of them a reply.
    """

    tables: dict[int, dict[int, int]] = field(default_factory=lambda: {1: {}, 2: {}, 3: {}, 4: {}})
    identity: dict[int, bytes] = field(default_factory=dict)
    objects_max: int = 9

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

    def answer(self, pdu: bytes) -> bytes:
        """The honest reply's PDU to any request; writes are done."""
        function = pdu[0]
        if function in (5, 6, 15, 16):
            return self._write(function, pdu)
        if function == 23:
            address, count, write_address, written = struct.unpack(">HHHH", pdu[1:9])
            refusal = self._put_checked(3, write_address, struct.unpack(f">{written}H", pdu[10:]))
            reply = self.reply(3, address, count)
            return bytes((function | 0x80, 2)) if refusal or reply[0] & 0x80 else bytes((23,)) + reply[1:]
        if function == 43 and self.identity:
            return self._identified(level=pdu[2], first=pdu[3])
        if function > 4:
            return bytes((function | 0x80, 1))
        return self.reply(function, *struct.unpack(">HH", pdu[1:5]))

    def _write(self, function: int, pdu: bytes) -> bytes:
        address, count = struct.unpack(">HH", pdu[1:5])
        if function == 5:
            numbers: tuple[int, ...] = (int(count == 0xFF00),)
        elif function == 6:
            numbers = (count,)
        elif function == 15:
            numbers = tuple(pdu[6 + i // 8] >> i % 8 & 1 for i in range(count))
        else:
            numbers = struct.unpack(f">{count}H", pdu[6:])
        refused = self._put_checked(1 if function in (5, 15) else 3, address, numbers)
        return bytes((function | 0x80, 2)) if refused else pdu[:5]

    def _put_checked(self, table: int, address: int, numbers: tuple[int, ...]) -> bool:
        """Whether it was refused, for want of an address; else it is done."""
        held = self.tables[table]
        if any(address + i not in held for i in range(len(numbers))):
            return True
        held.update(enumerate(numbers, address))
        return False

    def _identified(self, *, level: int, first: int) -> bytes:
        last = {1: 2, 2: 6}[level]
        numbers = [n for n in sorted(self.identity) if first <= n <= last]
        now, later = numbers[: self.objects_max], numbers[self.objects_max :]
        conformity = 0x82 if max(self.identity) > 2 else 0x81
        head = bytes((43, 14, level, conformity, 0xFF if later else 0, later[0] if later else 0, len(now)))
        return head + b"".join(bytes((n, len(self.identity[n]))) + self.identity[n] for n in now)

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


ODD: tuple[tuple[dict[str, Any], str, str, Value], ...] = (
    # What a point says beside its place, its order, its registers as they travel, and the value.
    ({"type": "bcd16"}, "ABCD", "4711", 4711),
    ({"type": "bcd32"}, "CDAB", "56780123", 1235678),
    ({"type": "bcd64", "scale": 0.5}, "BADC", "3412785612905634", 1234567890123456 * 0.5),
    ({"type": "string", "length": 4}, "ABCD", "5053542d39000000", "PST-9"),
    ({"type": "string", "length": 3}, "BADC", "5550504d0033", "PUMP3"),
    ({"type": "uint16", "bit": 3}, "ABCD", "0008", True),
    ({"type": "uint32", "bits": (4, 11)}, "CDAB", "0ab00000", 0xAB),
    ({"type": "uint16", "values": {0: "stopped", 3: "running"}}, "ABCD", "0003", "running"),
    ({"type": "float32", "not_available": (0x7FC00000,)}, "ABCD", "41200000", 10.0),
)


def everything() -> tuple[Image, ModbusProfile, list[Value]]:
    """An image, a profile of every type in every order at functions 3 and 4 and of bits at 1 and 2, and the truth."""
    image, points = Image(), []
    truth: list[Value] = []
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
        for i, (fields, order, wire, value) in enumerate(ODD):
            image.put(function, address, bytes.fromhex(wire))
            where: dict[str, Any] = {"tag": f"f{function}_odd_{i}", "function": function, "address": address}
            points.append(Point(**where, **fields, order=order))  # type: ignore[arg-type]
            truth.append(value)
            address += len(wire) // 4
    for function in (1, 2):
        for i in range(19):
            bit = (i * i + function) % 3 == 0
            image.tables[function][i] = int(bit)
            points.append(Point(tag=f"bit{function}_{i}", function=function, address=i, type="bool"))  # type: ignore[arg-type]
            truth.append(bit)
    # The profile's order is not the addresses' order, and answers follow the profile.
    order_of_points = sorted(range(len(points)), key=lambda i: (i * 37) % len(points))
    return image, profile_of(points[i] for i in order_of_points), [truth[i] for i in order_of_points]

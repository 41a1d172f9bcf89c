"""How a value lies in 16-bit registers: pure packing and unpacking, shared by drivers and the simulated plant."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from edge.config.profiles.modbus import Point
from edge.contract.types import Quality, Value

_FORMAT = {
    "uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "uint64": ">Q", "int64": ">q",
    "float32": ">f", "float64": ">d",
}  # fmt: skip
_LIMITS = {
    "uint16": (0, 2**16 - 1), "int16": (-(2**15), 2**15 - 1), "uint32": (0, 2**32 - 1),
    "int32": (-(2**31), 2**31 - 1), "uint64": (0, 2**64 - 1), "int64": (-(2**63), 2**63 - 1),
}  # fmt: skip


def _ordered(data: bytes, order: str) -> bytes:
    """Bytes from wire order to ABCD, or back: each of the four orders is its own inverse."""
    if order in ("BADC", "DCBA"):
        data = b"".join(data[i + 1 : i + 2] + data[i : i + 1] for i in range(0, len(data), 2))
    if order in ("CDAB", "DCBA"):
        data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))
    return data


def unpack(point: Point, registers: bytes) -> tuple[Value, Quality, str]:
    """The value of ``point`` from its registers' bytes as they arrived, with its quality and, where bad, the reason.

    A scale of 1 and an offset of 0 leave integers integers. Not-available sentinels are the device's own word for
    "none" (``BAD_DEVICE``); a float that is not finite cannot be a measurement (``BAD_DECODE``).
    """
    raw = struct.unpack(_FORMAT[point.type], _ordered(registers, point.order))[0]
    if point.not_available and _sentinel(point, registers) in point.not_available:
        return None, Quality.BAD_DEVICE, "not available"
    if isinstance(raw, float) and not math.isfinite(raw):
        return None, Quality.BAD_DECODE, f"{raw} is no measurement"
    if point.scale == 1.0 and point.offset == 0.0:
        return raw, Quality.GOOD, ""
    value = raw * point.scale + point.offset
    if not math.isfinite(value):
        return None, Quality.BAD_DECODE, f"{value} is no measurement"
    return value, Quality.GOOD, ""


def _sentinel(point: Point, registers: bytes) -> int:
    return int.from_bytes(_ordered(registers, point.order), "big")


def pack(point: Point, value: float | int) -> bytes:
    """The registers' bytes that ``unpack`` turns back into ``value`` to the point's resolution; clamped to range."""
    raw = (value - point.offset) / point.scale if (point.scale, point.offset) != (1.0, 0.0) else value
    if point.type in _LIMITS:
        low, high = _LIMITS[point.type]
        raw = min(max(round(raw), low), high)
    return _ordered(struct.pack(_FORMAT[point.type], raw), point.order)


def words(data: bytes) -> tuple[int, ...]:
    """Registers as unsigned numbers."""
    return struct.unpack(f">{len(data) // 2}H", data)


def from_words(numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)

"""How a value lies in 16-bit registers: pure packing and unpacking, shared by drivers and the simulated plant."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from edge.config.profiles.modbus import Point
from edge.contract.types import Quality, Value

_FORMAT = {
    "uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "uint64": ">Q", "int64": ">q",
    "float32": ">f", "float64": ">d", "bcd16": ">H", "bcd32": ">I", "bcd64": ">Q",
}  # fmt: skip
_LIMITS = {
    "uint16": (0, 2**16 - 1), "int16": (-(2**15), 2**15 - 1), "uint32": (0, 2**32 - 1),
    "int32": (-(2**31), 2**31 - 1), "uint64": (0, 2**64 - 1), "int64": (-(2**63), 2**63 - 1),
    "bcd16": (0, 10**4 - 1), "bcd32": (0, 10**8 - 1), "bcd64": (0, 10**16 - 1), "bool": (0, 1),
}  # fmt: skip
_FLOAT_LIMITS = {"float32": (2 - 2**-23) * 2.0**127, "float64": math.inf}

Meaning = tuple[Value, Quality, str]
"""A value with its quality and, where bad, the reason."""


def _ordered(data: bytes, order: str) -> bytes:
    """Bytes from wire order to ABCD, or back: each of the four orders is its own inverse."""
    if order in ("BADC", "DCBA"):
        data = b"".join(data[i + 1 : i + 2] + data[i : i + 1] for i in range(0, len(data), 2))
    if order in ("CDAB", "DCBA"):
        data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))
    return data


def unpack(point: Point, registers: bytes) -> Meaning:
    """The value of ``point`` from its registers' bytes as they arrived (of a bool: one byte, 0 or 1).

    A scale of 1 and an offset of 0 leave integers integers. Not-available sentinels are the device's own word for
    "none" (``BAD_DEVICE``). ``BAD_DECODE`` is a float that is not finite, for it cannot be a measurement; digits that
    are no decimal ones; text that is not printable ASCII; a number without a word in ``values``.
    """
    if point.type == "bool":
        return meaning(point, bool(registers[-1] & 1))
    data = _ordered(registers, point.order)
    if point.type == "string":
        return meaning(point, data)
    if point.not_available and int.from_bytes(data, "big") in point.not_available:
        return None, Quality.BAD_DEVICE, "not available"
    return meaning(point, struct.unpack(_FORMAT[point.type], data)[0])


def meaning(point: Point, raw: float | bytes) -> Meaning:
    """The value of ``point`` whose registers, or whose bit, read ``raw``; a string's are bytes, in order."""
    if isinstance(raw, bytes):
        return _text(raw)
    if point.type.startswith("bcd"):
        digits = f"{raw:x}"
        if not digits.isdecimal():
            return None, Quality.BAD_DECODE, f"0x{digits} is no binary-coded decimal"
        raw = int(digits)
    if point.picked is not None:
        assert isinstance(raw, int)
        raw = _field(raw, point.picked)
        raw = raw if point.bit is None else bool(raw)
    if point.values:
        word = point.values.get(int(raw))
        return (word, Quality.GOOD, "") if word else (None, Quality.BAD_DECODE, f"{int(raw)} has no word in `values`")
    value = raw
    if point.is_scaled and not isinstance(raw, bool):
        value = raw * point.scale + point.offset if point.offset else raw * point.scale
    if isinstance(value, float) and not math.isfinite(value):
        return None, Quality.BAD_DECODE, f"{value} is no measurement"
    return value, Quality.GOOD, ""


def _field(raw: int, bits: tuple[int, int]) -> int:
    first, last = bits
    return raw >> first & (1 << last - first + 1) - 1


def _text(data: bytes) -> Meaning:
    """What lies between NULs and spaces; a NUL within ends it, as in C."""
    characters = data.strip(b"\0 ").split(b"\0")[0].rstrip(b" ")
    text = characters.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        return None, Quality.BAD_DECODE, f"{characters[:16]!r} is no printable ASCII"
    return text, Quality.GOOD, ""


def pack(point: Point, value: Value, *, clamp: bool = False) -> bytes:
    """The registers' bytes that ``unpack`` turns back into ``value`` to the point's resolution (of a bool: one byte).

    The bits beside a ``bit`` or ``bits`` are 0. Raises ``ValueError`` where ``value`` does not fit; with ``clamp`` a
    number that does not gives way to the nearest that does, and a float may be NaN.
    """
    if point.type == "string":
        return _ordered(_characters(point, value), point.order)
    raw = _raw(point, value)
    if point.type in _FLOAT_LIMITS:
        raw = _within(point, raw, -_FLOAT_LIMITS[point.type], _FLOAT_LIMITS[point.type], clamp)
        return _ordered(struct.pack(_FORMAT[point.type], raw), point.order)
    low, high = _LIMITS[point.type] if point.picked is None else (0, (2 << point.picked[1] - point.picked[0]) - 1)
    number = round(_within(point, raw, low, high, clamp))
    if point.type == "bool":
        return bytes((number,))
    if point.type.startswith("bcd"):
        number = int(str(number), 16)
    data = struct.pack(_FORMAT[point.type], number << point.picked[0] if point.picked else number)
    if not clamp and int.from_bytes(data, "big") in point.not_available:
        raise ValueError(f"{value} is how the device says that it has no value")
    return _ordered(data, point.order)


def _raw(point: Point, value: Value) -> float:
    """The number that stands for ``value``, not yet rounded."""
    if point.values:
        for number, word in point.values.items():
            if word == value:
                return number
        raise ValueError(f"{value!r} is none of {', '.join(point.values.values())}")
    if not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")  # noqa: TRY004 - one error for every value that does not fit
    return (value - point.offset) / point.scale if point.is_scaled else value


def _within(point: Point, raw: float, low: float, high: float, clamp: bool) -> float:
    if clamp:
        return raw if raw != raw else min(max(raw, low), high)
    if not math.isfinite(raw) or not low <= (raw if isinstance(high, float) else round(raw)) <= high:
        raise ValueError(f"raw value {raw:g} does not fit into {point.type}: {low:g} to {high:g}")
    return raw


def _characters(point: Point, value: Value) -> bytes:
    room = 2 * point.length
    if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
        raise ValueError(f"{value!r} is no printable ASCII without spaces around it")
    if len(value) > room:
        raise ValueError(f"{value!r} is longer than {room} characters")
    return value.encode("ascii").ljust(room, b"\0")


def words(data: bytes) -> tuple[int, ...]:
    """Registers as unsigned numbers."""
    return struct.unpack(f">{len(data) // 2}H", data)


def from_words(numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)

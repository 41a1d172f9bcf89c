"""How values lie in registers: by hand, and back again for every point that a profile may have."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.profiles.modbus import Point
from edge.contract.types import Quality, Value
from edge.registers import pack, unpack


def point(**fields: Any) -> Point:
    everything: dict[str, Any] = {"tag": "t", "function": 3, "address": 0} | fields
    return Point(**everything)


@pytest.mark.parametrize(
    ("fields", "wire", "value"),
    [
        ({"type": "bcd16"}, "1234", 1234),
        ({"type": "bcd16", "order": "BADC"}, "3412", 1234),
        ({"type": "bcd16", "scale": 0.01}, "1234", 12.34),
        ({"type": "bcd32"}, "00123456", 123456),
        ({"type": "bcd32", "order": "CDAB"}, "34560012", 123456),
        ({"type": "bcd64"}, "1234567890123456", 1234567890123456),
        ({"type": "string", "length": 3}, "414243440000", "ABCD"),
        ({"type": "string", "length": 3}, "204142202020", "AB"),
        ({"type": "string", "length": 3}, "414200434445", "AB"),
        ({"type": "string", "length": 2}, "00000000", ""),
        ({"type": "string", "length": 3, "order": "BADC"}, "424144430000", "ABCD"),
        ({"type": "string", "length": 2, "order": "CDAB"}, "43444142", "ABCD"),
        ({"type": "string", "length": 2, "order": "DCBA"}, "44434241", "ABCD"),
        ({"type": "uint16", "bit": 0}, "0001", True),
        ({"type": "uint16", "bit": 15}, "7fff", False),
        ({"type": "uint16", "bit": 8, "order": "BADC"}, "0001", True),
        ({"type": "uint32", "bit": 17}, "00020000", True),
        ({"type": "uint16", "bits": (4, 7)}, "12f4", 15),
        ({"type": "uint16", "bits": (0, 15)}, "12f4", 0x12F4),
        ({"type": "uint32", "bits": (12, 19), "scale": 0.5}, "000ab000", 0xAB / 2),
        ({"type": "uint16", "values": {0: "stopped", 2: "running"}}, "0002", "running"),
        ({"type": "int16", "values": {-1: "fault"}}, "ffff", "fault"),
        ({"type": "uint16", "bits": (1, 2), "values": {0: "off", 3: "auto"}}, "0006", "auto"),
        ({"type": "uint16", "bit": 3, "values": {0: "closed", 1: "open"}}, "0008", "open"),
        ({"type": "int16", "scale": 0.1, "offset": -40.0}, "ff9c", -50.0),
        ({"type": "bool", "function": 1}, "01", True),
        ({"type": "bool", "function": 2, "values": {0: "closed", 1: "open"}}, "00", "closed"),
    ],
)  # fmt: skip
def test_by_hand(fields: dict[str, Any], wire: str, value: Value) -> None:
    made = point(**fields)
    got, quality, detail = unpack(made, bytes.fromhex(wire))
    assert (quality, detail) == (Quality.GOOD, "")
    assert got == pytest.approx(value) if isinstance(value, float) else got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("fields", "wire", "quality", "words"),
    [
        ({"type": "bcd16"}, "12a4", Quality.BAD_DECODE, "0x12a4 is no binary-coded decimal"),
        ({"type": "bcd16", "not_available": (0xFFFF,)}, "ffff", Quality.BAD_DEVICE, "not available"),
        ({"type": "string", "length": 2}, "41c34243", Quality.BAD_DECODE, "b'A\\xc3BC' is no printable ASCII"),
        ({"type": "string", "length": 1}, "4107", Quality.BAD_DECODE, "b'A\\x07' is no printable ASCII"),
        ({"type": "uint16", "values": {0: "stopped"}}, "0007", Quality.BAD_DECODE, "7 has no word in `values`"),
        ({"type": "uint16", "bit": 0, "not_available": (0x8000,)}, "8000", Quality.BAD_DEVICE, "not available"),
        ({"type": "int32", "not_available": (0x80000000,)}, "80000000", Quality.BAD_DEVICE, "not available"),
        ({"type": "int32", "not_available": (0x80000000,), "order": "CDAB"}, "00008000", Quality.BAD_DEVICE,
         "not available"),
        ({"type": "float32", "not_available": (0x7FC00000,)}, "7fc00000", Quality.BAD_DEVICE, "not available"),
        ({"type": "float32", "not_available": (0x7FC00000,)}, "7fc00001", Quality.BAD_DECODE, "nan is no measurement"),
        ({"type": "float64"}, "fff0000000000000", Quality.BAD_DECODE, "-inf is no measurement"),
        ({"type": "float64", "scale": 1e300}, "7fe0000000000000", Quality.BAD_DECODE, "inf is no measurement"),
    ],
)  # fmt: skip
def test_what_is_no_value_says_why(fields: dict[str, Any], wire: str, quality: Quality, words: str) -> None:
    assert unpack(point(**fields), bytes.fromhex(wire)) == (None, quality, words)


@st.composite
def points_and_values(draw: st.DrawFn) -> tuple[Point, Value]:
    """Any point of any type and a value that it can hold."""
    order = draw(st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]))
    kind = draw(st.sampled_from(["int", "bcd", "float", "string", "bit", "bits", "values", "scaled"]))
    bits = draw(st.sampled_from([16, 32, 64]))
    if kind == "int":
        signed = draw(st.booleans())
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        return point(type=f"{'' if signed else 'u'}int{bits}", order=order), draw(st.integers(low, high))
    if kind == "bcd":
        return point(type=f"bcd{bits}", order=order), draw(st.integers(0, 10 ** (bits // 4) - 1))
    if kind == "float":
        width = draw(st.sampled_from([32, 64]))
        number = st.floats(allow_nan=False, allow_infinity=False, width=width)  # type: ignore[arg-type]
        return point(type=f"float{width}", order=order), draw(number)
    if kind == "string":
        length = draw(st.integers(1, 20))
        text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=2 * length).map(str.strip)
        return point(type="string", length=length, order=order), draw(text)
    if kind == "bit":
        return point(type=f"uint{bits}", bit=draw(st.integers(0, bits - 1)), order=order), draw(st.booleans())
    if kind == "bits":
        first = draw(st.integers(0, bits - 1))
        last = draw(st.integers(first, bits - 1))
        field = draw(st.integers(0, (1 << last - first + 1) - 1))
        return point(type=f"uint{bits}", bits=(first, last), order=order), field
    if kind == "values":
        words = draw(st.dictionaries(st.integers(0, 65535), st.uuids().map(str), min_size=1, max_size=5))
        return point(type=f"uint{bits}", values=words, order=order), draw(st.sampled_from(sorted(words.values())))
    return point(type="int16", scale=0.5, offset=-40.0, order=order), draw(st.integers(-32768, 32767)) * 0.5 - 40.0


@given(points_and_values())
def test_what_was_packed_is_unpacked(drawn: tuple[Point, Value]) -> None:
    made, value = drawn
    data = pack(made, value)
    assert len(data) == 2 * made.registers
    assert unpack(made, data) == (value, Quality.GOOD, "")


@given(points_and_values(), st.data())
def test_any_bytes_give_a_value_or_a_reason(drawn: tuple[Point, Value], data: st.DataObject) -> None:
    size = 2 * drawn[0].registers
    value, quality, detail = unpack(drawn[0], data.draw(st.binary(min_size=size, max_size=size)))
    assert (value is None) == quality.is_bad == bool(detail)


@pytest.mark.parametrize(
    ("fields", "value", "words"),
    [
        ({"type": "uint16"}, 65536, "raw value 65536 does not fit into uint16: 0 to 65535"),
        ({"type": "uint16"}, -1, "does not fit into uint16"),
        ({"type": "int16", "scale": 0.1}, 4000.0, "raw value 40000 does not fit into int16"),
        ({"type": "uint16"}, math.nan, "raw value nan does not fit"),
        ({"type": "float32"}, math.inf, "raw value inf does not fit"),
        ({"type": "float32"}, 1e39, "does not fit into float32"),
        ({"type": "bcd16"}, 10000, "does not fit into bcd16: 0 to 9999"),
        ({"type": "uint16", "bits": (0, 3)}, 16, "0 to 15"),
        ({"type": "uint16"}, "on", "'on' is no number"),
        ({"type": "uint16"}, None, "None is no number"),
        ({"type": "uint16", "values": {0: "off", 1: "on"}}, "auto", "'auto' is none of off, on"),
        ({"type": "uint16", "not_available": (0xFFFF,)}, 65535, "is how the device says that it has no value"),
        ({"type": "string", "length": 1}, "ABC", "longer than 2 characters"),
        ({"type": "string", "length": 2}, "é", "no printable ASCII"),
        ({"type": "string", "length": 2}, 12, "no printable ASCII"),
        ({"type": "bool", "function": 1}, 2, "does not fit into bool"),
    ],
)
def test_a_value_that_does_not_fit_is_not_packed(fields: dict[str, Any], value: Value, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pack(point(**fields), value)


def test_the_plant_takes_the_nearest_number_that_fits() -> None:
    assert pack(point(type="uint16"), 1e9, clamp=True) == b"\xff\xff"
    assert pack(point(type="int16", scale=0.1), -1e9, clamp=True) == b"\x80\x00"
    assert pack(point(type="bcd16"), 12345, clamp=True) == b"\x99\x99"
    assert math.isnan(struct.unpack(">f", pack(point(type="float32"), math.nan, clamp=True))[0])
    assert unpack(point(type="float32"), pack(point(type="float32"), 1e39, clamp=True))[1] == Quality.GOOD

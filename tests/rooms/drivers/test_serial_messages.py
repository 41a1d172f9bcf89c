"""What serial messages say: fields, kinds of value, requests with their placeholders, and any bytes at all."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.profiles import load_profile
from edge.config.profiles.serial import (
    AskedMessage,
    Checksum,
    Factor,
    Field,
    Frame,
    Message,
    SerialPoint,
    SerialProfile,
    StreamProfile,
    as_bytes,
)
from edge.config.profiles.signal import Device
from edge.config.site import profiles_root
from edge.contract.types import Quality
from edge.drivers.serial_framer import Framer
from edge.drivers.serial_messages import Reader, answer_of, request_bytes
from edge.ports import Answer

PROFILES = [
    profile for path in sorted((profiles_root() / "devices").glob("*.toml"))
    if isinstance(profile := load_profile(path), SerialProfile | StreamProfile)
]  # fmt: skip


def point(**more: object) -> SerialPoint:
    return SerialPoint(**{"tag": "t", "message": "m", "field": "f", **more})  # type: ignore[arg-type]


def bad(detail: str, quality: Quality = Quality.BAD_DECODE) -> Answer:
    return Answer(None, quality, detail)


@pytest.mark.parametrize(
    ("of", "raw", "answer"),
    [
        (point(), "  12.50", Answer(12.5, Quality.GOOD)),
        (point(), "- 3", Answer(-3.0, Quality.GOOD)),
        (point(), "1_000", bad("'1_000' is no number")),
        (point(), "nan", bad("'nan' is no number")),
        (point(), "1e999", bad("not a finite number")),
        (point(), "1,5", bad("'1,5' is no number")),
        (point(), "", bad("'' is no number")),
        (point(), "٣", bad("'\\u0663' is no number")),
        (point(scale=0.1, offset=-40.0), "250", Answer(pytest.approx(-15.0), Quality.GOOD)),  # type: ignore[arg-type]
        (point(type="integer"), "-42", Answer(-42, Quality.GOOD)),
        (point(type="integer"), "4.2", bad("'4.2' is no integer")),
        (point(type="hex"), "00fF", Answer(255, Quality.GOOD)),
        (point(type="ddmm"), "4807.038", Answer(pytest.approx(48.1173), Quality.GOOD)),  # type: ignore[arg-type]
        (point(type="text"), " AB-7 ", Answer("AB-7", Quality.GOOD)),
        (point(type="text"), "a\x1d10b", Answer("a\x1d10b", Quality.GOOD)),
        (point(type="text"), "a\x1b[2J", bad("'a\\x1b[2J' is no plain text")),
        (point(type="text"), "a\x9b2J", bad("'a\\x9b2J' is no plain text")),
        (point(values={"0": False, "1": True}), "1", Answer(True, Quality.GOOD)),
        (point(values={"0": False, "1": True}), "2", bad("'2' is none of 0, 1")),
        (point(not_available=("---",)), "---", bad("not available", Quality.BAD_DEVICE)),
        (point(not_available=("32767",)), 32767, bad("not available", Quality.BAD_DEVICE)),
        (point(), 7, Answer(7, Quality.GOOD)),
        (point(), math.inf, bad("not a finite number")),
    ],
)  # fmt: skip
def test_a_field_becomes_the_value_that_its_point_means_or_says_why_not(
    of: SerialPoint, raw: str | float, answer: Answer
) -> None:
    assert answer_of(of, {"f": raw}) == answer


def test_a_value_in_another_unit_of_measure_is_converted_and_in_an_unknown_one_bad() -> None:
    of = point(factor=Factor(field="u", factors={"kg": 1.0, "lb": 0.45359237}))
    assert answer_of(of, {"f": "10", "u": " lb"}).value == pytest.approx(4.5359237)
    assert answer_of(of, {"f": "10", "u": "st"}) == bad("u is 'st', known are kg, lb")


FRAME = Frame(
    start="\x02", end="\x03",
    checksum=Checksum(kind="xor8", form="hex", place="after-end", covers_end=True, covers_start=True),
)  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "unit", "sent"),
    [
        ("R{unit}\r", 7, b"R7\r"),
        ("R{unit:02d}{unit:02X}{unit:x}", 171, b"R171ABab"),
        ("{unit:03d}", 7, b"007"),
        ("{unit:b}{{}}", 0xC8, b"\xc8{}"),
        ("\x02AB\x03{checksum}", 0, b"\x02AB\x0302"),
    ],
)
def test_a_request_is_filled_with_its_units_number_and_checksum(request_: str, unit: int, sent: bytes) -> None:
    assert request_bytes(AskedMessage(name="m", request=request_), FRAME, unit) == sent


def test_fields_of_binary_messages_keep_place_order_and_type() -> None:
    kinds = {"int16": ">h", "uint32": ">I", "float32": ">f", "float64": ">d", "int8": ">b", "uint64": ">Q"}
    values = {"int16": -2, "uint32": 3_000_000_000, "float32": 1.5, "float64": -0.1, "int8": -128, "uint64": 2**60}
    for order, sign in (("big", ">"), ("little", "<")):
        fields, data = [], b""
        for kind, code in kinds.items():
            fields.append(Field(name=kind, offset=len(data), type=kind, order=order))  # type: ignore[arg-type]
            data += struct.pack(sign + code[1], values[kind])
        profile = StreamProfile(
            device=Device(id="d", products=(), source="", protocol="serial-stream"), frame=Frame(bytes=len(data)),
            message=(Message(name="m", fields=tuple(fields), bytes=len(data)),),
            point=tuple(SerialPoint(tag=kind, message="m", field=kind) for kind in kinds),
        )  # fmt: skip
        said = Reader(profile, 1).read(data)
        assert said is not None
        assert [a.value for a in said.answers] == list(values.values())
        assert Reader(profile, 1).read(data + b"x") is None


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.device.id)
@given(data=st.data())
def test_any_bytes_say_something_of_every_point_of_a_message_or_nothing(
    profile: SerialProfile | StreamProfile, data: st.DataObject
) -> None:
    sample = as_bytes(data.draw(st.sampled_from(profile.sample)).receives)
    altered = bytearray(sample)
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(sample) - 1), st.integers(0, 255)), max_size=3)):
        altered[at] = byte
    stream = data.draw(st.sampled_from([bytes(altered), bytes(altered) + sample, data.draw(st.binary(max_size=200))]))
    framer, reader = Framer(profile.frame), Reader(profile, 1)
    for message in [*framer.feed(stream, 0), bytes(altered), stream]:
        said = reader.read(message)
        if said is not None:
            assert len(said.places) == len(said.answers)
            for answer in said.answers:
                assert (answer.value is None) == answer.quality.is_bad
                assert bool(answer.detail) == (answer.quality != Quality.GOOD)

"""The planner keeps to the device's limits, and decodes as ``edge.registers`` and pymodbus do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusTcpClient

from edge.config.profiles import load_profile
from edge.config.profiles.modbus import Point, Quirks
from edge.contract.types import Quality
from edge.drivers.modbus_plan import Plan, plan_blocks
from edge.drivers.modbus_questions import Reply, silent
from edge.errors import ConfigError
from edge.ports import Answer
from edge.registers import unpack
from tests.peers.image import ORDERS, TYPES, profile_of

numbers = st.sampled_from(sorted(TYPES))
KIND_OF = {t: getattr(ModbusTcpClient.DATATYPE, t.upper()) for t in TYPES}


@st.composite
def points(draw: st.DrawFn) -> list[Point]:
    """Points of all functions and types, anywhere and overlapping, in any order."""
    drawn = []
    for i in range(draw(st.integers(1, 25))):
        function = draw(st.sampled_from([1, 2, 3, 4]))
        place = {"tag": f"t{i}", "function": function, "address": draw(st.integers(0, 300))}
        odd = ODD_BITS if function < 3 else ODD if draw(st.booleans()) else [{}]
        number = {"type": "bool" if function < 3 else draw(numbers)} | {
            "scale": draw(st.sampled_from([1.0, 0.1, -2.5, 1e300])), "offset": draw(st.sampled_from([0.0, -40.0])),
            "not_available": draw(st.sampled_from([(), (0,), (0xFFFF,), (0x8000, 0x7FFF), FLOATS])),
        }  # fmt: skip
        fields: dict[str, Any] = place | number | {"order": draw(st.sampled_from(ORDERS))} | draw(st.sampled_from(odd))
        drawn.append(Point(**fields))
    return drawn


WORDS = {0: "off", 1: "on", 2: "auto"}
PLAIN = {"scale": 1.0, "offset": 0.0, "not_available": ()}
ODD: list[dict[str, Any]] = [
    {"type": "bcd16"}, {"type": "bcd32"}, {"type": "bcd64"}, {"type": "string", "length": 3} | PLAIN,
    {"type": "string", "length": 4} | PLAIN, {"type": "uint16", "bit": 9} | PLAIN, {"type": "uint32", "bits": (3, 20)},
    {"type": "uint16", "values": WORDS} | PLAIN, {"type": "uint64", "bits": (62, 63), "values": WORDS} | PLAIN,
]  # fmt: skip
ODD_BITS: list[dict[str, Any]] = [{} | PLAIN, {"values": WORDS} | PLAIN]
FLOATS = (0x7FC00000, 0x80000000, 0xC479C000)
"""NaN, minus zero (a number equal to another pattern) and -999.0."""
holes = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5)).map(lambda h: (h[0], h[0] + h[1])), max_size=8)
quirks = st.builds(
    Quirks, registers_max=st.integers(4, 125), gap_max=st.integers(0, 124), holes=holes.map(tuple)
)  # fmt: skip


@given(points(), quirks)
def test_every_point_is_in_one_block_that_keeps_to_the_limits(drawn: list[Point], limits: Quirks) -> None:
    blocks = plan_blocks(drawn, limits)
    assert sorted(place for block in blocks for place in block.places) == list(range(len(drawn)))
    for block in blocks:
        request = block.request
        assert request.count <= (
            limits.registers_max if request.function >= 3 else min(16 * limits.registers_max, 2000)
        )
        needed = {a for i in block.places for a in range(drawn[i].address, drawn[i].address + drawn[i].registers)}
        if request.function >= 3:
            asked = set(range(request.address, request.address + request.count))
            assert not asked & {a for first, last in limits.holes for a in range(first, last + 1)} - needed
        for place in block.places:
            point = drawn[place]
            assert point.function == request.function
            assert request.address <= point.address
            assert point.address + point.registers <= request.address + request.count


@pytest.mark.parametrize(
    ("addresses", "limits", "expected"),
    [
        ([0, 1, 2], Quirks(), [(0, 3)]),
        ([2, 0, 1], Quirks(), [(0, 3)]),
        ([0, 17], Quirks(gap_max=16), [(0, 18)]),
        ([0, 18], Quirks(gap_max=16), [(0, 1), (18, 1)]),
        ([0, 1, 2, 3], Quirks(registers_max=2), [(0, 2), (2, 2)]),
        ([5, 5], Quirks(), [(5, 1)]),
        ([0, 124, 125], Quirks(gap_max=124), [(0, 125), (125, 1)]),
    ],
)
def test_the_plan_by_hand(addresses: list[int], limits: Quirks, expected: list[tuple[int, int]]) -> None:
    made = [Point(tag=f"t{i}", function=4, address=a, type="uint16") for i, a in enumerate(addresses)]
    assert [(b.request.address, b.request.count) for b in plan_blocks(made, limits)] == expected


@given(points(), quirks, st.binary(min_size=800, max_size=800))
def test_a_compiled_block_gives_what_unpack_gives(drawn: list[Point], limits: Quirks, memory: bytes) -> None:
    plan = Plan(profile_of(drawn, registers_max=limits.registers_max, gap_max=limits.gap_max, holes=limits.holes))
    replies = [
        Reply(memory[2 * b.request.address :][: b.request.data_bytes], Quality.GOOD) if b.request.function >= 3
        else Reply(bits(memory, b.request.address, b.request.count), Quality.GOOD)
        for b in plan.blocks
    ]  # fmt: skip
    for point, answer in zip(drawn, plan.answers(replies), strict=True):
        at = point.address
        registers = memory[2 * at : 2 * (at + point.registers)] if point.function >= 3 else memory[at : at + 1]
        expected = unpack(point, registers)
        assert (answer.value, answer.quality, answer.detail) == expected
        assert type(answer.value) is type(expected[0])


def bits(memory: bytes, address: int, count: int) -> bytes:
    packed = sum((memory[address + i] & 1) << i for i in range(count))
    return packed.to_bytes((count + 7) // 8, "little")


@given(numbers, st.sampled_from(ORDERS), st.binary(min_size=8, max_size=8))
def test_values_are_those_of_pymodbus(kind: str, order: str, data: bytes) -> None:
    point = Point(tag="t", function=3, address=0, type=kind, order=order)  # type: ignore[arg-type]
    data = data[: 2 * point.registers]
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    if order in ("BADC", "DCBA"):  # pymodbus knows word order only; bytes within words are swapped by hand
        words = [w >> 8 | (w & 0xFF) << 8 for w in words]
    theirs = ModbusTcpClient.convert_from_registers(
        words, KIND_OF[kind], word_order="little" if order in ("CDAB", "DCBA") else "big"
    )
    [answer] = Plan(profile_of([point])).answers([Reply(data, Quality.GOOD)])
    assert isinstance(theirs, int | float)
    if math.isfinite(theirs):
        assert answer == Answer(theirs, Quality.GOOD)
    else:
        assert (answer.value, answer.quality) == (None, Quality.BAD_DECODE)


def test_a_value_that_is_none_takes_no_neighbour_with_it() -> None:
    made = [
        Point(tag="a", function=3, address=0, type="int16", not_available=(0x7FFF,)),
        Point(tag="b", function=3, address=1, type="float32"),
        Point(tag="c", function=3, address=3, type="int16", scale=0.5),
        Point(tag="d", function=3, address=4, type="int32", not_available=(0xFFFFFFFF,)),
    ]
    [block] = Plan(profile_of(made)).blocks
    assert block.decode(bytes.fromhex("7fff 3fc00000 0003 ffffffff")) == (
        [None, 1.5, 1.5, None], {0: (Quality.BAD_DEVICE, "not available"), 3: (Quality.BAD_DEVICE, "not available")},
    )  # fmt: skip
    values, trouble = block.decode(bytes.fromhex("0001 7f800000 0003 00000002"))
    assert values == [1, None, 1.5, 2]
    assert trouble == {1: (Quality.BAD_DECODE, "inf is no measurement")}


@given(points(), quirks, st.data())
def test_a_block_without_reply_leaves_all_others_as_they_are(
    drawn: list[Point], limits: Quirks, data: st.DataObject
) -> None:
    plan = Plan(profile_of(drawn, registers_max=limits.registers_max, gap_max=limits.gap_max))
    replies = [Reply(bytes(range(1, b.request.data_bytes + 1)), Quality.GOOD) for b in plan.blocks]
    whole = plan.answers(replies)
    lost = data.draw(st.integers(0, len(plan.blocks) - 1))
    replies[lost] = silent("no answer")
    for place, (before, after) in enumerate(zip(whole, plan.answers(replies), strict=True)):
        gone = place in plan.blocks[lost].places
        assert after == (Answer(None, Quality.BAD_BUS, "no answer") if gone else before)


def test_a_value_wider_than_the_device_gives_at_once_is_refused_when_the_profile_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "narrow.toml"
    path.write_text(
        '[device]\nid = "narrow"\nproducts = []\nsource = "this test"\n[quirks]\nregisters_max = 2\n'
        '[[point]]\ntag = "energy"\nfunction = 3\naddress = 0\ntype = "uint64"\n'
    )
    with pytest.raises(ConfigError, match=r"`point\[0\]` \(energy\): takes 4 registers"):
        load_profile(path)

"""Whatever a server says of a node, it becomes one sound answer: a value where it is good, a reason where it is bad."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from asyncua import ua as typed_ua
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.config.profiles.opcua import Point
from edge.contract.types import Quality
from edge.drivers.opcua_values import answer_of, quality_of, source_ns
from edge.opcua.access import Access
from edge.opcua.session import Session
from edge.opcua.structures import Field, Layout, Structures

ua: Any = typed_ua
TYPE_ID = ua.NodeId(5, 2)
NOW_NS = 1_800_000_000_000_000_000

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=50),
    st.binary(max_size=50), st.datetimes(timezones=st.just(dt.UTC)), st.uuids(),
    st.builds(ua.LocalizedText, st.text(max_size=5)),
    st.builds(lambda body: ua.ExtensionObject(TypeId=TYPE_ID, Body=body), st.binary(max_size=60)),
    st.just(ua.Range(1.0, 2.0)), st.just(ua.NodeId(1, 2)), st.text(st.characters(categories=["Cs"]), max_size=3),
)  # fmt: skip
RAW = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
POINTS = st.builds(
    lambda kind, element, field, values, scale: Point(
        tag="t", node="i=1", type=kind, element=element, field=field, values=values,
        scale=scale if kind in ("number", "integer") and not values else 1.0,
    ),
    st.sampled_from(["number", "integer", "bool", "text"]), st.none() | st.integers(0, 3),
    st.sampled_from(["", "Speed", "Low", "0", "Loads.1", "Inner.Speed"]), st.just({}),
    st.sampled_from([1.0, 0.1, 1e300]),
)  # fmt: skip


def structures() -> Structures:
    """The types of a server, one of them learnt: a number, a list, and itself again as a member."""
    known = Structures(Session(Access("opc.tcp://127.0.0.1:1"), SystemClock()))
    inner = Layout(ua.StructureType.Structure, (Field("Speed", ua.VariantType.Int32, array=False, optional=False),))
    known._layouts[TYPE_ID] = Layout(
        ua.StructureType.StructureWithOptionalFields,
        (
            Field("Speed", ua.VariantType.Double, array=False, optional=True),
            Field("Loads", ua.VariantType.Double, array=True, optional=False),
            Field("Inner", inner, array=False, optional=False),
        ),
    )
    return known


@given(POINTS, RAW, st.sampled_from([0, 0, 0, 0x40900000, 0x80050000, 0x80000000, 0xC0000000, 0x00000480]))
def test_every_value_makes_one_sound_answer(point: Point, raw: Any, code: int) -> None:
    kind = ua.VariantType.Null if raw is None else ua.VariantType.Variant
    value = ua.DataValue(Value=ua.Variant(raw, kind), StatusCode=ua.StatusCode(code))
    answer = answer_of(point, value, structures())
    assert (answer.value is None) == answer.quality.is_bad
    assert bool(answer.detail) == (answer.quality != Quality.GOOD)
    kinds = {"number": (int, float), "integer": (int,), "bool": (bool,), "text": (str,)}[point.type]
    assert answer.value is None or isinstance(answer.value, kinds)
    if isinstance(answer.value, float):
        assert math.isfinite(answer.value)
    if isinstance(answer.value, str):
        answer.value.encode("utf-8")


@given(st.integers(0, 0xFFFF_FFFF))
def test_the_two_top_bits_of_a_code_are_its_severity(code: int) -> None:
    quality = quality_of(code)
    assert quality.is_bad == (code >= 0x8000_0000)
    assert (quality == Quality.UNCERTAIN) == (0x4000_0000 <= code < 0x8000_0000)


STAMPS = st.none() | st.datetimes(timezones=st.just(dt.UTC)).filter(lambda at: at.year >= 1601)


@given(STAMPS, STAMPS, st.booleans())
def test_a_time_is_taken_only_where_it_can_be(
    source: dt.datetime | None, server: dt.datetime | None, trusted: bool
) -> None:
    at_ns = source_ns(ua.DataValue(SourceTimestamp=source, ServerTimestamp=server), NOW_NS, trusted=trusted)
    believable = [
        stamp for stamp in (source, server)
        if stamp is not None and 2000 <= stamp.year < 2100 and (not trusted or stamp.timestamp() <= NOW_NS / 1e9 + 60)
    ]  # fmt: skip
    assert (at_ns is None) == (not believable)
    if at_ns is not None:
        assert abs(at_ns / 1e9 - believable[0].timestamp()) < 1e-3


def test_a_structure_is_decoded_to_the_bit() -> None:
    body = b"\x01\x00\x00\x00" + ua.ua_binary.Primitives.Double.pack(2.5)
    body += ua.ua_binary.pack_uatype_array(ua.VariantType.Double, [0.5, 0.25]) + ua.ua_binary.Primitives.Int32.pack(7)
    raw = ua.ExtensionObject(TypeId=TYPE_ID, Body=body)
    assert structures().decoded(raw) == {"Speed": 2.5, "Loads": [0.5, 0.25], "Inner": {"Speed": 7}}

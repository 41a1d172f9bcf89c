"""Sparkplug payloads: ours and Eclipse Tahu's own compiled definition read each other."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sparkplub_b_packets.core import sparkplug_b_pb2 as tahu

from edge.contract.types import Value
from edge.sparkplug import (
    Address,
    DataType,
    Metric,
    Payload,
    Unreadable,
    datatype_of,
    decode,
    encode,
    parse_topic,
    rebirth_command,
    value_of,
)

INT64S = st.integers(-(2**63), 2**63 - 1)
VALUES: st.SearchStrategy[Value] = (
    st.none() | st.booleans() | INT64S | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
TIMES = st.none() | st.integers(0, 2**63)


def field_of(value: Value) -> str:
    kind = datatype_of(value)
    return {DataType.BOOLEAN: "boolean_value", DataType.INT64: "long_value", DataType.STRING: "string_value"}.get(
        kind, "double_value"
    )


METRICS = st.builds(
    lambda value, **more: Metric(datatype=datatype_of(value), raw=value, **more),
    VALUES,
    name=st.text(min_size=1, max_size=9), alias=st.none() | st.integers(0, 2**63), timestamp_ms=TIMES,
    is_historical=st.booleans(),
    properties=st.dictionaries(st.text(max_size=5), st.integers(-(2**31), 2**31 - 1) | st.text(max_size=5), max_size=2),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(METRICS, max_size=4), TIMES, st.none() | st.integers(0, 255))
def test_what_we_encode_tahu_reads(metrics: list[Metric], timestamp_ms: int | None, seq: int | None) -> None:
    theirs = tahu.Payload()
    theirs.ParseFromString(encode(Payload(tuple(metrics), timestamp_ms, seq)))
    assert (theirs.timestamp if theirs.HasField("timestamp") else None) == timestamp_ms
    assert (theirs.seq if theirs.HasField("seq") else None) == seq
    for ours, read in zip(metrics, theirs.metrics, strict=True):
        assert (read.name, read.datatype, read.is_historical) == (ours.name, ours.datatype, ours.is_historical)
        assert (read.alias if read.HasField("alias") else None) == ours.alias
        assert read.is_null == (ours.raw is None)
        if ours.raw is not None:
            expected = ours.raw % 2**64 if type(ours.raw) is int else ours.raw
            assert getattr(read, field_of(ours.raw)) == expected
        assert list(read.properties.keys) == list(ours.properties)
        for value, one in zip(ours.properties.values(), read.properties.values, strict=True):
            if isinstance(value, str):
                assert one.string_value == value
            else:
                assert isinstance(value, int)
                assert (one.type, one.int_value) == (3, value % 2**32)


@settings(deadline=None)
@given(st.lists(METRICS, max_size=4), TIMES, st.none() | st.integers(0, 255))
def test_what_we_encode_we_read(metrics: list[Metric], timestamp_ms: int | None, seq: int | None) -> None:
    read = decode(encode(Payload(tuple(metrics), timestamp_ms, seq)))
    assert (read.timestamp_ms, read.seq) == (timestamp_ms, seq)
    assert [value_of(metric, metric.datatype) for metric in read.metrics] == [metric.raw for metric in metrics]


@pytest.mark.parametrize(("datatype", "field", "raw", "value"), [
    (1, "int_value", 0xFF, -1), (1, "int_value", 2**32 - 1, -1), (1, "int_value", 127, 127),
    (2, "int_value", 0x8000, -32768),
    (3, "int_value", 2**32 - 5, -5), (4, "long_value", 2**64 - 5, -5), (5, "int_value", 255, 255),
    (7, "int_value", 2**32 - 1, 2**32 - 1), (7, "long_value", 7, 7), (8, "long_value", 2**62, 2**62),
    (9, "float_value", 0.5, 0.5), (10, "double_value", 0.1, 0.1), (11, "boolean_value", True, True),
    (12, "string_value", "é", "é"), (13, "long_value", 1_700_000_000_000, 1_700_000_000_000),
    (14, "string_value", "t", "t"),
    (15, "string_value", "u", "u"),
])  # fmt: skip
def test_what_tahu_encodes_we_read(datatype: int, field: str, raw: Any, value: Value) -> None:
    theirs = tahu.Payload()
    setattr(theirs.metrics.add(name="m", datatype=datatype), field, raw)
    (metric,) = decode(theirs.SerializeToString()).metrics
    found = value_of(metric, datatype)
    assert (found, type(found)) == (value, type(value))


def test_what_no_point_can_take_is_unreadable() -> None:
    theirs = tahu.Payload()
    theirs.metrics.add(name="set", datatype=16).dataset_value.num_of_columns = 1
    theirs.metrics.add(name="bytes", datatype=17).bytes_value = b"x"
    theirs.metrics.add(name="nothing", datatype=10)
    theirs.metrics.add(name="other", datatype=10).string_value = "x"
    theirs.metrics.add(name="huge", datatype=8).long_value = 2**63
    theirs.metrics.add(name="nan", datatype=10).double_value = math.nan
    theirs.metrics.add(name="untyped").double_value = 1.0
    metrics = decode(theirs.SerializeToString()).metrics
    words = []
    for metric in metrics:
        with pytest.raises(Unreadable) as caught:
            value_of(metric, metric.datatype)
        words.append(str(caught.value))
    assert words == [
        "its data type 16 is no single value", "its data type 17 is no single value", "it has no value",
        "its value is not of data type 10", "a whole number beyond 63 bits", "not a number, or infinite",
        "its value is not of data type 0",
    ]  # fmt: skip


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_whatever_comes_is_a_payload_or_unreadable(data: bytes) -> None:
    try:
        payload = decode(data)
    except Unreadable:
        return
    for metric in payload.metrics:
        try:
            value = value_of(metric, metric.datatype)
        except Unreadable:
            continue
        assert not isinstance(value, float) or math.isfinite(value)
        assert type(value) is not int or -(2**63) <= value < 2**63


def test_topics_have_four_or_five_parts() -> None:
    assert parse_topic("spBv1.0/g/DDATA/n/d") == Address("g", "DDATA", "n", "d")
    assert parse_topic("spBv1.0/g/NBIRTH/n") == Address("g", "NBIRTH", "n")
    for other in ("spBv1.0/STATE/host", "spAv1.0/g/NDATA/n", "spBv1.0/g/DDATA/n/d/e", "", "spBv1.0"):
        assert parse_topic(other) is None
    assert Address("g", "NBIRTH", "n").topic() == "spBv1.0/g/NBIRTH/n"
    assert Address("g", "DDATA", "n", "d").topic() == "spBv1.0/g/DDATA/n/d"


def test_the_wish_for_a_rebirth_is_the_specification_s() -> None:
    theirs = tahu.Payload()
    theirs.ParseFromString(rebirth_command(5))
    (metric,) = theirs.metrics
    assert (metric.name, metric.datatype, metric.boolean_value) == ("Node Control/Rebirth", 11, True)

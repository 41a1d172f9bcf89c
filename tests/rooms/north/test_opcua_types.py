"""Of which data type a signal is in OPC UA: by what its profile's protocol declares."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from asyncua import ua

from edge.config.profiles.modbus import Point as ModbusPoint
from edge.config.profiles.mqtt import Point as MqttPoint
from edge.config.profiles.signal import Signal
from edge.contract.types import Value
from edge.north.opcua.model import ANY, BOOLEAN, DOUBLE, LONG, STRING, type_of, variant


@pytest.mark.parametrize(
    ("declared", "wanted"),
    [
        ({"type": "float32"}, DOUBLE),
        ({"type": "uint16"}, LONG),
        ({"type": "uint64"}, LONG),
        ({"type": "uint16", "scale": 0.1}, DOUBLE),
        ({"type": "bcd32"}, LONG),
        ({"type": "uint16", "bit": 3}, BOOLEAN),
        ({"type": "uint16", "values": {"0": "stopped", "1": "runs"}}, STRING),
        ({"type": "string", "length": 8}, STRING),
        ({"type": "bool", "function": 1}, BOOLEAN),
    ],
)
def test_a_register_is_what_it_becomes(declared: dict[str, Any], wanted: int) -> None:
    point = msgspec.convert({"tag": "t", "function": 3, "address": 0, **declared}, ModbusPoint, strict=False)
    assert type_of(point) == wanted


@pytest.mark.parametrize(
    ("declared", "wanted"), [("number", DOUBLE), ("integer", LONG), ("bool", BOOLEAN), ("text", STRING)]
)
def test_a_payload_is_what_it_says(declared: str, wanted: int) -> None:
    assert type_of(msgspec.convert({"tag": "t", "topic": "a/b", "type": declared}, MqttPoint)) == wanted


def test_what_declares_nothing_is_a_number_where_it_has_a_unit() -> None:
    assert type_of(Signal(tag="t", unit="m")) == DOUBLE
    assert type_of(Signal(tag="t")) == ANY


@pytest.mark.parametrize(
    ("value", "data_type", "wanted", "kind"),
    [
        (3, DOUBLE, 3.0, "Double"),
        (3, LONG, 3, "Int64"),
        (True, BOOLEAN, True, "Boolean"),
        (1, BOOLEAN, True, "Boolean"),
        ("runs", STRING, "runs", "String"),
        (2**64 - 1, LONG, float(2**64 - 1), "Double"),
        ("word", DOUBLE, "word", "String"),
        (2.5, ANY, 2.5, "Double"),
        (None, DOUBLE, None, "Null"),
    ],
)
def test_a_value_is_sent_as_its_type_or_as_what_it_is(value: Value, data_type: int, wanted: Any, kind: str) -> None:
    found = variant(value, data_type)
    assert (found.Value, found.VariantType) == (wanted, ua.VariantType[kind])

"""Sparkplug B's payloads and topics (Eclipse Sparkplug 3.0, chapters 4 and 6), for whoever hears or speaks it.

The libraries that carry the whole of it want an MQTT client or a protobuf of years ago, so this is the part that a
gateway needs: metrics with scalar values and their properties. The messages are declared here as data, with the
specification's names and numbers, and protobuf's own runtime reads and writes them; what is not declared (data sets,
templates, files) is passed over by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from edge.contract.types import Value

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
SEQ_MODULO = 256
INT64_MAX = 2**63 - 1


class DataType(IntEnum):
    """Of a metric (section 6.4.16). What is above ``UUID`` has no scalar value."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATE_TIME = 13
    TEXT = 14
    UUID = 15


_SIGNED_BITS = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_WHOLE = frozenset({
    *_SIGNED_BITS, DataType.UINT8, DataType.UINT16, DataType.UINT32, DataType.UINT64, DataType.DATE_TIME,
})  # fmt: skip
_TEXT = frozenset({DataType.STRING, DataType.TEXT, DataType.UUID})


class Unreadable(Exception):
    """A payload or a value that is not Sparkplug's, or not one that a point can take."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a message; times in milliseconds since the epoch.

    ``raw`` is the value as it is on the wire (None: there is none); ``value_of`` gives it its meaning, which depends on
    a data type that may have been told in the birth alone.
    """

    name: str = ""
    alias: int | None = None
    timestamp_ms: int | None = None
    datatype: int = 0
    is_historical: bool = False
    is_null: bool = False
    raw: Value = None
    properties: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Payload:
    """One message. ``seq`` is None where it has none, as a death or a command."""

    metrics: tuple[Metric, ...]
    timestamp_ms: int | None = None
    seq: int | None = None

    def named(self, name: str) -> Metric | None:
        return next((metric for metric in self.metrics if metric.name == name), None)


_VALUES = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")
_KINDS = ("uint32", "uint64", "float", "double", "bool", "string")
_MESSAGES: dict[str, list[tuple[str, int, str]]] = {
    "Payload": [
        ("timestamp", 1, "uint64"), ("metrics", 2, "*Metric"), ("seq", 3, "uint64"), ("uuid", 4, "string"),
        ("body", 5, "bytes"),
    ],
    "Metric": [
        ("name", 1, "string"), ("alias", 2, "uint64"), ("timestamp", 3, "uint64"), ("datatype", 4, "uint32"),
        ("is_historical", 5, "bool"), ("is_transient", 6, "bool"), ("is_null", 7, "bool"),
        ("properties", 9, "PropertySet"), *((_VALUES[i], 10 + i, f"|{_KINDS[i]}") for i in range(6)),
    ],
    "PropertySet": [("keys", 1, "*string"), ("values", 2, "*PropertyValue")],
    "PropertyValue": [
        ("type", 1, "uint32"), ("is_null", 2, "bool"), *((_VALUES[i], 3 + i, f"|{_KINDS[i]}") for i in range(6)),
    ],
}  # fmt: skip
"""Name, number and type of each field; * before it: repeated, |: one of the values."""


def _compiled() -> dict[str, Any]:
    """The messages' classes. Their pool is their own: another library may hold the definition under its name."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="babbitt/sparkplug.proto", package="babbitt.sparkplug")
    file.syntax = "proto2"
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if any(kind.startswith("|") for _, _, kind in fields):
            message.oneof_decl.add(name="value")
        for field_name, number, kind in fields:
            plain = kind.lstrip("*|")
            one = message.field.add(name=field_name, number=number)
            one.label = kinds.LABEL_REPEATED if kind.startswith("*") else kinds.LABEL_OPTIONAL
            if kind.startswith("|"):
                one.oneof_index = 0
            if plain in _MESSAGES:
                one.type, one.type_name = kinds.TYPE_MESSAGE, f".babbitt.sparkplug.{plain}"
            else:
                one.type = kinds.Type.Value(f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"babbitt.sparkplug.{name}")) for name in _MESSAGES}


_CLASSES = _compiled()


def decode(data: bytes) -> Payload:
    """Raises ``Unreadable`` where ``data`` is no Sparkplug payload."""
    message = _CLASSES["Payload"]()
    try:
        message.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise Unreadable("not a Sparkplug payload") from error
    return Payload(
        tuple(_metric(one) for one in message.metrics),
        message.timestamp if message.HasField("timestamp") else None,
        message.seq if message.HasField("seq") else None,
    )


def _metric(one: Any) -> Metric:
    properties: dict[str, Value] = {}
    if one.HasField("properties"):
        pairs = zip(one.properties.keys, one.properties.values, strict=False)
        properties = {key: _raw(value) for key, value in pairs}
    return Metric(
        one.name, one.alias if one.HasField("alias") else None,
        one.timestamp if one.HasField("timestamp") else None, one.datatype, one.is_historical, one.is_null, _raw(one),
        properties,
    )  # fmt: skip


def _raw(message: Any) -> Value:
    present = message.WhichOneof("value")
    value: Value = None if present is None else getattr(message, present)
    return value


def encode(payload: Payload) -> bytes:
    """Metrics keep their order. ``raw`` must be of the metric's data type; None is sent as null."""
    message = _CLASSES["Payload"]()
    if payload.timestamp_ms is not None:
        message.timestamp = payload.timestamp_ms
    if payload.seq is not None:
        message.seq = payload.seq
    for metric in payload.metrics:
        one = message.metrics.add()
        if metric.name:
            one.name = metric.name
        if metric.alias is not None:
            one.alias = metric.alias
        if metric.timestamp_ms is not None:
            one.timestamp = metric.timestamp_ms
        one.datatype = metric.datatype
        if metric.is_historical:
            one.is_historical = True
        _put(one, metric.datatype, metric.raw)
        for key, value in metric.properties.items():
            one.properties.keys.append(key)
            inner = one.properties.values.add()
            inner.type = datatype_of(value) if not isinstance(value, int) or isinstance(value, bool) else DataType.INT32
            _put(inner, inner.type, value)
    data: bytes = message.SerializeToString()
    return data


def _put(message: Any, datatype: int, value: Value) -> None:
    if value is None:
        message.is_null = True
    elif datatype == DataType.BOOLEAN:
        message.boolean_value = value
    elif datatype == DataType.DOUBLE:
        message.double_value = value
    elif datatype == DataType.FLOAT:
        message.float_value = value
    elif datatype in _TEXT:
        message.string_value = value
    elif datatype in (DataType.INT64, DataType.UINT64, DataType.DATE_TIME):
        assert isinstance(value, int)
        message.long_value = value % 2**64
    else:
        assert isinstance(value, int)
        message.int_value = value % 2**32


def datatype_of(value: Value) -> DataType:
    """The widest type that holds what ``value`` is."""
    match value:
        case bool():
            return DataType.BOOLEAN
        case int():
            return DataType.INT64
        case str():
            return DataType.STRING
        case _:
            return DataType.DOUBLE


def value_of(metric: Metric, datatype: int) -> Value:
    """What ``metric`` means as ``datatype``, None where it is null. Raises ``Unreadable``.

    Signed numbers are two's complement in an unsigned field, of their own width or, from some senders, of the field's.
    """
    raw = metric.raw
    if metric.is_null:
        return None
    if datatype in _WHOLE and isinstance(raw, int) and not isinstance(raw, bool):
        return _whole(raw, DataType(datatype))
    if datatype in (DataType.FLOAT, DataType.DOUBLE) and isinstance(raw, float):
        if raw - raw != 0.0:
            raise Unreadable("not a number, or infinite")
        return raw
    if datatype == DataType.BOOLEAN and isinstance(raw, bool):
        return raw
    if datatype in _TEXT and isinstance(raw, str):
        return raw
    if datatype > DataType.UUID:
        raise Unreadable(f"its data type {datatype} is no single value")
    raise Unreadable("it has no value" if raw is None else f"its value is not of data type {datatype}")


def _whole(raw: int, datatype: DataType) -> int:
    bits = _SIGNED_BITS.get(datatype)
    if bits is not None:
        low = raw % (1 << bits)
        return low - (low >> (bits - 1) << bits)
    if raw > INT64_MAX:
        raise Unreadable("a whole number beyond 63 bits")
    return raw


@dataclass(frozen=True, slots=True)
class Address:
    """A topic's parts: ``spBv1.0/group/verb/node`` and perhaps ``/device``."""

    group: str
    verb: str
    node: str
    device: str = ""

    def topic(self) -> str:
        return "/".join([NAMESPACE, self.group, self.verb, self.node] + ([self.device] if self.device else []))


def parse_topic(topic: str) -> Address | None:
    """The parts of a node's or device's topic; None for any other."""
    parts = topic.split("/")
    return Address(*parts[1:]) if parts[0] == NAMESPACE and len(parts) in (4, 5) else None


def rebirth_command(timestamp_ms: int) -> bytes:
    """What a host sends (NCMD) to have everything told anew."""
    wish = Metric(REBIRTH, timestamp_ms=timestamp_ms, datatype=DataType.BOOLEAN, raw=True)
    return encode(Payload((wish,), timestamp_ms))


def gap(before: int, now: int | None) -> bool:
    """Whether something is missing between two sequence numbers."""
    return now != (before + 1) % SEQ_MODULO

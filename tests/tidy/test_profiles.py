"""Every shipped device profile loads, and its own samples decode to the values beside them: by our drivers' decoding,
and by pymodbus' conversion, which shares no line of code with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from paho.mqtt.client import topic_matches_sub
from pymodbus.client import ModbusTcpClient

from edge.config.profiles import load_profile
from edge.config.profiles.modbus import ModbusProfile, Point, Sample
from edge.config.profiles.mqtt import MqttProfile
from edge.config.site import profiles_root
from edge.contract.types import Quality, Value
from edge.drivers.modbus_block import Block
from edge.drivers.modbus_plan import Plan
from edge.drivers.modbus_questions import Request, check_reply
from edge.drivers.mqtt_payload import Arrival, Meaning

KINDS_OF_PYMODBUS = {"uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"}
FILES = sorted((profiles_root() / "devices").glob("*.toml"))
MQTT = [path for path in FILES if isinstance(load_profile(path), MqttProfile)]
MODBUS = [path for path in FILES if isinstance(load_profile(path), ModbusProfile)]


def question(sample: Sample) -> Request:
    pdu = bytes.fromhex(sample.request)
    assert len(pdu) == 5, "function, address, count"
    return Request(pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))


def covered(profile: ModbusProfile, request: Request) -> list[Point]:
    """The points that lie wholly in what was asked."""
    return [
        p for p in profile.point
        if p.function == request.function
        and request.address <= p.address
        and p.address + p.registers <= request.address + request.count
    ]  # fmt: skip


def by_pymodbus(point: Point, data: bytes) -> float:
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    if point.order in ("BADC", "DCBA"):
        words = [word >> 8 | (word & 0xFF) << 8 for word in words]
    kind = getattr(ModbusTcpClient.DATATYPE, point.type.upper())
    order = "little" if point.order in ("CDAB", "DCBA") else "big"
    raw = ModbusTcpClient.convert_from_registers(words, kind, word_order=order)  # type: ignore[arg-type]
    assert isinstance(raw, int | float)
    return raw * point.scale + point.offset


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_profile_is_named_as_its_file_and_says_where_its_facts_come_from(path: Path) -> None:
    profile = load_profile(path)
    assert profile.device.id == path.stem
    assert len(profile.device.source) > 20
    assert profile.device.products
    assert all(point.title for point in profile.point)


@pytest.mark.parametrize("path", MODBUS, ids=lambda path: path.stem)
def test_samples_cover_every_point_and_decode_to_their_values(path: Path) -> None:
    profile = load_profile(path)
    assert isinstance(profile, ModbusProfile)
    seen: set[str] = set()
    for sample in profile.sample:
        request = question(sample)
        points = covered(profile, request)
        reply = check_reply(request, bytes.fromhex(sample.response))
        assert reply.quality == Quality.GOOD, reply.detail
        values, trouble = Block(request, range(len(points)), points).decode(reply.data)
        assert set(sample.values) <= {point.tag for point in points}
        for i, (point, value) in enumerate(zip(points, values, strict=True)):
            seen.add(point.tag)
            if point.tag not in sample.values:
                assert trouble[i] == (Quality.BAD_DEVICE, "not available"), f"{point.tag} has no value in the sample"
                continue
            assert i not in trouble
            agrees(point, value, sample.values[point.tag])
            if point.type in KINDS_OF_PYMODBUS and point.picked is None and not point.values:
                start = 2 * (point.address - request.address)
                theirs = by_pymodbus(point, reply.data[start : start + 2 * point.registers])
                agrees(point, theirs, sample.values[point.tag])
    assert seen == {point.tag for point in profile.point}


@pytest.mark.parametrize("path", MQTT, ids=lambda path: path.stem)
def test_messages_of_an_mqtt_profile_s_samples_say_their_values_and_nothing_else(path: Path) -> None:
    profile = load_profile(path)
    assert isinstance(profile, MqttProfile)
    seen: set[str] = set()
    for sample in profile.sample:
        arrival = Arrival(sample.topic, sample.payload.encode(), False, None, 100_000)
        told = {
            point.tag: reading[0]
            for point in profile.point
            if topic_matches_sub(point.filter(sample.at), sample.topic)
            and (reading := Meaning(point, sample.at).of(arrival)) is not None
        }
        assert {tag: answer.value for tag, answer in told.items()} == pytest.approx(sample.values)
        assert {answer.quality for answer in told.values()} == {Quality.GOOD}
        seen |= set(told)
    assert seen == {point.tag for point in profile.point}


def agrees(point: Point, value: Value, stated: Value) -> None:
    """Equal, up to how a decimal fraction is written; far less than one step of the raw value."""
    if isinstance(stated, str):
        assert value == stated, point.tag
        return
    assert isinstance(value, int | float)
    assert value == pytest.approx(stated, rel=1e-12, abs=abs(point.scale) * 1e-6), point.tag


@pytest.mark.parametrize("path", MODBUS, ids=lambda path: path.stem)
def test_every_profile_can_be_planned_within_its_own_limits(path: Path) -> None:
    profile = load_profile(path)
    assert isinstance(profile, ModbusProfile)
    for block in Plan(profile).blocks:
        if block.request.function >= 3:
            assert block.request.count <= profile.quirks.registers_max

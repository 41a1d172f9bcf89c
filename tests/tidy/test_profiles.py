"""Every shipped device profile loads, and its own samples decode to the values beside them: by our drivers' decoding,
and by pymodbus' conversion, which shares no line of code with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from paho.mqtt.client import topic_matches_sub
from pymodbus.client import ModbusTcpClient
from pymodbus.pdu.bit_message import ReadCoilsResponse

from edge.config.load import read_toml
from edge.config.profiles import load_profile
from edge.config.profiles.modbus import ModbusProfile, Point, Sample
from edge.config.profiles.mqtt import MqttProfile
from edge.config.site import profiles_root
from edge.contract.types import Quality, Value
from edge.drivers.modbus_block import Block
from edge.drivers.modbus_plan import Plan
from edge.drivers.modbus_questions import Request, check_reply
from edge.drivers.mqtt_payload import Arrival, Meaning

FILES = sorted((profiles_root() / "devices").glob("*.toml"))
PROTOCOLS = {path: read_toml(path)["device"].get("protocol", "modbus") for path in FILES}
MODBUS = [path for path in FILES if PROTOCOLS[path] == "modbus"]
MQTT = [path for path in FILES if PROTOCOLS[path] == "mqtt"]
REAL_DEVICES_MIN = 12


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


def by_pymodbus(point: Point, data: bytes, bits: list[bool]) -> Value:
    """What pymodbus makes of the point's registers (or ``bits`` from its own on); None where it has no such type."""
    if point.type == "bool":
        return bits[0]
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    if point.order in ("BADC", "DCBA"):
        words = [word >> 8 | (word & 0xFF) << 8 for word in words]
    if point.order in ("CDAB", "DCBA"):
        words.reverse()
    convert, kinds = ModbusTcpClient.convert_from_registers, ModbusTcpClient.DATATYPE
    if point.picked is not None:
        first, last = point.picked
        flags = convert(words, kinds.BITS)
        assert isinstance(flags, list)
        # pymodbus gives the bits of each byte from the least significant, and the upper byte first.
        raw = sum(int(flags[8 * (len(flags) // 8 - 1 - n // 8) + n % 8]) << n - first for n in range(first, last + 1))
        return bool(raw) if point.bit is not None else raw
    if point.type.startswith("bcd"):
        return int("".join(f"{word:04x}" for word in words)) * point.scale + point.offset
    number = convert(words, getattr(kinds, point.type.upper()))
    if isinstance(number, str):
        return number.strip("\0 ")
    assert isinstance(number, int | float)
    return point.values[int(number)] if point.values else number * point.scale + point.offset


def bits_of(request: Request, sample: Sample) -> list[bool]:
    """A reply of bits as pymodbus decodes it; of registers nothing."""
    reply = ReadCoilsResponse() if request.function < 3 else None
    if reply is None:
        return []
    reply.decode(bytes.fromhex(sample.response)[1:])
    return list(reply.bits)


def test_there_are_enough_real_devices() -> None:
    assert len([path for path in FILES if not path.stem.startswith("plant-")]) >= REAL_DEVICES_MIN


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
            at = point.address - request.address
            registers = reply.data[2 * at : 2 * (at + point.registers)]
            agrees(point, by_pymodbus(point, registers, bits_of(request, sample)[at:]), sample.values[point.tag])
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

"""What the samples of a profile say, by the very code that reads living devices. One case a protocol."""

from __future__ import annotations

from typing import Any

from edge.config.profiles.bacnet import BacnetProfile, BacnetSample
from edge.config.profiles.modbus import ModbusProfile
from edge.config.profiles.modbus import Sample as ModbusSample
from edge.config.profiles.mqtt import MqttProfile
from edge.config.profiles.mqtt import Sample as MqttSample
from edge.config.profiles.serial import AnySerial, SerialProfile, SerialSample, StreamProfile, as_bytes
from edge.contract.types import Quality
from edge.ports import Answer

PAYLOAD_BYTES_MAX = 1024 * 1024
COMPLEX_ACK, READ_PROPERTY_MULTIPLE = 0x30, 14
"""ASHRAE 135, 20.1.5 and clause 21."""


def decode_sample(profile: Any, sample: Any) -> dict[str, Answer] | None:
    """The answers of ``sample``'s messages, by tag; of tags that it says nothing of, none. None: nobody can tell.

    Raises ``ValueError`` where they are no messages of the protocol.
    """
    match profile, sample:
        case ModbusProfile(), ModbusSample():
            return _of_modbus(profile, sample)
        case MqttProfile(), MqttSample():
            return _of_mqtt(profile, sample)
        case SerialProfile() | StreamProfile(), SerialSample():
            return _of_serial(profile, sample)
        case BacnetProfile(), BacnetSample():
            return _of_bacnet(profile, sample)
        case _:
            return None


def _of_modbus(profile: ModbusProfile, sample: ModbusSample) -> dict[str, Answer]:
    from edge.drivers.modbus_block import Block, answers_of
    from edge.drivers.modbus_questions import Request, check_reply

    pdu = bytes.fromhex(sample.request)
    if len(pdu) != 5 or not 1 <= pdu[0] <= 4:
        raise ValueError(f"a request of {len(pdu)} bytes reads no registers or bits: function, address, count")
    request = Request(pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))
    inside = [
        point for point in profile.point
        if point.function == request.function and request.address <= point.address
        and point.address + point.registers <= request.address + request.count
    ]  # fmt: skip
    reply = check_reply(request, bytes.fromhex(sample.response))
    if reply.quality != Quality.GOOD:
        raise ValueError(f"the response does not answer the request: {reply.detail or 'too short'}")
    answers = answers_of(len(inside), [(Block(request, range(len(inside)), inside), reply)]) if inside else []
    return {point.tag: answer for point, answer in zip(inside, answers, strict=True)}


def _of_mqtt(profile: MqttProfile, sample: MqttSample) -> dict[str, Answer]:
    from paho.mqtt.client import topic_matches_sub

    from edge.drivers.mqtt_payload import Arrival, Meaning

    arrival = Arrival(sample.topic, sample.payload.encode(), False, None, PAYLOAD_BYTES_MAX)
    answers: dict[str, Answer] = {}
    for point in profile.point:
        if topic_matches_sub(point.filter(sample.at), sample.topic):
            reading = Meaning(point, sample.at).of(arrival)
            if reading is not None:
                answers[point.tag] = reading[0]
    return answers


def _of_serial(profile: AnySerial, sample: SerialSample) -> dict[str, Answer]:
    from edge.drivers.serial_framer import Framer
    from edge.drivers.serial_messages import Reader, request_bytes

    asked = profile.message if isinstance(profile, SerialProfile) else ()
    requests = {request_bytes(message, profile.frame, sample.unit) for message in asked} or {b""}
    if as_bytes(sample.sends) not in requests:
        raise ValueError(f"sends {sample.sends!r}, which is no request of the profile")
    framer, reader = Framer(profile.frame), Reader(profile, sample.unit)
    messages = framer.feed(as_bytes(sample.receives), 0)
    if not messages:
        raise ValueError(f"receives no whole message ({framer.counts.words() or 'none that ends'})")
    answers: dict[str, Answer] = {}
    for message in messages:
        found = reader.read(message)
        if found is None:
            raise ValueError(f"{message[:40]!r} is none of its messages")
        answers |= {profile.point[i].tag: answer for i, answer in zip(found.places, found.answers, strict=True)}
    return answers


def _of_bacnet(profile: BacnetProfile, sample: BacnetSample) -> dict[str, Answer]:
    from bacpypes3.apdu import APDU, APCISequence
    from bacpypes3.errors import DecodingError, RejectException
    from bacpypes3.pdu import PDU

    from edge.drivers.bacnet_reading import answer_in, ref_of, said_by

    apdu = bytes.fromhex(sample.answer)
    if len(apdu) < 3 or apdu[0] != COMPLEX_ACK or apdu[2] != READ_PROPERTY_MULTIPLE:
        raise ValueError("it is no acknowledged ReadPropertyMultiple: 30, a number, 0e, and so on")
    try:
        said = said_by(APCISequence.decode(APDU.decode(PDU(apdu))))
    except (DecodingError, RejectException) as error:
        raise ValueError(f"it cannot be decoded: {error}") from error
    return {point.tag: answer_in(said, point) for point in profile.point if ref_of(point) in said}

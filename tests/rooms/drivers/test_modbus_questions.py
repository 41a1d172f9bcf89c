"""Questions and what answers them: the standard's own examples, pymodbus' encoders, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.pdu.bit_message import WriteMultipleCoilsRequest, WriteSingleCoilRequest
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.register_message import (
    ReadWriteMultipleRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from edge.contract.types import Quality
from edge.drivers.modbus_frames import find_rtu_reply, rtu_frame, what_came_instead
from edge.drivers.modbus_questions import (
    Identify,
    Question,
    Request,
    WriteMany,
    WriteOne,
    WriteThenRead,
    check_reply,
    identification,
)

# Modbus Application Protocol V1.1b3: question, its PDU, and the PDU that answers it.
EXAMPLES: dict[str, tuple[Question, str, str]] = {
    "6.1 read coils": (Request(1, 19, 19), "01 0013 0013", "01 03 cd 6b 05"),
    "6.2 read discrete inputs": (Request(2, 196, 22), "02 00c4 0016", "02 03 ac db 35"),
    "6.4 read input registers": (Request(4, 8, 1), "04 0008 0001", "04 02 000a"),
    "6.5 write single coil": (WriteOne(5, 172, 0xFF00), "05 00ac ff00", "05 00ac ff00"),
    "6.6 write single register": (WriteOne(6, 1, 3), "06 0001 0003", "06 0001 0003"),
    "6.11 write multiple coils": (WriteMany(15, 19, 10, b"\xcd\x01"), "0f 0013 000a 02 cd01", "0f 0013 000a"),
    "6.12 write multiple registers": (
        WriteMany(16, 1, 2, bytes.fromhex("000a0102")), "10 0001 0002 04 000a 0102", "10 0001 0002",
    ),
    "6.17 read/write multiple registers": (
        WriteThenRead(3, 6, 14, bytes.fromhex("00ff00ff00ff")), "17 0003 0006 000e 0003 06 00ff 00ff 00ff",
        "17 0c 00fe 0acd 0001 0003 000d 00ff",
    ),
    "6.21 read device identification": (
        Identify(), "2b 0e 01 00",
        "2b 0e 01 01 00 00 03 00 16" + b"Company identification".hex() + "01 0f" + b"Product code XX".hex()
        + "02 05" + b"V2.11".hex(),
    ),
}  # fmt: skip
QUESTIONS = [question for question, _, _ in EXAMPLES.values()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_standards_examples(name: str) -> None:
    question, asked, answer = EXAMPLES[name]
    pdu = bytes.fromhex(answer)
    assert question.pdu == bytes.fromhex(asked)
    assert question.size(pdu) == len(pdu) <= question.size_max
    assert check_reply(question, pdu).quality == Quality.GOOD
    found = find_rtu_reply(question, 17, rtu_frame(17, pdu))
    assert found is not None
    assert found.data == check_reply(question, pdu).data


def test_an_identification_is_read() -> None:
    _, _, answer = EXAMPLES["6.21 read device identification"]
    data = check_reply(Identify(), bytes.fromhex(answer)).data
    assert identification(data) == ({0: "Company identification", 1: "Product code XX", 2: "V2.11"}, None)


addresses = st.integers(0, 65535)


@given(addresses, addresses, st.booleans(), st.lists(st.booleans(), min_size=1, max_size=100))
def test_writes_are_those_of_pymodbus(address: int, value: int, on: bool, bits: list[bool]) -> None:
    def pdu(request: object) -> bytes:
        return bytes((request.function_code,)) + request.encode()  # type: ignore[attr-defined,no-any-return]

    registers = [value, 0, 65535]
    raw = b"".join(r.to_bytes(2, "big") for r in registers)
    packed = sum(bit << i for i, bit in enumerate(bits)).to_bytes((len(bits) + 7) // 8, "little")
    assert WriteOne(5, address, 0xFF00 * on).pdu == pdu(WriteSingleCoilRequest(address=address, bits=[on]))
    assert WriteOne(6, address, value).pdu == pdu(WriteSingleRegisterRequest(address=address, registers=[value]))
    assert WriteMany(15, address, len(bits), packed).pdu == pdu(WriteMultipleCoilsRequest(address=address, bits=bits))
    assert WriteMany(16, address, 3, raw).pdu == pdu(
        WriteMultipleRegistersRequest(address=address, registers=registers)
    )
    assert WriteThenRead(address, 5, value, raw).pdu == pdu(
        ReadWriteMultipleRegistersRequest(
            read_address=address, read_count=5, write_address=value, write_registers=registers
        )
    )
    assert Identify(2, address & 7).pdu == pdu(ReadDeviceInformationRequest(read_code=2, object_id=address & 7))


@given(st.dictionaries(st.integers(0, 6), st.text(st.characters(min_codepoint=33, max_codepoint=126)), min_size=1))
def test_identifications_of_pymodbus_are_read_as_far_as_they_go(texts: dict[int, str]) -> None:
    texts = dict(sorted(texts.items()))
    theirs = ReadDeviceInformationResponse(1, dict(texts))
    pdu = bytes((43,)) + theirs.encode()
    reply = check_reply(Identify(), pdu)
    assert reply.quality == Quality.GOOD
    told, more = identification(reply.data)
    assert told == {number: text for number, text in texts.items() if more is None or number < more}


@given(st.sampled_from(QUESTIONS), st.binary(max_size=260))
def test_any_bytes_are_an_answer_only_where_they_have_the_asked_form(question: Question, pdu: bytes) -> None:
    reply = check_reply(question, pdu)
    assert (reply.quality == Quality.GOOD) == question.is_answered_by(pdu)
    assert (reply.quality == Quality.GOOD) != bool(reply.detail)
    assert len(reply.data) <= 253


@given(st.binary(max_size=250), st.sampled_from([1, 2]))
def test_an_identification_survives_any_bytes(rest: bytes, level: int) -> None:
    pdu = bytes((43, 14, level)) + rest
    reply = check_reply(Identify(level), pdu)
    if reply.quality == Quality.GOOD:
        texts, _ = identification(reply.data)
        assert all(text.isascii() and text.isprintable() for text in texts.values())
    assert Identify(level).size(pdu) <= 253


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_flipped_bits_never_make_an_answer_on_a_serial_line(name: str, data: st.DataObject) -> None:
    question, _, answer = EXAMPLES[name]
    frame = rtu_frame(17, bytes.fromhex(answer))
    bad = bytearray(frame)
    for bit in data.draw(st.sets(st.integers(0, 8 * len(frame) - 1), min_size=1, max_size=3)):
        bad[bit >> 3] ^= 1 << (bit & 7)
    reply = find_rtu_reply(question, 17, bad) or what_came_instead(question, 17, bad, 100)
    assert reply.quality == Quality.BAD_BUS


@pytest.mark.parametrize(
    ("asked", "answer", "words"),
    [
        (WriteOne(6, 1, 3), "06 0001 0004", "reply 0600010004 to write 0600010003"),
        (WriteOne(6, 1, 3), "06 0002 0003", "reply 0600020003 to write 0600010003"),
        (WriteOne(5, 1, 0xFF00), "06 0001 ff00", "reply to function 6, asked 5"),
        (WriteMany(16, 1, 2, bytes(4)), "10 0001 0001", "reply 1000010001 to write 1000010002"),
        (WriteMany(16, 1, 2, bytes(4)), "90 03", "exception 0x03 illegal data value"),
        (WriteThenRead(0, 1, 0, bytes(2)), "17 04 00000000", "reply of 4 bytes of data, asked for 2"),
        (Identify(), "2b 0e 01 01 00 00 02 00 01 41", "reply of 10 bytes is no identification"),
        (Identify(), "2b 0d 01 01 00 00 00", "reply of 7 bytes is no identification"),
    ],
)
def test_what_answers_another_question_is_said_in_words(asked: Question, answer: str, words: str) -> None:
    reply = check_reply(asked, bytes.fromhex(answer))
    assert (reply.detail, reply.data) == (words, b"")
    assert reply.quality.is_bad


def test_the_late_reply_to_another_write_is_passed_over() -> None:
    late, own = rtu_frame(17, WriteOne(6, 9, 1).pdu), rtu_frame(17, WriteOne(6, 1, 3).pdu)
    assert find_rtu_reply(WriteOne(6, 1, 3), 17, late) is None
    reply = find_rtu_reply(WriteOne(6, 1, 3), 17, late + own)
    assert reply is not None
    assert reply.quality == Quality.GOOD

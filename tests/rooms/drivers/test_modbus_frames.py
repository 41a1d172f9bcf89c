"""Frames: known vectors from outside, and any bytes at all."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest

from edge.contract.types import Quality
from edge.drivers.modbus_frames import (
    MbapStream,
    OutOfStepError,
    crc16,
    find_rtu_reply,
    mbap_frame,
    rtu_frame,
    rtu_reply_bytes,
    what_came_instead,
)
from edge.drivers.modbus_questions import EXCEPTION_WORDS, Request, check_reply
from tests.peers.hostile import slow_crc

ASKED = Request(3, 107, 3)
# The example of the Modbus Application Protocol V1.1b3, section 6.3: registers 108-110 hold 0x022B, 0, 0x64.
SPEC_REQUEST = bytes.fromhex("03006B0003")
SPEC_REPLY = bytes.fromhex("0306022B00000064")


def test_crc_has_its_published_check_value() -> None:
    assert crc16(b"123456789") == 0x4B37


@given(st.binary(max_size=256))
def test_crc_equals_the_bitwise_definition_and_pymodbus(data: bytes) -> None:
    assert crc16(data).to_bytes(2, "little") == slow_crc(data)
    assert crc16(data) == int.from_bytes(FramerRTU.compute_CRC(data).to_bytes(2, "big"), "little")


def test_the_standards_own_example() -> None:
    assert ASKED.pdu == SPEC_REQUEST
    assert check_reply(ASKED, SPEC_REPLY).data == bytes.fromhex("022B00000064")
    assert rtu_reply_bytes(ASKED, b"") == len(SPEC_REPLY) + 3


@given(st.integers(0, 65535), st.integers(1, 125))
def test_requests_are_those_of_pymodbus(address: int, count: int) -> None:
    theirs = ReadHoldingRegistersRequest(address=address, count=count)
    assert Request(3, address, count).pdu == bytes((theirs.function_code,)) + theirs.encode()


def test_a_serial_frame_by_hand() -> None:
    # 11 03 00 6B 00 03 and its CRC 76 87: the worked example found in most introductions to Modbus RTU.
    assert rtu_frame(0x11, SPEC_REQUEST) == bytes.fromhex("1103006B00037687")


@pytest.mark.parametrize("code", range(1, 256))
def test_every_exception_code_has_its_words_and_its_side(code: int) -> None:
    reply = check_reply(ASKED, bytes((0x83, code)))
    assert EXCEPTION_WORDS.get(code, "unknown code") in reply.detail
    of_the_gateway = code in (0x0A, 0x0B)
    assert reply.quality == (Quality.BAD_BUS if of_the_gateway else Quality.BAD_DEVICE)
    assert reply.heard is not of_the_gateway


@pytest.mark.parametrize(
    "pdu",
    [
        b"", b"\x03", b"\x83", b"\x84\x02", SPEC_REPLY[:-1], SPEC_REPLY + b"\0", b"\x04" + SPEC_REPLY[1:],
        b"\x03\x08" + bytes(8),
    ],
)  # fmt: skip
def test_a_reply_to_something_else_is_trouble_of_the_bus(pdu: bytes) -> None:
    reply = check_reply(ASKED, pdu)
    assert (reply.quality, reply.data) == (Quality.BAD_BUS, b"")
    assert reply.detail


@given(st.binary(max_size=260))
def test_whatever_comes_is_a_value_only_where_it_has_the_asked_form(pdu: bytes) -> None:
    reply = check_reply(ASKED, pdu)
    assert (reply.quality == Quality.GOOD) == (len(pdu) == 8 and pdu[:2] == b"\x03\x06")


frames = st.lists(
    st.tuples(st.integers(0, 65535), st.integers(0, 255), st.binary(min_size=1, max_size=253)), max_size=6
)


@given(frames, st.lists(st.integers(0, 700), max_size=8))
def test_a_tcp_stream_is_cut_into_its_frames_however_it_arrives(
    sent: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(mbap_frame(*frame) for frame in sent)
    stream, got, edges = MbapStream(), [], sorted({0, len(data), *(c for c in cuts if c < len(data))})
    for start, end in pairwise(edges):
        got += stream.feed(data[start:end])
    assert got == sent
    assert not stream.unfinished


@pytest.mark.parametrize("header", ["0001000100060103", "0001000000000103", "000100000001010300", "0001000001000103"])
def test_what_is_no_modbus_header_puts_the_stream_out_of_step(header: str) -> None:
    with pytest.raises(OutOfStepError):
        MbapStream().feed(bytes.fromhex(header))


@given(st.binary(max_size=600))
def test_a_tcp_stream_survives_any_bytes_and_holds_at_most_one_frame(data: bytes) -> None:
    stream = MbapStream()
    try:
        stream.feed(data)
    except OutOfStepError:
        return
    assert len(stream._rest) < 260


REPLY = rtu_frame(17, SPEC_REPLY)


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_a_serial_reply_is_found_between_noise(before: bytes, after: bytes) -> None:
    reply = find_rtu_reply(ASKED, 17, before + REPLY + after)
    assert reply is not None
    assert (reply.data, reply.quality) == (SPEC_REPLY[2:], Quality.GOOD)


@given(st.integers(0, 8 * len(REPLY) - 1), st.integers(0, 8 * len(REPLY) - 1))
def test_flipped_bits_never_give_a_value(one: int, other: int) -> None:
    bad = bytearray(REPLY)
    for bit in {one, other}:
        bad[bit >> 3] ^= 1 << (bit & 7)
    if bytes(bad) != REPLY:
        reply = find_rtu_reply(ASKED, 17, bad) or what_came_instead(ASKED, 17, bad, 100)
        assert reply.quality == Quality.BAD_BUS


@pytest.mark.parametrize(
    ("heard", "words", "sign_of_life"),
    [
        (b"", "no answer within 100 ms", False),
        (rtu_frame(9, SPEC_REPLY), "no answer within 100 ms, only a frame of unit 9", False),
        (rtu_frame(17, b"\x04\x02\x00\x01"), "reply to function 4, asked 3", True),
        (rtu_frame(17, b"\x03\x02\x00\x01"), "reply of 2 bytes of data, asked for 6", True),
        (REPLY[:7], "CRC error or cut off, 7 of 11 bytes within 100 ms", True),
        (b"\xff\xfe\xfd", "no answer within 100 ms, only noise (3 bytes)", False),
    ],
)
def test_what_came_instead_is_said_in_words(heard: bytes, words: str, sign_of_life: bool) -> None:
    assert find_rtu_reply(ASKED, 17, heard) is None
    reply = what_came_instead(ASKED, 17, heard, 100)
    assert (reply.detail, reply.heard, reply.quality) == (words, sign_of_life, Quality.BAD_BUS)


def test_a_corrupted_reply_is_given_up_at_once() -> None:
    reply = find_rtu_reply(ASKED, 17, REPLY[:-1] + b"\0")
    assert reply is not None
    assert reply.detail == "CRC error"

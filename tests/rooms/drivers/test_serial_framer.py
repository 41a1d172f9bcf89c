"""Cutting a serial stream: whole messages come out, whatever noise lies between and wherever the reads cut it."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.profiles.serial import Checksum, Escape, Frame, Length, as_bytes
from edge.drivers.serial_framer import Framer, checksum_bytes

FRAMES = {
    "nmea": Frame(
        start="$", end="\r\n", checksum=Checksum(kind="xor8", form="hex", after="*"), bytes_max=80
    ),
    "stx etx bcc": Frame(
        start="\x02", end="\x03", bytes_max=80,
        checksum=Checksum(kind="xor8", place="after-end", covers_end=True),
    ),
    "hdlc": Frame(
        end="\x7e", escape=Escape(byte="\x7d", xor=0x20), bytes_max=200,
        checksum=Checksum(kind="crc16-x25", order="little"),
    ),
    "slip": Frame(
        end="\xc0", escape=Escape(byte="\xdb", map={"\xdc": "\xc0", "\xdd": "\xdb"}), bytes_max=200,
        checksum=Checksum(kind="crc16-ccitt-false"),
    ),
    "dle": Frame(
        start="\x10\x02", end="\x10\x03", escape=Escape(byte="\x10"), bytes_max=200,
        checksum=Checksum(kind="crc16-modbus", order="little"),
    ),
    "counted": Frame(
        start="\xaa\x55", length=Length(offset=1, adjust=6), bytes_max=80,
        checksum=Checksum(kind="crc16-xmodem", covers_start=True),
    ),
    "counted text": Frame(
        start="#", length=Length(offset=0, bytes=3, form="decimal", adjust=0), bytes_max=80,
        checksum=Checksum(kind="sum8", form="hex"),
    ),
    "fixed": Frame(start="\x01", end="\x04", bytes=12, checksum=Checksum(kind="sum8-complement"), bytes_max=12),
    "lines": Frame(end="\r\n", bytes_max=80),
}  # fmt: skip
PROVEN = [name for name, frame in FRAMES.items() if frame.checksum is not None]


def framed(name: str, payload: bytes) -> tuple[bytes, bytes]:
    """The message with ``payload`` that ``name`` may carry, and its frame, built apart from the driver's code."""
    frame = FRAMES[name]
    start, end = as_bytes(frame.start), as_bytes(frame.end)
    match name:
        case "nmea" | "lines" | "stx etx bcc":
            message = bytes(32 + byte % 90 for byte in payload) or b"-"
            message = message.replace(b"$", b"-").replace(b"*", b"+")
        case "counted":
            message = b"\x07" + bytes((len(payload) + 0,)) + payload
        case "counted text":
            message = f"{len(payload) + 6:03d}".encode() + payload
        case "fixed":
            message = (payload + bytes(9))[:9]
        case _:
            message = payload or b"-"
    if frame.checksum is None:
        return message, start + message + end
    proof = checksum_bytes(frame, message)
    if frame.checksum.place == "after-end":
        return message, start + message + end + proof
    body = message + as_bytes(frame.checksum.after) + proof
    match name:
        case "hdlc":
            body = b"".join(bytes((0x7D, b ^ 0x20)) if b in (0x7D, 0x7E) else bytes((b,)) for b in body)
        case "slip":
            body = body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        case "dle":
            body = body.replace(b"\x10", b"\x10\x10")
    return message, start + body + end


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(at)]


def heard(name: str, data: bytes, cuts: list[int]) -> tuple[list[bytes], Framer]:
    framer = Framer(FRAMES[name])
    return [m for piece in pieces(data, cuts) for m in framer.feed(piece, 0)], framer


payloads = st.lists(st.binary(max_size=30), min_size=1, max_size=6)
cuts = st.lists(st.integers(0, 4000), max_size=20)


@pytest.mark.parametrize("name", FRAMES)
@given(payloads=payloads, cuts=cuts)
def test_messages_come_out_whole_wherever_the_reads_cut_the_stream(
    name: str, payloads: list[bytes], cuts: list[int]
) -> None:
    made = [framed(name, payload) for payload in payloads]
    messages, framer = heard(name, b"".join(frame for _, frame in made), cuts)
    assert messages == [message for message, _ in made]
    assert framer.counts.words() == ""


@pytest.mark.parametrize("name", PROVEN)
@given(payload=st.binary(max_size=30), noise=st.binary(max_size=400), cuts=cuts)
def test_after_any_noise_the_line_is_in_step_again_at_once_or_at_the_next_frame(
    name: str, payload: bytes, noise: bytes, cuts: list[int]
) -> None:
    message, frame = framed(name, payload)
    # What the noise left open may swallow a frame, and for length-cut frames as much as the longest.
    padding = frame * (2 + FRAMES[name].bytes_max // len(frame))
    messages, framer = heard(name, noise + padding + frame, cuts)
    assert messages[-1] == message
    assert messages.count(message) >= 2
    counts = framer.counts
    assert noise == b"" or framer.counts.messages + counts.unsound + counts.noise > 0


@pytest.mark.parametrize("name", PROVEN)
@given(payload=st.binary(min_size=9, max_size=30), bit=st.integers(0, 10**6))
def test_one_flipped_bit_gives_no_message_and_the_next_is_read(name: str, payload: bytes, bit: int) -> None:
    message, frame = framed(name, payload)
    altered = bytearray(frame)
    altered[bit // 8 % len(frame)] ^= 1 << bit % 8
    messages, _ = heard(name, bytes(altered) + frame * (2 + FRAMES[name].bytes_max // len(frame)), [])
    # In hex digits a flipped bit may be the other case of the same digit.
    assert messages[-1] == message
    assert set(messages) == {message}


@pytest.mark.parametrize("name", FRAMES)
@given(data=st.binary(max_size=3000), cuts=cuts)
def test_what_is_held_is_bounded_whatever_comes(name: str, data: bytes, cuts: list[int]) -> None:
    _, framer = heard(name, data, cuts)
    for piece in pieces(data, cuts):
        framer.feed(piece, 0)
        assert len(framer._rest) <= FRAMES[name].bytes_max + 8


def test_a_pause_ends_an_unfinished_message_and_an_overlong_one_is_passed_over_to_its_end() -> None:
    framer = Framer(FRAMES["lines"])
    assert framer.feed(b"12.", 0) == []
    assert framer.feed(b"45.6\r\n", 2_000_000_000) == [b"45.6"]
    assert framer.counts.cut == 1
    assert framer.feed(b"x" * 300, 2_000_000_000) == []
    assert framer.feed(b"tail\r\n7\r\n", 2_000_000_000) == [b"7"]
    assert framer.counts.long == 1


def test_a_frame_cut_off_by_the_next_is_dropped_and_the_next_is_read() -> None:
    messages, framer = heard("nmea", b"$GPRMC,12$GPTXT*4F\r\n$GPTXT*4E\r\n$GPTXT*4F\r\n", [])
    assert messages == [b"GPTXT", b"GPTXT"]
    assert (framer.counts.cut, framer.counts.checksum) == (1, 1)


@pytest.mark.parametrize("name", FRAMES)
def test_the_most_tedious_stream_costs_less_cpu_than_the_fastest_line_takes_to_bring_it(name: str) -> None:
    frame = FRAMES[name]
    start = as_bytes(frame.start)
    data = (start + bytes((7, 70))) * 4000 if name == "counted" else (start or b"\x7d") * 8000
    started = time.process_time()
    heard(name, data[:8000], list(range(0, 8000, 100)))
    assert time.process_time() - started < 8000 / 11_520, "bytes of a line of 115,200 baud"

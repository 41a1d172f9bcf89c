"""Cuts a serial stream into messages that are proven by their frame: pure, bounded, in step again after any bytes.

What is no message is passed over and counted: noise before a beginning, frames cut off by the next one's beginning or
by a pause, lengths that cannot be, wrong checksums. The next sound frame is read, also where it lies within a false one
(a length-cut frame is given up byte by byte). At most one unfinished frame is held.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.config.profiles.serial import Frame, Length, as_bytes
from edge.drivers.checksums import checksum, width_of

NOISE_BYTES = 64


@dataclass(slots=True)
class Counts:
    """What came of the stream: sound ``messages``; ``noise`` in bytes; frames ``cut`` off, too ``long``, of a wrong
    ``checksum``."""

    messages: int = 0
    noise: int = 0
    cut: int = 0
    long: int = 0
    checksum: int = 0

    @property
    def unsound(self) -> int:
        """Frames that were dropped, noise counted as frames of ``NOISE_BYTES``."""
        return self.cut + self.long + self.checksum + self.noise // NOISE_BYTES

    def words(self) -> str:
        """What was passed over, empty where nothing was."""
        parts = (
            (self.checksum, "wrong checksums"), (self.cut, "cut frames"), (self.long, "overlong frames"),
            (self.noise, "bytes of noise"),
        )  # fmt: skip
        return ", ".join(f"{count} {what}" for count, what in parts if count)


class Framer:
    """One stream cut by one profile's ``frame``."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._start, self._end = as_bytes(frame.start), as_bytes(frame.end)
        self._tail = _tail_bytes(frame)
        self._behind = self._tail if frame.checksum is not None and frame.checksum.place == "after-end" else 0
        self._escape = as_bytes(frame.escape.byte)[0] if frame.escape is not None else None
        self._meant = {as_bytes(k)[0]: as_bytes(v)[0] for k, v in frame.escape.map.items()} if frame.escape else {}
        self._rest = bytearray()
        self._fed_ns = 0
        self._overlong = False
        self.counts = Counts()

    def feed(self, data: bytes, now_ns: int) -> list[bytes]:
        """The messages that are complete with ``data``, which came at ``now_ns``."""
        if self._rest and now_ns - self._fed_ns > self._frame.gap_ms * 1_000_000:
            self.drop()
        self._fed_ns = now_ns
        self._rest += data
        messages = []
        while self._rest:
            settled, message = self._step()
            if not settled:
                break
            del self._rest[:settled]
            if message is not None:
                self.counts.messages += 1
                messages.append(message)
        return messages

    def drop(self) -> None:
        """Forget the unfinished frame."""
        self.counts.cut += bool(self._rest)
        self._rest.clear()
        self._overlong = False

    def _step(self) -> tuple[int, bytes | None]:
        """How many bytes from the beginning are settled (0: more are needed), and the message that they were."""
        if self._start:
            at = self._rest.find(self._start)
            noise = at if at >= 0 else len(self._rest) - _overlap(self._rest, self._start)
            if noise:
                self.counts.noise += noise
                return noise, None
            if at < 0:
                return 0, None
        if self._frame.bytes is None and self._frame.length is None:
            return self._delimited()
        return self._counted()

    def _delimited(self) -> tuple[int, bytes | None]:
        end, again = self._find_end(len(self._start))
        if again:
            self.counts.cut += 1
            return again, None
        whole = end + len(self._end) + self._behind
        if end < 0 or len(self._rest) < whole:
            return self._unended() if end < 0 else (0, None)
        raw = bytes(self._rest[:whole])
        if self._overlong or whole > self._frame.bytes_max:
            self.counts.long += not self._overlong
            self._overlong = False
            return whole, None
        body = self._unescaped(raw[len(self._start) : end])
        if not body and not self._start:
            return whole, None
        return whole, self._proven(body, raw[whole - self._behind :] if self._behind else b"")

    def _unended(self) -> tuple[int, bytes | None]:
        if len(self._rest) <= self._frame.bytes_max:
            return 0, None
        settled = len(self._start) or len(self._rest) - _overlap(self._rest, self._end)
        self.counts.long += not self._overlong
        self.counts.noise += settled if self._overlong else 0
        # Without a start, its tail is no message either: what comes up to the next end belongs to it.
        self._overlong = not self._start
        return settled, None

    def _find_end(self, at: int) -> tuple[int, int]:
        """Where the end is (-1: not yet), and where another frame began before it (0: nowhere)."""
        rest = self._rest
        if self._escape is None:
            end = rest.find(self._end, at)
            again = rest.find(self._start, at, end if end >= 0 else len(rest)) if self._start else -1
            return end, max(again, 0)
        while at < len(rest):
            if rest.startswith(self._end, at):
                return at, 0
            if self._start and rest.startswith(self._start, at):
                return -1, at
            at += 2 if rest[at] == self._escape else 1
        return -1, 0

    def _unescaped(self, body: bytes) -> bytes:
        if self._escape is None or self._escape not in body:
            return body
        assert self._frame.escape is not None
        out = bytearray()
        bytes_ = iter(body)
        for byte in bytes_:
            if byte == self._escape:
                follows = next(bytes_, 0)
                byte = self._meant.get(follows, follows ^ self._frame.escape.xor)
            out.append(byte)
        return bytes(out)

    def _counted(self) -> tuple[int, bytes | None]:
        whole = self._whole_bytes()
        if whole is None:
            return 0, None
        if not len(self._start) + len(self._end) + self._tail < whole <= self._frame.bytes_max:
            self.counts.noise += 1
            return 1, None
        if len(self._rest) < whole:
            return 0, None
        raw = bytes(self._rest[:whole])
        end = whole - self._behind - len(self._end)
        if raw[end : end + len(self._end)] != self._end:
            self.counts.noise += 1
            return 1, None
        message = self._proven(raw[len(self._start) : end], raw[whole - self._behind :] if self._behind else b"")
        return (whole, message) if message is not None else (1, None)

    def _whole_bytes(self) -> int | None:
        """The frame's length by what it says; None where that has not come yet."""
        if self._frame.length is None:
            return self._frame.bytes
        length = self._frame.length
        at = len(self._start) + length.offset
        raw = bytes(self._rest[at : at + length.bytes])
        return None if len(raw) < length.bytes else _said(length, raw) + length.adjust

    def _proven(self, body: bytes, behind: bytes) -> bytes | None:
        """The message in ``body``, if its checksum is right."""
        spec = self._frame.checksum
        if spec is None:
            return body
        at = len(body) if behind else max(len(body) - self._tail, 0)
        message, given, before = body[:at], behind or body[at:], as_bytes(spec.after)
        if message.endswith(before):
            message = message[: len(message) - len(before)]
            if (given.upper() if spec.form == "hex" else given) == checksum_bytes(self._frame, message):
                return message
        self.counts.checksum += 1
        return None


def checksum_bytes(frame: Frame, message: bytes) -> bytes:
    """The checksum of ``message`` as a frame carries it."""
    spec = frame.checksum
    assert spec is not None
    covered = as_bytes(frame.start) * spec.covers_start + message + as_bytes(frame.end) * spec.covers_end
    raw = checksum(spec.kind, covered).to_bytes(width_of(spec.kind), spec.order)
    return raw.hex().upper().encode() if spec.form == "hex" else raw


def _tail_bytes(frame: Frame) -> int:
    spec = frame.checksum
    return 0 if spec is None else width_of(spec.kind) * (2 if spec.form == "hex" else 1)


def _said(length: Length, raw: bytes) -> int:
    """What the length field says; so much that no frame is that long where it says nothing."""
    if length.form == "binary":
        return int.from_bytes(raw, length.order)
    digits = b"0123456789" if length.form == "decimal" else b"0123456789abcdefABCDEF"
    if raw.strip(digits):
        return 1 << 31
    return int(raw, 10 if length.form == "decimal" else 16)


def _overlap(data: bytearray, start: bytes) -> int:
    """How many bytes at the end of ``data`` may be the beginning of ``start``."""
    return next((n for n in range(min(len(start) - 1, len(data)), 0, -1) if data.endswith(start[:n])), 0)

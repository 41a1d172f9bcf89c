"""A Modbus RTU bus on a pseudo-terminal: bytes arrive at the pace of the wire, and frames end in silence.

The other end of the pty is linked at the path that the site file names as ``device``, so that the gateway opens it like
a serial port. A pty carries no pace of its own: requests are taken to have arrived when their last character would
have, replies begin after the silent interval t3.5 and are written character by character. What a pty cannot show is
parity, break and a driver's turn-around.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tty
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from pymodbus.framer import FramerRTU

from edge.config.lines import ModbusRtu
from edge.errors import LineError
from edge.plant.exchange import LATE_REPLIES_MAX, Decoder, Exchange, Outgoing
from edge.plant.unit import Unit

FRAME_BYTES_MAX, FRAME_BYTES_MIN = 256, 4
PTS = "/dev/pts/"


@contextlib.asynccontextmanager
async def serving_rtu(line: ModbusRtu, device: Path, units: dict[int, Unit]) -> AsyncIterator[str]:
    """Serve at ``device`` while the context lasts; gives where, in words. Raises ``LineError``."""
    where = f"line {line.name}"
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        raise LineError(where, f"no pseudo-terminal: {error}", "mount /dev/pts, or raise kernel.pty.max") from error
    try:
        # Holding their end open keeps the bus alive while no gateway has it open.
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        target = os.ttyname(theirs)
        _link(where, device, target)
        bus = _Bus(ours, Exchange(units, FramerRTU(Decoder), _corrupt, foreign_exception=0), line)
        bus.open()
        try:
            yield f"Modbus RTU on {device} ({target}), {line.baud} baud 8{line.parity}{line.stop_bits}"
        finally:
            bus.close()
            _unlink(device, target)
    finally:
        os.close(theirs)
        os.close(ours)


def _link(where: str, device: Path, target: str) -> None:
    """Link the pty at ``device``. A link that an earlier plant left is replaced, anything else is somebody's."""
    hint = "name a path in a folder that you may write to"
    try:
        device.parent.mkdir(parents=True, exist_ok=True)
        if device.is_symlink() and str(device.readlink()).startswith(PTS):
            device.unlink()
        device.symlink_to(target)
    except FileExistsError as error:
        raise LineError(where, f"{device} exists and is not a link of ours", "remove it, or change `device`") from error
    except OSError as error:
        raise LineError(where, f"{device} cannot be made: {error.strerror}", hint) from error


def _unlink(device: Path, target: str) -> None:
    with contextlib.suppress(OSError):
        if str(device.readlink()) == target:
            device.unlink()


def character_s(line: ModbusRtu) -> float:
    """Seconds that one character takes: start bit, eight data bits, parity and stop bits (11 at 8E1 or 8N2)."""
    return (9 + (line.parity != "N") + line.stop_bits) / line.baud


def silence_s(line: ModbusRtu) -> float:
    """t3.5: the silence that ends a frame; 1.75 ms above 19200 baud (Modbus over serial line, 2.5.1.1)."""
    return 3.5 * character_s(line) if line.baud <= 19_200 else 0.001_75


class _Bus:
    """The wire: half duplex, one frame at a time, replies in the order in which they became due."""

    def __init__(self, fd: int, exchange: Exchange, line: ModbusRtu) -> None:
        self._fd, self._exchange = fd, exchange
        self._character_s, self._silence_s = character_s(line), silence_s(line)
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._silence: asyncio.TimerHandle | None = None
        self._late: set[asyncio.TimerHandle] = set()
        self._due: deque[Outgoing] = deque()
        self._writing: asyncio.TimerHandle | None = None
        self._whole = True

    def open(self) -> None:
        self._loop.add_reader(self._fd, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        for timer in (self._silence, self._writing, *self._late):
            if timer is not None:
                timer.cancel()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except (BlockingIOError, InterruptedError):
            return
        if self._silence is not None:
            self._silence.cancel()
        self._buffer = (self._buffer + data)[-FRAME_BYTES_MAX:]
        arrives_in_s = len(data) * self._character_s + self._silence_s
        self._silence = self._loop.call_later(arrives_in_s, self._frame_ended)

    def _frame_ended(self) -> None:
        frame, self._buffer, self._silence = self._buffer, b"", None
        if len(frame) < FRAME_BYTES_MIN or not FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
            return
        outgoing = self._exchange.answer(frame[0], 0, frame[1:-2])
        if outgoing is None:
            return
        if outgoing.delay_s == 0.0:
            self._send(outgoing)
        elif len(self._late) < LATE_REPLIES_MAX:
            self._send_later(outgoing)

    def _send_later(self, outgoing: Outgoing) -> None:
        def due() -> None:
            self._late.discard(timer)
            self._send(outgoing)

        timer = self._loop.call_later(outgoing.delay_s, due)
        self._late.add(timer)

    def _send(self, outgoing: Outgoing) -> None:
        self._due.append(outgoing)
        if self._writing is None:
            self._begin()

    def _begin(self) -> None:
        self._whole = True
        self._write(self._loop.time(), 0)

    def _write(self, started: float, done: int) -> None:
        """Write what the wire has carried by now of the first frame due, and come back for the rest."""
        frame = self._due[0].frame
        carried = min(len(frame), int((self._loop.time() - started) / self._character_s))
        if carried > done:
            self._put(frame[done:carried])
        if carried < len(frame):
            at = started + (max(carried, done) + 1) * self._character_s
            self._writing = self._loop.call_at(at, self._write, started, carried)
            return
        outgoing = self._due.popleft()
        if self._whole:
            outgoing.sent()
        self._writing = self._loop.call_later(self._silence_s, self._next)

    def _put(self, data: bytes) -> None:
        """Bytes that nobody reads are lost, as on a wire; the frame then does not count as served."""
        try:
            self._whole &= os.write(self._fd, data) == len(data)
        except BlockingIOError:
            self._whole = False

    def _next(self) -> None:
        self._writing = None
        if self._due:
            self._begin()


def _corrupt(frame: bytes, chance: random.Random) -> bytes:
    """Flip one to three bits, which CRC-16 always detects at this length, or lose the last characters."""
    if chance.random() < 0.25:
        return frame[: -chance.randint(1, 3)]
    spoilt = bytearray(frame)
    for bit in chance.sample(range(8 * len(frame)), chance.randint(1, 3)):
        spoilt[bit // 8] ^= 1 << bit % 8
    return bytes(spoilt)

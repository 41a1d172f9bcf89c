"""Modbus RTU on a serial line: our own frames, with the silence that the standard asks for.

The framing is our own because pymodbus' asynchronous client breaks the silent interval (t3.5) on nine polls of ten, and
a slave that takes two frames for one answers neither. Here the silence is measured from the last byte that was heard or
sent, by anyone, and kept before every question.

Survived, each as an answer of bad quality with its reason: silence, CRC errors, cut and merged frames, noise before and
after a reply, late replies of other units, a line that never falls silent, an adapter that is unplugged (it is opened
again with a growing pause). A device that is missing or busy when the line is opened is the operator's: ``LineError``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import time

from edge.config.lines import ModbusRtu
from edge.drivers.backoff import Backoff
from edge.drivers.deadline import HeardWithin
from edge.drivers.modbus_driver import ModbusDriver
from edge.drivers.modbus_frames import (
    RTU_OVERHEAD_BYTES,
    find_rtu_reply,
    rtu_bytes_wanted,
    rtu_frame,
    what_came_instead,
)
from edge.drivers.modbus_questions import Question, Reply, silent
from edge.drivers.modbus_strays import Strays
from edge.drivers.tty import cannot_open, open_tty
from edge.ports import Clock

FAST_BAUD = 19_200
FAST_SILENCE_NS = 1_750_000
"""Above 19200 baud the silence is fixed (Modbus over Serial Line V1.02, 2.5.1.1)."""
REOPEN_FIRST_S, REOPEN_MAX_S = 0.25, 5.0
HEARD_BYTES_MAX = 1024
LOOP_TICK_NS = 1_000_000
"""An event loop's timers are rounded up to this; what is shorter is slept outside of it, lest the line idle."""
LISTENED_CHARACTERS = 3
"""So many of a reply are awaited one by one: when the last one came begins the silence."""
SLACK_NS = 60_000
"""A sleep of Linux' ends by about so much too late, which at 115200 baud is a hundredth of a poll."""


def character_ns(line: ModbusRtu) -> int:
    """Wire time of one character: start bit, eight data bits, parity, stop bits."""
    return (9 + (line.parity != "N") + line.stop_bits) * 10**9 // line.baud


def silence_ns(line: ModbusRtu) -> int:
    """The silent interval t3.5 between two frames."""
    return FAST_SILENCE_NS if line.baud > FAST_BAUD else 7 * character_ns(line) // 2


class ModbusRtuDriver(ModbusDriver):
    """The driver of one serial line, and the only one who may use the device while it is open."""

    def __init__(self, line: ModbusRtu, clock: Clock) -> None:
        super().__init__(clock, numbered=False, overhead_bytes=RTU_OVERHEAD_BYTES)
        self._line = line
        self._backoff = Backoff(clock, REOPEN_FIRST_S, REOPEN_MAX_S)
        self._port: _Port | None = None
        self._strays = Strays(self.counts)

    async def open(self) -> None:
        """Open the device exclusively. Raises ``LineError``."""
        try:
            self._port = _Port(self._line, self._clock)
        except (OSError, termios.error) as error:
            raise cannot_open(self._line.device, error) from error
        # What another program asked just before may still be answered: that is dropped with the next question.
        await self._clock.sleep(self._line.timeout_ms / 1000)

    async def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    async def _answer(self, unit: int, question: Question) -> Reply:
        if self._port is None or self._port.lost:
            trouble = self._reopen()
            if trouble:
                return silent(trouble, "line")
        port = self._port
        assert port is not None
        frame = rtu_frame(unit, question.pdu)
        wire_bytes = len(frame) + RTU_OVERHEAD_BYTES + question.size_max
        allowed_ms = self._line.timeout_ms + character_ns(self._line) * wire_bytes / 1e6
        if not await port.fall_silent(allowed_ms / 1000):
            if port.lost:
                return silent(port.lost, "line")
            return silent(f"the line did not fall silent within {allowed_ms:.0f} ms", "noise")
        self._strays.begin(unit, port.dropped)
        port.send(frame)
        reply = await self._heard(port, unit, question, allowed_ms)
        self._strays.end(unit, question, reply, bytes(port.heard))
        return reply

    async def _heard(self, port: _Port, unit: int, question: Question, allowed_ms: float) -> Reply:
        reply = None
        try:
            async with HeardWithin(allowed_ms / 1000):
                while reply is None and not port.lost:
                    await port.more(rtu_bytes_wanted(question, port.heard))
                    reply = find_rtu_reply(question, unit, port.heard)
        except TimeoutError:
            reply = find_rtu_reply(question, unit, port.heard)
            return reply or what_came_instead(question, unit, port.heard, allowed_ms)
        return reply or silent(port.lost, "line")

    def _reopen(self) -> str:
        """Open again what was lost, unless the last attempt is too fresh; the trouble in words, empty where none."""
        lost = self._port.lost if self._port is not None else "not open"
        if not self._backoff.allows():
            return self._backoff.trouble
        if self._port is not None:
            self._port.close()
        try:
            self._port = _Port(self._line, self._clock)
        except (OSError, termios.error) as error:
            return self._backoff.failed(f"{lost}; {cannot_open(self._line.device, error)}")
        self._backoff.succeeded()
        self.counts.reconnects += 1
        return ""


class _Port:
    """The open device: what was heard since the last question, and since when the line has been silent.

    ``dropped`` is what was heard up to the last silence that was waited for.

    Raises ``OSError`` or ``termios.error`` where the device cannot be opened or set. Afterwards ``lost`` says why it is
    no longer usable, or is empty.
    """

    def __init__(self, line: ModbusRtu, clock: Clock) -> None:
        self._clock = clock
        self._silence_ns = silence_ns(line)
        self._character_ns = character_ns(line)
        self._serial = open_tty(line.device, baud=line.baud, parity=line.parity, stop_bits=line.stop_bits)
        self._fd = self._serial.fileno()
        self._active_ns = clock.mono_ns()
        self._arrived = asyncio.Event()
        self._wanted = 0
        self._deaf: asyncio.TimerHandle | None = None
        self.heard = bytearray()
        self.dropped = b""
        self.lost = ""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._hear)

    def close(self) -> None:
        if self._serial.is_open:
            self._listen()
            self._loop.remove_reader(self._fd)
            with contextlib.suppress(OSError, termios.error):
                self._serial.close()

    async def fall_silent(self, within_s: float) -> bool:
        """Wait until nobody has sent for t3.5; drop what was heard until then. False after ``within_s``, or if lost."""
        self._wanted = 0
        self._listen()
        give_up_ns = self._clock.mono_ns() + int(within_s * 1e9) + self._silence_ns
        while not self.lost:
            now_ns = self._clock.mono_ns()
            rest_ns = self._active_ns + self._silence_ns - now_ns
            if rest_ns <= 0:
                self._hear()
                if self._active_ns <= now_ns:
                    self.dropped = bytes(self.heard)
                    self.heard.clear()
                    return not self.lost
            elif now_ns > give_up_ns:
                return False
            elif rest_ns > LOOP_TICK_NS:
                await self._clock.sleep(rest_ns // LOOP_TICK_NS * LOOP_TICK_NS / 1e9)
            elif rest_ns > SLACK_NS:
                _rest(rest_ns - SLACK_NS)
            # What is shorter than a timer's slack is waited out in this loop.
        return False

    def send(self, frame: bytes) -> None:
        """Hand the frame to the line. Its last byte leaves one wire time later."""
        try:
            taken = os.write(self._fd, frame)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self._lose(error)
            return
        if taken < len(frame):
            # Half a frame would be read as the head of the next one; the unit's own t3.5 discards it.
            with contextlib.suppress(OSError, termios.error):
                self._serial.reset_output_buffer()
        self._active_ns = self._clock.mono_ns() + len(frame) * self._character_ns

    async def more(self, wanted: int) -> None:
        """Wait for a further byte and until ``wanted`` are there, or until the device is lost."""
        self._wanted = wanted
        self._arrived.clear()
        await self._arrived.wait()

    def _hear(self) -> None:
        try:
            data = os.read(self._fd, HEARD_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self._lose(OSError("hung up"))
            return
        self._active_ns = self._clock.mono_ns()
        self.heard += data
        del self.heard[:-HEARD_BYTES_MAX]
        if len(self.heard) >= self._wanted:
            self._arrived.set()
        else:
            self._look_away(self._wanted - len(self.heard))

    def _look_away(self, missing: int) -> None:
        """Do not wake for each of the ``missing`` characters: all but the last few take their time on the wire."""
        ticks = (missing - LISTENED_CHARACTERS) * self._character_ns // LOOP_TICK_NS
        if ticks > 0 and self._deaf is None:
            self._loop.remove_reader(self._fd)
            self._deaf = self._loop.call_later(ticks * LOOP_TICK_NS / 1e9, self._listen)

    def _listen(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None
            self._loop.add_reader(self._fd, self._hear)

    def _lose(self, error: OSError) -> None:
        self.lost = f"serial device lost: {(error.strerror or str(error)).lower()}"
        self._arrived.set()
        self.close()


def _rest(rest_ns: int) -> None:
    """Sleep less than a tick of the event loop, outside of it."""
    time.sleep(rest_ns / 1e9)

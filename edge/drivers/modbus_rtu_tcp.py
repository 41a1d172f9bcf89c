"""Modbus RTU frames over a TCP connection to a serial device server, which puts them on its line as they are.

There are no transaction numbers: replies are told as on a serial line, by unit, function, length and CRC, and after a
silence the unit is got into step again. The silence between frames is kept as far as it can be from here: by the
serial side's speed, counted from the last byte that came.

Survived, each as an answer of bad quality with its reason: what a serial line does to frames (see ``modbus_rtu``) and
what a network does to connections (see ``modbus_tcp``).
"""

from __future__ import annotations

import asyncio

from edge.config.lines import ModbusRtuTcp
from edge.drivers.deadline import HeardWithin
from edge.drivers.modbus_dial import Connection, Dial
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
from edge.ports import Clock

HEARD_BYTES_MAX = 1024
BITS_A_CHARACTER = 11


class ModbusRtuTcpDriver(ModbusDriver):
    """The driver of one serial line behind a device server."""

    def __init__(self, line: ModbusRtuTcp, clock: Clock) -> None:
        super().__init__(clock, numbered=False, overhead_bytes=RTU_OVERHEAD_BYTES)
        self._line = line
        self._strays = Strays(self.counts)
        self._silence_ns = int(3.5e9 * BITS_A_CHARACTER / line.baud)
        self._dial = Dial(line.host, line.port, line.timeout_ms, clock, lambda: _Connection(clock))

    async def open(self) -> None:
        """Nothing to check: a device server that is switched off is trouble on the bus."""

    async def close(self) -> None:
        self._dial.hang_up()

    async def _answer(self, unit: int, question: Question) -> Reply:
        connection = await self._dial.connection()
        self.counts.reconnects = max(0, self._dial.connections - 1)
        if isinstance(connection, str):
            return silent(connection, "line")
        rest_ns = connection.active_ns + self._silence_ns - self._clock.mono_ns()
        if rest_ns > 0:
            await self._clock.sleep(rest_ns / 1e9)
        self._strays.begin(unit, bytes(connection.heard))
        connection.send(rtu_frame(unit, question.pdu))
        reply = await self._heard(connection, unit, question)
        self._strays.end(unit, question, reply, bytes(connection.heard))
        return reply

    async def _heard(self, connection: _Connection, unit: int, question: Question) -> Reply:
        reply = None
        try:
            async with HeardWithin(self._line.timeout_ms / 1000):
                while reply is None and not connection.lost:
                    await connection.more(rtu_bytes_wanted(question, connection.heard))
                    reply = find_rtu_reply(question, unit, connection.heard)
        except TimeoutError:
            reply = find_rtu_reply(question, unit, connection.heard)
            if reply is None:
                self._dial.unanswered()
                return what_came_instead(question, unit, connection.heard, self._line.timeout_ms)
        if reply is None:
            return silent(f"connection lost: {connection.lost}", "line")
        self._dial.answered()
        return reply


class _Connection(Connection):
    """What was heard since the last question, and when the last byte came."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._arrived = asyncio.Event()
        self._wanted = 0
        self.active_ns = 0
        self.heard = bytearray()

    def send(self, frame: bytes) -> None:
        """What came since the last question answers nothing any more."""
        self.heard.clear()
        if self.transport is not None:
            self.transport.write(frame)

    async def more(self, wanted: int) -> None:
        """Wait for a further byte and until ``wanted`` are there, or until the connection is lost."""
        self._wanted = wanted
        self._arrived.clear()
        if not self.lost:
            await self._arrived.wait()

    def data_received(self, data: bytes) -> None:
        self.active_ns = self._clock.mono_ns()
        self.heard += data
        del self.heard[:-HEARD_BYTES_MAX]
        if len(self.heard) >= self._wanted:
            self._arrived.set()

    def lose(self, why: str) -> None:
        super().lose(why)
        self._arrived.set()

"""Modbus TCP over asyncio: one connection a line, one question at a time, no exception for trouble on the bus.

The framing is our own and pymodbus stays the tests' and the simulated plant's independent peer: its asynchronous client
takes three times the CPU a request, its decoding 25 times, and the gateway must fit into 45 MB.

Survived, each as an answer of bad quality with its reason: a PLC that is absent at start or goes away later; resets;
silence; replies of a wrong unit, function, length or transaction; late replies (dropped by their transaction number);
truncated, merged or foreign bytes, after which the connection is made anew because nobody knows where a frame begins.
"""

from __future__ import annotations

import asyncio
import itertools

from edge.config.lines import ModbusTcp
from edge.drivers.deadline import HeardWithin
from edge.drivers.modbus_dial import Connection, Dial
from edge.drivers.modbus_driver import ModbusDriver
from edge.drivers.modbus_frames import MBAP_BYTES, MbapStream, OutOfStepError, mbap_frame
from edge.drivers.modbus_questions import Question, Reply, check_reply, garbled, silent
from edge.ports import Clock

STRAYS_MAX = 64


class ModbusTcpDriver(ModbusDriver):
    """The driver of one Modbus TCP line. ``late`` counts replies that came to questions given up, or once more."""

    def __init__(self, line: ModbusTcp, clock: Clock) -> None:
        super().__init__(clock, numbered=True, overhead_bytes=MBAP_BYTES)
        self._line = line
        self._dial = Dial(line.host, line.port, line.timeout_ms, clock, _Connection)
        self._transactions = itertools.count(1)
        self.late = 0

    async def open(self) -> None:
        """Nothing to check: a PLC that is switched off is trouble on the bus, and the first read says so."""

    async def close(self) -> None:
        self._dial.hang_up()

    async def _answer(self, unit: int, question: Question) -> Reply:
        connection = await self._dial.connection()
        self.counts.reconnects = max(0, self._dial.connections - 1)
        if isinstance(connection, str):
            return silent(connection, "line")
        self._forget(connection)
        transaction = next(self._transactions) & 0xFFFF
        try:
            async with HeardWithin(self._line.timeout_ms / 1000):
                heard_unit, pdu = await connection.ask(transaction, mbap_frame(transaction, unit, question.pdu))
        except TimeoutError:
            return self._unanswered(connection)
        except ConnectionError as error:
            self._dial.hang_up()
            return silent(f"connection lost: {error}", "line")
        finally:
            self._forget(connection)
        self._dial.answered()
        if heard_unit != unit:
            return garbled(f"reply of unit {heard_unit}, asked unit {unit}", "foreign")
        return check_reply(question, pdu)

    def _forget(self, connection: _Connection) -> None:
        """Close its question and count the replies to others that have come since the last time."""
        for unit, again in connection.forget():
            self.late += 1
            counts = self.counts.of(unit)
            if again:
                counts.doubles += 1
            else:
                counts.late += 1

    def _unanswered(self, connection: _Connection) -> Reply:
        self._dial.unanswered()
        if connection.unfinished:
            # The rest of a cut frame would swallow the next reply.
            self._dial.hang_up()
            return silent(f"reply cut off, not complete within {self._line.timeout_ms} ms")
        strays = f", only replies to other questions ({len(connection.strays)})" if connection.strays else ""
        return silent(f"no answer within {self._line.timeout_ms} ms{strays}")


class _Connection(Connection):
    """A connection with at most one open question."""

    def __init__(self) -> None:
        super().__init__()
        self._stream = MbapStream()
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._transaction = self._answered = -1
        self.strays: list[tuple[int, bool]] = []

    @property
    def unfinished(self) -> bool:
        return self._stream.unfinished

    def ask(self, transaction: int, frame: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send; the future gives unit and PDU of the reply, or ``ConnectionError``."""
        assert self.transport is not None
        self._transaction = transaction
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(frame)
        return self._waiter

    def forget(self) -> list[tuple[int, bool]]:
        """Close the question; whose replies to others came since the last time, and whether to one answered before."""
        if self._waiter is not None and self._waiter.done() and not self._waiter.cancelled():
            self._answered = self._transaction
        self._waiter = None
        strays, self.strays = self.strays, []
        return strays

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._stream.feed(data)
        except OutOfStepError as error:
            self.lose(str(error).lower())
            return
        for transaction, unit, pdu in frames:
            if transaction == self._transaction and self._waiter is not None and not self._waiter.done():
                self._waiter.set_result((unit, pdu))
            elif len(self.strays) < STRAYS_MAX:
                asked_last = transaction == self._transaction
                self.strays.append((unit, transaction == self._answered or (asked_last and self._waiter is not None)))

    def lose(self, why: str) -> None:
        super().lose(why)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError(self.lost))

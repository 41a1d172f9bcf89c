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
from edge.config.profiles.modbus import ModbusProfile
from edge.drivers.backoff import Backoff
from edge.drivers.modbus_conversation import Conversation
from edge.drivers.modbus_frames import (
    MBAP_BYTES,
    MbapStream,
    OutOfStepError,
    Reply,
    Request,
    check_reply,
    garbled,
    mbap_frame,
    silent,
)
from edge.line_counts import LineCounts
from edge.ports import Answer, Clock

RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 5.0
STRAYS_MAX = 64
SILENCES_MAX = 5
"""After so many unanswered questions in a row the connection may be dead on the other side, and is made anew."""


class ModbusTcpDriver:
    """The ``Driver`` of one Modbus TCP line. ``late`` counts replies that came to questions given up, or once more."""

    def __init__(self, line: ModbusTcp, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._timeout_s = line.timeout_ms / 1000
        self._conversation = Conversation(self._ask, clock, numbered=True)
        self._backoff = Backoff(clock, RECONNECT_FIRST_S, RECONNECT_MAX_S)
        self._connection: _Connection | None = None
        self._transactions = itertools.count(1)
        self._silences = 0
        self._connected = False
        self.late = 0
        self.counts = LineCounts()

    async def open(self) -> None:
        """Nothing to check: a PLC that is switched off is trouble on the bus, and the first read says so."""

    async def read(self, unit: int, profile: ModbusProfile) -> list[Answer]:
        return await self._conversation.read(unit, profile)

    async def close(self) -> None:
        self._disconnect()

    async def _ask(self, unit: int, request: Request) -> Reply:
        started_ns = self._clock.mono_ns()
        reply = await self._answer(unit, request)
        self.counts.of(unit).count(
            reply.fault, busy_ns=self._clock.mono_ns() - started_ns, sent_bytes=MBAP_BYTES + len(request.pdu),
            heard_bytes=MBAP_BYTES + 2 + request.data_bytes, code=reply.code,
        )  # fmt: skip
        return reply

    async def _answer(self, unit: int, request: Request) -> Reply:
        if self._connection is None or self._connection.lost:
            trouble = await self._connect()
            if trouble:
                return silent(trouble, "line")
        assert self._connection is not None
        connection = self._connection
        self._forget(connection)
        transaction = next(self._transactions) & 0xFFFF
        try:
            async with asyncio.timeout(self._timeout_s):
                heard_unit, pdu = await connection.ask(transaction, mbap_frame(transaction, unit, request.pdu))
        except TimeoutError:
            return self._unanswered(connection)
        except ConnectionError as error:
            self._disconnect()
            return silent(f"connection lost: {_words(error)}", "line")
        finally:
            self._forget(connection)
        self._silences = 0
        self._backoff.succeeded()
        return self._checked(unit, heard_unit, request, pdu)

    def _forget(self, connection: _Connection) -> None:
        """Close its question and count the replies to others that have come since the last time."""
        for unit, again in connection.forget():
            self.late += 1
            counts = self.counts.of(unit)
            if again:
                counts.doubles += 1
            else:
                counts.late += 1

    def _checked(self, unit: int, heard_unit: int, request: Request, pdu: bytes) -> Reply:
        if heard_unit != unit:
            return garbled(f"reply of unit {heard_unit}, asked unit {unit}", "foreign")
        return check_reply(request, pdu)

    def _unanswered(self, connection: _Connection) -> Reply:
        self._silences += 1
        detail = f"no answer within {self._line.timeout_ms} ms"
        if connection.strays:
            detail += f", only replies to other questions ({len(connection.strays)})"
        if connection.unfinished:
            # The rest of a cut frame would swallow the next reply.
            detail = f"reply cut off, not complete within {self._line.timeout_ms} ms"
        if connection.unfinished or self._silences >= SILENCES_MAX:
            self._silences = 0
            self._disconnect()
        return silent(detail)

    async def _connect(self) -> str:
        """Connect unless the last failure is too fresh; the trouble in words, empty where there is none."""
        self._disconnect()
        if not self._backoff.allows():
            return self._backoff.trouble
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, self._connection = await loop.create_connection(_Connection, self._line.host, self._line.port)
        except TimeoutError:
            return self._backoff.failed(f"no connection within {self._line.timeout_ms} ms")
        except OSError as error:
            return self._backoff.failed(f"no connection: {_words(error)}")
        self.counts.reconnects += self._connected
        self._connected = True
        # Only an answer clears the back-off: a peer that accepts and hangs up at once must not be hammered.
        self._backoff.failed("connection lost")
        return ""

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


class _Connection(asyncio.Protocol):
    """One TCP connection with at most one open question."""

    def __init__(self) -> None:
        self._stream = MbapStream()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._transaction = self._answered = -1
        self.strays: list[tuple[int, bool]] = []
        self.lost = False

    @property
    def unfinished(self) -> bool:
        return self._stream.unfinished

    def ask(self, transaction: int, frame: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send; the future gives unit and PDU of the reply, or ``ConnectionError``."""
        assert self._transport is not None
        self._transaction = transaction
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(frame)
        return self._waiter

    def forget(self) -> list[tuple[int, bool]]:
        """Close the question; whose replies to others came since the last time, and whether to one answered before."""
        if self._waiter is not None and self._waiter.done() and not self._waiter.cancelled():
            self._answered = self._transaction
        self._waiter = None
        strays, self.strays = self.strays, []
        return strays

    def abort(self) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._stream.feed(data)
        except OutOfStepError as error:
            self._fail(ConnectionError(str(error)))
            self.abort()
            return
        for transaction, unit, pdu in frames:
            if transaction == self._transaction and self._waiter is not None and not self._waiter.done():
                self._waiter.set_result((unit, pdu))
            elif len(self.strays) < STRAYS_MAX:
                asked_last = transaction == self._transaction
                self.strays.append((unit, transaction == self._answered or (asked_last and self._waiter is not None)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._fail(ConnectionError(_words(exc) if isinstance(exc, OSError) else "closed by the other side"))

    def _fail(self, error: ConnectionError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


def _words(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()

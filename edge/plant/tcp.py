"""A Modbus TCP server for the plant: many devices behind one port, as behind a Modbus gateway.

A unit id that nobody has gets exception 0x0B, as a gateway answers for a target that does not respond; a unit that is
dead by command is silent, so that clients meet both. Survives clients that vanish, send rubbish or do not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
from collections.abc import AsyncIterator

from pymodbus.framer import FramerSocket

from edge.config.lines import ModbusTcp
from edge.errors import LineError
from edge.plant.exchange import LATE_REPLIES_MAX, NO_RESPONSE_FROM_TARGET, Decoder, Exchange, Outgoing
from edge.plant.unit import Unit

CONNECTIONS_MAX = 32
HEADER_BYTES = 7
FRAME_BYTES_MAX = 260
UNSENT_BYTES_MAX = 64 * 1024


@contextlib.asynccontextmanager
async def serving_tcp(line: ModbusTcp, units: dict[int, Unit]) -> AsyncIterator[str]:
    """Serve while the context lasts; gives where it listens, in words. Raises ``LineError``."""
    exchange = Exchange(units, FramerSocket(Decoder), _corrupt, foreign_exception=NO_RESPONSE_FROM_TARGET)
    connections: set[_Connection] = set()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: _Connection(exchange, connections), line.host, line.port)
    except OSError as error:
        raise _explained(line, error) from error
    try:
        yield f"Modbus TCP on {line.host}:{line.port}"
    finally:
        server.close()
        for connection in list(connections):
            connection.close()


def _explained(line: ModbusTcp, error: OSError) -> LineError:
    where = f"line {line.name}"
    address = f"{line.host}:{line.port}"
    if error.errno == errno.EADDRINUSE:
        return LineError(where, f"{address} is in use by another program", "stop it, or give `port` another number")
    if error.errno == errno.EACCES:
        return LineError(where, f"{address} is not allowed", "ports below 1024 want root: give `port` a larger number")
    return LineError(where, f"cannot listen on {address}: {error}", "`host` must be an address of this machine")


class _Connection(asyncio.Protocol):
    """One client. Requests are answered in the order in which they came, but for replies that are late by command."""

    def __init__(self, exchange: Exchange, connections: set[_Connection]) -> None:
        self._exchange, self._connections = exchange, connections
        self._buffer = b""
        self._late = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        if len(self._connections) > CONNECTIONS_MAX:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self)
        self._transport = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            transaction, protocol, length = (int.from_bytes(self._buffer[i : i + 2], "big") for i in (0, 2, 4))
            if protocol != 0 or not 2 <= length <= FRAME_BYTES_MAX - 6:
                self.close()
                return
            if len(self._buffer) < 6 + length:
                return
            frame, self._buffer = self._buffer[: 6 + length], self._buffer[6 + length :]
            self._answer(frame[6], transaction, frame[HEADER_BYTES:])

    def _answer(self, unit_id: int, transaction: int, pdu: bytes) -> None:
        outgoing = self._exchange.answer(unit_id, transaction, pdu)
        if outgoing is None:
            return
        if outgoing.delay_s == 0.0:
            self._send(outgoing)
        elif self._late < LATE_REPLIES_MAX:
            self._late += 1
            asyncio.get_running_loop().call_later(outgoing.delay_s, self._send_late, outgoing)

    def _send_late(self, outgoing: Outgoing) -> None:
        self._late -= 1
        self._send(outgoing)

    def _send(self, outgoing: Outgoing) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.close()
            return
        self._transport.write(outgoing.frame)
        outgoing.sent()


def _corrupt(frame: bytes, chance: random.Random) -> bytes:
    """Spoil the transaction's high byte or the protocol id, so that the frame answers nothing.

    TCP's own checksum keeps noise from the data, and a low byte could name the next transaction.
    """
    at = chance.choice((0, 2, 3))
    return frame[:at] + bytes([frame[at] ^ chance.randrange(1, 256)]) + frame[at + 1 :]

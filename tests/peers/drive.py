"""A variable-speed drive behind Modbus TCP that logs every write, and misbehaves as drives do.

Its framing and its registers are its own: nothing here is shared with the gateway's drivers or the simulated plant.
What it does with a write is its ``manner``; whatever that is, the write is in ``log`` before anything else happens.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, DEVICE_FAILURE = 1, 2, 4

HONEST = "honest"
DEAF = "acknowledges, and takes nothing"
OTHER = "takes another value"
LATE = "answers late"
REFUSES = "answers with an exception"
MUTE = "takes it, and is silent from then on"
LOSES = "is silent, and takes nothing"
RESETS = "takes it, and goes back by itself"
SLOW = "takes it a while later"
MANNERS = (HONEST, DEAF, OTHER, LATE, REFUSES, MUTE, LOSES, RESETS, SLOW)


@dataclass(frozen=True, slots=True)
class Written:
    """One write request as it came: ``at_ns`` is monotonic, ``numbers`` are its registers."""

    at_ns: int
    unit: int
    function: int
    address: int
    numbers: tuple[int, ...]


@dataclass
class Drive:
    """``registers`` are held by unit and address, for functions 3 and 4 alike; those in ``broken`` give an exception.

    ``heard`` is called with each write, ``served`` with the unit, address and numbers of each read that is answered,
    ``unanswered`` where a request gets no answer. ``off_by`` is what ``OTHER`` adds, ``late_s`` how late ``LATE``,
    ``SLOW`` and ``RESETS`` are, the last two by ``later``.
    """

    registers: dict[tuple[int, int], int]
    manner: str = HONEST
    off_by: int = 7
    late_s: float = 0.15
    broken: set[tuple[int, int]] = field(default_factory=set)
    silent: bool = False
    log: list[Written] = field(default_factory=list)
    heard: Callable[[Written], None] = lambda _: None
    served: Callable[[int, int, tuple[int, ...]], None] = lambda *_: None
    later: Callable[[float, Callable[[], None]], None] = lambda seconds, do: _later(seconds, do)
    unanswered: Callable[[], None] = lambda: None
    port: int = 0

    def put(self, unit: int, address: int, *numbers: int) -> None:
        for i, number in enumerate(numbers):
            self.registers[unit, address + i] = number

    def put_float(self, unit: int, address: int, value: float) -> None:
        self.put(unit, address, *struct.unpack(">HH", struct.pack(">f", value)))

    def answer(self, unit: int, pdu: bytes) -> tuple[float, bytes] | None:
        """After how long it says what; None for silence."""
        if self.silent:
            if pdu[0] in (6, 16):
                self._note(unit, pdu)
            return None
        if pdu[0] in (3, 4):
            return 0.0, self._read(unit, pdu)
        if pdu[0] in (6, 16):
            return self._write(unit, pdu)
        return 0.0, bytes((pdu[0] | 0x80, ILLEGAL_FUNCTION))

    def _read(self, unit: int, pdu: bytes) -> bytes:
        address, count = struct.unpack(">HH", pdu[1:5])
        places = [(unit, address + i) for i in range(count)]
        if any(place in self.broken for place in places):
            return bytes((pdu[0] | 0x80, DEVICE_FAILURE))
        if any(place not in self.registers for place in places):
            return bytes((pdu[0] | 0x80, ILLEGAL_ADDRESS))
        numbers = tuple(self.registers[place] for place in places)
        self.served(unit, address, numbers)
        return bytes((pdu[0], 2 * count)) + struct.pack(f">{count}H", *numbers)

    def _note(self, unit: int, pdu: bytes) -> Written:
        address = int.from_bytes(pdu[1:3], "big")
        data = pdu[3:5] if pdu[0] == 6 else pdu[6:]
        numbers = struct.unpack(f">{len(data) // 2}H", data)
        written = Written(time.monotonic_ns(), unit, pdu[0], address, numbers)
        self.log.append(written)
        self.heard(written)
        return written

    def _write(self, unit: int, pdu: bytes) -> tuple[float, bytes] | None:
        written = self._note(unit, pdu)
        places = [(unit, written.address + i) for i in range(len(written.numbers))]
        if any(place not in self.registers for place in places):
            return 0.0, bytes((pdu[0] | 0x80, ILLEGAL_ADDRESS))
        former = tuple(self.registers[place] for place in places)
        done = 0.0, pdu[:5]

        def take(numbers: tuple[int, ...]) -> None:
            self.put(unit, written.address, *numbers)

        match self.manner:
            case "acknowledges, and takes nothing":
                return done
            case "answers with an exception":
                return 0.0, bytes((pdu[0] | 0x80, DEVICE_FAILURE))
            case "is silent, and takes nothing":
                return None
            case "takes another value":
                take(tuple((number + self.off_by) % 65536 for number in written.numbers))
                return done
            case "takes it a while later":
                self.later(self.late_s, lambda: take(written.numbers))
                return done
        take(written.numbers)
        if self.manner == LATE:
            return self.late_s, pdu[:5]
        if self.manner == MUTE:
            self.silent = True
            return None
        if self.manner == RESETS:
            self.later(self.late_s, lambda: take(former))
        return done


def _later(seconds: float, do: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, do)


@asynccontextmanager
async def over_tcp(drive: Drive) -> AsyncIterator[Drive]:
    """Serve ``drive`` on a free port, or on its own."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(drive), "127.0.0.1", drive.port)
    drive.port = server.sockets[0].getsockname()[1]
    try:
        yield drive
    finally:
        server.close()


class _Connection(asyncio.Protocol):
    """Requests are answered in order, but for replies that are late."""

    def __init__(self, drive: Drive) -> None:
        self._drive, self._buffer = drive, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            transaction, _, length, unit = struct.unpack(">HHHB", self._buffer[:7])
            if len(self._buffer) < 6 + length:
                return
            pdu, self._buffer = self._buffer[7 : 6 + length], self._buffer[6 + length :]
            answer = self._drive.answer(unit, pdu)
            if answer is None:
                self._drive.unanswered()
            else:
                delay_s, said = answer
                self._send_after(delay_s, struct.pack(">HHHB", transaction, 0, len(said) + 1, unit) + said)

    def _send_after(self, delay_s: float, frame: bytes) -> None:
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._send, frame)
        else:
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)

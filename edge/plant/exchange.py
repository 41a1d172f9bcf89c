"""One request to one reply, the same on every line: pymodbus decodes and encodes, the devices answer, faults interfere.

The protocol on this side is pymodbus', and the gateway's drivers are our own: plant and gateway check each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsResponse, ReadDiscreteInputsResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

from edge.plant.unit import ILLEGAL_FUNCTION, ILLEGAL_VALUE, Reply, Station, Unit

NO_RESPONSE_FROM_TARGET = 0x0B
READS, WRITES = (1, 2, 3, 4), (6, 16)
LATE_REPLIES_MAX = 64
"""How many replies one line may hold back; a request past that meets silence."""

Decoder = DecodePDU(is_server=True)
Framer = FramerRTU | FramerSocket


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame to send after ``delay_s``. ``sent`` is called once it went out, and counts it."""

    frame: bytes
    delay_s: float
    sent: Callable[[], None]


class Exchange:
    """The devices of one line behind its framer. ``corrupt`` spoils a frame so that its reader can see it.

    A unit id that nobody has gets ``foreign_exception``, or silence where that is 0.
    """

    def __init__(
        self,
        units: dict[int, Unit],
        framer: Framer,
        corrupt: Callable[[bytes, random.Random], bytes],
        *,
        foreign_exception: int,
    ) -> None:
        self._units, self._framer, self._corrupt = units, framer, corrupt
        self._foreign_exception = foreign_exception
        # Frames are spoilt by chance, but each run by the same.
        self._chance = random.Random(len(units))  # noqa: S311

    def answer(self, unit_id: int, transaction: int, pdu: bytes) -> Outgoing | None:
        """What to send for the request ``pdu`` (function code and data), None for silence."""
        unit = self._units.get(unit_id)
        if unit is None:
            if not self._foreign_exception:
                return None
            refusal = ExceptionResponse(pdu[0] & 0x7F, self._foreign_exception, unit_id, transaction)
            return Outgoing(self._framer.buildFrame(refusal), 0.0, _uncounted)
        station = unit.station
        if station.faults.dead:
            station.replies["silence"] += 1
            return None
        reply = _read(unit, pdu) if pdu[0] in READS else _write(unit, pdu)
        frame = self._framer.buildFrame(_response(pdu, reply, unit_id, transaction))
        delay_s = station.faults.late_ms / 1000.0
        if self._chance.random() < station.faults.corrupted:
            return Outgoing(self._corrupt(frame, self._chance), delay_s, lambda: _spoilt(station))
        return Outgoing(frame, delay_s, lambda: station.sent(reply.tags, late=delay_s > 0.0))


def _uncounted() -> None:
    """A refusal for a unit that is nobody's."""


def _spoilt(station: Station) -> None:
    station.replies["corrupted"] += 1


def _read(unit: Unit, pdu: bytes) -> Reply:
    request = Decoder.decode(pdu)
    if request is None:
        return Reply(exception=ILLEGAL_VALUE)
    return unit.read(pdu[0], request.address, request.count)


def _write(unit: Unit, pdu: bytes) -> Reply:
    if pdu[0] not in WRITES:
        return Reply(exception=ILLEGAL_FUNCTION)
    request = Decoder.decode(pdu)
    # A request of several says how many they are twice, and then they are there.
    if request is None or (pdu[0] == 16 and not request.count == len(request.registers) == (len(pdu) - 6) / 2):
        return Reply(exception=ILLEGAL_VALUE)
    return unit.write(pdu[0], request.address, request.registers)


def _response(pdu: bytes, reply: Reply, unit_id: int, transaction: int) -> ModbusPDU:
    function = pdu[0]
    if reply.exception:
        return ExceptionResponse(function & 0x7F, reply.exception, unit_id, transaction)
    if function in WRITES:
        address, figure = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if function == 6:
            return WriteSingleRegisterResponse(
                dev_id=unit_id, transaction_id=transaction, address=address, registers=[figure]
            )
        return WriteMultipleRegistersResponse(dev_id=unit_id, transaction_id=transaction, address=address, count=figure)
    if function in (1, 2):
        kind = ReadCoilsResponse if function == 1 else ReadDiscreteInputsResponse
        return kind(dev_id=unit_id, transaction_id=transaction, bits=[bool(n) for n in reply.numbers])
    holding = ReadHoldingRegistersResponse if function == 3 else ReadInputRegistersResponse
    return holding(dev_id=unit_id, transaction_id=transaction, registers=list(reply.numbers))

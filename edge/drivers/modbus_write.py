"""Which question writes a value: functions 5 and 6 for one coil or register, 15 and 16 for more."""

from __future__ import annotations

from edge.config.profiles.modbus import Point, Quirks
from edge.contract.types import Value
from edge.drivers.modbus_questions import Question, WriteMany, WriteOne
from edge.registers import pack

COIL_ON = 0xFF00


def write_question(point: Point, value: Value, quirks: Quirks) -> Question:
    """The question that writes ``value`` to the writable ``point``. Raises ``ValueError`` where it does not fit."""
    _within_its_limits(point, value)
    raw = pack(point, value)
    if point.function == 1:
        if quirks.write_multiple_only:
            return WriteMany(15, point.address, 1, raw)
        return WriteOne(5, point.address, COIL_ON * raw[0])
    if point.registers > 1 or quirks.write_multiple_only:
        return WriteMany(16, point.address, point.registers, raw)
    return WriteOne(6, point.address, int.from_bytes(raw, "big"))


def _within_its_limits(point: Point, value: Value) -> None:
    """The device's own limits hold whoever wants it written."""
    if not isinstance(value, int | float):
        return
    if point.write_low is not None and not value >= point.write_low:
        raise ValueError(f"{value:g} is below {point.write_low:g}, the least that may be written (`write_low`)")
    if point.write_high is not None and not value <= point.write_high:
        raise ValueError(f"{value:g} is above {point.write_high:g}, the most that may be written (`write_high`)")

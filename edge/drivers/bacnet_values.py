"""What BACnet values mean: from tagged bytes and status flags to an answer. A value says its own type on the wire."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bacpypes3.primitivedata import (
    BitString,
    Boolean,
    CharacterString,
    Double,
    Enumerated,
    Integer,
    Null,
    Real,
    TagClass,
    TagList,
    Unsigned,
)

from edge.config.profiles.bacnet import BINARY, MULTI_STATE, PRESENT_VALUE, BacnetPoint, numbers_of
from edge.contract.types import Quality, Value
from edge.ports import Answer

TEXT_MAX = 256
RELIABILITY = (
    "no fault detected", "no sensor", "over range", "under range", "open loop", "shorted loop", "no output",
    "unreliable, other", "process error", "multi-state fault", "configuration error", "", "communication failure",
    "member fault", "monitored object fault", "tripped", "lamp failure", "activation failure", "renew DHCP failure",
    "renew foreign device registration failure", "restart auto negotiation failure", "restart failure",
    "proprietary command failure", "faults listed", "referenced object fault", "multi-state out of range",
)  # fmt: skip
"""BACnetReliability of ASHRAE 135, clause 21, by number."""

_KINDS = {
    0: Null, 1: Boolean, 2: Unsigned, 3: Integer, 4: Real, 5: Double, 7: CharacterString, 8: BitString, 9: Enumerated,
}  # fmt: skip
_OTHER_KINDS = {6: "octet string", 10: "date", 11: "time", 12: "object identifier"}
"""By application tag (ASHRAE 135, 20.2.1.4)."""


@dataclass(frozen=True, slots=True)
class Flags:
    """BACnetStatusFlags."""

    in_alarm: bool = False
    fault: bool = False
    overridden: bool = False
    out_of_service: bool = False


class NoValueError(Exception):
    """There is none; in words, with the quality that it makes."""

    def __init__(self, words: str, quality: Quality = Quality.BAD_DECODE) -> None:
        self.quality = quality
        super().__init__(words)


def plain(any_: Any) -> Value | list[int]:
    """The one primitive value in an ``Any``; bit strings as lists. Raises ``NoValueError``."""
    tags = [tag for tag in any_.tagList if tag.tag_class == TagClass.application]
    if len(tags) != 1 or len(any_.tagList) > 3:
        raise NoValueError(f"not a single value but {len(any_.tagList)} tags")
    kind = _KINDS.get(tags[0].tag_number)
    if kind is None:
        raise NoValueError(f"a value of type {_OTHER_KINDS.get(tags[0].tag_number, tags[0].tag_number)}")
    try:
        value = kind.decode(TagList([tags[0]]))
    except Exception as error:  # bacpypes3 raises of any kind for bytes that are no value
        raise NoValueError(f"not decodable: {error}") from error
    match value:
        case Null():
            raise NoValueError("the device has no value (null)", Quality.BAD_DEVICE)
        case Boolean():
            return bool(value)
        case Real() | Double():
            return float(value)
        case Enumerated() | Unsigned() | Integer():
            return int(value)
        case CharacterString():
            return str(value)[:TEXT_MAX]
        case _:
            return [int(bit) for bit in value]


def flags_of(any_: Any) -> Flags | None:
    """Status flags; None where it holds none."""
    try:
        bits = plain(any_)
    except NoValueError:
        return None
    if not isinstance(bits, list) or len(bits) != 4:
        return None
    return Flags(*map(bool, bits))


def answer_of(point: BacnetPoint, value: Value | list[int], flags: Flags | None, reliability: int | None) -> Answer:
    """The answer for ``point``. Status flags speak of the present value, and of no other property."""
    object_type, _, property_number = numbers_of(point)
    if property_number != PRESENT_VALUE:
        flags = None
    if flags is not None and flags.fault:
        return Answer(None, Quality.BAD_DEVICE, f"fault: {reliability_words(reliability)}")
    try:
        read = _meant(point, object_type, property_number, value)
    except NoValueError as error:
        return Answer(None, error.quality, str(error))
    if flags is not None and (flags.out_of_service or flags.overridden):
        said = "out of service" if flags.out_of_service else "overridden at the device"
        return Answer(read, Quality.UNCERTAIN, said)
    return Answer(read, Quality.GOOD, "in alarm" if flags is not None and flags.in_alarm else "")


def reliability_words(number: int | None) -> str:
    if number is None:
        return "no reason given"
    known = RELIABILITY[number] if 0 <= number < len(RELIABILITY) else ""
    return known or f"reliability {number}"


def _meant(point: BacnetPoint, object_type: int, property_number: int, value: Value | list[int]) -> Value:
    if isinstance(value, list):
        raise NoValueError("bits, where a value was expected")
    if isinstance(value, float) and not math.isfinite(value):
        raise NoValueError("the device has no number (NaN or infinite)", Quality.BAD_DEVICE)
    if point.states:
        return _state(point.states, value, first=1 if object_type in MULTI_STATE else 0)
    if object_type in BINARY and property_number == PRESENT_VALUE and value in (0, 1):
        return bool(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and (point.scale, point.offset) != (1.0, 0.0):
        return value * point.scale + point.offset
    return value


def _state(states: tuple[str, ...], value: Value, *, first: int) -> str:
    whole = isinstance(value, int | float) and value == int(value)
    if not whole or not first <= value < first + len(states):  # type: ignore[operator]
        raise NoValueError(f"state {value}, the profile names {first} to {first + len(states) - 1}")
    return states[int(value) - first]  # type: ignore[arg-type]

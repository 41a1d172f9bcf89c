"""A device that publishes over MQTT: in which topics its values come, and where in the payloads they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, field

from edge.config.json_pointer import parse_pointer
from edge.config.profiles.signal import AnyProfile, Device, Plain, Signal, Strict, ValueType, is_of

PLACE = "{at}"
"""Stands in topics and in ``where`` for the ``at`` of a unit."""
TOPIC_BYTES_MAX = 65_535


class Point(Signal, frozen=True, kw_only=True):
    """One value and where it lives.

    ``topic`` is a topic or a filter with the wildcards + and #, and ``{at}`` in it stands for the unit's place.
    ``payload`` says what is read: a JSON document, in which ``pointer`` (RFC 6901) leads to the value; the ``raw``
    payload as text; or the ``level`` of the topic that stands where the first + does, whatever the payload.

    ``values`` maps what stands there, as text, to what it means; any other is refused. A message counts only where
    each pointer of ``where`` leads to the text beside it: devices that share a topic are told apart so. Without its
    value a message is undecodable, or, if ``optional``, says nothing of this point.

    ``time`` leads to when the value was true, in ``time_unit``; ``iso`` is ISO 8601, in UTC where it has no offset.
    Without, that is the message's arrival.
    """

    topic: Annotated[str, Meta(min_length=1)]
    payload: Literal["json", "raw", "level"] = "json"
    pointer: str = ""
    type: ValueType = "number"
    values: dict[str, Plain] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    optional: bool = False
    time: str = ""
    time_unit: Literal["iso", "s", "ms", "us", "ns"] = "iso"

    def filter(self, at: str) -> str:
        """What to subscribe to for a unit at ``at``."""
        return self.topic.replace(PLACE, at)


class Sample(Strict, frozen=True, kw_only=True):
    """An oracle: a message of a device at ``at``, and the values that it must decode to; all others stay untold."""

    at: str
    topic: str
    payload: str
    values: dict[str, Plain]


class MqttProfile(AnyProfile, frozen=True, kw_only=True):
    """The whole file."""

    device: Device
    point: Annotated[tuple[Point, ...], Meta(min_length=1)]
    sample: tuple[Sample, ...] = ()

    @property
    def needs_place(self) -> bool:
        return any(PLACE in point.topic for point in self.point)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong beyond types, each with a hint."""
        for i, point in enumerate(self.point):
            for problem, hint in _problems_of(point):
                yield f"`point[{i}]` ({point.tag}): {problem}", hint


def _problems_of(point: Point) -> Iterator[tuple[str, str]]:
    if problem := filter_trouble(point.topic):
        yield f"topic {point.topic!r}: {problem}", "+ stands for one whole level, # for all that follow, last"
    for pointer in (point.pointer, point.time, *point.where):
        try:
            parse_pointer(pointer)
        except ValueError as error:
            yield str(error), "it is empty or begins with /, as in /ENERGY/Power; ~0 stands for ~ and ~1 for /"
    if point.payload != "json" and (point.pointer or point.time or point.where):
        yield f"a pointer into a payload that is {point.payload}", "only JSON has pointers"
    if point.payload == "level" and "+" not in point.topic.split("/"):
        yield "the level of a topic that has no +", "put + where the value stands"
    linear = (point.scale, point.offset) != (1.0, 0.0)
    if linear and (point.values or point.type in ("text", "bool")):
        yield "scale or offset for what is no number", "they are for numbers without `values`"
    for raw, meant in point.values.items():
        if not is_of(meant, point.type):
            yield f"values.{raw} is {meant!r}", f"the point's type is {point.type}"


def filter_trouble(topic: str) -> str:
    """Why ``topic`` is no topic filter (MQTT 5, section 4.7); empty where it is one."""
    levels = topic.split("/")
    if len(topic.encode()) > TOPIC_BYTES_MAX or "\0" in topic:
        return f"longer than {TOPIC_BYTES_MAX} bytes, or with a NUL"
    if any("+" in level and level != "+" for level in levels):
        return "+ beside other letters"
    if any("#" in level and (level != "#" or i < len(levels) - 1) for i, level in enumerate(levels)):
        return "# beside other letters, or not last"
    return ""

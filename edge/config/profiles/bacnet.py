"""A BACnet device: which properties of which objects hold its values (ASHRAE 135, clauses 12 and 21)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.config.profiles.signal import AnyProfile, Device, Signal, Strict

OBJECTS = {
    "analog-input": 0, "analog-output": 1, "analog-value": 2, "binary-input": 3, "binary-output": 4, "binary-value": 5,
    "device": 8, "loop": 12, "multi-state-input": 13, "multi-state-output": 14, "multi-state-value": 19,
    "accumulator": 23, "pulse-converter": 24, "characterstring-value": 40, "integer-value": 45,
    "large-analog-value": 46, "positive-integer-value": 48, "lighting-output": 54,
}  # fmt: skip
PROPERTIES = {
    "change-of-state-count": 15, "controlled-variable-value": 21, "description": 28, "elapsed-active-time": 33,
    "event-state": 36, "firmware-revision": 44, "high-limit": 45, "low-limit": 59, "model-name": 70, "object-name": 77,
    "out-of-service": 81, "present-value": 85, "priority-array": 87, "reliability": 103, "relinquish-default": 104,
    "setpoint": 108, "status-flags": 111, "system-status": 112, "application-software-version": 12,
    "database-revision": 155, "pulse-rate": 186, "scale": 187, "value-change-time": 192, "tracking-value": 164,
}  # fmt: skip
BINARY = frozenset({3, 4, 5})
MULTI_STATE = frozenset({13, 14, 19})
PRESENT_VALUE, RELIABILITY, STATUS_FLAGS = 85, 103, 111
INSTANCE_MAX = 4_194_302

Number = Annotated[int, Meta(ge=0, le=1023)]
PropertyNumber = Annotated[int, Meta(ge=0, le=4_194_303)]


class BacnetPoint(Signal, frozen=True, kw_only=True):
    """One value: ``property`` of ``object`` number ``instance``; names of the standard, or numbers for a vendor's own.

    ``index`` picks from an array. ``states`` name what a multi-state object counts from 1, another from 0: inactive and
    active of a binary one, which is false or true without them. ``cov = false``: poll it though its device would tell.
    """

    object: str | Number
    instance: Annotated[int, Meta(ge=0, le=INSTANCE_MAX)]
    property: str | PropertyNumber = "present-value"
    index: Annotated[int, Meta(ge=0, le=65535)] | None = None
    states: tuple[str, ...] = ()
    cov: bool = True


def numbers_of(point: BacnetPoint) -> tuple[int, int, int]:
    """Object type, instance and property of ``point``, as the wire has them."""
    object_type = OBJECTS[point.object] if isinstance(point.object, str) else point.object
    number = PROPERTIES[point.property] if isinstance(point.property, str) else point.property
    return object_type, point.instance, number


class BacnetQuirks(Strict, frozen=True, kw_only=True):
    """What this device cannot do, or needs. ``properties_max``: how many properties one question may ask for."""

    properties_max: Annotated[int, Meta(ge=1, le=200)] = 50
    cov: bool = True
    read_multiple: bool = True


class BacnetSample(Strict, frozen=True, kw_only=True):
    """An oracle: an acknowledged ReadPropertyMultiple in hex (the APDU), and the values that it must decode to; of
    ``bad`` tags none."""

    answer: str
    values: dict[str, float | int | bool | str] = msgspec.field(default_factory=dict)
    bad: tuple[str, ...] = ()


class BacnetProfile(AnyProfile, frozen=True, kw_only=True):
    """The whole file."""

    device: Device
    point: Annotated[tuple[BacnetPoint, ...], Meta(min_length=1)]
    quirks: BacnetQuirks = BacnetQuirks()
    sample: tuple[BacnetSample, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong beyond types, each with a hint."""
        for i, point in enumerate(self.point):
            where = f"`point[{i}]` ({point.tag})"
            for key, found, known in (("object", point.object, OBJECTS), ("property", point.property, PROPERTIES)):
                if isinstance(found, str) and found not in known:
                    yield f"{where}: {key} {found!r}", f"accepted here: {', '.join(known)}; or a number"
            if point.object in ("binary-input", "binary-output", "binary-value") and len(point.states) not in (0, 2):
                yield f"{where}: {len(point.states)} states of a binary object", "name inactive and active, or none"
            if point.states and (point.scale, point.offset) != (1.0, 0.0):
                yield f"{where}: states with scale or offset", "these are for numbers"

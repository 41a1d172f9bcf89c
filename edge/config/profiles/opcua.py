"""A device behind an OPC UA server: which nodes hold its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.config.profiles.signal import AnyProfile, Device, Plain, Signal, ValueType, is_of

PLACE = "{at}"
"""Stands in nodes for the ``at`` of a unit."""
_NODE = re.compile(r"^(ns=\d{1,5};|nsu=[^;]+;)?(i=\d{1,10}|s=.+|g=[0-9a-fA-F-]{36}|b=[A-Za-z0-9+/=]+)$", re.DOTALL)


class Point(Signal, frozen=True, kw_only=True):
    """One value and where it lives.

    ``node`` is the id of a variable, such as ``ns=2;s={at}.Temp``; ``nsu=URI;`` instead of ``ns=`` is safer, since a
    server may number its namespaces anew. ``element`` is an index into an array; ``field`` leads into a structure, as
    ``Motor.Temperature``, and an index into an array in it is a name too, as ``Motors.0.Temperature``.

    ``values`` maps what stands there, as text, to what it means; any other is refused. The server samples every
    ``sampling_ms`` (as often as the line publishes, where that is not said; 0: whenever it changes) and keeps ``queue``
    samples between two publishings: where more changed, it says so and that is told.
    """

    node: Annotated[str, Meta(min_length=3, max_length=4096)]
    element: Annotated[int, Meta(ge=0)] | None = None
    field: Annotated[str, Meta(max_length=1024)] = ""
    type: ValueType = "number"
    values: dict[str, Plain] = msgspec.field(default_factory=dict)
    sampling_ms: Annotated[float, Meta(ge=0, le=86_400_000)] | None = None
    queue: Annotated[int, Meta(ge=1, le=10_000)] = 10

    def node_at(self, at: str) -> str:
        """Its node on a unit at ``at``."""
        return self.node.replace(PLACE, at)


class OpcUaProfile(AnyProfile, frozen=True, kw_only=True):
    """The whole file."""

    device: Device
    point: Annotated[tuple[Point, ...], Meta(min_length=1)]

    @property
    def needs_place(self) -> bool:
        return any(PLACE in point.node for point in self.point)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong beyond types, each with a hint."""
        for i, point in enumerate(self.point):
            for problem, hint in _problems_of(point):
                yield f"`point[{i}]` ({point.tag}): {problem}", hint


def _problems_of(point: Point) -> Iterator[tuple[str, str]]:
    if not _NODE.match(point.node_at("x")):
        yield f"node {point.node!r} is no node id", "as ns=2;s=Name, ns=3;i=1001 or nsu=http://vendor.com/plc;s=Name"
    if point.field and not all(point.field.split(".")):
        yield f"field {point.field!r}", "names with a dot between each two, as Motor.Temperature"
    linear = (point.scale, point.offset) != (1.0, 0.0)
    if linear and (point.values or point.type in ("text", "bool")):
        yield "scale or offset for what is no number", "they are for numbers without `values`"
    for raw, meant in point.values.items():
        if not is_of(meant, point.type):
            yield f"values.{raw} is {meant!r}", f"the point's type is {point.type}"

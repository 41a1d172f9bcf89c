"""A Sparkplug B device, or an edge node itself: which metric is which value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from edge.config.profiles.signal import AnyProfile, Device, Signal


class Point(Signal, frozen=True, kw_only=True):
    """One metric by its full name, as the birth certificate gives it, such as ``Motor/Speed``.

    Its data type comes with the birth; ``scale`` and ``offset`` are for numbers.
    """

    metric: Annotated[str, Meta(min_length=1, max_length=1000)]


class SparkplugProfile(AnyProfile, frozen=True, kw_only=True):
    """The whole file."""

    device: Device
    point: Annotated[tuple[Point, ...], Meta(min_length=1)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong beyond types, each with a hint."""
        seen: set[str] = set()
        for i, point in enumerate(self.point):
            if point.metric in seen:
                yield f"`point[{i}]` ({point.tag}): metric {point.metric!r} stands twice", "one metric is one point"
            seen.add(point.metric)

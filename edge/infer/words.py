"""Reasons in words: which signals stand off their healthy level, how far, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edge.contract.types import Reason

Kind = Literal["level", "relation", "spread"]

_UNITS = {
    "mm_s": "mm/s", "g": "g", "c": "°C", "kw": "kW", "nm": "Nm", "bar": "bar", "percent": "%", "rpm": "rpm",
    "m3_h": "m³/h", "a": "A", "v": "V", "h": "h",
}  # fmt: skip
"""The last words of a tag that are a unit."""
REASONS_MAX = 3
NOTABLE = 3.0
"""Below this many residual standard deviations a departure is not worth a word."""


@dataclass(frozen=True)
class Departure:
    """One signal off its baseline: ``strength`` in residual standard deviations, ``level`` and ``healthy`` in its unit,
    ``risen_h`` for how long (0 if unknown) and ``since_ns`` since when, ``trend`` above 0 where it still rises.

    ``kind`` says what of it is off: its level, its relation to the other signals, or its spread.
    """

    tag: str
    strength: float
    level: float
    healthy: float
    risen_h: float = 0.0
    trend: float = 0.0
    above: str = ""
    since_ns: int = 0
    kind: Kind = "level"


def reasons(departures: Sequence[Departure]) -> tuple[Reason, ...]:
    """The notable departures, strongest first; shares are of the squared strength of all, so they sum to 1 at most."""
    total = sum(d.strength**2 for d in departures)
    notable = sorted((d for d in departures if abs(d.strength) >= NOTABLE), key=lambda d: (-abs(d.strength), d.tag))
    return tuple(
        Reason(d.tag, round(d.strength**2 / total, 4), _sentence(d), d.since_ns) for d in notable[:REASONS_MAX]
    )


def spoken(tag: str) -> tuple[str, str]:
    """A tag's name and unit for people: ``vibration_mm_s`` is "vibration" in "mm/s"."""
    parts = tag.split("_")
    for length in (2, 1):
        unit = _UNITS.get("_".join(parts[-length:])) if len(parts) > length else None
        if unit is not None:
            return " ".join(parts[:-length]), unit
    return " ".join(parts), ""


def listed(tags: Sequence[str]) -> str:
    """Names of tags for a note, at most three of them."""
    names = [spoken(tag)[0] for tag in tags[:3]]
    return ", ".join(names) + (f" and {len(tags) - 3} more" if len(tags) > 3 else "")


def _sentence(departure: Departure) -> str:
    name, unit = spoken(departure.tag)
    digits = 0 if abs(departure.healthy) >= 100.0 else 1 if abs(departure.healthy) >= 3.0 else 2
    above = f" above {spoken(departure.above)[0].removesuffix(' temperature')}" if departure.above else ""
    unit = f" {unit}" if unit else ""
    if departure.kind == "level":
        words = f"{name} {departure.level:.{digits}f}{unit}{above}, was {departure.healthy:.{digits}f} when healthy"
    elif departure.kind == "relation":
        words = f"{name} {departure.level:.{digits}f}{unit} does not go with the other signals as when healthy"
    else:
        how = "varies more than" if departure.strength > 0.0 else "varies less than"
        words = f"{name} {how} when healthy"
    if 0.0 < departure.risen_h < 1.0:
        words += f"; for {max(60.0 * departure.risen_h, 1.0):.0f} min"
    if departure.risen_h >= 1.0:
        still = departure.trend * departure.strength > 0.0
        motion = ("rising" if departure.strength > 0.0 else "falling") if still else "off its baseline"
        words += f"; {motion} for {departure.risen_h:.0f} h"
    return words

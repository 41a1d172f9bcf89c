"""What a dry run found, as plain data: site, lines, units, tags; ready for a table, JSON and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edge.contract.types import Quality, Value
from edge.line_counts import UnitCounts

Mark = Literal["ok", "suspicious", "bad"]


@dataclass(frozen=True, slots=True)
class TagFound:
    """One tag, once. ``at_ns`` is when the value was true at its source, ``age_s`` how old it was when it came.

    ``words`` say why it is suspicious or bad; they are empty where it is ok. ``bad_reads`` of the unit's reads gave it
    no value.
    """

    tag: str
    title: str
    value: Value
    unit: str
    decimals: int
    quality: Quality
    at_ns: int
    age_s: float
    mark: Mark
    words: str = ""
    bad_reads: int = 0


@dataclass(frozen=True, slots=True)
class UnitFound:
    """One device: which it should be (``profile``, ``products``), what it says that it is, and what its tags gave.

    ``proved`` is what the profile's probe said: None where it has none. ``response_ms`` holds one number a read that
    was answered; ``reads`` counts all of them. ``at`` is its place on a line without numbers.
    """

    asset: str
    unit: int
    at: str
    profile: str
    products: tuple[str, ...]
    tags: tuple[TagFound, ...]
    reads: int = 0
    response_ms: tuple[float, ...] = ()
    identity: dict[str, str] = field(default_factory=dict)
    proved: bool | None = None
    probe_words: str = ""

    @property
    def name(self) -> str:
        return f"{self.asset}/{self.at or self.unit}"


@dataclass(frozen=True, slots=True)
class LineFound:
    """One line: ``place`` says in words where it is. ``trouble`` is why it could not be opened, or empty.

    ``counts`` is what its driver counted of each unit, where it counts.
    """

    name: str
    kind: str
    place: str
    units: tuple[UnitFound, ...]
    took_s: float
    trouble: str = ""
    counts: dict[int, UnitCounts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteFound:
    """The whole dry run of the site file ``site`` of gateway ``gateway``."""

    site: str
    gateway: str
    at_ns: int
    lines: tuple[LineFound, ...]

    def tags(self) -> list[tuple[LineFound, UnitFound, TagFound]]:
        return [(line, unit, tag) for line in self.lines for unit in line.units for tag in unit.tags]

    def count(self, mark: Mark) -> int:
        return sum(tag.mark == mark for _, _, tag in self.tags())

"""What a dry run found, as plain data: site, lines, units, tags; ready for a table, JSON and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from edge.contract.types import Quality, Value
from edge.line_counts import UnitCounts

Mark = Literal["ok", "suspicious", "bad"]


class Maturity(StrEnum):
    """What an asset's signals are good enough for; each level needs the one before."""

    NONE = "nothing yet"
    MONITORING = "monitoring"
    ANOMALY = "anomaly detection"
    PREDICTION = "prediction"


@dataclass(frozen=True, slots=True)
class Grade:
    """How good a signal is, 0 to 100, and what it lost points for, the most first."""

    points: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssetFound:
    """``reached`` is what the asset's signals allow, ``lacks`` what the ``next`` level still asks of them.

    ``first`` says what must pass before the reached level means anything. ``next`` is None at the top.
    """

    asset: str
    name: str
    reached: Maturity
    next: Maturity | None
    lacks: tuple[str, ...]
    first: str = ""


@dataclass(frozen=True, slots=True)
class TagFound:
    """One tag, once. ``at_ns`` is when the value was true at its source, ``age_s`` how old it was when it came.

    ``words`` say why it is suspicious or bad; they are empty where it is ok. ``bad_reads`` of the unit's reads gave it
    no value. ``grade`` is None for what is no sensor's: counters, switches, text.
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
    grade: Grade | None = None


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
    assets: tuple[AssetFound, ...] = ()

    def tags(self) -> list[tuple[LineFound, UnitFound, TagFound]]:
        return [(line, unit, tag) for line in self.lines for unit in line.units for tag in unit.tags]

    def count(self, mark: Mark) -> int:
        return sum(tag.mark == mark for _, _, tag in self.tags())

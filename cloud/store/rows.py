"""What the store answers with: plain rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from edge.contract.types import Asset, Quality, Verdict


@dataclass(frozen=True, slots=True)
class GatewayRow:
    gateway: str
    first_seen_ns: int
    last_seen_ns: int
    backlog_blocks: int
    backlog_readings: int


@dataclass(frozen=True, slots=True)
class AssetRow:
    """An asset at a glance; ``record`` is what the gateway told of it, ``verdict`` the newest one.

    ``healths`` are the newest figures, oldest of them first.
    """

    id: int
    gateway: str
    asset: str
    record: Asset | None
    verdict: Verdict | None
    last_read_ns: int
    healths: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What a gateway told of an asset, without its tags."""

    name: str
    asset_class: str
    period_ms: int


class GlanceRow(NamedTuple):
    """An asset as ``AssetRow`` has it, without its tags: of a thousand they would take longer than all else."""

    id: int
    gateway: str
    asset: str
    record: Named | None
    verdict: Verdict | None
    last_read_ns: int
    healths: tuple[float, ...]


class MachineRow(NamedTuple):
    """An asset and its class, and when its gateway was last heard of."""

    id: int
    gateway: str
    asset: str
    asset_class: str
    last_seen_ns: int


class JudgedRow(NamedTuple):
    """A verdict in short: by which bundle, whether it knew no life, whether it found the asset anomalous."""

    at_ns: int
    bundle: str
    unknown: bool
    anomalous: bool


@dataclass(frozen=True, slots=True)
class LatestRow:
    """A tag's newest reading, and its newest good one where they differ."""

    tag: str
    value: float | int | str | None
    quality: Quality
    source_ns: int
    read_ns: int
    good_value: float | int | str | None
    good_ns: int


@dataclass(frozen=True, slots=True)
class VerdictRow:
    at_ns: int
    urgency: str
    health: float | None
    anomaly: float | None
    rul_h: float | None
    rul_low_h: float | None
    rul_high_h: float | None


class RollupRow(NamedTuple):
    """One tag in one span; ``low``, ``high`` and ``mean`` are None where nothing in it was a good number.

    A tuple, since thousands are made for a chart.
    """

    tag: str
    start_s: int
    count: int  # type: ignore[assignment]
    good: int
    bad_bus: int
    bad_device: int
    bad_decode: int
    mean: float | None
    low: float | None
    high: float | None
    last: float | None
    last_ns: int


@dataclass(frozen=True, slots=True)
class DroppedRow:
    tag: str
    cause: str
    count: int
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Refused:
    """What of a gateway was not taken, by one word: how often, when last, and why then."""

    gateway: str
    kind: str
    blocks: int
    last_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of what is held, made from the blocks themselves; of readings unless a name says otherwise.

    ``duplicates`` came again and were recognised by their block's key, so they were not stored twice;
    ``duplicate_readings_stored`` stand in two blocks under different keys, which must not happen. ``refused`` counts
    blocks and requests, by one word each in ``refused_by``; ``refusals`` are the newest of them.
    """

    received: int
    received_good: int
    received_bad: int
    duplicates: int
    duplicate_readings_stored: int
    dropped: int
    blocks: int
    duplicate_blocks: int
    verdicts: int
    alarms: int
    refused: int
    refused_by: dict[str, int]
    refusals: list[Refused]
    gateways: int
    assets: int
    backlog_readings: int

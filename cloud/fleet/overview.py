"""The fleet at a glance: every asset with its newest judgement and standing alarms, worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloud.store.reader import Reader
from cloud.store.rows import AssetRow, GatewayRow, GlanceRow, Stats
from edge.contract.types import Alarm, Held, Priority, Urgency, Verdict

Raised = Mapping[int, tuple[Alarm, ...]]
"""Alarms that no gateway raised, by asset id."""
NO_ALARMS: Raised = MappingProxyType({})
URGENCY_RANK = {urgency: urgency.rank for urgency in Urgency}
PRIORITY_RANK = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}


@dataclass(frozen=True, slots=True)
class Glance:
    """One asset as the overview shows it. ``healths`` are its newest figures, oldest first, for a small curve.

    ``backlog_readings`` is what its gateway still has to send, of all of its assets. ``held`` are the alarms that are
    kept from people, which are not among ``alarms``.
    """

    gateway: str
    asset: str
    name: str
    asset_class: str
    period_ms: int
    urgency: Urgency
    verdict: Verdict | None
    alarms: tuple[Alarm, ...]
    last_read_ns: int
    backlog_readings: int
    healths: tuple[float, ...]
    held: tuple[Alarm, ...] = ()

    @property
    def health(self) -> float | None:
        return self.verdict.health if self.verdict else None


@dataclass(frozen=True, slots=True)
class Overview:
    at_ns: int
    assets: tuple[Glance, ...]
    gateways: tuple[GatewayRow, ...]
    stats: Stats

    def count(self, urgency: Urgency) -> int:
        return sum(asset.urgency == urgency for asset in self.assets)


def overview(reader: Reader, now_ns: int, own: Raised = NO_ALARMS) -> Overview:
    """Everything the first page shows; ``own`` are alarms by asset id that no gateway raised."""
    gateways = reader.gateways()
    backlog = {gateway.gateway: gateway.backlog_readings for gateway in gateways}
    alarms: dict[int, list[Alarm]] = {asset_id: list(raised) for asset_id, raised in own.items()}
    for asset_id, alarm in (*reader.standing(), *reader.held_calm()):
        alarms.setdefault(asset_id, []).append(alarm)
    # A gateway is an asset of its own by its alarms alone: it has a card while one of them stands.
    shown = [row for row in reader.glances() if row.asset != row.gateway or row.id in alarms]
    glances = [glance(row, alarms.get(row.id, []), backlog[row.gateway]) for row in shown]
    return Overview(now_ns, tuple(sorted(glances, key=_worst_first)), tuple(gateways), reader.stats())


def glance(row: AssetRow | GlanceRow, alarms: list[Alarm], backlog_readings: int) -> Glance:
    record, verdict = row.record, row.verdict
    ranked = sorted(alarms, key=_gravest_first)
    return Glance(
        gateway=row.gateway, asset=row.asset,
        name=(record.name if record else "") or row.asset,
        asset_class=record.asset_class if record else "",
        period_ms=record.period_ms if record else 1000,
        urgency=verdict.urgency if verdict else Urgency.UNKNOWN,
        verdict=verdict, alarms=tuple(alarm for alarm in ranked if alarm.held is Held.NOT),
        last_read_ns=row.last_read_ns, backlog_readings=backlog_readings, healths=row.healths,
        held=tuple(alarm for alarm in ranked if alarm.held is not Held.NOT),
    )  # fmt: skip


def _gravest_first(alarm: Alarm) -> tuple[bool, int, int]:
    return (not alarm.state.is_active, -PRIORITY_RANK[alarm.priority], -alarm.since_ns)


def _worst_first(asset: Glance) -> tuple[int, int, int, str, str]:
    gravest = max((PRIORITY_RANK[a.priority] for a in asset.alarms if a.state.is_active), default=0)
    # In tens, so that a figure that trembles does not make two cards change places.
    health = round(asset.health / 10) if asset.health is not None else 11
    return (-URGENCY_RANK[asset.urgency], -gravest, health, asset.gateway, asset.asset)

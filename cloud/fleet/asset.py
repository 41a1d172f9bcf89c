"""One asset in full: its judgement, alarms, newest values, and whether its ledger agrees with what is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.fleet.ledger import Balance, Books
from cloud.fleet.overview import NO_ALARMS, Glance, Raised, glance
from cloud.store.reader import Reader
from cloud.store.rows import AssetRow, LatestRow
from edge.contract.types import Alarm, BundleChange, Quality, Tag

ALARM_CHANGES_SHOWN = 30
BUNDLE_CHANGES_READ, BUNDLE_CHANGES_SHOWN = 64, 2
CHARTS_MAX = 8
# What a chart tells something of, in the order in which a page shows it.
CHART_KINDS = ("vibration", "temperature", "pressure", "flow", "power", "load", "speed", "other")
NOT_CHARTED = ("reading_number",)


@dataclass(frozen=True, slots=True)
class Latest:
    """A tag's newest reading with what the tag means; ``good_value`` is the newest good one."""

    tag: Tag
    value: float | int | str | None
    quality: Quality
    source_ns: int
    read_ns: int
    good_value: float | int | str | None
    good_ns: int

    @property
    def cause(self) -> str:
        return str(self.quality.cause or "")


@dataclass(frozen=True, slots=True)
class AssetDetail:
    """``charts`` are the tags worth a chart, those that the verdict blames first."""

    at_ns: int
    id: int
    glance: Glance
    latest: tuple[Latest, ...]
    charts: tuple[Tag, ...]
    changes: tuple[Alarm, ...]
    bundles: tuple[BundleChange, ...]
    balance: Balance


def detail(
    reader: Reader, books: Books, gateway: str, asset: str, now_ns: int,
    own: Raised = NO_ALARMS,
) -> AssetDetail | None:  # fmt: skip
    """None where there is no such asset; ``own`` are alarms by asset id that no gateway raised."""
    row = reader.asset(gateway, asset)
    if row is None:
        return None
    backlog = next(g.backlog_readings for g in reader.gateways() if g.gateway == gateway)
    told = (*reader.standing(row.id), *reader.held_calm(row.id))
    alarms = [*own.get(row.id, ()), *(alarm for _, alarm in told)]
    seen = glance(row, alarms, backlog)
    latest = tuple(_latest(row, found) for found in reader.latest(row.id))
    return AssetDetail(
        at_ns=now_ns, id=row.id, glance=seen, latest=latest, charts=_charts(seen, latest),
        changes=tuple(reader.alarm_changes(row.id, limit=ALARM_CHANGES_SHOWN)),
        bundles=_latest_steps(reader.bundle_changes(row.id, limit=BUNDLE_CHANGES_READ)),
        balance=books.balance(reader, row, now_ns // 10**9),
    )  # fmt: skip


def _latest_steps(changes: Sequence[BundleChange]) -> tuple[BundleChange, ...]:
    """The last step of each bundle in each rollout, the newest first: gateways tell the same again at each start."""
    newest = {(change.bundle, change.number): change for change in reversed(changes)}
    return tuple(change for change in changes if newest.get((change.bundle, change.number)) is change)[
        :BUNDLE_CHANGES_SHOWN
    ]


def _latest(row: AssetRow, found: LatestRow) -> Latest:
    tags = {tag.tag: tag for tag in row.record.tags} if row.record else {}
    tag = tags.get(found.tag) or Tag(tag=found.tag, unit="", title="", kind="other", decimals=2)
    return Latest(tag, found.value, found.quality, found.source_ns, found.read_ns, found.good_value, found.good_ns)


def _charts(seen: Glance, latest: tuple[Latest, ...]) -> tuple[Tag, ...]:
    numeric = [
        one.tag
        for one in latest
        if one.tag.kind in CHART_KINDS and one.tag.tag not in NOT_CHARTED and not isinstance(one.good_value, str)
    ]
    blamed = [reason.tag for reason in seen.verdict.reasons] if seen.verdict else []

    def place(tag: Tag) -> tuple[int, int]:
        return (blamed.index(tag.tag) if tag.tag in blamed else len(blamed), CHART_KINDS.index(tag.kind))

    return tuple(sorted(numeric, key=place)[:CHARTS_MAX])

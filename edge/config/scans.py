"""What a unit's ``rate`` and ``report`` tables make of its profile: which signals are polled together how often, and of
which of them changes alone are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from edge.config.profiles import Profile
from edge.config.profiles.signal import Signal
from edge.config.tables import Rate, Report, Unit
from edge.contract.types import Tag

TAGS_NAMED_MAX = 12
"""So many tags a hint lists."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Points of one unit that are polled together: a profile with these alone."""

    profile: Profile
    period_ms: int
    priority: int


@dataclass(frozen=True, slots=True)
class Deadband:
    """How far from the last kept value one is still unchanged, and how long that may go on."""

    absolute: float
    percent: float
    heartbeat_ns: int


def scans(unit: Unit, profile: Profile) -> list[Scan]:
    """One for each of the unit's rates, then what is left at the unit's own. Each point is in one of them."""
    if not unit.rate:
        return [Scan(profile, unit.period_ms, unit.priority)]
    chosen = {tag: i for i, rate in enumerate(unit.rate) for tag in _matching(rate.tags, profile)}
    found = []
    rates: tuple[Rate | Unit, ...] = (*unit.rate, unit)
    for i, rate in enumerate(rates):
        points = tuple(p for p in profile.point if chosen.get(p.tag, len(unit.rate)) == i)
        if points:
            found.append(Scan(msgspec.structs.replace(profile, point=points), rate.period_ms, rate.priority))
    return found


def deadbands(unit: Unit, profile: Profile) -> dict[str, Deadband]:
    """By tag, of the signals that have one: the site's word goes before the profile's."""
    told: dict[str, Report | Signal] = {point.tag: point for point in profile.point}
    told |= {tag: report for report in unit.report for tag in _matching(report.tags, profile)}
    return {
        tag: Deadband(one.deadband or 0.0, one.deadband_percent or 0.0, int(one.heartbeat_s * 1e9))
        for tag, one in told.items()
        if one.deadband is not None or one.deadband_percent is not None
    }


def told_of(units: Sequence[Unit], profiles: Mapping[str, Profile]) -> tuple[tuple[Tag, ...], int]:
    """What an asset's signals mean, and within how long (ms) something of it is kept at least."""
    found: list[tuple[Signal, int, int]] = []
    for unit in units:
        bands = deadbands(unit, profiles[unit.profile])
        for scan in scans(unit, profiles[unit.profile]):
            for point in scan.profile.point:
                heartbeat_ms = bands[point.tag].heartbeat_ns // 1_000_000 if point.tag in bands else 0
                found.append((point, scan.period_ms, heartbeat_ms))
    every_ms = min(max(period_ms, heartbeat_ms) for _, period_ms, heartbeat_ms in found)
    tags = []
    for signal, period_ms, heartbeat_ms in found:
        own_ms = 0 if period_ms == every_ms else period_ms
        meaning = (signal.tag, signal.unit, signal.title or signal.tag, signal.kind, signal.decimals)
        tags.append(Tag(*meaning, own_ms, heartbeat_ms))
    return tuple(tags), every_ms


def problems_of_unit(unit: Unit, profile: Profile) -> Iterator[tuple[str, str, str]]:
    """What is wrong with its tables: the key within the unit, what was found, and a hint."""
    for name, tables in (("rate", unit.rate), ("report", unit.report)):
        yield from _problems_of_tags(name, tables, profile)
    for i, report in enumerate(unit.report):
        if (report.deadband is None) == (report.deadband_percent is None):
            found = "neither" if report.deadband is None else "both"
            yield (
                f"report[{i}]",
                f"found {found} of `deadband` and `deadband_percent`",
                "give one; 0 keeps every change",
            )


def _problems_of_tags(name: str, tables: Sequence[Rate | Report], profile: Profile) -> Iterator[tuple[str, str, str]]:
    seen: dict[str, int] = {}
    for i, table in enumerate(tables):
        for pattern in table.tags:
            tags = _matching((pattern,), profile)
            if not tags:
                named = [point.tag for point in profile.point]
                more = ", …" if len(named) > TAGS_NAMED_MAX else ""
                hint = f"its tags: {', '.join(named[:TAGS_NAMED_MAX])}{more}"
                yield f"{name}[{i}].tags", f"{profile.device.id} has no tag {pattern!r}", hint
            for tag in tags:
                if seen.setdefault(tag, i) != i:
                    yield (
                        f"{name}[{i}].tags",
                        f"tag {tag!r} is in `{name}[{seen[tag]}]` too",
                        "a signal has one of them",
                    )


def _matching(patterns: Sequence[str], profile: Profile) -> list[str]:
    return [p.tag for p in profile.point if any(fnmatchcase(p.tag, pattern) for pattern in patterns)]

"""A dry run's findings as words: values as people read them, the table for a terminal, JSON for scripts."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from edge.commission.findings import LineFound, SiteFound, TagFound, UnitFound
from edge.contract.types import Quality
from edge.contract.units import sign

FORMAT = 1


def shown(tag: TagFound) -> str:
    """The value without its unit; a dash where there is none."""
    value = tag.value
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        small = value != 0 and abs(value) < 10**-tag.decimals
        return f"{value:.3g}" if small or abs(value) >= 1e12 else f"{value:.{tag.decimals}f}"
    return str(value)


def unit_words(unit: str) -> str:
    """UCUM's codes as they are spoken."""
    return sign(unit)


def many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def clock_words(at_ns: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(at_ns / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def age_words(age_s: float) -> str:
    if abs(age_s) < 0.05:
        return "0 s"
    return (
        f"{age_s:.1f} s"
        if abs(age_s) < 60
        else f"{age_s / 60:.0f} min"
        if abs(age_s) < 7200
        else f"{age_s / 3600:.0f} h"
    )


def response_words(unit: UnitFound) -> str:
    """``12 ms (9–15), 5 of 5 reads answered``; empty for a unit that speaks by itself."""
    if not unit.reads:
        return ""
    said = f"{len(unit.response_ms)} of {many(unit.reads, 'read')} answered"
    if not unit.response_ms:
        return said
    low, high = min(unit.response_ms), max(unit.response_ms)
    spread = f" ({low:.0f}–{high:.0f})" if len(unit.response_ms) > 1 else ""
    return f"{statistics.median(unit.response_ms):.0f} ms{spread}, {said}"


def unit_facts(unit: UnitFound) -> Iterator[str]:
    """What is known of the device beside its values, a sentence each."""
    if unit.proved is True:
        yield f"probe: it is what it should be ({unit.probe_words})"
    elif unit.proved is False:
        yield f"probe: NOT what it should be: {unit.probe_words}"
    elif unit.probe_words:
        yield f"probe: {unit.probe_words}"
    if unit.identity:
        yield "says it is: " + ", ".join(f"{key} {value}" for key, value in unit.identity.items())
    if unit.reads:
        yield response_words(unit)


def table(found: SiteFound, *, only_trouble: bool = False) -> Iterator[str]:
    """The findings for a terminal: each tag once, under its line and unit; the sum last."""
    width = max([len(tag.tag) for _, _, tag in found.tags()] + [3])
    for line in found.lines:
        yield f"line {line.name}   {line.kind} {line.place}   {line.took_s:.1f} s" + _trouble(line)
        for unit in line.units:
            yield f"  {unit.name}   profile {unit.profile} ({', '.join(unit.products)})"
            yield from (f"    {fact}" for fact in unit_facts(unit))
            rows = [tag for tag in unit.tags if not (only_trouble and tag.mark == "ok")]
            if not rows:
                continue
            yield f"    {'TAG':{width}}  {'VALUE':>14} {'UNIT':8} {'TIME (UTC)':19}  {'AGE':>6} {'SCORE':>5}  VERDICT"
            for tag in rows:
                words = "bus: the line cannot be opened" if line.trouble and line.trouble in tag.words else tag.words
                yield (
                    f"    {tag.tag:{width}}  {shown(tag):>14} {unit_words(tag.unit):8} {clock_words(tag.at_ns)}  "
                    f"{age_words(tag.age_s):>6} {graded(tag):>5}  {tag.mark}{': ' + words if words else ''}"
                )
    yield from maturity_words(found)
    yield summary(found)


def graded(tag: TagFound) -> str:
    """Its points, or a dash for what is no sensor's."""
    return "–" if tag.grade is None else str(tag.grade.points)


def maturity_words(found: SiteFound) -> Iterator[str]:
    """What each asset's sensors are good enough for, and what the next level asks."""
    for asset in found.assets:
        first = f" ({asset.first})" if asset.first else ""
        yield f"{asset.name or asset.asset}: good enough for {asset.reached}{first}"
        if asset.next is not None:
            yield f"  for {asset.next} it lacks {'; '.join(asset.lacks)}"


def summary(found: SiteFound) -> str:
    wrong = wrong_devices(found)
    return (
        f"{many(len(found.tags()), 'tag')}: {found.count('ok')} ok, {found.count('suspicious')} suspicious, "
        f"{found.count('bad')} bad" + (f"; {len(wrong)} not the device that its profile describes" if wrong else "")
    )


def wrong_devices(found: SiteFound) -> list[UnitFound]:
    return [unit for line in found.lines for unit in line.units if unit.proved is False]


def accepted(found: SiteFound) -> bool:
    """Whether nothing is bad and every device is what it should be. Suspicious values are for a person to judge."""
    return not found.count("bad") and not wrong_devices(found)


def as_json_object(found: SiteFound) -> dict[str, Any]:
    """For scripts, and beside the report; ``format`` counts up where the meaning of a key changes."""
    plain = msgspec.to_builtins(found)
    assert isinstance(plain, dict)
    for line in plain["lines"]:
        for unit in line["units"]:
            for tag in unit["tags"]:
                tag["quality"] = Quality(tag["quality"]).name.lower()
    marks = {mark: found.count(mark) for mark in ("ok", "suspicious", "bad")}
    return {"format": FORMAT, "accepted": accepted(found), "counts": marks, **plain}


def _trouble(line: LineFound) -> str:
    return f"   CANNOT BE OPENED: {line.trouble}" if line.trouble else ""

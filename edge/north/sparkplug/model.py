"""One asset as a Sparkplug device, or the gateway as the node: what its metrics are by now, and which of them a
message has to tell.

Pure. Sparkplug reports changes: a reading that is what the last one was is no news. A birth certificate tells all; it
is no longer true once a metric is new or another type of value came, and the device is then born again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge.contract.types import Alarm, Batch, Quality, Value, Verdict
from edge.sparkplug import DataType, Metric, datatype_of

GOOD, STALE, BAD = 192, 500, 0
"""Of the property ``Quality``, as the common hosts know them."""
TAG_PROPERTIES = ("engUnit", "documentation")


@dataclass(slots=True)
class _Entry:
    name: str
    alias: int
    properties: dict[str, Value]
    is_tag: bool
    datatype: DataType = DataType.DOUBLE
    typed: bool = False
    raw: Value = None
    quality: Quality = Quality.GOOD
    at_ms: int = 0
    valued_ms: int = 0
    told: bool = False


class DeviceModel:
    """The device of ``asset``, or the node itself where that is empty; ``tags`` are name, unit and title. Aliases count
    on from ``aliases``, one for a node.

    ``born``: its birth certificate is out, and ``sound`` says whether that is still true of it.
    """

    def __init__(self, asset: str, tags: Iterable[tuple[str, str, str]], aliases: Iterator[int]) -> None:
        self.asset = asset
        self.born = False
        self.sound = True
        self._aliases = aliases
        self._entries: dict[str, _Entry] = {}
        for tag, unit, title in tags:
            properties: dict[str, Value] = {k: v for k, v in zip(TAG_PROPERTIES, (unit, title), strict=True) if v}
            self._entries[tag] = _Entry(tag, next(aliases), properties, True)

    @property
    def alive(self) -> bool:
        """Whether something of it was heard, and not all of it is out of reach by now."""
        return any(e.told and e.quality != Quality.BAD_BUS for e in self._entries.values() if e.is_tag)

    def observe(self, batch: Batch) -> list[Metric]:
        """What of a poll is news."""
        changes = (
            self._change(tag, value, quality, at_ns // 10**6, batch.read_ns // 10**6)
            for tag, value, quality, at_ns in zip(batch.tags, batch.values, batch.quality, batch.source_ns, strict=True)
        )
        return [metric for metric in changes if metric is not None]

    def judge(self, verdict: Verdict) -> list[Metric]:
        why = verdict.reasons[0].words if verdict.reasons else verdict.note
        said: dict[str, Value] = {
            "Health": verdict.health, "Anomaly": verdict.anomaly, "Anomalous": verdict.anomalous,
            "RUL h": verdict.rul_h, "RUL low h": verdict.rul_low_h, "RUL high h": verdict.rul_high_h,
            "Urgency": verdict.urgency.value, "Coverage": verdict.coverage, "Reason": why,
        }  # fmt: skip
        return self._all("Verdict", said, verdict.at_ns)

    def announce(self, alarm: Alarm) -> list[Metric]:
        said: dict[str, Value] = {
            "Active": alarm.state.is_active and not alarm.latched, "State": alarm.state.value,
            "Priority": alarm.priority.value, "Sentence": alarm.sentence, "Held": alarm.held.value,
            "Latched": alarm.latched,
        }  # fmt: skip
        return self._all(f"Alarms/{alarm.rule}", said, alarm.at_ns)

    def birth(self) -> tuple[Metric, ...]:
        """Everything that it has, as it stands."""
        self.born = self.sound = True
        return tuple(
            Metric(
                entry.name, entry.alias, entry.at_ms, entry.datatype, raw=entry.raw,
                properties={**entry.properties, "Quality": _code(entry.quality)},
            )
            for entry in self._entries.values()
        )  # fmt: skip

    def _all(self, group: str, said: dict[str, Value], at_ns: int) -> list[Metric]:
        changes = (
            self._change(f"{group}/{name}", value, Quality.GOOD, at_ns // 10**6, at_ns // 10**6)
            for name, value in said.items()
        )
        return [metric for metric in changes if metric is not None]

    def _change(self, name: str, value: Value, quality: Quality, at_ms: int, now_ms: int) -> Metric | None:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry(name, next(self._aliases), {}, False)
            self.sound = False
        value, quality = self._fitting(entry, value, quality)
        at_ms = max(at_ms, 0)
        # What is older than the last value was kept and comes late, but where our own clock was set back.
        if not quality.is_bad and at_ms < entry.valued_ms <= now_ms:
            return self._metric(entry, value, quality, at_ms, historical=True)
        changed = not entry.told or value != entry.raw or quality != entry.quality
        marked = quality != Quality.GOOD or entry.quality != quality
        entry.raw, entry.quality, entry.at_ms, entry.told = value, quality, at_ms, True
        if not quality.is_bad:
            entry.valued_ms = at_ms
        if not changed:
            return None
        return self._metric(entry, value, quality, at_ms, marked=marked)

    def _fitting(self, entry: _Entry, value: Value, quality: Quality) -> tuple[Value, Quality]:
        """``value`` as the metric's data type, which grows with what comes."""
        if isinstance(value, float) and not math.isfinite(value):
            return None, quality
        if value is None:
            return None, quality
        kind = datatype_of(value)
        if kind == DataType.INT64 and entry.datatype == DataType.DOUBLE and entry.typed:
            return float(value), quality
        if kind != entry.datatype:
            entry.datatype = kind
            self.sound = False
        entry.typed = True
        return value, quality

    def _metric(
        self, entry: _Entry, value: Value, quality: Quality, at_ms: int, *, marked: bool = True,
        historical: bool = False,
    ) -> Metric:  # fmt: skip
        return Metric(
            alias=entry.alias, timestamp_ms=at_ms, datatype=entry.datatype, is_historical=historical, raw=value,
            properties={"Quality": _code(quality)} if marked else {},
        )  # fmt: skip


def _code(quality: Quality) -> int:
    if quality == Quality.GOOD:
        return GOOD
    return BAD if quality.is_bad else STALE

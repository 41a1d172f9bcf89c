"""An asset's rows through the gateway's own judge and alarm desk, poll by poll, as if it had hung on a gateway then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from cloud.backtest.export import Track
from cloud.backtest.mapping import is_boolean
from edge.alarm import AlarmDesk, Watched
from edge.config.alarms import Alarms
from edge.config.asset_class import AssetClass
from edge.config.laid import Machine, Measured, laid_out
from edge.contract.bundle import Bundle
from edge.contract.types import AlarmState, Batch, Quality, Tag, Value
from edge.infer.judge import Judge

Array = NDArray[np.float64]

ROWS_MAX = 200_000
"""More rows of an asset are thinned evenly: a gateway's judge takes a third of a millisecond for each."""
_HOUR_NS = 3600 * 10**9
_EVERY_RAISING = Alarms(chatter_raises=0, flood_above=1000)
"""Who is called is the gateway's affair: here each raising counts for itself."""
_EACH = 256


@dataclass(frozen=True, slots=True)
class Alarmed:
    """An alarm from its raising to its clearing (None: it stood at the end)."""

    rule: str
    since_ns: int
    until_ns: int | None
    sentence: str


@dataclass(frozen=True)
class Replayed:
    """What was raised, and by what. ``judged_from_ns`` is when the first verdict said something (None: never; then
    ``note`` is the last one's). ``score`` [rows] is the anomaly over its limit, NaN before there is one.
    """

    mind: str
    alarms: tuple[Alarmed, ...]
    judged_from_ns: int | None
    note: str
    at_ns: NDArray[np.int64]
    score: Array
    words: tuple[str, ...]


def usable(bundle: Bundle | None, tags: Mapping[str, Array], asset_class: str) -> tuple[Bundle | None, str]:
    """The bundle where the export has every signal that it follows, else None; and what judges, in words."""
    if bundle is None:
        return None, f"what it learns itself: class {asset_class} has no bundle"
    missing = [tag for tag in bundle.tags if tag not in tags and tag != bundle.hour_meter]
    if missing:
        return None, f"what it learns itself: the bundle of {asset_class} also needs {', '.join(missing)}"
    return bundle, f"the bundle {bundle.hash[:12]} of {asset_class}"


def thinned(track: Track, tags: Mapping[str, Array], rows_max: int = ROWS_MAX) -> tuple[Track, dict[str, Array], str]:
    """At most ``rows_max`` rows, evenly, and what was done in words."""
    every = math.ceil(len(track.at_ns) / rows_max)
    if every <= 1:
        return track, dict(tags), ""
    fewer = replace(
        track, at_ns=track.at_ns[::every], columns={}, failing=None if track.failing is None else track.failing[::every]
    )
    return fewer, {tag: numbers[::every] for tag, numbers in tags.items()}, f"one row in {every} is replayed"


def with_hours(track: Track, tags: Mapping[str, Array], hour_meter: str) -> tuple[dict[str, Array], str]:
    """Where there is no hour meter, one that counts the time between rows in which the machine was not said to stand;
    a gap counts as one period."""
    if not hour_meter or hour_meter in tags:
        return dict(tags), ""
    apart = np.minimum(np.diff(track.at_ns, prepend=track.at_ns[0]), 10 * track.period_ns) / _HOUR_NS
    stands = np.zeros(len(apart), bool)
    for tag in ("running", "speed_rpm"):
        if tag in tags:
            stands |= tags[tag] == 0.0
    return {**tags, hour_meter: np.cumsum(np.where(stands, 0.0, apart))}, f"{hour_meter} is counted from the times"


def replay(
    track: Track,
    tags: Mapping[str, Array],
    asset_class: AssetClass,
    bundle: Bundle | None,
    *,
    each: Callable[[int], object] = lambda _: None,
) -> Replayed:
    """Hand every row of ``tags`` [rows] by name to a judge and an alarm desk; ``each`` is told of rows done."""
    words = []
    track, tags, said = thinned(track, tags)
    words += [said] if said else []
    found, mind = usable(bundle, tags, asset_class.id)
    if found is not None:
        tags, said = with_hours(track, tags, found.hour_meter)
        words += [said] if said else []
    period_ms = max(1, track.period_ns // 10**6)
    judge = Judge(track.asset, asset_class, found, period_ms)
    meanings = tuple(Tag(tag, "", tag, "other", 2) for tag in tags)
    rules = laid_out(asset_class.id, asset_class.rule, Machine({tag: Measured(period_ms=period_ms) for tag in tags}))
    complete = msgspec.structs.replace(asset_class, rule=rules)
    desk = AlarmDesk([Watched(track.asset, track.asset, complete, period_ms, meanings)], config=_EVERY_RAISING)
    score = np.full(len(track.at_ns), np.nan)
    alarms: dict[str, Alarmed] = {}
    ended: list[Alarmed] = []
    judged_from_ns, note = None, ""
    for i, batch in enumerate(batches(track, tags)):
        at_ns = batch.read_ns
        changes = desk.observe(batch)
        judge.observe(batch)
        verdict = judge.verdict(at_ns, mono_ns=batch.mono_ns)
        if verdict is not None:
            changes += desk.judge(verdict, mono_ns=batch.mono_ns)
            note = verdict.note
            if verdict.anomaly is not None:
                score[i] = verdict.anomaly
                judged_from_ns = at_ns if judged_from_ns is None else judged_from_ns
        for alarm in changes:
            if alarm.latched or not alarm.state.is_active:
                if alarm.rule in alarms:
                    ended.append(replace(alarms.pop(alarm.rule), until_ns=at_ns))
            elif alarm.state is AlarmState.UNACKNOWLEDGED:
                alarms[alarm.rule] = Alarmed(alarm.rule, at_ns, None, alarm.sentence)
                desk.acknowledge(track.asset, alarm.rule, at_ns)
        if i % _EACH == _EACH - 1:
            each(_EACH)
    each(len(track.at_ns) % _EACH)
    every = tuple(sorted([*ended, *alarms.values()], key=lambda alarm: (alarm.since_ns, alarm.rule)))
    return Replayed(mind, every, judged_from_ns, note, track.at_ns, score, tuple(words))


def batches(track: Track, tags: Mapping[str, Array]) -> Iterator[Batch]:
    """A batch a row: no number is a bad reading, or in a partial track a tag that was not asked."""
    names = tuple(tags)
    table = np.column_stack([tags[name] for name in names])
    flags = [is_boolean(name) for name in names]
    first_ns = int(track.at_ns[0])
    for at_ns, row in zip(track.at_ns.tolist(), table.tolist(), strict=True):
        given = [not math.isnan(number) for number in row]
        asked = [i for i in range(len(names)) if given[i] or not track.partial]
        values: list[Value] = [(bool(row[i]) if flags[i] else row[i]) if given[i] else None for i in asked]
        quality = tuple(Quality.GOOD if given[i] else Quality.BAD_DEVICE for i in asked)
        yield Batch(
            track.asset, tuple(names[i] for i in asked), tuple(values), quality, (at_ns,) * len(asked), at_ns,
            at_ns - first_ns,
        )  # fmt: skip

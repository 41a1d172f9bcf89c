"""The alarm desk: readings and verdicts go in, changes of alarms come out.

It promises: a fault is an alarm within the call that hands in its reading (plus the rule's delay); bad readings neither
raise nor clear a limit; silence becomes an alarm of its own; a corrected wall clock changes nothing, for delays run on
the monotonic clock; a restart neither loses an alarm nor raises it twice (``state`` and ``restore``). It touches no
disk and no network, so that nothing stands between a fault and the lamp.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from edge.alarm import judgement, silence, states
from edge.alarm.entry import Entry
from edge.alarm.rules import holds, usable
from edge.config.asset_class import AssetClass, Rule
from edge.contract.types import Alarm, AlarmState, Batch, Priority, Quality, Tag, Verdict

log = logging.getLogger(__name__)

STATE_VERSION = 1
_RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


@dataclass(frozen=True, slots=True)
class Watched:
    """One asset under watch: its id, its name for people, its class, how often it is polled, and what its tags mean.

    ``tag_period_ms`` gives the period of tags that are polled at another one. Without ``tags`` every tag of the class
    is taken for given, and sentences carry no units.
    """

    asset: str
    name: str
    asset_class: AssetClass
    period_ms: int
    tags: tuple[Tag, ...] = ()
    tag_period_ms: Mapping[str, int] = field(default_factory=dict)


class _Place:
    """One asset's place on the desk: its alarms and what was last heard of its tags."""

    __slots__ = ("by_tag", "flags", "judged", "limits", "name", "silence", "silent", "watched")

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        asset = watched.asset
        self.name = watched.name or asset
        meanings = {tag.tag: tag for tag in watched.tags}
        rules = [rule for rule in watched.asset_class.rule if rule.tag in meanings or not meanings]
        self.limits = [Entry.of_rule(asset, self.name, rule, meanings.get(rule.tag)) for rule in rules]
        self.by_tag: dict[str, list[Entry]] = {}
        for entry in self.limits:
            self.by_tag.setdefault(entry.tag, []).append(entry)
        # A state that this asset does not report cannot hold its limits back.
        self.flags: dict[str, bool | None] = {
            rule.enabled_by: None if rule.enabled_by in meanings or not meanings else True
            for rule in rules
            if rule.enabled_by
        }
        self.judged = judgement.entries(asset, self.name)
        self.silence = silence.Silence(watched.asset_class, watched.tags, watched.period_ms, watched.tag_period_ms)
        self.silent = silence.entry(asset, self.name)

    def entries(self) -> list[Entry]:
        return [*self.limits, *self.judged.values(), self.silent]

    def entry(self, rule: str) -> Entry | None:
        return next((entry for entry in self.entries() if entry.id == rule), None)

    def hear_flags(self, batch: Batch) -> None:
        for tag, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
            if tag in self.flags and quality < Quality.BAD_BUS:
                self.flags[tag] = bool(value)

    def enabled(self, rule: Rule) -> bool | None:
        return self.flags[rule.enabled_by] if rule.enabled_by else True


class AlarmDesk:
    """Keeps every alarm of every asset. Not thread-safe: the runtime calls it from one task."""

    def __init__(self, assets: Sequence[Watched]) -> None:
        self._places = {watched.asset: _Place(watched) for watched in assets}
        self._gone: list[Alarm] = []

    def change(self, assets: Sequence[Watched]) -> None:
        """Watch ``assets`` from now on. Those that are the same keep all that is known of them.

        Of the others, what stands goes on to stand where a rule of the new ones stands for it; the next ``tick``
        announces the rest as normal.
        """
        before, standing = self._places, self.standing()
        same = {watched.asset for watched in assets if self._is_watched(watched)}
        self._places = {w.asset: before[w.asset] if w.asset in same else _Place(w) for w in assets}
        for alarm in standing:
            if alarm.asset not in same:
                self._take(alarm)

    def _is_watched(self, watched: Watched) -> bool:
        place = self._places.get(watched.asset)
        return place is not None and place.watched == watched

    def names(self) -> dict[str, str]:
        """Every asset's name for people, in the order of the site file."""
        return {asset: place.name for asset, place in self._places.items()}

    def stale(self) -> frozenset[str]:
        """Assets of which nothing current is known: silent, or not heard yet."""
        return frozenset(
            asset for asset, place in self._places.items() if place.silent.is_active or not place.silence.is_heard
        )

    def observe(self, batch: Batch) -> list[Alarm]:
        """Take one poll; return the alarms that changed by it. On the way to the lamp: it formats only what changed."""
        place = self._places[batch.asset]
        place.silence.hear(batch)
        if place.flags:
            place.hear_flags(batch)
        changes: list[Alarm] = []
        by_tag, mono_ns = place.by_tag, batch.mono_ns
        for tag, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
            for entry in by_tag.get(tag, ()):
                number = usable(value, quality)
                if number is not None:
                    entry.latest = number
                rule = entry.rule
                assert rule is not None
                condition = holds(rule, number, active=entry.is_active, enabled=place.enabled(rule))
                if entry.step(condition, mono_ns):
                    changes.append(entry.changed(batch.read_ns))
        return changes

    def judge(self, verdict: Verdict, *, mono_ns: int) -> list[Alarm]:
        """Take one verdict: an anomaly, or a remaining life that asks for action, is an alarm."""
        place = self._places[verdict.asset]
        changes = []
        for finding in judgement.findings(verdict, place.name, place.judged):
            entry = place.judged[finding.rule]
            if finding.holds:
                entry.tag, entry.value = finding.tag, finding.value
                entry.sentence, entry.cause, entry.action = finding.sentence, finding.cause, finding.action
            if entry.step(finding.holds, mono_ns):
                changes.append(entry.changed(verdict.at_ns))
        return changes

    def tick(self, now_ns: int, *, mono_ns: int) -> list[Alarm]:
        """Let time pass: delays elapse, and assets that fell silent raise ``no_data``. Call it a few times a second."""
        changes = [replace(alarm, state=AlarmState.NORMAL, at_ns=now_ns) for alarm in self._gone]
        self._gone = []
        for place in self._places.values():
            silent = place.silence.listen(mono_ns)
            for tag in silent.tags:
                for entry in place.by_tag.get(tag, ()):
                    entry.phase = states.steady(entry.phase)
            if silent.tags:
                words = silent.words(place.name)
                place.silent.tag, place.silent.sentence, place.silent.cause, place.silent.action = words
            if place.silent.step(silent.holds, mono_ns):
                changes.append(place.silent.changed(now_ns))
            changes += [entry.changed(now_ns) for entry in place.limits if entry.elapse(mono_ns)]
            changes += [entry.changed(now_ns) for entry in place.judged.values() if entry.elapse(mono_ns)]
        return changes

    def acknowledge(self, asset: str, rule: str, now_ns: int) -> list[Alarm]:
        """An operator has seen it. Empty where there is no such alarm or nothing to acknowledge."""
        place = self._places.get(asset)
        entry = place.entry(rule) if place is not None else None
        return [entry.alarm(now_ns)] if entry is not None and entry.acknowledge() else []

    def every(self) -> list[Alarm]:
        """Every alarm that there can be, as it stands: by asset."""
        return [entry.alarm(entry.at_ns) for place in self._places.values() for entry in place.entries()]

    def standing(self) -> list[Alarm]:
        """Every alarm that is not normal, active ones with their latest value: by priority, then the oldest first."""
        alarms = [
            entry.alarm(entry.at_ns)
            for place in self._places.values()
            for entry in place.entries()
            if entry.phase.state is not AlarmState.NORMAL
        ]
        return sorted(alarms, key=lambda alarm: (_RANK[alarm.priority], alarm.since_ns))

    def state(self) -> bytes:
        """What a restart needs, as JSON."""
        return msgspec.json.encode(_State(STATE_VERSION, self.standing()))

    def restore(self, state: bytes) -> None:
        """Continue from ``state``: what stood stands, acknowledged or not, until good readings say otherwise.

        What no rule stands for any longer is announced as normal by the next ``tick``, so that nobody waits for it.
        Bytes that are no state of this version are logged and passed over: conditions that hold then raise anew.
        """
        try:
            saved = msgspec.json.decode(state, type=_State)
        except msgspec.DecodeError as error:
            log.warning("alarms start without memory: their stored state cannot be read: %s", error)
            return
        for alarm in saved.alarms if saved.version == STATE_VERSION else ():
            self._take(alarm)

    def _take(self, alarm: Alarm) -> None:
        place = self._places.get(alarm.asset)
        entry = place.entry(alarm.rule) if place is not None else None
        if entry is None:
            self._gone.append(alarm)
        else:
            entry.restore(alarm)


class _State(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    alarms: list[Alarm]

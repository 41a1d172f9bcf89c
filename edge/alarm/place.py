"""One asset's place on the desk: its alarms, and what was last heard of its tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from edge.alarm import judgement, silence, states
from edge.alarm.chatter import Chatter
from edge.alarm.context import silent_after_ns
from edge.alarm.entry import Entry
from edge.alarm.measures import Measures, meaning
from edge.alarm.rules import holds
from edge.config.alarms import Alarms
from edge.config.asset_class import AssetClass
from edge.config.rule import Rule
from edge.contract.types import Batch, Quality, Tag


@dataclass(frozen=True, slots=True)
class Watched:
    """One asset under watch: its id, its name for people, its class, how often it is polled, and what its tags mean.

    The rules of ``asset_class`` are complete (``edge.config.laid``): a figure that one does not say is none.
    ``tag_period_ms`` gives the period of tags that are polled at another one. Without ``tags`` every tag of the class
    is taken for given, and sentences carry no units.
    """

    asset: str
    name: str
    asset_class: AssetClass
    period_ms: int
    tags: tuple[Tag, ...] = ()
    tag_period_ms: Mapping[str, int] = field(default_factory=dict)


class Place:
    __slots__ = (
        "_by_id", "_first", "_flag_fresh_ns", "_flag_heard_ns", "by_tag", "chatter", "flags", "judged", "limits",
        "measures", "name", "silence", "silent", "stale", "suppressions", "watched",
    )  # fmt: skip

    def __init__(self, watched: Watched, config: Alarms) -> None:
        self.watched = watched
        asset = watched.asset
        self.name = watched.name or asset
        meanings = {tag.tag: tag for tag in watched.tags}
        rules = [
            rule
            for rule in watched.asset_class.rule
            if (rule.tag in meanings or not meanings) and rule.limit is not None
        ]
        self.measures = Measures(
            rules, meanings, speed=watched.asset_class.speed, period_ms=watched.period_ms,
            tag_period_ms=watched.tag_period_ms,
        )  # fmt: skip
        self.limits = [Entry.of_rule(asset, self.name, rule, meaning(rule, meanings.get(rule.tag))) for rule in rules]
        self.stale = [entry for rule, entry in zip(rules, self.limits, strict=True) if rule.kind == "stale"]
        self.by_tag: dict[str, list[Entry]] = {}
        for rule, entry in zip(rules, self.limits, strict=True):
            if rule.kind != "stale":
                self.by_tag.setdefault(entry.tag, []).append(entry)
        # A state that this asset does not report cannot hold its limits back.
        self.flags: dict[str, bool | None] = {
            rule.enabled_by: None if rule.enabled_by in meanings or not meanings else True
            for rule in rules
            if rule.enabled_by
        }
        periods = watched.tag_period_ms
        self._flag_fresh_ns = {
            tag: silent_after_ns(periods.get(tag, watched.period_ms)) for tag in self.flags if tag in meanings
        }
        self._flag_heard_ns: dict[str, int] = {}
        self.judged = judgement.entries(asset, self.name)
        self.silence = silence.Silence(watched.asset_class, watched.tags, watched.period_ms, watched.tag_period_ms)
        self.silent = silence.entry(asset, self.name)
        self.chatter = Chatter(asset, self.name, config.chatter_raises)
        self.suppressions = self.measures.suppressions
        self._first: dict[str, tuple[str, int]] = {}
        every = (*self.limits, *self.judged.values(), self.silent, self.chatter.entry)
        self._by_id = {entry.id: entry for entry in every}

    def entries(self) -> list[Entry]:
        return list(self._by_id.values())

    def entry(self, rule: str) -> Entry | None:
        return self._by_id.get(rule)

    def hear_flags(self, batch: Batch) -> None:
        for tag, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
            if tag in self.flags and quality < Quality.BAD_BUS:
                self.flags[tag] = bool(value)
                self._flag_heard_ns[tag] = batch.mono_ns

    def grow_old(self, entry: Entry, mono_ns: int) -> bool:
        """Judge a tag's age; whether the state of its alarm changed."""
        rule = entry.rule
        assert rule is not None
        age_s, was_read = self.measures.age_s(entry.tag, mono_ns)
        past = holds(rule, age_s, active=entry.is_active, enabled=self.enabled(rule, mono_ns))
        # Of what was never read yet only its silence is known.
        condition = past if past or was_read else None
        if condition is not None:
            entry.latest = age_s
        return entry.step(condition, mono_ns)

    def begin_anew(self, tags: Iterable[str]) -> None:
        """Of ``tags`` nothing is heard any more: what was read last does not last on by itself."""
        for tag in tags:
            for entry in self.by_tag.get(tag, ()):
                entry.phase = states.steady(entry.phase)

    def enabled(self, rule: Rule, mono_ns: int) -> bool | None:
        """Whether its limit applies now; None where, short after the start, that is not known yet.

        A state of which nothing is heard any more holds no limit back: an alarm too many is the lesser harm.
        """
        if not rule.enabled_by:
            return True
        fresh_ns = self._flag_fresh_ns.get(rule.enabled_by)
        if fresh_ns is not None and mono_ns - self._flag_heard_ns.setdefault(rule.enabled_by, mono_ns) > fresh_ns:
            return True
        return self.flags[rule.enabled_by]

    def suppressed(self, mono_ns: int) -> Iterator[tuple[Entry, bool]]:
        """Those of which it is new (True) that they are suppressed by design, or no longer; or (False) that they are so
        only through a start-up, which nobody is told of."""
        for rule, suppression in self.suppressions.items():
            entry, held = self._by_id[rule], suppression.holds(mono_ns)
            settles = entry.settling_ns != suppression.ended_ns
            entry.settling_ns = suppression.ended_ns
            if held is not None and entry.suppress(held):
                entry.called_mono_ns = mono_ns
                yield entry, True
            elif settles:
                yield entry, False

    def settle(self, entry: Entry, ended_ns: int | None) -> None:
        """Go on from a restart: this one was suppressed by design, since ``ended_ns`` through a start-up alone."""
        if entry.id in self.suppressions:
            self.suppressions[entry.id].resume(ended_ns)
            entry.settling_ns = ended_ns

    def was_first(self, entry: Entry) -> None:
        """Go on from a restart: this one was the first of its group."""
        if entry.rule is not None and entry.rule.group:
            self._first[entry.rule.group] = entry.id, entry.raised_mono_ns

    def mark_first(self, entry: Entry, mono_ns: int, *, within_ns: int) -> None:
        """Mark an alarm that was raised as the first of its group, if no other was shortly before."""
        group = entry.rule.group if entry.rule is not None else ""
        if not group:
            return
        first, first_ns = self._first.get(group, (entry.id, mono_ns))
        if mono_ns - first_ns > within_ns:
            first, first_ns = entry.id, mono_ns
        self._first[group] = first, first_ns
        entry.first = first == entry.id

"""What one asset's rules are laid on: the gauges behind its limits, what they lean on, and what suppresses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge.alarm.baseline import Baseline
from edge.alarm.context import Context
from edge.alarm.gauges import FromBaseline, FromTag, Gauge, Rate
from edge.alarm.suppression import Suppression, tags_of
from edge.config.rule import Rule
from edge.config.usual import RATE_WINDOW_S
from edge.contract.types import Batch, Tag
from edge.contract.units import sign


class Measures:
    """Of the rules of one asset. ``speed`` names the tag of its speed, empty where it has none."""

    def __init__(
        self, rules: Sequence[Rule], tags: Mapping[str, Tag], *, speed: str, period_ms: int,
        tag_period_ms: Mapping[str, int],
    ) -> None:  # fmt: skip
        self._tags = tags
        self._speed = speed if speed in tags or not tags else ""
        leans_on = {rule.of for rule in rules if rule.of}
        leans_on |= {rule.tag for rule in rules if rule.kind == "stale"}
        leans_on |= {tag for rule in rules if rule.suppressed_by for tag in tags_of(rule.suppressed_by)}
        if self._speed and any(is_off_baseline(rule) for rule in rules):
            leans_on.add(self._speed)
        self._context = Context(leans_on, period_ms, tag_period_ms)
        self._leans = bool(leans_on)
        self._started_ns: int | None = None
        self._tag_of = {rule.id: rule.tag for rule in rules}
        self._baselines = {rule.id: Baseline() for rule in rules if is_off_baseline(rule)}
        self.gauges = {rule.id: gauge for rule in rules if (gauge := self._gauge(rule)) is not None}

        self.suppressions = {
            rule.id: Suppression(rule.suppressed_by, round((rule.settle_s or 0.0) * 1e9), self._context)
            for rule in rules
            if rule.suppressed_by
        }

    def hear(self, batch: Batch) -> None:
        """Take a poll, before any of its readings is judged."""
        if self._leans:
            self._context.hear(batch)

    def age_s(self, tag: str, mono_ns: int) -> tuple[float, bool]:
        """How long ago ``tag`` was read well, and whether it ever was: else since the first call."""
        if self._started_ns is None:
            self._started_ns = mono_ns
        age_ns = self._context.age_ns(tag, mono_ns)
        return (mono_ns - self._started_ns if age_ns is None else age_ns) / 1e9, age_ns is not None

    def _gauge(self, rule: Rule) -> Gauge | None:
        either_way = rule.beyond is not None
        if rule.kind == "rate":
            return Rate(round((rule.window_s or RATE_WINDOW_S) * 1e9), either_way=either_way)
        if rule.of:
            return FromTag(self._context.number(rule.of), either_way=either_way)
        if rule.id in self._baselines:
            speed = self._context.number(self._speed) if self._speed else None
            return FromBaseline(self._baselines[rule.id], speed, either_way=either_way)
        return None

    def learned(self) -> dict[str, Any]:
        """What its baselines have learned, by rule."""
        return {name: {"tag": self._tag_of[name], **baseline.kept()} for name, baseline in self._baselines.items()}

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Continue from what was ``learned`` of the same tags."""
        for name, baseline in self._baselines.items():
            told = learned.get(name)
            if isinstance(told, dict) and told.get("tag") == self._tag_of[name]:
                baseline.restore(told)


def is_off_baseline(rule: Rule) -> bool:
    """Whether its limit is laid on how far its tag is from its own baseline."""
    return rule.kind == "change" or (rule.kind == "deviation" and not rule.of)


def meaning(rule: Rule, tag: Tag | None) -> Tag:
    """What the figure that ``rule`` is laid on means: for the words of its alarm."""
    found = tag or Tag(tag=rule.tag, unit="", title="", kind="other", decimals=2)
    title = found.title or rule.tag
    match rule.kind:
        case "rate":
            return replace(
                found,
                unit=f"{sign(found.unit, found.kind)}/min",
                title=f"{title}, its rate",
                decimals=found.decimals + 1,
            )
        case "deviation" | "change":
            return replace(found, title=f"{title}, how far it is off")
        case "stale":
            return replace(found, unit="s", title=title, decimals=0)
    return found

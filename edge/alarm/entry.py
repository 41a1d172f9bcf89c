"""One alarm on the desk: its rule, its phase, and the words that an operator reads."""

from __future__ import annotations

from dataclasses import dataclass

from edge.alarm import states
from edge.alarm.rules import limit_of
from edge.alarm.states import Phase
from edge.config.asset_class import Rule
from edge.contract.types import Alarm, AlarmState, Priority, Tag


@dataclass(slots=True)
class Entry:
    """``id`` is the rule's id; ``rule`` is None for alarms that come from a judgement or from silence.

    ``name`` and ``meaning`` (the tag's unit and decimals) fill the rule's sentence; the others bring ``sentence`` and
    ``ended``, the sentence for an alarm that is no longer active. ``latest`` is what a rule's tag reads now; ``value``,
    what the alarm tells, follows it, but stays for a returned alarm what it was when it returned.
    """

    asset: str
    id: str
    tag: str
    priority: Priority
    on_ns: int
    off_ns: int
    name: str = ""
    rule: Rule | None = None
    meaning: Tag | None = None
    sentence: str = ""
    ended: str = ""
    cause: str = ""
    action: str = ""
    latest: float | None = None
    value: float | None = None
    phase: Phase = states.CALM
    since_ns: int = 0
    at_ns: int = 0

    @classmethod
    def of_rule(cls, asset: str, name: str, rule: Rule, meaning: Tag | None) -> Entry:
        return cls(
            asset=asset,
            id=rule.id,
            tag=rule.tag,
            priority=rule.priority,
            on_ns=round(rule.on_delay_s * 1e9),
            off_ns=round(rule.off_delay_s * 1e9),
            name=name,
            rule=rule,
            meaning=meaning or Tag(tag=rule.tag, unit="", title="", kind="other", decimals=2),
            cause=rule.cause,
            action=rule.action,
        )

    @property
    def is_active(self) -> bool:
        state = self.phase.state
        return state is AlarmState.UNACKNOWLEDGED or state is AlarmState.ACKNOWLEDGED

    def step(self, condition: bool | None, mono_ns: int) -> bool:
        """Take what a reading says; whether the state changed."""
        return self._take(states.step(self.phase, condition, mono_ns, on_ns=self.on_ns, off_ns=self.off_ns))

    def elapse(self, mono_ns: int) -> bool:
        """Let time pass; whether the state changed."""
        return self._take(states.elapse(self.phase, mono_ns, on_ns=self.on_ns, off_ns=self.off_ns))

    def acknowledge(self) -> bool:
        """Whether there was anything to acknowledge."""
        return self._take(states.acknowledge(self.phase))

    def _take(self, phase: Phase) -> bool:
        changed = phase.state is not self.phase.state
        self.phase = phase
        return changed

    def changed(self, at_ns: int) -> Alarm:
        """The alarm after its state changed at ``at_ns``: a raising begins a new ``since_ns``."""
        if self.is_active:
            self.since_ns = at_ns
        if self.rule is not None:
            self.value = self.latest
        return self.alarm(at_ns)

    def alarm(self, at_ns: int) -> Alarm:
        """The alarm as it stands: an active one with its latest value."""
        self.at_ns = at_ns
        if self.rule is not None and self.is_active:
            self.value = self.latest
        return Alarm(
            asset=self.asset,
            rule=self.id,
            tag=self.tag,
            priority=self.priority,
            state=self.phase.state,
            since_ns=self.since_ns,
            at_ns=at_ns,
            value=self.value,
            sentence=self._sentence(),
            cause=self.cause,
            action=self.action,
        )

    def restore(self, alarm: Alarm) -> None:
        """Become what ``alarm`` says, without a running delay."""
        self.phase = states.steady(Phase(alarm.state))
        self.tag, self.value, self.since_ns, self.at_ns = alarm.tag, alarm.value, alarm.since_ns, alarm.at_ns
        self.latest = alarm.value
        if self.rule is None:
            if self.is_active:
                self.sentence = alarm.sentence
            self.cause, self.action = alarm.cause, alarm.action

    def _sentence(self) -> str:
        if self.rule is None or self.meaning is None:
            return self.sentence if self.is_active else self.ended
        value = "?" if self.value is None else f"{self.value:.{self.meaning.decimals}f}"
        if not self.is_active:
            title = self.meaning.title or self.tag
            return f"{self.name}: {title} is back at {value} {self.meaning.unit}".rstrip()
        limit = f"{limit_of(self.rule):g}"
        # A signal may have no unit, as in an export: no space is left in its place.
        shape = self.rule.sentence if self.meaning.unit else self.rule.sentence.replace(" {unit}", "")
        return shape.format(name=self.name, value=value, unit=self.meaning.unit, limit=limit)

"""One alarm on the desk: its rule, its life, what holds it back, and the words that an operator reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.alarm import states
from edge.alarm.holding import FREE, Holding, Suppression
from edge.alarm.rules import limit_of
from edge.alarm.states import Clears, Life, Phase
from edge.config.rule import Rule
from edge.contract.types import Alarm, Held, Priority, Tag
from edge.contract.units import sign
from edge.ports import Concern, Finding


@dataclass(slots=True)
class Entry:
    """``id`` is the rule's id; ``rule`` is None for alarms that come from a judgement or from silence.

    ``name`` and ``meaning`` (the tag's unit and decimals) fill the rule's sentence; the others bring ``sentence`` and
    ``ended``, the sentence for an alarm that is no longer active. ``latest`` is what a rule's tag reads now; ``value``,
    what the alarm tells, follows it, but stays for a returned alarm what it was when it returned.

    ``raised`` says that its last change by ``step`` or ``elapse`` was a raising, at ``raised_mono_ns``;
    ``called_mono_ns`` is when it last called somebody. ``by`` and ``why`` are of who last acknowledged or reset it.
    ``settling_ns`` (monotonic): since when it is suppressed through its machine's start-up alone.
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
    clears: Clears = field(default_factory=lambda: states.CLEARS)
    holding: Holding = FREE
    since_ns: int = 0
    at_ns: int = 0
    raised: bool = False
    raised_mono_ns: int = 0
    called_mono_ns: int = 0
    settling_ns: int | None = None
    by: str = ""
    why: str = ""
    first: bool = False
    repeats: int = 0

    @classmethod
    def of_rule(cls, asset: str, name: str, rule: Rule, meaning: Tag | None) -> Entry:
        return cls(
            asset=asset,
            id=rule.id,
            tag=rule.tag,
            priority=rule.priority,
            on_ns=round((rule.on_delay_s or 0.0) * 1e9),
            off_ns=round((rule.off_delay_s or 0.0) * 1e9),
            name=name,
            rule=rule,
            meaning=meaning or Tag(tag=rule.tag, unit="", title="", kind="other", decimals=2),
            cause=rule.cause,
            action=rule.action,
            clears=states.CLEARS_LATCHED if rule.latch else states.CLEARS,
        )

    @classmethod
    def of_concern(cls, gateway: str, concern: Concern) -> Entry:
        """An alarm of the gateway itself."""
        on_ns, off_ns = round(concern.on_delay_s * 1e9), round(concern.off_delay_s * 1e9)
        return cls(gateway, concern.rule, "", concern.priority, on_ns, off_ns, name=gateway, ended=concern.ended)

    def take(self, finding: Finding) -> None:
        """Have the words of what was found, where it holds."""
        if finding.holds:
            self.tag, self.value, self.sentence = finding.tag, finding.value, finding.sentence
            self.cause, self.action = finding.cause, finding.action

    @property
    def is_active(self) -> bool:
        """Whether its condition holds: a latched alarm stands without."""
        life = self.phase.life
        return life is Life.UNACKNOWLEDGED or life is Life.ACKNOWLEDGED

    @property
    def is_held(self) -> bool:
        return self.holding is not FREE

    @property
    def is_calm(self) -> bool:
        """Whether there is nothing to tell of it."""
        return self.phase.life is Life.NORMAL and self.holding is FREE

    def step(self, condition: bool | None, mono_ns: int) -> bool:
        """Take what a reading says; whether the state changed."""
        phase = self.phase
        turned = states.step(phase, condition, mono_ns, on_ns=self.on_ns, off_ns=self.off_ns, clears=self.clears)
        return turned is not phase and self._take(turned, mono_ns)

    def elapse(self, mono_ns: int) -> bool:
        """Let time pass; whether the state changed."""
        phase = self.phase
        turned = states.elapse(phase, mono_ns, on_ns=self.on_ns, off_ns=self.off_ns, clears=self.clears)
        return turned is not phase and self._take(turned, mono_ns)

    def acknowledge(self, by: str = "", why: str = "") -> bool:
        """Whether there was anything to acknowledge."""
        return self._answer(states.acknowledge(self.phase), by, why)

    def reset(self, by: str = "", why: str = "") -> bool:
        """Whether it was latched, acknowledged, and its condition gone."""
        return self._answer(states.reset(self.phase), by, why)

    def hold(self, holding: Holding) -> bool:
        """Be held by this from now on; whether that is new. The life beneath goes on."""
        if holding == self.holding:
            return False
        self.holding = holding if holding != FREE else FREE
        if self.clears is not states.CLEARS_LATCHED:
            self.clears = states.CLEARS_UNSEEN if self.is_held else states.CLEARS
        return True

    def suppress(self, holds: bool, why: Suppression = Suppression.DESIGN) -> bool:
        """Be held back, or no longer, for this reason; whether that is new."""
        return self.hold(self.holding.suppressed(why, holds=holds))

    def repeat(self, mono_ns: int) -> None:
        """Call again: nobody has acknowledged it, or it stands for so long that somebody should look again."""
        self.phase = states.announced_again(self.phase)
        self.repeats += 1
        self.called_mono_ns = mono_ns

    def _answer(self, phase: Phase, by: str, why: str) -> bool:
        if phase is self.phase:
            return False
        self.phase, self.by, self.why = phase, by, why
        return True

    def _take(self, phase: Phase, mono_ns: int) -> bool:
        before, self.phase = self.phase.life, phase
        if phase.life is before:
            return False
        self.raised = self.is_active
        if self.raised:
            self.raised_mono_ns = self.called_mono_ns = mono_ns
            self.by = self.why = ""
            self.first, self.repeats = False, 0
        else:
            self.hold(self.holding.returned())
        return True

    def changed(self, at_ns: int) -> Alarm:
        """The alarm after its state changed at ``at_ns``: a raising begins a new ``since_ns``."""
        if self.raised:
            self.since_ns = at_ns
        if self.rule is not None:
            self.value = self.latest
        return self.alarm(at_ns)

    def alarm(self, at_ns: int) -> Alarm:
        """The alarm as it stands: an active one with its latest value."""
        self.at_ns = at_ns
        if self.rule is not None and self.is_active:
            self.value = self.latest
        life, held = self.phase.life, self.holding.held
        by, why = self.holding.note if held is not Held.NOT else (self.by, self.why)
        return Alarm(
            asset=self.asset,
            rule=self.id,
            tag=self.tag,
            priority=self.priority,
            state=life.state,
            since_ns=self.since_ns,
            at_ns=at_ns,
            value=self.value,
            sentence=self._sentence(),
            cause=self.cause,
            action=self.action,
            latched=life.latched,
            held=held,
            until_ns=self.holding.until_ns,
            by=by,
            why=why,
            group=self.rule.group if self.rule is not None else "",
            first=self.first,
            repeats=self.repeats,
        )

    def restore(self, alarm: Alarm) -> None:
        """Become what ``alarm`` says, without a running delay. What holds it is handed in apart."""
        life = Life.of(alarm.state, latched=alarm.latched and self.clears is states.CLEARS_LATCHED)
        self.phase = states.steady(Phase(life))
        self.tag, self.value, self.since_ns, self.at_ns = alarm.tag, alarm.value, alarm.since_ns, alarm.at_ns
        self.first, self.repeats = alarm.first, alarm.repeats
        self.latest = alarm.value
        if alarm.held is Held.NOT:
            self.by, self.why = alarm.by, alarm.why
        if self.rule is None:
            if self.is_active:
                self.sentence = alarm.sentence
            self.cause, self.action = alarm.cause, alarm.action

    def _sentence(self) -> str:
        if self.rule is None or self.meaning is None:
            return self.sentence if self.is_active else self.ended
        unit = sign(self.meaning.unit, self.meaning.kind)
        value = "?" if self.value is None else f"{self.value:.{self.meaning.decimals}f}"
        if not self.is_active:
            title = self.meaning.title or self.tag
            if not self.since_ns:
                return f"{self.name}: {title} is normal"
            back = f"{self.name}: {title} is back at {value} {unit}".rstrip()
            if self.rule.kind == "stale":
                back = f"{self.name}: {title} is read again"
            return f"{back}; it stays until it is reset" if self.phase.life.latched else back
        limit = f"{limit_of(self.rule):g}"
        # A signal may have no unit, as in an export: no space is left in its place.
        shape = self.rule.sentence if self.meaning.unit else self.rule.sentence.replace(" {unit}", "")
        return shape.format(name=self.name, value=value, unit=unit, limit=limit)

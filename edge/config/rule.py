"""A rule of an asset class, and what a site says of one: a limit on a figure that is drawn from one tag."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.config.profiles.signal import Strict
from edge.contract.types import Priority

Kind = Literal["limit", "rate", "deviation", "stale", "zone", "change"]
Id = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]*$", description="Its name; its alarm has the same.")]
KindOf = Annotated[
    Kind,
    Meta(
        description="What the limit is laid on. `limit`: the value. `rate`: its change a minute. `deviation`: how far"
        " it is from another tag, or from its own baseline. `stale`: the seconds since it was last read well. `zone`:"
        " the value, with the standard's boundary for this machine. `change`: how far it is from its own baseline,"
        " with a quarter of the standard's B/C boundary (criterion II of ISO 20816)."
    ),
]
TagOf = Annotated[str, Meta(min_length=1, description="The tag that it watches.")]
PriorityOf = Annotated[Priority, Meta(description="How fast somebody must answer.")]
Sentence = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        description="What the operator reads. {name}, {value}, {unit} and {limit} are filled in.",
    ),
]
Positive = Annotated[float, Meta(gt=0)]
Least = Annotated[float, Meta(ge=0)]
Delay = Annotated[float, Meta(ge=0, le=604_800)]
"""In seconds: a week at most."""
Words = Annotated[str, Meta(max_length=500)]


class Figures(Strict, frozen=True, kw_only=True):
    """What a rule may say. Figures that none says are filled in by the kind of signal, and by the machine's nameplate
    (`babbitt gateway rules` shows each with its source); a 0 that is written stays 0."""

    above: Annotated[float | None, Meta(description="Past this it raises.")] = None
    below: Annotated[float | None, Meta(description="Under this it raises.")] = None
    beyond: Annotated[
        Positive | None,
        Meta(description="So far off, up or down, it raises. For kinds `rate`, `deviation` and `change`."),
    ] = None
    after_s: Annotated[Positive | None, Meta(description="For kind `stale`: the age at which it raises.")] = None
    zone: Annotated[
        Literal["C", "D"] | None,
        Meta(
            description="For kind `zone`: from which zone on it raises. `above` then holds for machines whose nameplate"
            " tells nothing of vibration."
        ),
    ] = None
    of: Annotated[
        str, Meta(description="For kind `deviation`: the tag that it is compared with; by default its own baseline.")
    ] = ""
    window_s: Annotated[
        Annotated[float, Meta(gt=0, le=86_400)] | None,
        Meta(description="For kind `rate`: over how long it is taken, of five polls at least; 60 by default."),
    ] = None
    deadband: Annotated[
        Least | None, Meta(description="It clears only once it is back by more than this, in the limit's unit.")
    ] = None
    on_delay_s: Annotated[Delay | None, Meta(description="It raises once it has been past its limit for so long.")] = (
        None
    )
    off_delay_s: Annotated[Delay | None, Meta(description="It clears once it has been back for so long.")] = None
    enabled_by: Annotated[
        str | None,
        Meta(
            description="A tag of state without which the limit means nothing: a stopped pump has no flow. One of which"
            " nothing is heard any more holds no limit back."
        ),
    ] = None
    suppressed_by: Annotated[
        str | None,
        Meta(
            description="While this condition on tags holds it is kept from people by design, such as `not running or"
            " maintenance`; as long as that is not known it is not."
        ),
    ] = None
    settle_s: Annotated[
        Delay | None, Meta(description="So long after that condition has ended it still is: a start-up.")
    ] = None
    latch: Annotated[
        bool | None, Meta(description="Whether it stays after it has returned, until somebody resets it.")
    ] = None
    re_alarm_s: Annotated[
        Delay | None,
        Meta(description="So long after it called it calls again if nobody has acknowledged it; 0: never."),
    ] = None
    group: Annotated[
        str, Meta(description="Alarms of one group have one likely cause: the first of them is marked.")
    ] = ""
    cause: Annotated[Words, Meta(description="The probable cause, for the operator.")] = ""
    action: Annotated[Words, Meta(description="What to do, for the operator.")] = ""


class Rule(Figures, frozen=True, kw_only=True):
    """A rule as a class has it: a limit of one kind on one tag. Strictly past the limit raises."""

    id: Id
    tag: TagOf
    priority: PriorityOf
    sentence: Sentence
    kind: KindOf = "limit"

    @property
    def limit(self) -> float | None:
        """The limit, on whichever side; None where it has none (yet)."""
        return next((x for x in (self.above, self.below, self.beyond, self.after_s) if x is not None), None)

    @property
    def is_low(self) -> bool:
        """Whether what lies under the limit is past it."""
        return self.below is not None

    @property
    def slack(self) -> float:
        """The deadband, which where nobody has filled it in is none."""
        return self.deadband or 0.0


class SiteRule(Figures, frozen=True, kw_only=True):
    """What a site says of one machine's rule. Where the class has one of this id, what is said here goes before it, and
    the rest stays; else it is one more, and wants `tag`, `priority` and `sentence`."""

    id: Id
    off: Annotated[bool, Meta(description="Whether the class's rule does not apply to this machine.")] = False
    tag: Annotated[TagOf | None, Meta(description="The tag that it watches.")] = None
    priority: Annotated[PriorityOf | None, Meta(description="How fast somebody must answer.")] = None
    sentence: Annotated[
        Sentence | None, Meta(description="What the operator reads; {name}, {value}, {unit} and {limit} are filled in.")
    ] = None
    kind: Annotated[Kind | None, Meta(description="What the limit is laid on; see there.")] = None

"""Rules of one machine that cannot all be meant: what contradicts itself or another, and what could never turn.

What passes here can both raise and clear, whatever finite value its tag takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from edge.config.laid import POLLS_OF_A_RATE, POLLS_OF_AN_AGE, Laid, Machine, Measured, too_slow
from edge.config.rule import Rule
from edge.config.rule_checks import Problem
from edge.contract.expression import parse_expression
from edge.contract.types import Priority
from edge.errors import UnitError
from edge.features.units import Quantity, vibration_unit

_RANK = {Priority.LOW: 0, Priority.MEDIUM: 1, Priority.HIGH: 2}
_VELOCITY = "mm/s"


@dataclass(frozen=True, slots=True)
class Conflict:
    """``rules`` are the ids of those that it is about, the one to look at first."""

    rules: tuple[str, ...]
    problem: str
    hint: str


def conflicts(laid: Sequence[Laid], machine: Machine) -> Iterator[Conflict]:
    """What is wrong with the rules that count for ``machine``."""
    for one in laid:
        for problem, hint in _problems_of_tags(one, machine):
            yield Conflict((one.rule.id,), problem, hint)
    counting = [one.rule for one in laid if not one.off]
    for rule in counting:
        for problem, hint in _problems_alone(rule, machine.tags[rule.tag]):
            yield Conflict((rule.id,), problem, hint)
    for a, b in combinations(counting, 2):
        if _figure(a) == _figure(b) and _may_meet(a, b):
            for problem, hint in _problems_together(a, b):
                yield Conflict((a.id, b.id), problem, hint)


def _problems_of_tags(laid: Laid, machine: Machine) -> Iterator[Problem]:
    """A class is for many machines, and its rules fall away where a tag is not measured. What a site says is meant."""
    rule, known = laid.rule, machine.tags
    if not laid.by_site:
        return
    tags = {"tag": rule.tag, "of": rule.of, "enabled_by": rule.enabled_by or ""}
    named = [(name, tag) for name, tag in tags.items() if tag]
    if rule.suppressed_by:
        named += [("suppressed_by", ref.tag) for ref in parse_expression(rule.suppressed_by).tags]
    for name, tag in named:
        if tag not in known:
            yield f"`{name}`: no unit of this machine measures {tag!r}", f"tags: {', '.join(sorted(known)) or 'none'}"
    if rule.tag in known and (slow := too_slow(rule, known[rule.tag])):
        name, polls = ("window_s", POLLS_OF_A_RATE) if rule.kind == "rate" else ("after_s", POLLS_OF_AN_AGE)
        yield f"`{name}`: {slow}", f"give it {polls} periods at least, or poll it at a `rate` of its own"
    if rule.kind in ("zone", "change") and rule.limit is None:
        yield f"kind {rule.kind} has no limit: no nameplate tells of vibration", "give `nameplate.vibration` or a limit"


def _problems_alone(rule: Rule, measured: Measured) -> Iterator[Problem]:
    yield from _problems_of_unit(rule, measured)
    limit, slack = rule.limit, rule.slack
    assert limit is not None
    if rule.beyond is not None or rule.after_s is not None:
        if slack >= limit:
            hint = "give a smaller `deadband`, and where the limit is 0 a greater limit"
            yield f"a deadband of {slack:g} is as wide as the limit of {limit:g}: it could never clear", hint
    elif measured.range is not None and rule.kind in ("limit", "zone"):
        yield from _problems_of_range(rule, limit, slack, measured.range)


def _problems_of_unit(rule: Rule, measured: Measured) -> Iterator[Problem]:
    """No zone is claimed of what is not known to be a velocity in mm/s."""
    if rule.kind not in ("zone", "change") or measured.unit == _VELOCITY:
        return
    try:
        found = vibration_unit(measured.unit, rule.tag)
    except UnitError as error:
        yield (
            f"zones are of velocities in {_VELOCITY}; of {rule.tag} {error.problem}",
            "declare the unit in its profile",
        )
        return
    if found.quantity is Quantity.ACCELERATION:
        hint = "give it a signal of velocity; an acceleration must be integrated first"
        yield f"zones are of velocities, {rule.tag} is an acceleration ({measured.unit})", hint
    else:
        yield f"zones are in {_VELOCITY}, {rule.tag} is in {measured.unit}", "give its profile a `scale` and this unit"


def _problems_of_range(rule: Rule, limit: float, slack: float, span: tuple[float, float]) -> Iterator[Problem]:
    low, high = span
    words = f"its range is {low:g} to {high:g}"
    back = limit + slack if rule.is_low else limit - slack
    if (limit <= low) if rule.is_low else (limit >= high):
        yield f"a limit of {limit:g} that {rule.tag} can never pass: {words}", "lay it within the range"
    elif (back >= high) if rule.is_low else (back <= low):
        hint = "give a smaller `deadband`"
        yield f"with a deadband of {slack:g} it could never clear: {words}", hint


def _figure(rule: Rule) -> tuple[str | float | None, ...]:
    """What it is laid on: rules on the same are held against each other."""
    kind = {"zone": "limit", "change": "deviation"}.get(rule.kind, rule.kind)
    return rule.tag, kind, rule.of, rule.window_s, "either way" if rule.beyond is not None else ""


def _may_meet(a: Rule, b: Rule) -> bool:
    """Whether both may count at a time, as far as can be told: two of different states may not."""
    states = [(rule.enabled_by or "", rule.suppressed_by or "") for rule in (a, b)]
    return states[0] == states[1] or ("", "") in states


def _problems_together(a: Rule, b: Rule) -> Iterator[Problem]:
    if a.is_low != b.is_low:
        low, high = (a, b) if a.is_low else (b, a)
        yield from _problems_of_band(low, high)
    elif a.priority != b.priority:
        mild, grave = sorted((a, b), key=lambda rule: _RANK[rule.priority])
        yield from _problems_of_order(mild, grave)


def _problems_of_band(low: Rule, high: Rule) -> Iterator[Problem]:
    assert low.limit is not None
    assert high.limit is not None
    distance = high.limit - low.limit
    if distance <= 0.0:
        words = f"below {low.limit:g} ({low.id}) and above {high.limit:g} ({high.id}) leave no value without an alarm"
        yield words, "lay the lower limit under the upper one"
        return
    for rule in (low, high):
        if rule.slack >= distance:
            words = f"a deadband of {rule.slack:g} ({rule.id}) is as wide as the {distance:g} between its limit and"
            other = high if rule is low else low
            yield (
                f"{words} that of {other.id}: one would clear only where the other raises",
                "give a smaller `deadband`",
            )


def _problems_of_order(mild: Rule, grave: Rule) -> Iterator[Problem]:
    """The one that warns must come first."""
    assert mild.limit is not None
    assert grave.limit is not None
    distance = (mild.limit - grave.limit) if mild.is_low else (grave.limit - mild.limit)
    names = f"{mild.id} ({mild.priority}, {mild.limit:g}) and {grave.id} ({grave.priority}, {grave.limit:g})"
    if distance < 0.0:
        yield f"{names}: the milder comes after the graver", "change the limits, or the priorities"
    elif 0.0 < distance < grave.slack:
        words = f"{names}: a deadband of {grave.slack:g} is wider than the {distance:g} between them"
        yield f"{words}: the graver would outlast the milder", f"give {grave.id} a smaller `deadband`"

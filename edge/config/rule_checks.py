"""What is wrong with rules beyond their types: each problem with a hint, so that ``check`` can print all of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from string import Formatter

from edge.config.laid import LIMITS, complete, merged, whole
from edge.config.rule import Kind, Rule, SiteRule
from edge.contract.expression import ExpressionError, parse_expression

Problem = tuple[str, str]
"""What is wrong, and what to do."""

_LIMITS_OF: dict[Kind, tuple[str, ...]] = {
    "limit": ("above", "below"),
    "rate": ("above", "below", "beyond"),
    "deviation": ("above", "below", "beyond"),
    "stale": ("after_s",),
    "zone": ("zone", "above"),
    "change": ("beyond",),
}
_WORDS = ("sentence", "cause", "action")
_FILLED = ("name", "value", "unit", "limit")
_KIND_OF = {"window_s": "rate", "of": "deviation"}
_FIGURES = ("above", "below", "beyond", "after_s", "deadband", "on_delay_s", "off_delay_s", "settle_s", "window_s")


def problems_of_rule(rule: Rule, taken: Collection[str]) -> Iterator[Problem]:
    """``taken`` are ids that it cannot have."""
    if rule.id in taken:
        yield "the id is taken", f"not {', '.join(sorted(taken))}"
    yield from _problems_of_limit(rule)
    for name, kind in _KIND_OF.items():
        if getattr(rule, name) and rule.kind != kind:
            yield f"`{name}` is for kind {kind}, not {rule.kind}", "take it out, or give the `kind`"
    for name in _FIGURES:
        figure = getattr(rule, name)
        if figure is not None and not math.isfinite(figure):
            yield f"`{name}`: found {figure}", "give a number"
    yield from _problems_of_suppression(rule)
    if rule.settle_s and not rule.suppressed_by:
        yield "`settle_s` without `suppressed_by`", "say what it is to be suppressed by"
    if rule.of == rule.tag:
        yield f"`of`: {rule.tag!r} is compared with itself", "name the tag of the setpoint; without, it is its baseline"
    if trouble := _trouble_of_sentence(rule.sentence):
        yield f"`sentence` cannot be filled: {trouble}", "use {name}, {value}, {unit} and {limit}"
    for name in _WORDS:
        if not getattr(rule, name).isprintable():
            yield f"`{name}` is not one line of printable characters", "take out what breaks lines or cannot be seen"


def _problems_of_limit(rule: Rule) -> Iterator[Problem]:
    given = [name for name in LIMITS if getattr(rule, name) is not None]
    allowed = _LIMITS_OF[rule.kind]
    for name in given:
        if name not in allowed:
            yield f"`{name}` is not for kind {rule.kind}", f"give {_choice(allowed)}"
    if rule.kind == "zone":
        if rule.zone is None:
            yield "wants a zone", 'give `zone = "C"` or `zone = "D"`'
    elif rule.kind != "change" and len([name for name in given if name in allowed]) != 1:
        yield "wants one limit", f"give {_choice(allowed)}"


def problems_of_site(of_site: Sequence[SiteRule], of_class: Sequence[Rule], reserved: Collection[str]) -> Iterator[
    tuple[int, str, str]
]:  # fmt: skip
    """What is wrong with what a site says of a machine's rules: which of them, and the problem."""
    known = {rule.id: rule for rule in of_class}
    seen: set[str] = set()
    for i, rule in enumerate(of_site):
        if rule.id in seen:
            yield i, "the id stands twice", "say in one table all that there is to say of a rule"
        seen.add(rule.id)
        mine = known.get(rule.id)
        if rule.id in reserved:
            hint = "a person takes it out of service: `babbitt gateway out-of-service`"
            yield i, "the alarm comes without a rule, and none can change it", hint
        elif rule.off:
            if mine is None:
                yield i, "there is no such rule to switch off", f"rules of the class: {', '.join(known) or 'none'}"
        elif mine is None and not complete(rule):
            hint = f"one of its own wants `tag`, `priority` and `sentence`; the class has {', '.join(known) or 'none'}"
            yield i, "the class has no such rule", hint
        else:
            full = merged(mine, rule) if mine is not None else whole(rule)
            for problem, hint in problems_of_rule(full, reserved):
                yield i, problem, hint


def _choice(names: Sequence[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _trouble_of_sentence(sentence: str) -> str:
    """Plain fields alone: a format or an attribute would be the writer's program, run at each alarm."""
    try:
        for _, field, form, conversion in Formatter().parse(sentence):
            if field is not None and field not in _FILLED:
                return repr(field)
            if form or conversion:
                return f"{field!r} takes no format"
    except ValueError as error:
        return str(error)
    return ""


def _problems_of_suppression(rule: Rule) -> Iterator[Problem]:
    if not rule.suppressed_by:
        return
    try:
        found = parse_expression(rule.suppressed_by)
    except ExpressionError as error:
        yield f"`suppressed_by`: {error}", "a condition on tags, such as `not running or maintenance`"
        return
    for ref in found.tags:
        if ref.asset:
            yield f"`suppressed_by`: {ref} is of another machine", "name tags of this one"

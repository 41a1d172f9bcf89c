"""The rules that count for one machine: those of its class, as its site changes them, with every figure filled in.

A figure comes from the site, the class, the machine's nameplate through a standard, or what is usual for the kind of
signal; ``Laid.sources`` says which. Pure: what cannot be is for ``edge.config.rule_checks`` to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from edge.config.rule import Figures, Rule, SiteRule
from edge.config.usual import OFF_THE_MARK_PERCENT, RATE_WINDOW_S, STALE_OFF_DELAY_S, USUAL
from edge.contract.units import ucum
from edge.features.severity import Boundaries

LIMITS = ("above", "below", "beyond", "after_s", "zone")
POLLS_OF_A_RATE = 5
"""Of fewer one wild reading could make a rate."""
POLLS_OF_AN_AGE = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a tag that a unit measures; ``range`` is its sensor's."""

    unit: str = ""
    kind: str = "other"
    period_ms: int = 1000
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Zones:
    """A machine's zones of severity: whose boundaries they are, and at which speeds (1/min) the standard speaks."""

    boundaries: Boundaries
    source: str
    speed_rpm: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Machine:
    """What its rules are filled in from. ``speed`` names the tag of its speed, where there is one."""

    tags: Mapping[str, Measured]
    zones: Zones | None = None
    speed: str = ""


@dataclass(frozen=True, slots=True)
class Laid:
    """One rule, complete. ``sources`` tell where each figure comes from; ``origin`` whose rule it is.

    ``off`` says why it does not apply to this machine, and is empty where it does.
    """

    rule: Rule
    origin: str
    sources: Mapping[str, str] = field(default_factory=dict)
    off: str = ""
    by_site: bool = False
    """Whether the site has said anything of it."""


def lay(class_id: str, rules: Sequence[Rule], of_site: Sequence[SiteRule], machine: Machine) -> list[Laid]:
    """The rules of a class, in its order, then those that the site adds. ``complete`` must hold of ``of_site``."""
    said = {rule.id: rule for rule in of_site}
    found = []
    for rule in rules:
        origin = f"class {class_id}"
        change = said.pop(rule.id, None)
        if change is None:
            found.append(_filled(rule, origin, _said_by(rule, origin), machine))
        elif change.off:
            found.append(Laid(rule, origin, off="switched off by the site"))
        else:
            sources = _said_by(rule, origin) | _said_by(change, "site")
            mine = _filled(merged(rule, change), f"{origin}, changed by the site", sources, machine)
            found.append(replace(mine, by_site=True))
    own = [_filled(whole(rule), "site", _said_by(rule, "site"), machine) for rule in said.values()]
    return found + [replace(mine, by_site=True) for mine in own]


def laid_out(class_id: str, rules: Sequence[Rule], machine: Machine) -> tuple[Rule, ...]:
    """The rules of a class that apply to ``machine``, complete, where there is no site."""
    return tuple(laid.rule for laid in lay(class_id, rules, (), machine) if not laid.off)


def complete(rule: SiteRule) -> bool:
    """Whether it can be a rule of its own, as one must that the class has not."""
    return rule.tag is not None and rule.priority is not None and rule.sentence is not None


def merged(rule: Rule, change: SiteRule) -> Rule:
    """``rule`` as ``change`` has it. A limit that is given takes the place of every other."""
    given = _given(change)
    if given.keys() & set(LIMITS):
        given = dict.fromkeys(LIMITS) | given
        if rule.kind == "zone" and given["zone"] is None:
            given = {"kind": "limit"} | given
    return msgspec.structs.replace(rule, **given)


def whole(rule: SiteRule) -> Rule:
    """A site's rule as one of its own."""
    assert complete(rule)
    return Rule(id=rule.id, **_given(rule))


def _given(rule: SiteRule) -> dict[str, Any]:
    told = msgspec.structs.asdict(rule)
    return {name: said for name, said in told.items() if name not in ("id", "off") and said is not None and said != ""}


def _said_by(rule: Figures, origin: str) -> dict[str, str]:
    """The figures that ``rule`` says, by their names in ``Laid.sources``."""
    names = {"limit": LIMITS[:-1], **{name: (name,) for name in _FIGURES}}
    return {name: origin for name, keys in names.items() if any(getattr(rule, key) is not None for key in keys)}


_FIGURES = ("deadband", "on_delay_s", "off_delay_s", "window_s", "suppressed_by")


def _filled(rule: Rule, origin: str, sources: Mapping[str, str], machine: Machine) -> Laid:
    told = dict(sources)
    measured = machine.tags.get(rule.tag)
    if measured is None:
        return Laid(rule, origin, told, off=f"no unit measures {rule.tag}")
    if rule.of and rule.of not in machine.tags:
        return Laid(rule, origin, told, off=f"no unit measures {rule.of}")
    rule = _with_limit(rule, told, machine)
    if rule.limit is None:
        return Laid(rule, origin, told, off="the nameplate tells nothing of vibration")
    rule = _with_state(rule, told, machine)
    rule = _with_times(_with_deadband(rule, told, measured), told, measured)
    return Laid(rule, origin, told, off=too_slow(rule, measured))


def too_slow(rule: Rule, measured: Measured) -> str:
    """Why its tag is polled too seldom for it; empty where it is not."""
    period_s = measured.period_ms / 1000
    within_s, polls = (rule.window_s, POLLS_OF_A_RATE) if rule.kind == "rate" else (rule.after_s, POLLS_OF_AN_AGE)
    if within_s is None or within_s >= polls * period_s:
        return ""
    return f"{within_s:g} s are too short for polls {period_s:g} s apart"


def _with_limit(rule: Rule, told: dict[str, str], machine: Machine) -> Rule:
    """The standard's number for this machine, where the rule is of its zones."""
    zones = machine.zones
    if zones is None:
        return rule
    bounds = zones.boundaries
    if rule.kind == "zone" and rule.zone is not None:
        name, limit = ("B/C", bounds.bc_mm_s) if rule.zone == "C" else ("C/D", bounds.cd_mm_s)
        told["limit"] = f"{zones.source}, {name}"
        return msgspec.structs.replace(rule, above=limit)
    if rule.kind == "change" and rule.beyond is None:
        told["limit"] = f"{zones.source}, a quarter of B/C"
        return msgspec.structs.replace(rule, beyond=bounds.significant_mm_s)
    return rule


def _with_state(rule: Rule, told: dict[str, str], machine: Machine) -> Rule:
    """Zones speak of a machine that turns as fast as their standard wants."""
    speed = machine.tags.get(machine.speed)
    if machine.zones is None or rule.kind not in ("zone", "change") or speed is None or ucum(speed.unit) != "/min":
        return rule
    low, high = machine.zones.speed_rpm
    outside = f"{machine.speed} < {low:g} or {machine.speed} > {high:g}"
    if rule.suppressed_by:
        told["suppressed_by"] += f", and {machine.zones.source}"
        outside = f"{rule.suppressed_by} or {outside}"
    else:
        told["suppressed_by"] = f"{machine.zones.source}, which is silent there"
    return msgspec.structs.replace(rule, suppressed_by=outside)


def _with_deadband(rule: Rule, told: dict[str, str], measured: Measured) -> Rule:
    if rule.deadband is not None:
        return rule
    assert rule.limit is not None
    usual = USUAL.get(measured.kind)
    said = f"{measured.kind} ({usual.deadband_source})" if usual is not None else ""
    if rule.kind == "stale":
        deadband, told["deadband"] = 0.0, "none of an age"
    elif rule.kind in ("rate", "deviation", "change"):
        deadband = OFF_THE_MARK_PERCENT / 100.0 * abs(rule.limit)
        told["deadband"] = f"{OFF_THE_MARK_PERCENT:g} % of the limit (ours)"
    elif usual is None:
        deadband, told["deadband"] = 0.0, f"none is usual for kind {measured.kind}"
    elif measured.range is not None and not usual.scatter:
        low, high = measured.range
        deadband = usual.deadband_percent / 100.0 * (high - low)
        told["deadband"] = f"{usual.deadband_percent:g} % of {low:g} to {high:g}, {said}"
    else:
        deadband = usual.deadband_percent / 100.0 * abs(rule.limit)
        told["deadband"] = f"{usual.deadband_percent:g} % of the limit, {said}"
    return msgspec.structs.replace(rule, deadband=float(f"{deadband:.6g}"))


def _with_times(rule: Rule, told: dict[str, str], measured: Measured) -> Rule:
    usual = USUAL.get(measured.kind) if rule.kind != "stale" else None
    filled: dict[str, float] = {}
    for name in ("on_delay_s", "off_delay_s"):
        if getattr(rule, name) is not None:
            continue
        if usual is not None:
            filled[name], told[name] = usual.delay_s, f"usual for {measured.kind} ({usual.delay_source})"
        elif rule.kind == "stale":
            filled[name] = STALE_OFF_DELAY_S if name == "off_delay_s" else 0.0
            told[name] = "ours"
        else:
            filled[name], told[name] = 0.0, f"none is usual for kind {measured.kind}"
    if rule.kind == "rate" and rule.window_s is None:
        filled["window_s"], told["window_s"] = RATE_WINDOW_S, "ours"
    return msgspec.structs.replace(rule, **filled)

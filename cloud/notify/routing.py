"""Who is called about an alarm at a moment: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase

from cloud.notify.config import DAYS, NotifyFile, Route, Shift
from edge.contract.types import Priority


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes: ``channel`` is email, webhook or mqtt; ``to`` an e-mail address, a hook's name, or empty.

    ``name`` is the person's, where there is one.
    """

    channel: str
    to: str
    name: str = ""


def route_of(file: NotifyFile, machine: str, rule: str, priority: Priority) -> int | None:
    """The number of the first route that fits; ``machine`` is GATEWAY/ASSET. None: nobody is called."""
    return next((i for i, route in enumerate(file.route) if _fits(route, machine, rule, priority)), None)


def stages(route: Route) -> int:
    """How many times somebody else may be called: the first call, and each escalation."""
    return 1 + len(route.escalate)


def wait_min(route: Route, stage: int) -> float | None:
    """Minutes from the call of ``stage`` (0 is the first) to the next one; None where it is the last."""
    return route.escalate[stage].after_min if stage < len(route.escalate) else None


def targets(route: Route, stage: int) -> tuple[str, ...]:
    """Whom the file names for ``stage``, on duty or not."""
    return route.to if stage == 0 else route.escalate[stage - 1].to


def addresses(file: NotifyFile, route: Route, stage: int, at: datetime) -> tuple[Address, ...]:
    """Whom to call at ``stage``, each once. ``at`` is in the file's zone. Empty where a shift has nobody on duty."""
    found = (address for target in targets(route, stage) for address in _addresses(file, target, at))
    return tuple(dict.fromkeys(found))


def on_duty(shifts: Sequence[Shift], name: str, at: datetime) -> tuple[str, ...]:
    """The people of the shifts called ``name`` whose hours hold ``at``."""
    return tuple(dict.fromkeys(p for shift in shifts if shift.name == name and _holds(shift, at) for p in shift.people))


def _fits(route: Route, machine: str, rule: str, priority: Priority) -> bool:
    return (
        priority in route.priority
        and any(fnmatchcase(machine, pattern) for pattern in route.assets)
        and any(fnmatchcase(rule, pattern) for pattern in route.rules)
    )


def _addresses(file: NotifyFile, target: str, at: datetime) -> Iterator[Address]:
    kind, _, name = target.partition(":")
    if target == "mqtt":
        yield Address("mqtt", "")
    elif kind == "webhook" and name:
        yield Address("webhook", name)
    else:
        email = {person.name: person.email for person in file.person}
        for person in on_duty(file.shift, name, at) if kind == "shift" and name else (target,):
            yield Address("email", email[person], person)


def _holds(shift: Shift, at: datetime) -> bool:
    """Hours over midnight belong to the day on which they began."""
    begins, ends = shift.hours
    clock, today = at.time().replace(tzinfo=None), DAYS[at.weekday()]
    yesterday = DAYS[(at - timedelta(days=1)).weekday()]
    if begins < ends:
        return today in shift.days and begins <= clock < ends
    after_midnight = ends > time(0) and clock < ends and yesterday in shift.days
    return after_midnight or (today in shift.days and clock >= begins)

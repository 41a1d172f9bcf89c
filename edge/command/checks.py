"""Whether a command may be carried out: one small question each, pure, with the reason in words.

A question is asked of ``Asked``, which holds everything that the answer may rest on, and answers with why not; with
nothing where nothing stands against it. What is not known stands against it. The questions of ``ARRIVING`` are asked
when a command comes, those of ``BEFORE_WRITING`` when it is its turn, and those of ``AT_THE_LAST`` once more when the
line is free and the next byte would be the write's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.command.history import Change, changed_within, since_last
from edge.contract.commands import Command, order_limit
from edge.contract.setpoint import Mode, SetpointContract
from edge.contract.signers import COMMAND_LIFE_MAX_NS
from edge.contract.terms import Look, Seen, TagRef

AHEAD_S_MAX = 5.0
"""So much a giver's clock may be ahead of the gateway's: two clocks that are both right never agree to the bit."""
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One command at one moment. Times are as in ``Command``, ``mono_ns`` monotonic.

    ``contract`` is the one that the command names, where it is in force, else None, and ``no_contract`` says why.
    ``unsigned`` says which of its signatures does not count, and is empty where all do; ``approvers`` are the names
    of those who approved. What was done is known from ``since_ns`` on. ``order`` is the highest one that was taken
    before, ``carried`` the highest one that was carried out on this tag. ``written`` is what the device would hold of
    the value, None where it can hold none of it. ``before`` is what it holds now, None where that is not known.
    ``changes`` are the writes to this tag so far; ``lost_s`` seconds ago it was forgotten which were before, None where
    that never was. ``disabled`` says why the enable input forbids, and is empty where it
    allows. ``unmeasured`` names a regretted figure that was not measured well enough before.
    """

    command: Command
    gateway: str
    wall_ns: int
    mono_ns: int
    trusted: bool
    contract: SetpointContract | None = None
    no_contract: str = "no contract here has this hash"
    unsigned: str = ""
    approvers: tuple[str, ...] = ()
    since_ns: int = 0
    order: int = 0
    carried: int = 0
    written: float | None = None
    unwritable: str = ""
    before: float | None = None
    unread: str = ""
    changes: tuple[Change, ...] = ()
    lost_s: float | None = None
    look: Look = field(default=lambda _: Seen())
    disabled: str = ""
    unmeasured: str = ""

    @property
    def terms(self) -> SetpointContract:
        assert self.contract is not None, "asked of a command without a contract"
        return self.contract


@dataclass(frozen=True, slots=True)
class Refusal:
    """``check`` names the question, ``words`` say why it stands against the command."""

    check: str
    words: str


Check = Callable[[Asked], str]


def refusal(asked: Asked, names: tuple[str, ...], checks: Mapping[str, Check] | None = None) -> Refusal | None:
    """The first of the questions ``names`` that stands against it. Without a contract the others mean nothing."""
    for name in names:
        if asked.contract is None and name != "gateway":
            return Refusal("contract", asked.no_contract)
        check = (CHECKS if checks is None else checks).get(name)
        words = check(asked) if check is not None else ""
        if words:
            return Refusal(name, words)
    return None


def _gateway(asked: Asked) -> str:
    found = asked.command.gateway
    return "" if found == asked.gateway else f"it is for gateway {found!r}, this is {asked.gateway!r}"


def _place(asked: Asked) -> str:
    command, terms = asked.command, asked.terms
    if (command.asset, command.tag) == (terms.asset, terms.tag):
        return ""
    return f"it is for {command.asset}.{command.tag}, its contract for {terms.asset}.{terms.tag}"


def _signed(asked: Asked) -> str:
    return asked.unsigned


def _clock(asked: Asked) -> str:
    return "" if asked.trusted else "the gateway does not know what time it is, so nothing can be in time"


def _issued(asked: Asked) -> str:
    ahead_s = (asked.command.issued_ns - asked.wall_ns) / 1e9
    return f"it was given {ahead_s:.0f} s from now" if ahead_s > AHEAD_S_MAX else ""


def _remembered(asked: Asked) -> str:
    if asked.command.issued_ns >= asked.since_ns:
        return ""
    return "it was given before this gateway began to remember, so nobody knows whether it was done"


def _expired(asked: Asked) -> str:
    late_s = (asked.wall_ns - asked.command.expires_ns) / 1e9
    return f"it expired {late_s:.0f} s ago" if asked.wall_ns >= asked.command.expires_ns else ""


def _life(asked: Asked) -> str:
    command = asked.command
    if command.issued_ns < command.expires_ns <= command.issued_ns + COMMAND_LIFE_MAX_NS:
        return ""
    return f"it must expire within {COMMAND_LIFE_MAX_NS / 86_400e9:.0f} days after it was given"


def _in_force(asked: Asked) -> str:
    if asked.wall_ns < asked.terms.valid_from_ns:
        return f"contract {asked.terms.id} does not hold yet"
    return f"contract {asked.terms.id} has expired" if asked.wall_ns >= asked.terms.expires_ns else ""


def _ahead(asked: Asked) -> str:
    limit = order_limit(asked.order, asked.command.issued_ns)
    if asked.command.order <= limit:
        return ""
    return f"its order is {asked.command.order}, which would keep later ones out: now it may be {limit} at the most"


def _order(asked: Asked) -> str:
    if asked.command.order > asked.order:
        return ""
    return f"its order is {asked.command.order}, and {asked.order} has been here: replayed, or out of order"


def _superseded(asked: Asked) -> str:
    if asked.command.order > asked.carried:
        return ""
    return f"command {asked.carried} for the same tag, given later, was carried out meanwhile"


def _bounds(asked: Asked) -> str:
    terms = asked.terms
    for value in (asked.command.value, asked.written):
        if value is not None and not terms.low <= value <= terms.high:
            return f"{value:.9g} is not within {terms.low:g} to {terms.high:g} {terms.sign}".rstrip()
    return ""


def _writable(asked: Asked) -> str:
    if asked.written is None:
        return asked.unwritable or "the device cannot hold it"
    if abs(asked.written - asked.command.value) <= asked.terms.tolerance:
        return ""
    return f"the device would hold {asked.written:.9g} of it, further off than the tolerance {asked.terms.tolerance:g}"


def _approved(asked: Asked) -> str:
    wanted = asked.terms.approvals - len(asked.approvers) if asked.terms.mode is Mode.APPROVE else 0
    return f"{wanted} more {'approval is' if wanted == 1 else 'approvals are'} wanted" if wanted > 0 else ""


def _enabled(asked: Asked) -> str:
    return "" if asked.terms.mode is Mode.ADVISE else asked.disabled


def _step(asked: Asked) -> str:
    if asked.before is None:
        return f"what stands now cannot be read: {asked.unread or 'no number'}"
    step = _largest(asked)
    if step <= asked.terms.step_max:
        return ""
    return f"from {asked.before:.9g} it is a step of {step:.9g}, more than {asked.terms.step_max:g}"


def _rate(asked: Asked) -> str:
    if asked.lost_s is not None and asked.lost_s < MINUTE_S:
        return _forgotten(asked.lost_s, MINUTE_S)
    moved = changed_within(asked.changes, asked.mono_ns, MINUTE_S)
    if moved + _largest(asked) <= asked.terms.rate_per_min:
        return ""
    return (
        f"with {moved:.9g} in the last minute it would change by {moved + _largest(asked):.9g}, "
        f"more than {asked.terms.rate_per_min:g} a minute"
    )


def _dwell(asked: Asked) -> str:
    if asked.lost_s is not None and asked.lost_s < asked.terms.dwell_s:
        return _forgotten(asked.lost_s, asked.terms.dwell_s)
    since_s = since_last(asked.changes, asked.mono_ns)
    if since_s is None or since_s >= asked.terms.dwell_s:
        return ""
    return f"the last write was {since_s:.1f} s ago, and {asked.terms.dwell_s:g} s are wanted between two"


def _forgotten(lost_s: float, within_s: float) -> str:
    wait_s = within_s - lost_s
    return f"what was written in the last {within_s:g} s is not known, as the store was lost: wait for {wait_s:.0f} s"


def _preconditions(asked: Asked) -> str:
    for condition in asked.terms.precondition:
        holds = condition.holds(asked.look)
        if holds is None:
            return f"it is not known whether `{condition}` holds: {unknown(condition.tags, asked.look)}"
        if not holds:
            return f"`{condition}` does not hold"
    return ""


def _aborts(asked: Asked) -> str:
    """What would roll it back at once is no reason to write."""
    for condition in asked.terms.abort:
        if condition.holds(asked.look) is not False:
            return f"`{condition}`, which aborts, holds or is not known"
    return ""


def _measured(asked: Asked) -> str:
    return asked.unmeasured


def unknown(tags: tuple[TagRef, ...], look: Look) -> str:
    """Which of ``tags`` are not known, and for how long."""
    told = []
    for tag in tags:
        seen = look(tag)
        if seen.value is None:
            told.append(f"{tag} " + ("was never read well" if seen.age_s is None else f"is {seen.age_s:.0f} s old"))
    return ", ".join(told) or "its parts do not go together"


def _largest(asked: Asked) -> float:
    """The step as it was commanded or as it would be written, whichever is larger."""
    if asked.before is None:
        return float("inf")
    return max(abs(v - asked.before) for v in (asked.command.value, asked.written) if v is not None)


CHECKS: dict[str, Check] = {
    "gateway": _gateway, "place": _place, "signed": _signed, "clock": _clock, "issued": _issued,
    "remembered": _remembered, "expired": _expired, "life": _life, "in force": _in_force, "ahead": _ahead,
    "order": _order,
    "superseded": _superseded, "bounds": _bounds, "writable": _writable, "approved": _approved, "enabled": _enabled,
    "step": _step, "rate": _rate, "dwell": _dwell, "preconditions": _preconditions,
    "aborts": _aborts, "measured": _measured,
}  # fmt: skip
"""By name, so that each can be told, and left out to see that a test misses it."""

ARRIVING = (
    "gateway", "place", "signed", "clock", "issued", "ahead", "remembered", "expired", "life", "in force",
    "order", "bounds", "writable",
)  # fmt: skip
BEFORE_WRITING = (
    "clock", "issued", "expired", "in force", "superseded", "approved", "enabled", "step", "rate",
    "dwell", "preconditions", "aborts", "measured",
)  # fmt: skip
COUNTING = ARRIVING[: ARRIVING.index("ahead") + 1]
"""A command against which none of these stands keeps those of a lower order out, whatever else it is refused for."""
AT_THE_LAST = ("clock", "issued", "expired", "in force", "enabled", "preconditions", "aborts")

"""A contract, and a command under one, in words: what people read before they sign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from edge.contract.commands import Command
from edge.contract.setpoint import Mode, Regret, SetpointContract

_MODES = {
    Mode.SHADOW: "nothing is written: what would have been is noted",
    Mode.ADVISE: "nothing is written: the operator is told, and acts or does not",
    Mode.AUTO: "written at once",
}


def bounds(contract: SetpointContract) -> str:
    """ "2400 to 3000 rpm"."""
    return f"{figure(contract.low)} to {figure(contract.high)} {contract.sign}".rstrip()


def contract_words(contract: SetpointContract) -> list[str]:
    """Everything that it allows and asks for, a line each; the first names it."""
    lines = [
        f"{contract.id} version {contract.version}, for {contract.gateway}, {utc(contract.valid_from_ns)} to"
        f" {utc(contract.expires_ns)}" + (f": {contract.why}" if contract.why else ""),
        f"{contract.asset}.{contract.tag} may be set to {bounds(contract)}, by at most {figure(contract.step_max)}"
        f" a step and {figure(contract.rate_per_min)} a minute"
        + (f", {span(contract.dwell_s)} apart" if contract.dwell_s else ""),
        f"given by {_names(contract, 'command')}; {_approving(contract)}",
    ]
    if contract.precondition:
        wanted = " and ".join(f"`{one}`" for one in contract.precondition)
        lines.append(f"only while {wanted} {'hold' if len(contract.precondition) > 1 else 'holds'}")
    within = f"{figure(contract.tolerance)} {contract.sign}".rstrip()
    lines.append(f"done when it reads back within {within}{_settles(contract)}")
    reasons = [f"`{one}`" for one in contract.abort] + [_regret(one) for one in contract.regret]
    if reasons:
        blind = f", or if that cannot be told for {span(contract.blind_s)}" if contract.abort else ""
        lines.append(f"rolled back if {' or '.join(reasons)} in the {span(contract.watch_s)} after{blind}")
    else:
        lines.append("not watched afterwards: nothing rolls it back")
    return [plain(line) for line in lines]


def command_words(command: Command, contract: SetpointContract, *, now_ns: int) -> list[str]:
    """What is asked, by whom and why, under what and until when."""
    left = command.expires_ns - now_ns
    until = f"expires in {span(left / 1e9)}" if left > 0 else f"EXPIRED {span(-left / 1e9)} ago"
    lines = [
        f"set {command.asset}.{command.tag} of {command.gateway} to {figure(command.value)} {contract.sign}".rstrip(),
        f"by {command.by}" + (f", because: {command.why}" if command.why else ""),
        f"under contract {contract.id} version {contract.version} ({contract.hash[:12]}), mode {contract.mode}",
        f"order {command.order}, given {utc(command.issued_ns)}, {until}",
    ]
    return [plain(line) for line in lines]


def figure(value: float) -> str:
    """With every digit: what is rounded here would be signed otherwise."""
    return repr(float(value)).removesuffix(".0")


def plain(text: str) -> str:
    """Without what a terminal obeys or reorders: a file from elsewhere must not show other words than it signs."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def utc(at_ns: int) -> str:
    """Whatever a file says, in words."""
    try:
        return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at_ns} ns"


def span(seconds: float) -> str:
    """ "90 s", "10 min", "36 h", "184 d": with no more than is needed to tell it from its neighbours."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s" if seconds < 1 else f"{seconds:.3g} s"


def _names(contract: SetpointContract, what: str) -> str:
    return listed([person.name for person in contract.person if what in person.may])


def listed(names: Sequence[str], word: str = "or") -> str:
    """ "ada, bob or carol"."""
    return f" {word} ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def _approving(contract: SetpointContract) -> str:
    if contract.mode is not Mode.APPROVE:
        return _MODES[contract.mode]
    many = "approval" if contract.approvals == 1 else "approvals"
    return f"written after {contract.approvals} {many} by {_names(contract, 'approve')}, never by whoever gave it"


def _settles(contract: SetpointContract) -> str:
    return f" in {span(contract.settle_s)}"


def _regret(one: Regret) -> str:
    return f"{one.tag} goes {one.worse} by {figure(one.percent)} % (mean of {span(one.over_s)})"

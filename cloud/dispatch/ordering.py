"""What people do with commands: drafted, signed by whoever gives it, approved by others, perhaps withdrawn.

The cloud gives the order and keeps the signatures; it makes none. What no gateway would take is refused here already,
in the same words, since it is checked by the same rules. The gateway checks all of it again: it trusts nobody here.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from cloud.dispatch import said
from cloud.dispatch.signatures import is_signed
from cloud.store.commands import Commands, Ordered
from cloud.store.documents import Offered
from edge.contract.commands import Command, order_after
from edge.contract.downlink import COMMANDS_MAX, SIGNED_MAX
from edge.contract.setpoint import SetpointContract, parse_contract
from edge.contract.setpoint_words import figure
from edge.contract.signers import FalseCommandError, Signers, signers_of, why_not_under
from edge.errors import ConfigError

_WITHDRAWN = "withdrawn"
CONTRACTS_REMEMBERED, COMMANDS_REMEMBERED = 256, 1024
"""Pages show them again with every block that comes in."""


def draft(
    commands: Commands, gateway: str, contract: str, value: float, *, by: str, why: str, expires_s: float, now_ns: int
) -> Command:
    """A command without signatures, with the next order of ``gateway``; ``contract`` is an id or begins a hash.

    Raises ``ConfigError`` for what the contract could never allow, or where ``by`` may give no commands under it.
    """
    by, why = said.by(by), said.why(why)
    found = parsed(_contract_by_name(commands, gateway, contract))
    givers = [person.name for person in found.person if "command" in person.may]
    if by not in givers:
        raise ConfigError("--by", f"{by!r} may not give commands under {found.id}", f"who may: {', '.join(givers)}")
    if not math.isfinite(value):
        raise ConfigError(found.id, f"{value} is outside {found.low:g} to {found.high:g}", "name a number")
    with commands.changing():
        command = Command(
            gateway, order_after(commands.last_order(gateway), now_ns), found.hash, found.asset, found.tag,
            float(value), now_ns, now_ns + round(expires_s * 1e9), by, why,
        )  # fmt: skip
        _check_under(command, found)
        commands.draft(command)
        commands.write(gateway, now_ns, f"drafted: {_words(command, found)}", command.id, by, why)
    return command


def name_of(commands: Commands, gateway: str, contract: str, key: str) -> str:
    """Who has the key with this fingerprint, by the contract. Raises ``ConfigError``."""
    found = parsed(_contract_by_name(commands, gateway, contract))
    person = found.person_of(key)
    if person is None:
        known = ", ".join(f"{one.name} ({one.fingerprint})" for one in found.person)
        raise ConfigError(found.id, f"knows no key {key}", f"its people: {known}")
    return person.name


def submit(commands: Commands, command: Command, *, now_ns: int) -> Ordered:
    """Take the signatures that ``command`` bears: the giver's lets it go down, others approve.

    The same signatures again change nothing. Raises ``ConfigError`` for what the gateway would refuse.
    """
    with commands.changing():
        held = one(commands, command.id)
        contract = parsed(_offered(commands, held.command))
        known = {signed.key for signed in held.command.signed}
        new = [signed for signed in command.signed if signed.key not in known]
        whole = replace(held.command, signed=(*held.command.signed, *new))
        if not new:
            return held
        _check(held, whole, contract, now_ns)
        found = _signers(whole, contract)
        if not held.submitted_ns:
            _check_room(commands, command)
            commands.submit(command.id, now_ns)
        names = {person.fingerprint: person.name for person in (found.giver, *found.approvers)}
        for signed in new:
            commands.sign(command.id, signed)
            what = "approved" if signed.key != found.giver.fingerprint else "submitted"
            commands.write(command.gateway, now_ns, what, command.id, names[signed.key], command.why)
    return one(commands, command.id)


def withdraw(commands: Commands, name: str, *, by: str, why: str, now_ns: int) -> Ordered:
    """Nobody wants it any more. What never went down never will; else its gateway says whether it was in time."""
    by, why, held = said.by(by), said.why(why), one(commands, name)
    if held.ended or held.withdrawn_ns:
        return held
    command = held.command
    with commands.changing():
        # Whether it went down is looked up here: from now on it does not.
        held = one(commands, command.id)
        commands.withdraw(command.id, now_ns, by, why)
        if not held.served_ns:
            commands.end(command.id, _WITHDRAWN)
        commands.write(command.gateway, now_ns, _WITHDRAWN, command.id, by, why)
    return one(commands, command.id)


def one(commands: Commands, name: str) -> Ordered:
    """The command whose id is ``name`` or begins so. Raises ``ConfigError``."""
    found = commands.get(name) if len(name) >= 4 else []
    if len(found) != 1:
        problem = "begins more than one id" if found else "is no command"
        raise ConfigError(name[:64], problem, "`babbitt cloud command list` shows them; four digits at least")
    return found[0]


def parsed(offered: Offered) -> SetpointContract:
    return _parsed(offered.text)


@lru_cache(CONTRACTS_REMEMBERED)
def _parsed(text: str) -> SetpointContract:
    return parse_contract(text.encode(), where="contract")


@lru_cache(COMMANDS_REMEMBERED)
def signers(command: Command, contract: str) -> Signers | None:
    """Who signed, by the text of its contract; None where nobody did, or not as it should be."""
    try:
        return signers_of(command, _parsed(contract), is_signed)
    except FalseCommandError:
        return None


def _contract_by_name(commands: Commands, gateway: str, name: str) -> Offered:
    """The highest version of the contract with this id, or the one whose hash begins so; not withdrawn."""
    held = commands.documents.contracts(gateway)
    found = [offered for offered in held if offered.id == name or (len(name) >= 4 and offered.hash.startswith(name))]
    newest = max(found, key=lambda offered: offered.version, default=None)
    if newest is None or newest.withdrawn_ns:
        known = sorted({offered.id for offered in held if not offered.withdrawn_ns})
        hint = f"offered: {', '.join(known) or 'none; see `babbitt cloud contract offer`'}"
        raise ConfigError(gateway, f"no contract {name!r} is offered to it", hint)
    return newest


def _offered(commands: Commands, command: Command) -> Offered:
    found = commands.documents.contract(command.contract)
    if not found or found[0].withdrawn_ns:
        raise ConfigError(_short(command), "its contract is withdrawn", "draft it anew under one that holds")
    return found[0]


def _signers(command: Command, contract: SetpointContract) -> Signers:
    try:
        return signers_of(command, contract, is_signed)
    except FalseCommandError as error:
        raise ConfigError(_short(command), str(error), "sign the draft as it is, with a key of the contract") from error


def _check_under(command: Command, contract: SetpointContract) -> None:
    if words := why_not_under(command, contract):
        raise ConfigError(_short(command), words, "the gateway would refuse it")


def _check(held: Ordered, whole: Command, contract: SetpointContract, now_ns: int) -> None:
    """Whether more signatures make sense."""
    _check_under(whole, contract)
    if len(whole.signed) > SIGNED_MAX:
        raise ConfigError(_short(whole), f"has {len(held.command.signed)} signatures already", "that is enough")
    if held.ended or held.withdrawn_ns:
        raise ConfigError(_short(held.command), f"it is {held.ended or _WITHDRAWN}", "draft it anew")
    if now_ns >= held.command.expires_ns:
        raise ConfigError(_short(held.command), "it has expired", "draft it anew")


def _check_room(commands: Commands, command: Command) -> None:
    if command.order <= commands.last_submitted(command.gateway):
        problem = "a command that was drafted later was submitted before it"
        raise ConfigError(_short(command), problem, "draft it anew: a gateway takes them in their order alone")
    if len(commands.under_way(command.gateway)) >= COMMANDS_MAX:
        hint = "wait until it answers, or withdraw some"
        raise ConfigError(command.gateway, f"{COMMANDS_MAX} commands wait for it already", hint)


def _words(command: Command, contract: SetpointContract) -> str:
    return f"{command.tag} of {command.asset} to {figure(command.value)} {contract.sign}".strip()


def _short(command: Command) -> str:
    return f"command {command.id[:12]}"

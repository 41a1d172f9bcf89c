"""How contracts, commands and configurations stand, in words: pure. What their gateway has not told is not done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from cloud.dispatch.ordering import parsed, signers
from cloud.store.commands import Ordered
from cloud.store.documents import Configured, Offered
from edge.contract.commands import CommandStep, Outcome
from edge.contract.setpoint import SetpointContract
from edge.contract.setpoint_words import contract_words, listed

WAITING = "waiting for the gateway"


@dataclass(frozen=True, slots=True)
class Standing:
    """``state`` in a word or two, ``words`` say more; ``is_final``: nothing follows."""

    state: str
    words: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command as people see it. ``signed`` are names, the giver's first; ``missing`` says who is still to sign."""

    id: str
    gateway: str
    asset: str
    tag: str
    unit: str
    value: float
    order: int
    contract: str
    contract_id: str
    mode: str
    by: str
    why: str
    issued_ns: int
    expires_ns: int
    standing: Standing
    signed: tuple[str, ...]
    missing: str
    steps: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract as people see it; ``words`` are what it says."""

    hash: str
    id: str
    version: int
    gateway: str
    asset: str
    tag: str
    mode: str
    words: tuple[str, ...]
    by: str
    why: str
    at_ns: int
    expires_ns: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class ConfigurationView:
    """A configuration as people see it, without its text; ``key`` is the fingerprint of whoever signed it."""

    id: str
    gateway: str
    number: int
    by: str
    why: str
    issued_ns: int
    expires_ns: int
    key: str
    standing: Standing


def command_view(held: Ordered, offered: Offered | None, outcomes: Sequence[Outcome], now_ns: int) -> CommandView:
    command = held.command
    contract = parsed(offered) if offered is not None else None
    standing = _of_command(held, outcomes, now_ns)
    signed, missing = _signatures(held, offered)
    return CommandView(
        command.id, command.gateway, command.asset, command.tag, contract.sign if contract else "", command.value,
        command.order, command.contract, offered.id if offered else "", str(contract.mode) if contract else "",
        command.by, command.why, command.issued_ns, command.expires_ns, standing, signed,
        "" if standing.is_final else missing, tuple(outcomes),
    )  # fmt: skip


def contract_view(offered: Offered, outcomes: Sequence[Outcome], now_ns: int, *, newest: int) -> ContractView:
    """``newest`` is the highest version of it that was ever offered."""
    contract = parsed(offered)
    standing = _of_contract(offered, contract, outcomes, now_ns)
    if newest > offered.version and not offered.withdrawn_ns:
        standing = Standing("superseded", f"by version {newest}", True)
    return ContractView(
        offered.hash, offered.id, offered.version, offered.gateway, contract.asset, contract.tag, str(contract.mode),
        tuple(contract_words(contract)[1:]), offered.by, offered.why, offered.at_ns, contract.expires_ns,
        standing,
    )  # fmt: skip


def configuration_view(
    held: Configured, outcomes: Sequence[Outcome], now_ns: int, *, is_newest: bool
) -> ConfigurationView:  # fmt: skip
    one = held.configuration
    return ConfigurationView(
        one.id, one.gateway, one.number, one.by, one.why, one.issued_ns, one.expires_ns, one.key,
        _of_configuration(held, outcomes, now_ns, is_newest=is_newest),
    )  # fmt: skip


def _of_command(held: Ordered, outcomes: Sequence[Outcome], now_ns: int) -> Standing:
    command = held.command
    if held.withdrawn_ns and not held.served_ns and not outcomes:
        return Standing("withdrawn", f"by {held.withdrawn_by}, before it went down: {held.withdrawn_why}", True)
    if not held.submitted_ns:
        is_late = now_ns >= command.expires_ns
        words = "it expired before anybody signed it" if is_late else f"{command.by} is to sign it"
        return Standing("draft", words, is_late)
    if outcomes:
        told = _told(outcomes[-1])
        if held.withdrawn_ns and not told.is_final:
            return Standing(told.state, f"{told.words}; {held.withdrawn_by} has asked to withdraw it")
        return told
    if held.withdrawn_ns:
        return Standing(WAITING, f"{held.withdrawn_by} has asked to withdraw it; it went down before")
    late = "; it has expired, and will be refused" if now_ns >= command.expires_ns else ""
    if held.served_ns:
        return Standing(WAITING, f"it went down at {_moment(held.served_ns)}, and nothing was told of it yet{late}")
    return Standing(WAITING, f"it goes down when the gateway asks next{late}")


def _of_configuration(held: Configured, outcomes: Sequence[Outcome], now_ns: int, *, is_newest: bool) -> Standing:
    if outcomes:
        return _told(outcomes[-1])
    if not is_newest:
        return Standing("superseded", "a later one was offered, and of this one nothing was told", True)
    late = "; it has expired, and will be refused" if now_ns >= held.configuration.expires_ns else ""
    return Standing(WAITING, f"it goes down when the gateway asks next{late}")


def _of_contract(
    offered: Offered, contract: SetpointContract, outcomes: Sequence[Outcome], now_ns: int
) -> Standing:  # fmt: skip
    last = outcomes[-1] if outcomes else None
    if offered.withdrawn_ns:
        by = f"by {offered.withdrawn_by}: {offered.withdrawn_why}"
        if last is not None and last.step == CommandStep.WITHDRAWN:
            return Standing("withdrawn", by, True)
        return Standing(WAITING, f"withdrawn {by}; the gateway has not told that it knows")
    if last is None:
        return Standing(WAITING, "it goes down when the gateway asks next")
    if now_ns >= contract.expires_ns:
        return Standing("expired", f"at {_moment(contract.expires_ns)}", True)
    return Standing(str(last.step), last.words, last.step.is_end)


def _told(last: Outcome) -> Standing:
    return Standing(str(last.step), last.words, last.step.is_end)


def _signatures(held: Ordered, offered: Offered | None) -> tuple[tuple[str, ...], str]:
    """Who signed, and who is still to."""
    found = signers(held.command, offered.text) if offered is not None else None
    if offered is None or found is None:
        return (), f"the signature of {held.command.by}" if not held.command.signed else ""
    names = (found.giver.name, *(person.name for person in found.approvers))
    if not found.missing:
        return names, ""
    left = [p.name for p in parsed(offered).person if "approve" in p.may and p.name not in names]
    more = "approval" if found.missing == 1 else "approvals"
    return names, f"{found.missing} more {more}, of {listed(left)}"


def _moment(at_ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"

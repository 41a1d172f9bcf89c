"""Commands, contracts and configurations as tables for people, in lines that show nothing but what was said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cloud.dispatch.standing import CommandView, ConfigurationView, ContractView
from cloud.store.commands import Line
from edge.contract.commands import Outcome
from edge.contract.setpoint_words import figure, plain


def commands(found: Sequence[CommandView]) -> list[str]:
    if not found:
        return ["no command was drafted; see `babbitt cloud command draft --help`"]
    lines = [f"{'ID':14}{'ORDER':>14}  {'MACHINE':28}{'WANTED':34}{'STATE':26}{'EXPIRES (UTC)':18}BY"]
    for one in found:
        lines.append(
            f"{one.id[:12]:14}{one.order:>14}  {_machine(one):28}{_wanted(one):34}{one.standing.state:26}"
            f"{_time(one.expires_ns):18}{one.by}"
        )
        lines += [f"{'':30}{words}" for words in (one.why, one.standing.words, _missing(one)) if words]
    return [plain(line) for line in lines]


def command(one: CommandView, history: Sequence[Line]) -> list[str]:
    """One with all that was done to it here, and all that its gateway told."""
    lines = [
        f"command {one.id}",
        f"  {_machine(one)}: {_wanted(one)}, order {one.order}",
        f"  under contract {one.contract_id} ({one.contract[:12]}), mode {one.mode}",
        f"  by {one.by}: {one.why}",
        f"  given {_time(one.issued_ns)}, expires {_time(one.expires_ns)} UTC",
        f"  signed by {', '.join(one.signed) or 'nobody'}{'; missing: ' + one.missing if one.missing else ''}",
        f"  {one.standing.state}: {one.standing.words}",
        "here:",
        *(f"  {_second(line.at_ns)}  {line.what} by {line.by}" for line in reversed(history)),
        "its gateway told:" if one.steps else "its gateway has told nothing of it",
        *(f"  {step(told)}" for told in one.steps),
    ]
    return [plain(line) for line in lines]


def step(told: Outcome) -> str:
    """One step of the audit, in a line."""
    read = [
        f"{name} {value:.9g}"
        for name, value in (("wanted", told.value), ("before", told.before), ("read back", told.read_back))
        if value is not None
    ]
    figures = f" ({', '.join(read)})" if read else ""
    return f"{_second(told.at_ns)}  {told.number or '-':>6}  {told.step:12}{told.by:14}{told.words}{figures}"


def contracts(found: Sequence[ContractView]) -> list[str]:
    if not found:
        return ["no contract is offered; see `babbitt cloud contract offer --help`"]
    lines = [f"{'HASH':14}{'CONTRACT':24}{'V':>3}  {'MACHINE':28}{'MODE':10}{'STATE':26}{'EXPIRES (UTC)':18}BY"]
    for one in found:
        lines.append(
            f"{one.hash[:12]:14}{one.id:24}{one.version:>3}  {f'{one.gateway}/{one.asset}':28}{one.mode:10}"
            f"{one.standing.state:26}{_time(one.expires_ns):18}{one.by}"
        )
        lines += [f"{'':19}{words}" for words in (*one.words, one.why, one.standing.words) if words]
    return [plain(line) for line in lines]


def configurations(found: Sequence[ConfigurationView]) -> list[str]:
    if not found:
        return ["no configuration was offered; see `babbitt cloud configuration draft --help`"]
    lines = [f"{'ID':14}{'GATEWAY':24}{'NO':>3}  {'STATE':26}{'EXPIRES (UTC)':18}{'SIGNED BY':18}BY"]
    for one in found:
        lines.append(
            f"{one.id[:12]:14}{one.gateway:24}{one.number:>3}  {one.standing.state:26}"
            f"{_time(one.expires_ns):18}{one.key:18}{one.by}"
        )
        lines += [f"{'':19}{words}" for words in (one.why, one.standing.words) if words]
    return [plain(line) for line in lines]


def _machine(one: CommandView) -> str:
    return f"{one.gateway}/{one.asset}"


def _wanted(one: CommandView) -> str:
    return f"{one.tag} = {figure(one.value)} {one.unit}".strip()


def _missing(one: CommandView) -> str:
    return f"missing: {one.missing}" if one.missing else ""


def _time(at_ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC):%Y-%m-%d %H:%M}"


def _second(at_ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S}"

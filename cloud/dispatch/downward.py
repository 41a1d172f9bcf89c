"""What goes down to a gateway beside bundles: contracts, commands, a configuration, what people acknowledged.

What has come to its end, by the gateway's own word, is left out from then on; an expired command is not, since it is
the gateway that refuses it. Before a command goes down it is written down that it does.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from cloud.store.commands import Commands
from cloud.store.documents import Offered
from cloud.store.reader import Reader
from cloud.store.rollouts import Rollouts
from edge.contract.commands import Command, CommandStep, Outcome
from edge.contract.downlink import (
    ACKNOWLEDGED_MAX,
    COMMANDS_MAX,
    CONTRACTS_MAX,
    Acknowledged,
    Configuration,
    ContractDocument,
    WithdrawnCommand,
    WithdrawnContract,
)
from edge.contract.types import Alarm

ACKNOWLEDGED_FOR_NS = 7 * 86_400 * 10**9
"""Whoever acknowledged an alarm a week ago has not seen how it is now."""
LOOK_S = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Down:
    """As the fields of ``Desired``."""

    commands: tuple[Command, ...] = ()
    withdrawn_commands: tuple[WithdrawnCommand, ...] = ()
    contracts: tuple[ContractDocument, ...] = ()
    withdrawn_contracts: tuple[WithdrawnContract, ...] = ()
    configuration: Configuration | None = None
    acknowledged: tuple[Acknowledged, ...] = ()


def down(gateway: str, commands: Commands, reader: Reader, now_ns: int) -> Down:
    """What ``gateway`` is to have now; its commands are on their way from here on. Raises ``StoreError``."""
    with commands.changing():
        return Down(
            *_commands(gateway, commands, reader, now_ns),
            *_contracts(gateway, commands, reader),
            _configuration(gateway, commands, reader),
            _acknowledged(gateway, commands, reader, now_ns),
        )


def end_of(outcomes: list[Outcome]) -> str:
    """The last step where none follows it, else empty."""
    return str(outcomes[-1].step) if outcomes and outcomes[-1].step.is_end else ""


def _commands(
    gateway: str, commands: Commands, reader: Reader, now_ns: int
) -> tuple[tuple[Command, ...], tuple[WithdrawnCommand, ...]]:
    wanted, withdrawn = [], []
    for one in commands.under_way(gateway):
        command = one.command
        if end := end_of(reader.outcomes_of(command.id, gateway)):
            commands.end(command.id, end)
        elif one.withdrawn_ns:
            withdrawn.append(WithdrawnCommand(command, one.withdrawn_by, one.withdrawn_why))
        else:
            wanted.append(one)
    wanted = wanted[:COMMANDS_MAX]
    commands.serve([one.command.id for one in wanted if not one.served_ns], now_ns)
    return tuple(one.command for one in wanted), tuple(withdrawn[:COMMANDS_MAX])


def _contracts(
    gateway: str, commands: Commands, reader: Reader
) -> tuple[tuple[ContractDocument, ...], tuple[WithdrawnContract, ...]]:
    """Of each contract the highest version; none where that is withdrawn: the one before it is gone for good.

    Of what is withdrawn, first what the gateway has not told to know yet, then the newest: it may have forgotten.
    """
    offered = commands.documents.contracts(gateway)

    def is_known(one: Offered) -> bool:
        told = reader.outcomes_of_contract(one.hash, gateway)
        return bool(told) and told[-1].step is CommandStep.WITHDRAWN

    highest: dict[str, Offered] = {}
    for one in sorted(offered, key=lambda one: one.version):
        highest[one.id] = one
    held = [one for one in highest.values() if not one.withdrawn_ns]
    gone = sorted((one for one in offered if one.withdrawn_ns), key=lambda one: -one.withdrawn_ns)
    if len(gone) > CONTRACTS_MAX:
        gone.sort(key=is_known)
    return (
        tuple(ContractDocument(one.id, one.text, one.signature) for one in held[:CONTRACTS_MAX]),
        tuple(WithdrawnContract(one.hash, one.withdrawn_by, one.withdrawn_why) for one in gone[:CONTRACTS_MAX]),
    )


def _configuration(gateway: str, commands: Commands, reader: Reader) -> Configuration | None:
    """The newest, until its gateway has told how it ended."""
    newest = commands.documents.configurations(gateway, limit=1)
    if not newest or newest[0].ended:
        return None
    one = newest[0].configuration
    if end := end_of(reader.outcomes_of(one.id, gateway)):
        commands.documents.end(one.id, end)
        return None
    return one


def _acknowledged(gateway: str, commands: Commands, reader: Reader, now_ns: int) -> tuple[Acknowledged, ...]:
    """What somebody acknowledged of alarms that still wait for it, by their gateway's own word."""
    waits: list[Acknowledged] = []
    for seen in commands.documents.acknowledged(gateway):
        if now_ns - seen.at_ns < ACKNOWLEDGED_FOR_NS and awaits(reader, gateway, seen):
            waits.append(seen)
        else:
            commands.documents.drop(gateway, seen)
    return tuple(waits[:ACKNOWLEDGED_MAX])


def awaits(reader: Reader, gateway: str, seen: Acknowledged) -> bool:
    """Whether the very raising of the alarm that was acknowledged, or reset, is not so yet, by its gateway's word."""
    return awaited(reader, gateway, seen) is not None


def awaited(reader: Reader, gateway: str, seen: Acknowledged) -> Alarm | None:
    """The alarm that was acknowledged, or reset, while it is not so yet and has called for nothing since."""
    row = reader.asset(gateway, seen.asset)
    standing = reader.standing(row.id) if row is not None else []
    return next((alarm for _, alarm in standing if seen.is_awaited(alarm)), None)


class Issued:
    """When anything was decided last about each gateway: asked with every block that comes in, so it is in memory.

    ``refresh`` looks at the files, which any process may have changed, and costs next to nothing where none did.
    """

    def __init__(self, rollouts: Rollouts, commands: Commands) -> None:
        self._rollouts, self._commands = rollouts, commands
        self._stamp: object = None
        self._all, self._by_gateway = 0, dict[str, int]()

    def refresh(self) -> None:
        stamp = (self._rollouts.stamp(), self._commands.stamp())
        if stamp != self._stamp:
            self._all, self._by_gateway = self._rollouts.changed_ns(), self._commands.changed()
            self._stamp = stamp

    async def run(self, *, every_s: float = LOOK_S) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(every_s)

    def of(self, gateway: str) -> int:
        return max(self._all, self._by_gateway.get(gateway, 0))

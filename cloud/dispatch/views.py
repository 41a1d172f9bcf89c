"""How all stands that people want of machines: for the command line, the API and the pages, from the two files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from cloud.dispatch.ordering import one
from cloud.dispatch.standing import (
    CommandView,
    ConfigurationView,
    ContractView,
    command_view,
    configuration_view,
    contract_view,
)
from cloud.store.commands import Commands, Ordered
from cloud.store.documents import Offered
from cloud.store.reader import Reader
from edge.contract.commands import CommandStep, Outcome

STEPS_SHOWN, COMMANDS_SHOWN, COMMANDS_LOOKED_AT = 12, 3, 24


@dataclass(frozen=True, slots=True)
class Setpoints:
    """Of one machine: contracts that hold or wait to, commands that wait, the last that are done, the last steps."""

    contracts: tuple[ContractView, ...] = ()
    waiting: tuple[CommandView, ...] = ()
    done: tuple[CommandView, ...] = ()
    steps: tuple[Outcome, ...] = ()


class Views:
    """May be asked from any thread."""

    def __init__(self, commands: Commands, reader: Reader, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._commands, self._reader, self._now_ns = commands, reader, now_ns

    def commands(
        self, gateway: str | None = None, asset: str | None = None, *, limit: int = 50
    ) -> list[CommandView]:  # fmt: skip
        """The newest first, drafts too."""
        return [self._command(held) for held in self._commands.all(gateway, asset, limit=limit)]

    def command(self, name: str) -> CommandView:
        """Raises ``ConfigError`` where there is none, or more than one."""
        return self._command(one(self._commands, name))

    def contracts(self, gateway: str | None = None, asset: str | None = None) -> list[ContractView]:
        """The newest first, also those that were withdrawn."""
        every = self._commands.documents.contracts(gateway)
        newest: dict[tuple[str, str], int] = {}
        for offered in every:
            key = (offered.gateway, offered.id)
            newest[key] = max(newest.get(key, 0), offered.version)
        found = (self._contract(offered, newest[offered.gateway, offered.id]) for offered in every)
        return [view for view in found if asset in (None, view.asset)]

    def of_asset(self, gateway: str, asset: str) -> Setpoints:
        """What a machine's page shows."""
        row = self._reader.asset(gateway, asset)
        steps = self._reader.outcomes(row.id, limit=STEPS_SHOWN) if row is not None else []
        commands = self.commands(gateway, asset, limit=COMMANDS_LOOKED_AT)
        done = [one for one in commands if one.standing.is_final][:COMMANDS_SHOWN]
        # One that its gateway refused is shown with its reason until a higher version takes its place.
        contracts = [
            one
            for one in self.contracts(gateway, asset)
            if not one.standing.is_final or one.standing.state == CommandStep.REFUSED
        ]
        return Setpoints(
            tuple(contracts), tuple(one for one in commands if not one.standing.is_final), tuple(done), tuple(steps)
        )

    def configurations(self, gateway: str | None = None, *, limit: int = 50) -> list[ConfigurationView]:
        """The newest first."""
        found, seen = [], set[str]()
        for held in self._commands.documents.configurations(gateway, limit=limit):
            owner, name = held.configuration.gateway, held.configuration.id
            outcomes = self._reader.outcomes_of(name, owner)
            found.append(configuration_view(held, outcomes, self._now_ns(), is_newest=owner not in seen))
            seen.add(owner)
        return found

    def _command(self, held: Ordered) -> CommandView:
        command = held.command
        offered: list[Offered] = self._commands.documents.contract(command.contract)
        outcomes = self._reader.outcomes_of(command.id, command.gateway)
        return command_view(held, offered[0] if offered else None, outcomes, self._now_ns())

    def _contract(self, offered: Offered, newest: int) -> ContractView:
        outcomes = self._reader.outcomes_of_contract(offered.hash, offered.gateway)
        return contract_view(offered, outcomes, self._now_ns(), newest=newest)


def plain(view: CommandView | ContractView | ConfigurationView) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(view)

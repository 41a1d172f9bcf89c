"""Each step with a command as an ``Outcome``, with what the room remembers of it changed in the same breath."""

from __future__ import annotations

import re
from collections.abc import Iterable

from edge.command.audit import Audit
from edge.command.contracts import Contracts, terms_of
from edge.command.past import Ended, Past
from edge.command.state import DECIDED_MAX, Run, Waiting
from edge.contract.commands import Command, CommandStep, Outcome
from edge.contract.signers import Signers
from edge.ports import Clock

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_STRANGE = "unknown"
_ORDER_TOLD_MAX = 2**62
"""An audit tells no higher one; none that counts comes near it."""


class Teller:
    """Belongs to the event loop."""

    def __init__(self, audit: Audit, contracts: Contracts, past: Past, clock: Clock, assets: set[str]) -> None:
        self._audit, self._contracts, self._past = audit, contracts, past
        self._clock, self.assets = clock, assets
        self._said: dict[str, str] = {}

    def said(self, command: str) -> str:
        """Why the command with this id came to what became of it, empty where that is not remembered."""
        return self._said.get(command) or self._past.words(command)

    def note(self, command: str, words: str) -> None:
        self._said.pop(command, None)
        self._said[command] = words
        while len(self._said) > DECIDED_MAX:
            self._said.pop(next(iter(self._said)))

    def outcome(
        self, command: Command, step: CommandStep, words: str, *, by: str, value: float | None = None,
        before: float | None = None, read_back: float | None = None,
    ) -> Outcome:  # fmt: skip
        """``value`` is the command's where none is given."""
        known = command.asset in self.assets
        return Outcome(
            asset=command.asset if known else _STRANGE, at_ns=self._clock.wall_ns(), command=command.id,
            order=min(command.order, _ORDER_TOLD_MAX), contract=command.contract,
            tag=command.tag if _NAME.fullmatch(command.tag) else _STRANGE, step=step,
            value=command.value if value is None else value, before=before, read_back=read_back, by=by, words=words,
        )  # fmt: skip

    def waits(self, waiting: Waiting, words: str, *, by: str) -> None:
        """Once for each reason."""
        if waiting.told != words:
            waiting.told = words
            self._audit.enter(self.outcome(waiting.command, CommandStep.WAITING, words, by=by))

    def end_waiting(
        self, waiting: Waiting, step: CommandStep, words: str, *, by: str = "gateway", before: float | None = None,
        read_back: float | None = None,
    ) -> None:  # fmt: skip
        kept = self._audit.kept
        kept.waiting = [one for one in kept.waiting if one is not waiting]
        outcome = self.outcome(waiting.command, step, words, by=by, before=before, read_back=read_back)
        self._end(waiting.command, outcome, waiting.giver, waiting.approvers, self.unit_of(waiting.command.contract))

    def end_run(self, run: Run, step: CommandStep, words: str, *, read_back: float | None) -> None:
        kept = self._audit.kept
        kept.runs = [one for one in kept.runs if one is not run]
        outcome = self.outcome(run.command, step, words, by="gateway", before=run.before, read_back=read_back)
        self._end(run.command, outcome, run.giver, run.approvers, terms_of(run.contract).unit)

    def refuse(self, command: Command, signers: Signers, outcome: Outcome) -> None:
        """One that never waited ends as ``outcome`` says."""
        approvers = [person.name for person in signers.approvers]
        self._end(command, outcome, signers.giver.name, approvers, self.unit_of(command.contract))

    def unit_of(self, contract: str) -> str:
        """Of the contract with this hash; empty where it is not in force."""
        found = self._contracts.of(contract)
        return found.unit if found is not None else ""

    def _end(self, command: Command, outcome: Outcome, giver: str, approvers: Iterable[str], unit: str) -> None:
        self._audit.kept.decide(command, outcome.step)
        self._past.add(Ended(
            id=command.id, order=command.order, contract=command.contract, asset=command.asset, tag=command.tag,
            value=command.value, unit=unit, why=command.why, by=giver, approvers=tuple(approvers),
            expires_ns=command.expires_ns, ended_ns=outcome.at_ns, step=str(outcome.step), words=outcome.words,
            before=outcome.before, read_back=outcome.read_back,
        ))  # fmt: skip
        self.note(command.id, outcome.words)
        self._audit.enter(outcome)

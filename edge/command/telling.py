"""Each step with a command as an ``Outcome``, with what the room remembers of it changed in the same breath."""

from __future__ import annotations

import re

from edge.command.audit import Audit
from edge.command.state import DECIDED_MAX, Run, Waiting
from edge.contract.commands import Command, CommandStep, Outcome
from edge.ports import Clock

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_STRANGE = "unknown"
_ORDER_TOLD_MAX = 2**62
"""An audit tells no higher one; none that counts comes near it."""


class Teller:
    """Belongs to the event loop."""

    def __init__(self, audit: Audit, clock: Clock, assets: set[str]) -> None:
        self._audit, self._clock, self.assets = audit, clock, assets
        self._said: dict[str, str] = {}

    def said(self, command: str) -> str:
        """Why the command with this id came to what became of it, empty where that is not remembered."""
        return self._said.get(command, "")

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
        kept.decide(waiting.command, step)
        self.note(waiting.id, words)
        self._audit.enter(self.outcome(waiting.command, step, words, by=by, before=before, read_back=read_back))

    def end_run(self, run: Run, step: CommandStep, words: str, *, read_back: float | None) -> None:
        kept = self._audit.kept
        kept.runs = [one for one in kept.runs if one is not run]
        kept.decide(run.command, step)
        self.note(run.id, words)
        self._audit.enter(
            self.outcome(run.command, step, words, by="gateway", before=run.before, read_back=read_back)
        )  # fmt: skip

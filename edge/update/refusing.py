"""A gateway that takes no commands says so: whoever sent one is not left waiting for an outcome that never comes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from edge.contract.commands import Command, CommandStep, Outcome
from edge.contract.downlink import ContractDocument, WithdrawnCommand, WithdrawnContract
from edge.ports import Clock
from edge.sparing import Sparing

WORDS = "this gateway takes no commands: its site file has no table [command]"
TOLD_MAX = 256
AT_ONCE, EVERY_S = 64, 60.0
"""So many are told at once, and then one in so long: nobody here can say who signed them."""
_TAG = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")


class Refusing:
    """The port ``Orders`` where nothing is ever written. Belongs to the event loop.

    Each command and contract is refused once in a run: the cloud asks no further once it has heard it.
    """

    def __init__(self, gateway: str, assets: Callable[[], Set[str]], enter: Callable[[Outcome], None], clock: Clock):
        self._gateway, self._assets, self._enter, self._clock = gateway, assets, enter, clock
        self._told: dict[str, None] = {}
        self._sparing = Sparing(AT_ONCE, EVERY_S)

    async def contracts(self, documents: Sequence[ContractDocument], withdrawn: Sequence[WithdrawnContract]) -> None:
        for document in documents:
            digest = hashlib.sha256(document.text.encode()).hexdigest()
            self._tell(digest, self._outcome("", 0, digest, self._gateway, "", None, CommandStep.REFUSED, WORDS))
        for one in withdrawn:
            self._tell(f"withdrawn {one.contract}", self._outcome(
                "", 0, one.contract, self._gateway, "", None, CommandStep.WITHDRAWN, f"{one.why}; {WORDS}"
            ))  # fmt: skip

    async def take(self, command: Command) -> None:
        late = self._clock.trusted() and self._clock.wall_ns() >= command.expires_ns
        step, words = (CommandStep.EXPIRED, "its time was over when it came") if late else (CommandStep.REFUSED, WORDS)
        self._of_command(command, step, words)

    async def withdraw(self, command: WithdrawnCommand) -> None:
        self._of_command(command.command, CommandStep.WITHDRAWN, command.why)

    def note(self, outcome: Outcome) -> None:
        self._enter(outcome)

    def _of_command(self, command: Command, step: CommandStep, words: str) -> None:
        asset = command.asset if command.asset in self._assets() else self._gateway
        tag = command.tag if _TAG.fullmatch(command.tag) else ""
        self._tell(command.id, self._outcome(
            command.id, command.order, command.contract, asset, tag, command.value, step, words
        ))  # fmt: skip

    def _tell(self, name: str, outcome: Outcome) -> None:
        if name in self._told or not self._sparing.takes(self._clock.mono_ns()):
            return
        self._told[name] = None
        while len(self._told) > TOLD_MAX:
            self._told.pop(next(iter(self._told)))
        self._enter(replace(outcome, words=outcome.words + self._sparing.words()))

    def _outcome(
        self, command: str, order: int, contract: str, asset: str, tag: str, value: float | None, step: CommandStep,
        words: str,
    ) -> Outcome:  # fmt: skip
        return Outcome(
            asset, self._clock.wall_ns(), command, order, contract, tag, step, value, None, None, "gateway", words
        )  # fmt: skip

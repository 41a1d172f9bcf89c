"""The gateway's audit: each outcome is numbered, chained and kept with all that the room remembers, in one commit.

So after a kill or a power cut at any instant the chain and what the room knows are of one moment. An outcome that must
be on the disk before anything follows it is waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from edge.command.state import packed, restored
from edge.contract.commands import CommandStep, Outcome
from edge.contract.seal import NUMBER_MAX, Link, genesis_of_audit
from edge.contract.types import Lane
from edge.ports import Clock, Journal
from edge.sparing import Sparing

NAME = "command"
WORDS_MAX = 300
LOST = (
    "the former store is lost, and with it what was decided, written and withdrawn before: this audit begins anew, and"
    " no command that was given before is taken up"
)
STRANGE_AT_ONCE, STRANGE_EVERY_S = 64, 60.0
"""What nobody signed is told so many times at once, and then once in so long: it fills neither audit nor disk."""


class Audit:
    """Belongs to the event loop. ``kept`` is what is remembered; whoever changes it then enters an outcome, or keeps.

    ``told`` is called with each outcome as it is entered; ``commit`` makes everything so far durable where it can, and
    then says whether what was kept under the name is.
    """

    def __init__(
        self, journal: Journal, gateway: str, *, clock: Clock, boot: str, commit: Callable[[str], Awaitable[bool]],
        told: Callable[[Outcome], None],
    ) -> None:  # fmt: skip
        self._journal, self._clock, self._commit, self._told = journal, clock, commit, told
        now_ns = clock.mono_ns()
        self.kept, link = restored(journal.kept(NAME), boot=boot, now_ns=now_ns, replaced=journal.replaced)
        self._link = link or Link(0, genesis_of_audit(gateway, journal.epoch))
        self._strangers = Sparing(STRANGE_AT_ONCE, STRANGE_EVERY_S)
        if link is None and self.kept.lost_ns is not None:
            self.enter(Outcome(
                asset="unknown", at_ns=clock.wall_ns(), command="", order=0, contract="", tag="", value=None,
                step=CommandStep.REFUSED, before=None, read_back=None, by="gateway", words=LOST,
            ))  # fmt: skip

    @property
    def end(self) -> Link:
        """The chain's newest end, which the cloud comes to as well."""
        return self._link

    def enter(self, outcome: Outcome) -> Outcome:
        """The outcome, numbered and sealed, as it goes to the journal."""
        if len(outcome.words) > WORDS_MAX:
            outcome = replace(outcome, words=outcome.words[: WORDS_MAX - 1] + "…")
        # Whoever sent what is refused may have given it any order; no receiver takes a block with such a one.
        made = self._link.sealed(replace(outcome, order=min(outcome.order, NUMBER_MAX)))
        self._link = self._link.after(made)
        self._journal.record(made, lane=Lane.URGENT, kept={NAME: self._state()})
        self._told(made)
        return made

    def hears_stranger(self) -> bool:
        """Whether what nobody signed may be told once more; whoever is told no tells and remembers nothing of it."""
        return self._strangers.takes(self._clock.mono_ns())

    def enter_strange(self, outcome: Outcome) -> Outcome:
        """As ``enter``, with how many that were like it were not told."""
        return self.enter(replace(outcome, words=outcome.words + self._strangers.words()))

    async def durably(self, outcome: Outcome) -> bool:
        """Enter it, and wait until it is on the disk; False where the disk does not take it."""
        self.enter(outcome)
        return await self._commit(NAME)

    def keep(self, *, clean: bool = False) -> None:
        """Have what is remembered kept without an outcome. ``clean``: none follows before the next start."""
        self.kept.clean = clean
        self._journal.keep(NAME, self._state())
        self.kept.clean = False

    def _state(self) -> bytes:
        self.kept.number, self.kept.seal = self._link.number, self._link.seal
        self.kept.mono_ns = self._clock.mono_ns()
        return packed(self.kept)

"""What the room remembers over restarts and power cuts, as JSON that is kept with each outcome in one commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Set

import msgspec

from edge.command.history import Change
from edge.contract.commands import Command
from edge.contract.seal import Link

DECIDED_MAX = 512
"""So many ends of commands are remembered, so that one that comes again is told what became of it."""
STRANGE_MAX = 256
"""So many messages that nobody signed are remembered, so that each is told once."""
CONTRACTS_MAX = 256
DIGITS = 16
"""Of a command's id: enough that no two of those remembered are alike."""

log = logging.getLogger("babbitt.command")


class Waiting(msgspec.Struct, kw_only=True):
    """A command that was taken and is not decided yet. ``told`` is what it was last said to wait for.

    ``advised``: it was shown to the operator, who alone acts. ``until_ns``: when it expires by the monotonic clock of
    ``Kept.boot``, as the wall clock said when it was last trusted.
    """

    id: str
    command: Command
    giver: str
    approvers: list[str] = []
    told: str = ""
    advised: bool = False
    until_ns: int | None = None

    def is_over(self, *, wall_ns: int, mono_ns: int, trusted: bool) -> bool:
        """Whether it has expired: by the wall clock where that is trusted, else by what has surely passed since."""
        if trusted:
            self.until_ns = mono_ns + self.command.expires_ns - wall_ns
        return self.until_ns is not None and mono_ns >= self.until_ns


class Run(msgspec.Struct, kw_only=True):
    """A command that is being carried out; ``contract`` is the text under which it was begun.

    ``stage``: ``writing`` until it is read back, ``watching``, then ``back`` while the value ``before`` is being put
    back, as ``why`` says. ``means`` are those of the regretted figures before the write. ``where`` is the register that
    was written to; empty in what was kept before there was such a word.
    """

    id: str
    command: Command
    contract: str
    giver: str
    approvers: list[str] = []
    value: float
    before: float
    stage: str = "writing"
    why: str = ""
    means: list[float | None] = []
    where: str = ""


class Kept(msgspec.Struct, kw_only=True):
    """Everything since ``since_ns``, by the wall clock; 0 until that is trusted.

    ``number`` and ``seal`` are the audit's end, ``clean`` whether no outcome can have followed it. ``order`` is the
    highest order of a command that counted. ``decided``: end and order of each command, by the first digits of its id;
    of those with an order up to ``floor`` some are forgotten. ``strange`` are messages that nobody signed. ``changes``
    are the writes by ``asset.tag``, timed by the monotonic clock of ``boot``; ``carried`` the highest order that was
    carried out there. ``versions``: of each contract's id the highest version and its hash. ``contracts``: what became
    of each contract, by its hash; ``withdrawn`` are never taken again. ``mono_ns`` is when this was kept, by the clock
    of ``boot``. ``lost_ns`` is when, by that clock, it was found that what a former run kept is lost; None where
    nothing is known to be.
    """

    clean: bool = False
    since_ns: int = 0
    number: int = 0
    seal: str = ""
    boot: str = ""
    mono_ns: int = 0
    lost_ns: int | None = None
    order: int = 0
    floor: int = -1
    decided: dict[str, tuple[str, int]] = {}
    strange: list[str] = []
    waiting: list[Waiting] = []
    runs: list[Run] = []
    changes: dict[str, list[Change]] = {}
    carried: dict[str, int] = {}
    versions: dict[str, tuple[int, str]] = {}
    contracts: dict[str, str] = {}
    withdrawn: list[str] = []

    def decide(self, command: Command, step: str, *, signed: bool = True) -> None:
        """Remember an end. The oldest are forgotten first, and then no command of their order or below is taken up.

        ``signed``: somebody who may vouches for its order.
        """
        self.decided[command.id[:DIGITS]] = step, command.order if signed else min(command.order, self.order)
        while len(self.decided) > DECIDED_MAX:
            # One above the highest order would be taken up, were it forgotten.
            known = (one for one, (_, order) in self.decided.items() if order <= self.order)
            _, order = self.decided.pop(next(known, next(iter(self.decided))))
            self.floor = max(self.floor, min(order, self.order))

    def end_of(self, command: Command) -> str:
        """How it ended, empty where that is not remembered."""
        return self.decided.get(command.id[:DIGITS], ("", 0))[0]

    def withdraw(self, digest: str, was_here: Set[str]) -> None:
        """Never take this contract again. Others that never were here are forgotten first: anybody can name such."""
        self.withdrawn = [*self.withdrawn, digest]
        while len(self.withdrawn) > CONTRACTS_MAX:
            oldest = next((one for one in self.withdrawn if one not in was_here), self.withdrawn[0])
            self.withdrawn.remove(oldest)

    def note_contract(self, digest: str, step: str) -> None:
        self.contracts.pop(digest, None)
        self.contracts[digest] = step
        while len(self.contracts) > CONTRACTS_MAX:
            self.contracts.pop(next(iter(self.contracts)))


def packed(kept: Kept) -> bytes:
    return msgspec.json.encode(kept)


def restored(data: bytes | None, *, boot: str, now_ns: int, replaced: bool) -> tuple[Kept, Link | None]:
    """What a former run kept, with the audit's end to go on from; nothing, and None, where it kept nothing readable.

    Its monotonic times mean nothing in another boot: then every write counts as made just now, which can only let the
    next one wait for longer than it must. Of what waits, the time since this boot began has passed at the least; how
    long the machine was off, and what passed before that since the last step was kept, nobody knows.
    """
    if data is None:
        return Kept(boot=boot, lost_ns=now_ns if replaced else None), None
    try:
        kept = msgspec.json.decode(data, type=Kept)
    except (msgspec.MsgspecError, ValueError) as error:
        log.error("what was decided before is not known any more, no former command is taken up: %s", error)
        return Kept(boot=boot, lost_ns=now_ns), None
    if kept.boot != boot:
        kept.lost_ns = now_ns if kept.lost_ns is not None else None
        kept.changes = {place: _just_now(changes, now_ns) for place, changes in kept.changes.items()}
        for waiting in kept.waiting:
            if waiting.until_ns is not None:
                waiting.until_ns = max(waiting.until_ns - kept.mono_ns, 0)
        kept.boot = boot
    link = Link.resumed([kept.number, kept.seal], clean=kept.clean) if kept.seal else None
    kept.clean = False
    return kept, link


def _just_now(changes: Iterable[Change], now_ns: int) -> list[Change]:
    return [Change(now_ns, change.by) for change in changes]

"""One asset's chain of sealed verdicts as it arrived: whether every link holds, and what broke where it does not.

Verdicts come in the order in which the gateway made them. A break is never silent: either the gateway declared it (it
ended without warning, or gave blocks up), or the policy of retention took the blocks, or something is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cloud.store.sequence import Hole
from edge.contract.seal import Link, genesis
from edge.contract.types import Verdict

BREAKS_MAX = 100
"""Told one by one; beyond that they are counted."""

Why = Literal["outage", "dropped", "policy", "missing", "altered", "again"]
WORDS: dict[Why, str] = {
    "outage": "the gateway ended without warning; what it had judged since its last commit was never durable",
    "dropped": "the gateway gave up the blocks that they were in, and said so",
    "policy": "their blocks were removed here by the policy of retention",
    "missing": "verdicts are missing that nobody declared lost",
    "altered": "a verdict is not as its gateway sealed it",
    "again": "the chain begins again, or a number came twice",
}
DECLARED: frozenset[Why] = frozenset({"outage", "dropped", "policy"})
_OF_HOLE: dict[Hole, Why] = {"never": "dropped", "policy": "policy", "altered": "altered", "gone": "missing"}


@dataclass(frozen=True, slots=True)
class Break:
    """Before the verdict ``number`` (of ``at_ns``); the last one before it was ``after``."""

    why: Why
    after: int
    number: int
    at_ns: int

    @property
    def words(self) -> str:
        return WORDS[self.why]

    @property
    def is_declared(self) -> bool:
        return self.why in DECLARED


@dataclass(slots=True)
class Chain:
    """``sealed`` verdicts have a seal, of which ``linked`` follow from the one before; ``unsealed`` have none.

    ``declared`` and ``broken`` count breaks, of which the first are in ``breaks``.
    """

    gateway: str
    epoch: str
    asset: str
    sealed: int = 0
    linked: int = 0
    unsealed: int = 0
    declared: int = 0
    broken: int = 0
    breaks: list[Break] = field(default_factory=list)
    number: int = 0
    seal: str = ""
    first_ns: int = 0
    last_ns: int = 0
    holes: set[Hole] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong: every break is a declared one."""
        return not self.broken

    def take(self, verdict: Verdict) -> None:
        """The next verdict. ``holes`` are the causes of blocks that are not there since the last one."""
        self.first_ns, self.last_ns = self.first_ns or verdict.at_ns, verdict.at_ns
        if not verdict.seal:
            self.unsealed += 1  # Made by a release that did not seal.
            return
        self.sealed += 1
        end = Link(self.number, self.seal or genesis(self.gateway, self.epoch, self.asset))
        if end.holds(verdict):
            self.linked += 1
            if verdict.number > end.number + 1:
                self._broke("outage", verdict)
        else:
            self._broke(_why(end, verdict, self.holes), verdict)
        self.holes.clear()
        self.number, self.seal = verdict.number, verdict.seal

    def _broke(self, why: Why, verdict: Verdict) -> None:
        found = Break(why, self.number, verdict.number, verdict.at_ns)
        self.declared += found.is_declared
        self.broken += not found.is_declared
        if len(self.breaks) < BREAKS_MAX:
            self.breaks.append(found)


def _why(end: Link, verdict: Verdict, holes: set[Hole]) -> Why:
    if verdict.number <= end.number:
        return "again"
    if verdict.number == end.number + 1:
        return "altered"
    # The worst of what is known: a block given up does not excuse one that is gone.
    for hole in ("gone", "altered", "never", "policy"):
        if hole in holes:
            return _OF_HOLE[hole]
    return "missing"

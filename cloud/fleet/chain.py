"""One asset's chain of sealed verdicts as it arrived: whether every link holds, and what broke where it does not.

Verdicts come in the order in which the gateway made them. A break is never silent: either the gateway declared it (it
ended without warning, or gave blocks up), or the policy of retention took the blocks, or something is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cloud.fleet.breaks import Break, Why, why_next
from cloud.store.sequence import Hole
from edge.contract.seal import Link, genesis
from edge.contract.types import Verdict

BREAKS_MAX = 100
"""Told one by one; beyond that they are counted."""

_OF_HOLE: dict[Hole, Why] = {"never": "dropped", "policy": "policy", "altered": "altered", "gone": "missing"}


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
    if (wrong := why_next(end, verdict)) is not None:
        return wrong
    # The worst of what is known: a block given up does not excuse one that is gone.
    for hole in ("gone", "altered", "never", "policy"):
        if hole in holes:
            return _OF_HOLE[hole]
    return "missing"

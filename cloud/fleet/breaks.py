"""Where a chain of sealed records broke, and why: the same for an asset's verdicts and a gateway's audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.contract.commands import Outcome
from edge.contract.seal import Link
from edge.contract.types import Verdict

Why = Literal["outage", "dropped", "policy", "coming", "missing", "altered", "again", "unsealed"]
WORDS: dict[Why, str] = {
    "outage": "the gateway ended without warning, and goes on beyond what it may have made since its last commit",
    "dropped": "the gateway gave up the blocks that they were in, and said so",
    "policy": "their blocks were removed here by the policy of retention",
    "coming": "blocks between them are still on their way",
    "missing": "what stood between them is missing, and nobody declared it lost",
    "altered": "it is not as its gateway sealed it",
    "again": "the chain begins again, or a number came twice",
    "unsealed": "it has no seal",
}
DECLARED: frozenset[Why] = frozenset({"outage", "dropped", "policy", "coming"})


@dataclass(frozen=True, slots=True)
class Break:
    """Before the record ``number`` (of ``at_ns``); the last one before it was ``after``."""

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


def why_next(end: Link, record: Verdict | Outcome) -> Why | None:
    """Why ``record``, whose link to ``end`` does not hold, is wrong in itself; None where others between are not there.

    That is told by its number alone.
    """
    if record.number <= end.number:
        return "again"
    return "altered" if record.number == end.number + 1 else None

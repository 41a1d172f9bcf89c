"""How far a rollout may go: who is reached in which stage, and whether what came of it allows the next one. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from cloud.store.rollouts import Member, Rollout
from edge.contract.types import BundleStep

VERDICTS_MIN = 20
MORE_UNKNOWN = 0.10
MORE_ANOMALOUS = 0.10
CHANCE = 0.05
_FAILED = (BundleStep.ROLLED_BACK, BundleStep.REFUSED)

Machine = tuple[str, str]
"""Gateway and asset."""
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Answers:
    """How often people found right or wrong what a bundle had foretold: failures hit, or missed and false alarms."""

    right: int = 0
    wrong: int = 0

    @property
    def all(self) -> int:
        return self.right + self.wrong


NO_ANSWERS = Answers()


@dataclass(frozen=True, slots=True)
class Decision:
    what: Literal["wait", "advance", "finish", "roll back"]
    words: str


def reached(rollout: Rollout, machines: Collection[Machine]) -> list[Machine]:
    """Of ``machines`` those that the present stage reaches: as many as its share says, at least one.

    Who goes first is drawn by hash: the same in every run, another in every rollout, and no gateway is always first.
    """
    count = math.ceil(rollout.stages[rollout.stage - 1] * len(machines))
    drawn = sorted(
        machines, key=lambda machine: hashlib.sha256(f"{rollout.number}:{'/'.join(machine)}".encode()).digest()
    )
    return drawn[:count]


def in_scope(rollout: Rollout, gateway: str, asset: str) -> bool:
    return not rollout.scope or f"{gateway}/{asset}" in rollout.scope


def has_failed(member: Member) -> bool:
    return member.step in _FAILED


def has_settled(member: Member) -> bool:
    """The bundle was kept there, or judged there already."""
    return member.step == BundleStep.KEPT or (not member.step and member.new_verdicts > 0)


def decide(
    rollout: Rollout, members: Sequence[Member], is_online: Callable[[str], bool],
    new: Answers = NO_ANSWERS, old: Answers = NO_ANSWERS,
) -> Decision:  # fmt: skip
    """What follows from what became of all ``members`` so far, and of what its bundle (new) and others (old) foretold.

    A gateway that is away holds nobody up but itself.
    """
    failed = [member for member in members if has_failed(member)]
    if len(failed) > rollout.tolerate * len(members):
        told = "; ".join(f"{m.gateway}/{m.asset}: {m.words}" for m in failed[:3])
        return Decision("roll back", f"{len(failed)} of {len(members)} machines gave it up: {told}")
    worse = worse_words(members) or mistaken_words(new, old)
    if worse:
        return Decision("roll back", worse)
    trying = [m for m in members if not has_failed(m) and not has_settled(m)]
    here = [member for member in trying if is_online(member.gateway)]
    if here:
        return Decision("wait", f"{_count(len(here), 'machine')} on trial")
    now = [member for member in members if member.stage == rollout.stage]
    if not any(map(has_settled, members)) or (now and not any(map(has_settled, now))):
        return Decision("wait", "no machine of this stage has been heard of")
    away = f", {_count(len(trying), 'machine')} away" if trying else ""
    settled = f"kept by {sum(map(has_settled, members))} of {_count(len(members), 'machine')}{away}"
    return Decision("finish" if rollout.stage == len(rollout.stages) else "advance", settled)


def worse_words(members: Sequence[Member]) -> str:
    """In what verdicts of the new bundle are worse than those of others on the same machines; empty where in nothing.

    Taken together: what is too rare to be seen at one machine may be plain in all.
    """
    new, old = sum(m.new_verdicts for m in members), sum(m.old_verdicts for m in members)
    if min(new, old) < VERDICTS_MIN:
        return ""
    for attribute, more, said in (
        ("unknown", MORE_UNKNOWN, "knew no life"), ("anomalous", MORE_ANOMALOUS, "found machines anomalous"),
    ):  # fmt: skip
        share_new = sum(getattr(m, f"new_{attribute}") for m in members) / new
        share_old = sum(getattr(m, f"old_{attribute}") for m in members) / old
        if share_new > share_old + more:
            return f"its verdicts {said} {share_new:.0%} of the time, those before {share_old:.0%}"
    return ""


def mistaken_words(new: Answers, old: Answers) -> str:
    """Whether people found the new bundle wrong more often than chance would have it; empty where not.

    Fisher's exact test, one-sided: with the few failures that there are, a share alone says nothing.
    """
    wrong, every = new.wrong + old.wrong, new.all + old.all
    ways = sum(
        math.comb(wrong, i) * math.comb(every - wrong, new.all - i) for i in range(new.wrong, min(wrong, new.all) + 1)
    )
    if new.wrong == 0 or ways / math.comb(every, new.all) >= CHANCE:
        return ""
    return f"people found {new.wrong} of {new.all} that it foretold wrong, {old.wrong} of {old.all} of those before"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")

"""A gateway's audit as it arrived: whether its chain holds from the first step to the last, and what broke it.

The links are those of verdicts (``edge.contract.seal``); what differs is that here nothing may stand without a seal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cloud.fleet.breaks import Break, Why, why_next
from cloud.store.audited import Audited
from edge.contract.commands import Outcome
from edge.contract.seal import Link, genesis_of_audit


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit of one journal. ``end`` is the chain's newest end, which the gateway knows too."""

    gateway: str
    epoch: str
    steps: tuple[Outcome, ...]
    linked: int
    breaks: tuple[Break, ...]
    end: Link

    @property
    def is_whole(self) -> bool:
        """Whether every break is a declared one."""
        return all(found.is_declared for found in self.breaks)


def trail(audited: Audited) -> Trail:
    end, linked, breaks = Link(0, genesis_of_audit(audited.gateway, audited.epoch)), 0, list[Break]()
    before = 0
    for told in audited.told:
        step = told.outcome
        if not step.seal:
            breaks.append(Break("unsealed", end.number, step.number, step.at_ns))
            continue
        holds = end.holds(step)
        linked += holds
        why: Why | None = "outage" if holds and step.number > end.number + 1 else None
        why = why if holds else _why(end, step, audited, before, told.seq)
        if why is not None:
            breaks.append(Break(why, end.number, step.number, step.at_ns))
        end, before = end.after(step), told.seq
    return Trail(
        audited.gateway, audited.epoch, tuple(told.outcome for told in audited.told), linked, tuple(breaks), end
    )


def plain(found: Trail) -> dict[str, Any]:
    """As JSON has it, without the steps."""
    return {
        "gateway": found.gateway, "epoch": found.epoch, "steps": len(found.steps), "linked": found.linked,
        "whole": found.is_whole, "last_number": found.end.number, "last_seal": found.end.seal,
        "breaks": [
            {
                "why": one.why, "declared": one.is_declared, "after": one.after, "number": one.number,
                "at_ns": one.at_ns, "words": one.words,
            }
            for one in found.breaks
        ],
    }  # fmt: skip


def is_whole(trails: Iterable[Trail]) -> bool:
    return all(found.is_whole for found in trails)


def _why(end: Link, step: Outcome, audited: Audited, before: int, seq: int) -> Why:
    """Why a step does not follow from the one before it, which came with block ``before``, the step with ``seq``."""
    if (wrong := why_next(end, step)) is not None:
        return wrong
    causes = {cause for first, last, cause in audited.absent if first < seq and last > before}
    if causes:
        return "dropped" if causes == {"never"} else "missing"
    return "coming" if audited.through < seq - 1 else "missing"

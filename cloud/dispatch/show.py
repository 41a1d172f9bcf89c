"""Rollouts as tables for people, and as plain data."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cloud.store.rollouts import Line, Member, Rollout, Rollouts, State
from edge.contract.setpoint_words import plain as printable


def step_of(member: Member) -> str:
    """How a machine stands, in a word or two."""
    return member.step or ("judges already" if member.new_verdicts else "offered")


def plain(rollout: Rollout, members: Sequence[Member]) -> dict[str, Any]:
    """As JSON has it."""
    return {
        **asdict(rollout), "state": str(rollout.state),
        "machines": [{**asdict(member), "stands": step_of(member)} for member in members],
    }  # fmt: skip


def summary(members: Sequence[Member]) -> str:
    """``3 kept, 1 watched``."""
    counts = Counter(map(step_of, members))
    return ", ".join(f"{count} {step}" for step, count in counts.most_common()) or "no machine yet"


def table(rollouts: Sequence[tuple[Rollout, Sequence[Member]]], *, machines: bool) -> list[str]:
    """A line a rollout, and where ``machines`` one for each that it has reached."""
    if not rollouts:
        return ["no rollout is under way or in force: gateways judge with what their own profiles name"]
    lines = [f"{'NO':>3}  {'CLASS':20}{'BUNDLE':14}{'STATE':13}{'STAGE':9}{'PROMOTED':18}{'BY':12}MACHINES"]
    for rollout, members in rollouts:
        stage = f"{rollout.stage}/{len(rollout.stages)} {rollout.stages[rollout.stage - 1]:.0%}"
        lines.append(
            f"{rollout.number:>3}  {rollout.asset_class:20}{rollout.bundle[:12]:14}{rollout.state:13}{stage:9}"
            f"{_time(rollout.at_ns):18}{rollout.by:12}{summary(members)}"
        )
        lines += [f"     {words}" for words in (rollout.why, rollout.note) if words]
        if machines:
            lines += [f"       {_machine(member)}" for member in members]
    return [printable(line) for line in lines]


def history(lines: Sequence[Line]) -> list[str]:
    """What was decided, the newest first."""
    head = f"{'WHEN (UTC)':18}{'NO':>3}  {'WHAT':28}{'BY':14}WHY"
    told = (f"{_time(one.at_ns):18}{one.number:>3}  {one.what:28}{one.by:14}{one.why}" for one in lines)
    return [head, *map(printable, told)]


def _machine(member: Member) -> str:
    counts = ""
    if member.new_verdicts:
        counts = f"   {member.new_verdicts:,} verdicts, no life in {member.new_unknown / member.new_verdicts:.0%}"
    name = f"{member.gateway}/{member.asset}"
    return f"{name:34}stage {member.stage}   {step_of(member):14}{member.words}{counts}"


def _time(at_ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A rollout as a page shows it."""

    number: int
    asset_class: str
    bundle: str
    state: str
    stage: str
    summary: str
    by: str
    why: str
    note: str


def shown(rollouts: Rollouts) -> tuple[Shown, ...]:
    """The newest rollout of each class, whatever became of it, but those that have expired."""
    newest: dict[str, Rollout] = {}
    for one in rollouts.all():
        newest.setdefault(one.asset_class, one)
    return tuple(
        Shown(
            one.number, one.asset_class, one.bundle, str(one.state),
            f"stage {one.stage} of {len(one.stages)}" if one.state == State.ROLLING else "",
            summary(rollouts.members(one.number)), one.by, one.why, one.note,
        )
        for one in sorted(newest.values(), key=lambda one: one.asset_class)
        if one.state != State.EXPIRED
    )  # fmt: skip


def is_current(rollout: Rollout) -> bool:
    return rollout.state in (State.ROLLING, State.DONE)

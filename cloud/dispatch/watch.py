"""Looks what became of each rollout, and lets it go on, or takes it back, by itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from cloud.dispatch.stages import Answers, decide, in_scope, reached
from cloud.store.reader import Reader
from cloud.store.rollouts import Member, Rollout, Rollouts, State
from cloud.store.rows import MachineRow

LOOK_S = 2.0
ONLINE_S = 900.0
"""A gateway that was heard of in so long is waited for."""
VERDICTS_AT_ONCE_MAX = 5000
CHANGES_MAX = 64
BASELINE_S_MAX = 7 * 86_400.0
ANSWERS_S = 60.0
REST = 20.0
SELF = "the cloud"

Answered = Callable[[str, str], Mapping[str, Answers]]
"""What people answered of one gateway's asset, by bundle."""


def nobody_answered(_gateway: str, _asset: str) -> Mapping[str, Answers]:
    return {}


log = logging.getLogger(__name__)


class RolloutWatch:
    """``look`` may be called from any one thread at a time."""

    def __init__(
        self, reader: Reader, rollouts: Rollouts, *, answered: Answered = nobody_answered,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._reader, self._rollouts, self._answered, self._now_ns = reader, rollouts, answered, now_ns
        self._answers: dict[int, tuple[int, Answers, Answers]] = {}

    async def run(self, every_s: float = LOOK_S) -> None:
        """Look, again and again, until cancelled.

        A large fleet takes long to look at: it is looked at the less often.
        """
        while True:
            began_s = time.monotonic()
            await asyncio.to_thread(self.look)
            await asyncio.sleep(max(every_s, REST * (time.monotonic() - began_s)))

    def look(self) -> None:
        """Once, at the newest rollout of each class, whatever became of it."""
        current: dict[str, Rollout] = {}
        for rollout in self._rollouts.all():
            current.setdefault(rollout.asset_class, rollout)
        if not current:
            return
        machines = self._reader.machines()
        for rollout in current.values():
            self._look_at(rollout, machines)

    def _look_at(self, rollout: Rollout, machines: list[MachineRow]) -> None:
        now_ns = self._now_ns()
        own = {
            (m.gateway, m.asset): m
            for m in machines
            if m.asset_class == rollout.asset_class and in_scope(rollout, m.gateway, m.asset)
        }
        from_ns = now_ns - round(min(rollout.watch_s, BASELINE_S_MAX) * 1e9)
        reaches = rollout.state in (State.ROLLING, State.DONE)
        wanted = [
            Member(rollout.number, *one, rollout.stage, upto_ns=from_ns)
            for one in reached(rollout, list(own))
            if reaches
        ]
        held = {(member.gateway, member.asset): member for member in self._rollouts.members(rollout.number)}
        fresh = [member for member in wanted if (member.gateway, member.asset) not in held]
        known = [*held.values(), *fresh]
        told = [self._told(rollout, m, own[m.gateway, m.asset]) if (m.gateway, m.asset) in own else m for m in known]
        changed = [after for before, after in zip(known, told, strict=True) if after != before]
        if fresh or changed:
            with self._rollouts.changing():
                self._rollouts.reach(fresh)
                for member in changed:
                    self._rollouts.told(member)
        if rollout.state == State.ROLLING:
            seen_ns = {m.gateway: m.last_seen_ns for m in machines}
            self._decide(rollout, told, lambda gateway: now_ns - seen_ns.get(gateway, 0) < ONLINE_S * 1e9, now_ns)

    def _told(self, rollout: Rollout, member: Member, machine: MachineRow) -> Member:
        """``member`` with all that its gateway has told since."""
        steps = self._reader.bundle_changes(machine.id, limit=CHANGES_MAX)
        step = next((s for s in steps if (s.bundle, s.number) == (rollout.bundle, rollout.number)), None)
        if step is not None:
            member = replace(member, step=str(step.step), step_ns=step.at_ns, words=step.words)
        rows = self._reader.judged(machine.id, member.upto_ns, limit=VERDICTS_AT_ONCE_MAX)
        if not rows:
            return member
        new = [row for row in rows if row.bundle == rollout.bundle]
        old = [row for row in rows if row.bundle != rollout.bundle]
        return replace(
            member, upto_ns=rows[-1].at_ns,
            new_verdicts=member.new_verdicts + len(new), new_unknown=member.new_unknown + sum(r.unknown for r in new),
            new_anomalous=member.new_anomalous + sum(r.anomalous for r in new),
            old_verdicts=member.old_verdicts + len(old), old_unknown=member.old_unknown + sum(r.unknown for r in old),
            old_anomalous=member.old_anomalous + sum(r.anomalous for r in old),
        )  # fmt: skip

    def _answers_of(self, rollout: Rollout, members: list[Member], now_ns: int) -> tuple[Answers, Answers]:
        """Of the bundle and of others, on the machines that it has reached. Counting takes a while: now and then."""
        at_ns, *known = self._answers.get(rollout.number, (0,))
        if known and now_ns - at_ns < ANSWERS_S * 1e9:
            return known[0], known[1]
        new = old = Answers()
        for member in members:
            for bundle, found in self._answered(member.gateway, member.asset).items():
                if bundle == rollout.bundle:
                    new = Answers(new.right + found.right, new.wrong + found.wrong)
                else:
                    old = Answers(old.right + found.right, old.wrong + found.wrong)
        self._answers[rollout.number] = (now_ns, new, old)
        return new, old

    def _decide(self, rollout: Rollout, members: list[Member], is_online: Callable[[str], bool], now_ns: int) -> None:
        decision = decide(rollout, members, is_online, *self._answers_of(rollout, members, now_ns))
        state, stage, what = State.ROLLING, rollout.stage, ""
        if decision.what == "roll back":
            state, what = State.ROLLED_BACK, "rolled back"
        elif decision.what == "finish":
            state, what = State.DONE, "done"
        elif decision.what == "advance":
            stage, what = stage + 1, f"stage {stage + 1} of {len(rollout.stages)}"
        elif now_ns >= rollout.expires_ns:
            state, what = State.EXPIRED, "expired"
        if not what:
            return
        with self._rollouts.changing():
            # A person may have decided meanwhile.
            if self._rollouts.get(rollout.number) != rollout:
                return
            self._rollouts.settle(rollout.number, state=state, stage=stage, stage_ns=now_ns, note=decision.words)
            self._rollouts.write(rollout.number, now_ns, what, SELF, decision.words)
        log.warning("rollout %d of %s: %s: %s", rollout.number, rollout.asset_class, what, decision.words)

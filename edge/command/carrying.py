"""One command's way at the machine: written, read back, watched, and put back where that is wanted.

What is about to be done is on the disk before it is done. Whoever finds an unfinished way after a restart reads what
stands at the machine and goes on from there: the command's own write is never made twice.
"""

from __future__ import annotations

from edge.command.audit import Audit
from edge.command.checks import AT_THE_LAST, BEFORE_WRITING, Asked
from edge.command.contracts import Contracts, terms_of
from edge.command.facts import Facts
from edge.command.machine import Machine
from edge.command.state import Run, Waiting
from edge.command.telling import Teller
from edge.command.watching import Watched, reason
from edge.contract.commands import CommandStep
from edge.contract.setpoint import Mode, SetpointContract
from edge.contract.terms import TagRef
from edge.errors import BabbittError
from edge.ports import Clock

AGAIN_S = 0.1
"""Between two looks at what the device holds, while it settles."""
WATCH_S = 0.25
"""Between two looks at what aborts and what is regretted."""
BACK_TRIES = 3
AWAY_S, AWAY_AGAIN_S = 300.0, 5.0
"""So long a machine that cannot be read is waited for, and looked for so often: a cable is plugged in again, a
controller starts anew, and what was written, or is to be put back, is still nobody else's business."""


class Carrying:
    """Belongs to the event loop; one command at a time for each tag."""

    def __init__(
        self, audit: Audit, contracts: Contracts, facts: Facts, machine: Machine, teller: Teller, clock: Clock
    ) -> None:  # fmt: skip
        self._audit, self._contracts, self._facts = audit, contracts, facts
        self._machine, self._tell, self._clock = machine, teller, clock

    async def carry(self, waiting: Waiting) -> None:
        """Decide it now, and do what its contract's mode says."""
        command = waiting.command
        before, unread = await self._machine.read(command.asset, command.tag)
        read_ns = self._clock.mono_ns()
        if all(one is not waiting for one in self._audit.kept.waiting):
            return  # Withdrawn meanwhile.
        asked = self._facts.about(command, approvers=tuple(waiting.approvers), before=before, unread=unread)
        refused = self._facts.refusal(asked, BEFORE_WRITING)
        if refused is not None:
            step = CommandStep.EXPIRED if refused.check == "expired" else CommandStep.REFUSED
            self._tell.end_waiting(waiting, step, refused.words, before=before)
        elif asked.terms.mode is Mode.SHADOW:
            words = f"it would have been written: {asked.written:.9g}"
            self._tell.end_waiting(waiting, CommandStep.SHADOWED, words, before=before)
        elif asked.terms.mode is Mode.ADVISE:
            waiting.advised = True
            words = f"set it to {asked.written:.9g} by hand: {command.why}"
            self._audit.enter(
                self._tell.outcome(command, CommandStep.ADVISED, words, by=waiting.giver, before=before)
            )  # fmt: skip
        else:
            await self._write(waiting, asked, read_ns)

    async def answered(self, waiting: Waiting, *, done: bool, by: str, why: str) -> tuple[CommandStep, str]:
        """The operator's word on an advice; what stands at the machine decides whether it was done.

        Raises ``BabbittError`` where it came to another end meanwhile.
        """
        command, terms = waiting.command, self._contracts.of(waiting.command.contract)
        stands, unread = await self._machine.read(command.asset, command.tag)
        if not done:
            step, words = CommandStep.REFUSED, why or "declined"
        elif stands is None:
            step, words = CommandStep.FAILED, f"done by hand, as {by} says; what stands cannot be read: {unread}"
        elif terms is not None and abs(stands - command.value) <= terms.tolerance:
            step, words = CommandStep.KEPT, f"done by hand. {why}".strip()
        else:
            step, words = (
                CommandStep.FAILED,
                f"done by hand, as {by} says; but it stands at {stands:.9g}. {why}".strip(),
            )
        if all(one is not waiting for one in self._audit.kept.waiting):
            ended = self._audit.kept.end_of(command)
            raise BabbittError("advice", f"{waiting.id[:16]} was {ended} meanwhile", "ask for `advice`")
        self._tell.end_waiting(waiting, step, words, by=by, read_back=stands)
        return step, words

    async def resume(self, run: Run) -> None:
        """Go on with what a former run, or a room that broke, left unfinished."""
        contract = terms_of(run.contract)
        if self._is_moved(run):
            self._leave(run)
        elif run.stage == "watching":
            await self._watch(run, contract)
        elif run.stage == "back":
            await self._back(run, contract, run.why, CommandStep.ROLLED_BACK)
        else:
            found, stands = await self._settled(run, contract, run.value, contract.settle_s)
            if found:
                await self._executed(run, contract, stands, "found so after a restart, and not written again")
            else:
                words = f"interrupted while it was written, and not written again: {_stands(run, contract, stands)}"
                self._tell.end_run(run, CommandStep.FAILED, words, read_back=stands)

    async def _write(self, waiting: Waiting, asked: Asked, read_ns: int) -> None:
        """``read_ns`` is when the machine said what stood there."""
        contract, command = asked.terms, waiting.command
        assert asked.before is not None
        assert asked.written is not None
        run = Run(
            id=waiting.id, command=command, contract=self._contracts.text(contract.hash), giver=waiting.giver,
            approvers=waiting.approvers, value=asked.written, before=asked.before, means=self._facts.means(contract),
            where=self._machine.where(command.asset, command.tag),
        )  # fmt: skip
        kept = self._audit.kept
        kept.waiting = [one for one in kept.waiting if one is not waiting]
        kept.runs = [*kept.runs, run]
        kept.carried[f"{command.asset}.{command.tag}"] = command.order
        self._facts.changed(command, abs(run.value - run.before), contract.dwell_s)
        approved = f"approved by {', '.join(waiting.approvers)}" if waiting.approvers else ""
        words = ", ".join(said for said in (command.why, approved) if said)
        told = self._tell.outcome(command, CommandStep.WRITING, words, by=waiting.giver, before=run.before)
        if not await self._audit.durably(told):
            words = "the audit could not be put on the disk, so nothing was written"
            self._tell.end_run(run, CommandStep.FAILED, words, read_back=None)
            return
        why_not = ["its turn on the line did not come"]

        def unless() -> str:
            refused = self._facts.refusal(
                self._facts.about(command, approvers=tuple(waiting.approvers), before=run.before),
                AT_THE_LAST,
            )
            why_not[0] = refused.words if refused is not None else self._meanwhile(run, contract, read_ns)
            return why_not[0]

        said = await self._machine.write(command.asset, command.tag, run.value, unless=unless)
        self._facts.ended_now(command)
        if why_not[0]:
            words = f"nothing was written: {why_not[0]}"
            self._tell.end_run(run, CommandStep.FAILED, words, read_back=None)
            return
        found, stands = await self._settled(run, contract, run.value, contract.settle_s)
        if found:
            await self._executed(run, contract, stands, said or f"it reads back as {stands:.9g}")
        elif stands is None or abs(stands - run.before) <= contract.tolerance:
            words = f"it was written, and not taken: {_stands(run, contract, stands)}"
            self._tell.end_run(run, CommandStep.FAILED, f"{words}{said and f' ({said})'}", read_back=stands)
        else:
            why = f"it was written, and read back as {stands:.9g}"
            await self._back(run, contract, why, CommandStep.FAILED, ours=True)

    def _meanwhile(self, run: Run, contract: SetpointContract, read_ns: int) -> str:
        """What the polls since ``read_ns`` say that somebody has set; empty where nothing."""
        seen = self._facts.look(contract)(TagRef(contract.tag))
        is_newer = seen.age_s is not None and seen.age_s * 1e9 < self._clock.mono_ns() - read_ns
        if (
            not is_newer
            or not isinstance(seen.value, int | float)
            or abs(seen.value - run.before) <= contract.tolerance
        ):
            return ""
        return f"somebody else, or the device, changed it: {_stands(run, contract, seen.value)}"

    async def _executed(self, run: Run, contract: SetpointContract, stands: float | None, words: str) -> None:
        run.stage = "watching"
        told = self._tell.outcome(
            run.command, CommandStep.EXECUTED, words, by="gateway", before=run.before, read_back=stands
        )
        self._audit.enter(told)
        self._tell.note(run.id, words)
        await self._watch(run, contract)

    async def _watch(self, run: Run, contract: SetpointContract) -> None:
        started_ns = self._clock.mono_ns()
        told_ns, enabled_ns = [started_ns] * len(contract.abort), started_ns
        while True:
            now_ns = self._clock.mono_ns()
            for_s = (now_ns - started_ns) / 1e9
            if self._is_moved(run):
                self._leave(run)
                return
            look = self._facts.look(contract)
            told_ns = [
                told if condition.holds(look) is None else now_ns
                for condition, told in zip(contract.abort, told_ns, strict=True)
            ]
            disabled = self._facts.disabled()
            enabled_ns = enabled_ns if disabled else now_ns
            if disabled and now_ns - enabled_ns < contract.blind_s * 1e9:
                disabled = self._facts.switched_off()
            why = reason(contract, Watched(
                for_s=for_s, look=look, disabled=disabled, before=run.means,
                now=self._facts.means(contract), blind_s=[(now_ns - told) / 1e9 for told in told_ns],
            ))  # fmt: skip
            if why:
                await self._back(run, contract, why, CommandStep.ROLLED_BACK)
                return
            if self._is_elsewhere(run, contract) and await self._left(run, contract):
                return
            if for_s >= contract.watch_s:
                break
            await self._clock.sleep(min(WATCH_S, max(contract.watch_s - for_s, 0.001)))
        found, stands = await self._settled(run, contract, run.value, contract.settle_s)
        if found:
            self._tell.end_run(run, CommandStep.KEPT, f"watched for {contract.watch_s:g} s", read_back=stands)
        else:
            self._tell.end_run(run, CommandStep.FAILED, _stands(run, contract, stands), read_back=stands)

    def _is_moved(self, run: Run) -> bool:
        """Whether another configuration has put the tag at another register than the one that was written to."""
        return bool(run.where) and run.where != self._machine.where(run.command.asset, run.command.tag)

    def _leave(self, run: Run) -> None:
        place = f"{run.command.asset}.{run.command.tag}"
        words = f"another configuration has {place} at another register, which is not written to; {run.value:.9g} was"
        self._tell.end_run(run, CommandStep.FAILED, words, read_back=None)

    def _is_elsewhere(self, run: Run, contract: SetpointContract) -> bool:
        """Whether the last poll says that it does not stand at what was written."""
        value = self._facts.look(contract)(TagRef(contract.tag)).value
        return isinstance(value, int | float) and abs(value - run.value) > contract.tolerance

    async def _left(self, run: Run, contract: SetpointContract) -> bool:
        """Whether somebody else, or the device, really changed it: then it is theirs, and nothing is written."""
        stands, _ = await self._machine.read(contract.asset, contract.tag)
        if stands is None or abs(stands - run.value) <= contract.tolerance:
            return False
        words = f"somebody else, or the device, changed it: {_stands(run, contract, stands)}; it is left so"
        self._tell.end_run(run, CommandStep.FAILED, words, read_back=stands)
        return True

    async def _back(
        self, run: Run, contract: SetpointContract, why: str, step: CommandStep, *, ours: bool = False
    ) -> None:
        """Write again what stood there before. ``ours``: what stands there came of our own write, whatever it is."""
        if self._is_moved(run):
            self._leave(run)
            return
        run.stage, run.why = "back", why
        stands, _ = await self._machine.read(contract.asset, contract.tag)
        if stands is not None and abs(stands - run.before) <= contract.tolerance:
            self._tell.end_run(run, step, f"{why}; it stands at {stands:.9g} already", read_back=stands)
            return
        for _ in range(BACK_TRIES):
            if stands is not None and abs(stands - run.value) > contract.tolerance and not ours:
                words = f"{why}; but somebody else, or the device, had changed it to {stands:.9g}: it is left so"
                self._tell.end_run(run, CommandStep.FAILED, words, read_back=stands)
                return
            by = max(abs(run.value - run.before), _unseen(contract) if stands is None else abs(stands - run.before))
            self._facts.changed(run.command, by, contract.dwell_s)
            told = self._tell.outcome(
                run.command, CommandStep.WRITING, f"back to {run.before:.9g}: {why}", by="gateway", value=run.before,
                before=stands,
            )  # fmt: skip
            # A disk that takes nothing must not keep a machine where it must not stay.
            await self._audit.durably(told)
            said = await self._machine.write(contract.asset, contract.tag, run.before, unless=lambda: "")
            ours = ours or not said
            self._facts.ended_now(run.command)
            found, stands = await self._settled(run, contract, run.before, contract.settle_s)
            if found:
                self._tell.end_run(run, step, f"{why}; {run.before:.9g} stands again", read_back=stands)
                return
        words = f"{why}; and it could not be put back: {_stands(run, contract, stands)}"
        self._tell.end_run(run, CommandStep.FAILED, words, read_back=stands)

    async def _settled(
        self, run: Run, contract: SetpointContract, wanted: float, within_s: float
    ) -> tuple[bool, float | None]:
        """Whether it reads back as ``wanted`` within ``within_s``, each time asked anew; and what was read last.

        While it cannot be read it is waited for.
        """
        began_ns = self._clock.mono_ns()
        while True:
            stands, _ = await self._machine.read(run.command.asset, run.command.tag)
            if stands is not None and abs(stands - wanted) <= contract.tolerance:
                return True, stands
            for_s = (self._clock.mono_ns() - began_ns) / 1e9
            if for_s >= (within_s if stands is not None else max(within_s, AWAY_S)):
                return False, stands
            await self._clock.sleep(AGAIN_S if for_s < within_s else AWAY_AGAIN_S)


def _unseen(contract: SetpointContract) -> float:
    """How far a write is taken to move a machine that nobody could read: as far as a minute allows, and further."""
    return max(contract.rate_per_min, contract.high - contract.low)


def _stands(run: Run, contract: SetpointContract, stands: float | None) -> str:
    """What is known of where it stands, in words."""
    if stands is None:
        return f"it cannot be read, so nobody knows whether {run.value:.9g} stands or still {run.before:.9g}"
    if abs(stands - run.before) <= contract.tolerance:
        return f"it stands at {stands:.9g}, as before"
    return f"it stands at {stands:.9g}"

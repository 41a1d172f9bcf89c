"""The room: takes commands and contracts, keeps them in order, and has them carried out, one at a time for each tag.

What is taken is decided here and now, with the cable cut, by contracts that lie here. Whatever comes may come again: a
command is known by its id, and a second one of the same changes nothing but that signatures are added.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge.command.audit import Audit
from edge.command.carrying import Carrying
from edge.command.checks import ARRIVING, COUNTING, Check, Refusal
from edge.command.contracts import Contracts, Read, terms_of
from edge.command.enable import Enable
from edge.command.facts import Facts, place_of
from edge.command.machine import Machine
from edge.command.means import Means
from edge.command.past import Past
from edge.command.readings import Readings
from edge.command.state import DIGITS, STRANGE_MAX, Kept, Run, Waiting
from edge.command.telling import Teller
from edge.contract.commands import Command, CommandStep, Outcome
from edge.contract.downlink import ContractDocument, WithdrawnCommand, WithdrawnContract
from edge.contract.setpoint import SetpointContract
from edge.contract.signers import FalseCommandError, Signers, Verify, signers_of
from edge.contract.types import Batch
from edge.errors import BabbittError
from edge.ports import Clock, Journal

WAITING_MAX = 64
TICK_S = 1.0
"""How often it is looked at whether something expired; what comes is looked at when it comes."""

log = logging.getLogger("babbitt.command")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a command so far, by its id; ``step`` is empty where that is being decided."""

    id: str
    step: str
    words: str


class Guard:
    """Belongs to the event loop. ``refused`` counts by the check that stood against a command."""

    def __init__(
        self, audit: Audit, journal: Journal, machine: Machine, *, gateway: str, assets: set[str], clock: Clock,
        enable: Enable, verify: Verify, read: Read,
        checks: Mapping[str, Check] | None = None,
    ) -> None:  # fmt: skip
        self.refused: Counter[str] = Counter()
        self._audit, self._clock, self._verify = audit, clock, verify
        self._enable = enable
        self._readings, self._means = Readings(), Means()
        self._contracts = Contracts(audit, journal, clock=clock, gateway=gateway, read=read)
        self._facts = Facts(
            audit, self._contracts, self._readings, self._means, machine, enable=enable, clock=clock, gateway=gateway,
            checks=checks,
        )  # fmt: skip
        self.past = Past(journal)
        self._teller = Teller(audit, self._contracts, self.past, clock, assets)
        self._carrying = Carrying(audit, self._contracts, self._facts, machine, self._teller, clock)
        self._busy: dict[str, str] = {}
        self._news = asyncio.Event()

    def start(self, local: Sequence[ContractDocument]) -> None:
        """``local`` are the contracts in the site's folder."""
        self._contracts.start(local)
        self._follow()

    def close(self) -> None:
        self._enable.close()

    def change(self, assets: set[str], local: Sequence[ContractDocument]) -> None:
        """The site has changed; ``local`` are the contracts in its folder."""
        self._teller.assets = assets
        self._contracts.check_again()
        self.start(local)
        self._news.set()

    def observe(self, batch: Batch) -> None:
        self._readings.observe(batch)
        self._means.observe(batch)

    async def run(self) -> None:
        """Until cancelled; what a former run left unfinished first."""
        self._busy = {}
        async with asyncio.TaskGroup() as group:
            for run in list(self._audit.kept.runs):
                self._begin(group, run.command, self._carrying.resume(run))
            while True:
                self._round(group)
                self._news.clear()
                waking = asyncio.ensure_future(self._news.wait())
                sleeping = asyncio.ensure_future(self._clock.sleep(TICK_S))
                try:
                    await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waking.cancel()
                    sleeping.cancel()

    # What comes.

    def receive(self, command: Command) -> Told:
        """Take a command, or its further signatures, and say what became of it so far."""
        kept, id_ = self._audit.kept, command.id
        known = self._known(command, id_)
        if known is not None:
            return known
        signers, unsigned = self._signers(command)
        asked = self._facts.about(command, unsigned=unsigned)
        refused = self._facts.refusal(asked, ARRIVING)
        if refused is None and len(kept.waiting) >= WAITING_MAX:
            return Told(id_, "", f"{WAITING_MAX} commands wait already: give it again later")
        if self._facts.refusal(asked, COUNTING) is None:
            kept.order = max(kept.order, command.order)
        if refused is not None:
            return self._refuse(command, refused, signers)
        giver = signers.giver.name if signers is not None else ""
        waiting = Waiting(id=id_, command=replace(command, signed=command.signed[:1]), giver=giver)
        waiting.is_over(wall_ns=asked.wall_ns, mono_ns=asked.mono_ns, trusted=asked.trusted)
        kept.waiting = [*kept.waiting, waiting]
        self._approve(waiting, command)
        self._news.set()
        return Told(id_, "", "taken")

    def _refuse(self, command: Command, refused: Refusal, signers: Signers | None) -> Told:
        """Tell it once. A message that nobody signed does not stand for the command whose name it bears."""
        kept, step = self._audit.kept, CommandStep.EXPIRED if refused.check == "expired" else CommandStep.REFUSED
        print_ = _print_of(command)
        forgotten = signers is not None and command.order <= kept.floor
        outcome = self._teller.outcome(command, step, refused.words, by="gateway")
        if signers is not None and not forgotten:
            self.refused[refused.check] += 1
            self._teller.refuse(command, signers, outcome)
        elif signers is None and print_ not in kept.strange:
            self.refused[refused.check] += 1
            if self._audit.hears_stranger():
                kept.strange = [*kept.strange, print_][-STRANGE_MAX:]
                self._audit.enter_strange(outcome)
        return Told(command.id, step, refused.words)

    def _known(self, command: Command, id_: str) -> Told | None:
        """What became of one that was here before; its signatures are added where it waits."""
        kept = self._audit.kept
        for waiting in kept.waiting:
            if waiting.id == id_:
                new, unsigned = self._approve(waiting, command)
                self._news.set()
                step = "" if self._is_due(waiting) else CommandStep.ADVISED if waiting.advised else CommandStep.WAITING
                return Told(id_, step, unsigned or (f"approved by {', '.join(new)}" if new else waiting.told))
        for run in kept.runs:
            if run.id == id_:
                step = CommandStep.EXECUTED if run.stage == "watching" else CommandStep.WRITING
                return Told(id_, step, self.said(run))
        ended = kept.end_of(command)
        return Told(id_, ended, self._teller.said(id_) or "it was decided before") if ended else None

    def _is_due(self, waiting: Waiting) -> bool:
        """Whether it waits for nobody and for no other command: its machine is asked now, or will be at once."""
        contract, place = self._contracts.of(waiting.command.contract), place_of(waiting.command)
        if contract is None or waiting.advised or any(place_of(run.command) == place for run in self._audit.kept.runs):
            return False
        return not self._facts.lacking(waiting.command, contract, tuple(waiting.approvers))

    def _approve(self, waiting: Waiting, command: Command) -> tuple[list[str], str]:
        """Add the approvals that ``command`` bears: whose of them are new, or why none of them counts."""
        signers, unsigned = self._signers(command)
        new = []
        for person, signed in zip(signers.approvers if signers is not None else (), command.signed[1:], strict=False):
            if person.name not in waiting.approvers:
                waiting.approvers.append(person.name)
                waiting.command = replace(waiting.command, signed=(*waiting.command.signed, signed))
                new.append(person.name)
        return new, unsigned

    def _signers(self, command: Command) -> tuple[Signers | None, str]:
        """Who stands behind it; None, and why, where one of its signatures is false, or nobody's who may."""
        contract = self._contracts.of(command.contract)
        if contract is None:
            return None, self._contracts.why_not(command.contract)
        try:
            return signers_of(command, contract, self._verify), ""
        except FalseCommandError as error:
            return None, str(error)

    # The port ``Orders``.

    async def contracts(self, documents: Sequence[ContractDocument], withdrawn: Sequence[WithdrawnContract]) -> None:
        for one in withdrawn:
            self._contracts.withdraw(one)
        for document in documents:
            self._contracts.take(document, came_down=True)
        self._follow()
        self._news.set()

    async def take(self, command: Command) -> None:
        self.receive(command)

    async def withdraw(self, command: WithdrawnCommand) -> None:
        kept, wanted = self._audit.kept, command.command
        for waiting in kept.waiting:
            if waiting.id == wanted.id:
                self._teller.end_waiting(waiting, CommandStep.WITHDRAWN, command.why, by=command.by)
                return
        known = bool(kept.end_of(wanted)) or any(run.id == wanted.id for run in kept.runs)
        if not known and self._audit.hears_stranger():
            kept.decide(wanted, CommandStep.WITHDRAWN, signed=False)
            self._audit.enter_strange(self._teller.outcome(wanted, CommandStep.WITHDRAWN, command.why, by=command.by))

    def note(self, outcome: Outcome) -> None:
        self._audit.enter(outcome)

    # What waits.

    def _round(self, group: asyncio.TaskGroup) -> None:
        """Decide what can be decided now, in the order of arrival."""
        self._contracts.expire()
        wall_ns, mono_ns, trusted = self._clock.wall_ns(), self._clock.mono_ns(), self._clock.trusted()
        for waiting in list(self._audit.kept.waiting):
            command, place = waiting.command, place_of(waiting.command)
            contract = self._contracts.of(command.contract)
            if self._busy.get(place) == waiting.id:
                continue
            if contract is None:
                words = self._contracts.why_not(command.contract)
                self._teller.end_waiting(waiting, CommandStep.WITHDRAWN, words)
            elif waiting.is_over(wall_ns=wall_ns, mono_ns=mono_ns, trusted=trusted):
                words = (
                    "nobody acted in time" if waiting.advised else f"its time is over: {waiting.told or 'it waited'}"
                )
                self._teller.end_waiting(waiting, CommandStep.EXPIRED, words)
            elif place in self._busy:
                self._teller.waits(waiting, f"until the command before it for {place} is decided", by="gateway")
            elif not waiting.advised and not self._lacks_approval(waiting, contract):
                self._begin(group, command, self._carrying.carry(waiting))

    def _lacks_approval(self, waiting: Waiting, contract: SetpointContract) -> bool:
        lacking = self._facts.lacking(waiting.command, contract, tuple(waiting.approvers))
        if lacking:
            by = waiting.approvers[-1] if waiting.approvers else waiting.giver
            said = f"approved by {', '.join(waiting.approvers)}; " if waiting.approvers else ""
            self._teller.waits(waiting, f"{said}{lacking}", by=by)
        return bool(lacking)

    def _begin(self, group: asyncio.TaskGroup, command: Command, work: Any) -> None:
        place = place_of(command)
        self._busy[place] = command.id

        async def do() -> None:
            try:
                await work
            finally:
                self._busy.pop(place, None)
                self._news.set()
                self._follow()

        group.create_task(do(), name=f"babbitt.command[{place}]")

    def _follow(self) -> None:
        """Know what is asked about by the contracts in force, and by those under which something is under way."""
        running = {run.contract for run in self._audit.kept.runs}
        begun = [terms_of(text) for text in running]
        every = [*self._contracts.every(), *begun]
        self._readings.follow({tag for one in every for tag in one.needs} | self._enable.tags)
        self._means.follow([(one.asset, regret) for one in every for regret in one.regret])

    # What people ask.

    async def answered(self, digest: str, *, done: bool, by: str, why: str) -> Told:
        """The operator's word on an advice: it was done by hand, or it will not be. Raises ``BabbittError``."""
        waiting = next((w for w in self._audit.kept.waiting if w.id == digest and w.advised), None)
        if waiting is None:
            raise BabbittError("advice", f"none waits that is called {digest[:16]}", "ask for `advice`")
        step, words = await self._carrying.answered(waiting, done=done, by=by, why=why)
        return Told(digest, step, words)

    def said(self, run: Run) -> str:
        """What is known of one that is carried out or watched."""
        return run.why or self._teller.said(run.id)

    @property
    def kept(self) -> Kept:
        """What is remembered: to be looked at."""
        return self._audit.kept

    @property
    def in_force(self) -> dict[str, SetpointContract]:
        """By hash."""
        return {one.hash: one for one in self._contracts.every()}

    @property
    def lost_s(self) -> float | None:
        """For how many seconds it is known what was written here, since what a former run kept is lost; else None."""
        lost_ns = self._audit.kept.lost_ns
        return None if lost_ns is None else (self._clock.mono_ns() - lost_ns) / 1e9

    @property
    def disabled(self) -> str:
        """Why the enable input forbids; empty where it allows."""
        return self._facts.disabled()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being decided or carried out."""
        return not self._busy and not self._news.is_set()


def _print_of(command: Command) -> str:
    """Of a message with all its signatures: as many digits as are kept of a command's id."""
    signed = "\n".join(f"{one.key} {one.at_ns} {one.signature}" for one in command.signed)
    return hashlib.sha256(f"{command.id}\n{signed}".encode()).hexdigest()[:DIGITS]

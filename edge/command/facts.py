"""What is known at this moment of one command, put together for the questions of ``checks``."""

from __future__ import annotations

from collections.abc import Mapping

from edge.command.audit import Audit
from edge.command.checks import Asked, Check, Refusal, refusal
from edge.command.contracts import Contracts
from edge.command.enable import Enable
from edge.command.history import Change, with_change
from edge.command.machine import Machine
from edge.command.means import Means
from edge.command.readings import Readings
from edge.contract.commands import Command
from edge.contract.setpoint import SetpointContract
from edge.contract.terms import Look, Seen
from edge.ports import Clock

ENABLE_FRESH_S = 10.0
"""A tag that enables writes is known for so long."""
MINUTE_S = 60.0


class Facts:
    """Belongs to the event loop. ``checks`` are all of them, unless a test leaves one out."""

    def __init__(
        self, audit: Audit, contracts: Contracts, readings: Readings, means: Means, machine: Machine, *, enable: Enable,
        clock: Clock, gateway: str, checks: Mapping[str, Check] | None = None,
    ) -> None:  # fmt: skip
        self._audit, self._contracts, self._readings, self._means = audit, contracts, readings, means
        self._machine, self._enable, self._clock, self._gateway, self._checks = machine, enable, clock, gateway, checks
        self._started_ns = clock.mono_ns()

    def about(
        self, command: Command, *, unsigned: str = "", approvers: tuple[str, ...] = (), before: float | None = None,
        unread: str = "",
    ) -> Asked:  # fmt: skip
        contract = self._contracts.of(command.contract)
        kept, place, now_ns = self._audit.kept, place_of(command), self._clock.mono_ns()
        written, unwritable = self._machine.written(command.asset, command.tag, command.value)
        return Asked(
            command=command, gateway=self._gateway, wall_ns=self._clock.wall_ns(), mono_ns=now_ns,
            trusted=self._clock.trusted(), contract=contract, no_contract=self._contracts.why_not(command.contract),
            unsigned=unsigned, approvers=approvers, since_ns=self._since_ns(), order=kept.order,
            carried=kept.carried.get(place, 0), written=written, unwritable=unwritable, before=before,
            unread=unread, changes=tuple(kept.changes.get(place, ())),
            lost_s=None if kept.lost_ns is None else (now_ns - kept.lost_ns) / 1e9,
            look=self.look(contract) if contract is not None else _blind, disabled=self.disabled(),
            unmeasured=self._unmeasured(contract) if contract is not None else "",
        )  # fmt: skip

    def _since_ns(self) -> int:
        kept = self._audit.kept
        if kept.since_ns == 0 and self._clock.trusted():
            kept.since_ns = self._clock.wall_ns() - (self._clock.mono_ns() - self._started_ns)
        return kept.since_ns

    def refusal(self, asked: Asked, names: tuple[str, ...]) -> Refusal | None:
        return refusal(asked, names, self._checks)

    def lacking(self, command: Command, contract: SetpointContract, approvers: tuple[str, ...]) -> str:
        """What approvals it lacks still. Asked often of all that wait, so nothing else is looked at."""
        asked = Asked(command, self._gateway, 0, 0, trusted=False, contract=contract, approvers=approvers)
        refused = self.refusal(asked, ("approved",))
        return refused.words if refused is not None else ""

    def look(self, contract: SetpointContract) -> Look:
        return self._readings.look(contract.asset, contract.fresh_s, self._clock.mono_ns())

    def disabled(self) -> str:
        """Why the enable input forbids, or is not known to allow; empty where it allows."""
        return self._enable.why_not(self._readings.look("", ENABLE_FRESH_S, self._clock.mono_ns()))

    def switched_off(self) -> str:
        """Why the enable input forbids by what is known of it; empty where it does not."""
        look = self._readings.look("", ENABLE_FRESH_S, self._clock.mono_ns())
        return self._enable.why_not(lambda tag: seen if (seen := look(tag)).value is not None else Seen(True))

    def means(self, contract: SetpointContract) -> list[float | None]:
        """Of each regretted figure, over its last while."""
        now_ns = self._clock.mono_ns()
        return [self._means.of(contract.asset, regret, now_ns) for regret in contract.regret]

    def _unmeasured(self, contract: SetpointContract) -> str:
        for regret, mean in zip(contract.regret, self.means(contract), strict=True):
            if mean is None:
                return f"{regret.tag} was not measured well over the last {regret.over_s:g} s, so it cannot be compared"
        return ""

    def changed(self, command: Command, by: float, keep_s: float) -> None:
        """A write is about to go out, or has just gone out: note it, as of now."""
        changes, place = self._audit.kept.changes, place_of(command)
        change = Change(self._clock.mono_ns(), by)
        changes[place] = list(with_change(changes.get(place, []), change, keep_s=max(keep_s, MINUTE_S)))

    def ended_now(self, command: Command) -> None:
        """The write that was noted last has ended: what must pass until the next one passes from now on."""
        changes = self._audit.kept.changes[place_of(command)]
        changes[-1] = Change(self._clock.mono_ns(), changes[-1].by)


def place_of(command: Command) -> str:
    return f"{command.asset}.{command.tag}"


def _blind(_: object) -> Seen:
    return Seen()

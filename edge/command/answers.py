"""What people and other programs of this machine ask the room over the gateway's own socket, as plain data."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.command.contracts import terms_of
from edge.command.guard import Guard
from edge.contract.commands import Command, CommandStep
from edge.contract.downlink import command_of
from edge.contract.fields import Fields
from edge.contract.setpoint import Mode
from edge.contract.units import sign
from edge.local_socket import Handler


class Answers:
    """Belongs to the event loop. Whoever may open the socket may ask; what is done still wants its signatures."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def commands(self) -> dict[str, Handler]:
        return {
            "command": self.command, "commanded": self.commanded, "advice": self.advice, "advised": self.advised,
            "contracts": self.contracts,
        }  # fmt: skip

    def command(self, signed: dict[str, Any]) -> dict[str, Any]:
        """Take a signed command, or one with further signatures. Raises ``ValueError`` for what is none."""
        told = self._guard.receive(command_of(Fields(signed, "command")))
        return {"id": told.id, "step": told.step, "words": told.words}

    def commanded(self) -> dict[str, Any]:
        """Every command that is under way or waits, then those that ended, the newest first."""
        return {"commands": [*self.advice()["advice"], *map(msgspec.structs.asdict, self._guard.past.newest_first())]}

    def advice(self) -> dict[str, Any]:
        """Every command that is carried out, watched or waits: what it wants, and what it waits for."""
        running = [
            _shown(
                run.command,
                run.giver,
                "watched" if run.stage == "watching" else CommandStep.WRITING,
                self._guard.said(run),
            )
            | {"before": run.before, "approvers": run.approvers, "unit": terms_of(run.contract).unit}
            for run in self._guard.kept.runs
        ]
        return {"advice": [*running, *self.waiting()]}

    def waiting(self) -> list[dict[str, Any]]:
        """What waits for people; ``short`` says it in a few words, ``missing`` how many approvals are wanted still."""
        contracts, found = self._guard.in_force, []
        for one in self._guard.kept.waiting:
            contract = contracts.get(one.command.contract)
            wanted = contract.approvals if contract is not None and contract.mode is Mode.APPROVE else 0
            unit = contract.unit if contract is not None else ""
            found.append(
                _shown(one.command, one.giver, CommandStep.ADVISED if one.advised else CommandStep.WAITING, one.told)
                | {
                    "approvers": list(one.approvers), "approvals": wanted, "unit": unit,
                    "missing": max(wanted - len(one.approvers), 0),
                    "short": f"{one.command.tag} {one.command.value:.9g} {sign(unit)}".rstrip(),
                }
            )  # fmt: skip
        return found

    async def advised(self, digest: str, *, done: bool, by: str, why: str = "") -> dict[str, Any]:
        """The operator's word on the advice with this id. Raises ``BabbittError``."""
        told = await self._guard.answered(digest, done=bool(done), by=str(by)[:60], why=str(why)[:200])
        return {"id": told.id, "step": told.step, "words": told.words}

    def contracts(self) -> dict[str, Any]:
        """Those in force; ``disabled`` says why the enable input forbids, and is empty where it allows."""
        return {
            "disabled": self._guard.disabled,
            "order": self._guard.kept.order,
            "contracts": [
                {
                    "id": one.id, "version": one.version, "hash": one.hash, "why": one.why, "asset": one.asset,
                    "tag": one.tag, "unit": one.unit, "low": one.low, "high": one.high, "step_max": one.step_max,
                    "mode": str(one.mode), "approvals": one.approvals, "valid_from_ns": one.valid_from_ns,
                    "expires_ns": one.expires_ns,
                    "persons": [{"name": p.name, "key": p.fingerprint, "may": sorted(p.may)} for p in one.person],
                }
                for one in self._guard.in_force.values()
            ],
        }  # fmt: skip

    def status(self) -> dict[str, Any]:
        kept = self._guard.kept
        return {
            "contracts": len(self._guard.in_force), "waiting": len(kept.waiting), "running": len(kept.runs),
            "lost_s": self._guard.lost_s, "order": kept.order, "outcomes": kept.number,
            "refused": dict(self._guard.refused), "disabled": self._guard.disabled,
        }  # fmt: skip


def _shown(command: Command, giver: str, step: str, words: str) -> dict[str, Any]:
    return {
        "id": command.id, "order": command.order, "asset": command.asset, "tag": command.tag, "value": command.value,
        "why": command.why, "by": giver, "expires_ns": command.expires_ns, "step": str(step), "words": words,
        "contract": command.contract,
    }  # fmt: skip

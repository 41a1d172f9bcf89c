"""The contracts in force: of each id the highest version that a trusted engineer signed for this gateway.

Those that came from the cloud are kept; those that lie in the site's folder are read at every start. What was
withdrawn, or replaced by a higher version, is never taken again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import msgspec

from edge.command.audit import Audit
from edge.contract.commands import CommandStep, Outcome
from edge.contract.downlink import ContractDocument, WithdrawnContract
from edge.contract.setpoint import SetpointContract, contract_hash, parse_contract
from edge.errors import ConfigError
from edge.ports import Clock, Journal

NAME = "contracts"
"""The documents that came down, apart from what is kept with each outcome: they are large and seldom change."""
IN_FORCE_MAX = 64

log = logging.getLogger("babbitt.command")

Read = Callable[[ContractDocument], SetpointContract]
"""The contract of a document, where an engineer whom the site trusts signed it and it fits the site.

Raises ``ConfigError``.
"""


@lru_cache(IN_FORCE_MAX)
def terms_of(text: str) -> SetpointContract:
    """The contract of a text that was found good before."""
    return parse_contract(text.encode(), where="a contract")


@dataclass(frozen=True, slots=True)
class Held:
    contract: SetpointContract
    document: ContractDocument
    came_down: bool


class Contracts:
    """Belongs to the event loop."""

    def __init__(self, audit: Audit, journal: Journal, *, clock: Clock, gateway: str, read: Read) -> None:
        self._audit, self._journal, self._clock = audit, journal, clock
        self._gateway, self._read = gateway, read
        self._held: dict[str, Held] = {}

    def start(self, local: Sequence[ContractDocument]) -> None:
        """Those of the site's folder, then those that came down in former runs."""
        for document in local:
            self.take(document, came_down=False)
        for document in _documents(self._journal.kept(NAME)):
            self.take(document, came_down=True)

    def of(self, digest: str) -> SetpointContract | None:
        held = self._held.get(digest)
        return held.contract if held is not None else None

    def text(self, digest: str) -> str:
        return self._held[digest].document.text

    def why_not(self, digest: str) -> str:
        """Why there is no contract with this hash in force."""
        became = self._audit.kept.contracts.get(digest, "")
        return f"its contract was {became}" if became else "no contract here has this hash"

    def every(self) -> Iterator[SetpointContract]:
        for held in self._held.values():
            yield held.contract

    def take(self, document: ContractDocument, *, came_down: bool) -> None:
        """Hold it from now on, or tell why not. One that is held, or was refused as it is, changes nothing."""
        digest = contract_hash(document.text.encode())
        if digest in self._held or digest in self._audit.kept.withdrawn:
            return
        try:
            contract = self._read(document)
            why = self._why_not(contract)
        except ConfigError as error:
            contract, why = None, str(error)
        if contract is not None and not why:
            self._hold(contract, document, came_down=came_down)
        elif self._audit.kept.contracts.get(digest) != CommandStep.REFUSED and (
            not came_down or self._audit.hears_stranger()
        ):
            log.warning("contract %s is refused: %s", document.name, why)
            self._audit.kept.note_contract(digest, CommandStep.REFUSED)
            self._tell(digest, contract, CommandStep.REFUSED, "gateway", why)

    def withdraw(self, withdrawn: WithdrawnContract) -> None:
        """By hash, known here or not: it may still come."""
        kept = self._audit.kept
        if withdrawn.contract in kept.withdrawn:
            return
        held = self._held.pop(withdrawn.contract, None)
        was_here = {digest for _, digest in kept.versions.values()}
        if withdrawn.contract not in was_here and not self._audit.hears_stranger():
            return
        kept.withdraw(withdrawn.contract, was_here)
        kept.note_contract(withdrawn.contract, CommandStep.WITHDRAWN)
        contract = held.contract if held is not None else None
        self._tell(withdrawn.contract, contract, CommandStep.WITHDRAWN, withdrawn.by, withdrawn.why)
        self._keep()

    def check_again(self) -> None:
        """Let go of those that do not fit the site any more; they may be taken again."""
        for digest, held in list(self._held.items()):
            try:
                self._read(held.document)
            except ConfigError as error:
                del self._held[digest]
                self._audit.kept.note_contract(digest, CommandStep.WITHDRAWN)
                self._tell(digest, held.contract, CommandStep.WITHDRAWN, "gateway", str(error))

    def expire(self) -> None:
        """Let go of those whose time is over, by a clock that is trusted."""
        if not self._clock.trusted():
            return
        now_ns = self._clock.wall_ns()
        for digest, held in list(self._held.items()):
            if now_ns >= held.contract.expires_ns:
                del self._held[digest]
                self._audit.kept.note_contract(digest, CommandStep.EXPIRED)
                self._tell(digest, held.contract, CommandStep.EXPIRED, "gateway", "its time is over")
                self._keep()

    def _why_not(self, contract: SetpointContract) -> str:
        if contract.gateway != self._gateway:
            return f"it is for gateway {contract.gateway!r}"
        version, digest = self._audit.kept.versions.get(contract.id, (0, ""))
        if contract.version < version:
            return f"version {version} of {contract.id} has been here"
        if contract.version == version and contract.hash != digest:
            return f"another version {version} of {contract.id} has been here: a change wants a higher one"
        if self._clock.trusted() and self._clock.wall_ns() >= contract.expires_ns:
            return "its time is over"
        for held in self._held.values():
            other = held.contract
            if other.id != contract.id and (other.asset, other.tag) == (contract.asset, contract.tag):
                return f"contract {other.id} is in force for {contract.asset}.{contract.tag}: one tag has one"
        if len(self._held) >= IN_FORCE_MAX:
            return f"{IN_FORCE_MAX} contracts are in force"
        return ""

    def _hold(self, contract: SetpointContract, document: ContractDocument, *, came_down: bool) -> None:
        kept = self._audit.kept
        for digest, former in list(self._held.items()):
            if former.contract.id == contract.id:
                del self._held[digest]
                kept.note_contract(digest, CommandStep.WITHDRAWN)
                words = f"version {contract.version} replaces it"
                self._tell(digest, former.contract, CommandStep.WITHDRAWN, "gateway", words)
        self._held[contract.hash] = Held(contract, document, came_down)
        kept.versions[contract.id] = contract.version, contract.hash
        if kept.contracts.get(contract.hash) != CommandStep.ACCEPTED:
            kept.note_contract(contract.hash, CommandStep.ACCEPTED)
            words = f"contract {contract.id} version {contract.version}, mode {contract.mode}"
            self._tell(contract.hash, contract, CommandStep.ACCEPTED, "gateway", words)
        self._keep()

    def _keep(self) -> None:
        down = [asdict(held.document) for held in self._held.values() if held.came_down]
        self._journal.keep(NAME, msgspec.json.encode(down))

    def _tell(self, digest: str, contract: SetpointContract | None, step: CommandStep, by: str, words: str) -> None:
        self._audit.enter(Outcome(
            asset=contract.asset if contract is not None else "unknown", at_ns=self._clock.wall_ns(), command="",
            order=0, contract=digest, tag=contract.tag if contract is not None else "unknown", step=step, value=None,
            before=None, read_back=None, by=by, words=words,
        ))  # fmt: skip


def _documents(data: bytes | None) -> list[ContractDocument]:
    if data is None:
        return []
    try:
        return msgspec.json.decode(data, type=list[ContractDocument])
    except (msgspec.MsgspecError, ValueError) as error:
        log.error("the contracts that came down are not known any more, they have to come again: %s", error)
        return []

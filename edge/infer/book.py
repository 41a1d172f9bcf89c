"""The gateway's end of the sealed prediction ledger: numbers each verdict, chains it, and has it kept with its place.

A verdict and the place it takes in the chain become durable in one commit, so that after a kill or a power cut the
chain goes on from the last verdict that there is, beyond every number that was given since (``edge.contract.seal``).
"""

from __future__ import annotations

import logging

from edge.contract.seal import Link, genesis
from edge.contract.types import CHECKPOINT_CHARS_MAX, Checkpoint, Verdict
from edge.ports import Journal

log = logging.getLogger("babbitt.infer")


class Book:
    """Belongs to the event loop."""

    def __init__(self, journal: Journal, gateway: str) -> None:
        self._journal, self._gateway = journal, gateway
        self._links: dict[str, Link] = {}

    def enter(self, verdict: Verdict) -> Verdict:
        """The verdict, numbered and sealed, as it goes to the journal."""
        link = self._links.get(verdict.asset) or self._resumed(verdict.asset)
        made = link.sealed(verdict)
        link = self._links[verdict.asset] = link.after(made)
        self._journal.record(made, kept=(_name(verdict.asset), link.state()))
        return made

    def mark(self, asset: str, at_ns: int, checkpoint: str) -> None:
        """Have it kept where a judge stands, before the verdicts that it makes from there on."""
        if len(checkpoint) <= CHECKPOINT_CHARS_MAX:
            self._journal.record(Checkpoint(asset, at_ns, checkpoint))
        else:
            log.info("the judge of %s stands on too much to be told: its verdicts cannot be replayed", asset)

    def close(self) -> None:
        """No verdict follows: the next start goes on with the very next number."""
        for asset, link in self._links.items():
            self._journal.keep(_name(asset), link.state(clean=True))

    def _resumed(self, asset: str) -> Link:
        state = self._journal.kept(_name(asset))
        begun = Link(0, genesis(self._gateway, self._journal.epoch, asset))
        if state is None:
            return begun
        link = Link.resumed(state)
        if link is None:
            log.error("where the sealed verdicts of %s ended is not known any more: they begin again, openly", asset)
        return link or begun


def _name(asset: str) -> str:
    return f"seal/{asset}"

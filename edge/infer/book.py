"""The gateway's end of the sealed prediction ledger: numbers each verdict, chains it, and has it kept with its place.

A verdict and the place it takes in the chain become durable in one commit, so that after a kill or a power cut the
chain goes on from the last verdict that there is, beyond every number that was given since (``edge.contract.seal``).
"""

from __future__ import annotations

import json
import logging

from edge.contract.seal import Link, genesis
from edge.contract.types import CHECKPOINT_CHARS_MAX, Checkpoint, Verdict
from edge.ports import Journal

_NAME = "seals"

log = logging.getLogger("babbitt.infer")


class Book:
    """Belongs to the event loop."""

    def __init__(self, journal: Journal, gateway: str) -> None:
        self._journal, self._gateway = journal, gateway
        self._links: dict[str, Link] = {}
        self._kept: dict[str, str] = {}
        """Each end as JSON: all are kept in one state, since each state is a page to write, each second."""
        for asset, link in _former(journal).items():
            self._go_on(asset, link)

    def enter(self, verdict: Verdict) -> Verdict:
        """The verdict, numbered and sealed, as it goes to the journal."""
        link = self._links.get(verdict.asset) or Link(
            0, genesis(self._gateway, self._journal.epoch, verdict.asset)
        )  # fmt: skip
        made = link.sealed(verdict)
        self._go_on(verdict.asset, link.after(made))
        self._journal.record(made, kept={_NAME: self._state(clean=False)})
        return made

    def mark(self, asset: str, at_ns: int, checkpoint: str) -> None:
        """Have it kept where a judge stands, before the verdicts that it makes from there on."""
        if len(checkpoint) <= CHECKPOINT_CHARS_MAX:
            self._journal.record(Checkpoint(asset, at_ns, checkpoint))
        else:
            log.info("the judge of %s stands on too much to be told: its verdicts cannot be replayed", asset)

    def close(self) -> None:
        """No verdict follows: the next start goes on with the very next number."""
        self._journal.keep(_NAME, self._state(clean=True))

    def _go_on(self, asset: str, link: Link) -> None:
        self._links[asset] = link
        self._kept[asset] = f'{json.dumps(asset)}:[{link.number},"{link.seal}"]'

    def _state(self, *, clean: bool) -> bytes:
        return f'{{"clean":{"true" if clean else "false"},"ends":{{{",".join(self._kept.values())}}}}}'.encode()


def _former(journal: Journal) -> dict[str, Link]:
    """Where a former run ended, by asset; what is not known any more begins again, openly."""
    state = journal.kept(_NAME)
    if state is None:
        return {}
    try:
        found = json.loads(state)
        ends = {asset: Link.resumed(end, clean=found["clean"] is True) for asset, end in found["ends"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.error("where the sealed verdicts ended is not known any more, they begin again: %r", error)
        return {}
    return {asset: link for asset, link in ends.items() if link is not None}

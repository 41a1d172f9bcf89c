"""Whether the way is open: the one place that says up or down, and how long to wait before it is tried again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from edge.ports import Clock, StoredBlock

log = logging.getLogger("babbitt.uplink")

PAUSE_S_FIRST = 0.5


@dataclass(frozen=True, slots=True)
class UplinkState:
    """What the panel and the status show. ``up`` is False until the first acknowledgement; ``since_ns`` a wall time.

    ``failures`` counts tries that failed since the last acknowledgement.
    """

    up: bool
    since_ns: int
    detail: str
    last_ack_ns: int = 0
    failures: int = 0
    blocks_sent: int = 0
    bytes_sent: int = 0


class Standing:
    """Up after any acknowledgement, down after any failure; each change is logged once."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self.state = UplinkState(up=False, since_ns=clock.wall_ns(), detail="not yet connected")

    def up(self, blocks: Sequence[StoredBlock]) -> None:
        """``blocks`` were sent and answered for."""
        state, now_ns = self.state, self._clock.wall_ns()
        if not state.up:
            log.info("uplink up")
        self.state = replace(
            state, up=True, since_ns=state.since_ns if state.up else now_ns, detail="", last_ack_ns=now_ns, failures=0,
            blocks_sent=state.blocks_sent + len(blocks),
            bytes_sent=state.bytes_sent + sum(len(block.data) for block in blocks),
        )  # fmt: skip

    def down(self, reason: str) -> None:
        state = self.state
        if state.up or not state.failures:
            log.warning("uplink down: %s", reason)
        since_ns = self._clock.wall_ns() if state.up else state.since_ns
        self.state = replace(state, up=False, since_ns=since_ns, detail=reason, failures=state.failures + 1)


def pause_s(random: Random, failures: int, *, longest_s: float, wish_s: float | None) -> float:
    """Seconds to wait after ``failures`` in a row: full jitter up to a bound that doubles with each of them.

    Where the receiver named a pause (``wish_s``) it is kept, and the jitter comes on top: a fleet that was told the
    same pause does not come back all at once.
    """
    bound_s = min(longest_s, PAUSE_S_FIRST * 2.0 ** min(failures - 1, 30))
    return (wish_s or 0.0) + random.uniform(0.0, bound_s)

"""Looks for blocks that the store has lost or altered since it acknowledged them, a part at a time.

What is held was counted when it came; a store that loses a block afterwards must not go on agreeing. Numbers are
counted against the index, a run of them at a time, and blocks are read again and checked against their checksums.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from cloud.store import accounts
from cloud.store.reader import Reader
from edge.contract.block import peek
from edge.errors import BlockError

RECOUNT_AFTER_S = 15.0
RUN_MAX = 200_000
"""Numbers of one stream that are counted at once: a few milliseconds."""
READ_AT_ONCE = 32


@dataclass(slots=True)
class _Stream:
    """Missing blocks by run, and which run is next."""

    gone: dict[int, int] = field(default_factory=dict)
    next_run: int = 0
    counted_s: float = -RECOUNT_AFTER_S


class Audit:
    """May be asked from any thread."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._streams: defaultdict[int, _Stream] = defaultdict(_Stream)
        self._altered: dict[int, str] = {}
        self._found: dict[int, str] = {}
        self._read_to = 0

    def faults(self, reader: Reader, gateway: str) -> tuple[int, int]:
        """How many acknowledged blocks of a gateway are in the store no longer, and how many have been altered."""
        with self._lock:
            with reader.snapshot() as connection:
                gone = 0
                for stream, through in accounts.streams(connection, gateway).items():
                    known = self._streams[stream]
                    if self._monotonic_s() - known.counted_s >= RECOUNT_AFTER_S:
                        known.counted_s = self._monotonic_s()
                        first = known.next_run * RUN_MAX + 1
                        last = min(first + RUN_MAX - 1, through)
                        known.gone[first] = accounts.gone(connection, stream, first, last) if first <= last else 0
                        known.next_run = known.next_run + 1 if last < through else 0
                    gone += sum(known.gone.values())
            altered = {block for block, owner in (self._altered | self._found).items() if owner == gateway}
        return gone, len(altered)

    def read_on(self, reader: Reader) -> None:
        """Read the next few blocks again; after the last one it begins anew."""
        with reader.snapshot() as connection:
            rows = accounts.blocks_after(connection, self._read_to, limit=READ_AT_ONCE)
        with self._lock:
            for block, gateway, seq, data in rows:
                if not _is_sound(data, seq):
                    self._found[block] = gateway
            self._read_to = rows[-1][0] if rows else 0
            if not rows:
                self._altered, self._found = self._found, {}


def _is_sound(data: bytes, seq: int) -> bool:
    try:
        return peek(data).key.seq == seq
    except BlockError:
        return False

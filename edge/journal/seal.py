"""From what came in to sealed blocks: one a lane, or a few where the codec's limits ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.contract.block import encode_block
from edge.contract.types import Dropped, Key, Lane, Record
from edge.errors import BlockError
from edge.journal.counts import Held, Owes, Poll, tally
from edge.journal.groups import Groups

Polls = Sequence[Poll]

# A record is at most a few kilobytes of JSON, and a block's directory holds four megabytes of it; what a block cannot
# hold for its samples is split by halves.
RECORDS_PER_BLOCK_MAX = 2000


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed block with its account. ``data`` is empty where the codec cannot hold its one poll or record.

    ``dictionary``, ``tells``, ``thinned`` and ``owes`` are the columns of the store's table.
    """

    seq: int
    lane: Lane
    readings: int
    sealed_ns: int
    from_ns: int
    to_ns: int
    held: tuple[Held, ...]
    data: bytes
    dictionary: int = 0
    tells: int = 0
    thinned: int = 0
    owes: Owes = ()


def owes_of(records: Iterable[Record]) -> Owes:
    """The losses that records declare."""
    return tuple((r.asset, r.tag, r.count) for r in records if isinstance(r, Dropped) and r.count)


@dataclass(slots=True)
class Sealer:
    """Seals under the store's name and counts its blocks. What was polled is named by the groups known by then."""

    gateway: str
    epoch: str
    boot: str
    last_seq: int
    groups: Groups

    def seal(self, lane: Lane, sealed_ns: int, polls: Polls, records: Sequence[Record]) -> list[Sealed]:
        """Blocks that hold all of ``polls`` and ``records``, none where there is nothing."""
        batches = [batch for poll in polls for batch in poll.batches]
        if not batches and not records:
            return []
        if len(records) > RECORDS_PER_BLOCK_MAX:
            return self._halves(lane, sealed_ns, polls, records)
        seq = self.last_seq + 1
        named, dictionary = self.groups.newest_dictionary() if polls else (0, None)
        try:
            data = encode_block(
                Key(self.gateway, self.epoch, seq), boot=self.boot, lane=lane, sealed_ns=sealed_ns,
                batches=batches, records=records, dictionary=dictionary,
            )  # fmt: skip
        except BlockError:
            if len(polls) + len(records) > 1:
                return self._halves(lane, sealed_ns, polls, records)
            data = b""
        else:
            self.last_seq = seq
        tallies = tally(polls)
        return [Sealed(
            seq=seq, lane=lane, readings=sum(len(batch.tags) for batch in batches), sealed_ns=sealed_ns,
            from_ns=min((t.from_ns for t in tallies.values()), default=sealed_ns),
            to_ns=max((t.to_ns for t in tallies.values()), default=sealed_ns),
            held=tuple(Held(g.id, hour_ns, t.kept(len(g.tags))) for (g, hour_ns), t in tallies.items()), data=data,
            dictionary=named,
            owes=owes_of(records),
        )]  # fmt: skip

    def _halves(self, lane: Lane, sealed_ns: int, polls: Polls, records: Sequence[Record]) -> list[Sealed]:
        """Split what is too much for one block. The polls come first: later records may speak of them."""
        if polls and records:
            parts: list[tuple[Polls, Sequence[Record]]] = [(polls, ()), ((), records)]
        else:
            half = max(len(polls), len(records)) // 2
            parts = [(polls[:half], records[:half]), (polls[half:], records[half:])]
        return [block for part in parts for block in self.seal(lane, sealed_ns, *part)]

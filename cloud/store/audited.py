"""What a gateway told of commands and contracts, journal by journal, in the order in which it sealed it.

Read from what was written down with each block: it is there also where retention has taken the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from cloud.store.reader import Reader
from edge.contract.commands import Outcome


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome; ``seq`` is its block's number."""

    seq: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Audited:
    """Of one journal. Each number up to ``through`` is held or will never come; ``absent`` are runs, with the cause."""

    gateway: str
    epoch: str
    through: int
    told: tuple[Told, ...]
    absent: tuple[tuple[int, int, str], ...]


def audited(reader: Reader, gateway: str) -> list[Audited]:
    """Of every journal of a gateway, in the order in which they were first seen."""
    with reader.snapshot() as connection:
        found = []
        for stream, epoch, through in connection.execute(_STREAMS, (gateway,)).fetchall():
            rows = connection.execute("SELECT seq, record FROM outcome WHERE stream = ? ORDER BY seq, place", (stream,))
            told = tuple(Told(seq, _OUTCOME(record)) for seq, record in rows)
            absent = connection.execute(_ABSENT, (stream,)).fetchall()
            found.append(Audited(gateway, epoch, through, told, tuple(absent)))
        return found


_STREAMS = (
    "SELECT stream.id, epoch, through FROM stream JOIN gateway ON gateway.id = stream.gateway"
    " WHERE gateway.gateway = ? ORDER BY stream.id"
)
_ABSENT = "SELECT first_seq, last_seq, cause FROM absent WHERE stream = ? ORDER BY first_seq"
_OUTCOME = msgspec.json.Decoder(Outcome).decode

"""What becomes of the records in a block that is dropped. Its readings are the ledger's affair.

What cannot be learned again goes up with a later block: names, alarms, corrections of the clock and declared losses.
Rows of the ledger are made anew from the ledger itself. Judgements and snapshots are gone, and are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.contract.types import Alarm, Asset, ClockSet, Dropped, LedgerRow, Record


@dataclass(frozen=True, slots=True)
class Carried:
    """``records`` and ``dropped`` are to be sent again; ``lost`` is how many are not."""

    records: list[Record]
    dropped: list[Dropped]
    lost: int


def carried(records: Iterable[Record]) -> Carried:
    """Part the records of a dropped block."""
    again: list[Record] = []
    dropped: list[Dropped] = []
    lost = 0
    for record in records:
        match record:
            case Alarm() | Asset() | ClockSet():
                again.append(record)
            case Dropped():
                dropped.append(record)
            case LedgerRow():
                pass
            case _:
                lost += 1
    return Carried(again, dropped, lost)


def lost(records: Iterable[Record]) -> int:
    """How many records are lost with a block of which nothing is sent again; the ledger tells its own part."""
    return sum(not isinstance(record, LedgerRow | Dropped) for record in records)

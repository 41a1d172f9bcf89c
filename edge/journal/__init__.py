"""The journal: the gateway's durable store. Every reading that was asked for is counted, and every loss is declared.

What it promises

- What ``commit`` returned for is on the disk: one transaction in SQLite's WAL with ``synchronous=FULL`` writes sealed
  blocks, the ledger, the rooms' states and the counters together, so that they never disagree.
- The ledger balances at every moment: ``offered = good + bad``, ``good = kept + unchanged``, ``kept = acknowledged
  + pending + thinned + dropped``. ``pending`` is counted from the blocks themselves, not derived from the equation.
- A sequence number is never used twice, and what was acknowledged is never handed out again.
- Each row of the ledger is told until a block that tells it was acknowledged: a crash forgets no correction, and a
  lost block's rows are told again. Rows long settled are folded into one a tag; the equation holds for it too.
- A store of a former version is brought to this one in one transaction, with all that it holds.

Which faults it survives

- SIGKILL between two commits: the recorder (a mapped file) counts what was lost; it is declared with cause power at the
  next opening. A poll that was asked when the kill came is declared too, answered or not.
- A power cut: committed blocks are there. The recorder may be stale; the gap is declared by its times, and by its
  count as far as that is known.
- A disk that is full or refuses: a reserve is released, the oldest telemetry thinned. What still does not fit waits
  sealed in bounded memory; beyond the bound the oldest telemetry is dropped and declared with cause disk.
- A store that is broken is set aside by a rename and a new one with a new epoch begins; the recorder knows what waited
  in the old one (cause disk). Where the disk took back only the last commits (a WAL with flipped bits), the store goes
  on with numbers beyond those; what they held is declared (cause disk).
- A block that the disk altered, or whose names it altered, is declared with cause decode and never sent; its bytes are
  set aside in the store. Of the records in a lost block, alarms, names, corrections of the clock and declared losses go
  up with a later one; verdicts and snapshots are counted (``losses``).
- A disk that takes no store at the start at all: ``open_unkept`` in its stead, in memory, until it does.
- Another program's database, or another gateway's store, is refused and left as it is.
- Near its cap, or where the disk has less free than its floor, the store thins the oldest telemetry that was never
  handed out; over it, it drops the oldest, declared with cause cap; alarms go last.
"""

from __future__ import annotations

from pathlib import Path

from edge.config.tables import Gateway
from edge.contract.types import LedgerRow
from edge.journal.counts import totals
from edge.journal.deadband import ByException
from edge.journal.groups import Groups
from edge.journal.journal import SqliteJournal
from edge.journal.ledger import stored_rows
from edge.journal.limits import Limits
from edge.journal.schema import read_beside
from edge.journal.summary import Summary, read_summary
from edge.journal.unkept import UnkeptJournal, open_unkept, take_over
from edge.ports import Clock

__all__ = [
    "ByException",
    "Limits",
    "SqliteJournal",
    "Summary",
    "UnkeptJournal",
    "open_journal",
    "open_unkept",
    "read_ledger",
    "read_summary",
    "take_over",
    "totals",
]


def open_journal(path: Path, gateway: Gateway, *, clock: Clock) -> SqliteJournal:
    """Open the store at ``path``, made where there is none.

    Raises ``StoreError``, ``UnwritableStoreError`` where its disk takes nothing now.
    """
    store_bytes_max = gateway.store_mb_max * 1024 * 1024
    limits = Limits(
        store_bytes_max=store_bytes_max,
        free_bytes_min=gateway.free_mb_min * 1024 * 1024,
        ledger_bytes_max=min(64 * 1024 * 1024, store_bytes_max // 8),
    )
    return SqliteJournal(path, gateway=gateway.id, clock=clock, limits=limits)


def read_ledger(path: Path) -> list[LedgerRow]:
    """The ledger as the last commit left it, of a gateway that runs or not. Changes nothing. Raises ``StoreError``."""
    with read_beside(path) as connection:
        return stored_rows(connection, Groups(connection).by_id)

"""What every round does once its fault is over: start a gateway on what is left, and settle the account."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import BrokenStoreError
from edge.journal import SqliteJournal
from tests.faults.gateway import opened
from tests.faults.numbered import Account, Counts, Declaration
from tests.faults.received import ALARM, declare_thinned, declare_untold
from tests.faults.told import Truth
from tests.laws.journals import BentClock

RAM = Path("/dev/shm")  # noqa: S108

# Thousands of starts after faults: what they log is what they are meant to.
logging.getLogger("babbitt.journal").addHandler(logging.NullHandler())


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that may be lost, in memory where it can be: there syncing costs nothing."""
    with tempfile.TemporaryDirectory(prefix="faults-", dir=RAM if os.access(RAM, os.W_OK) else None) as folder:
        yield Path(folder)


def started(folder: Path, clock: BentClock, *, boot: str) -> SqliteJournal:
    """The journal once all that waits was looked at, so that what the disk altered is declared.

    Where that finds the store broken, at the start or later, the gateway starts anew, as its runtime does.
    """
    try:
        journal = opened(folder / "store.db", clock, boot=boot)
        journal.pending(limit_bytes=10**9)
        journal.commit()
        journal.ledger()
    except BrokenStoreError:
        return opened(folder / "store.db", clock, boot=boot)
    return journal


def settled(
    journal: SqliteJournal,
    truth: Truth,
    *,
    after_power_cut: bool = False,
    believe: bool = True,
    alarms_vouched: bool = True,
    timeless: bool = False,
    untold: bool = False,
) -> tuple[Counts, Account]:
    """Let the receiver have everything that waits, and account for every reading that was served.

    Without ``believe`` the journal's declarations count for nothing. Alarms are not vouched for where a disk took whole
    blocks back: nothing counts them. Where a disk alters blocks, declarations in them are ``untold`` and the ledger's
    rows are all that tells of these losses.
    """
    received, revived = truth.received.copy(), 0
    waiting = journal.pending(limit_bytes=10**9)
    for block in waiting:
        # A receiver has passed over the numbers below: what comes there again is out of its order, where no disk is
        # to blame that gave up what was written.
        revived += after_power_cut and block.seq < truth.oldest.get(journal.epoch, 0)
        received.take(journal.epoch, block)
    rows = journal.ledger()
    assert all(row.balanced for row in rows), rows
    account = truth.account()
    clashes = received.fill(
        account, after_power_cut=after_power_cut, waiting={(journal.epoch, block.seq) for block in waiting},
        believe=believe, timeless=timeless,
    )  # fmt: skip
    if believe:
        declare_thinned(account, [*rows, *received.rows_of_others(journal.epoch)])
    if untold:
        declare_untold(account, rows, received, journal.epoch)
    if not alarms_vouched:
        account.declare(ALARM, Declaration(len(truth.alarms), 0, truth.last_ns))
    return Counts(reordered=revived) + clashes + account.settle(), account

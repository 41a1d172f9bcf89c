"""What a crash took, from the difference between the recorder and the last commit.

- Good readings that were answered and not committed: kept, and dropped for power.
- Bad ones: bad by their cause; only their rows are missing.
- Polls that were asked and whose answer never came to the store: the device may have served them, so they are declared
  dropped for power too. At most one a poller and kill, this errs on the side of declaring too much.
- After a power cut or a reboot, or a run that found no room for a recorder of its own, the recorder is no more than a
  lower bound: every scan group in use is declared by its times, with the count that is known, which may be 0.
- Where the recorder knows of a block that the store does not (its WAL was altered, and SQLite gives up what follows),
  the same difference was lost by the disk, not for want of power.
- Where the store itself was broken, the recorder also knows how much of the former runs waited in it (cause disk).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.contract.types import Cause, Dropped
from edge.journal.counts import Counts, ScanGroup, Tally, hour_of, stored_json, unpack_counts
from edge.journal.ledger import Ledger
from edge.journal.recorder import ANSWERED, ASKED, COUNT_MAX, LAST_NS, Recording, Taken, taken_since
from edge.journal.signed import sign, verified
from edge.ports import Losses

UNCOMMITTED_NS_MAX = 10 * 10**9
"""A gateway commits every second: so much later than the last commit, everything is lost that ever will be."""

Group = Callable[[str, tuple[str, ...]], ScanGroup]


@dataclass(frozen=True, slots=True)
class LastRun:
    """The store's own row as the former run left it."""

    epoch: str
    gateway: str
    run: int
    boot: str
    clean: bool
    last_seq: int
    committed_ns: int
    counted: dict[str, list[Any]]
    losses: Losses


def read_last_run(connection: sqlite3.Connection) -> LastRun:
    """Raises ``sqlite3.DatabaseError`` where the row was altered."""
    *known, counted, records_lost, blocks_quarantined = connection.execute(
        "SELECT epoch, gateway, run, boot, clean, last_seq, committed_ns, counted, records_lost, blocks_quarantined"
        " FROM store"
    ).fetchone()
    counted = verified(counted, *known)
    epoch, gateway, run, boot, clean, last_seq, committed_ns = known
    with stored_json():
        return LastRun(
            epoch, gateway, run, boot, bool(clean), last_seq, committed_ns, json.loads(counted),
            Losses(records_lost, blocks_quarantined),
        )  # fmt: skip


def newest_number(last: LastRun, recording: Recording | None) -> int:
    """The highest number that was ever given: what the disk took back must not be given again."""
    known = recording is not None and (recording.epoch, recording.run) == (last.epoch, last.run)
    return max(last.last_seq, recording.last_seq) if recording is not None and known else last.last_seq


def write_run(
    connection: sqlite3.Connection, *, run: int, boot: str, clean: bool, last_seq: int, committed_ns: int,
    counted: dict[str, list[Any]], losses: Losses,
) -> None:  # fmt: skip
    """Put the store's own row into the open transaction."""
    named = connection.execute("SELECT epoch, gateway FROM store").fetchone()
    known = (run, boot, int(clean), last_seq, committed_ns)
    connection.execute(
        "UPDATE store SET run = ?, boot = ?, clean = ?, last_seq = ?, committed_ns = ?, counted = ?, records_lost = ?,"
        " blocks_quarantined = ?",
        (*known, sign(json.dumps(counted, separators=(",", ":")), *named, *known), losses.records, losses.blocks),
    )


def declare_crash(
    last: LastRun, recording: Recording | None, *, boot: str, now_ns: int, group: Group, ledger: Ledger
) -> list[Dropped]:
    """Account for what the former run lost after its last commit; returns the declarations to send."""
    if last.clean or not last.run:
        return []
    believed = recording is not None and (recording.epoch, recording.run) == (last.epoch, last.run)
    certain = recording is not None and believed and recording.complete and boot == last.boot
    rewound = believed and recording is not None and recording.last_seq > last.last_seq
    cause = Cause.DISK if rewound else Cause.POWER
    # The recorder's times may be as stale as its counts. A clock that is behind after a power cut, as it is where no
    # battery drives it, cannot tell the gap's end either.
    gap_to_ns = now_ns if now_ns > last.committed_ns else last.committed_ns + UNCOMMITTED_NS_MAX
    declared: list[Dropped] = []
    seen: set[int] = set()
    for recorded in recording.groups if recording is not None and believed else ():
        scanned = group(recorded.asset, recorded.tags)
        seen.add(scanned.id)
        answered, bad = _counted(last, scanned)
        taken = taken_since(recorded.cells, answered, bad)
        if taken.empty and certain:
            continue
        last_ns = _believable(int(recorded.cells.polls[LAST_NS]), last.committed_ns, now_ns)
        from_ns, to_ns = last.committed_ns, last_ns if certain else max(gap_to_ns, last_ns)
        if to_ns < from_ns:
            from_ns = to_ns - UNCOMMITTED_NS_MAX  # The clock was set back since the last commit.
        lost = _account(ledger, scanned, taken, cause, last_ns=last_ns, from_ns=from_ns, to_ns=to_ns)
        declared += [dropped for dropped in lost if dropped.count or not certain]
    if not certain:
        declared += [
            Dropped(scanned.asset, tag, cause, 0, last.committed_ns, gap_to_ns)
            for scanned in ledger.groups_in_use(last.committed_ns)
            if scanned.id not in seen
            for tag in scanned.tags
        ]
    return declared


def declare_broken_store(recording: Recording | None, *, now_ns: int, group: Group, ledger: Ledger) -> list[Dropped]:
    """Account in a new store for everything that waited in the broken one, as far as the recorder knows it."""
    lost: dict[tuple[str, str], tuple[int, int]] = {}
    for recorded in recording.groups if recording is not None else ():
        cells = recorded.cells
        answered = int(np.clip(cells.polls[ANSWERED], 0, COUNT_MAX))
        in_flight = int(np.clip(cells.polls[ASKED] - cells.polls[ANSWERED], 0, COUNT_MAX))
        good = answered - cells.bad.sum(axis=0) + cells.waiting + in_flight
        last_ns = _believable(int(cells.polls[LAST_NS]), 0, now_ns)
        for tag, count in zip(recorded.tags, good.tolist(), strict=True):
            before, at_ns = lost.get((recorded.asset, tag), (0, 0))
            lost[recorded.asset, tag] = before + count, max(at_ns, last_ns)
    declared = [
        Dropped(asset, tag, Cause.DISK, min(count, COUNT_MAX), to_ns, to_ns)
        for (asset, tag), (count, to_ns) in lost.items()
        if count > 0
    ]
    for dropped in declared:
        ledger.declared(group(dropped.asset, (dropped.tag,)), dropped)
    return declared


def _account(
    ledger: Ledger, group: ScanGroup, taken: Taken, cause: Cause, *, last_ns: int, from_ns: int, to_ns: int
) -> list[Dropped]:
    """Enter the loss into the ledger at ``last_ns``; it happened between the other two."""
    bad = {(int(f), int(t)): int(taken.bad[f, t]) for f, t in np.argwhere(taken.bad)}
    lost = Tally(polls=taken.answered + taken.unanswered, bad=bad)
    good = ledger.answered(group, hour_of(last_ns), lost, dropped=cause)
    return [
        Dropped(group.asset, tag, cause, count, from_ns, max(from_ns, to_ns))
        for tag, count in zip(group.tags, good.tolist(), strict=True)
    ]


def _counted(last: LastRun, group: ScanGroup) -> tuple[int, Counts]:
    tags = len(group.tags)
    answered, *bad = last.counted.get(str(group.id), [0, 0, 0, 0])
    return answered, np.stack([unpack_counts(row, tags) for row in bad])


def _believable(at_ns: int, committed_ns: int, now_ns: int) -> int:
    """A poll's time where the counter holds one, else the last moment that is known."""
    return at_ns if at_ns > 0 else committed_ns or now_ns

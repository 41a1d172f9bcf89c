"""The store at a glance, read beside a gateway that runs or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.journal.recovery import read_last_run
from edge.journal.schema import read_beside
from edge.ports import Losses


@dataclass(frozen=True, slots=True)
class Aside:
    """A block that was found altered, and whose bytes are kept in the store: why, and when (wall clock)."""

    seq: int
    found_ns: int
    problem: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What awaits acknowledgement; ``thinned`` of the blocks were thinned, ``oldest_ns`` is the oldest reading's."""

    blocks: int
    readings: int
    bytes: int
    thinned: int
    oldest_ns: int | None


@dataclass(frozen=True, slots=True)
class Hours:
    """The ledger's rows of a scan group and hour: how many there are, and how many of them are still to be told.

    Earlier ones, from the hour ``folded_from_ns`` to ``folded_to_ns`` (None: none), are known by their sum only.
    """

    count: int
    due: int
    folded_from_ns: int | None
    folded_to_ns: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """``aside`` are files beside the store: those that were broken, oldest first."""

    gateway: str
    epoch: str
    last_seq: int
    committed_ns: int
    waiting: Waiting
    hours: Hours
    losses: Losses
    quarantined: tuple[Aside, ...]
    aside: tuple[str, ...]


def read_summary(path: Path) -> Summary:
    """The store as the last commit left it. Changes nothing. Raises ``StoreError``."""
    with read_beside(path) as connection:
        run = read_last_run(connection)
        return Summary(
            gateway=run.gateway, epoch=run.epoch, last_seq=run.last_seq, committed_ns=run.committed_ns,
            waiting=Waiting(*connection.execute(WAITING).fetchone()),
            hours=Hours(*connection.execute(HOURS).fetchone()), losses=run.losses,
            quarantined=tuple(Aside(*row) for row in connection.execute(QUARANTINED)),
            aside=tuple(sorted(p.name for p in path.parent.glob(f"{path.name}.corrupt-*") if not _is_wal(p))),
        )  # fmt: skip


WAITING = """SELECT count(*), coalesce(sum(readings), 0), coalesce(sum(size), 0), coalesce(sum(thinned > 0), 0),
min(from_ns) FROM block"""
HOURS = """SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM ledger WHERE told IS NULL), min(from_ns),
max(to_ns) FROM folded"""
QUARANTINED = "SELECT seq, found_ns, problem FROM quarantine ORDER BY id"


def _is_wal(path: Path) -> bool:
    return path.name.endswith(("-wal", "-shm"))

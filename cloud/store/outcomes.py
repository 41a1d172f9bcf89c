"""What became of machines, as people tell it: failures, replacements, false alarms, inspections; never overwritten.

A file of its own beside the store: no block holds it, so no rebuild, retention or release of the store may touch it,
and a person's word waits for no gateway's. Each line is one revision; a correction adds the next one, and triggers
refuse what would change or remove a line.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cloud.store.beside import Beside
from edge.errors import BabbittError

APPLICATION_ID = 0x4241424F  # "BABO"
VERSION = 1
WORDS_CHARS_MAX = 2000
BY_CHARS_MAX = 64
COST_MAX = 1e12
DOWNTIME_H_MAX = 1e5
PER_ASSET_MAX = 10_000
"""Revisions of one asset: decades of a planner's work, and no way to fill a disk."""
AHEAD_NS_MAX = 86_400 * 10**9
"""A person's clock may be ahead, and a time without a zone be meant in theirs."""

_TABLES = """
CREATE TABLE IF NOT EXISTS outcome(
    number INTEGER NOT NULL, revision INTEGER NOT NULL, gateway TEXT NOT NULL, asset TEXT NOT NULL,
    at_ns INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, cost REAL, downtime_h REAL,
    words TEXT NOT NULL, alarm_ns INTEGER, by TEXT NOT NULL, told_ns INTEGER NOT NULL,
    PRIMARY KEY(number, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcome_of_asset ON outcome(gateway, asset, number);
CREATE TRIGGER IF NOT EXISTS outcome_stays BEFORE UPDATE ON outcome
BEGIN SELECT RAISE(ABORT, 'outcomes are never overwritten'); END;
CREATE TRIGGER IF NOT EXISTS outcome_is_kept BEFORE DELETE ON outcome
BEGIN SELECT RAISE(ABORT, 'outcomes are never removed'); END;
"""


class Kind(StrEnum):
    """What happened. ``REPLACED_HEALTHY`` is a life that was cut short by a person: right-censored, no failure."""

    FAILURE = "failure"
    REPLACED_HEALTHY = "replaced_healthy"
    FALSE_ALARM = "false_alarm"
    INSPECTED_OK = "inspected_ok"


class State(StrEnum):
    """How sure it is: an alarm alone proposes; a person confirms, corrects what was told, or rejects it."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    CORRECTED = "corrected"
    REJECTED = "rejected"

    @property
    def counts(self) -> bool:
        """Whether a person stands by it: it may be learned from and scored with."""
        return self in (State.CONFIRMED, State.CORRECTED)


@dataclass(frozen=True, slots=True)
class Told:
    """What a person tells: what happened ``at_ns``, with its ``cost`` in their own money, and what was found.

    ``alarm_ns`` is when the alarm was raised that it answers, None where none was.
    """

    at_ns: int
    kind: Kind
    state: State = State.CONFIRMED
    cost: float | None = None
    downtime_h: float | None = None
    words: str = ""
    alarm_ns: int | None = None

    def refusal(self, now_ns: int) -> str:
        """Why it cannot be taken, in words; empty where it can."""
        if self.state is State.PROPOSED:
            return "a person confirms, corrects or rejects; only an alarm proposes"
        if not 0 < self.at_ns <= now_ns + AHEAD_NS_MAX:
            return "`at` lies in the future" if self.at_ns > 0 else "`at` lies before 1970"
        for name, figure, most in (("cost", self.cost, COST_MAX), ("downtime_h", self.downtime_h, DOWNTIME_H_MAX)):
            if figure is not None and not (math.isfinite(figure) and 0.0 <= figure <= most):
                return f"`{name}` wants a number from 0 to {most:,.0f}"
        if len(self.words) > WORDS_CHARS_MAX:
            return f"`words` wants at most {WORDS_CHARS_MAX:,} characters"
        return ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One revision of what was told: ``number`` names it, ``revision`` counts from 1. See ``Told`` for the rest."""

    number: int
    revision: int
    gateway: str
    asset: str
    at_ns: int
    kind: Kind
    state: State
    cost: float | None
    downtime_h: float | None
    words: str
    alarm_ns: int | None
    by: str
    told_ns: int


class NotTakenError(BabbittError):
    """An outcome that cannot be taken as it was told."""


class Outcomes:
    """May be asked from any thread, and by several processes at once."""

    def __init__(self, folder: Path) -> None:
        """Opens, or makes, ``outcomes.sqlite3`` in the store's folder. Raises ``StoreError``."""
        self._file = Beside(
            folder / "outcomes.sqlite3", application_id=APPLICATION_ID, version=VERSION, tables=_TABLES
        )  # fmt: skip

    def close(self) -> None:
        self._file.close()

    def tell(self, gateway: str, asset: str, told: Told, *, by: str, now_ns: int) -> Outcome:
        """Write down what ``by`` tells of an asset, once it is safe on the disk. Raises ``NotTakenError``."""
        return self._write(gateway, asset, None, told, by=by, now_ns=now_ns)

    def correct(self, before: Outcome, told: Told, *, by: str, now_ns: int) -> Outcome:
        """Add a revision to ``before``. Raises ``NotTakenError``, also where somebody else has done so meanwhile."""
        return self._write(before.gateway, before.asset, before, told, by=by, now_ns=now_ns)

    def newest(self, gateway: str | None = None, asset: str | None = None) -> list[Outcome]:
        """The newest revision of each outcome of an asset (or of all), those that happened last first."""
        where, values = _of(gateway, asset)
        rows = self._file.rows(
            f"SELECT {_COLUMNS}, max(revision) FROM outcome {where} GROUP BY number ORDER BY at_ns DESC, number DESC",
            values,
        )
        return [_outcome(row[:-1]) for row in rows]

    def history(self, gateway: str | None = None, asset: str | None = None) -> list[Outcome]:
        """Every revision ever told, oldest first."""
        where, values = _of(gateway, asset)
        return [_outcome(row) for row in self._file.rows(f"SELECT {_COLUMNS} FROM outcome {where} {_ORDER}", values)]

    def _write(
        self, gateway: str, asset: str, before: Outcome | None, told: Told, *, by: str, now_ns: int
    ) -> Outcome:  # fmt: skip
        where = f"{gateway}/{asset}"
        if refusal := told.refusal(now_ns) or ("" if 0 < len(by) <= BY_CHARS_MAX else "it names nobody who tells"):
            raise NotTakenError(where, refusal)
        with self._file.changing() as db:
            (count,) = db.execute(
                "SELECT count(*) FROM outcome WHERE gateway=? AND asset=?", (gateway, asset)
            ).fetchone()
            if count >= PER_ASSET_MAX:
                raise NotTakenError(where, f"has {count:,} entries already, which is the most")
            (last,) = db.execute("SELECT coalesce(max(number), 0) FROM outcome").fetchone()
            number, revision = (last + 1, 1) if before is None else (before.number, before.revision + 1)
            made = Outcome(
                number, revision, gateway, asset, told.at_ns, told.kind, told.state, told.cost, told.downtime_h,
                told.words, told.alarm_ns, by, now_ns,
            )  # fmt: skip
            try:
                db.execute(f"INSERT INTO outcome({_COLUMNS}) VALUES ({_MARKS})", _row(made))
            except sqlite3.IntegrityError as error:
                hint = "look at it again, then correct what stands there now"
                raise NotTakenError(where, "somebody has corrected it meanwhile", hint) from error
        return made


_NAMES = (
    "number", "revision", "gateway", "asset", "at_ns", "kind", "state", "cost", "downtime_h", "words", "alarm_ns", "by",
    "told_ns",
)  # fmt: skip
_COLUMNS, _MARKS, _ORDER = ", ".join(_NAMES), ", ".join("?" * len(_NAMES)), "ORDER BY told_ns, number, revision"


def _of(gateway: str | None, asset: str | None) -> tuple[str, tuple[str, ...]]:
    given = [(name, value) for name, value in (("gateway", gateway), ("asset", asset)) if value is not None]
    where = " AND ".join(f"{name}=?" for name, _ in given)
    return f"WHERE {where}" if given else "", tuple(value for _, value in given)


def _row(outcome: Outcome) -> tuple[Any, ...]:
    values = (getattr(outcome, name) for name in _NAMES)
    return tuple(str(value) if isinstance(value, StrEnum) else value for value in values)


def _outcome(row: tuple[Any, ...]) -> Outcome:
    found = dict(zip(_NAMES, row, strict=True))
    return Outcome(**{**found, "kind": Kind(found["kind"]), "state": State(found["state"])})

"""What became of machines, as people tell it: what a data set's lives end with.

A failure ends a life. A replacement while healthy ends it too, but says only that it would have lasted longer (it is
right-censored); so does a machine that still runs. A false alarm says that the machine was healthy then.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cloud.store.outcomes import Outcomes
from edge.errors import ConfigError

COLUMNS = ("gateway", "asset", "at", "kind", "cost", "findings")
_HINT = f"a table with the columns {', '.join(COLUMNS)}; the last two may be empty"


class Kind(StrEnum):
    FAILURE = "failure"
    REPLACED_HEALTHY = "replaced_healthy"
    FALSE_ALARM = "false_alarm"
    INSPECTED_OK = "inspected_ok"

    @property
    def ends_life(self) -> bool:
        return self in (Kind.FAILURE, Kind.REPLACED_HEALTHY)


_ALIASES = {"replaced": Kind.REPLACED_HEALTHY, "inspected": Kind.INSPECTED_OK}


@dataclass(frozen=True, slots=True, order=True)
class Told:
    """One thing that happened to an asset of a gateway, at ``at_ns``; ``cost`` in whatever money its people count."""

    gateway: str
    asset: str
    at_ns: int
    kind: Kind
    cost: float | None = None
    findings: str = ""


def read_outcomes(path: Path) -> list[Told]:
    """Outcomes of a CSV with a header, in order of time. Times are ISO 8601; without a zone they are UTC.

    Raises ``ConfigError`` that names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", _HINT) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "is not text in UTF-8", _HINT) from error
    head = text.split("\n", 1)[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    missing = [name for name in COLUMNS[:4] if name not in (rows.fieldnames or ())]
    if missing:
        raise ConfigError(str(path), f"has no column {', '.join(map(repr, missing))}", _HINT)
    told = [_told(f"{path}:{number}", row) for number, row in enumerate(rows, 2)]
    if len(set(told)) < len(told):
        twice = min(one for one in told if told.count(one) > 1)
        raise ConfigError(str(path), f"says the same twice of {twice.gateway}/{twice.asset}", "take one line out")
    return sorted(told, key=_by_time)


def _by_time(told: Told) -> tuple[int, str, str]:
    return told.at_ns, told.gateway, told.asset


def told_in(folder: Path, *, until_ns: int | None = None) -> tuple[list[Told], int]:
    """What people have confirmed or corrected in the store of ``folder``, as it stood at ``until_ns``, and when the
    last of it was told (0: nothing was)."""
    if not (folder / "outcomes.sqlite3").exists():
        return [], 0
    book = Outcomes(folder)
    try:
        revisions = [one for one in book.history() if until_ns is None or one.told_ns <= until_ns]
    finally:
        book.close()
    newest = {one.number: one for one in revisions}
    told = [
        Told(one.gateway, one.asset, one.at_ns, Kind(str(one.kind)), one.cost, one.words)
        for one in newest.values()
        if one.state.counts
    ]
    return sorted(told, key=_by_time), max((one.told_ns for one in revisions), default=0)


def digest_of(told: Iterable[Told]) -> str:
    """SHA-256 over what was told, whatever its order."""
    lines = sorted(f"{t.gateway}\t{t.asset}\t{t.at_ns}\t{t.kind}" for t in told)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _told(where: str, row: dict[str, str]) -> Told:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    try:
        kind = _ALIASES.get(cells["kind"]) or Kind(cells["kind"])
    except ValueError as error:
        raise ConfigError(where, f"`kind`: found {cells['kind']!r}", f"one of {', '.join(Kind)}") from error
    try:
        at = dt.datetime.fromisoformat(cells["at"])
    except ValueError as error:
        raise ConfigError(where, f"`at`: found {cells['at']!r}", "a time such as 2026-03-01T14:30:00+01:00") from error
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    try:
        cost = float(cells["cost"]) if cells["cost"] else None
    except ValueError as error:
        raise ConfigError(where, f"`cost`: found {cells['cost']!r}", "a number, or nothing") from error
    if not cells["gateway"] or not cells["asset"]:
        raise ConfigError(where, "names no gateway or no asset", _HINT)
    return Told(cells["gateway"], cells["asset"], round(at.timestamp()) * 10**9, kind, cost, cells["findings"])

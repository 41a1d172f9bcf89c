"""When machines failed: from a column of the export, or from a file of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud.backtest.export import Reading, Track
from cloud.backtest.stamps import NONE, read_times
from edge.errors import ConfigError

_HINT = "a table with a column `at`, and `asset` where there are several; `end` may say until when it stood"


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """``asset`` failed at ``at_ns`` and stood, or ran wrongly, until ``end_ns``."""

    asset: str
    at_ns: int
    end_ns: int


def of_column(track: Track) -> list[Failure]:
    """Every run of rows that the column of failures marks."""
    if track.failing is None:
        return []
    edges = np.diff(np.concatenate([[False], track.failing, [False]]).astype(np.int8))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [Failure(track.asset, int(track.at_ns[b]), int(track.at_ns[e])) for b, e in zip(begins, ends, strict=True)]


def of_file(path: Path, assets: Sequence[str], reading: Reading) -> list[Failure]:
    """Failures from a table. Raises ``ConfigError`` for one that cannot be, also for an asset that was not exported."""
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(where, f"cannot be read: {error}", _HINT) from error
    head = text.split("\n", 1)[0]
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ","))
    names = [name.strip() for name in head.strip().replace(";", ",").split(",")]
    at = next((name for name in ("at", "time", "timestamp", "start", "begin") if name in names), None)
    if at is None or not rows:
        raise ConfigError(where, "has no column `at`" if rows or at is None else "has no rows", _HINT)

    def times(column: str) -> NDArray[np.int64]:
        texts = [row[column] or "" for row in rows]
        return read_times(texts, where, zone=reading.zone, day_first=reading.day_first)[0]

    at_ns = end_ns = times(at)
    if "end" in names and any((row["end"] or "").strip() for row in rows):
        end_ns = times("end")
    found = []
    for line, (row, begin, end) in enumerate(zip(rows, at_ns.tolist(), end_ns.tolist(), strict=True), 2):
        if begin == NONE:
            raise ConfigError(f"{where}:{line}", f"`{at}`: found {row[at]!r}", "a time as the export has them")
        asset = (row.get("asset") or "").strip() or (assets[0] if len(assets) == 1 else "")
        if asset not in assets:
            raise ConfigError(f"{where}:{line}", f"`asset`: found {asset!r}", f"one of {', '.join(assets[:8])}")
        found.append(Failure(asset, begin, max(begin, end)))
    return sorted(found)

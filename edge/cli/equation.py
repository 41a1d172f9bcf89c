"""The ledger as people read it: what was asked for on the left, what became of it on the right, losses in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from edge.contract.types import LedgerRow

CAUSES = {
    "bad_bus": "no answer on the bus",
    "bad_device": "the device had no value",
    "bad_decode": "the reply could not be read",
    "dropped_disk": "the disk was full or refused",
    "dropped_clock": "the clock",
    "dropped_power": "a power cut or a kill",
    "dropped_cap": "over the store's cap",
    "dropped_decode": "a block was altered on the disk, or refused",
}
COUNTS = tuple(field.name for field in fields(LedgerRow) if field.name not in ("asset", "tag", "hour_ns"))
SIDES = ("good", "bad", "dropped")
_COLUMNS = ("offered", "good", "bad", "kept", "unchanged", "acknowledged", "pending", "thinned", "dropped")


@dataclass(frozen=True, slots=True)
class Part:
    """Rows added up: of an asset, of one of its tags, of an hour, or of both; ``balanced`` is true of every one.

    ``keys`` are what they have in common: asset, tag and ``hour_ns``, as far as asked for.
    """

    keys: dict[str, Any]
    sums: LedgerRow
    balanced: bool

    @property
    def name(self) -> str:
        hour = [hour_words(self.keys["hour_ns"])] if "hour_ns" in self.keys else []
        return " ".join([self.keys.get("asset", "all"), *([self.keys["tag"]] if "tag" in self.keys else []), *hour])


def parts(rows: Iterable[LedgerRow], *, by_tag: bool, by_hour: bool) -> list[Part]:
    """The rows of each asset, each tag and hour where asked for, added up."""
    return _added_up(rows, ("asset", *(["tag"] if by_tag else []), *(["hour_ns"] if by_hour else [])))


def total(rows: Iterable[LedgerRow]) -> Part:
    """Everything in one."""
    return next(iter(_added_up(rows, ())), Part({}, LedgerRow("", "", 0), balanced=True))


def equation(part: Part) -> list[str]:
    """Its three equations, and what was lost why."""
    row = part.sums
    given_up = f"thinned {row.thinned:,} + dropped {row.dropped:,}"
    return [
        part.name,
        f"  offered {row.offered:,} = good {row.good:,} + bad {row.bad:,}",
        f"  good {row.good:,} = kept {row.kept:,} + unchanged {row.unchanged:,}",
        f"  kept {row.kept:,} = acknowledged {row.acknowledged:,} + pending {row.pending:,} + {given_up}",
        *(f"  {side}: {words}" for side in ("bad", "dropped") if (words := cause_words(row, side))),
        "  it balances" if part.balanced else "  IT DOES NOT BALANCE: what is missing was not declared",
    ]


def table(found: Sequence[Part]) -> list[str]:
    """One line a part."""
    width = max((len(part.name) for part in found), default=0)
    lines = [" " * width + "".join(f"{name:>14}" for name in _COLUMNS)]
    for part in found:
        counts = "".join(f"{getattr(part.sums, name):>14,}" for name in _COLUMNS)
        causes = "; ".join(filter(None, (cause_words(part.sums, side) for side in ("bad", "dropped"))))
        verdict = "" if part.balanced else "  DOES NOT BALANCE"
        lines.append(f"{part.name:{width}}{counts}{verdict}  {causes}".rstrip())
    return lines


def as_json(found: Sequence[Part], whole: Part) -> str:
    """The sums and whether they balance at the top, the parts as ``rows``."""
    return json.dumps({**_plain(whole), "rows": [{**part.keys, **_plain(part)} for part in found]})


def cause_words(row: LedgerRow, side: str) -> str:
    """``12 over the store's cap, 3 a power cut or a kill``: the causes of what was bad, or dropped, the most first."""
    counts = [(getattr(row, name), words) for name, words in CAUSES.items() if name.startswith(f"{side}_")]
    return ", ".join(f"{count:,} {words}" for count, words in sorted(counts, key=lambda c: -c[0]) if count)


def hour_words(hour_ns: int) -> str:
    """The hour's beginning, as the gateway's clock stamped it."""
    return datetime.fromtimestamp(hour_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _added_up(rows: Iterable[LedgerRow], names: Sequence[str]) -> list[Part]:
    sums: dict[tuple[Any, ...], list[int]] = {}
    unbalanced = set()
    for row in rows:
        key = tuple(getattr(row, name) for name in names)
        counts = [getattr(row, field) for field in COUNTS]
        sums[key] = [a + b for a, b in zip(sums[key], counts, strict=True)] if key in sums else counts
        if not row.balanced:
            unbalanced.add(key)
    return [
        Part(
            dict(zip(names, key, strict=True)),
            LedgerRow("", "", 0, **dict(zip(COUNTS, counts, strict=True))),
            key not in unbalanced,
        )
        for key, counts in sorted(sums.items())
    ]


def _plain(part: Part) -> dict[str, Any]:
    return {**{name: getattr(part.sums, name) for name in (*COUNTS, *SIDES)}, "balanced": part.balanced}

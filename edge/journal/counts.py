"""How readings are counted: small tallies of polls, and their compact JSON form.

A poll asks all tags of a scan group, so most counts are the same for each of its tags. A count is therefore kept as a
number where all tags agree and as a list with one entry a tag where they do not; fields that are zero are left out.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.contract.types import Batch, Cause, LedgerRow, Quality

HOUR_NS = 3600 * 10**9

Counts = NDArray[np.int64]
"""One entry a tag."""

BAD_FIELDS = ("bad_bus", "bad_device", "bad_decode")
BAD_FIELD_OF = {Quality.BAD_BUS: 0, Quality.BAD_DEVICE: 1, Quality.BAD_DECODE: 2}
DROPPED_FIELD_OF = {
    Cause.DISK: "dropped_disk", Cause.CLOCK: "dropped_clock", Cause.POWER: "dropped_power", Cause.CAP: "dropped_cap",
    Cause.DECODE: "dropped_decode",
}  # fmt: skip
# `pending` is never stored: it is what the blocks themselves say, so that the equation is a check and not a definition.
FIELDS = ("offered", *BAD_FIELDS, "unchanged", "kept", "acknowledged", "thinned", *DROPPED_FIELD_OF.values())


@dataclass(eq=False, slots=True)
class ScanGroup:
    """One asset's tags that are polled together."""

    id: int
    asset: str
    tags: tuple[str, ...]


class Poll(NamedTuple):
    """An answered poll; ``stored`` is what is stored of it where that is not all."""

    group: ScanGroup
    batch: Batch
    stored: Sequence[Batch] | None = None

    @property
    def batches(self) -> Sequence[Batch]:
        return (self.batch,) if self.stored is None else self.stored


@dataclass(slots=True)
class Tally:
    """Polls of one scan group: how many, which tags were bad why (by index of field and tag), and which of them were
    good and are stored nowhere how often (by index of tag).
    """

    polls: int = 0
    unchanged: dict[int, int] = field(default_factory=dict)
    bad: dict[tuple[int, int], int] = field(default_factory=dict)
    from_ns: int = 0
    to_ns: int = 0

    def add(self, poll: Poll) -> None:
        batch = poll.batch
        self.from_ns = min(self.from_ns, batch.read_ns) if self.polls else batch.read_ns
        self.to_ns = max(self.to_ns, batch.read_ns)
        self.polls += 1
        if poll.stored is not None:
            stored = {tag for part in poll.stored for tag in part.tags}
            for tag, name in enumerate(batch.tags):
                if name not in stored:
                    self.unchanged[tag] = self.unchanged.get(tag, 0) + 1
        if max(batch.quality, default=Quality.GOOD) >= Quality.BAD_BUS:
            for tag, quality in enumerate(batch.quality):
                if quality >= Quality.BAD_BUS:
                    key = (BAD_FIELD_OF[quality], tag)
                    self.bad[key] = self.bad.get(key, 0) + 1

    def merge(self, other: Tally) -> None:
        if other.polls:
            self.from_ns = min(self.from_ns, other.from_ns) if self.polls else other.from_ns
        self.to_ns = max(self.to_ns, other.to_ns)
        self.polls += other.polls
        for tag, count in other.unchanged.items():
            self.unchanged[tag] = self.unchanged.get(tag, 0) + count
        for key, count in other.bad.items():
            self.bad[key] = self.bad.get(key, 0) + count

    def kept(self, tags: int) -> Counts:
        """Good readings by tag that are to be stored."""
        kept: Counts = self.polls - self.unchanged_counts(tags) - self.bad_counts(tags).sum(axis=0)
        return kept

    def unchanged_counts(self, tags: int) -> Counts:
        """Good readings by tag that are not."""
        counts = np.zeros(tags, np.int64)
        for tag, count in self.unchanged.items():
            counts[tag] = count
        return counts

    def bad_counts(self, tags: int) -> Counts:
        """Shape (3, tags): rows as in ``BAD_FIELDS``."""
        counts = np.zeros((len(BAD_FIELDS), tags), np.int64)
        for key, count in self.bad.items():
            counts[key] = count
        return counts


Tallies = dict[tuple[ScanGroup, int], Tally]
"""By scan group and hour."""


def tally(polls: Iterable[Poll], *, into: Tallies | None = None) -> Tallies:
    """Count answered polls by the hour of their reading."""
    tallies: Tallies = {} if into is None else into
    for poll in polls:
        key = (poll.group, hour_of(poll.batch.read_ns))
        if key not in tallies:
            tallies[key] = Tally()
        tallies[key].add(poll)
    return tallies


def hour_of(at_ns: int) -> int:
    return at_ns - at_ns % HOUR_NS


@dataclass(frozen=True, slots=True)
class Held:
    """How many good readings of each tag of one scan group and hour a block holds."""

    group: int
    hour_ns: int
    good: Counts


def pack_held(held: Iterable[Held]) -> str:
    return json.dumps([[h.group, h.hour_ns, pack_counts(h.good)] for h in held], separators=(",", ":"))


def unpack_held(text: str, groups: Mapping[int, ScanGroup]) -> list[Held]:
    with stored_json():
        return [Held(g, hour_ns, unpack_counts(c, len(groups[g].tags))) for g, hour_ns, c in json.loads(text)]


Owes = tuple[tuple[str, str, int], ...]
"""Lost readings by asset and tag, as a block declares them."""


def pack_owes(owes: Owes) -> str:
    return json.dumps(owes, separators=(",", ":"))


def unpack_owes(text: str) -> Owes:
    with stored_json():
        return tuple((str(asset), str(tag), int(count)) for asset, tag, count in json.loads(text))


def pack_counts(counts: Counts) -> int | list[int]:
    first = int(counts[0]) if len(counts) else 0
    return first if bool((counts == first).all()) else counts.tolist()


def unpack_counts(packed: int | list[int], tags: int) -> Counts:
    counts = np.empty(tags, np.int64)
    counts[:] = packed
    return counts


def pack_account(account: Mapping[str, Counts]) -> str:
    return json.dumps({name: pack_counts(c) for name, c in account.items() if c.any()}, separators=(",", ":"))


def unpack_account(text: str, tags: int) -> dict[str, Counts]:
    with stored_json():
        packed: dict[str, Any] = json.loads(text)
        return {name: unpack_counts(packed.get(name, 0), tags) for name in FIELDS}


@contextlib.contextmanager
def stored_json() -> Iterator[None]:
    """SQLite has no checksums: what cannot be read back was altered on the disk (``sqlite3.DatabaseError``)."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise sqlite3.DatabaseError(f"a stored account cannot be read: {error}") from error


def totals(rows: Iterable[LedgerRow]) -> dict[str, int]:
    """The sums of all rows: every field of ``LedgerRow`` that counts, and ``good``, ``bad`` and ``dropped``."""
    names = (
        "offered", "good", "bad", "unchanged", "kept", "acknowledged", "pending", "thinned", "dropped", *BAD_FIELDS,
        *DROPPED_FIELD_OF.values(),
    )  # fmt: skip
    sums = dict.fromkeys(names, 0)
    for row in rows:
        for name in names:
            sums[name] += getattr(row, name)
    return sums

"""Readings that carry their own names, and an account of what became of each: it shares no code with the product's.

A value tells its tag and its number, with a check that a flipped bit fails. So whoever serves readings and whoever
looks at what arrived can say of every single one whether it was lost, doubled, changed or put out of its order, and
whether a loss was declared.
"""

from __future__ import annotations

import heapq
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from edge.contract.types import Value

CHECK_BITS, TAG_BITS, NUMBER_BITS = 10, 12, 30
"""52 bits in all: exact in a double, in four Modbus registers as uint64, and in JSON."""


def value_of(tag: int, number: int) -> int:
    """The value of reading ``number`` of tag ``tag``. Both count from 0."""
    assert 0 <= tag < 1 << TAG_BITS
    assert 0 <= number < 1 << NUMBER_BITS
    name = number << TAG_BITS | tag
    return name << CHECK_BITS | _check_bits(name)


def check(value: Value) -> tuple[int, int] | None:
    """Tag and number of a value (an int, or a float that holds one); None where it was altered."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    whole = int(value)
    name = whole >> CHECK_BITS
    if not 0 <= whole < 1 << (CHECK_BITS + TAG_BITS + NUMBER_BITS) or whole & ((1 << CHECK_BITS) - 1) != _check_bits(
        name
    ):
        return None
    return name & ((1 << TAG_BITS) - 1), name >> TAG_BITS


def _check_bits(name: int) -> int:
    return zlib.crc32(name.to_bytes(8, "little")) & ((1 << CHECK_BITS) - 1)


@dataclass
class Counts:
    """What a round of faults found. ``readings`` counts good readings that were served."""

    kills: int = 0
    power_cuts: int = 0
    readings: int = 0
    undeclared_loss: int = 0
    duplicates: int = 0
    altered: int = 0
    reordered: int = 0
    declared_loss: int = 0
    """Readings that are lost and were declared."""
    declared_in_vain: int = 0
    """Declared with an exact count, and held after all or never served."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def __str__(self) -> str:
        names = ("kills", "power_cuts", "readings", "undeclared_loss", "duplicates", "altered")
        return " ".join(f"{name}={getattr(self, name)}" for name in names)

    @property
    def caught(self) -> int:
        """How many faults of the store were caught: 0 for one that keeps its promise."""
        return self.undeclared_loss + self.duplicates + self.altered + self.reordered


@dataclass
class Declaration:
    """``count`` readings between two times (ns) are said to be lost. Where it is ``open``, at least so many."""

    count: int
    from_ns: int
    to_ns: int
    open: bool = False


@dataclass
class _Tag:
    served: dict[int, int] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    newest: int = -1
    altered: int = 0
    reordered: int = 0
    declared: list[Declaration] = field(default_factory=list)


class Account:
    """For each tag: what was served (and when), what is held (in its order), what was declared lost."""

    def __init__(self) -> None:
        self._tags: dict[int, _Tag] = defaultdict(_Tag)
        self._promised: list[range] = []

    def serve(self, tag: int, number: int, at_ns: int) -> None:
        """A good reading that the source gave, ``at_ns`` its stamp. Numbers of a tag ascend."""
        self._tags[tag].served[number] = at_ns

    def promise(self, numbers: range) -> None:
        """The store said that these are durable: an open declaration does not excuse their loss."""
        self._promised.append(numbers)

    def hold(self, tag: int, value: Value, at_ns: int, *, ordered: bool = True) -> None:
        """A good reading that arrived under the name of ``tag``, in the order in which it stands where that is told."""
        found = check(value)
        mine = self._tags[tag]
        if found is None or found[0] != tag or mine.served.get(found[1]) != at_ns:
            mine.altered += 1
            return
        mine.held.append(found[1])
        if ordered:
            mine.reordered += found[1] < mine.newest
            mine.newest = found[1]

    def declare(self, tag: int, declaration: Declaration) -> None:
        self._tags[tag].declared.append(declaration)

    def settle(self) -> Counts:
        """Compare the three."""
        return sum((_settled(tag, self._promised) for tag in self._tags.values()), Counts())

    def lost(self) -> dict[int, list[int]]:
        """The numbers that are not held, by tag: for a failure's message."""
        return {name: lost for name, tag in self._tags.items() if (lost := sorted(tag.served.keys() - set(tag.held)))}


def _settled(tag: _Tag, promised: Sequence[range]) -> Counts:
    held = set(tag.held)
    lost = sorted((at_ns, number) for number, at_ns in tag.served.items() if number not in held)
    gaps = [d for d in tag.declared if d.open]
    unexcused = [
        at_ns
        for at_ns, number in lost
        if any(number in durable for durable in promised) or not any(gap.from_ns <= at_ns <= gap.to_ns for gap in gaps)
    ]
    exact = [d for d in tag.declared if not d.open]
    covered = _covered(unexcused, exact)
    return Counts(
        readings=len(tag.served), undeclared_loss=len(unexcused) - covered,
        declared_loss=len(lost) - len(unexcused) + covered, duplicates=len(tag.held) - len(held), altered=tag.altered,
        reordered=tag.reordered, declared_in_vain=sum(d.count for d in exact) - covered,
    )  # fmt: skip


def _covered(lost_ns: Iterable[int], declared: Iterable[Declaration]) -> int:
    """How many losses (times, ascending) can each have a declared one of their own: earliest end first is best."""
    waiting = sorted(declared, key=lambda d: d.from_ns, reverse=True)
    open_now: list[tuple[int, int]] = []
    covered = 0
    for at_ns in lost_ns:
        while waiting and waiting[-1].from_ns <= at_ns:
            begun = waiting.pop()
            heapq.heappush(open_now, (begun.to_ns, begun.count))
        while open_now and (open_now[0][0] < at_ns or open_now[0][1] <= 0):
            heapq.heappop(open_now)
        if open_now:
            to_ns, count = open_now[0]
            heapq.heapreplace(open_now, (to_ns, count - 1))
            covered += 1
    return covered

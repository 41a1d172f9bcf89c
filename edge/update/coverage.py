"""How much of what was due of each unit was good, before a trial and in it, and whether that holds.

A unit is known by its asset and its place on its line: one that keeps both is compared with itself, one that is new
must answer. What was bad before does not count against a trial, nor does one lost poll.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge.config.site import Site
from edge.contract.types import Batch, Quality

NEW_SHARE_MIN = 0.5
"""The least share of good readings of a unit that was not there before."""


class Key(NamedTuple):
    """One unit of one asset."""

    asset: str
    line: str
    unit: int
    at: str

    def __str__(self) -> str:
        return f"{self.asset} {self.line}/{self.at or self.unit}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings that were due, those of them that were not bad, and the polls or messages that they came in."""

    due: int = 0
    good: int = 0
    polls: int = 0

    def __sub__(self, other: Counts) -> Counts:
        return Counts(self.due - other.due, self.good - other.good, self.polls - other.polls)

    @property
    def share(self) -> float | None:
        return self.good / self.due if self.due else None


Look = Mapping[Key, Counts]


class Coverage:
    """Counts every batch of ``site``. On the way of each reading: two look-ups and a count."""

    def __init__(self, site: Site) -> None:
        self._cells: dict[Key, list[int]] = {}
        self._of: dict[tuple[str, str], list[int]] = {}
        self.change(site)

    def change(self, site: Site) -> None:
        """Count for ``site`` from now on. Units that it still has go on where they were."""
        before, self._cells, self._of = self._cells, {}, {}
        for asset in site.file.asset:
            for unit in asset.unit:
                key = Key(asset.id, unit.line, unit.unit, unit.at)
                cell = self._cells[key] = before.get(key, [0, 0, 0])
                self._of.update({(asset.id, point.tag): cell for point in site.profiles[unit.profile].point})

    def observe(self, batch: Batch) -> None:
        cell = self._of.get((batch.asset, batch.tags[0]))
        if cell is None:
            return
        count = len(batch.tags)
        good = batch.quality.count(Quality.GOOD)
        if good < count:
            good = sum(quality < Quality.BAD_BUS for quality in batch.quality)
        cell[0] += count
        cell[1] += good
        cell[2] += 1

    def look(self) -> dict[Key, Counts]:
        return {key: Counts(*cell) for key, cell in self._cells.items()}


def since(before: Look, now: Look) -> dict[Key, Counts]:
    """What was counted from one look to the other."""
    return {key: counts - before.get(key, Counts()) for key, counts in now.items()}


@dataclass(frozen=True, slots=True)
class Standing:
    """How one unit fares in the trial. ``before`` is None for one that is new. ``words`` say why it does not hold."""

    key: Key
    before: float | None
    during: Counts
    words: str = ""


def judged(before: Look, during: Look, *, done: float, margin: float) -> list[Standing]:
    """Every unit of the trial, of which the share ``done`` (0 to 1] has gone by.

    Amid the trial a unit does not hold where even a flawless rest could not save it; at its end (1) also where nothing
    was due of a new unit. ``margin`` is by how much a share may be worse than before.
    """
    return [_standing(key, before.get(key, Counts()).share, counts, done, margin) for key, counts in during.items()]


def _standing(key: Key, before: float | None, during: Counts, done: float, margin: float) -> Standing:
    if not during.due:
        words = "nothing of it was due within the trial: give it more minutes" if before is None and done >= 1 else ""
        return Standing(key, before, during, words)
    wanted = NEW_SHARE_MIN if before is None else before - margin
    # What is bad by now stays bad: it is too much where it is more than the whole trial may have.
    bad_allowed = max((1 - wanted) * during.due / done, during.due / during.polls)
    answers = during.good > 0 or before is not None or done < 1
    if answers and during.due - during.good <= bad_allowed:
        return Standing(key, before, during)
    if before is None:
        words = f"new, and {_percent(during)} of its readings are good: {NEW_SHARE_MIN:.0%} are wanted"
    else:
        words = f"{_percent(during)} of its readings are good, before it were {before:.1%}"
    return Standing(key, before, during, words)


def _percent(counts: Counts) -> str:
    return "none" if not counts.good else f"{counts.share or 0.0:.1%}"

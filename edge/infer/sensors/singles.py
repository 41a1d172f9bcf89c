"""The signs of every sensor of an asset, held against each other in one respect: whether anything else moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge.contract.types import SensorFault
from edge.features.tracker import number
from edge.infer.sensors.signs import Signs


class Singles:
    """``observe`` takes each poll's fresh values; ``faults`` are the signs that stand, each with its beginning."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._signs = {tag: Signs() for tag in tags}
        self._moved_at: dict[str, int] = {}
        self._suspect_ns: dict[str, int] = {}
        self._polls = 0

    def observe(self, fresh: Mapping[str, object], read_ns: int) -> None:
        self._polls += 1
        given = [(tag, x) for tag in self._signs if (x := number(fresh.get(tag))) is not None]
        for tag, value in given:
            if value != self._signs[tag].last:
                self._moved_at[tag] = self._polls
        half = max((len(self._moved_at) - 1) / 2.0, 1.0)
        for tag, value in given:
            signs, at = self._signs[tag], self._moved_at.get(tag, 0)
            # Half of the others must have moved since, else the machine stands, or its device answers from memory.
            others = value != signs.last or sum(moved > at for moved in self._moved_at.values()) >= half
            signs.update(value, others_move=others)
            if not signs.suspect and not signs.fault:
                self._suspect_ns.pop(tag, None)
            elif tag not in self._suspect_ns:
                self._suspect_ns[tag] = read_ns

    def faults(self) -> Iterator[tuple[str, SensorFault, int]]:
        """Tag, fault and since when (wall ns)."""
        for tag, signs in self._signs.items():
            if signs.fault:
                yield tag, SensorFault(signs.fault), self._suspect_ns.get(tag, 0)

    def kept(self) -> dict[str, Any]:
        return {
            "signs": {tag: signs.kept() for tag, signs in self._signs.items()},
            "moved": self._moved_at,
            "suspect": self._suspect_ns,
            "polls": self._polls,
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Raises ``KeyError`` or ``TypeError`` for another asset's."""
        self._signs = {tag: Signs(**kept["signs"][tag]) for tag in self._signs}
        self._moved_at, self._suspect_ns = dict(kept["moved"]), dict(kept["suspect"])
        self._polls = kept["polls"]

"""A signal judged against its own regime of speed and load: 5.2 mm/s is nothing at full speed, and a lot at idle.

Conditions are cut into steps, by ratio (speed: each cell 25 % faster than the last, whatever the machine) or by equal
widths (load in percent); each cell of the grid learns its own mean and spread of the signal's logarithm, from its first
healthy readings, and is then left as it is: wear must not teach itself to be normal. A cell that has seen too little
says nothing rather than borrow from a neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.features.tracker import number

_CELLS_MAX = 64
_SPREAD_MIN = 0.02
"""In the logarithm: no signal is known to better than 2 %."""
_WILD = 4.0
"""While learning, what is further off than so many spreads is drawn in to there: one wild reading cannot teach."""
_TRUSTED_FROM = 10
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Condition:
    """``tag`` cut into cells: by ``ratio`` (above 1) or else into equal ``width``."""

    tag: str
    ratio: float = 0.0
    width: float = 0.0

    def __post_init__(self) -> None:
        if not (self.ratio > 1.0) != (self.width > 0.0):
            raise ValueError(f"{self.tag}: give a ratio above 1 or a width above 0")

    def cell(self, value: object) -> int | None:
        """The cell's number; None where there is no number, or none above 0 to take a ratio of."""
        x = number(value)
        if x is None:
            return None
        if self.width:
            return math.floor(x / self.width)
        return math.floor(math.log(x) / math.log(self.ratio)) if x > 0.0 else None


@dataclass(slots=True)
class _Cell:
    """Running mean and sum of squared deviations (Welford) of the logarithm."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def spread(self) -> float:
        return max(math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0, _SPREAD_MIN)

    def take(self, x: float) -> None:
        if self.count >= _TRUSTED_FROM:
            x = min(max(x, self.mean - _WILD * self.spread), self.mean + _WILD * self.spread)
        self.count += 1
        step = x - self.mean
        self.mean += step / self.count
        self.squares += step * (x - self.mean)


@dataclass(frozen=True, slots=True)
class Standing:
    """A reading in its regime: ``usual`` is the regime's own, ``strength`` how many of its spreads it is off."""

    usual: float
    strength: float


class Regimes:
    """One positive signal. ``update`` takes what a poll gave; each cell learns its first ``learn`` readings."""

    def __init__(self, signal: str, conditions: Sequence[Condition], *, learn: int = 60) -> None:
        assert conditions
        assert learn > _TRUSTED_FROM
        self.signal, self.conditions, self._learn = signal, tuple(conditions), learn
        self._cells: dict[tuple[int, ...], _Cell] = {}

    def update(self, values: Mapping[str, object]) -> Standing | None:
        """Where the signal stands in its regime; None while that is being learned, or nothing can be told.

        Nothing can be told of a signal that is missing or not above 0, of conditions that are missing, and of a regime
        beyond the 64 that are kept.
        """
        x = number(values.get(self.signal))
        key = self._key(values)
        if x is None or x <= 0.0 or key is None:
            return None
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= _CELLS_MAX:
                return None
            cell = self._cells[key] = _Cell()
        if cell.count < self._learn:
            cell.take(math.log(x))
            return None
        return Standing(math.exp(cell.mean), (math.log(x) - cell.mean) / cell.spread)

    @property
    def learned(self) -> int:
        """How many regimes are known."""
        return sum(cell.count >= self._learn for cell in self._cells.values())

    def _key(self, values: Mapping[str, object]) -> tuple[int, ...] | None:
        cells = [condition.cell(values.get(condition.tag)) for condition in self.conditions]
        return tuple(c for c in cells if c is not None) if None not in cells else None

    def kept(self) -> dict[str, Any]:
        cells = [[*key, cell.count, cell.mean, cell.squares] for key, cell in self._cells.items()]
        return {"version": _VERSION, "spec": self._spec(), "cells": cells}

    def restore(self, kept: Mapping[str, Any]) -> bool:
        """Continue from ``kept``; False, with nothing changed, where it is of other conditions or damaged."""
        cells: dict[tuple[int, ...], _Cell] = {}
        try:
            if kept["version"] != _VERSION or kept["spec"] != self._spec() or len(kept["cells"]) > _CELLS_MAX:
                return False
            for row in kept["cells"]:
                *key, count, mean, squares = row
                if len(key) != len(self.conditions) or not (math.isfinite(mean) and 0.0 <= squares < math.inf):
                    return False
                cells[tuple(int(k) for k in key)] = _Cell(int(count), float(mean), float(squares))
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        self._cells = cells
        return True

    def _spec(self) -> list[Any]:
        return [self.signal, self._learn, *([c.tag, c.ratio, c.width] for c in self.conditions)]

"""C-MAPSS files as engines, and the benchmark's two figures."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CAP = 125.0
"""Cycles; training labels are min(RUL, CAP)."""
MODELS = ("constant_mean", "linear_on_age", "teacher", "float", "int8")
_COLUMNS = 26


class Missing(SystemExit):
    """A file that is not there or is not what its name says; the message names it."""


@dataclass(frozen=True)
class Engines:
    """Rows of engines, one a cycle in order: ``settings`` [rows, 3], ``readings`` [rows, 21], ``engine`` [rows] its
    number, ``rul`` [rows] cycles to the engine's end, infinite where unknown."""

    settings: Array
    readings: Array
    engine: Index
    rul: Array

    def of(self, engines: Index) -> Engines:
        kept = np.isin(self.engine, engines)
        return Engines(self.settings[kept], self.readings[kept], self.engine[kept], self.rul[kept])

    def each(self) -> Iterator[Index]:
        """The rows of one engine after the other."""
        for number in np.unique(self.engine):
            yield np.flatnonzero(self.engine == number)

    @property
    def capped(self) -> Array:
        return np.minimum(self.rul, CAP)

    @property
    def age(self) -> Array:
        """Cycles since the engine's first row, from 1."""
        age = np.empty(len(self.engine))
        for rows in self.each():
            age[rows] = np.arange(1, len(rows) + 1)
        return age


def read_training(folder: Path, subset: str) -> Engines:
    """Engines that ran to their end. Raises ``Missing``."""
    rows = _rows(_found(folder, f"train_{subset}.txt"))
    engine = rows[:, 0].astype(np.int64)
    rul = np.empty(len(rows))
    for number in np.unique(engine):
        own = engine == number
        rul[own] = rows[own, 1].max() - rows[own, 1]
    return Engines(rows[:, 2:5], rows[:, 5:], engine, rul)


def read_test(folder: Path, subset: str) -> Engines | None:
    """Engines cut before their end, the truth at the last row of each; None where the folder does not have them."""
    try:
        path, truths = _found(folder, f"test_{subset}.txt"), _found(folder, f"RUL_{subset}.txt")
    except Missing:
        return None
    rows = _rows(path)
    truth = np.array(_text(truths).split(), dtype=np.float64)
    engine = rows[:, 0].astype(np.int64)
    numbers = np.unique(engine)
    if len(numbers) != len(truth):
        raise Missing(f"{truths}: {len(truth)} lines for {len(numbers)} engines of {path.name}")
    rul = np.full(len(rows), math.inf)
    for number, known in zip(numbers, truth, strict=True):
        rul[np.flatnonzero(engine == number)[-1]] = known
    return Engines(rows[:, 2:5], rows[:, 5:], engine, rul)


def rmse(predicted: Array, actual: Array) -> float:
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def nasa(predicted: Array, actual: Array) -> float:
    """The challenge's score, a sum: exp(-d/13) - 1 for d < 0, else exp(d/10) - 1, with d = predicted - actual."""
    late = predicted - actual
    return float(np.where(late < 0.0, np.expm1(-late / 13.0), np.expm1(late / 10.0)).sum())


@dataclass(frozen=True)
class Said:
    """What is judged: truth and predictions [n] by model, the interval of the int8 student [n, 2], and how many times
    each engine stands in it."""

    rul: Array
    predicted: dict[str, Array]
    ends: Array
    times: int


def covered(ends: Array, clipped: Array) -> NDArray[np.bool_]:
    """Whether each truth lies between its ``ends`` [n, 2]."""
    inside: NDArray[np.bool_] = (ends[:, 0] <= clipped + 1e-6) & (clipped <= ends[:, 1] + 1e-6)
    return inside


def by_third(inside: NDArray[np.bool_], clipped: Array) -> list[float]:
    """The share of ``inside`` where the truth is in each third of 0..125; NaN where none is."""
    third = np.minimum((clipped // (CAP / 3.0)).astype(int), 2)
    return [float(inside[third == i].mean()) if (third == i).any() else float("nan") for i in range(3)]


def figures(said: Said, size: int) -> dict[str, float]:
    clipped = np.minimum(said.rul, CAP)
    inside = covered(said.ends, clipped)
    found = {}
    for name in MODELS:
        predicted = said.predicted[name]
        found[f"{name}_rmse_clipped"], found[f"{name}_rmse_raw"] = rmse(predicted, clipped), rmse(predicted, said.rul)
        found[f"{name}_nasa_clipped"] = nasa(predicted, clipped) / said.times
        found[f"{name}_nasa_raw"] = nasa(predicted, said.rul) / said.times
    for third, share in enumerate(by_third(inside, clipped), 1):
        found[f"coverage_third_{third}"] = share
    found["nasa_clipped"] = found["int8_nasa_clipped"]
    found["coverage_90"] = float(inside.mean())
    found["width_90"] = float((said.ends[:, 1] - said.ends[:, 0]).mean())
    found["int8_less_float"] = found["int8_rmse_clipped"] - found["float_rmse_clipped"]
    found["size_kb"] = size / 1024.0
    return found


def _found(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise Missing(f"{folder / name}: no such file, nor with .gz; name the folder of the C-MAPSS files with --data")


def _text(path: Path) -> str:
    try:
        return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Missing(f"{path}: cannot be read: {error}") from error


def _rows(path: Path) -> Array:
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    wrong = next((i for i, line in enumerate(lines, 1) if len(line) != _COLUMNS), 0)
    if wrong or not lines:
        raise Missing(f"{path}: line {wrong} does not have {_COLUMNS} numbers")
    try:
        return np.array(lines, dtype=np.float64)
    except ValueError as error:
        raise Missing(f"{path}: {error}") from error

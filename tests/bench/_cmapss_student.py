"""What the C-MAPSS bench learns: factors of wear, a teacher, and an int8 student, of some engines and not of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.factors import fit_factors
from cloud.learn.gate import agree
from cloud.learn.student import Schooling, distil
from cloud.learn.teacher import Teacher, fit_teacher
from cloud.learn.tflite import export_float, export_int8, run
from edge.contract.bundle import Scaling
from edge.features.factors import FactorModel, follow
from tests.bench._cmapss import CAP, Array, Engines, Index

FACTORS = (2, 3, 4)
FOLDS = 5
SCHOOLING = Schooling(hidden=(48, 24), members=3, epochs=50, trust=0.2, noise=0.0, rows_per_epoch=12_000)
TEACHER_ROUNDS = 150
TEACHER_ROWS = 20_000
GATE_CYCLES = 1.0


@dataclass(frozen=True)
class Student:
    """One seed's models: ``float32`` and ``int8`` are what a gateway could run."""

    teacher: Teacher
    float32: bytes
    int8: bytes

    def predictions(self, rows: NDArray[np.float32]) -> dict[str, Array]:
        """Cycles, cut to 0..125, of scaled ``rows``."""
        answers: dict[str, NDArray[Any]] = {
            "float": run(self.float32, rows), "int8": run(self.int8, rows), "teacher": self.teacher.predict(rows),
        }  # fmt: skip
        return {name: np.clip(cycles[:, 0].astype(np.float64), 0.0, CAP) for name, cycles in answers.items()}


@dataclass(frozen=True)
class Part:
    """Engines to learn from and engines left out, with scaled features of both."""

    learn: Engines
    learn_rows: NDArray[np.float32]
    out: Engines
    out_rows: NDArray[np.float32]


def features(model: FactorModel, engines: Engines) -> Array:
    return np.vstack([follow(model, engines.readings[rows], engines.settings[rows]) for rows in engines.each()])


def part(learn: Engines, out: Engines, factors: int) -> Part:
    model = fit_factors(learn.readings, learn.settings, learn.engine, factors=factors)
    of_learn = features(model, learn)
    scaling = Scaling(of_learn.mean(axis=0), np.maximum(of_learn.std(axis=0), 1e-6), SCHOOLING.limit)
    return Part(learn, scaling.apply(of_learn), out, scaling.apply(features(model, out)))


def taught(part: Part, seed: int) -> Student:
    """Teacher and student of ``part``; rows next to each other say the same, so the teacher sees some of them."""
    rows, target, engine = part.learn_rows, part.learn.capped, part.learn.engine
    step = -(-len(rows) // TEACHER_ROWS)
    rows, target, engine = rows[::step], target[::step], engine[::step]
    teacher = fit_teacher(rows, target, seed=seed, assets=engine, rounds=TEACHER_ROUNDS)
    layers = distil(teacher, rows, target, seed=seed, schooling=SCHOOLING)
    student = Student(teacher, export_float(layers, "life"), export_int8(layers, part.learn_rows, "life"))
    agree(student.float32, student.int8, part.out_rows, gate=GATE_CYCLES, within=(0.0, CAP), where="the int8 student")
    return student


def folds(engines: Engines) -> list[Index]:
    numbers = np.unique(engines.engine)
    return [np.sort(some) for some in np.array_split(np.random.default_rng(0).permutation(numbers), FOLDS)]


def left_out(engines: Engines, out: Index, factors: int) -> Part:
    numbers = np.unique(engines.engine)
    return part(engines.of(np.setdiff1d(numbers, out)), engines.of(out), factors)


def how_many_factors(engines: Engines, part_of: Callable[[int, int], Part], say: Callable[[str], None]) -> int:
    """The number of factors whose student errs least on engines left out of three folds, cut anywhere."""
    quick = Schooling(hidden=(32, 16), members=2, epochs=25, noise=0.0, rows_per_epoch=8_000)
    errors = {}
    for factors in FACTORS:
        squares = []
        for fold in range(3):
            p = part_of(fold, factors)
            layers = distil(None, p.learn_rows, p.learn.capped, schooling=quick)
            predicted = np.clip(run(export_float(layers, "quick"), p.out_rows)[:, 0], 0.0, CAP)
            squares.append((predicted - p.out.capped) ** 2)
        errors[factors] = float(np.sqrt(np.mean(np.concatenate(squares))))
        say(f"{factors} factors: RMSE {errors[factors]:.2f} on training engines left out")
    return min(errors, key=errors.__getitem__)

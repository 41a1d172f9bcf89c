"""Exports with a known truth: a machine that hums, and departs from it when it is told to."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.plant.machines import MACHINES

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def stamps(rows: int, *, every_min: float = 10.0) -> list[dt.datetime]:
    return [START + dt.timedelta(minutes=i * every_min) for i in range(rows)]


def humming(rows: int, worn: Sequence[tuple[int, int]] = (), *, seed: int = 1) -> np.ndarray[tuple[int, int]]:
    """Vibration, temperature and current [rows, 3]; between the pairs of rows all three rise, steadily."""
    draw = np.random.default_rng(seed)
    shift = np.zeros(rows)
    for begin, end in worn:
        shift[begin:end] = np.linspace(0.0, 1.0, end - begin)
    load = draw.normal(0.0, 1.0, rows)
    vibration = 2.0 + 0.05 * load + draw.normal(0.0, 0.08, rows) + 4.0 * shift
    temperature = 55.0 + 0.8 * load + draw.normal(0.0, 0.5, rows) + 25.0 * shift
    current = 12.0 + 0.4 * load + draw.normal(0.0, 0.1, rows) + 3.0 * shift
    return np.column_stack([vibration, temperature, current])


def wide(path: Path, at: Sequence[dt.datetime], table: np.ndarray[tuple[int, int]]) -> Path:
    lines = ["Timestamp,VIB DE [mm/s],Bearing Temp,Motor Current"]
    lines += [
        f"{when:%Y-%m-%dT%H:%M:%S}Z,{','.join(f'{x:.5f}' for x in row)}" for when, row in zip(at, table, strict=True)
    ]
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def pump_to_failure(path: Path, *, seed: int = 3, onset_h: float = 100.0, life_h: float = 200.0) -> dt.datetime:
    """A simulated pump every half hour until its bearing fails, with every signal; returns when it failed."""
    machine = MACHINES["pump"](seed, life_h=life_h, onset_h=onset_h)
    lines: list[str] = []
    while not machine.truth.failed:
        machine.step(0.5)
        values = machine.signals()
        if not lines:
            lines.append("time;" + ";".join(values))
        at = START + dt.timedelta(hours=machine.clock_h)
        lines.append(f"{at:%d.%m.%Y %H:%M:%S};" + ";".join(str(value).replace(".", ",") for value in values.values()))
    path.write_text("\n".join(lines) + "\n")
    return at

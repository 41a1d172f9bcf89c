"""What a reading costs on typical plant data; the figures themselves are tests/bench/block.py's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.contract.block import encode_block
from edge.contract.types import Batch, Lane, Quality
from tests.bench.block import block
from tests.bench.signals import plant
from tests.rooms.contract.samples import BOOT, KEY, named, sealed

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.mark.parametrize(("devices", "polls", "most"), [(2, 10, 1.5), (20, 10, 1.2), (20, 1, 2.4)])
def test_bytes_a_reading(devices: int, polls: int, most: float) -> None:
    batches = plant(devices, 100, polls, seed=7)
    assert len(block(batches)) / (devices * polls * 100) <= most


def test_a_block_with_nothing_in_it_is_small() -> None:
    assert len(encode_block(KEY, boot=BOOT, lane=Lane.URGENT, sealed_ns=0, batches=[], records=[])) < 90


@pytest.mark.parametrize(("devices", "tags", "most"), [(1, 6, 150), (1, 20, 210), (5, 40, 740)])
def test_bytes_of_a_block_of_one_poll_with_a_dictionary(devices: int, tags: int, most: int) -> None:
    batches = plant(devices, tags, 1, seed=7)
    assert len(block(batches, named(batches))) <= most


def columns_of(*makers: object) -> int:
    """The bytes of a block of one asset whose tags are these functions of the row, 500 rows."""
    names = tuple(f"t{i}" for i in range(len(makers)))
    batches = [
        Batch("a", names, tuple(m(row) for m in makers), (Quality.GOOD,) * len(makers), (row,) * len(makers), row, row)  # type: ignore[operator]
        for row in range(500)
    ]
    return len(sealed(batches))


def test_constants_and_even_counters_cost_their_first_value_only() -> None:
    nothing = columns_of()
    few, many = (columns_of(*[lambda row: 21.5, lambda row: 10_000 + 3 * row, lambda row: True] * n) for n in (1, 2))
    assert few - nothing < 60
    assert many - few < 40


def test_a_period_costs_its_jitter_only() -> None:
    def jitter(row: int) -> int:
        return (row * row * 7919) % 101

    assert columns_of(lambda row: 5_000_000 * row + jitter(row)) <= columns_of(jitter) + 40


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01, 0.001, 0.05, 0.5, 0.25])
def test_scaled_registers_cost_what_their_registers_do(scale: float) -> None:
    def raw(row: int) -> int:
        return 2000 + (row * row * 7919) % 101

    assert columns_of(lambda row: raw(row) * scale) <= columns_of(raw) + 40
    assert columns_of(lambda row: round(raw(row) * scale, 6)) <= columns_of(raw) + 40
    assert columns_of(lambda row: float(np.float32(raw(row) * scale))) <= columns_of(raw) + 40


def test_the_bench_prints_its_figure_last() -> None:
    command = [sys.executable, "tests/bench/block.py", "--json", "--seconds", "0.01"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["name"] == "stored_bytes_per_reading"
    assert 0 < last["value"] <= last["goal"] == 1.5

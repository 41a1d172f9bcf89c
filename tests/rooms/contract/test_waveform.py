"""Snapshots come back to the bit, in binary, within bounds."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings

from edge.contract.block import SAMPLES_MAX, decode_block
from edge.contract.types import Record, Samples, Waveform
from edge.errors import BlockError
from tests.reference_decoder import decode
from tests.rooms.contract.samples import directory_of, payload_of, plant, samples, sealed


def snapshot(found: Samples) -> Waveform:
    return Waveform("machine-1", "vibration", "g", 1, 2, True, 25_600.0, found)


def back(*found: Record) -> list[Waveform]:
    records = decode_block(sealed(plant(), found)).records
    return [record for record in records if isinstance(record, Waveform)]


@settings(max_examples=150, deadline=None)
@given(samples(), samples())
def test_any_bits_come_back_and_a_stranger_reads_them_too(one: Samples, other: Samples) -> None:
    told = [snapshot(one), snapshot(other)]
    assert back(*told) == told
    for mine, read in zip(told, decode(sealed([], told))["records"], strict=True):
        bits = mine.samples.view(f"u{mine.samples.itemsize}") if read["form"].startswith("f") else mine.samples
        assert read["samples"] == bits.tolist()


ODD = [math.nan, -math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e-45, 0.1]


@pytest.mark.parametrize(
    "found",
    [
        np.array(ODD, np.float32), np.array(ODD), np.array([0x7FF0_DEAD_BEEF_0001, 1], np.uint64).view(np.float64),
        np.array([0x7F80_0001, 0xFFC0_BEEF], np.uint32).view(np.float32), np.array([-(2**15), 2**15 - 1] * 3, np.int16),
        np.array([-(2**31), 2**31 - 1, 0], np.int32), np.array([], np.float64), np.array([7], np.int16),
        np.arange(20, dtype=np.int16)[::2],
    ],
)  # fmt: skip
def test_these_come_back(found: Samples) -> None:
    (one,) = back(snapshot(found))
    assert one.samples.dtype == found.dtype
    assert one.samples.tobytes() == found.tobytes()


def test_two_are_equal_where_every_bit_is() -> None:
    one = snapshot(np.array([math.nan, 0.0]))
    assert one == snapshot(np.array([math.nan, 0.0]))
    assert hash(one) == hash(snapshot(np.array([math.nan, 0.0])))
    assert one != snapshot(np.array([math.nan, -0.0]))
    assert one != snapshot(np.array([math.nan, 0.0], np.float32))
    assert one != "a snapshot"


def test_samples_are_not_in_the_directory() -> None:
    directory, _ = directory_of(payload_of(sealed([], [snapshot(np.arange(1000, dtype=np.int32))])))
    assert directory["records"][0]["samples"] == ["int32", 1000, 1]


def test_a_smooth_signal_takes_less_than_its_samples() -> None:
    rng = random.Random(1)
    wave = [round(8000 * math.sin(i / 20) + rng.gauss(0, 3)) for i in range(8192)]
    size = len(sealed([], [snapshot(np.array(wave, np.int16))]))
    assert size < 0.75 * 2 * len(wave)


def test_as_many_as_a_block_holds_and_no_more() -> None:
    most = snapshot(np.zeros(SAMPLES_MAX // 2, np.float64))
    assert [len(one.samples) for one in back(most, most)] == [SAMPLES_MAX // 2] * 2
    with pytest.raises(BlockError, match="samples; a block holds"):
        sealed([], [most, most, snapshot(np.zeros(1, np.int16))])


def test_samples_of_another_type_are_a_programmers_mistake() -> None:
    for found in (np.zeros(3, np.int64), np.zeros((2, 2), np.int16), np.zeros(3, np.uint16)):
        with pytest.raises(AssertionError):
            sealed([], [snapshot(found)])  # type: ignore[arg-type]

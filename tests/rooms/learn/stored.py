"""Simulated pumps as a gateway would have sent them, in a real store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block, encode_block
from edge.contract.types import Asset, Batch, Key, Lane, Quality, Record, Tag
from edge.plant.machine import Machine
from edge.plant.machines import MACHINES

GATEWAY, EPOCH, BOOT = "gateway-1", "ab" * 16, "cd" * 16
START_NS = 1_800_000_000 * 10**9
HOUR_NS = 3600 * 10**9
POLLS_PER_BLOCK = 40


@dataclass(frozen=True)
class Pump:
    """``life_h`` after ``onset_h`` it fails; without, it runs healthy. It is polled every ``pace_h`` for ``hours``."""

    asset: str
    seed: int
    hours: float
    onset_h: float | None = None
    life_h: float | None = None
    pace_h: float = 1.0


def introduced(asset: str, *, asset_class: str = "centrifugal_pump", vibration: str = "mm/s") -> Asset:
    tags = (
        Tag("vibration_mm_s", vibration, "Vibration", "vibration", 2),
        Tag("hour_meter_h", "h", "Hours", "hours", 1),
    )
    return Asset(asset, asset, asset_class, tags, 1000, START_NS)


def polls(pump: Pump, start_h: float = 0.0) -> Iterator[tuple[Batch, Machine]]:
    """Until it has failed, or ``hours`` of the clock are over."""
    machine = MACHINES["pump"](pump.seed, life_h=pump.life_h, onset_h=pump.onset_h)
    while machine.clock_h < pump.hours and not machine.truth.failed:
        machine.step(pump.pace_h)
        at_ns = START_NS + round((start_h + machine.clock_h) * HOUR_NS)
        names, values = zip(*machine.signals().items(), strict=True)
        good, times = (Quality.GOOD,) * len(names), (at_ns,) * len(names)
        yield Batch(pump.asset, names, values, good, times, at_ns, at_ns), machine


def failed_ns(pump: Pump) -> int | None:
    """When it fails, None where it does not."""
    last = None
    for batch, machine in polls(pump):
        last = batch.read_ns if machine.truth.failed else None
    return last


def fill(
    folder: Path,
    batches: Sequence[Batch],
    records: Sequence[Record] = (),
    *,
    gateway: str = GATEWAY,
    first_seq: int = 1,
    arrive_backwards: bool = False,
) -> int:
    """Seal and store; returns the next number. ``records`` are in the first block."""
    parts = [batches[i : i + POLLS_PER_BLOCK] for i in range(0, len(batches), POLLS_PER_BLOCK)] or [[]]
    blocks = []
    for seq, part in enumerate(parts, first_seq):
        data = encode_block(
            Key(gateway, EPOCH, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=START_NS + seq, batches=part,
            records=records if seq == first_seq else (),
        )  # fmt: skip
        blocks.append((data, decode_block(data)))
    writer = Writer(folder)
    try:
        writer.store(gateway, EPOCH, blocks[::-1] if arrive_backwards else blocks, Seen(START_NS))
    finally:
        writer.close()
    return first_seq + len(parts)


def store_of(folder: Path, pumps: Sequence[Pump]) -> None:
    """One store in which all pumps hang on one gateway."""
    batches = sorted((batch for pump in pumps for batch, _ in polls(pump)), key=lambda batch: batch.read_ns)
    fill(folder, batches, [introduced(pump.asset) for pump in pumps])

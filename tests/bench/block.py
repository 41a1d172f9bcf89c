"""Bytes and microseconds a reading of the block codec, beside its rivals in the same run.

The plant is that of ``signals.py``; each second's readings become a block. Rivals are given the same polls: JSON and
pickled columns under zstd at the same level, and raw struct-packed doubles with a time each.

Small blocks are mostly names and envelope, so they are measured with names as plants give them, no two machines alike:
with names inline, and with a dictionary beside the block. What such a block costs whoever opens it is measured, too.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import zstandard

from edge.contract.block import Dictionary, decode_block, encode_block, pack_dictionary
from edge.contract.types import Batch, Key, Lane
from tests.bench.signals import plant

TAGS = 100
SHAPES = {  # devices, tags, polls of each in one block
    "2 devices x 100 tags, 10 polls": (2, TAGS, 10),
    "20 devices x 100 tags, 1 poll": (20, TAGS, 1),
    "20 devices x 100 tags, 10 polls": (20, TAGS, 10),
    "1 device x 15 tags, 5 polls": (1, 15, 5),
}
HEADLINE = "2 devices x 100 tags, 10 polls"
SMALL = {  # assets, tags of each, polls of each in one block
    "1 asset x 6 tags, 1 poll": (1, 6, 1),
    "1 asset x 20 tags, 1 poll": (1, 20, 1),
    "5 assets x 40 tags, 1 poll": (5, 40, 1),
    "5 assets x 100 tags, 1 poll": (5, 100, 1),
}
PLACES = (
    "drive_end_bearing", "non_drive_end_bearing", "gearbox_input_shaft", "stator_winding_u", "stator_winding_v",
    "spindle", "coolant_return", "coolant_supply", "hydraulic_unit", "suction_line", "discharge_line", "lube_oil",
    "seal_chamber", "extruder_zone_1", "extruder_zone_2", "die_head", "servo_axis_x", "servo_axis_z",
    "main_contactor", "dc_link",
)  # fmt: skip
QUANTITIES = (
    "temperature_c", "vibration_velocity_mm_s", "vibration_acceleration_g", "pressure_bar", "flow_l_min", "speed_rpm",
    "torque_nm", "current_a", "voltage_v", "active_power_kw", "energy_kwh", "operating_hours_h", "level_percent",
    "state",
)  # fmt: skip
MACHINES = ("boiler_feed_pump", "cnc_spindle", "extruder_drive", "cooling_tower_fan", "screw_compressor")


def diverse(batches: Sequence[Batch], *, seed: int) -> list[Batch]:
    """The same polls under names as plants give them, no two machines alike."""
    rng = random.Random(seed)
    every = [f"{place}_{quantity}" for place in PLACES for quantity in QUANTITIES]
    names: dict[str, tuple[str, tuple[str, ...]]] = {}
    for batch in batches:
        if batch.asset not in names:
            number = len(names)
            names[batch.asset] = f"{MACHINES[number % 5]}-{number + 1}", tuple(rng.sample(every, len(batch.tags)))
    return [replace(b, asset=names[b.asset][0], tags=names[b.asset][1]) for b in batches]


def block(batches: Sequence[Batch], dictionary: Dictionary | None = None) -> bytes:
    """As a gateway seals it, some time after the last poll, with a number of some age."""
    key = Key("hall-1", "00112233445566778899aabbccddeeff", 1_000_000)
    sealed_ns = batches[-1].read_ns + 412_345_678
    return encode_block(
        key,
        boot=key.epoch,
        lane=Lane.TELEMETRY,
        sealed_ns=sealed_ns,
        batches=batches,
        records=[],
        dictionary=dictionary,
    )


def json_zstd(batches: Sequence[Batch]) -> bytes:
    rows = [
        {"asset": b.asset, "read_ns": b.read_ns, "mono_ns": b.mono_ns, "source_ns": b.source_ns[0],
         "values": dict(zip(b.tags, b.values, strict=True))}
        for b in batches
    ]  # fmt: skip
    return zstandard.ZstdCompressor(level=3).compress(json.dumps(rows, separators=(",", ":")).encode())


def columns_zstd(batches: Sequence[Batch]) -> bytes:
    found: dict[tuple[str, tuple[str, ...]], list[Batch]] = {}
    for batch in batches:
        found.setdefault((batch.asset, batch.tags), []).append(batch)
    rows = [
        (asset, tags, [(b.read_ns, b.mono_ns, b.source_ns[0]) for b in group],
         list(zip(*(b.values for b in group), strict=True)))
        for (asset, tags), group in found.items()
    ]  # fmt: skip
    return zstandard.ZstdCompressor(level=3).compress(pickle.dumps(rows))


def struct_rows(batches: Sequence[Batch]) -> bytes:
    """Tag number, time and value of each reading, uncompressed, as narrow rows hold them."""
    pack = struct.Struct("<Hqd").pack
    return b"".join(pack(tag, b.read_ns, float(v or 0)) for b in batches for tag, v in enumerate(b.values))


RIVALS: dict[str, Callable[[Sequence[Batch]], bytes]] = {
    "json+zstd": json_zstd, "pickled columns+zstd": columns_zstd, "struct rows": struct_rows,
}  # fmt: skip


def cpu_us(work: Callable[[], object], seconds: float) -> float:
    """CPU microseconds of one call: the least of as many as fit into ``seconds``."""
    least, end = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end or least == float("inf"):
        started = time.process_time_ns()
        work()
        least = min(least, (time.process_time_ns() - started) / 1000)
    return least


def measure(name: str, seconds: float, seed: int) -> dict[str, tuple[float, float]]:
    """Bytes and CPU microseconds a reading for each way to write one shape, and to read ours back (``decode``)."""
    batches = plant(*SHAPES[name], seed=seed)
    readings = sum(len(batch.tags) for batch in batches)
    ours = block(batches)
    found = {
        "ours": (len(ours) / readings, cpu_us(lambda: block(batches), seconds) / readings),
        "decode": (len(ours) / readings, cpu_us(lambda: decode_block(ours), seconds) / readings),
    }
    for rival, write in RIVALS.items():
        us = cpu_us(lambda write=write: write(batches), seconds)  # type: ignore[misc]
        found[rival] = (len(write(batches)) / readings, us / readings)
    return found


@dataclass(frozen=True, slots=True)
class Small:
    """Of one small shape: readings, bytes with names inline and in a dictionary, microseconds a block."""

    readings: int
    inline_bytes: int
    named_bytes: int
    dictionary_bytes: int
    encode_us: float
    decode_us: float

    @property
    def saved(self) -> float:
        """Bytes a reading that the dictionary saves."""
        return (self.inline_bytes - self.named_bytes) / self.readings


def measure_small(name: str, seconds: float, seed: int) -> Small:
    batches = diverse(plant(*SMALL[name], seed=seed), seed=seed)
    names = Dictionary(tuple(dict.fromkeys((batch.asset, batch.tags) for batch in batches)))
    ours = block(batches, names)
    return Small(
        sum(len(batch.tags) for batch in batches), len(block(batches)), len(ours), len(pack_dictionary(names)),
        cpu_us(lambda: block(batches, names), seconds),
        cpu_us(lambda: decode_block(ours, {names.digest: names}), seconds),
    )  # fmt: skip


def figures(found: dict[str, tuple[float, float]], small: dict[str, Small]) -> list[dict[str, object]]:
    """Figures with their goals and rivals, those of the headline last."""
    sizes = {rival: round(found[rival][0], 3) for rival in RIVALS}
    times = {rival: round(found[rival][1], 3) for rival in RIVALS}
    poll, several = small["1 asset x 6 tags, 1 poll"], small["5 assets x 40 tags, 1 poll"]
    rows: list[tuple[str, float, str, float | None, dict[str, float]]] = [
        ("bytes_per_poll_of_6_tags", poll.named_bytes, "B", None, {"names inline": poll.inline_bytes}),
        ("dictionary_saves_1x6_bytes_per_reading", poll.saved, "B", None, {}),
        ("dictionary_saves_5x40_bytes_per_reading", several.saved, "B", None, {}),
        ("decode_us_per_reading", found["decode"][1], "us", 1.0, {}),
        ("encode_us_per_reading", found["ours"][1], "us", 1.0, times),
        ("stored_bytes_per_reading", found["ours"][0], "B", 1.5, sizes),
    ]
    return [
        {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "rival": rival}
        for name, value, unit, goal, rival in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement of time")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    small = {name: measure_small(name, arguments.seconds, arguments.seed) for name in SMALL}
    if arguments.json:
        for figure in figures(measure(HEADLINE, arguments.seconds, arguments.seed), small):
            print(json.dumps(figure))
        return
    print(f"seed {arguments.seed}; CPU time, least of many runs")
    for name in [*(name for name in SHAPES if name != HEADLINE), HEADLINE]:
        found = measure(name, arguments.seconds, arguments.seed)
        print(name)
        for way, (size, us) in found.items():
            print(f"  {way:22} {size:8.3f} B/reading {us:8.3f} us/reading")
    for name, one in small.items():
        print(f"{name}, diverse names (a dictionary of {one.dictionary_bytes} bytes, sent once)")
        print(f"  {one.inline_bytes} bytes with names inline, {one.named_bytes} with a dictionary")
        print(f"  {one.saved:.2f} bytes a reading saved")
        print(f"  {one.encode_us:.0f} us to seal, {one.decode_us:.0f} us to open")
    for figure in figures(found, small):
        goal = f" (goal: at most {figure['goal']})" if figure["goal"] is not None else ""
        print(f"{figure['name']} = {figure['value']} {figure['unit']}{goal}")


if __name__ == "__main__":
    main()

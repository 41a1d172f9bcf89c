"""Bytes and microseconds a reading of the block codec, beside its rivals in the same run.

The plant is that of ``signals.py``; each second's readings become a block. Rivals are given the same polls: JSON and
pickled columns under zstd at the same level, and raw struct-packed doubles with a time each.
"""

from __future__ import annotations

import argparse
import json
import pickle
import struct
import time
from collections.abc import Callable, Sequence

import zstandard

from edge.contract.block import decode_block, encode_block
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


def block(batches: Sequence[Batch]) -> bytes:
    key = Key("hall-1", "00112233445566778899aabbccddeeff", 1)
    return encode_block(key, boot=key.epoch, lane=Lane.TELEMETRY, sealed_ns=1, batches=batches, records=[])


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


def figures(found: dict[str, tuple[float, float]]) -> list[dict[str, object]]:
    """The headline's figures with their goals and rivals, the one that counts last."""
    sizes = {rival: round(found[rival][0], 3) for rival in RIVALS}
    times = {rival: round(found[rival][1], 3) for rival in RIVALS}
    rows: list[tuple[str, float, str, float, dict[str, float]]] = [
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
    if arguments.json:
        for figure in figures(measure(HEADLINE, arguments.seconds, arguments.seed)):
            print(json.dumps(figure))
        return
    print(f"seed {arguments.seed}; CPU time, least of many runs")
    for name in [*(name for name in SHAPES if name != HEADLINE), HEADLINE]:
        found = measure(name, arguments.seconds, arguments.seed)
        print(name)
        for way, (size, us) in found.items():
            print(f"  {way:22} {size:8.3f} B/reading {us:8.3f} us/reading")
    for figure in figures(found):
        print(f"{figure['name']} = {figure['value']} {figure['unit']} (goal: at most {figure['goal']})")


if __name__ == "__main__":
    main()

"""Make the golden blocks of the format's present version; one that exists is never touched.

    PYTHONPATH=. python tests/golden/make_blocks.py

Each ``v<version>-<name>.bin`` gets a ``.json`` beside it with what it holds, and a ``.dictionary`` where it needs one.
Floats are written as 16 hex digits of their bits, so that the content is exact whatever reads it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.contract.block import VERSION, Block, Dictionary, encode_block, pack_dictionary
from edge.contract.commands import CommandStep, Outcome
from edge.contract.types import (
    Alarm,
    AlarmState,
    Asset,
    Batch,
    BundleChange,
    BundleStep,
    Cause,
    ClockSet,
    Dropped,
    Held,
    Key,
    Lane,
    LedgerRow,
    Priority,
    Quality,
    Reason,
    Record,
    Samples,
    Tag,
    Urgency,
    Value,
    Verdict,
    Waveform,
)

FOLDER = Path(__file__).resolve().parent / "blocks"
KEY = Key("press-hall-1", "00112233445566778899aabbccddeeff", 42)
BOOT = "ffeeddccbbaa99887766554433221100"
START_NS = 1_790_000_000_000_000_000


def single(value: float) -> float:
    number: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return number


def double(bits: int) -> float:
    number: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return number


def polls(asset: str, columns: dict[str, Sequence[Value]], *, spread: bool = False) -> list[Batch]:
    """One poll for each row of ``columns``; None is a reading that failed."""
    causes = (Quality.BAD_BUS, Quality.BAD_DEVICE, Quality.BAD_DECODE)
    batches = []
    for row, values in enumerate(zip(*columns.values(), strict=True)):
        read_ns = START_NS + row * 200_000_000 + (row * 7919) % 50_021
        good = Quality.UNCERTAIN if row == 2 else Quality.GOOD
        batches.append(
            Batch(
                asset,
                tuple(columns),
                tuple(values),
                tuple(good if v is not None else causes[i % 3] for i, v in enumerate(values)),
                tuple(read_ns - 1_000_000 - (i * 333 if spread else 0) for i in range(len(values))),
                read_ns=read_ns,
                mono_ns=read_ns - START_NS + 86_400_000_000_000 + row,
                trusted=row > 1,
            )
        )
    return batches


def every_kind() -> list[Batch]:
    columns: dict[str, Sequence[Value]] = {
        "bool": [True, False, True, None, True, True],
        "int": [2**63 - 1, -(2**63), 0, 1, -1, 2],
        "counter": [1000, 1010, 1020, 1030, 1040, 1050],
        "double": [math.pi, -math.e, double(1), 1e300, None, -0.0],
        "nan": [math.nan, double(0x7FF8_0000_DEAD_BEEF), double(0xFFF0_0000_0000_0001), math.inf, -math.inf, 0.0],
        "single": [single(0.1234567), single(-3.3333), single(1e-45), single(3.4e38), 1.5, None],
        "single_decimal": [single(21.3), single(21.4), single(-0.1), None, single(20.0), single(19.9)],
        "halves": [0.5, 1.5, -2.0, None, 7.5, 1000.0],
        "decimal": [21.3, 21.35, -0.07, 19.99, 20.0, 20.01],
        "scaled": [raw * 0.1 for raw in (3, 6, 7, 12, 14, 17)],
        "scaled_oddly": [raw * 0.05 for raw in (3, 6, 7, 12, 14, 17)],
        "constant": [50.0] * 6,
        "text": ["läuft", "läuft", "", None, "\U0001f527", "steht"],
        "mixed": [1, 1.0, True, "1", None, 2**64],
        "never": [None] * 6,
    }
    return polls("machine-1", columns) + polls("machine-2", {"a": [1, 2, 3], "b": [0.5, 0.25, None]}, spread=True)


def every_record() -> list[Record]:
    tag = Tag("speed_rpm", "1/min", "Drehzahl", "speed", 0)
    reason = Reason("vibration_mm_s", 0.75, "Vibration is three times its usual level.")
    return [
        Asset("machine-1", "Spindle 1", "cnc_spindle", (tag,), 200, START_NS),
        Verdict(
            "machine-1", START_NS, "ab" * 32, 61.5, 1.25, True, 120.0, 90.5, 160.0, Urgency.WARNING, (reason,), 0.99,
        ),
        Verdict(
            "machine-2", START_NS, "", None, None, False, None, None, None, Urgency.UNKNOWN, (), 0.0,
            "not enough evidence",
        ),
        Alarm(
            "machine-1", "high", "speed_rpm", Priority.HIGH, AlarmState.UNACKNOWLEDGED, START_NS, START_NS + 1,
            math.inf, "Speed is high.", "Load was lost.", "Stop the machine.",
        ),
        Dropped("machine-1", "speed_rpm", Cause.POWER, 17, START_NS, START_NS + 10**9),
        LedgerRow("machine-1", "speed_rpm", START_NS, *range(14)),
    ]  # fmt: skip


def wide() -> list[Batch]:
    """Enough columns of each width that planes of several lengths and slopes occur."""
    columns: dict[str, Sequence[Value]] = {}
    for tag in range(40):
        columns[f"walk_{tag}"] = [(row * row * 7919 * (tag + 1)) % (10 ** (tag % 8 + 1)) for row in range(25)]
        columns[f"ramp_{tag}"] = [row * 10 ** (tag % 10) + (row % 3) for row in range(25)]
    return polls("machine-1", columns) + polls("machine-2", columns)


def bundle_changes() -> list[Record]:
    new, former = "ab" * 32, "cd" * 32
    return [
        BundleChange("spindle-1", START_NS, new, former, BundleStep.WATCHED, 3, 0, "retrained on nine failures"),
        BundleChange("spindle-1", START_NS + 1, new, former, BundleStep.COUNTS, 3, 86_400, "no worse in 24.0 h"),
        BundleChange("pump-1", START_NS + 2, new, "", BundleStep.REFUSED, 4, 0, "signed by key 00, not trusted"),
    ]


def the_floor() -> list[Record]:
    """What people do: alarms that were shelved, latched and grouped, and an audited setpoint."""
    held = Alarm(
        "pump-1", "flow_low", "flow_m3_h", Priority.LOW, AlarmState.UNACKNOWLEDGED, START_NS, START_NS + 5, 41.5,
        "Flow is low.", held=Held.SHELVED, until_ns=START_NS + 3600 * 10**9, by="ada", why="valve is being exchanged",
    )  # fmt: skip
    latched = Alarm(
        "pump-1", "vibration_trip", "vibration_mm_s", Priority.HIGH, AlarmState.RETURNED, START_NS, START_NS + 6, 8.0,
        "Vibration was in zone D.", latched=True, group="bearing", first=True, repeats=2,
    )  # fmt: skip
    asked = Outcome(
        "pump-1", START_NS, "ef" * 32, 7, "ab" * 32, "speed_setpoint_rpm", CommandStep.WRITING, 2700.0, 2950.0, None,
        "ada", "two people approved it", 1, "12" * 32,
    )  # fmt: skip
    done = Outcome(
        "pump-1", START_NS + 1, "ef" * 32, 7, "ab" * 32, "speed_setpoint_rpm", CommandStep.ROLLED_BACK, 2700.0, 2950.0,
        2950.0, "gateway", "vibration_mm_s > 7.1", 2, "34" * 32,
    )  # fmt: skip
    return [held, latched, asked, done]


def snapshots() -> list[Record]:
    """Every type of sample, smooth and rough, with what is easily lost."""
    wave = [round(3000 * math.sin(i / 9)) for i in range(300)]
    rough = [(i * i * 7919) % 65_536 - 32_768 for i in range(300)]
    odd = [math.nan, -math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-45, 5e-324, 0.1]
    samples: list[Samples] = [
        np.array(wave, np.int16), np.array(rough, np.int16), np.array([-(2**31), 2**31 - 1, 0, 5], np.int32),
        np.array(wave, np.float32) / np.float32(7), np.array(odd, np.float32), np.array(wave) * 0.1,
        np.array([*odd, double(0x7FF0_DEAD_BEEF_0001)]), np.array([], np.int16),
    ]  # fmt: skip
    return [
        Waveform("machine-1", "vibration", "g", START_NS + i, i, i > 2, 25_600.0, one) for i, one in enumerate(samples)
    ]


@dataclass(frozen=True, slots=True)
class Golden:
    """What one block is made of; ``named``: the series that its dictionary names, or None."""

    lane: Lane = Lane.TELEMETRY
    batches: Sequence[Batch] = ()
    records: Sequence[Record] = ()
    named: Sequence[Batch] | None = None
    thinned: bool = False


BLOCKS: dict[str, Golden] = {
    "every-kind": Golden(batches=every_kind()),
    "every-record": Golden(Lane.URGENT, records=[*every_record(), ClockSet(BOOT, START_NS, 5, START_NS + 5)]),
    "both": Golden(batches=every_kind()[:3], records=every_record()[:2]),
    "wide": Golden(batches=wide()),
    "empty": Golden(),
    "snapshots": Golden(records=snapshots()),
    "bundle-changes": Golden(records=bundle_changes()),
    "the-floor": Golden(records=the_floor()),
    "named": Golden(batches=every_kind(), records=every_record(), named=[*wide(), *every_kind()]),
    "partly-named": Golden(batches=every_kind(), named=every_kind()[:3]),
    "one-poll": Golden(batches=every_kind()[:1], named=every_kind()),
    "thinned": Golden(batches=every_kind(), thinned=True),
}


def dictionary_of(named: Sequence[Batch] | None) -> Dictionary | None:
    return None if named is None else Dictionary(tuple(dict.fromkeys((b.asset, b.tags) for b in named)))


def content(block: Block) -> dict[str, Any]:
    """What a block holds, as JSON that loses nothing."""
    header = block.header
    later = {} if header.version == 1 else {"thinned": header.thinned, "dictionary": header.dictionary.hex()}
    return later | {
        "gateway": header.key.gateway, "epoch": header.key.epoch, "seq": header.key.seq, "boot": header.boot,
        "lane": int(header.lane), "sealed_ns": header.sealed_ns, "readings": header.readings, "good": header.good,
        "batches": [poll(batch) for batch in block.batches()],
        "records": [told(record) for record in block.records],
    }  # fmt: skip


def told(record: Record) -> str | list[object]:
    if not isinstance(record, Waveform):
        return repr(record)
    named = [record.asset, record.tag, record.unit, record.at_ns, record.mono_ns, record.trusted, record.rate_hz]
    return [
        *named,
        record.samples.dtype.name,
        record.samples.astype(record.samples.dtype.newbyteorder("<")).tobytes().hex(),
    ]


def poll(batch: Batch) -> dict[str, Any]:
    return {
        "asset": batch.asset, "tags": list(batch.tags), "values": [spelled(v) for v in batch.values],
        "quality": [int(q) for q in batch.quality], "source_ns": list(batch.source_ns), "read_ns": batch.read_ns,
        "mono_ns": batch.mono_ns, "trusted": batch.trusted,
    }  # fmt: skip


def spelled(value: Value) -> Value | dict[str, str]:
    return {"float": struct.pack(">d", value).hex()} if isinstance(value, float) else value


def make() -> None:
    """Write what is missing. The content is what was put in, not what a decoder made of it."""
    FOLDER.mkdir(exist_ok=True)
    for name, one in BLOCKS.items():
        path = FOLDER / f"v{VERSION}-{name}.bin"
        if path.exists():
            print(f"{path.name} exists and stays as it is")
            continue
        dictionary = dictionary_of(one.named)
        data = encode_block(
            KEY, boot=BOOT, lane=one.lane, sealed_ns=START_NS, batches=one.batches, records=one.records,
            dictionary=dictionary, thinned=one.thinned,
        )  # fmt: skip
        expected = {
            "thinned": one.thinned, "dictionary": dictionary.digest.hex() if dictionary else "",
            "gateway": KEY.gateway, "epoch": KEY.epoch, "seq": KEY.seq, "boot": BOOT, "lane": int(one.lane),
            "sealed_ns": START_NS, "readings": sum(len(b.tags) for b in one.batches),
            "good": sum(not q.is_bad for b in one.batches for q in b.quality),
            "batches": [poll(b) for b in one.batches], "records": [told(record) for record in one.records],
        }  # fmt: skip
        path.write_bytes(data)
        if dictionary:
            path.with_suffix(".dictionary").write_bytes(pack_dictionary(dictionary))
        text = json.dumps(expected, indent=None, separators=(",", ":"))
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        print(f"{path.name}: {len(data)} bytes")


if __name__ == "__main__":
    make()

"""CPU of turning replies' bytes into answers, for 10,000 tags, beside pymodbus' own conversion of the same registers.

A hundred devices have a hundred tags each, their types in about the proportions of the shipped profiles (five of ten
float32), half of them low word first. Ours goes from the replies' data to the list of answers that a poll gives, each
with its quality; pymodbus' is ``convert_from_registers`` a value, from registers that are numbers already, and nothing
else. Both must give the same values. The two take turns, and the figure is the median of the rounds' ratios.

With it: ours where two of ten are scaled, ours where one of ten is BCD, a text, a bit, a field or a word, and
``edge.registers.unpack`` a value.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

from pymodbus.client.mixin import ModbusClientMixin

from edge.config.profiles.modbus import ModbusProfile, Point
from edge.config.profiles.signal import Device
from edge.contract.types import Quality
from edge.drivers.modbus_plan import Plan
from edge.drivers.modbus_questions import Reply
from edge.registers import unpack

DEVICES, TAGS = 100, 100
GOAL = 0.05
TYPES = ("float32", "uint16", "float32", "int16", "float32", "uint32", "float32", "uint64", "float32", "uint16")
CODES = {"float32": "f", "uint16": "H", "int16": "h", "uint32": "I", "uint64": "Q"}
ODD: tuple[dict[str, Any], ...] = (
    {"type": "bcd32"}, {"type": "string", "length": 8}, {"type": "uint16", "bit": 3},
    {"type": "uint16", "bits": (4, 7)}, {"type": "uint16", "values": {7: "running"}},
)  # fmt: skip
ODD_BYTES = (b"\x00\x12\x34\x56", b"PUMP STATION 7\0\0", b"\x00\x08", b"\x00\x70", b"\x00\x07")


Kind = Literal["plain", "scaled", "odd"]


class Plant:
    """``polls``: a plan and the replies to its blocks, by device; the same bytes, and as numbers, from address 0."""

    def __init__(self, seed: int, kind: Kind) -> None:
        rng = random.Random(seed)
        self.polls: list[tuple[Plan, list[Reply]]] = []
        self.memory: list[bytes] = []
        self.registers: list[list[int]] = []
        for device in range(DEVICES):
            points, memory = _device(rng, kind)
            plan = Plan(_profile(device, points))
            replies = [
                Reply(memory[2 * b.request.address :][: b.request.data_bytes], Quality.GOOD) for b in plan.blocks
            ]
            self.polls.append((plan, replies))
            self.memory.append(memory)
            self.registers.append(list(struct.unpack(f">{len(memory) // 2}H", memory)))


def _device(rng: random.Random, kind_of_plant: Kind) -> tuple[list[Point], bytes]:
    points, memory = [], b""
    for tag in range(TAGS):
        kind = TYPES[tag % 10]
        fields: dict[str, Any] = {"type": kind, "order": "CDAB" if tag % 4 > 1 else "ABCD"}
        number = rng.uniform(-1e6, 1e6) if kind.startswith("float") else rng.randrange(1 << 12)
        plain = struct.pack(">" + CODES[kind], number)
        if kind_of_plant == "scaled" and tag % 10 in (1, 3):
            fields |= {"scale": 0.1}
        if kind_of_plant == "odd" and tag % 10 == 9:
            fields, plain = ODD[tag // 10 % 5], ODD_BYTES[tag // 10 % 5]
        words = [plain[i : i + 2] for i in range(0, len(plain), 2)]
        points.append(Point(tag=f"t{tag}", function=3, address=len(memory) // 2, **fields))
        memory += b"".join(words[::-1] if fields.get("order") == "CDAB" else words)
    return points, memory


def _profile(device: int, points: Sequence[Point]) -> ModbusProfile:
    about = Device(id=f"device-{device}", products=("a benchmark",), source="made up")
    return ModbusProfile(device=about, point=tuple(points))


Polls = Iterator[Sequence[Any]]
"""What each device in turn gave, one thing a tag. A gateway takes one poll at a time, and so do the measurements."""


def ours(plant: Plant) -> Polls:
    for plan, replies in plant.polls:
        yield plan.answers(replies)


def by_pymodbus(plant: Plant) -> Callable[[], Polls]:
    """The conversion of every value, all that can be known beforehand being known."""
    convert = ModbusClientMixin.convert_from_registers
    places = [
        [
            (p.address, p.address + p.registers, getattr(ModbusClientMixin.DATATYPE, p.type.upper()),
             "little" if p.order == "CDAB" else "big")
            for p in plan.profile.point
        ]
        for plan, _ in plant.polls
    ]  # fmt: skip

    steps = list(zip(plant.registers, places, strict=True))

    def work() -> Polls:
        for registers, points in steps:
            yield [
                convert(registers[start:end], kind, word_order=order)  # type: ignore[arg-type]
                for start, end, kind, order in points
            ]

    return work


def by_value(plant: Plant) -> Polls:
    for (plan, _), memory in zip(plant.polls, plant.memory, strict=True):
        yield [unpack(p, memory[2 * p.address : 2 * (p.address + p.registers)]) for p in plan.profile.point]


def agree(plant: Plant) -> None:
    """Ours are pymodbus' values, scaled. Raises ``AssertionError``."""
    for (plan, _), answers, numbers in zip(plant.polls, ours(plant), by_pymodbus(plant)(), strict=True):
        for point, answer, theirs in zip(plan.profile.point, answers, numbers, strict=True):
            assert answer.quality == Quality.GOOD
            assert answer.value == (theirs * point.scale if point.is_scaled else theirs), point


def cpu_ns(work: Callable[[], Polls]) -> float:
    """CPU nanoseconds a tag of one round, which is long enough for the clock."""
    rounds, gone = 0, 0
    gc.collect()
    while gone < 100_000_000:
        started = time.process_time_ns()
        for _ in work():
            pass
        gone += time.process_time_ns() - started
        rounds += 1
    return gone / rounds / (DEVICES * TAGS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    plain, scaled, odd = (Plant(arguments.seed, kind) for kind in get_args(Kind))
    agree(plain)
    agree(scaled)
    ways: dict[str, Callable[[], Polls]] = {
        "pymodbus": by_pymodbus(plain), "ours": lambda: ours(plain), "ours, two of ten scaled": lambda: ours(scaled),
        "ours, one of ten odd": lambda: ours(odd), "unpack a value": lambda: by_value(plain),
    }  # fmt: skip
    took: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, work in ways.items():
            took[way].append(cpu_ns(work))
    median = {way: statistics.median(times) for way, times in took.items()}
    ratio = statistics.median(a / b for a, b in zip(took["ours"], took["pymodbus"], strict=True))
    if arguments.json:
        rival = {way: round(ns, 1) for way, ns in median.items() if way != "ours"}
        for name, value, unit, goal in [
            ("decode_ns_per_tag", median["ours"], "ns", None), ("cpu_ratio", ratio, "x", GOAL),
        ]:  # fmt: skip
            print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "rival": rival}))
        return
    print(f"seed {arguments.seed}; CPU, medians of {arguments.rounds} rounds in turn, {DEVICES * TAGS} tags")
    for way, ns in median.items():
        print(f"  {way:32} {ns:8.1f} ns a tag")
    print(f"cpu_ratio = {ratio:.4f} (goal: at most {GOAL})")


if __name__ == "__main__":
    main()

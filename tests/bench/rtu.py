"""How much of a serial line's theoretical poll rate is used, and whether the silent interval is kept, beside rivals.

20 holding registers are polled over a pty by a program that lets characters take their time in both directions and
whose device answers after t3.5 and no later (``tests/peers/serial_line.c``). A poll takes at least 53 characters of 11
bits (8 asked, 45 answered) and twice t3.5. The share is that time over the time that a poll took, from the beginning of
one frame to that of the next, both seen by the line: of each round the median poll, of the rounds the median. A master
that is above 1 broke the silence: such a device on a real line may take two frames for one. Violations are those of all
polls of all rounds. Masters take turns.

The line and the masters ask for real-time priority, lest what else this machine does is measured; where they are not
given it, the first line of the output says so. The mean over whole rounds, stalls of the machine included, stands
beside. pymodbus' clients and a libmodbus program of ours (``tests/rooms/plant/libmodbus_client.c``) do the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from pymodbus.client import AsyncModbusSerialClient, ModbusSerialClient  # noqa: E402

from edge.clock import SystemClock  # noqa: E402
from edge.config.lines import ModbusRtu  # noqa: E402
from edge.config.profiles.modbus import ModbusProfile, Point  # noqa: E402
from edge.config.profiles.signal import Device  # noqa: E402
from edge.contract.types import Quality  # noqa: E402
from edge.drivers.modbus_rtu import ModbusRtuDriver  # noqa: E402

UNIT, REGISTERS, BITS = 17, 20, 11
CHARACTERS = 8 + 5 + 2 * REGISTERS
GOAL = 0.97
POLLS = {9_600: 30, 115_200: 200}
"""Polls of one round; five rounds are more than a thousand."""
Master = Callable[[str, int, int], None]
"""Polls the device at this path, at this speed, so many times. Raises where a poll fails."""


def least_s(baud: int) -> float:
    """What a poll takes at least: its characters and two silences."""
    silence_s = 0.001_75 if baud > 19_200 else 3.5 * BITS / baud
    return CHARACTERS * BITS / baud + 2 * silence_s


def ours(device: str, baud: int, polls: int) -> None:
    points = tuple(Point(tag=f"r{i}", function=3, address=i, type="uint16") for i in range(REGISTERS))
    profile = ModbusProfile(device=Device(id="d", products=("a benchmark",), source="made up"), point=points)
    line = ModbusRtu(name="line", device=device, baud=baud, parity="N", stop_bits=2, timeout_ms=200)

    async def poll() -> None:
        driver = ModbusRtuDriver(line, SystemClock())
        await driver.open()
        for _ in range(polls):
            answers = await driver.read(UNIT, profile)
            assert all(answer.quality == Quality.GOOD for answer in answers), answers[0].detail
        await driver.close()

    asyncio.run(poll())


def pymodbus_sync(device: str, baud: int, polls: int) -> None:
    client = ModbusSerialClient(device, baudrate=baud, stopbits=2, timeout=1)
    assert client.connect()
    for _ in range(polls):
        assert len(client.read_holding_registers(0, count=REGISTERS, device_id=UNIT).registers) == REGISTERS
    client.close()  # type: ignore[no-untyped-call]


def pymodbus_async(device: str, baud: int, polls: int) -> None:
    async def poll() -> None:
        client = AsyncModbusSerialClient(device, baudrate=baud, stopbits=2, timeout=1)
        assert await client.connect()
        for _ in range(polls):
            reply = await client.read_holding_registers(0, count=REGISTERS, device_id=UNIT)
            assert len(reply.registers) == REGISTERS
        client.close()

    asyncio.run(poll())


def libmodbus(program: Path) -> Master:
    def poll(device: str, baud: int, polls: int) -> None:
        command = [str(program), "rtu", device, str(baud), str(UNIT), "3", "0", str(REGISTERS), str(polls)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return poll


@dataclass
class Seen:
    """What the line saw of one master at one speed, round by round."""

    shares: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    frames: int = 0
    violations: int = 0
    shortest_s: float = 1e9

    @property
    def share(self) -> float:
        return statistics.median(self.shares)

    def take(self, baud: int, saw: dict[str, Any]) -> None:
        self.shares.append(least_s(baud) / saw["median_s"])
        self.means.append(least_s(baud) * (saw["frames"] - 1) / saw["seconds"])
        self.frames += saw["frames"]
        self.violations += saw["violations"]
        self.shortest_s = min(self.shortest_s, saw["shortest_s"])


def compiled(folder: Path, source: Path, *libraries: str) -> Path:
    compiler, pkg_config = shutil.which("gcc"), shutil.which("pkg-config")
    if compiler is None or pkg_config is None:
        raise SystemExit("gcc, pkg-config and libmodbus-dev are needed: sudo apt install gcc pkg-config libmodbus-dev")
    flags = subprocess.run([pkg_config, "--cflags", "libmodbus"], check=True, capture_output=True, text=True).stdout
    target = folder / source.stem
    subprocess.run([compiler, "-O2", *flags.split(), "-o", str(target), str(source), *libraries], check=True)
    return target


@contextmanager
def running(line: Path, baud: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The line's device, and what it saw, once the context has ended."""
    saw: dict[str, Any] = {}
    with subprocess.Popen(
        [str(line), str(baud), str(BITS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), saw
            process.stdin.close()
            saw.update(json.loads(process.stdout.readline()))
        finally:
            process.kill()


def preferred() -> bool:
    """Whether this process was given real-time priority, below the line's."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    except PermissionError:
        return False
    return True


def measure(rounds: int, bauds: list[int], say: Callable[[str], None]) -> tuple[dict[tuple[str, int], Seen], bool]:
    """By master and speed, masters taking turns; and whether all had their priority."""
    found: dict[tuple[str, int], Seen] = {}
    urgent = preferred()
    with tempfile.TemporaryDirectory() as folder:
        line = compiled(Path(folder), ROOT / "tests/peers/serial_line.c", "-lutil")
        foreign = compiled(Path(folder), ROOT / "tests/rooms/plant/libmodbus_client.c", "-lmodbus")
        masters: dict[str, Master] = {
            "ours": ours, "pymodbus sync": pymodbus_sync, "pymodbus async": pymodbus_async,
            "libmodbus": libmodbus(foreign),
        }  # fmt: skip
        for number in range(rounds):
            for baud in bauds:
                for name, master in masters.items():
                    say(f"round {number + 1} of {rounds}, {baud} baud, {name}")
                    with running(line, baud) as (device, saw):
                        master(device, baud, POLLS[baud])
                    found.setdefault((name, baud), Seen()).take(baud, saw)
                    urgent &= saw["urgent"]
    return found, urgent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--baud", type=int, choices=sorted(POLLS), help="one speed only")
    arguments = parser.parse_args()
    bauds = [arguments.baud] if arguments.baud else sorted(POLLS)

    def say(words: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{words:60}", end="", file=sys.stderr, flush=True)

    found, urgent = measure(arguments.rounds, bauds, say)
    say("")
    violations = sum(found["ours", baud].violations for baud in bauds)
    polls = sum(found["ours", baud].frames for baud in bauds)
    if arguments.json:
        for baud in bauds:
            rival = {name: round(seen.share, 3) for (name, at), seen in found.items() if at == baud and name != "ours"}
            share = round(found["ours", baud].share, 4)
            print(json.dumps({"name": f"line_share_{baud}", "value": share, "unit": "", "goal": GOAL, "rival": rival}))
        rival = {
            name: sum(found[name, baud].violations for baud in bauds)
            for name in dict.fromkeys(n for n, _ in found if n != "ours")
        }
        print(json.dumps({"name": "violations", "value": violations, "unit": "", "goal": 0, "rival": rival}))
        return
    print(f"load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors: a busy machine delays every master")
    if not urgent:
        print(
            "no real-time priority, for which one must be root: what else this machine does counts against every master"
        )
    for (name, baud), seen in sorted(found.items(), key=lambda item: item[0][1]):
        print(
            f"{baud:7} baud {name:15} {seen.share / least_s(baud):7.2f} polls/s of {1 / least_s(baud):.2f}: "
            f"{seen.share:.3f} (mean {statistics.median(seen.means):.3f}), "
            f"{seen.violations} of {seen.frames} too soon, "
            f"least silence {seen.shortest_s * 1e3:.3f} ms"
        )
    for baud in bauds:
        print(f"line_share_{baud} = {found['ours', baud].share:.4f} (goal: at least {GOAL})")
    print(f"violations = {violations} of {polls} polls (goal: 0)")


if __name__ == "__main__":
    main()

"""What it costs to poll 50 Modbus TCP devices of 100 registers ten times a second, and how soon a due poll is sent.

The devices are a process of their own, and so is each of the two that poll: Babbitt's poll room with its drivers, whose
readings are values with a quality and a time for each of 5,000 signals; and a plain loop of pymodbus' asynchronous
client, one task a device, which has the registers and nothing else. Both are measured in turn, several times; CPU time
is that of the whole process over the time in which it polled. How soon is measured apart, from when a poll was due to
when its question had been handed to the kernel; beside it, how late timers are that do nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge.clock import SystemClock
from edge.config.lines import ModbusTcp
from edge.config.profiles.modbus import Point
from edge.config.site import Site
from edge.config.tables import Asset, Gateway, SiteFile, Unit
from edge.contract.types import Batch, Quality
from edge.drivers import make_driver, make_source
from edge.drivers.modbus_tcp import _Connection
from edge.poll import Poller
from edge.poll.line import LineOwner
from tests.bench._plcs import plcs
from tests.peers.image import profile_of

DEVICES, REGISTERS, PERIOD_MS = 50, 100, 100
WARM_S = 1.5
CPU_SHARE_GOAL = 0.10


class Count:
    """Takes what is polled."""

    def __init__(self) -> None:
        self.polls = self.good = 0

    def offer(self, asset: str, tags: object) -> None: ...

    def deliver(self, batch: Batch) -> None:
        self.polls += 1
        self.good += batch.quality.count(Quality.GOOD)


def babbitt(ports: list[int], count: Count) -> Poller:
    points = [Point(tag=f"r{i}", function=3, address=i, type="uint16") for i in range(REGISTERS)]
    file = SiteFile(
        gateway=Gateway(id="bench"),
        line=tuple(ModbusTcp(name=f"l{i}", port=port) for i, port in enumerate(ports)),
        asset=tuple(
            Asset(id=f"a{i}", unit=(Unit(line=f"l{i}", unit=1, profile="p", period_ms=PERIOD_MS),))
            for i in range(len(ports))
        ),
    )
    site = Site(
        path=Path("site.toml"), file=file, profiles={"p": profile_of(points)}, folders=(), classes={}, services={}
    )
    return Poller(
        site, clock=SystemClock(), offer=count.offer, deliver=count.deliver, make_driver=make_driver,
        make_source=make_source,
    )  # fmt: skip


async def pymodbus(ports: list[int], count: Count) -> None:
    """One task a device, in the way of pymodbus' own examples."""
    from pymodbus.client import AsyncModbusTcpClient

    async def one(port: int, phase_s: float) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        await client.connect()
        due = time.monotonic() + phase_s
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += PERIOD_MS / 1000
            reply = await client.read_holding_registers(0, count=REGISTERS, device_id=1)
            count.polls += 1
            count.good += len(reply.registers)

    await asyncio.gather(*(one(port, PERIOD_MS / 1000 * i / len(ports)) for i, port in enumerate(ports)))


async def measured(polling: Awaitable[None], count: Count, seconds: float) -> dict[str, float]:
    task = asyncio.ensure_future(polling)
    await asyncio.sleep(WARM_S)
    cpu_s, at_s, polls, good = time.process_time(), time.monotonic(), count.polls, count.good
    await asyncio.sleep(seconds)
    cpu_s, took_s = time.process_time() - cpu_s, time.monotonic() - at_s
    result = {
        "cpu_share": cpu_s / took_s, "polls_s": (count.polls - polls) / took_s,
        "readings_s": (count.good - good) / took_s, "cpu_us_poll": cpu_s / max(1, count.polls - polls) * 1e6,
    }  # fmt: skip
    assert not task.done(), task
    task.cancel()
    await asyncio.wait([task])
    return result


async def lateness(ports: list[int], count: Count, seconds: float) -> dict[str, float]:
    """In ms from due to sent: the question is in the kernel's hands when ``write`` returns."""
    poller = babbitt(ports, count)
    owners = [place.owner for place in poller._places.values()]
    units = {f"babbitt.poll[{owner.line.name}]": owner.units[0] for owner in owners if isinstance(owner, LineOwner)}
    late_ms: list[float] = []
    ask = _Connection.ask

    def noted(self: _Connection, *question: object) -> object:
        asked = ask(self, *question)  # type: ignore[arg-type]
        task = asyncio.current_task()
        assert task is not None
        late_ms.append((time.monotonic_ns() - units[task.get_name()].due_ns) / 1e6)
        return asked

    _Connection.ask = noted  # type: ignore[assignment,method-assign]
    await measured(poller.run(), count, seconds)
    return percentiles(late_ms)


async def timers(seconds: float) -> dict[str, float]:
    """The same of nothing but timers, as many and as often: what the machine and the loop add by themselves, in ms."""
    late_ms: list[float] = []

    async def one(phase_s: float) -> None:
        due = time.monotonic() + phase_s
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            late_ms.append((time.monotonic() - due) * 1000)
            due += PERIOD_MS / 1000

    tasks = [asyncio.create_task(one(PERIOD_MS / 1000 * i / DEVICES)) for i in range(DEVICES)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    return percentiles(late_ms)


def percentiles(late_ms: list[float]) -> dict[str, float]:
    ranked = sorted(late_ms[DEVICES:])  # The first of each had to connect.
    return {f"p{share:g}": ranked[int(len(ranked) * share / 100)] for share in (50, 90, 99, 99.9)}


def in_a_process(name: str, ports: list[int], seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.poll", "--run", name, "--seconds", str(seconds)]
    told = subprocess.run(command, input=json.dumps(ports), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return found


def run(name: str, ports: list[int], seconds: float, *, profiled: bool) -> None:
    count = Count()
    runs: dict[str, Callable[[], Awaitable[dict[str, float]]]] = {
        "babbitt": lambda: measured(babbitt(ports, count).run(), count, seconds),
        "pymodbus": lambda: measured(pymodbus(ports, count), count, seconds),
        "late": lambda: lateness(ports, count, seconds),
        "timers": lambda: timers(seconds),
    }

    async def main() -> dict[str, float]:
        return await runs[name]()

    if profiled:
        profile = cProfile.Profile()
        profile.runcall(asyncio.run, main())
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    print(json.dumps(asyncio.run(main())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each polls")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--profile", metavar="NAME", help="profile one of: babbitt, pymodbus, late")
    options = parser.parse_args()
    if options.run:
        run(options.run, json.loads(sys.stdin.readline()), options.seconds, profiled=False)
        return
    with plcs(DEVICES) as devices:
        if options.profile:
            run(options.profile, devices.ports, options.seconds, profiled=True)
            return
        rounds = {
            name: [in_a_process(name, devices.ports, options.seconds) for _ in range(options.rounds)]
            for name in ("babbitt", "pymodbus")
        }
        late, bare = (
            [in_a_process(name, devices.ports, options.seconds) for _ in range(options.rounds)]
            for name in ("late", "timers")
        )
    print(f"{DEVICES} devices x {REGISTERS} registers, every {PERIOD_MS} ms; medians of {options.rounds} rounds")
    for name, found in rounds.items():
        share, us, polls, readings = (
            statistics.median(one[key] for one in found)
            for key in ("cpu_share", "cpu_us_poll", "polls_s", "readings_s")
        )
        print(f"{name:9} {share:6.1%} of a core, {us:4.0f} us a poll, {polls:.1f} polls/s, {readings:,.0f} readings/s")
    for name in late[0]:
        sent_ms, timer_ms = (statistics.median(one[name] for one in found) for found in (late, bare))
        print(f"due to sent, {name}: {sent_ms:.2f} ms; timers with nothing to do: {timer_ms:.2f} ms")
    share = statistics.median(one["cpu_share"] for one in rounds["babbitt"])
    ratio = share / statistics.median(one["cpu_share"] for one in rounds["pymodbus"])
    print(f"cpu_ratio_to_pymodbus={ratio:.2f}")
    print(f"goal_met={share <= CPU_SHARE_GOAL}")
    print(f"due_to_sent_p99_ms={statistics.median(one['p99'] for one in late):.2f}")
    print(f"cpu_share_of_core={share:.3f}")


if __name__ == "__main__":
    main()

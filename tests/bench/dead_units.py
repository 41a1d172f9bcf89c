"""32 units on one line, of which 16 die: how much of their schedule the living keep, and how soon one that returns is
back.

The line is a TCP connection to a serial gateway (a process of its own) that takes 10 ms for an answer and stays silent
for a unit that is dead, as it would on a bus. Each unit is due once a second. The dead stay dead until their pauses are
as long as they get; then some return, one after the other at random moments, and the worst is told. Beside it a plain
loop over the units with pymodbus' client and the same timeout.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from edge.clock import SystemClock
from edge.config.lines import ModbusTcp
from edge.config.profiles.modbus import Point
from edge.config.site import Site
from edge.config.tables import Asset, Gateway, SiteFile, Unit
from edge.contract.types import Batch, Quality
from edge.drivers import make_driver, make_source
from edge.poll import Poller
from tests.bench._plcs import Plcs, plcs
from tests.peers.image import profile_of

UNITS, REGISTERS, PERIOD_S, REPLY_MS, TIMEOUT_MS = 32, 10, 1.0, 10.0, 300
DEAD = list(range(2, UNITS + 1, 2))
LIVING = list(range(1, UNITS + 1, 2))
SHARE_GOAL, RETURN_GOAL_S = 0.95, 30.0


class Seen:
    """What came of each unit: polls, good ones, and when the last good one was."""

    def __init__(self) -> None:
        self.due: Counter[int] = Counter()
        self.good: Counter[int] = Counter()
        self.last_s: dict[int, float] = {}

    def offer(self, asset: str, tags: object) -> None: ...

    def deliver(self, batch: Batch) -> None:
        self.saw(int(batch.asset[1:]), good=batch.quality[0] == Quality.GOOD)

    def saw(self, unit: int, *, good: bool) -> None:
        self.due[unit] += 1
        self.good[unit] += good
        if good:
            self.last_s[unit] = time.monotonic()

    def forget(self) -> None:
        self.due.clear()
        self.good.clear()

    def share(self, due: int) -> float:
        """Good polls of the living, of so many that were due for each; the schedule owes no more than those."""
        return sum(min(self.good[unit], due) for unit in LIVING) / (due * len(LIVING))


def babbitt(port: int, seen: Seen) -> Poller:
    points = [Point(tag=f"r{i}", function=3, address=i, type="uint16") for i in range(REGISTERS)]
    file = SiteFile(
        gateway=Gateway(id="bench"),
        line=(ModbusTcp(name="l", port=port, timeout_ms=TIMEOUT_MS),),
        asset=tuple(
            Asset(id=f"a{n}", unit=(Unit(line="l", unit=n, profile="p", period_ms=int(PERIOD_S * 1000)),))
            for n in range(1, UNITS + 1)
        ),
    )
    site = Site(
        path=Path("site.toml"), file=file, profiles={"p": profile_of(points)}, folders=(), classes={}, services={}
    )
    return Poller(
        site, clock=SystemClock(), offer=seen.offer, deliver=seen.deliver, make_driver=make_driver,
        make_source=make_source,
    )  # fmt: skip


async def plain_loop(port: int, seen: Seen) -> None:
    """Every unit in turn, as soon as a second has passed since its last turn."""
    from pymodbus.client import AsyncModbusTcpClient
    from pymodbus.exceptions import ModbusException

    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=TIMEOUT_MS / 1000, retries=0)
    await client.connect()
    due = dict.fromkeys(range(1, UNITS + 1), time.monotonic())
    while True:
        for unit in due:
            await asyncio.sleep(max(0.0, due[unit] - time.monotonic()))
            due[unit] = max(due[unit] + PERIOD_S, time.monotonic())
            good = False
            with suppress(ModbusException):
                reply = await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
                good = not reply.isError()
            if not client.connected:
                await client.connect()
            seen.saw(unit, good=good)


async def half_dead(devices: Plcs, seen: Seen, polling: asyncio.Task[None], seconds: float) -> float:
    await asyncio.sleep(3.0)
    assert not polling.done(), polling
    devices.die(DEAD)
    seen.forget()
    await asyncio.sleep(seconds)
    assert not polling.done(), polling
    return seen.share(int(seconds / PERIOD_S))


async def returns(devices: Plcs, seen: Seen, chance: random.Random, count: int) -> list[float]:
    """Units come back at random moments, each while the others that are dead stay so."""
    dead, waits_s = list(DEAD), []
    for unit in chance.sample(DEAD, count):
        await asyncio.sleep(chance.uniform(0, 5))
        dead.remove(unit)
        devices.die(dead)
        began_s = time.monotonic()
        while seen.last_s.get(unit, 0.0) < began_s:
            await asyncio.sleep(0.01)
            assert time.monotonic() - began_s < 120, f"unit {unit} never came back"
        waits_s.append(seen.last_s[unit] - began_s)
    return waits_s


async def measure(options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)
    seen = Seen()
    with plcs(1, REPLY_MS) as devices:
        polling = asyncio.create_task(plain_loop(devices.ports[0], seen))
        plain = await half_dead(devices, seen, polling, 20.0)
        polling.cancel()
        await asyncio.wait([polling])
    seen = Seen()
    with plcs(1, REPLY_MS) as devices:
        polling = asyncio.create_task(babbitt(devices.ports[0], seen).run())
        share = await half_dead(devices, seen, polling, options.seconds)
        waits_s = await returns(devices, seen, chance, options.returns)
        polling.cancel()
        await asyncio.wait([polling])
    print(f"{UNITS} units on one line, {len(DEAD)} of them dead, due every {PERIOD_S:g} s, seed {options.seed}")
    print(f"a plain pymodbus loop keeps {plain:.1%} of the schedule of the living")
    print("returns after " + ", ".join(f"{wait:.1f}" for wait in sorted(waits_s)) + " s")
    print(f"goal_met={share >= SHARE_GOAL and max(waits_s) <= RETURN_GOAL_S}")
    print(f"living_schedule_share={share:.4f}")
    print(f"return_s={max(waits_s):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long the dead stay dead")
    parser.add_argument("--returns", type=int, default=6, help="how many of them come back, one after the other")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()

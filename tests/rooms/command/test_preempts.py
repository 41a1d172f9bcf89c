"""On a busy RTU line, where polling alone takes more time than there is, a write waits for one question and no poll."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.clock import SystemClock
from edge.config.site import Site, load_site
from edge.contract.types import Quality, Value
from edge.drivers import make_driver, make_source
from edge.plant.plant import Plant
from edge.poll import Poller
from tests.rooms.plant.conftest import running
from tests.rooms.poll.virtual import Diary
from tests.waiting import until_async

PUMPS = 4
SITE = """
[gateway]
id = "gw-1"
[[line]]
kind = "modbus-rtu"
name = "bus"
device = "bus.tty"
baud = 19200
timeout_ms = 5000
"""
WRITES = 6


def busy_site(folder: Path) -> Site:
    text = SITE
    for n in range(1, PUMPS + 1):
        text += f'[[asset]]\nid = "pump-{n}"\nclass = "generic"\n'
        text += f'unit = [{{ line = "bus", unit = {n}, profile = "plant-pump", period_ms = 50 }}]\n'
    machines = ", ".join(f'{{ asset = "pump-{n}", model = "pump", seed = {n} }}' for n in range(1, PUMPS + 1))
    path = folder / "site.toml"
    path.write_text(f"{text}[plant]\nmachine = [{machines}]\n")
    return load_site(path)


def replies(plant: Plant) -> int:
    return sum(machine["replies"].get("good", 0) for machine in plant.status()["machines"])


def counted(plant: Plant, asset: str, answered: list[int]) -> None:
    """Note how many questions had been answered in the very moment in which ``asset`` takes a setpoint."""
    machine = plant.source(asset)
    take = machine.take

    def noting(values: dict[str, Value]) -> bool:
        answered.append(replies(plant))
        return take(values)

    machine.take = noting  # type: ignore[method-assign]


def test_a_write_goes_before_the_next_poll_of_a_busy_line(tmp_path: Path) -> None:
    site, diary = busy_site(tmp_path), Diary()

    async def scene() -> None:
        async with running(site) as plant:
            poller = Poller(
                site, clock=SystemClock(), offer=diary.offer, deliver=diary.deliver, make_driver=make_driver,
                make_source=make_source,
            )  # fmt: skip
            polling = asyncio.ensure_future(poller.run())
            await until_async(lambda: diary.count(f"pump-{PUMPS}", Quality.GOOD) >= 1)
            overruns = "overruns, for the line has no time to spare"
            await until_async(lambda: sum(unit.overruns for unit in poller.status()) > 0, overruns)
            answered: list[int] = []
            for n in range(1, PUMPS + 1):
                counted(plant, f"pump-{n}", answered)
            waited: list[int] = []
            for i in range(WRITES):
                asset = f"pump-{1 + i % PUMPS}"
                before = replies(plant)
                assert (await poller.write(asset, "speed_setpoint_rpm", 1200 + i)).quality is Quality.GOOD
                waited.append(answered[-1] - before)
                read = await poller.ask(asset, "speed_setpoint_rpm")
                assert (read.value, read.quality) == (1200 + i, Quality.GOOD)
            # A poll is three questions; what was under way is one of them.
            assert max(waited) <= 1, waited
            polling.cancel()
            await asyncio.wait([polling])

    asyncio.run(scene())
    assert not diary.open

"""A plant to test: a site on a free port and a pty, run in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge.config.site import Site, load_site
from edge.plant.plant import Plant, run_plant
from tests.waiting import DEADLINE_S

SiteMaker = Callable[..., Site]

SITE = """
profiles = "profiles"
[gateway]
id = "test-gateway"
[[line]]
kind = "modbus-tcp"
name = "hall"
port = {port}
[[line]]
kind = "modbus-rtu"
name = "bus"
device = "bus.tty"
baud = {baud}
parity = "N"
[[asset]]
id = "spindle-1"
class = "generic"
unit = [{{ line = "hall", unit = 1, profile = "plant-spindle" }}]
[[asset]]
id = "pump-1"
class = "generic"
unit = [{{ line = "hall", unit = 2, profile = "plant-pump" }}]
[[asset]]
id = "extruder-1"
class = "generic"
unit = [{{ line = "bus", unit = 3, profile = "plant-extruder" }}]
{more}
[plant]
speed = {speed}
machine = [
  {{ asset = "spindle-1", model = "spindle", seed = 1 }},
  {{ asset = "pump-1", model = "pump", seed = 2 }},
  {{ asset = "extruder-1", model = "extruder", seed = 3 }},
  {machine}
]
"""


@pytest.fixture
def make_site(tmp_path: Path, free_port: int) -> SiteMaker:
    """A site with three machines; ``more`` are further tables, ``machine`` a further machine."""

    def make(*, speed: float = 1.0, baud: int = 115_200, more: str = "", machine: str = "") -> Site:
        path = tmp_path / "site.toml"
        path.write_text(SITE.format(port=free_port, speed=speed, baud=baud, more=more, machine=machine))
        return load_site(path)

    return make


@contextlib.asynccontextmanager
async def running(site: Site) -> AsyncIterator[Plant]:
    """The plant of ``site`` while the context lasts; what stops it stops the test."""
    plant, ready = Plant(site), asyncio.Event()
    task = asyncio.ensure_future(run_plant(site, plant, ready=ready.set))
    waiting = asyncio.ensure_future(ready.wait())
    try:
        await asyncio.wait({task, waiting}, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        assert ready.is_set()
        yield plant
    finally:
        waiting.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def run_site() -> Callable[[Site], contextlib.AbstractAsyncContextManager[Plant]]:
    return running

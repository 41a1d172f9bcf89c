"""Who waits for a word or a time, and is cancelled in the very moment in which the word comes, ends.

On Python 3.11 ``asyncio.wait_for`` then returns what came, the cancellation is forgotten, and a server or a gateway
whose rooms are to end waits for ever.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from cloud.notify.config import load_settings
from cloud.notify.outbox import Outbox
from cloud.notify.room import Notifier
from cloud.store.reader import Reader
from cloud.store.writer import Writer
from edge.clock import SystemClock
from edge.config.site import Site, load_site
from edge.journal import SqliteJournal
from edge.runtime.disk import Disk
from edge.update import Trials
from tests.conftest import ROOT
from tests.waiting import until_async

TURNS_MAX = 8
"""Of the event loop, from a word until whoever waits for it goes on."""
SITE = """
[gateway]
id = "gw"
[[line]]
name = "tcp"
kind = "modbus-tcp"
[[asset]]
id = "asset-1"
unit = [{ line = "tcp", profile = "plant-spindle" }]
"""

Room = tuple[Callable[[], Awaitable[None]], Callable[[], None]]
"""What runs for ever, and what wakes it."""


@asynccontextmanager
async def disk(folder: Path) -> AsyncIterator[Room]:
    clock = SystemClock("release")
    journal = SqliteJournal(folder / "store.db", gateway="gw", clock=clock)
    with closing(journal):
        made = Disk(journal, clock=clock, interval_s=60.0, keep=lambda: None, committed=lambda: None)
        yield made.run, made.hurry
        made.workers.shutdown()


@asynccontextmanager
async def trials(folder: Path) -> AsyncIterator[Room]:
    (folder / "site.toml").write_text(SITE)

    async def switch(_: Site) -> None:
        pass

    with ThreadPoolExecutor(1) as workers:
        made = Trials(
            load_site(folder / "site.toml"), clock=SystemClock("release"), switch=switch, workers=workers, user="test"
        )
        yield made.run, made._stirred.set


@asynccontextmanager
async def notifier(folder: Path) -> AsyncIterator[Room]:
    (folder / "notify.toml").write_text("[[route]]\nto = []\n")
    Writer(folder / "data").close()
    with closing(Reader(folder / "data")) as reader, closing(Outbox(folder / "data")) as outbox:
        made = Notifier(load_settings(folder / "notify.toml"), reader, outbox)
        yield made.rooms()["finding whom to call"], made.nudge


@pytest.mark.parametrize("room", [disk, trials, notifier])
def test_a_room_that_is_woken_as_it_is_cancelled_ends(room: Callable[[Path], Room], tmp_path: Path) -> None:
    async def story() -> None:
        async with room(tmp_path) as (run, wake):  # type: ignore[attr-defined]
            for turns in range(TURNS_MAX):
                running = asyncio.create_task(run())
                await asyncio.sleep(0.05)  # It waits by now, in most rounds.
                wake()
                for _ in range(turns):
                    await asyncio.sleep(0)
                running.cancel()
                await until_async(running.done, f"cancelled {turns} turns after the word, it goes on")

    asyncio.run(story())


def test_nothing_waits_in_a_way_that_forgets_a_cancellation() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: use asyncio.timeout"
        for part in ("edge", "cloud")
        for path in sorted((ROOT / part).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for"
    ]
    assert found == []

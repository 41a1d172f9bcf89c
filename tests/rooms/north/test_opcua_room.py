"""The server as a room of the gateway: one that breaks starts again, and is what it was."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from edge.clock import SystemClock
from edge.config.site import load_site
from edge.contract.types import Alarm, AlarmState, Batch, Priority, Quality
from edge.errors import LineError, StoreError
from edge.north.opcua.room import UNTOLD_MAX, OpcUaNorth
from edge.supervise import supervised
from tests.rooms.north.hosted import becomes, make_site, patient_client, played
from tests.waiting import until_async

CLOCK = SystemClock("release")
OPEN = 'security = ["none"]\nanonymous = true'


def standing() -> list[Alarm]:
    return [Alarm("tank-1", "level_high", "level_m", Priority.HIGH, AlarmState.ACKNOWLEDGED, 1, 2, 4.5, "too high")]


async def acknowledge(asset: str, rule: str, user: str) -> bool:
    return False


def batch(level_m: float) -> Batch:
    return Batch("tank-1", ("level_m",), (level_m,), (Quality.GOOD,), (1,), CLOCK.wall_ns(), CLOCK.mono_ns())


def test_a_room_that_breaks_starts_again_with_what_stands(tmp_path: Path) -> None:
    site, url = make_site(tmp_path, OPEN)
    faults: list[Exception] = [StoreError("store.db", "cannot be read now")]

    async def figures() -> Mapping[str, Any]:
        if faults:
            raise faults.pop()
        return {"Ledger/Offered": 12}

    async def play() -> None:
        room = OpcUaNorth(load_site(site), clock=CLOCK, alarms=standing, figures=figures, acknowledge=acknowledge)
        restarts: Counter[str] = Counter()
        await room.open()
        serving = asyncio.create_task(supervised("opcua", room.run, CLOCK, restarts))
        try:
            await _look(url)
            client = patient_client(url)
            await client.connect()
            await until_async(lambda: not faults, "it asks for figures that cannot be read")
            faults.append(AssertionError("a figure broke"))
            await until_async(lambda: restarts["opcua"] == 1 and room.status()["up"], "it starts again")
            with contextlib.suppress(ConnectionError, ua.UaError):
                await client.disconnect()
            room.deliver(batch(2.5))
            await _look(url, level_m=2.5, offered=12)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
        assert not room.status()["up"]

    played(play)


async def _look(url: str, *, level_m: float | None = None, offered: int | None = None) -> None:
    """Connect, which makes the room ask for figures; see what stands, and what is given."""
    async with patient_client(url) as client:
        state = client.get_node("ns=2;s=Assets/tank-1/Alarms/level_high/AckedState/Id")
        assert await state.read_value() is True
        for path, wanted in (("Assets/tank-1/level_m", level_m), ("Gateway/Ledger/Offered", offered)):
            if wanted is not None:

                async def read(path: str = path) -> Any:
                    found = await client.get_node(f"ns=2;s={path}").read_data_value(raise_on_bad_status=False)
                    return found.Value.Value

                await becomes(read, wanted)


def test_what_it_is_told_waits_within_bounds(tmp_path: Path) -> None:
    site, _ = make_site(tmp_path, OPEN)
    room = OpcUaNorth(load_site(site), clock=CLOCK, alarms=standing, figures=_none, acknowledge=acknowledge)
    for i in range(UNTOLD_MAX + 15):
        room.deliver(batch(i))
    assert room.status()["passed_over"] == 15


async def _none() -> Mapping[str, Any]:
    return {}


def test_a_port_in_use_is_told_before_anything_is_built(tmp_path: Path) -> None:
    site, url = make_site(tmp_path, OPEN)

    async def play() -> None:
        port = int(url.rstrip("/").rpartition(":")[2])
        other = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", port)
        room = OpcUaNorth(load_site(site), clock=CLOCK, alarms=standing, figures=_none, acknowledge=acknowledge)
        with pytest.raises(LineError, match=f"{url}: cannot be listened on: .*another server"):
            await room.open()
        other.close()
        await other.wait_closed()

    played(play)


def test_a_public_host_name_that_is_none(tmp_path: Path) -> None:
    site, _ = make_site(tmp_path, f'{OPEN}\nhost = "203.0.113.7"')

    async def play() -> None:
        room = OpcUaNorth(load_site(site), clock=CLOCK, alarms=standing, figures=_none, acknowledge=acknowledge)
        with pytest.raises(LineError, match="cannot be listened on"):
            await room.open()

    played(play)

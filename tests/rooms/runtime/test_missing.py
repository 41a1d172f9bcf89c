"""What is missing when a gateway starts, or goes away amid running, is trouble of its own: all else goes on, it is said
with where, what and what to do, and it comes up by itself once it is there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.commission.doctor import findings
from edge.commission.line_facts import facts
from edge.config.site import load_site
from edge.contract.types import Quality
from edge.journal import read_ledger
from edge.panel import Condition
from edge.runtime import Gateway
from tests.peers.hostile import Hostile, on_pty
from tests.peers.image import Image
from tests.waiting import until_async
from tests.world.hall import TAGS, Hall, describe

DEADLINE_S = 60.0
PERIOD_MS = 50


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    yield hall
    hall.close()


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[None]:
    ready, stop = asyncio.Event(), asyncio.Event()
    run = asyncio.create_task(gateway.run(ready.set, stop))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.wait([run, asyncio.ensure_future(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
            assert not run.done(), run
            yield
            stop.set()
            await run
    finally:
        gateway.close()


@contextmanager
def named(link: Path, device: str) -> Iterator[None]:
    link.symlink_to(device)
    try:
        yield
    finally:
        link.unlink()


@asynccontextmanager
async def adapter(link: Path) -> AsyncIterator[None]:
    """A serial adapter with one unit behind it, plugged in while the context lasts; ``link`` is its name."""
    image = Image()
    for place in range(TAGS):
        image.put(3, place, (20 + place).to_bytes(2, "big"))
    async with on_pty(Hostile(image)) as unit:
        with named(link, unit.device):
            yield


def serial_site(folder: Path, hall: Hall, device: Path) -> Path:
    """One machine behind a serial adapter, and one behind TCP."""
    lines = [
        {
            "kind": "modbus-rtu", "name": "usb", "device": str(device), "timeout_ms": 100, "baud": 115_200,
            "breaker": {"first_s": 0.1, "max_s": 0.5},
        },
        {"kind": "modbus-tcp", "name": "hall", "host": "127.0.0.1", "port": hall.port, "timeout_ms": 500},
    ]  # fmt: skip
    assets = [
        {
            "id": name, "class": "hall_machine",
            "unit": [{"line": line, "unit": 1, "profile": "hall_machine", "period_ms": PERIOD_MS}],
        }
        for name, line in (("mixer", "usb"), ("press", "hall"))
    ]  # fmt: skip
    return describe(folder, [], units=0, panel={"kind": "none"}, line=lines, asset=assets)


def test_a_serial_adapter_that_is_plugged_in_later_and_pulled_again(tmp_path: Path, hall: Hall) -> None:
    device = tmp_path / "ttyUSB0"
    gateway = Gateway(load_site(serial_site(tmp_path, hall, device)))
    rooms = gateway.rooms

    def quality() -> Quality | None:
        reading = rooms.latest.of("mixer", "signal_0")
        return reading.quality if reading is not None else None

    def detail() -> str:
        return next(unit.detail for unit in rooms.poller.status() if unit.line == "usb")

    def saw() -> str:
        """What the doctor says of the serial line."""
        line = next(line for line in facts(rooms.report.counts(), None) if line.name == "usb")
        return "; ".join(finding.saw for finding in findings(line))

    async def scene() -> None:
        async with running(gateway):
            await until_async(lambda: quality() is Quality.BAD_BUS and hall.reads >= 10)
            unit = next(unit for unit in rooms.poller.status() if unit.line == "usb")
            assert unit.detail.startswith(f"{device}: no such device (is the adapter plugged in?")
            assert saw() == f"it could not be opened: {device}: no such device"
            assert unit.breaker == "closed", "it is not left alone: it is tried"
            assert "mixer" in rooms.report.panel_state().stale, "the lamp has a sign of its own for it"
            assert Condition("line usb", "no such device", ok=False) in rooms.report.panel_state().health
            await until_async(lambda: rooms.proof.trouble() == "", "the gateway itself is well")
            async with adapter(device):
                await until_async(lambda: quality() is Quality.GOOD)
                await until_async(lambda: "mixer" not in rooms.report.panel_state().stale)
            reads = hall.reads
            await until_async(lambda: quality() is Quality.BAD_BUS and hall.reads >= reads + 10)
            await until_async(lambda: f"; {device}: no such device (is the adapter plugged in?" in detail())
            assert detail().startswith("serial device lost: ")
            async with adapter(device):
                await until_async(lambda: quality() is Quality.GOOD)
        assert rooms.restarts == {}

    asyncio.run(scene())
    rows = read_ledger(tmp_path / "gateway/store.db")
    assert all(row.balanced for row in rows), "every poll is in the ledger, with its cause"


def test_a_port_of_a_server_that_another_program_has(tmp_path: Path, hall: Hall, free_port: int) -> None:
    table = {"opcua": {"port": free_port, "host": "127.0.0.1", "anonymous": True, "security": ["none"]}}
    site = describe(tmp_path, [hall.port], units=1, period_ms=PERIOD_MS, panel={"kind": "none"}, north=table)
    gateway = Gateway(load_site(site))
    rooms = gateway.rooms

    def unserved() -> list[str]:
        return [told.what for told in rooms.report.panel_state().health if told.words == "not served"]

    async def scene() -> None:
        with socket.create_server(("127.0.0.1", free_port)) as other:
            async with running(gateway):
                await until_async(lambda: hall.reads >= 10)
                way = rooms.norths.status()["opcua"]
                assert not way["up"]
                where = f"opc.tcp://127.0.0.1:{free_port}/: cannot be listened on: Address already in use"
                assert way["trouble"] == f"{where} (is another server running there? See `north.opcua`)"
                assert unserved() == ["opcua"]
                other.close()
                await until_async(lambda: rooms.norths.status()["opcua"]["up"])
                assert unserved() == []

    asyncio.run(scene())


def test_a_panel_whose_pin_cannot_be_had_is_said_and_ends_nothing(tmp_path: Path, hall: Hall) -> None:
    """This machine has no pins at all, which is a pin that cannot be had."""
    site = describe(tmp_path, [hall.port], units=1, period_ms=PERIOD_MS, panel={"kind": "pi", "green_gpio": 17})
    gateway = Gateway(load_site(site))

    def panel() -> dict[str, Any]:
        assert gateway.rooms.panel is not None
        return gateway.rooms.panel.status()

    async def scene() -> None:
        async with running(gateway):
            await until_async(lambda: hall.reads >= 10)
            # Before the first poll its process is waited for, but not for long.
            await until_async(lambda: "cannot be had" in panel()["detail"], panel)
            assert panel()["pid"] is None
            assert panel()["detail"].startswith("no panel: panel.green_gpio 17: cannot be had: ")
            assert "free the pin or name another" in panel()["detail"]

    asyncio.run(scene())

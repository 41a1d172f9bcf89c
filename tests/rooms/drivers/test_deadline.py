"""A gateway that stands still while an answer comes has not been answered by silence, on any kind of line."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edge.clock import SystemClock
from edge.config.profiles.modbus import Point
from edge.contract.types import Quality
from edge.drivers.deadline import HeardWithin
from edge.drivers.modbus_driver import ModbusDriver
from edge.drivers.modbus_rtu import ModbusRtuDriver
from edge.drivers.modbus_rtu_tcp import ModbusRtuTcpDriver
from edge.drivers.modbus_tcp import ModbusTcpDriver
from edge.ports import Answer
from tests.peers.hostile import Asked
from tests.peers.image import Image, profile_of
from tests.peers.modbus_peers import rtu_line, rtu_tcp_line, tcp_line

UNIT, TIMEOUT_MS = 5, 500
DEADLINE_S = 60.0

Read = Callable[[], bytes]
Write = Callable[[bytes], object]


class Device:
    """It is asked once, by whoever then stands still, and answers only then."""

    def __init__(self) -> None:
        self.asked, self.stands_still, self.answered = threading.Event(), threading.Event(), threading.Event()

    def answer(self, read: Read, write: Write, *, serial: bool) -> None:
        image = Image()
        image.put(3, 0, b"\0\7")
        question = read()
        self.asked.set()
        assert self.stands_still.wait(DEADLINE_S)
        unit, transaction = (question[0], 0) if serial else (question[6], int.from_bytes(question[:2], "big"))
        pdu = question[1:-2] if serial else question[7:]
        write(Asked(unit, transaction, pdu, image.answer(pdu), serial).frame())
        self.answered.set()

    def seen_standing_still(self) -> None:
        """Keep the event loop from all else until the answer is there and its time is over."""
        self.stands_still.set()
        assert self.answered.wait(DEADLINE_S)
        time.sleep(1.2 * TIMEOUT_MS / 1000)


@contextmanager
def over_tcp(*, serial: bool) -> Iterator[tuple[int, Device]]:
    device = Device()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                device.answer(lambda: connection.recv(300), connection.sendall, serial=serial)
                connection.recv(300)  # Until it hangs up.

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], device
        thread.join()


@contextmanager
def on_a_pty() -> Iterator[tuple[str, Device]]:
    device = Device()
    master, slave = pty.openpty()
    tty.setraw(slave)
    read, write = (lambda: os.read(master, 300)), (lambda data: os.write(master, data))
    thread = threading.Thread(target=lambda: device.answer(read, write, serial=True))
    thread.start()
    yield os.ttyname(slave), device
    thread.join()
    os.close(master)
    os.close(slave)


@contextmanager
def line(kind: str) -> Iterator[tuple[ModbusDriver, Device]]:
    clock = SystemClock()
    if kind == "rtu":
        with on_a_pty() as (tty_name, device):
            yield ModbusRtuDriver(rtu_line(tty_name, timeout_ms=TIMEOUT_MS), clock), device
    else:
        with over_tcp(serial=kind != "tcp") as (port, device):
            yield (
                ModbusTcpDriver(tcp_line(port, TIMEOUT_MS), clock) if kind == "tcp"
                else ModbusRtuTcpDriver(rtu_tcp_line(port, TIMEOUT_MS), clock)
            ), device  # fmt: skip


@pytest.mark.parametrize("kind", ["tcp", "rtu", "rtu over tcp"])
def test_an_answer_that_came_while_the_gateway_stood_still_is_heard(kind: str) -> None:
    profile = profile_of([Point(tag="t", function=3, address=0, type="uint16")])

    async def scene(driver: ModbusDriver, device: Device) -> None:
        await driver.open()

        def stand_still() -> None:
            if device.asked.is_set():
                device.seen_standing_still()
            else:
                loop.call_later(0.001, stand_still)

        loop = asyncio.get_running_loop()
        loop.call_soon(stand_still)
        try:
            assert await driver.read(UNIT, profile) == [Answer(7, Quality.GOOD)]
        finally:
            await driver.close()

    with line(kind) as (driver, device):
        asyncio.run(scene(driver, device))


def test_a_deadline_ends_on_time_where_the_loop_had_time() -> None:
    async def scene() -> float:
        began_s = time.monotonic()
        with pytest.raises(TimeoutError):
            async with HeardWithin(0.05):
                await asyncio.Event().wait()
        return time.monotonic() - began_s

    took_s = [asyncio.run(scene()) for _ in range(5)]
    assert min(took_s) >= 0.05
    assert min(took_s) < 0.1


def test_however_late_it_ends_it_is_no_more_than_doubled_once() -> None:
    async def scene() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, time.sleep, 0.3)
        with pytest.raises(TimeoutError):
            async with HeardWithin(0.1):
                await asyncio.Event().wait()
        return time.monotonic() - began_s

    took_s = []
    for _ in range(5):
        began_s = time.monotonic()
        took_s.append(asyncio.run(scene()))
    assert min(took_s) >= 0.4
    assert min(took_s) < 0.5


def test_what_is_cancelled_within_is_cancelled() -> None:
    async def waits() -> None:
        async with HeardWithin(60.0):
            await asyncio.Event().wait()

    async def scene() -> None:
        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()

    asyncio.run(scene())

"""The page's process beside a real gateway's: it comes, comes again, goes with it, and outlives one that was killed."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.demo.processes import Child
from edge.errors import BabbittError
from edge.local_socket import ask, is_alive
from edge.page import alone
from edge.runtime import page_child
from tests.rooms.runtime.test_gateway import lonely_site
from tests.waiting import DEADLINE_S, until


class Floor:
    """A gateway of one pump whose PLC is switched off, with its page at ``port``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.site = lonely_site(folder)
        text = self.site.read_text().replace('id = "gw-1"', 'id = "gw-1"\ninference = false')
        self.site.write_text(f"{text}\n[page]\nport = {port}\n")
        self.children: list[Child] = []

    def start(self, *command: str) -> Child:
        child = Child(command[-1], ["gateway", *command, str(self.site)], self.folder / f"{command[-1]}.log")
        self.children.append(child)
        return child

    def gateway(self, *question: str) -> dict[str, Any]:
        return ask(self.folder / "gateway/gateway.sock", *(question or ("status",)), within_s=DEADLINE_S)

    def page(self) -> dict[str, Any]:
        return ask(self.folder / "gateway/page.sock", "status", within_s=DEADLINE_S)

    def shown(self) -> dict[str, Any]:
        """What the page tells."""
        try:
            told = httpx.get(f"http://127.0.0.1:{self.port}/api/status", timeout=DEADLINE_S).raise_for_status().json()
        except httpx.HTTPError as error:
            raise BabbittError("page", str(error)) from error
        assert isinstance(told, dict)
        return told

    def until(self, holds: Callable[[], Any]) -> None:
        until(holds, lambda: "\n".join(path.read_text() for path in self.folder.glob("*.log"))[-4000:])

    def end(self) -> None:
        for child in self.children:
            child.end()
        if is_alive(self.folder / "gateway/page.sock"):
            ask(self.folder / "gateway/page.sock", "end")


@pytest.fixture
def floor(tmp_path: Path, free_port: int) -> Iterator[Floor]:
    found = Floor(tmp_path, free_port)
    yield found
    found.end()


def test_a_page_that_dies_comes_again_and_holds_up_no_poll_and_goes_with_the_gateway(floor: Floor) -> None:
    gateway = floor.start("run")
    floor.until(lambda: floor.shown()["answers"])
    told = floor.gateway()["page"]
    print(f"the page's process takes {told['rss_mb']:.1f} MB")
    assert told["up"]
    assert told["rss_mb"] < 60
    first = floor.page()["pid"]
    before = floor.gateway()["units"][0]["polls"]
    os.kill(first, signal.SIGKILL)
    floor.until(lambda: floor.page()["pid"] != first and floor.shown()["answers"])
    assert floor.gateway()["units"][0]["polls"] > before
    assert floor.gateway()["restarts"] == {"page": 1}
    second = floor.page()["pid"]
    # One that hangs is no matter to the gateway either, and does not outlive its end.
    os.kill(second, signal.SIGSTOP)
    before = floor.gateway()["units"][0]["polls"]
    floor.until(lambda: floor.gateway()["units"][0]["polls"] > before)
    began = time.monotonic()
    assert gateway.end() == 0
    assert time.monotonic() - began < 9
    assert not is_alive(floor.folder / "gateway/page.sock")
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_one_that_outlives_a_killed_gateway_says_so_and_makes_room_for_the_next(floor: Floor) -> None:
    gateway = floor.start("run")
    floor.until(lambda: floor.shown()["answers"])
    first = floor.page()["pid"]
    os.kill(gateway.process.pid, signal.SIGSTOP)  # One that hangs takes a question, and never answers it.
    floor.until(lambda: "no answer" in floor.shown()["trouble"])
    os.kill(gateway.process.pid, signal.SIGCONT)
    floor.until(lambda: floor.shown()["answers"])
    gateway.process.kill()
    gateway.process.wait()
    floor.until(lambda: not floor.shown()["answers"])
    html = httpx.get(f"http://127.0.0.1:{floor.port}/", timeout=DEADLINE_S).text
    assert "The gateway does not answer: this is how it was" in html
    assert floor.page()["pid"] == first
    assert floor.page()["left_over"]
    floor.start("run")
    floor.until(lambda: floor.page()["pid"] != first and floor.shown()["answers"])


def test_one_whose_gateway_is_killed_while_it_still_begins_is_left_over_too(floor: Floor) -> None:
    """Whoever takes in orphans was its parent from the start, and it kept the next gateway's page out for ever."""
    page = shlex.join([sys.executable, "-P", "-m", "edge.page", str(floor.site), "--beside"])
    subprocess.run(["sh", "-c", f"{page} $$ >/dev/null 2>&1 &"], check=True, timeout=DEADLINE_S)
    floor.until(lambda: not floor.shown()["answers"])
    assert floor.page()["left_over"]


def test_one_that_was_left_over_ends_when_no_gateway_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(alone, "ORPHAN_S", 0.05)
    ended: list[str] = []

    class Page:
        def end(self) -> None:
            ended.append("page")

    came_back = iter([True, True, False])
    left_over = partial(next, came_back, True)
    asyncio.run(alone._ends_if_left_over(left_over, Page()))  # type: ignore[arg-type]
    assert ended == ["page"]
    assert next(came_back, None) is None, "the time counts from when it is left over again"


def test_one_that_runs_by_itself_stays_and_the_gateway_starts_none(floor: Floor) -> None:
    assert page_child.SERVED_CODE == alone.SERVED_CODE
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(floor.folder / "notify.sock"))
        manager.settimeout(DEADLINE_S)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NOTIFY_SOCKET", str(floor.folder / "notify.sock"))
            patch.setenv("WATCHDOG_USEC", "60000000")
            page = floor.start("page")
        told: set[bytes] = set()
        while told != {b"READY=1", b"WATCHDOG=1"}:
            told.add(manager.recv(100))
    floor.until(lambda: not floor.shown()["answers"])
    assert "The gateway has not answered yet" in httpx.get(f"http://127.0.0.1:{floor.port}/", timeout=DEADLINE_S).text
    gateway = floor.start("run")
    floor.until(lambda: floor.shown()["answers"])
    floor.until(lambda: "by itself" in floor.gateway()["page"]["detail"])
    assert floor.page()["pid"] == page.process.pid
    assert gateway.end() == 0
    floor.until(lambda: not floor.shown()["answers"])
    assert page.end() == 0


def test_a_port_that_is_taken_stops_no_gateway_and_is_said(floor: Floor) -> None:
    with socket.create_server(("127.0.0.1", floor.port)):
        floor.start("run")
        taken = f"127.0.0.1:{floor.port}: cannot be listened on: Address already in use (another program has the port"
        floor.until(lambda: taken in floor.gateway()["page"]["detail"])
        assert taken in (floor.folder / "run.log").read_text()
        assert floor.gateway()["restarts"] == {}, "it is no defect of ours"
        floor.until(lambda: floor.gateway()["panel"]["amber"] != "off")
        floor.until(lambda: floor.gateway()["units"][0]["polls"] > 0)
    floor.until(lambda: floor.shown()["answers"])
    assert floor.gateway()["page"]["detail"] == ""

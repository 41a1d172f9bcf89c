"""The doctor at a running gateway whose lines are ill, each in its own way: real ptys, sockets and a real process."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w

from cloud.demo.processes import Child
from edge.commission.doctor import findings
from edge.commission.line_facts import facts
from edge.local_socket import ask
from edge.runtime.flow import TICK_S
from tests.peers.hostile import Act, Asked, Hostile, Misdeed, honest, on_pty, over_tcp, silent
from tests.peers.image import Image
from tests.ports import free_port
from tests.undelayed import Delays, undelayed
from tests.waiting import until

DEADLINE_S = 60.0
SHORT, LONG = 2, 60
STOPS, STOPPED_S = 5, 0.7
PEERS_BEAR_S = 0.1
"""Half a timeout: peers that stood still for longer than this were silent themselves."""
WHILES_MAX = 8


def only(unit: int, misdeed: Misdeed) -> Misdeed:
    return lambda asked: misdeed(asked) if asked.unit == unit else honest(asked)


def twice(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame()), (0.01, asked.frame())]


def late(asked: Asked) -> list[Act]:
    return [(0.3, asked.frame())]


def refuses(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame(bytes((asked.function | 0x80, 2))))]


def gibberish(asked: Asked) -> list[Act]:
    return [(0.0, bytes((0xF8, 0x00, 0xE0)))]


def noisy(asked: Asked) -> list[Act]:
    """One byte in 199 is spoilt on its way: a prime, so that each place in a frame has its turn."""
    return [(0.0, bytes(b if next(_BYTES) % 199 else b ^ 0x10 for b in asked.frame()))]


def collides(asked: Asked) -> list[Act]:
    """Another device with the same id answers at the same time, more often than not."""
    frame = asked.frame()
    return [(0.0, frame if next(_ANSWERS) % 5 < 2 else frame[:-2] + bytes((frame[-2] ^ 0xFF, frame[-1])))]


def slow(asked: Asked) -> list[Act]:
    return [(0.25, asked.frame())]


_BYTES, _ANSWERS = itertools.count(), itertools.count()
"""In turn: of some dozens of answers chance spoils now and then such ones that it looks like another illness."""
ILL: dict[str, tuple[bool, Misdeed, set[tuple[str, int | None]]]] = {
    "well": (True, honest, set()),
    "cut": (True, silent, {("all_silent", None)}),
    "one-off": (True, only(2, silent), {("one_silent", 2)}),
    "settings": (True, gibberish, {("settings", None)}),
    "noise": (True, noisy, {("noise", None)}),
    "duplicate": (True, only(2, collides), {("duplicate", 2)}),
    "twice": (True, only(2, twice), {("duplicate", 2)}),
    "late": (True, only(2, late), {("timeout_too_short", 2)}),
    "map": (False, only(2, refuses), {("register_map", 2)}),
    "full": (False, slow, {("too_full", None)}),
}  # fmt: skip
"""By the line's name: whether it is serial, what its units do, and what the doctor says of it."""


@contextmanager
def ill_lines(*names: str) -> Iterator[dict[str, Hostile]]:
    """All of these at once, in a thread with a loop of its own."""
    image = Image()
    image.put(3, 0, bytes(2 * SHORT))
    image.put(3, 1000, bytes(2 * LONG))
    peers = {name: Hostile(image, ILL[name][1]) for name in names}
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with AsyncExitStack() as stack:
            for name, peer in peers.items():
                await stack.enter_async_context(on_pty(peer) if ILL[name][0] else over_tcp(peer))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(DEADLINE_S)
    try:
        yield peers
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_S)


def site(folder: Path, peers: dict[str, Hostile]) -> Path:
    profile = folder / "profiles/devices/two-blocks.toml"
    profile.parent.mkdir(parents=True)
    points = [
        {"tag": f"t{a}", "function": 3, "address": a, "type": "uint16"}
        for a in (*range(SHORT), *range(1000, 1000 + LONG))
    ]
    device = {"id": "two-blocks", "products": ["a peer"], "source": "made for the test"}
    profile.write_text(tomli_w.dumps({"device": device, "point": points}))
    lines = [
        {"name": name, "timeout_ms": 200, "kind": "modbus-rtu", "device": peer.device, "baud": 115200, "parity": "N"}
        if ILL[name][0]
        else {"name": name, "timeout_ms": 1000, "kind": "modbus-tcp", "port": peer.port}
        for name, peer in peers.items()
    ]
    for line in lines:
        line["breaker"] = {"first_s": 0.1, "max_s": 0.1}
    unit = {"profile": "two-blocks", "period_ms": 200}
    assets = [
        {"id": f"{name}-{number}", "unit": [{"line": name, "unit": number, **unit}]}
        for name in peers
        for number in (1, 2)
    ]
    path = folder / "site.toml"
    gateway = {"id": "g", "data_dir": "gw", "inference": False}
    path.write_text(tomli_w.dumps({"profiles": "profiles", "gateway": gateway, "line": lines, "asset": assets}))
    return path


def test_every_illness_of_a_running_gateway_is_named(tmp_path: Path) -> None:
    with ill_lines(*ILL) as peers:
        path = site(tmp_path, peers)
        gateway = Child("gateway", ["gateway", "run", str(path)], tmp_path / "gateway.log")

        def doctor(*options: str) -> str:
            command = [sys.executable, "-m", "edge.cli", "gateway", "doctor", str(path), *options]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1, done.stderr
            return done.stdout

        def amiss(answer: str) -> dict[str, Any]:
            """Of each line of which something else is told than what ails it: all that is told."""
            lines = {line["line"]: line for line in json.loads(answer)["lines"]}
            told = {
                name: {(finding["illness"], finding["unit"]) for finding in line["findings"]}
                for name, line in lines.items()
            }
            return {name: lines[name] for name, (_, _, expected) in ILL.items() if told[name] != expected}

        try:
            until(lambda: polls_of_the_slowest(tmp_path) > 60)
            wrong = amiss(doctor("--json"))
            # A machine that has no time for a moment ails each line of its own: what is told of any while will do.
            for _ in range(WHILES_MAX):
                if wrong:
                    now = amiss(doctor("--json", "--seconds", "4"))
                    wrong = {name: line for name, line in now.items() if name in wrong}
            shown = doctor("--seconds", "4")
        finally:
            assert gateway.end() == 0
    assert wrong == {}
    assert "likely: two devices have this unit id" in shown
    assert "█" in shown


def test_polls_that_had_no_time_because_the_gateway_stood_still_are_no_illness_of_a_line(tmp_path: Path) -> None:
    """Its answers lay there meanwhile: none of them is late, none missing."""
    with ill_lines("well", "full") as peers:
        path = site(tmp_path, peers)
        gateway = Child("gateway", ["gateway", "run", str(path)], tmp_path / "gateway.log")
        counts = partial(ask, tmp_path / "gw/gateway.sock", "counts")

        def stood_still(_delays: Delays) -> None:
            before = counts()
            for _ in range(STOPS):
                gateway.process.send_signal(signal.SIGSTOP)
                time.sleep(STOPPED_S)
                gateway.process.send_signal(signal.SIGCONT)
                time.sleep(STOPPED_S)
            well, full = facts(counts(), before)
            assert [finding.illness for finding in findings(full)] == ["too_full"], full
            assert [finding.illness for finding in findings(well)] == ["no_time"], well
            assert well.stood_still_s > STOPS * (STOPPED_S - 2 * TICK_S)

        try:
            until(lambda: polls_of_the_slowest(tmp_path) > 20)
            undelayed(stood_still, PEERS_BEAR_S)
        finally:
            assert gateway.end() == 0


def test_a_lost_store_is_told_and_no_other(tmp_path: Path) -> None:
    nobody = Hostile(Image(), honest)
    nobody.port = free_port()
    path = site(tmp_path, {"full": nobody})

    def told() -> tuple[list[str], str]:
        gateway = Child("gateway", ["gateway", "run", str(path)], tmp_path / "gateway.log")
        command = [sys.executable, "-m", "edge.cli", "gateway", "doctor", str(path)]
        try:
            until(lambda: ask(tmp_path / "gw/gateway.sock", "counts")["uptime_s"] > 0)
            as_json, shown = (
                subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False).stdout
                for more in (["--json"], [])
            )
        finally:
            assert gateway.end() == 0
        return [finding["illness"] for finding in json.loads(as_json)["findings"]], shown

    assert told()[0] == []
    assert told()[0] == [], "a store that goes on"
    for part in (tmp_path / "gw").glob("store.db*"):
        if part.suffix != ".recorder":
            part.unlink()
    illnesses, shown = told()
    assert illnesses == ["lost_store"]
    assert shown.startswith(
        "gateway g\n  WARNING the former store is lost: what was read, decided and written is known"
    )


def polls_of_the_slowest(folder: Path) -> int:
    lines = ask(folder / "gw/gateway.sock", "counts")["lines"]
    return min(sum(int(unit["polls"]) for unit in line["units"]) for line in lines)

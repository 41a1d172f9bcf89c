"""From the end of a poll to the lamp, under full load.

A real gateway polls machines on several lines over Modbus TCP, judges each, commits each second and drains what waits
to a real receiver, which is gone for some seconds again and again, so that there is a backlog. Machines leave their
limits at random, one after the other. The time runs from the moment at which the poll that carries the excursion has
ended, as the gateway stamps it, to the moment at which the panel's own process has set its pins (gpiozero's mock pins:
all but the chip), both on the machine's one monotonic clock.

The rival is what people build: a process that asks the gateway's status at its socket every 100 ms and lights a lamp.
It runs beside the panel, on the same excursions, once in every two.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloud.demo.processes import Child, free_port
from edge.errors import BabbittError
from edge.local_socket import ask
from tests.waiting import until
from tests.world.hall import CALM, HOT, TAGS, Hall, describe, machine
from tests.world.lamps import Lamps

GOAL_MS = 50.0
LINES, UNITS, PERIOD_MS = 4, 10, 200
"""4 x 10 machines with 10 signals at 5 Hz: 2,000 signals a second."""
ASK_EVERY_S = 0.1
EVERY_S, GONE_S = 12.0, 5.0
STAMPS = """
import json, os, sys, time
from edge.gateway import main
from edge.alarm import AlarmDesk
observe = AlarmDesk.observe
out = os.open(os.environ["STAMPS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
def stamped(self, batch):
    changes = observe(self, batch)
    for alarm in changes:
        if alarm.state.value == "unacknowledged":
            os.write(out, (json.dumps([alarm.asset, batch.mono_ns]) + "\\n").encode())
    return changes
AlarmDesk.observe = stamped
main()
"""
"""The gateway, which writes down when the poll of each alarm had ended."""


class Rival:
    """Asks for the status over and over; ``lit_ns`` is when it saw each machine's alarm."""

    def __init__(self, path: Path) -> None:
        self.lit_ns: dict[str, int] = {}
        self.asks = 0
        self._path = path
        self._running, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def run(self) -> None:
        self.lit_ns.clear()
        self._running.set()

    def rest(self) -> None:
        self._running.clear()

    def end(self) -> None:
        self._ended.set()
        self._running.set()
        self._thread.join(10)

    def _run(self) -> None:
        while self._running.wait() and not self._ended.is_set():
            began_s = time.monotonic()
            with contextlib.suppress(BabbittError):
                alarms = ask(self._path, "status")["alarms"]
                self.asks += 1
                for alarm in alarms:
                    if alarm["state"] == "unacknowledged":
                        self.lit_ns.setdefault(alarm["asset"], time.monotonic_ns())
            time.sleep(max(0.0, ASK_EVERY_S - (time.monotonic() - began_s)))


class Outages:
    """The receiver is gone for ``GONE_S`` in every ``EVERY_S``."""

    def __init__(self, cloud: Child) -> None:
        self.count = 0
        self._cloud, self._ended = cloud, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S - GONE_S):
            self.count += 1
            self._cloud.end()
            self._ended.wait(GONE_S)
            self._cloud.start()


class Bench:
    """The processes: halls, receiver, gateway with its panel."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.halls = [Hall() for _ in range(LINES)]
        for hall in self.halls:
            stack.callback(hall.close)
        port = free_port(0)
        tokens = folder / "tokens"
        command = [sys.executable, "-m", "edge.cli", "cloud", "token", "gw-1", "--tokens", str(tokens)]
        subprocess.run([*command, "--out", str(folder / "token")], check=True, capture_output=True)
        self.cloud = Child(
            "cloud",
            ["cloud", "serve", "--port", str(port), "--data", str(folder / "cloud"), "--tokens", str(tokens)],
            folder / "cloud.log",
        )
        stack.callback(self.cloud.end)
        site = describe(
            folder, [hall.port for hall in self.halls], units=UNITS, period_ms=PERIOD_MS,
            gateway={"inference": True, "commit_interval_ms": 1000}, panel={"kind": "pi"},
            uplink={"url": f"http://127.0.0.1:{port}", "token_file": "token", "backlog_kb_s_max": 8},
        )  # fmt: skip
        self.lamps = Lamps(folder / "lamps.jsonl")
        self.socket = folder / "gateway/gateway.sock"
        environment = {
            **os.environ, "STAMPS": str(folder / "stamps"), "GPIOZERO_PIN_FACTORY": "mock",
            "BABBITT_PANEL_TRACE": str(folder / "lamps.jsonl"),
        }  # fmt: skip
        with (folder / "gateway.log").open("ab") as log:
            self.gateway = subprocess.Popen(
                [sys.executable, "-c", STAMPS, str(site), "info"], env=environment, stdout=log, stderr=log
            )
        stack.callback(self._end)

    def _end(self) -> None:
        self.gateway.terminate()
        self.gateway.wait(20)

    def status(self) -> dict[str, Any]:
        with contextlib.suppress(BabbittError):
            return ask(self.socket, "status")
        return {}

    def stamped(self, asset: str, since_ns: int) -> int | None:
        """When the poll ended that raised the alarm of ``asset`` after ``since_ns``."""
        path = self.folder / "stamps"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return next((at_ns for name, at_ns in rows if name == asset and at_ns > since_ns), None)

    def words(self) -> str:
        return f"{self.lamps.now} {(self.folder / 'gateway.log').read_text()[-2000:]}"


def measure(count: int, chance: random.Random) -> Iterator[tuple[float, float | None]]:
    """For each excursion the milliseconds from its poll's end to the pins, and to the rival's lamp where it ran."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lamp-")))
        bench = Bench(folder, stack)
        until(lambda: len(bench.status().get("verdicts", [])) == LINES * UNITS, within_s=60.0, what=bench.words)
        rival, outages = Rival(bench.socket), Outages(bench.cloud)
        stack.callback(rival.end)
        stack.callback(outages.end)
        for number in range(count):
            until(lambda: bench.lamps.now["red"] == "off", within_s=30.0, what=bench.words)
            if number % 2:
                rival.run()
            time.sleep(chance.random() * 0.3)
            yield _once(bench, rival if number % 2 else None, chance)
            rival.rest()


def _once(bench: Bench, rival: Rival | None, chance: random.Random) -> tuple[float, float | None]:
    line, unit = chance.randrange(LINES), chance.randint(1, UNITS)
    asset, since_ns = machine(line, unit), time.monotonic_ns()
    bench.halls[line].set(unit, HOT)

    def lit() -> int | None:
        later = (view for view in bench.lamps.look() if view["mono_ns"] > since_ns)
        return next((view["mono_ns"] for view in later if view["red"] == "fast"), None)

    lit_ns = until(lit, what=bench.words)
    rival_ns = until(lambda: rival.lit_ns.get(asset), what=bench.words) if rival is not None else None
    ended_ns = bench.stamped(asset, since_ns)
    assert ended_ns is not None
    bench.halls[line].set(unit, CALM)
    ask(bench.socket, "acknowledge", asset=asset, rule="hot", by="bench")
    return (lit_ns - ended_ns) / 1e6, (rival_ns - ended_ns) / 1e6 if rival_ns is not None else None


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--excursions", type=int, default=400, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="default: drawn, and printed")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    measured = list(measure(options.excursions, random.Random(options.seed)))
    ours, rivals = [own for own, _ in measured], [other for _, other in measured if other is not None]
    rows = {
        "panel process": ours, "panel process, with the rival asking": [own for own, other in measured if other],
        f"rival: status asked every {ASK_EVERY_S * 1000:g} ms": rivals,
    }  # fmt: skip
    load = LINES * UNITS * TAGS * 1000 // PERIOD_MS
    if not options.json:
        print(f"{load:,} signals a second on {LINES} lines, {LINES * UNITS} judges, a backlog that drains")
    for name, found in rows.items():
        if not found:
            continue
        row = {"p50_ms": statistics.median(found), "p99_ms": percentile(found, 0.99), "worst_ms": max(found)}
        if options.json:
            print(json.dumps({"name": name, "excursions": len(found), **row}))
        else:
            print(f"{name:40} n={len(found):<5}" + "".join(f"{key} {value:8.2f}   " for key, value in row.items()))
    if options.json:
        print(json.dumps({"name": "poll_to_lamp_p99_ms", "value": percentile(ours, 0.99), "goal": GOAL_MS}))
    else:
        print(f"poll_to_lamp_p99_ms={percentile(ours, 0.99):.2f}")


if __name__ == "__main__":
    main()

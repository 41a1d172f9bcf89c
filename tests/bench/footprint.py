"""What a running gateway weighs, and the time it takes to start.

Resident memory with Modbus alone, with inference, and with the uplink's HTTP client too (which finds nobody and tries
again, so that the store fills); and of the page's process, which runs beside each. Each figure comes from the real
process polling the real simulated plant over TCP and a pty; the rival is a bare Python with asyncio, started and
weighed the same way in the same run.

A gateway grows in its first minutes: pages of the store that it keeps, free lists of the interpreter, figures of the
last thousands of polls. The figures called ``later`` are of gateways that ran for ``--later`` seconds, all at once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cloud.demo.processes import Child, free_port, write_site
from edge.errors import BabbittError
from edge.local_socket import ask

ROOT = Path(__file__).resolve().parent.parent.parent
GOALS = {
    "rss_mb_modbus": 45.0,
    "rss_mb_inference": 80.0,
    "rss_mb_with_uplink": 80.0,
    "start_s": 1.5,
    "rss_mb_page": 40.0,
    "rss_mb_panel": 30.0,
    "rss_mb_panel_pi": 50.0,
}
KINDS = {
    "rss_mb_modbus": {"inference": False, "uplink": False},
    "rss_mb_inference": {"inference": True, "uplink": False},
    "rss_mb_with_uplink": {"inference": True, "uplink": True},
}


def site(folder: Path, *, inference: bool, uplink: bool) -> Path:
    def change(tables: dict[str, Any]) -> None:
        tables["uplink"]["url"] = f"http://127.0.0.1:{free_port(0)}"
        if not uplink:
            del tables["uplink"]
        tables["gateway"]["inference"] = inference
        tables["gateway"]["data_dir"] = "gateway"
        tables["panel"]["kind"] = "none"
        tables["page"] = {"port": free_port(0)}
        tables["line"][0]["port"] = port

    port = free_port(0)
    target = folder / "site.toml"
    token = folder / "gateway.token"
    token.touch(mode=0o600)
    token.write_text("nobody-asks\n", encoding="ascii")
    write_site(ROOT / "firmware_profiles/sites/demo.toml", target, change)
    return target


def until(answers: Any, deadline_s: float = 30.0) -> float:
    started = time.monotonic()
    while time.monotonic() - started < deadline_s:
        try:
            if answers():
                return time.monotonic() - started
        except BabbittError:
            pass
        time.sleep(0.01)
    raise SystemExit("nothing answered in time")


def weigh(*, inference: bool, uplink: bool, seconds: float) -> tuple[float, float, float]:
    """Megabytes after ``seconds`` of polling, seconds to the first good reading, and megabytes of the page."""
    with tempfile.TemporaryDirectory(prefix="babbitt-footprint-") as name:
        return _weigh(Path(name), inference=inference, uplink=uplink, seconds=seconds)


def _weigh(folder: Path, *, inference: bool, uplink: bool, seconds: float) -> tuple[float, float, float]:
    path = site(folder, inference=inference, uplink=uplink)
    plant = Child("plant", ["plant", "run", str(path)], folder / "plant.log")
    try:
        until(lambda: ask(folder / "plant/plant.sock", "status"))
        gateway = Child("gateway", ["gateway", "run", str(path)], folder / "gateway.log")
        try:
            socket = folder / "gateway/gateway.sock"
            start_s = until(lambda: ask(socket, "status")["ledger"]["good"] > 0)
            time.sleep(seconds)
            gateway.sample_rss()
            until(lambda: ask(socket, "status")["page"]["up"])
            page_mb = ask(socket, "status")["page"]["rss_mb"]
            return gateway.rss_mb_max, start_s, page_mb
        finally:
            gateway.end()
    finally:
        plant.end()


def panel(kind: str, seconds: float) -> float:
    """Megabytes of the panel's own process, apart from any gateway, with ``kind``'s libraries (pins without a chip)."""
    with tempfile.TemporaryDirectory(prefix="babbitt-footprint-") as name:
        path = Path(name) / "site.toml"
        write_site(ROOT / "firmware_profiles/sites/demo.toml", path, lambda tables: tables["panel"].update(kind=kind))
        command = [sys.executable, "-P", "-m", "edge.panel", str(path)]
        environment = {**os.environ, "GPIOZERO_PIN_FACTORY": "mock"}
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until((Path(name) / "gateway/panel.sock").exists)
            time.sleep(seconds / 4)
            return int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6
        finally:
            process.terminate()
            process.wait(10)


def bare() -> tuple[float, float]:
    """A Python that has only asyncio running: resident megabytes and seconds to there."""
    code = "import asyncio, sys; asyncio.run(asyncio.sleep(0)); print(open('/proc/self/statm').read().split()[1])"
    started = time.monotonic()
    pages = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    return pages * 4096 / 1e6, time.monotonic() - started


def later(seconds: float) -> dict[str, float]:
    """Megabytes of each kind after so many seconds."""
    with ThreadPoolExecutor(len(KINDS)) as pool:
        weights = pool.map(lambda kind: weigh(**kind, seconds=seconds)[0], KINDS.values())
        return dict(zip(KINDS, weights, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to poll before weighing (default 8)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind, interleaved; medians are printed")
    parser.add_argument(
        "--later", type=float, default=600.0, help="weigh once more after so long (default 600; 0: not at all)"
    )
    options = parser.parse_args()
    measured: dict[str, list[float]] = {name: [] for name in (*GOALS, "bare_mb", "bare_s")}
    for _ in range(options.runs):
        modbus_mb, _, _ = weigh(**KINDS["rss_mb_modbus"], seconds=options.seconds)
        inference_mb, start_s, _ = weigh(**KINDS["rss_mb_inference"], seconds=options.seconds)
        whole_mb, _, page_mb = weigh(**KINDS["rss_mb_with_uplink"], seconds=options.seconds)
        panel_mb, pins_mb = panel("terminal", options.seconds), panel("pi", options.seconds)
        figures = (modbus_mb, inference_mb, whole_mb, start_s, page_mb, panel_mb, pins_mb, *bare())
        for name, value in zip(measured, figures, strict=True):
            measured[name].append(value)
    median = {name: statistics.median(values) for name, values in measured.items()}
    goals = dict(GOALS)
    for name, megabytes in (later(options.later) if options.later else {}).items():
        goals[f"{name}_later"], median[f"{name}_later"] = GOALS[name], megabytes
    for name, goal in goals.items():
        rival = median["bare_s"] if name == "start_s" else median["bare_mb"]
        unit = "s" if name == "start_s" else "MB"
        if options.json:
            row = {"name": name, "value": round(median[name], 2), "unit": unit, "goal": goal, "rival": round(rival, 2)}
            print(json.dumps(row))
        else:
            print(f"{name:24} {median[name]:8.2f} {unit:3} goal <= {goal:g}, bare Python with asyncio {rival:.2f}")


if __name__ == "__main__":
    main()

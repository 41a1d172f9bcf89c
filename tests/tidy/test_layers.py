"""Rooms keep to their floor: who may import whom, as literals, so that widening one is a visible diff."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

EDGE_FLOORS: dict[str, int] = {
    "errors": -1, "contract": 0, "features": 0, "physics": 0,
    "config": 1, "ports": 1, "line_counts": -1, "clock": 1, "clock_watch": 2, "latest": 1, "registers": 1,
    "watchdog": 1, "local_socket": 1, "certificates": 1, "datagrams": 1, "mqtt": 1, "sparkplug": 1, "opcua": 1,
    "http": 1, "setpoint": 1, "sparing": 1, "extras": -1, "deferred": -1, "stand_in": 0,
    "drivers": 2, "poll": 2, "journal": 2, "infer": 2, "alarm": 2, "panel": 2, "uplink": 2, "north": 2, "plant": 2,
    "commission": 2, "health": 2, "update": 2, "trust": 2, "keys": 2, "status": 2, "supervise": 2, "threads": 2,
    "command": 2, "described": 3, "page": 3, "runtime": 4, "cli": 5, "gateway": 5,
}  # fmt: skip
CLOUD_FLOORS: dict[str, int] = {
    "supervise": 1, "store": 1, "ingest": 2, "fleet": 2, "learn": 2, "backtest": 2, "replay": 2, "dispatch": 2,
    "notify": 2, "web": 3, "runtime": 4, "learning": 4, "cli": 5, "demo": 5,
}  # fmt: skip
# What of edge the cloud may know; a longer list for rooms that need it.
EDGE_FOR_CLOUD = {"contract", "features", "physics", "errors"}
EDGE_FOR_CLOUD_ROOM = {
    "learn": {"contract", "features", "physics", "errors", "plant", "config"},  # trains on simulated fleets
    # replays a history through the gateway's own judge and alarm desk
    "backtest": {"contract", "features", "errors", "config", "infer", "alarm"},
    "replay": {"contract", "errors", "infer"},  # judges again with the gateway's own judge: there is no second one
    "notify": {"contract", "errors", "config"},  # its file is read as strictly as a site's, by the same loader
    "demo": {"errors", "local_socket"},  # asks the processes that it started
    "cli": {"errors", "config"},
    "web": {"contract", "features", "physics", "errors", "http"},  # one set of headers and deadlines for all servers
    "runtime": {"contract", "features", "physics", "errors", "http"},
}
# What lies on the ground floor, and what else each side must never load on a gateway without being asked.
CONTRACT_LIBRARIES = {"numpy", "zstandard"}
# Rooms of one floor that may know each other after all, each with its reason.
NEIGHBOURS = {
    ("edge", "ports", "config"),  # a driver is handed the profile that it reads by
    ("edge", "opcua", "certificates"),  # who the gateway is for a server
    ("edge", "opcua", "ports"),  # it is handed the clock
    ("edge", "registers", "config"),  # packing follows a profile's point
    ("edge", "setpoint", "config"),  # a contract is held against the site
    ("edge", "setpoint", "registers"),  # and its bounds against what a register can hold
    ("edge", "mqtt", "config"),  # it connects as a broker's table says
    ("edge", "mqtt", "ports"),  # it asks the clock
}


def modules(top: str) -> list[Path]:
    return sorted((ROOT / top).rglob("*.py"))


def room(path: Path, top: str) -> str:
    part = path.relative_to(ROOT / top).parts[0]
    return part.removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize(("top", "floors"), [("edge", EDGE_FLOORS), ("cloud", CLOUD_FLOORS)])
def test_rooms_import_lower_floors_only(top: str, floors: dict[str, int]) -> None:
    wrong = []
    for path in modules(top):
        here = room(path, top)
        if here == "__init__":
            continue
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != top or len(parts) < 2:
                continue
            there = parts[1]
            lower = floors[there] < floors[here]
            if there != here and not lower and (top, here, there) not in NEIGHBOURS:
                wrong.append(f"{path.relative_to(ROOT)}: {here} (F{floors[here]}) imports {there} (F{floors[there]})")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_edge_never_imports_cloud() -> None:
    wrong = [str(p.relative_to(ROOT)) for p in modules("edge") if any(n.split(".")[0] == "cloud" for n in imported(p))]
    assert not wrong


def test_cloud_knows_little_of_edge() -> None:
    wrong = []
    for path in modules("cloud"):
        allowed = EDGE_FOR_CLOUD_ROOM.get(room(path, "cloud"), EDGE_FOR_CLOUD)
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "edge" and len(parts) > 1 and parts[1] not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("ground", ["contract", "features", "physics"])
def test_the_ground_floor_needs_numpy_and_zstd_only(ground: str) -> None:
    allowed = CONTRACT_LIBRARIES | sys.stdlib_module_names | {"edge"}
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(f"edge/{ground}")
        for name in imported(path)
        if name.split(".")[0] not in allowed
    }
    assert not wrong


def test_every_room_has_a_floor() -> None:
    for top, floors in (("edge", EDGE_FLOORS), ("cloud", CLOUD_FLOORS)):
        rooms = {room(path, top) for path in modules(top)} - {"__init__"}
        assert rooms <= set(floors), f"give {rooms - set(floors)} a floor"
        assert set(floors) <= rooms, f"no such room: {set(floors) - rooms}"


def test_the_panel_depends_on_nothing_that_may_fail_beside_it() -> None:
    """Neither a store, a model, a network client nor numpy is even loaded by its process."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import edge.panel.__main__, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout.split()  # fmt: skip
    rooms = {name.split(".")[1] for name in loaded if name.startswith("edge.")}
    assert rooms <= {"config", "contract", "deferred", "errors", "panel", "ports", "stand_in", "watchdog"}, rooms
    assert not {"numpy", "asyncio", "sqlite3", "httpx", "ai_edge_litert", "click", "hashlib"} & set(loaded)

"""The cloud judges again what gateways judged: a real run with a kill and a restart comes out equal to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloud.cli import cloud
from cloud.fleet.predictions import Predictions
from cloud.replay import Shelf, replay
from cloud.store.reader import Reader
from edge.config.site import profiles_root
from edge.contract.seal import LEAP
from tests.world.processes import World

GATEWAY = "demo-gateway"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A spindle judged by its bundle, and a pump of no known class, judged by what it learned itself."""

    def change(tables: dict[str, Any]) -> None:
        tables["gateway"] |= {"commit_interval_ms": 200, "verdict_interval_ms": 150}
        tables["line"] = tables["line"][:1]
        tables["asset"] = tables["asset"][:2]
        tables["asset"][1] = {**tables["asset"][1], "class": "generic"}
        for name in ("nameplate", "stop"):
            tables["asset"][1].pop(name, None)  # they ask for an hour meter, which this class has not
        for asset in tables["asset"]:
            asset["unit"][0]["period_ms"] = 50
        tables["plant"]["machine"] = tables["plant"]["machine"][:2]

    made = World(tmp_path, change)
    yield made
    made.end()


def verdicts(world: World) -> int:
    return int(world.stats()["verdicts"])


def ran_for(world: World, more: int) -> None:
    before = verdicts(world)
    world.start()
    world.until(lambda: verdicts(world) >= before + more, within_s=60)


@pytest.mark.timeout(120)
def test_a_real_run_with_a_kill_and_a_restart(world: World, tmp_path: Path) -> None:
    ran_for(world, 60)
    world.children.remove(world.gateway)
    world.gateway.process.kill()
    world.gateway.process.wait()
    ran_for(world, 20)
    world.stop_gateway()
    ran_for(world, 20)
    world.stop_gateway()
    folder = world.folder / "cloud"
    told = CliRunner().invoke(cloud, ["replay", f"{GATEWAY}/spindle-1", "--data", str(folder), "--json"])
    assert told.exit_code == 0, told.output
    counts = json.loads(told.output)
    assert counts["different"] == 0
    assert counts["unreplayable"] == {}
    assert counts["replayed"] == counts["equal"] == counts["verdicts"] >= 45
    reader = Reader(folder)
    learned = replay(reader, GATEWAY, "pump-1", Shelf(profiles_root() / "bundles"))
    assert (learned.equal, learned.different, learned.unreplayable) == (learned.verdicts, 0, {})
    lost = replay(reader, GATEWAY, "spindle-1", Shelf(tmp_path / "nothing"))
    assert (lost.equal, lost.different, sum(lost.unreplayable.values())) == (0, 0, lost.verdicts)
    assert all("has no bundle" in why for why in lost.unreplayable), "counted with the reason, never passed over"
    found = Predictions()
    found.advance(reader)
    reader.close()
    for chain in found.chains():
        assert chain.is_whole
        assert [(one.why, one.number - one.after) for one in chain.breaks] == [("outage", LEAP + 1)], "the kill alone"
        assert chain.linked == chain.sealed

"""SIGKILL at random instants: the gateway three times, the cloud once. What the plant served is what the cloud holds,
less what the ledger declares, tag by tag, and nothing is held twice.

Three counts that share no code are compared: the plant's own of what it served, the gateway's ledger, and the readings
decoded here from the raw blocks in the cloud's store.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.contract.types import Quality
from tests.world.processes import World, babbitt

Tag = tuple[str, str]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    def change(tables: dict[str, Any]) -> None:
        tables["plant"]["speed"] = 3600.0
        for asset in tables["asset"]:
            asset["unit"][0]["period_ms"] = 100

    processes = World(tmp_path, change)
    yield processes
    processes.end()


def held(world: World) -> tuple[Counter[Tag], Counter[tuple[str, str, int, int]]]:
    """Good readings by tag, and how often each single reading stands, from the raw blocks alone."""
    good: Counter[Tag] = Counter()
    single: Counter[tuple[str, str, int, int]] = Counter()
    for block in world.blocks():
        for batch in (batch for series in block.series for batch in series.batches()):
            for tag, quality in zip(batch.tags, batch.quality, strict=True):
                single[batch.asset, tag, batch.read_ns, batch.mono_ns] += 1
                good[batch.asset, tag] += quality == Quality.GOOD
    return good, single


def kill(world: World, name: str, chance: random.Random) -> None:
    child = getattr(world, name)
    time.sleep(chance.uniform(1.0, 3.0))
    child.process.send_signal(signal.SIGKILL)
    child.process.wait(10)
    time.sleep(chance.uniform(0.0, 0.5))
    child.start()
    world.until(world.status)
    world.until(world.stats)


@pytest.mark.timeout(180)
def test_kills_lose_nothing_that_is_not_declared(world: World) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    world.start()
    for name in ("gateway", "cloud", "gateway", "gateway"):
        kill(world, name, chance)
    before = world.stats()["received_good"]
    world.until(lambda: world.stats()["received_good"] > before)

    world.stop_gateway()
    served = Counter(
        {(asset, tag): n for asset, tags in world.plant_status()["served"].items() for tag, n in tags.items()}
    )
    ledger = json.loads(babbitt("gateway", "ledger", str(world.site), "--json", "--by-tag"))
    declared: Counter[Tag] = Counter()
    acknowledged: Counter[Tag] = Counter()
    bad: Counter[Tag] = Counter()
    for row in ledger["rows"]:
        tag = (row["asset"], row["tag"])
        declared[tag] += sum(row[name] for name in row if name.startswith("dropped_"))
        bad[tag] += sum(row[name] for name in row if name.startswith("bad_"))
        acknowledged[tag] += row["acknowledged"]
    good, single = held(world)
    stats = world.stats()
    print(f"served {served.total()}, held {good.total()}, declared {declared.total()}, bad {bad.total()}")

    assert ledger["balanced"]
    assert ledger["pending"] == 0, "the uplink had its moment at the end"
    assert good == acknowledged, "the cloud holds exactly what the gateway believes it holds"
    assert max(single.values()) == 1, "nothing is held twice"
    assert stats["received_good"] == good.total(), "the cloud's own count is that of its blocks"
    assert stats["duplicate_readings_stored"] == 0
    assert declared.total() > 0, "three kills between commits take something, or this proves nothing"
    for tag in served:
        # A poll that was on the wire when a kill came is declared; whether the plant had served it, only the plant
        # knows: at most one for each of the three kills. Bad ones are what the stop cut off.
        assert served[tag] <= good[tag] + declared[tag] + bad[tag], tag
        assert served[tag] >= good[tag] + declared[tag] - 3, tag

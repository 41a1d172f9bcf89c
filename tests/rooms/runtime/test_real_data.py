"""Real recordings travel the real path: a file, registers, Modbus, the gateway's judgement, blocks, the cloud.

Every value that arrives equals the file's to the resolution of the registers, each row exactly once, and the machine
was judged on the way.
"""

from __future__ import annotations

import gzip
import io
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.contract.types import Quality, Verdict
from tests.world.processes import World, babbitt

ROW = "row_number"
Start = Callable[[Path], World]


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Start]:
    """Starts a plant that plays a recording row by row as it is read, with its cloud; the gateway is yet to start."""
    worlds: list[World] = []

    def start(recording: Path) -> World:
        profiles = tmp_path / "profiles/devices"
        profiles.mkdir(parents=True)
        column_map = tmp_path / "map.toml"
        babbitt(
            "plant", "profile", str(recording), "-o", str(profiles / "recording.toml"), "--map-out", str(column_map),
            "--advance", "on_read",
        )  # fmt: skip

        def change(tables: dict[str, Any]) -> None:
            tables["profiles"] = "profiles"
            # A row that is served is served once: on a machine that stands still its answer must not be too late.
            tables["line"] = [{**tables["line"][0], "timeout_ms": 30_000}]
            unit = {"line": "hall", "unit": 1, "profile": "recording", "period_ms": 20}
            tables["asset"] = [{"id": "recorded", "class": "generic", "unit": [unit]}]
            machine = {"asset": "recorded", "model": "recording", "recording": str(recording), "map": str(column_map)}
            tables["plant"]["machine"] = [machine]

        worlds.append(World(tmp_path, change))
        return worlds[0]

    yield start
    for world in worlds:
        world.end()


def arrived(world: World) -> tuple[dict[int, dict[str, Any]], list[Verdict]]:
    """By row number the values by tag, and the verdicts, from the raw blocks alone."""
    rows: dict[int, dict[str, Any]] = {}
    verdicts: list[Verdict] = []
    last = 0
    for block in world.blocks():
        verdicts += [record for record in block.records if isinstance(record, Verdict)]
        for batch in (batch for series in block.series for batch in series.batches()):
            if batch.quality[0] != Quality.GOOD:
                continue
            values = dict(zip(batch.tags, batch.values, strict=True))
            row = values.pop(ROW)
            assert isinstance(row, int)
            assert row in (last, last + 1), "rows come in order, and are held only at the end"
            assert rows.setdefault(row, values) == values
            last = row
    return rows, verdicts


def check(world: World, columns: dict[str, NDArray[Any]]) -> list[Verdict]:
    count = len(next(iter(columns.values())))
    world.start()

    def whole() -> bool:
        latest = world.get("assets/demo-gateway/recorded")["latest"]
        return any(tag["tag"]["tag"] == ROW and tag["value"] == count for tag in latest)

    world.until(whole, within_s=100)
    world.stop_gateway()
    rows, verdicts = arrived(world)
    mapped = tomllib.loads((world.folder / "map.toml").read_text(encoding="utf-8"))["column"]
    tags = {column["name"]: column["tag"] for column in mapped}
    assert sorted(rows) == list(range(1, count + 1)), "each row arrived"
    assert set(tags) == set(columns)
    for name, values in columns.items():
        exact = values.astype(np.float64)
        wire = exact.astype(np.float32).astype(np.float64)
        got = np.array([rows[i][tags[name]] for i in range(1, count + 1)], np.float64)
        assert np.array_equal(got, wire) or np.array_equal(got, exact), name
    assert verdicts, "the machine was judged on the way"
    assert all(verdict.asset == "recorded" for verdict in verdicts)
    assert all(verdict.rul_h is None and "not enough evidence" in verdict.note for verdict in verdicts)
    return verdicts


@pytest.mark.timeout(180)
def test_a_bearings_features_run_to_failure(playing: Start, data_dir: Path) -> None:
    import pyarrow.parquet as parquet

    recording = data_dir / "femto_pronostia/features_bearing3_1.parquet"
    table = parquet.read_table(recording)
    verdicts = check(playing(recording), {name: table[name].to_numpy() for name in table.column_names})
    assert any(verdict.anomalous for verdict in verdicts), "it ran to failure: that is no healthy bearing"


@pytest.mark.timeout(180)
def test_a_pump_testbed(playing: Start, data_dir: Path) -> None:
    recording = data_dir / "skab/valve1/0.csv.gz"
    text = gzip.decompress(recording.read_bytes()).decode()
    names = text.splitlines()[0].split(";")[1:]
    numbers = np.loadtxt(io.StringIO(text), delimiter=";", skiprows=1, usecols=range(1, len(names) + 1))
    check(playing(recording), {name: numbers[:, i] for i, name in enumerate(names)})

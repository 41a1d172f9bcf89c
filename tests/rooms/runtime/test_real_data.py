"""Real recordings travel the real path: a file, registers, Modbus, the gateway's judgement, blocks, the cloud.

Every value that arrives equals the file's to the resolution of the registers, each row exactly once, and the machine
was judged on the way.
"""

from __future__ import annotations

import gzip
import io
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from cloud.demo.processes import Child, free_port, write_site
from edge.config.site import profiles_root
from edge.contract.block import decode_block
from edge.contract.types import Quality, Verdict
from edge.errors import BabbittError
from edge.local_socket import ask

DEMO = profiles_root() / "sites/demo.toml"
ROW = "row_number"


def babbitt(*arguments: str) -> str:
    command = [sys.executable, "-m", "edge.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def until(attempt: Callable[[], Any], children: list[Child], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    last = "false"
    while time.monotonic() < deadline:
        for child in children:
            child.check()
        try:
            if attempt():
                return
        except (BabbittError, httpx.HTTPError) as error:
            last = str(error)
        time.sleep(0.1)
    pytest.fail(f"not within {within_s} s: {last}")


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in reversed(started):
        child.end()


def replay(folder: Path, recording: Path, rows: int, children: list[Child]) -> dict[str, str]:
    """Play the recording from registers to the cloud, row by row as it is read. Returns tag by column header."""
    profiles = folder / "profiles/devices"
    profiles.mkdir(parents=True)
    column_map = folder / "map.toml"
    babbitt(
        "plant", "profile", str(recording), "-o", str(profiles / "recording.toml"), "--map-out", str(column_map),
        "--advance", "on_read",
    )  # fmt: skip
    port = free_port(0)

    def change(tables: dict[str, Any]) -> None:
        tables["uplink"]["url"] = f"http://127.0.0.1:{port}"
        tables["panel"]["kind"] = "none"
        tables["profiles"] = "profiles"
        tables["line"] = [{**tables["line"][0], "port": free_port(0)}]
        unit = {"line": "hall", "unit": 1, "profile": "recording", "period_ms": 20}
        tables["asset"] = [{"id": "recorded", "class": "generic", "unit": [unit]}]
        machine = {"asset": "recorded", "model": "recording", "recording": str(recording), "map": str(column_map)}
        tables["plant"]["machine"] = [machine]

    site = folder / "site.toml"
    write_site(DEMO, site, change)
    tokens = folder / "tokens"
    babbitt("cloud", "token", "demo-gateway", "--tokens", str(tokens), "--out", str(folder / "gateway.token"))
    for name, arguments in {
        "cloud": ["serve", "--port", str(port), "--data", str(folder / "cloud"), "--tokens", str(tokens)],
        "plant": ["run", str(site)],
    }.items():
        children.append(Child(name, [name, *arguments], folder / f"{name}.log"))
    url = f"http://127.0.0.1:{port}/api/v1"
    until(lambda: httpx.get(f"{url}/stats", timeout=5).is_success, children, 30)
    until(lambda: ask(folder / "plant/plant.sock", "status"), children, 30)
    gateway = Child("gateway", ["gateway", "run", str(site)], folder / "gateway.log")
    children.append(gateway)

    def whole() -> bool:
        latest = httpx.get(f"{url}/assets/demo-gateway/recorded", timeout=5).raise_for_status().json()["latest"]
        return any(tag["tag"]["tag"] == ROW and tag["value"] == rows for tag in latest)

    until(whole, children, 100)
    children.remove(gateway)
    assert gateway.end() == 0
    return {column["name"]: column["tag"] for column in tomllib.loads(column_map.read_text())["column"]}


def arrived(cloud: Path) -> tuple[dict[int, dict[str, Any]], list[Verdict]]:
    """By row number the good values by tag, first time that each row came, and the verdicts, from raw blocks alone."""
    rows: dict[int, dict[str, Any]] = {}
    verdicts: list[Verdict] = []
    last = 0
    with sqlite3.connect(f"file:{next(cloud.glob('*.db'))}?mode=ro", uri=True) as database:
        for (data,) in database.execute("SELECT bytes FROM block ORDER BY seq"):
            block = decode_block(data)
            verdicts += [record for record in block.records if isinstance(record, Verdict)]
            for batch in (batch for series in block.series for batch in series.batches()):
                assert all(quality == Quality.GOOD for quality in batch.quality)
                values = dict(zip(batch.tags, batch.values, strict=True))
                row = values.pop(ROW)
                assert isinstance(row, int)
                assert row in (last, last + 1), "rows come in order, and only the last is held"
                assert rows.setdefault(row, values) == values
                last = row
    database.close()
    return rows, verdicts


def check(folder: Path, recording: Path, columns: dict[str, NDArray[Any]], children: list[Child]) -> list[Verdict]:
    count = len(next(iter(columns.values())))
    tags = replay(folder, recording, count, children)
    rows, verdicts = arrived(folder / "cloud")
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
def test_a_bearings_features_run_to_failure(tmp_path: Path, data_dir: Path, children: list[Child]) -> None:
    import pyarrow.parquet as parquet

    recording = data_dir / "femto_pronostia/features_bearing3_1.parquet"
    table = parquet.read_table(recording)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    verdicts = check(tmp_path, recording, columns, children)
    assert any(verdict.anomalous for verdict in verdicts), "it ran to failure: that is no healthy bearing"


@pytest.mark.timeout(180)
def test_a_pump_testbed(tmp_path: Path, data_dir: Path, children: list[Child]) -> None:
    recording = data_dir / "skab/valve1/0.csv.gz"
    text = gzip.decompress(recording.read_bytes()).decode()
    names = text.splitlines()[0].split(";")[1:]
    numbers = np.loadtxt(io.StringIO(text), delimiter=";", skiprows=1, usecols=range(1, len(names) + 1))
    columns = {name: numbers[:, i] for i, name in enumerate(names)}
    check(tmp_path, recording, columns, children)

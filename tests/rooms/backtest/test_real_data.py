"""Published histories as a customer would hand them over: read as they lie, every failure told, none tuned on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloud.cli import cloud


def told(*args: str | Path) -> dict[str, Any]:
    result = CliRunner().invoke(cloud, ["backtest", *map(str, args), "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {folder}")
    return found


def test_bearings_run_to_failure(data_dir: Path, tmp_path: Path) -> None:
    """The first column has no name; the rig stops when a bearing has failed, so the last row but some is the end."""
    exports = files(data_dir / "ims_features", "*.csv.gz")
    first = told(*exports)
    assert first["babbitt"]["caught"] == first["babbitt"]["missed"] == 0
    failures = tmp_path / "failed.csv"
    ends = {name: asset["to_ns"] for name, asset in first["assets"].items()}
    failures.write_text("asset,at\n" + "".join(f"{name},{at_ns}\n" for name, at_ns in ends.items()))
    found = told(*exports, "--failures", failures, "--html", tmp_path / "ims.html")
    ours = found["babbitt"]
    assert ours["caught"] + ours["late"] + ours["missed"] == len(exports)
    for asset in found["assets"].values():
        assert asset["judged_from_ns"] is not None
        assert len(asset["signals"]) >= 4
    assert (tmp_path / "ims.html").read_text().count("<svg") == len(exports)


def test_a_machines_temperature(data_dir: Path, tmp_path: Path) -> None:
    """Its labels are anomalies; each is taken for a failure, which is harder than it was for the machine."""
    folder = data_dir / "nab_machine_temperature"
    (export,) = files(folder, "*.csv.gz")
    labels = json.loads((folder / "labels.json").read_text())["labels"]
    failures = tmp_path / "failed.csv"
    failures.write_text("at\n" + "\n".join(labels) + "\n")
    found = told(export, "--failures", failures)
    ours = found["babbitt"]
    assert ours["caught"] + ours["late"] + ours["missed"] + ours["unjudged"] == len(labels)
    assert any("rows with the time of another" in note for note in found["notes"])


def test_a_water_loop_second_by_second(data_dir: Path) -> None:
    """Seconds instead of days, and a column that says when it was wrong."""
    exports = files(data_dir / "skab" / "valve1", "*.csv.gz")[:3]
    found = told(
        *exports, "--failure-column", "anomaly", "--lead-h", "0", "--horizon-h", "0.05", "--together-h", "0.01"
    )
    ours = found["babbitt"]
    assert ours["caught"] + ours["late"] + ours["missed"] == len(exports)
    for asset in found["assets"].values():
        assert "anomaly" not in asset["signals"]
        assert "changepoint" not in asset["signals"]

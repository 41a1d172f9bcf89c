"""Judges for a site: each asset with the bundle of its class, and a start that refuses what it cannot trust."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config.site import load_site
from edge.errors import BundleError
from edge.infer import load_judges
from tests.rooms.infer.machines import PROFILES

SITE = """
[gateway]
id = "gw"

[[line]]
name = "tcp"
kind = "modbus-tcp"
host = "127.0.0.1"

[[asset]]
id = "spindle-1"
class = "cnc_spindle"
[[asset.unit]]
line = "tcp"
profile = "plant-spindle"

[[asset]]
id = "oven-1"
[[asset.unit]]
line = "tcp"
unit = 2
profile = "plant-pump"
"""
OWN = 'profiles = "own"\n' + SITE


def site(folder: Path, text: str = SITE) -> Path:
    path = folder / "site.toml"
    path.write_text(text)
    return path


def test_each_asset_gets_a_judge(tmp_path: Path) -> None:
    judges = load_judges(load_site(site(tmp_path)))
    assert sorted(judges) == ["oven-1", "spindle-1"]


def test_an_empty_bundle_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "own/bundles/cnc_spindle").mkdir(parents=True)
    with pytest.raises(BundleError, match="no such file") as error:
        load_judges(load_site(site(tmp_path, OWN)))
    assert "cloud train" in error.value.hint


def test_another_class_in_the_folder_stops_the_start(tmp_path: Path) -> None:
    shutil.copytree(PROFILES / "bundles/centrifugal_pump", tmp_path / "own/bundles/cnc_spindle")
    with pytest.raises(BundleError, match="made for class 'centrifugal_pump'"):
        load_judges(load_site(site(tmp_path, OWN)))


def test_without_a_bundle_litert_is_never_loaded(tmp_path: Path) -> None:
    text = SITE.replace('class = "cnc_spindle"\n', "")
    program = (
        "import sys; from pathlib import Path;"
        "from edge.config.site import load_site; from edge.infer import load_judges;"
        "judges = load_judges(load_site(Path(sys.argv[1])));"
        "print(len(judges), any(name.startswith('ai_edge_litert') for name in sys.modules))"
    )
    command = [sys.executable, "-c", program, str(site(tmp_path, text))]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=PROFILES.parent)
    assert answer.stdout.split() == ["2", "False"]

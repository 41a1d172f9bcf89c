"""Judges for a site: one for each asset, and no runtime of models where there is no model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from edge.config.site import load_site
from edge.infer import load_judges
from tests.rooms.infer.machines import PROFILES, bundle

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


def site(folder: Path, text: str = SITE) -> Path:
    path = folder / "site.toml"
    path.write_text(text)
    return path


def test_each_asset_gets_a_judge_with_the_bundle_that_is_given_for_it(tmp_path: Path) -> None:
    given = {"spindle-1": bundle("cnc_spindle"), "oven-1": None}
    judges = load_judges(load_site(site(tmp_path)), given.__getitem__)
    assert sorted(judges) == ["oven-1", "spindle-1"]


def test_without_a_bundle_litert_is_never_loaded(tmp_path: Path) -> None:
    text = SITE.replace('class = "cnc_spindle"\n', "")
    program = (
        "import sys; from pathlib import Path;"
        "from edge.config.site import load_site; from edge.infer import load_judges;"
        "judges = load_judges(load_site(Path(sys.argv[1])), lambda asset: None);"
        "print(len(judges), any(name.startswith('ai_edge_litert') for name in sys.modules))"
    )
    command = [sys.executable, "-c", program, str(site(tmp_path, text))]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=PROFILES.parent)
    assert answer.stdout.split() == ["2", "False"]


def test_an_asset_may_have_an_alarm_budget_of_its_own(tmp_path: Path) -> None:
    text = SITE.replace('id = "oven-1"\n', 'id = "oven-1"\nanomaly_alarms_per_week = 0.25\n')
    judges = load_judges(load_site(site(tmp_path, text)), lambda _: None)
    budgets = {
        asset: json.loads(judge.checkpoint())["class"]["anomaly_alarms_per_week"] for asset, judge in judges.items()
    }
    assert budgets == {"spindle-1": 1.0, "oven-1": 0.25}

"""The demo's site files are such as a gateway loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.demo.sites import make_profile, write_machines, write_recording
from cloud.demo.story import tell, tell_recording
from edge.config.site import load_site
from tests.world.processes import babbitt


def test_the_machines(tmp_path: Path) -> None:
    write_machines(tmp_path / "site.toml", tell(90, None), uplink_port=4711, contract_key="engineer.pub")
    site = load_site(tmp_path / "site.toml")
    assert site.file.command is not None
    assert site.file.command.contract_keys == ("engineer.pub",)
    assert site.file.uplink is not None
    assert site.file.uplink.url.endswith(":4711")
    assert site.file.plant.speed == pytest.approx(350 * 3600 / 45)


@pytest.mark.parametrize("speed", [None, 10.0])
def test_a_recording(tmp_path: Path, speed: float | None) -> None:
    recording = tmp_path / "pump data.csv"
    recording.write_text("t_s,Flow (l/min),Pressure\n0,1.5,2\n1,1.6,2\n", encoding="utf-8")
    babbitt(*make_profile(recording, tmp_path, follows_clock=speed is not None))
    write_recording(tmp_path / "site.toml", tell_recording(60, speed), recording, uplink_port=4711)
    site = load_site(tmp_path / "site.toml")
    assert [asset.id for asset in site.file.asset] == ["recording"]
    assert {"flow_l_min", "pressure"} <= {point.tag for point in site.profiles["recording"].point}
    assert site.file.plant.speed == (speed or 1.0)

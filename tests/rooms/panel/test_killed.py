"""A panel that is killed leaves its pins as they were; what its unit runs then puts every lamp out, green above all."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.demo.processes import Child
from edge.config.site import profiles_root
from tests.waiting import until
from tests.world.hall import Hall, describe
from tests.world.lasting_pins import read

UNIT = profiles_root() / "systemd/babbitt-panel.service"
DEADLINE_S = 60.0
PINS = {"green_gpio": 17, "amber_gpio": 27, "red_gpio": 22, "blue_gpio": 23, "buzzer_gpio": 24}
GREEN = "GPIO17"


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    yield hall
    hall.close()


def panel(pins: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.world.lasting_pins", str(pins), *arguments]


def after_its_end(site: Path) -> list[str]:
    """What the unit has systemd run once the panel has ended by any death, with ``site`` for its site file."""
    found = re.search(r"^ExecStopPost=-\S+ -P -m edge\.panel (.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return [str(site) if word == "/etc/babbitt/site.toml" else word for word in shlex.split(found[1])]


def test_a_killed_panel_leaves_no_lamp_lit_and_the_next_takes_up_again(hall: Hall, tmp_path: Path) -> None:
    pins = tmp_path / "pins.json"
    site = describe(tmp_path, [hall.port], units=1, panel={"kind": "pi", "display": "none", **PINS})
    gateway = Child("gateway", ["gateway", "run", "--panel-apart", str(site)], tmp_path / "gateway.log")
    shown = subprocess.Popen(panel(pins, str(site)))
    try:
        until(lambda: read(pins).get(GREEN) == "high")
        shown.kill()
        shown.wait()
        assert read(pins)[GREEN] == "high", "that is what nobody must see for long"
        began_s = time.monotonic()
        done = subprocess.run(panel(pins, *after_its_end(site)), check=False, capture_output=True, text=True)
        print(f"dark {time.monotonic() - began_s:.2f} s after it was run")
        assert (done.returncode, done.stderr) == (0, "")
        assert len(read(pins)) == len(PINS)
        assert "high" not in read(pins).values()
        shown = subprocess.Popen(panel(pins, str(site)))
        until(lambda: read(pins).get(GREEN) == "high")
        gateway.process.kill()
        until(lambda: read(pins)[GREEN] != "high")
    finally:
        shown.terminate()
        shown.wait()
        gateway.end()
    assert "high" not in read(pins).values()

"""From keys to a machine at another speed: every step by the command line, at a plant and a gateway that run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.demo.processes import Child
from edge.local_socket import ask
from tests.ports import free_port
from tests.waiting import until

WITHIN_S = 60.0

SITE = """
profiles = "own"
[gateway]
id = "gw-1"
inference = false
[command]
contract_keys = ["engineer.pub"]
[[line]]
kind = "modbus-tcp"
name = "hall"
port = {port}
timeout_ms = 10000
[[asset]]
id = "pump-1"
class = "centrifugal_pump"
unit = [{{ line = "hall", unit = 1, profile = "plant-pump", period_ms = 50 }}]
[plant]
machine = [{{ asset = "pump-1", model = "pump", seed = 12 }}]
"""


class Hall:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge.cli", "gateway", *arguments],
            cwd=self.folder, capture_output=True, text=True, timeout=WITHIN_S, check=False,
        )  # fmt: skip

    def done(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def told(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.returncode == 1, result.stdout + result.stderr
        assert "refused" in result.stdout
        return result.stdout

    def writes(self) -> int:
        """That the plant took, by its own count."""
        found = ask(self.folder / "var/plant/plant.sock", "status", within_s=WITHIN_S)["written"]["pump-1"]
        return int(found.get("speed_setpoint_rpm", 0))

    def setpoint(self) -> Any:
        values = ask(self.folder / "var/gateway/gateway.sock", "values", within_s=WITHIN_S)["values"]
        return next((one["value"] for one in values if one["tag"] == "speed_setpoint_rpm"), None)

    def advice(self) -> list[Any]:
        return list(ask(self.folder / "var/gateway/gateway.sock", "advice", within_s=WITHIN_S)["advice"])


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    (tmp_path / "site.toml").write_text(SITE.format(port=free_port()))
    hall = Hall(tmp_path)
    for name in ("engineer", "ada", "bob"):
        hall.done("contract", "key", f"{name}.pem")
    people = ("--person", "ada.pub", "--person", "bob.pub")
    hall.done(
        "contract", "draft", "site.toml", "pump-1", "speed_setpoint_rpm", "--low", "1200", "--high", "1500", *people
    )
    path = tmp_path / "own/contracts/pump-1-speed-setpoint-rpm.toml"
    text = path.read_text()
    for old, new in (
        ('mode = "shadow"', 'mode = "approve"\napprovals = 1'), ("dwell_s = 60.0", "dwell_s = 0.0"),
        ("step_max = 30.0", "step_max = 100.0"), ("rate_per_min = 60.0", "rate_per_min = 100.0"),
        ("precondition = []", 'precondition = ["age(speed_rpm) < 5"]'), ("watch_s = 0.0", "watch_s = 1.0"),
        ("abort = []", 'abort = ["vibration_mm_s > 50"]'),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    hall.done("contract", "sign", str(path), "--key", "engineer.pem", "--site", "site.toml", "--yes")
    children = [
        Child(name, [name, "run", str(tmp_path / "site.toml")], tmp_path / f"{name}.log")
        for name in ("plant", "gateway")
    ]
    try:
        until(lambda: hall.setpoint() == 1360, "the setpoint is read")
        yield hall
    finally:
        for child in reversed(children):
            child.end()


def test_a_speed_is_drafted_signed_given_approved_and_written_once(hall: Hall) -> None:
    (row,) = hall.told("contract", "list", "site.toml")
    assert (row["trusted"], row["state"]) == (True, "in force")
    give = ("command", "give", "own/contracts/pump-1-speed-setpoint-rpm.toml")
    hall.done(*give, "1400", "--key", "ada.pem", "--why", "more flow", "--site", "site.toml", "-o", "c.json", "--yes")
    assert hall.told("command", "send", "site.toml", "c.json")["step"] == "waiting"
    assert [(one["value"], one["by"], one["why"]) for one in hall.advice()] == [(1400.0, "ada", "more flow")]
    assert hall.writes() == 0
    (listed,) = hall.told("command", "list", "site.toml")
    assert (listed["step"], listed["by"], listed["unit"], "ended_ns" in listed) == ("waiting", "ada", "/min", False)

    # The next one is ready before this one is written: what follows has a minute.
    hall.done(*give, "1480", "--key", "ada.pem", "--site", "site.toml", "-o", "d.json", "--yes")
    hall.done("command", "approve", "d.json", "--key", "bob.pem", "--site", "site.toml", "--yes")

    shown = hall.done("command", "approve", "c.json", "--key", "bob.pem", "--site", "site.toml", "--yes")
    assert "signed by ada, approved by bob" in shown
    assert hall.told("command", "send", "site.toml", "c.json")["step"] in ("executed", "kept")
    until(lambda: hall.setpoint() == 1400, "the new setpoint is read")
    until(lambda: hall.advice() == [], "the watch is over")
    assert hall.writes() == 1

    # In order, but too much within a minute: the contract allows 100, of which 40 are spent.
    assert "a minute" in hall.refused("command", "send", "site.toml", "d.json")

    # The same again, and one that somebody changed on its way: nothing more is written.
    assert hall.told("command", "send", "site.toml", "c.json")["step"] == "kept"
    altered = (hall.folder / "c.json").read_text().replace("1400.0", "1450.0")
    (hall.folder / "altered.json").write_text(altered)
    assert hall.run("command", "show", "altered.json", "--site", "site.toml").returncode == 2
    assert hall.refused("command", "send", "site.toml", "altered.json")

    assert (hall.writes(), hall.setpoint()) == (1, 1400)
    listed = hall.told("command", "list", "site.toml")
    assert [(one["value"], one["step"], one["by"], one["approvers"], one["read_back"]) for one in listed] == [
        (1480.0, "refused", "ada", ["bob"], None), (1400.0, "kept", "ada", ["bob"], 1400.0)
    ]  # fmt: skip
    assert hall.told("command", "list", "site.toml", "--limit", "1") == listed[:1]
    text = hall.done("command", "list", "site.toml")
    assert "pump-1.speed_setpoint_rpm  1400 rpm  kept" in text
    assert "ada, approved by bob\n    more flow\n    watched for" in text

"""The OPC UA server as node-opcua sees it: a client that shares no code with asyncua, under which the server runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.rooms.north.hosted import DEADLINE_S, PASSWORD, USER, Hosted

PEER = ROOT / "tests/peers/node"


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node", path=os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)]))
    if found is None or not (PEER / "node_modules").is_dir():
        pytest.skip("no node-opcua: `make test` installs it")
    return found


def said(node: str, hosted: Hosted, mode: str, user: str = USER, password: str = PASSWORD) -> Iterator[dict[str, Any]]:
    """What the client says, line by line, until it ends."""
    files = str(hosted.folder / "client.der"), str(hosted.folder / "client.pem")
    command = [node, str(PEER / "opcua_client.js"), hosted.url, *files, mode, user, password]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout is not None
            for line in client.stdout:
                if line.startswith("@"):
                    yield json.loads(line[1:])
            assert client.wait(DEADLINE_S) == 0
        finally:
            client.kill()


def test_it_reads_watches_and_acknowledges(node: str, strict: Hosted) -> None:
    strict.deliver(source_ns=1_700_000_000_123_000_000, level_m=1.5)
    heard: list[dict[str, Any]] = []
    for line in said(node, strict, "SignAndEncrypt"):
        heard.append(line)
        if "listening" in line:
            strict.deliver(level_m=4.5)
    found = {key: value for line in reversed(heard) for key, value in line.items()}
    assert found["assets"] == ["tank-1"]
    assert {"level_m", "pump_speed", "running", "Verdict", "Alarms"} <= set(found["tags"])
    value = next(line for line in heard if "value" in line)
    assert value == {"value": 1.5, "status": "Good", "source": "2023-11-14T22:13:20.123Z"}
    assert (found["unit"], found["written"]) == ("m", "BadNotWritable")
    assert 4.5 in [line["changed"] for line in heard if "changed" in line]
    alarms = [line for line in heard if "alarm" in line]
    assert [(line["active"], line["acked"], line["retain"]) for line in alarms] == [
        (True, False, True), (True, True, True),
    ]  # fmt: skip
    assert (alarms[0]["message"], alarms[0]["severity"]) == ("Tank 1 stands at 4.50 m", 800)
    assert alarms[0]["condition"] == "ns=2;s=Assets/tank-1/Alarms/level_high"
    assert found["acknowledged"] == "Good"
    assert strict.ask("acknowledged")[-1] == ["tank-1", "level_high", USER]
    strict.deliver(level_m=1.0)


def test_it_sees_and_acknowledges_what_is_wrong_with_the_gateway_itself(node: str, strict: Hosted) -> None:
    heard: list[dict[str, Any]] = []
    for line in said(node, strict, "SignAndEncrypt"):
        heard.append(line)
        if "listening" in line:
            strict.ask("report", rule="store_near_cap", holds=True)
    alarms = [line for line in heard if "alarm" in line]
    assert [(line["alarm"], line["active"], line["acked"]) for line in alarms] == [
        ("store_near_cap", True, False), ("store_near_cap", True, True),
    ]  # fmt: skip
    assert {line["condition"] for line in alarms} == {"ns=2;s=Gateway/Alarms/store_near_cap"}
    assert {line["type"] for line in alarms} == {18496}  # SystemDiagnosticAlarmType
    assert alarms[0]["message"] == "gw-1: store_near_cap"
    assert strict.ask("acknowledged")[-1] == ["gw-1", "store_near_cap", USER]
    strict.ask("report", rule="store_near_cap", holds=False)


def test_it_is_refused_with_a_wrong_password(node: str, strict: Hosted) -> None:
    (line,) = said(node, strict, "Sign", USER, "wrong password")
    assert "BadUserAccessDenied" in line["refused"]

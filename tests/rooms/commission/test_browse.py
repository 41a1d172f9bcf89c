"""`babbitt browse`: the tree of a real server's address space, bounded, and the profile that is made of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.certificates import load_certificate, thumbprint
from edge.cli import babbitt
from edge.commission import opcua_browse
from edge.commission.browse import TAG_MAX, Entry, profile, tree
from edge.commission.opcua_endpoints import endpoints
from edge.config.profiles import load_profile, parse_profile
from edge.config.profiles.opcua import OpcUaProfile
from edge.errors import ConfigError, LineError
from tests.peers.opcua_listening import Keys
from tests.peers.opcua_peers import URI, Peer
from tests.ports import free_port

MOTOR = f"nsu={URI};s=Motor1"


def browse(*arguments: str) -> Result:
    return CliRunner().invoke(babbitt, ["browse", *arguments])


def found(*arguments: str) -> dict[str, dict[str, Any]]:
    result = browse(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return {entry["id"]: entry for entry in json.loads(result.stdout)["entries"]}


def test_the_tree_has_ids_types_values_and_units(opcua_server: Peer) -> None:
    opcua_server.tell(set="Temp", value=21.5)
    entries = found(opcua_server.url, "--values")
    temp = entries[f"{MOTOR}.Temp"]
    assert temp == {
        "id": f"{MOTOR}.Temp", "parent": MOTOR, "name": "Temp", "kind": "value", "depth": 2, "type": "Double",
        "value": "21.5", "unit": "°C", "writable": True,
    }  # fmt: skip
    assert entries[MOTOR]["kind"] == "object"
    assert entries[f"{MOTOR}.Levels"]["type"] == "Double[]"
    assert entries[f"{MOTOR}.State"]["value"] == "a structure"
    assert entries[f"{MOTOR}.Run"]["type"] == "Boolean"


def test_for_people_it_is_indented_and_says_how_much_there_is(opcua_server: Peer) -> None:
    result = browse(opcua_server.url, "--node", "ns=2;s=Motor1", "--depth", "1")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["NAME", "TYPE", "ID"]
    assert lines[1].startswith("Motor1 ")
    assert lines[2].startswith("  Temp  ")
    assert "[°C]" in lines[2]
    assert "of them values" in result.stderr


def test_a_limit_and_a_depth_are_kept_and_the_rest_is_said_to_be_there(opcua_server: Peer) -> None:
    result = browse(opcua_server.url, "--limit", "3", "--json")
    told = json.loads(result.stdout)
    assert len(told["entries"]) == 3
    assert told["complete"] is False
    assert {entry["depth"] for entry in found(opcua_server.url, "--depth", "1").values()} == {1}


def test_a_profile_is_written_that_loads_and_serves_siblings(opcua_server: Peer, tmp_path: Path) -> None:
    out = tmp_path / "motor.toml"
    result = browse(opcua_server.url, "--node", MOTOR, "--at", "Motor1", "-o", str(out))
    assert result.exit_code == 0, result.output
    assert "2 arrays, structures and others left out" in result.stderr
    made = load_profile(out)
    assert isinstance(made, OpcUaProfile)
    points = {point.tag: point for point in made.point}
    assert points["temp"].node == f"nsu={URI};s={{at}}.Temp"
    assert (points["temp"].unit, points["run"].type, points["name"].type) == ("Cel", "bool", "text")
    again = browse(opcua_server.url, "-o", str(out))
    assert isinstance(again.exception, ConfigError)


def test_endpoints_and_the_servers_certificate(opcua_server: Peer, opcua_keys: Keys, tmp_path: Path) -> None:
    rows = json.loads(browse(opcua_server.url, "--endpoints", "--json").stdout)["endpoints"]
    ways = {(row["security"], row["mode"]) for row in rows}
    assert ("Basic256Sha256", "SignAndEncrypt") in ways
    assert ("None", "None") in ways
    own = load_certificate(opcua_keys.folder / "server/certificate.der")
    assert {row["thumbprint"] for row in rows} == {thumbprint(own)}
    taken = browse(opcua_server.url, "--trust", str(tmp_path / "server.der"))
    assert thumbprint(own) in taken.output
    assert load_certificate(tmp_path / "server.der") == own
    secured = [
        "--security", "Basic256Sha256", "--certificate", str(opcua_keys.folder / "gateway/certificate.der"),
        "--key", str(opcua_keys.folder / "gateway/key.pem"), "--server-certificate", str(tmp_path / "server.der"),
    ]  # fmt: skip
    assert MOTOR in found(opcua_server.url, *secured)
    opcua_server.sessions(now=0)


def test_whoever_scans_gets_endpoints_or_none(opcua_server: Peer) -> None:
    assert len(asyncio.run(endpoints("127.0.0.1", opcua_server.port))) == 4
    assert asyncio.run(endpoints("127.0.0.1", free_port(), 0.5)) == []


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["http://127.0.0.1"], ConfigError, "addresses that begin with opc.tcp://"),
        (["opc.tcp://127.0.0.1:1"], LineError, "connection refused"),
        (["opc.tcp://127.0.0.1:1", "--endpoints"], LineError, "connection refused"),
        (["{}", "--node", "nonsense"], ConfigError, "is no node id"),
        (["{}", "--node", "ns=2;s=Nowhere"], LineError, "there is no node"),
        (["{}", "--security", "Basic256Sha256"], ConfigError, "babbitt gateway certificate"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    opcua_server: Peer, arguments: list[str], kind: type[Exception], words: str
) -> None:
    result = browse(*(argument.format(opcua_server.url) for argument in arguments))
    assert isinstance(result.exception, kind)
    assert words in str(result.exception)
    assert str(result.exception).count(" (") <= 1, "one thing to do"
    assert not result.stdout


NAMES = st.text(min_size=1, max_size=80)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 6)), max_size=20))
def test_whatever_nodes_are_called_tags_are_valid_and_differ(named: list[tuple[str, int]]) -> None:
    entries = [
        Entry(f"ns=2;i={i}", f"ns=2;i={above}" if above < i else "", name, "value", 1, "Double")
        for i, (name, above) in enumerate(named)
    ]
    made = profile(opcua_browse, entries, device="d", source="", at="")
    tags = [point["tag"] for point in made["point"]]
    assert len(set(tags)) == len(entries)
    assert all(len(tag) <= TAG_MAX for tag in tags)
    if tags:
        parse_profile(made, where="made")


def test_values_of_one_name_are_told_apart_by_what_they_stand_under() -> None:
    entries = [
        entry
        for i in (1, 2)
        for entry in (
            Entry(f"ns=2;s=P{i}", "", f"Pump {i}", "object", 1),
            Entry(f"ns=2;s=P{i}.T", f"ns=2;s=P{i}", "BearingTemp", "value", 2, "Float"),
        )
    ]
    made = profile(opcua_browse, entries, device="d", source="", at="")
    assert [point["tag"] for point in made["point"]] == ["bearing_temp", "pump_2_bearing_temp"]


def test_a_tree_lists_each_entry_once_under_its_parent() -> None:
    level_by_level = [
        Entry("a", "", "a", "object", 1),
        Entry("b", "", "b", "object", 1),
        Entry("a1", "a", "a1", "value", 2),
    ]
    assert [entry.id for entry in tree(level_by_level)] == ["a", "a1", "b"]

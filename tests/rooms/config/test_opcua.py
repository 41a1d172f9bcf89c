"""OPC UA in the site file and in profiles: what is accepted, and what each mistake says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.config.lines import OpcUa
from edge.config.profiles import parse_profile, problems_of
from edge.config.site import load_site
from edge.errors import ConfigError


def problems(**point: Any) -> list[str]:
    data = {
        "device": {"id": "d", "products": [], "source": "", "protocol": "opcua"},
        "point": [{"tag": "t", "node": "ns=2;s=T", **point}],
    }
    return [problem for problem, _ in problems_of(parse_profile(data, where="p.toml"))]


@pytest.mark.parametrize(
    "node",
    ["i=2258", "ns=3;i=1001", "ns=2;s={at}.Temp", 'nsu=http://vendor.com/plc;s="DB1"."a b"',
     "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a", "ns=1;b=M/RbKBsRVkePCePcx24oRA=="],
)  # fmt: skip
def test_node_ids_of_every_kind(node: str) -> None:
    assert not problems(node=node)


@pytest.mark.parametrize("node", ["Temp", "ns=2", "ns=x;s=T", "ns=2;s=", "ns=2;q=1", "nsu=;s=T", "ns=2;g=12"])
def test_what_is_no_node_id(node: str) -> None:
    assert [p for p in problems(node=node) if "is no node id" in p]


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"field": "Motor..Temp"}, "field 'Motor..Temp'"),
        ({"type": "text", "scale": 2.0}, "scale or offset for what is no number"),
        ({"type": "bool", "values": {"1": "yes"}}, "values.1 is 'yes'"),
        ({"scale": 0.0}, "scale is 0"),
    ],
)
def test_what_else_cannot_be(point: dict[str, Any], words: str) -> None:
    assert [p for p in problems(**point) if words in p]


@pytest.mark.parametrize(
    "point", [{"element": -1}, {"queue": 0}, {"sampling_ms": -5.0}, {"type": "float"}, {"nod": "x"}]
)
def test_wrong_keys_and_values_are_refused(point: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="point"):
        problems(**point)


SITE = """
profiles = "profiles"
[gateway]
id = "g"
[[line]]
kind = "opcua"
name = "plc"
url = "opc.tcp://plc-1:4840"
certificate = "pki/certificate.der"
{line}
[[asset]]
id = "a"
unit = [{{ line = "plc", {unit} profile = "motor" }}]
"""
PROFILE = """
[device]
id = "motor"
products = []
source = ""
protocol = "opcua"
[[point]]
tag = "temp"
node = "ns=2;s=Motor.Temp"
"""


def site(folder: Path, *, line: str = "", unit: str = "", node: str = "ns=2;s=Motor.Temp") -> OpcUa:
    (folder / "profiles/devices").mkdir(parents=True, exist_ok=True)
    (folder / "profiles/devices/motor.toml").write_text(PROFILE.replace("ns=2;s=Motor.Temp", node))
    (folder / "site.toml").write_text(SITE.format(line=line, unit=unit))
    found = load_site(folder / "site.toml").line("plc")
    assert isinstance(found, OpcUa)
    return found


def test_security_is_the_default_paths_are_the_sites_and_a_place_may_be_named(tmp_path: Path) -> None:
    found = site(tmp_path, unit='at = "Motor1",')
    assert (found.security, found.mode) == ("Basic256Sha256", "SignAndEncrypt")
    assert found.certificate == str(tmp_path / "pki/certificate.der")
    assert site(tmp_path).name == "plc"


def test_a_node_id_with_a_place_in_it_wants_one_of_the_unit(tmp_path: Path) -> None:
    assert site(tmp_path, unit='at = "Motor1",', node="ns=2;s={at}.Temp")
    with pytest.raises(ConfigError, match=r"unit\[0\].at.*say where the device is"):
        site(tmp_path, node="ns=2;s={at}.Temp")


@pytest.mark.parametrize("line", ['security = "Basic256"', "publishing_ms = 0", 'mode = "None"', "session_s = 1"])
def test_a_wrong_line_names_the_key(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match=line.split(" ", maxsplit=1)[0]):
        site(tmp_path, line=line)


@pytest.mark.parametrize("url", ["plc-1:4840", "opc.tcp://user:secret@plc-1", "https://plc-1"])
def test_an_address_has_a_scheme_and_no_secrets(tmp_path: Path, url: str) -> None:
    text = SITE.replace("opc.tcp://plc-1:4840", url)
    (tmp_path / "site.toml").write_text(text.format(line="", unit=""))
    with pytest.raises(ConfigError, match="url"):
        load_site(tmp_path / "site.toml")


def test_asyncua_is_not_loaded_where_no_line_speaks_it() -> None:
    program = (
        "import sys, edge.runtime, edge.cli.gateway, edge.config.site, edge.drivers;"
        "sys.exit(bool({'asyncua', 'cryptography'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0

"""The site file: whole files load; each wrong one gives one error: file, key, what was found, what is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.config.lines import ModbusRtu, Mqtt
from edge.config.reference import reference
from edge.config.site import load_site, profiles_root
from edge.errors import ConfigError

DEMO = profiles_root() / "sites/demo.toml"


def altered(folder: Path, old: str, new: str) -> Path:
    text = DEMO.read_text(encoding="utf-8")
    assert old in text, "the test's own premise"
    path = folder / "site.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_the_demonstration_site_loads() -> None:
    site = load_site(DEMO)
    assert [asset.id for asset in site.file.asset] == ["spindle-1", "pump-1", "extruder-1"]
    assert set(site.profiles) == {"plant-spindle", "plant-pump", "plant-extruder"}


def test_a_serial_device_is_found_from_the_site_file(tmp_path: Path) -> None:
    line = load_site(altered(tmp_path, "speed = 20000.0", "speed = 1.0")).line("extrusion")
    assert isinstance(line, ModbusRtu)
    assert line.device == str(tmp_path / "extrusion.tty")


def test_a_profile_that_is_not_found_says_where_one_of_your_own_would_be(tmp_path: Path) -> None:
    path = altered(tmp_path, 'profile = "plant-pump"', 'profile = "meter"')
    with pytest.raises(ConfigError, match=r'FOLDER/devices/meter.toml, with `profiles = "FOLDER"` as first line'):
        load_site(path)
    path.write_text(f'profiles = "own"\n{path.read_text(encoding="utf-8")}', encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "own/devices/meter.toml"))):
        load_site(path)
    (tmp_path / "own/devices").mkdir(parents=True)
    shipped = (profiles_root() / "devices/plant-pump.toml").read_text(encoding="utf-8")
    (tmp_path / "own/devices/meter.toml").write_text(shipped.replace("plant-pump", "meter"), encoding="utf-8")
    assert "meter" in load_site(path).profiles


def rate(*patterns: str) -> str:
    return "rate = [" + ", ".join(f'{{ tags = ["{p}"], period_ms = 50 }}' for p in patterns) + "]"


def report(rest: str) -> str:
    return f'report = [{{ tags = ["vib*"], {rest} }}]'


@pytest.mark.parametrize(
    ("old", "new", "key", "found", "accepted"),
    [
        ("port = 5020", "prot = 5020", "line[0]", "prot", "host, port, timeout_ms"),
        ("baud = 115200", "bauds = 1", "line[1]", "bauds", "device, baud, parity"),
        ("port = 5020", 'port = "5020"', "line[0].port", "'5020'", "int"),
        ("port = 5020", "port = 70000", "line[0].port", "70000", "65535"),
        ("baud = 115200", "baud = 12", "line[1].baud", "12", "300"),
        ('kind = "modbus-tcp"', 'kind = "modbus-udp"', "line[0].kind", "modbus-udp", "modbus-tcp, modbus-rtu"),
        ('parity = "N"', 'parity = "X"', "line[1].parity", "X", "E, N, O"),
        ('model = "pump"', 'model = "pmp"', "plant.machine[1].model", "pmp", "extruder, pump, recording, spindle"),
        ('kind = "png"', 'kind = "pi"\nblue_gpio = 27', "panel.blue_gpio", "pin 27", "`amber_gpio`"),
        ('kind = "png"', 'kind = "pi"\npage_gpio = 3', "panel.page_gpio", "pin 3", "the display's I2C bus"),
        ('display = "20x4"', 'display = "20x3"', "panel.display", "20x3", "16x2, 20x4"),
        ("[panel]", "[alarms]\nflood_below = 12\n[panel]", "alarms", "`flood_below` is 12", "`flood_above`, 10"),
        ("[panel]", "[alarms]\nshelve_h_max = 0\n[panel]", "alarms.shelve_h_max", "0", "> 0"),
        ('id = "demo-gateway"', 'id = "a b"', "gateway.id", "a b", ""),
        ('line = "hall", unit = 1', 'line = "hull", unit = 1', "asset[0].unit[0].line", "hull", "hall, extrusion"),
        ('profile = "plant-pump"', 'profile = "plant-pmp"', "asset[1].unit[0].profile", "plant-pmp", "plant-pump"),
        ('class = "cnc_spindle"', 'class = "spindle"', "asset[0].class", "spindle", "cnc_spindle"),
        ('id = "pump-1"', 'id = "spindle-1"', "asset", "spindle-1", "name of its own"),
        ('asset = "pump-1", model', 'asset = "pump-9", model', "plant.machine[1].asset", "pump-9", "pump-1"),
        ('url = "http://127.0.0.1:8555"', 'url = "127.0.0.1:8555"', "uplink.url", "127.0.0.1:8555", ""),
        ("period_ms = 100", "period_ms = 1", "asset[0].unit[0].period_ms", "1", "10"),
        ("period_ms = 100", 'rate = [{ tags = ["vib_*"] }]', "asset[0].unit[0].rate[0]", "period_ms", ""),
        ("period_ms = 100", rate("nix_*"), "asset[0].unit[0].rate[0].tags", "'nix_*'", "its tags: vibration_mm_s"),
        ("period_ms = 100", rate("*", "vib*"), "asset[0].unit[0].rate[1].tags", "'vibration_mm_s'", "rate[0]"),
        ("period_ms = 100", report("deadband = -1"), "asset[0].unit[0].report[0].deadband", "-1", "0"),
        (
            'class = "cnc_spindle"',
            'class = "cnc_spindle"\nredundant = [{ tags = ["power_kw", "powr_kw"] }]',
            "asset[0].redundant[0].tags",
            "'powr_kw'",
            "power_kw",
        ),
        (
            'class = "cnc_spindle"',
            'class = "cnc_spindle"\nredundant = [{ tags = ["power_kw", "power_kw"] }]',
            "asset[0].redundant[0].tags",
            "stands twice",
            "once",
        ),
        (
            'class = "cnc_spindle"',
            'class = "cnc_spindle"\nbalance = [{ id = "heat", terms = { "power_kw * rise_k" = 1.0 } }]',
            "asset[0].balance[0].terms",
            "'rise_k'",
            "power_kw",
        ),
        ("period_ms = 100", report("heartbeat_s = 5"), "asset[0].unit[0].report[0]", "neither", "give one"),
        (
            "period_ms = 100",
            report("deadband = 1, deadband_percent = 1"),
            "asset[0].unit[0].report[0]",
            "both",
            "give one",
        ),
    ],
)
def test_a_wrong_file_names_file_key_found_and_accepted(
    tmp_path: Path, old: str, new: str, key: str, found: str, accepted: str
) -> None:
    path = altered(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    text = str(caught.value)
    assert str(path) in text
    assert f"`{key}" in text
    assert found in text
    assert accepted in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[gateway\n", "not TOML"), (b"\xff\xfe", "cannot be read"), (b"", "gateway"), (b"#" * 5_000_000, "larger")],
)
def test_what_is_no_site_file_is_said_so(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load_site(path)


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "none.toml")) + ": no such file"):
        load_site(tmp_path / "none.toml")


def test_the_reference_page_is_made_from_the_structs() -> None:
    page = profiles_root().parent / "edge/config/README.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "run: python -m edge.config.reference > edge/config/README.md"
    )


def test_every_key_has_its_meaning() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert not [row for row in rows if row.rstrip("| ").endswith(("default", "|"))]
    assert all(len(row.split("|")[4].strip()) > 3 for row in rows)


MQTT_SITE = """
profiles = "own"
[gateway]
id = "g"
[[line]]
kind = "mqtt"
name = "hall"
broker = { host = "10.0.0.5", client_id = "g-hall", tls = true, ca = "ca.pem", username = "g", password_file = "pw" }
[[line]]
kind = "mqtt"
name = "yard"
broker = { host = "10.0.0.6", client_id = "g-yard" }
[[asset]]
id = "a"
unit = [{ line = "hall", at = "plant/a", profile = "sensor" }]
"""
MQTT_PROFILE = """
[device]
id = "sensor"
products = ["any"]
source = "this test"
protocol = "mqtt"
[[point]]
tag = "t"
topic = "{at}/t"
pointer = "/v"
"""


def mqtt_site(folder: Path, old: str = "", new: str = "") -> Path:
    (folder / "own/devices").mkdir(parents=True)
    assert not old or old in MQTT_SITE + MQTT_PROFILE, "the test's own premise"
    (folder / "own/devices/sensor.toml").write_text(MQTT_PROFILE.replace(old, new, 1), encoding="utf-8")
    path = folder / "site.toml"
    path.write_text(MQTT_SITE.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_site_with_brokers_loads_and_names_its_files_by_whole_paths(tmp_path: Path) -> None:
    line = load_site(mqtt_site(tmp_path)).line("hall")
    assert isinstance(line, Mqtt)
    assert (line.broker.ca, line.broker.password_file) == (str(tmp_path / "ca.pem"), str(tmp_path / "pw"))
    assert not line.broker.key


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('host = "10.0.0.6", client_id = "g-yard"', 'host = "10.0.0.5", client_id = "g-hall"', "also that of `line[0]"),
        ("tls = true", "tls = false", "line[0].broker.ca"),
        ('username = "g", ', "", "line[0].broker.password_file"),
        ('client_id = "g-yard"', 'client_id = "g-yard", key = "k", tls = true', "certificate and key"),
        ('client_id = "g-yard"', 'client_id = "g yard"', "line[1].broker.client_id"),
        (', client_id = "g-yard"', "", "client_id"),
        ('at = "plant/a", ', "", "say where the device is"),
        ('at = "plant/a"', 'at = "plant/+"', "wildcards are the profile's"),
        ('topic = "{at}/t"', 'topic = "{at}/t#"', "# beside other letters"),
        ('topic = "{at}/t"', 'topic = "#/t"', "not last"),
        ('topic = "{at}/t"', 'topic = "{at}/x+/t"', "+ beside other letters"),
        ('pointer = "/v"', 'pointer = "v"', "not a JSON pointer: 'v'"),
        ('pointer = "/v"', 'pointer = "/v"\npayload = "raw"', "only JSON has pointers"),
        ('pointer = "/v"', 'payload = "level"', "has no +"),
        ('pointer = "/v"', 'type = "text"\nscale = 2.0', "for what is no number"),
        ('pointer = "/v"', 'type = "bool"\nvalues = { on = 1 }', "values.on is 1"),
        ('protocol = "mqtt"', 'protocol = "mqqt"', "accepted here: modbus"),
    ],
)
def test_a_wrong_mqtt_line_or_profile_says_so(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(mqtt_site(tmp_path, old, new))
    assert words in str(caught.value)


def test_topics_that_are_whole_need_no_place(tmp_path: Path) -> None:
    path = mqtt_site(tmp_path, 'topic = "{at}/t"', 'topic = "hall/press/t"')
    path.write_text(path.read_text(encoding="utf-8").replace('at = "plant/a", ', ""), encoding="utf-8")
    assert load_site(path).file.asset[0].unit[0].at == ""


def test_by_whatever_link_a_site_is_named_its_lines_are_the_same(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "site.toml").write_text(
        """
        [gateway]
        id = "g"
        [[line]]
        kind = "modbus-rtu"
        name = "bus"
        device = "bus.tty"
        [[asset]]
        id = "pump-1"
        unit = [{ line = "bus", profile = "plant-pump" }]
        """
    )
    (tmp_path / "link").symlink_to(real)
    (real / "bus.tty").symlink_to("/dev/null")
    by_link, by_name = load_site(tmp_path / "link/site.toml"), load_site(real / "site.toml")
    assert by_link.file.line == by_name.file.line
    assert by_name.file.line[0].device == str(real / "bus.tty"), "the link of a serial device itself is kept"  # type: ignore[union-attr]

"""`babbitt gateway check` as a person runs it, against foreign peers and beside a running gateway."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.config.profiles import load_profile
from edge.config.profiles.mqtt import MqttProfile
from edge.config.site import profiles_root
from tests.peers import modbus_peers as peers
from tests.peers.image import Image
from tests.peers.mosquitto import mosquitto
from tests.rooms.commission.site_maker import point, rtu, tcp, write_profile, write_site


def babbitt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running_gateway(site: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge.cli", "gateway", "run", str(site), "--log-level", "warning"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "is running" in line:
                    break
            yield process
        finally:
            process.terminate()


def image() -> Image:
    held = Image()
    held.put(3, 0, (2304).to_bytes(2, "big") + (41).to_bytes(2, "big"))
    return held


POINTS = [point("voltage", 0, scale=0.1, unit="V", decimals=1), point("b", 1)]


def test_table_json_report_and_exit_codes(tmp_path: Path) -> None:
    write_profile(tmp_path, "meter", POINTS)
    report = tmp_path / "out/acceptance.html"

    async def scene() -> tuple[Path, list[subprocess.CompletedProcess[str]]]:
        async with peers.pymodbus_tcp(image()) as port:
            unit = {"line": "hall", "unit": peers.UNIT, "profile": "meter", "period_ms": 10}
            site = write_site(tmp_path, [tcp("hall", port)], {"m": unit})
            return site, await asyncio.to_thread(asked, site)

    def asked(site: Path) -> list[subprocess.CompletedProcess[str]]:
        with running_gateway(site):  # a TCP line lets both ask
            beside = babbitt("gateway", "check", str(site))
        return [beside, babbitt("gateway", "check", str(site), "--json", "--report", str(report))]

    site, (beside, reported) = asyncio.run(scene())
    assert beside.returncode == 0, beside.stderr
    assert "voltage" in beside.stdout
    assert "230.4" in beside.stdout
    assert beside.stdout.endswith("2 tags: 2 ok, 0 suspicious, 0 bad\n")
    assert f"line hall: m/{peers.UNIT}: 2 tags, all ok" in beside.stderr
    found = json.loads(reported.stdout)
    assert found["accepted"]
    assert found["counts"] == {"ok": 2, "suspicious": 0, "bad": 0}
    unit = found["lines"][0]["units"][0]
    assert unit["reads"] == len(unit["response_ms"]) == 5
    assert {tag["tag"]: tag["value"] for tag in unit["tags"]} == {"voltage": 230.4, "b": 41}
    assert {tag["quality"] for tag in unit["tags"]} == {"good"}
    assert "230.4" in report.read_text(encoding="utf-8")
    assert json.loads(report.with_suffix(".json").read_text(encoding="utf-8")) == found
    gone = babbitt("gateway", "check", str(site), "--trouble")
    assert gone.returncode == 1
    assert gone.stdout.count("bad: bus: no connection") == 2
    assert "Traceback" not in gone.stderr


def test_a_serial_line_that_a_gateway_holds_is_said_with_its_program(libmodbus_program: Path, tmp_path: Path) -> None:
    write_profile(tmp_path, "meter", POINTS)
    with (
        peers.wire(115_200) as ends,
        peers.libmodbus(libmodbus_program, image(), "rtu", ends.slave, "115200", "1"),
    ):
        site = write_site(tmp_path, [rtu("bus", ends.master)], {"m": {"line": "bus", "unit": 1, "profile": "meter"}})
        with running_gateway(site) as gateway:
            done = babbitt("gateway", "check", str(site), "--json")
            assert done.returncode == 1
            trouble = json.loads(done.stdout)["lines"][0]["trouble"]
            assert trouble.startswith(f"{ends.master}: another program uses it, process {gateway.pid} (")
            assert f"(babbitt gateway run {site}"[:60] in trouble
        done = babbitt("gateway", "check", str(site), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["counts"]["ok"] == 2


def test_a_broker_s_devices_are_heard_beside_the_gateway_whose_session_lives_on(tmp_path: Path) -> None:
    profile = load_profile(profiles_root() / "devices/shelly-plus-1pm.toml")
    assert isinstance(profile, MqttProfile)
    sample = profile.sample[0]
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        line = {"kind": "mqtt", "name": "hall", "broker": {"port": broker.port, "client_id": "gateway"}}
        unit = {"line": "hall", "at": sample.at, "profile": profile.device.id}
        site = write_site(tmp_path, [line], {"m": unit, "n": unit | {"at": "shelly-away"}})
        broker.publish(sample.topic, sample.payload, retain=True)
        with running_gateway(site):
            for seconds in (2, 20):  # Longer where the broker had no time to tell.
                done = babbitt("gateway", "check", str(site), "--json", "--listen", str(seconds))
                heard, away = json.loads(done.stdout)["lines"][0]["units"]
                if all(tag["quality"] != "bad_bus" for tag in heard["tags"]):
                    break
        log = (broker.folder / "log").read_text(encoding="utf-8")
    assert done.returncode == 1, done.stderr
    assert {tag["tag"]: tag["value"] for tag in heard["tags"]} == pytest.approx(sample.values)
    assert {tag["words"] for tag in away["tags"]} == {
        f"bus: nothing came within {seconds} s; make the device speak, or listen longer"
    }
    assert "gateway-check" in log
    assert "closing old connection" not in log

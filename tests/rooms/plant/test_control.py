"""The plant as a process: what it prints, how it is asked, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.cli.plant import FAULT_NAMES, plant
from edge.config.profiles import load_profile
from edge.config.site import Site
from edge.errors import BabbittError, ConfigError
from edge.local_socket import ask
from edge.plant.column_map import load_map
from edge.plant.plant import FAULTS, Plant, run, socket_path, speed_words
from tests.waiting import DEADLINE_S

Runner = Callable[[Site], AbstractAsyncContextManager[Plant]]
SiteMaker = Callable[..., Site]


@contextmanager
def process(site: Site) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge.cli", "plant", "run", str(site.path)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def lines_until(running: subprocess.Popen[str], word: str) -> list[str]:
    """What it prints, up to the line that has ``word``."""
    assert running.stdout is not None
    text = ""
    deadline = time.monotonic() + DEADLINE_S
    while word not in text or not text.endswith("\n"):
        ready, _, _ = select.select([running.stdout], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"only {text!r} within {DEADLINE_S} s"
        # Past Python's own buffer, which select cannot see.
        data = os.read(running.stdout.fileno(), 4096)
        assert data, f"ended after {text!r}: {running.communicate()[1]}"
        text += data.decode()
    return text.splitlines()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(plant, arguments, catch_exceptions=True)


class TestProcess:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_says_where_it_listens_and_how_fast_and_ends_cleanly(
        self, make_site: SiteMaker, number: signal.Signals
    ) -> None:
        site = make_site(speed=25_000.0)
        with process(site) as running:
            lines = lines_until(running, "speed")
            assert lines[0].startswith("Modbus TCP on 127.0.0.1:")
            assert lines[1].startswith(f"Modbus RTU on {site.resolve('bus.tty')} (/dev/pts/")
            assert lines[2] == "speed 25000: 1 s here = 6.94 h on the hour meters"
            assert socket_path(site).exists()
            running.send_signal(number)
            _, errors = running.communicate(timeout=DEADLINE_S)
        assert running.returncode == 0
        assert errors == ""
        assert not socket_path(site).exists()
        assert not site.resolve("bus.tty").is_symlink()

    def test_faults_speed_and_status_by_the_command_line(self, make_site: SiteMaker) -> None:
        site = make_site(speed=10.0)
        config = str(site.path)
        with process(site) as running:
            lines_until(running, "speed")
            assert "wear life_h=300.0" in call("fault", config, "spindle-1", "wear", "--life-h", "300").output
            drift = call("fault", config, "pump-1", "sensor_drift", "--tag", "bearing_temperature_c", "--rate", "0.2")
            assert drift.output == "pump-1: sensor_drift bearing_temperature_c 0.2/h\n"
            assert call("speed", config, "36000").output == "1 s here = 10 h on the hour meters\n"
            deadline = time.monotonic() + DEADLINE_S
            while (status := json.loads(call("status", config, "--json").output))["machines"][0]["wear"] < 0.005:
                assert time.monotonic() < deadline
            spindle = status["machines"][0]
            assert spindle["model"] == "spindle"
            assert 0.0 < spindle["rul_h"] < 300.0
            assert spindle["hour_meter_h"] > 1.0
            table = call("status", config).output
            assert "spindle-1" in table
            assert "sensor_drift bearing_temperature_c 0.2/h" in table
            assert call("fault", config, "pump-1", "repair").output == "pump-1: no fault\n"

    def test_a_second_plant_of_the_same_site_is_refused(self, make_site: SiteMaker) -> None:
        site = make_site()
        with process(site) as running:
            lines_until(running, "speed")
            assert running.poll() is None, running.communicate()[1]
            second = subprocess.run(
                [sys.executable, "-m", "edge.cli", "plant", "run", str(site.path)],
                capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            )  # fmt: skip
        assert second.returncode == 1
        assert "another process answers here" in second.stderr
        assert second.stderr.count("\n") == 1


class TestCommands:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"asset": "no-1", "kind": "wear"}, "no machine 'no-1'.*spindle-1"),
            ({"asset": "pump-1", "kind": "rust"}, "no fault 'rust'.*unbalance"),
            ({"asset": "pump-1", "kind": "stuck_sensor"}, "stuck_sensor wants `tag`"),
            ({"asset": "pump-1", "kind": "wear", "ms": 5.0}, "wear does not take `ms` .it takes: life_h"),
            ({"asset": "pump-1", "kind": "stuck_sensor", "tag": "torque_nm"}, "no sensor measures 'torque_nm'"),
            ({"asset": "pump-1", "kind": "noisy_line", "probability": 2.0}, "`probability` is 2 .from 0 to 1"),
            ({"asset": "pump-1", "kind": "wear", "life_h": -1.0}, "`life_h` is -1"),
            ({"asset": "pump-1", "kind": "wear", "life_h": "long"}, "bad request"),
            ({"asset": "pump-1", "kind": "late_replies", "ms": 1e9}, "`ms` is 1e"),
        ],
    )
    def test_a_wrong_fault_is_refused_in_words(
        self, make_site: SiteMaker, run_site: Runner, arguments: dict[str, Any], message: str
    ) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site) as running:
                with pytest.raises(BabbittError, match=message):
                    await asyncio.to_thread(ask, socket_path(site), "fault", **arguments)
                assert all(machine["faults"] == [] for machine in running.status()["machines"])

        asyncio.run(story())

    def test_machine_time_passes_by_the_speed(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site(speed=7200.0)
            async with run_site(site) as running:

                def meter() -> float:
                    return float(running.status()["machines"][0]["hour_meter_h"])

                async def turned(from_h: float) -> tuple[float, float, float]:
                    """What the meter shows once it has moved past ``from_h``, and between which times it did."""
                    start = before_s = time.monotonic()
                    while meter() <= from_h:
                        before_s = time.monotonic()
                        assert before_s < start + DEADLINE_S
                        await asyncio.sleep(0)
                    return meter(), before_s, time.monotonic()

                first_h, first_from_s, first_to_s = await turned(meter())
                last_h, last_from_s, last_to_s = await turned(first_h + 1.0)
                took_s = (last_h - first_h) * 3600 / 7200
                assert last_from_s - first_to_s - 1e-6 < took_s < last_to_s - first_from_s + 1e-6

        asyncio.run(story())

    @pytest.mark.parametrize("factor", [0.0, -1.0, 1e9])
    def test_a_speed_out_of_range_is_refused(self, make_site: SiteMaker, factor: float) -> None:
        site = make_site(speed=5.0)
        made = Plant(site)
        with pytest.raises(BabbittError, match="out of range"):
            made.set_speed(factor)
        assert made.speed == 5.0

    def test_run_serves_until_it_is_cancelled(self, make_site: SiteMaker) -> None:
        async def story() -> None:
            site, ready = make_site(), asyncio.Event()
            task = asyncio.ensure_future(run(site, ready=ready.set))
            await asyncio.wait_for(ready.wait(), DEADLINE_S)
            status = await asyncio.to_thread(ask, socket_path(site), "status")
            assert status["served"] == {"spindle-1": {}, "pump-1": {}, "extruder-1": {}}
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(story())

    def test_speed_is_said_honestly(self) -> None:
        assert speed_words(1.0) == "1 s here = 1 s on the hour meters"
        assert speed_words(90.0) == "1 s here = 1.5 min on the hour meters"
        assert speed_words(25_000.0) == "1 s here = 6.94 h on the hour meters"

    def test_the_command_line_offers_every_fault(self) -> None:
        assert set(FAULT_NAMES) == set(FAULTS)


class TestProfileCommand:
    def test_it_writes_profile_and_map(self, tmp_path: Path) -> None:
        recording = tmp_path / "pump.csv"
        recording.write_text("time_s,Flow (m3/h)\n0,1.5\n1,2.5\n")
        out, map_out = tmp_path / "devices/pump.toml", tmp_path / "pump.map.toml"
        made = call(
            "profile", str(recording), "-o", str(out), "--map-out", str(map_out), "--advance", "on_read",
        )  # fmt: skip
        assert made.exit_code == 0, made.output
        assert f"{out}: 2 columns, 2 rows" in made.output
        assert [p.tag for p in load_profile(out).point] == ["row_number", "time_s", "flow_m3_h"]
        assert load_map(map_out).advance == "on_read"
        again = call("profile", str(recording), "--map", str(map_out), "-o", str(tmp_path / "again.toml"))
        assert again.exit_code == 0
        assert load_profile(tmp_path / "again.toml").point == load_profile(out).point

    def test_a_recording_that_is_none_writes_nothing(self, tmp_path: Path) -> None:
        out = tmp_path / "out.toml"
        failed = call("profile", str(tmp_path / "no.csv"), "-o", str(out))
        assert isinstance(failed.exception, ConfigError)
        assert not out.exists()

    def test_a_place_that_cannot_be_written_is_said(self, tmp_path: Path) -> None:
        recording = tmp_path / "a.csv"
        recording.write_text("a\n1\n")
        failed = call("profile", str(recording), "-o", "/proc/no/such.toml")
        assert isinstance(failed.exception, ConfigError)
        assert "cannot be written" in str(failed.exception)


@pytest.mark.parametrize("command", sorted(plant.commands))
def test_every_command_teaches(command: str) -> None:
    text = call(command, "--help").output
    assert len(text.splitlines()) > 5
    assert "--help" in text

"""The panel as a process of its own: what it shows while gateways come, stop, hang, die and come back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.demo.processes import Child
from edge.errors import BabbittError
from edge.local_socket import ask
from tests.waiting import until
from tests.world.hall import CALM, HOT, Hall, describe, machine
from tests.world.lamps import Lamps


class Floor:
    """A hall with one machine, a gateway beside it, and its panel's lamps."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, **tables: Any) -> None:
        self.folder, self._stack = folder, stack
        self.hall = Hall()
        stack.callback(self.hall.close)
        self.site = describe(folder, [self.hall.port], units=1, period_ms=50, **tables)
        self.lamps = Lamps(folder / "lamps.jsonl")
        stack.callback(self.end_panel)

    def gateway(self, *options: str) -> Child:
        child = Child("gateway", ["gateway", "run", str(self.site), *options], self.folder / "gateway.log")
        self._stack.callback(self._end, child)
        return child

    def panel(self) -> Child:
        child = Child("panel", ["gateway", "panel", str(self.site)], self.folder / "panel.log")
        self._stack.callback(self._end, child)
        return child

    def status(self) -> dict[str, Any]:
        try:
            return ask(self.folder / "gateway/gateway.sock", "status")
        except BabbittError:
            return {}

    def panel_pid(self) -> int:
        return int(until(lambda: self.status().get("panel", {}).get("pid"), what=self.logs))

    def shows(self, **lamps: str) -> None:
        def shown() -> bool:
            return {name: self.lamps.now[name] for name in lamps} == lamps

        until(shown, what=lambda: f"{self.lamps.now}, not {lamps}; {self.logs()}")

    def says(self, words: str) -> None:
        until(lambda: words in " ".join(self.lamps.now["lines"]), what=lambda: f"{self.lamps.now}; {self.logs()}")

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))

    def end_panel(self) -> None:
        for pid in {view["pid"] for view in self.lamps.look()}:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _end(child: Child) -> None:
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGCONT)
        child.end()


class Terminal:
    """A panel in a terminal of its own, whose keys are pressed from here."""

    def __init__(self, site: Path) -> None:
        self._master, slave = os.openpty()
        command = ["setsid", "--ctty", sys.executable, "-m", "edge.panel", str(site)]
        self._panel = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._seen = ""

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def text(self) -> str:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65_536):
                self._seen += data.decode(errors="replace")
        return self._seen

    def shows(self, words: str) -> bool:
        return words in self.text()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._panel.terminate()
        self._panel.wait(60)
        os.close(self._master)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Floor]:
    monkeypatch.setenv("BABBITT_PANEL_TRACE", str(tmp_path / "lamps.jsonl"))
    with contextlib.ExitStack() as stack:
        yield Floor(tmp_path, stack)


def test_a_gateway_starts_its_panel_and_ends_it(floor: Floor) -> None:
    gateway = floor.gateway()
    floor.shows(green="on", amber="off", red="off")
    pid = floor.panel_pid()
    floor.hall.set(1, HOT)
    floor.shows(green="off", red="fast")
    assert gateway.end() == 0
    assert "STOPPED" in floor.lamps.now["lines"][0]
    assert (floor.lamps.now["green"], is_running(pid)) == ("off", False)
    assert not (floor.folder / "gateway/panel.sock").exists()


def test_a_gateway_that_is_killed_leaves_no_green_and_the_next_takes_up_again(floor: Floor) -> None:
    gateway = floor.gateway()
    floor.shows(green="on")
    pid = floor.panel_pid()
    gateway.process.kill()
    floor.says("GATEWAY SILENT")
    assert floor.lamps.now["green"] == "off"
    gateway.process.wait()
    floor.gateway()
    floor.shows(green="on")
    assert floor.panel_pid() == pid


def test_a_gateway_that_stands_still_leaves_no_green(floor: Floor) -> None:
    gateway = floor.gateway()
    floor.shows(green="on")
    gateway.process.send_signal(signal.SIGSTOP)
    floor.says("GATEWAY SILENT")
    assert floor.lamps.now["green"] == "off"
    gateway.process.send_signal(signal.SIGCONT)
    floor.shows(green="on")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_panel_that_dies_or_hangs_is_started_again_and_holds_nobody_up(floor: Floor, number: signal.Signals) -> None:
    floor.gateway()
    floor.shows(green="on")
    pid = floor.panel_pid()
    os.kill(pid, number)
    floor.hall.set(1, HOT)
    reads = floor.hall.reads
    until(lambda: floor.hall.reads > reads + 20)
    until(lambda: [alarm["rule"] for alarm in floor.status()["alarms"]] == ["hot"], what=floor.status)
    floor.shows(red="fast")
    assert floor.panel_pid() != pid
    floor.hall.set(1, CALM)
    ask(floor.folder / "gateway/gateway.sock", "acknowledge", asset=machine(0, 1), rule="hot")
    floor.shows(green="on", red="off")


def test_a_gateway_that_finds_a_panel_that_hangs_starts_another(floor: Floor) -> None:
    gateway = floor.gateway()
    floor.shows(green="on")
    pid = floor.panel_pid()
    os.kill(pid, signal.SIGSTOP)
    gateway.process.kill()
    gateway.process.wait()
    floor.gateway()
    until(lambda: floor.lamps.now["pid"] != pid and floor.lamps.now["green"] == "on", what=floor.logs)
    until(lambda: not is_running(pid), what=floor.logs)


def test_a_panel_apart_outlives_the_gateway_and_is_found_again(floor: Floor) -> None:
    panel = floor.panel()
    floor.says("GATEWAY SILENT")
    for _ in range(2):
        gateway = floor.gateway("--panel-apart")
        floor.shows(green="on")
        assert floor.panel_pid() == panel.process.pid
        gateway.end()
        floor.says("STOPPED")
    floor.gateway("--panel-apart")
    floor.shows(green="on")
    assert panel.end() == 0
    assert floor.lamps.now["green"] == "off"
    panel.start()
    floor.shows(green="on")


def test_a_latched_alarm_is_acknowledged_and_reset_by_keys_of_the_panel(tmp_path: Path) -> None:
    """The whole way: a key of a real terminal, the panel's process, its socket, the gateway's desk, and back."""
    with contextlib.ExitStack() as stack:
        floor = Floor(tmp_path, stack, panel={"kind": "terminal", "display": "20x4"})
        hall_machine = tmp_path / "profiles/assets/hall_machine.toml"
        hall_machine.write_text(hall_machine.read_text().replace('id = "hot"', 'id = "hot"\nlatch = true'))
        panel = stack.enter_context(Terminal(floor.site))
        floor.gateway("--panel-apart")

        def hot() -> Any:
            return next((a for a in floor.status().get("alarms", ()) if a["rule"] == "hot"), {"state": "normal"})

        def press_until(key: str, state: str) -> None:
            """As a person does: once more where the page had changed under the finger, so that it counted for none."""
            pressed_s = 0.0

            def is_so() -> bool:
                nonlocal pressed_s
                if hot()["state"] == state:
                    return True
                if time.monotonic() > pressed_s + 2.0:
                    pressed_s = time.monotonic()
                    panel.press(key)
                return False

            until(is_so, what=floor.logs)

        until(lambda: floor.status().get("panel", {}).get("pid"), what=floor.logs)
        floor.hall.set(1, HOT)
        until(lambda: hot()["state"] == "unacknowledged", what=floor.logs)
        floor.hall.set(1, CALM)
        until(lambda: hot().get("latched"), what=floor.logs)
        until(lambda: panel.shows("not ack'd"), what=panel.text)
        press_until("a", "acknowledged")
        assert hot()["latched"]
        until(lambda: panel.shows("hold ACK to reset"), what=panel.text)
        press_until("A", "normal")
        until(lambda: "panel resets machine-0-1 hot" in floor.logs(), what=floor.logs)


def test_a_second_panel_is_refused_and_one_of_another_configuration_ends(floor: Floor) -> None:
    panel = floor.panel()
    floor.says("GATEWAY SILENT")
    second = subprocess.run(
        [sys.executable, "-m", "edge.panel", str(floor.site)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert "another panel answers here" in second.stderr
    floor.site.write_text(floor.site.read_text().replace("panel.png", "other.png"))
    floor.gateway()
    until(lambda: panel.process.poll() == 0, what=floor.logs)
    floor.shows(green="on")


def test_what_is_no_gateway_is_passed_over(floor: Floor) -> None:
    import socket

    floor.gateway()
    floor.shows(green="on")
    pid = floor.panel_pid()
    for junk in (b"", b"\xff" * 100, b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x01\x80"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(floor.folder / "gateway/panel.sock"))
            stranger.sendall(junk)
    floor.hall.set(1, HOT)
    floor.shows(red="fast")
    assert floor.panel_pid() == pid

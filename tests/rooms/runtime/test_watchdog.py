"""The service manager hears that gateway and panel work, only while they do: real datagrams from real processes."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from cloud.demo.processes import Child
from edge.config.site import profiles_root
from edge.watchdog import BEATS_A_TIMEOUT, Watchdog
from tests.world.hall import Hall, describe

UNITS = profiles_root() / "systemd"
TIMEOUT_S = 1.0
DEADLINE_S = 60.0


class Manager:
    """What a service manager has at its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = "\0" + name[1:] if name.startswith("@") else name
        self._socket.bind(self.address)

    def hears(self, line: str) -> float:
        """Wait for ``line``; the time at which it came."""
        deadline_s = time.monotonic() + DEADLINE_S
        heard = []
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            with contextlib.suppress(TimeoutError):
                heard.append(self._socket.recv(4096).decode())
                if heard[-1].startswith(line):
                    return time.monotonic()
        raise AssertionError(f"no {line}, but {heard}")

    def hear(self) -> str:
        """What comes next."""
        self._socket.settimeout(DEADLINE_S)
        return self._socket.recv(4096).decode()

    def hears_nothing_for(self, seconds: float, line: str = "") -> bool:
        """But what was on its way, and what does not begin with ``line``."""
        self._socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while self._socket.recv(4096):
                pass
        deadline_s = time.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while (left_s := deadline_s - time.monotonic()) > 0:
                self._socket.settimeout(left_s)
                if self._socket.recv(4096).decode().startswith(line):
                    return False
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(f"@babbitt-{uuid.uuid4()}" if request.param == "abstract" else str(tmp_path / "notify"))
    yield made
    made.close()


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.close()


def test_beats_are_sent_an_interval_and_words_where_they_change(manager: Manager) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": str(int(TIMEOUT_S * 1e6))})
    assert watchdog.interval_s == TIMEOUT_S / BEATS_A_TIMEOUT
    watchdog.ready()
    manager.hears("READY=1")
    for _ in range(3):
        watchdog.beat()
        watchdog.say("3 machines\nand more")
    manager.hears("WATCHDOG=1")
    manager.hears("STATUS=3 machines and more")
    assert manager.hears_nothing_for(0.1)
    time.sleep(watchdog.interval_s)
    watchdog.beat()
    manager.hears("WATCHDOG=1")
    watchdog.close()


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "-1"}],
)
def test_nobody_who_asked_another_or_nothing_is_sent_beats(manager: Manager, environment: dict[str, str]) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": manager.name, **environment})
    watchdog.beat()
    watchdog.close()
    assert watchdog.interval_s == 0
    assert manager.hears_nothing_for(0.1)


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"})
    watchdog.ready()
    watchdog.beat()
    watchdog.stopping()
    watchdog.close()
    assert len(caplog.records) == 1


def test_a_manager_that_is_busy_hears_all_but_beats_once_it_listens_again(manager: Manager) -> None:
    """What it has not read yet is bounded: a notification beyond that is refused."""
    watchdog = Watchdog({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, contextlib.suppress(BlockingIOError):
        others.setblocking(False)
        while True:
            others.sendto(b"OTHERS=1", manager.address)
    watchdog.ready()
    watchdog.say("3 machines")
    watchdog.beat()
    watchdog.say("4 machines")
    assert manager.hears_nothing_for(0.1)
    watchdog.beat()
    watchdog.say("4 machines")
    assert [manager.hear() for _ in range(3)] == ["READY=1", "STATUS=4 machines", "WATCHDOG=1"]
    assert manager.hears_nothing_for(0.1)
    watchdog.close()


@pytest.mark.parametrize("program", [("run",), ("panel",)])
def test_a_process_that_is_stopped_beats_no_more(
    program: tuple[str, ...], hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.name)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(TIMEOUT_S * 1e6)))
    site = describe(tmp_path, [hall.port], units=1)
    child = Child("process", ["gateway", *program, str(site)], tmp_path / "log")
    try:
        manager.hears("READY=1")
        came_s = [manager.hears("WATCHDOG=1") for _ in range(8)]
        assert median(later - former for former, later in pairwise(came_s)) < TIMEOUT_S
        child.process.send_signal(signal.SIGSTOP)
        assert manager.hears_nothing_for(TIMEOUT_S)
        child.process.send_signal(signal.SIGCONT)
        manager.hears("WATCHDOG=1")
        child.process.send_signal(signal.SIGTERM)
        manager.hears("STOPPING=1")
        assert child.process.wait(DEADLINE_S) == 0
    finally:
        child.process.send_signal(signal.SIGCONT)
        child.end()
        manager.close()


LINE_BREAKS = """
import sys
from edge.gateway import main
from edge.poll.poller import Poller
overdue = Poller.overdue
sound = []
def broken(self, before_ns):
    late = overdue(self, before_ns)
    sound.append(not late)
    return ["hall"] if sum(sound) > 4 else late
Poller.overdue = broken
main()
"""


def test_a_gateway_whose_line_stands_still_beats_no_more(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process lives and its event loop turns: that is not enough."""
    manager = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.name)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(TIMEOUT_S * 1e6)))
    site = describe(tmp_path, [hall.port], units=1, panel={"kind": "none"})
    gateway = subprocess.Popen([sys.executable, "-c", LINE_BREAKS, str(site), "info"])
    try:
        manager.hears("STATUS=1 machines, 0 alarms")
        manager.hears("WATCHDOG=1")
        manager.hears("STATUS=line hall stands still")
        assert manager.hears_nothing_for(TIMEOUT_S, "WATCHDOG=1")
    finally:
        gateway.terminate()
        gateway.wait(DEADLINE_S)
        manager.close()


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_the_units_are_what_systemd_takes(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    for wanted in ("Type=notify", "Restart=always", "NoNewPrivileges=yes", "ProtectSystem=strict", "WatchdogSec="):
        assert re.search(f"^{wanted}", text, re.MULTILINE)
    command = re.search(r"^ExecStart=\S+ (.*)$", text, re.MULTILINE)
    assert command is not None
    shown = subprocess.run(
        [sys.executable, "-m", "edge.cli", *command[1].split()[:2], "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(word in shown for word in command[1].split()[2:] if word.startswith("--"))
    if shutil.which("systemd-analyze") is None:
        return
    for path in UNITS.glob("*.service"):  # Where it is installed there is the command.
        changed = re.sub("/opt/babbitt/bin/(babbitt|python)", sys.executable, path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(changed, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

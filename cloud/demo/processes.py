"""Plant, gateway and cloud as processes of their own on loopback, started and ended like anybody would."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from edge.errors import BabbittError

ENDS_WITHIN_S = 30.0
T = TypeVar("T")


def free_port(wanted: int) -> int:
    """``wanted`` if nobody listens there, else any free port of loopback."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found: int = probe.getsockname()[1]
                return found
    raise BabbittError("127.0.0.1", "no free port")


def write_site(template: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A copy of the site file ``template`` with ``change`` made to its tables."""
    tables = tomllib.loads(template.read_text(encoding="utf-8"))
    change(tables)
    target.write_text(tomli_w.dumps(tables), encoding="utf-8")


@dataclass
class Child:
    """One ``babbitt`` command as a process; what it says goes to ``log``."""

    name: str
    arguments: list[str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)
    rss_mb_max: float = 0.0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "edge.cli", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def check(self) -> None:
        """Raises ``BabbittError`` with its last words where it has ended."""
        if self.process.poll() is not None:
            last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise BabbittError(
                self.name, f"ended with {self.process.returncode}: {' | '.join(last)}", f"see {self.log}"
            )

    def sample_rss(self) -> None:
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
            self.rss_mb_max = max(self.rss_mb_max, pages * os.sysconf("SC_PAGESIZE") / 1e6)

    def end(self) -> int:
        """SIGTERM, and SIGKILL if that does not end it in time. Returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(ENDS_WITHIN_S)

"""Starts BACnet devices of two foreign stacks as processes of their own, and tells them what to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.ports import free_ports_in_a_row

HERE = Path(__file__).parent
OURS = "127.0.0.1/8"


def udp_port() -> int:
    """One that is free at all loopback addresses that tests use, and the next one too."""
    return free_ports_in_a_row()


class BacnetDevice:
    """``stack``: ``rusty`` hears who-is at 127.255.255.255 of its port. ``bacpypes`` takes any loopback address of its
    own port for itself, so its port must not be ours, and it is reached by its address alone."""

    def __init__(self, stack: str, address: str, port: int, instance: int, more: str = "") -> None:
        self.at = f"{address}:{port}"
        self._command = [sys.executable, str(HERE / f"bacnet_{stack}.py"), address, str(port), str(instance)]
        self._command += [more] if more else []
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._acknowledged("ready")

    def tell(self, command: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        self._acknowledged("done")

    def stop(self) -> None:
        """As by a power cut."""
        if self._process is not None:
            self._process.kill()
            with self._process:
                pass
            self._process = None

    def __enter__(self) -> BacnetDevice:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _acknowledged(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        assert said == word, f"{self._command[1]} said {said!r}"

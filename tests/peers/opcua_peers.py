"""Starts real OPC UA servers, none of them ours: asyncua's and node-opcua's, each in a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Timer
from typing import Any

from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
NODE = Path(__file__).parent / "node"
URI = "urn:babbitt:test:plant"
USER, PASSWORD = "operator", "correct horse"
START_S = 60.0
ANSWER_S = 60.0
SETTLED_S = 20.0


@dataclass(slots=True)
class Peer:
    """A server's process. ``tell`` has it do something; ``kill`` and ``start`` are a power cut and its end."""

    command: list[str]
    port: int
    process: subprocess.Popen[str] = field(init=False)

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1
        )
        assert "ready" in self._line(START_S), f"{self.command} did not start"

    def tell(self, **told: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line(ANSWER_S))["done"]

    def sessions(self, now: int) -> dict[str, int]:
        """The server's counts once ``now`` sessions stand. It hears of a closed connection later than what it is told.

        Sessions that nobody gave up last as long as their timeout: 60 s, where a test names none.
        """
        until_s = time.monotonic() + SETTLED_S
        while (counts := self.tell(ask="sessions"))["now"] != now:
            assert time.monotonic() < until_s, f"{counts} sessions, not {now}, after {SETTLED_S:g} s"
            time.sleep(0.02)
        return dict(counts)

    def without_sessions(self) -> int:
        """Once no session stands: how many were ever opened. The most at a time is counted from here on."""
        self.sessions(now=0)
        return int(self.tell(ask="sessions", anew=True)["opened"])

    def _line(self, deadline_s: float) -> str:
        """One line of JSON; whatever else a server prints is passed over. A server that says none is killed."""
        assert self.process.stdout is not None
        guard = Timer(deadline_s, self.process.kill)
        guard.start()
        try:
            for line in self.process.stdout:
                if line.startswith("{"):
                    return line
        finally:
            guard.cancel()
        raise AssertionError(f"{self.command[0]} ended or said nothing within {deadline_s} s")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def asyncua_server(folder: Path | None = None) -> Iterator[Peer]:
    """With ``folder`` (certificate.der, key.pem, trusted/*.der) it offers secured endpoints too."""
    port = free_port()
    command = [sys.executable, "-m", "tests.peers.opcua_server", str(port), *([str(folder)] if folder else [])]
    yield from _running(Peer(command, port))


@cache
def shared_server() -> Peer:
    """One without certificates for all tests of this process: they take seconds to start. It may be killed."""
    port = free_port()
    peer = Peer([sys.executable, "-m", "tests.peers.opcua_server", str(port)], port)
    peer.start()
    atexit.register(peer.kill)
    return peer


@contextmanager
def node_server(folder: Path) -> Iterator[Peer]:
    """node-opcua's; its keys and its trusted certificates are in ``folder``."""
    port = free_port()
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    assert node is not None
    yield from _running(Peer([node, str(NODE / "opcua_server.js"), str(port), str(folder)], port))


def has_node() -> bool:
    return (NODE / "node_modules" / "node-opcua-server").is_dir()


def _running(peer: Peer) -> Iterator[Peer]:
    peer.start()
    try:
        yield peer
    finally:
        peer.kill()

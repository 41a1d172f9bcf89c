"""The panel's process where the gateway starts it: its start, the reason that it gave for not starting, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from edge.errors import ConfigError, LineError
from edge.watchdog import FROM_MANAGER

START_S = 30.0
END_S = 3.0


class PanelChild:
    """Of the site file at ``config``. ``starts`` counts."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._killed: list[subprocess.Popen[bytes]] = []
        self.starts = 0

    async def start(self) -> None:
        """Start one in the place of any former, and wait until it can be found.

        Raises ``ConfigError`` or ``LineError`` where it says that a person must act, and ``OSError`` where it ends
        without a word or takes too long.
        """
        self._discard()
        told, tells = os.pipe()
        try:
            process = self._process = self._spawn(tells)
        finally:
            os.close(tells)
        self.starts += 1
        async with asyncio.timeout(START_S):
            answer = await _read_whole(told)
        if answer == b"ready":
            return
        async with asyncio.timeout(END_S):
            while process.poll() is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        try:
            where, problem, hint, code = json.loads(answer)
        except ValueError:
            raise ConnectionRefusedError(f"it ended with {process.returncode} before it was ready") from None
        raise (ConfigError if code == ConfigError.exit_code else LineError)(where, problem, hint)

    def end(self) -> None:
        """End it; it shows that nobody watches. Waits for a moment at most."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # A call into the kernel may outlive a SIGKILL.
                self._process.wait(END_S)
        self._process = None

    def _discard(self) -> None:
        """One that was started and is not found is no panel any more. Nobody waits for its end."""
        self._killed = [process for process in self._killed if process.poll() is None]
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._killed.append(self._process)
        self._process = None

    def _spawn(self, tells: int) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C ends the gateway, which then tells the panel.
        command = [sys.executable, "-P", "-m", "edge.panel", str(self._config), "--tell", str(tells)]
        environment = {name: value for name, value in os.environ.items() if name not in FROM_MANAGER}
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=(tells,), start_new_session=True, env=environment
        )


async def _read_whole(descriptor: int) -> bytes:
    """All that comes through a pipe until its other end is closed, which closes this one too."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        return await reader.read()
    finally:
        transport.close()

"""The gateway's own page, a process beside it: started, started anew when it dies, ended with the gateway.

Nothing of the gateway waits for it, and nothing of what it does reaches the gateway but its questions at the socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.ports import Clock
from edge.status import rss_mb
from edge.watchdog import FROM_MANAGER

LOOK_EVERY_S = 0.5
PAUSE_S_FIRST, PAUSE_S_MAX = 1.0, 60.0
CALM_S = 60.0
SERVED_CODE = 10
"""As `edge.page.alone` has it, whose libraries this process does without."""
END_S, END_LOOK_S = 3.0, 0.02
SERVES_S = 5.0
"""One that has not ended by then serves."""
TOLD_BYTES_MAX = 2000

log = logging.getLogger("babbitt.gateway")


class PageChild:
    """Of the site file ``config``; it serves at ``url``. ``died`` is called each time that it ended without a word.

    ``trouble`` says why it cannot serve: where, what and what to do; empty while it does, or has not said.
    """

    def __init__(self, config: Path, url: str, *, clock: Clock, died: Callable[[], None]) -> None:
        self._url = url
        self._command = [sys.executable, "-P", "-m", "edge.page", str(config), "--beside", str(os.getpid())]
        self._clock, self._died = clock, died
        self._process: subprocess.Popen[bytes] | None = None
        self._told: int | None = None
        self._detail = "not started yet"
        self.trouble = ""

    async def run(self) -> None:
        """A process that says itself that it is not needed is not started anew for a while: another one serves."""
        pause_s = PAUSE_S_FIRST
        try:
            while True:
                began_ns = self._clock.mono_ns()
                code = await self._lived()
                if self._clock.mono_ns() - began_ns > CALM_S * 1e9:
                    pause_s = PAUSE_S_FIRST
                if code == SERVED_CODE:
                    self._say("runs by itself, not started by the gateway")
                    pause_s = PAUSE_S_MAX
                elif trouble := self._heard():
                    self._say(f"is not served: {trouble}")
                    self.trouble = trouble
                else:
                    self._died()
                    self._say(f"ended with {code}: the log says why")
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
        finally:
            await self._end()

    def status(self) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            return {"up": False, "url": self._url, "detail": self._detail}
        try:
            mb = rss_mb(self._process.pid)
        except OSError as error:
            return {"up": False, "url": self._url, "detail": str(error)}
        return {"up": True, "url": self._url, "detail": "", "pid": self._process.pid, "rss_mb": mb}

    async def _lived(self) -> int:
        """Its exit code, at its end."""
        process = self._process = self._spawn()
        looks = 0
        while (code := process.poll()) is None:
            await self._clock.sleep(LOOK_EVERY_S)
            looks += 1
            if looks * LOOK_EVERY_S > SERVES_S:
                self.trouble = ""
        return code

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C ends the gateway, which then ends the page.
        environment = {name: value for name, value in os.environ.items() if name not in FROM_MANAGER}
        self._hang_up()
        self._told, tells = os.pipe()
        os.set_blocking(self._told, False)
        try:
            return subprocess.Popen(
                [*self._command, "--tell", str(tells)], stdin=subprocess.DEVNULL, env=environment, pass_fds=(tells,),
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(tells)

    def _heard(self) -> str:
        """What the process that has ended said of it."""
        assert self._told is not None
        try:
            return os.read(self._told, TOLD_BYTES_MAX).decode(errors="replace")
        except BlockingIOError:
            return ""  # A process of its own has the other end yet.

    def _hang_up(self) -> None:
        if self._told is not None:
            os.close(self._told)
            self._told = None

    def _say(self, detail: str) -> None:
        if detail != self._detail:
            log.warning("the page %s", detail)
        self._detail = detail

    async def _end(self) -> None:
        self._hang_up()
        process = self._process
        if process is None or process.poll() is not None:
            return
        for end in (process.terminate, process.kill):
            end()
            ends_s = time.monotonic() + END_S
            while time.monotonic() < ends_s:
                if process.poll() is not None:
                    return
                await asyncio.sleep(END_LOOK_S)

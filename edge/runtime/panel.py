"""The gateway's end of the panel, which is a process of its own: found or started, told what stands, heard.

Nothing here waits for the panel. One that does not read is told the newest state once it reads again; one that shows
nothing any more is ended and started anew where a gateway started it, and is its service manager's else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any

from edge.config.site import Site
from edge.errors import BabbittError, LineError
from edge.panel import PanelState
from edge.panel.wire import (
    VERSION,
    Acknowledged,
    Frames,
    Goodbye,
    Hello,
    Here,
    Reset,
    Shown,
    Told,
    ToPanel,
    frame,
    to_gateway,
)
from edge.ports import Clock
from edge.runtime.panel_child import PanelChild
from edge.stand_in import answers_at

BEAT_S = 0.5
APART_NS = 10_000_000
"""Between two states that are told, so that a flood of alarms costs no more than its newest state."""
APART_SHARE = 4
"""And at least so often the time that the last one took to be told."""
OPEN_S = 5.0
ANSWER_S = 5.0
UNSHOWN_MAX = 10
"""Heartbeats that are not answered: the panel hangs."""
LOOK_AGAIN_S = 1.0
PAUSE_S_FIRST = 0.1
PAUSE_S_MAX = 30.0
CALM_S = 5.0
"""One that was there for longer is looked for at once when it is lost."""
RECEIVED_BYTES = 65_536

_PEER = struct.Struct("3i")
"""Linux' ``struct ucred``."""

log = logging.getLogger("babbitt.gateway")


class PanelProcess:
    """``state`` is asked for what stands, ``trouble`` for why nobody watches; ``acknowledge`` is called for
    each alarm, by asset and rule, that somebody at the panel has seen, ``reset`` for each that somebody resets there.

    ``apart``: somebody else runs the panel, such as a unit of systemd, and none is ever started here.
    """

    def __init__(
        self, site: Site, *, clock: Clock, state: Callable[[], PanelState], trouble: Callable[[], str],
        acknowledge: Callable[[str, str], None], reset: Callable[[str, str], None], apart: bool,
    ) -> None:  # fmt: skip
        self._site, self._clock, self._apart = site, clock, apart
        self._state, self._trouble = state, trouble
        self._acknowledge, self._reset = acknowledge, reset
        self._path = site.resolve(site.file.gateway.data_dir) / "panel.sock"
        self._child = PanelChild(site.path)
        self._here: Here | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._told_ns = self._cost_ns = 0
        self._later: asyncio.TimerHandle | None = None
        self._unshown = 0
        self._ails: tuple[str, ...] = ()
        self._detail: str | None = None

    def changed(self) -> None:
        """Tell what stands, at once, but never within the call: whoever had an alarm change goes on whatever breaks."""
        if self._later is None and self._writer is not None:
            wait_ns = self._told_ns + max(APART_NS, APART_SHARE * self._cost_ns) - self._clock.mono_ns()
            self._later = asyncio.get_running_loop().call_later(max(wait_ns, 0) / 1e9, self._tell)

    async def open(self) -> None:
        """Have one started before the first poll, where none answers.

        Raises ``ConfigError``. One that takes long is not waited for; one that cannot be had, for a pin is taken or a
        display is not there, is said, and is tried again by ``run``.
        """
        try:
            async with asyncio.timeout(OPEN_S):
                _, writer = await self._found()
                writer.close()
        except OSError:
            pass  # ``run`` says so, if it is still so.
        except LineError as error:
            self._say(f"no panel: {error}")

    async def run(self) -> None:
        """Keep a panel and tell it, until cancelled, which is its goodbye."""
        pause_s = PAUSE_S_FIRST
        while True:
            begun_ns = self._clock.mono_ns()
            try:
                reader, writer = await self._found()
                try:
                    frames = await self._greeted(reader, writer)
                    self._say("")
                    await self._serve(reader, writer, frames)
                finally:
                    self._leave(writer)
            except (OSError, ValueError, BabbittError) as error:
                self._say(f"no panel: {str(error) or 'no answer in time'}")
            if self._clock.mono_ns() - begun_ns > CALM_S * 1e9:
                pause_s = PAUSE_S_FIRST
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LOOK_AGAIN_S if self._apart else PAUSE_S_MAX)

    def close(self) -> None:
        """End the panel that was started here, which the goodbye has asked of it already."""
        self._child.end()

    def status(self) -> dict[str, Any]:
        """For a person who asks the gateway."""
        pid = self._here.pid if self._here is not None and self._writer is not None else None
        detail = "not found yet" if self._detail is None else self._detail
        return {"pid": pid, "starts": self._child.starts, "detail": detail, "trouble": list(self._ails)}

    # A connection.

    async def _found(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To one that answers, or to one that is started. Raises ``OSError`` or ``BabbittError`` for none."""
        with contextlib.suppress(FileNotFoundError, ConnectionError):
            return await asyncio.open_unix_connection(answers_at(self._path))
        if self._apart:
            raise ConnectionRefusedError(f"nobody answers at {self._path}")
        await self._child.start()
        return await asyncio.open_unix_connection(answers_at(self._path))

    async def _greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Frames:
        writer.write(frame(Hello(self._site.file.gateway.id, self._site.file.panel)))
        frames = Frames()
        try:
            async with asyncio.timeout(ANSWER_S):
                while data := await reader.read(RECEIVED_BYTES):
                    for found in frames.feed(data):
                        here = to_gateway(found)
                        if not isinstance(here, Here) or here.version != VERSION:
                            raise ValueError("the panel is of another version and ends")
                        self._here = here
                        return frames
        except TimeoutError:
            if not self._apart:
                _kill(_listener_of(writer))  # Stopped, or hung: as long as it is there no other can be.
            raise
        raise ConnectionResetError("it ended instead of answering")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: Frames) -> None:
        """Tell and hear until the connection ends. Raises ``OSError`` then, and ``ValueError`` for what is no panel's.

        Cancelled, it says goodbye.
        """
        self._writer, self._unshown = writer, 0
        both = [asyncio.create_task(run, name=f"babbitt.panel[{name}]") for name, run in
                (("beat", self._beat()), ("hear", self._listen(reader, frames)))]  # fmt: skip
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._write(Goodbye())
            raise
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        for task in done:
            task.result()

    async def _beat(self) -> None:
        """Raises ``TimeoutError`` where nothing is shown any more."""
        while self._unshown <= UNSHOWN_MAX:
            self._tell()
            self._unshown += 1
            await self._clock.sleep(BEAT_S)
        if self._here is not None and self._here.of_gateway:
            _kill(self._here.pid)
        raise TimeoutError(f"it has shown nothing for {UNSHOWN_MAX * BEAT_S:g} s")

    async def _listen(self, reader: asyncio.StreamReader, frames: Frames) -> None:
        while data := await reader.read(RECEIVED_BYTES):
            for found in frames.feed(data):
                self._hear(found)
        raise ConnectionResetError("it ended")

    def _hear(self, found: bytes) -> None:
        match to_gateway(found):
            case Shown() as shown:
                self._unshown, self._ails = 0, shown.trouble
            case (Acknowledged() | Reset()) as asked:
                do = self._reset if isinstance(asked, Reset) else self._acknowledge
                try:
                    do(asked.asset, asked.rule)
                except BabbittError as error:  # It has changed since it was shown.
                    log.warning("what somebody did at the panel: %s", error)
            case Here():
                raise ValueError("it greets twice")

    def _tell(self) -> None:
        self._later = None
        self._told_ns = self._clock.mono_ns()
        self._write(Told(self._state(), self._trouble()))
        self._cost_ns = self._clock.mono_ns() - self._told_ns

    def _write(self, message: ToPanel) -> None:
        """One message at most waits for a panel that does not read: a newer one then has the next turn."""
        if self._writer is not None and not self._writer.transport.get_write_buffer_size():
            self._writer.write(frame(message))

    def _leave(self, writer: asyncio.StreamWriter) -> None:
        self._writer = None
        if self._later is not None:
            self._later.cancel()
            self._later = None
        writer.close()

    def _say(self, words: str) -> None:
        """Log trouble once, and its end once."""
        if words and not self._detail:
            log.warning("%s; polls, alarms and the journal go on", words)
        elif not words and self._detail != "":
            log.info("panel: process %d shows", self._here.pid if self._here is not None else 0)
        self._detail = words


def _listener_of(writer: asyncio.StreamWriter) -> int:
    """The process at the other end."""
    end = writer.get_extra_info("socket")
    pid, _, _ = _PEER.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)

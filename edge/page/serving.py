"""Runs the page: watches the gateway and serves, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from edge.config.page import Found, Page
from edge.errors import LineError
from edge.page.acting import Acting
from edge.page.app import application
from edge.page.connections import ALL_MAX, HEAD_BYTES_MAX, CountedProtocol
from edge.page.drawing import Drawing
from edge.page.guards import own_names
from edge.page.pages import Pages
from edge.page.people import People
from edge.page.watching import Watching
from edge.watchdog import Watchdog

ENDS_WITHIN_S = 2

log = logging.getLogger("babbitt.page")


class Serving:
    """The page of what was ``found`` in a site file. ``run`` once, ``end`` from anywhere in the loop.

    Raises ``ConfigError`` for a PIN's file that is none, or that others may read.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self._server: _Server | None = None
        self._watchdog = Watchdog()
        self._watching = Watching(found.data_dir / "gateway.sock", beat=self._watchdog.beat)
        self._people = People(found.pin_file)

    async def run(self) -> None:
        """Serve until SIGINT, SIGTERM or ``end``. Raises ``LineError`` where the address cannot be listened on."""
        found, watching = self._found, self._watching
        drawing = Drawing(found.gateway, found.data_dir)
        pages = Pages(drawing, watching, self._people)
        app = application(pages, Acting(drawing, watching, self._people), own_names(found))
        with _listener(found.page) as listener:
            server = self._server = _Server(uvicorn.Config(
                app, http=CountedProtocol, ws="none", lifespan="off", loop="asyncio", log_config=None,
                access_log=False, server_header=False, proxy_headers=False, backlog=ALL_MAX, timeout_keep_alive=10,
                h11_max_incomplete_event_size=HEAD_BYTES_MAX, timeout_graceful_shutdown=ENDS_WITHIN_S,
            ), ready=self._watchdog.ready)  # fmt: skip
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self.end)
            log.info("the page of %s is at %s", found.gateway, found.page.url)
            asking = asyncio.create_task(watching.run(), name="babbitt.page.watching")
            try:
                await server.serve(sockets=[listener])
            finally:
                self._watchdog.stopping()
                asking.cancel()
                await asyncio.wait([asking])

    @property
    def is_listening(self) -> bool:
        return self._server is not None and self._server.started

    def end(self) -> dict[str, Any]:
        if self._server is not None:
            self._server.should_exit = True
        return {"ends": True}

    def status(self) -> dict[str, Any]:
        return {"asked": self._watching.asked, "connections": CountedProtocol.open.total()}


class _Server(uvicorn.Server):
    """Signals are ours, and ``ready`` is called once it listens."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(page: Page) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(page.host, page.port, type=socket.SOCK_STREAM)[0]
        both = page.host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=ALL_MAX, dualstack_ipv6=both)
    except OSError as error:
        hint = "another program has the port, or the address is not this machine's: see `page.host` and `page.port`"
        reason = str(error.strerror).partition(" (while")[0]
        raise LineError(f"{page.host}:{page.port}", f"cannot be listened on: {reason}", hint) from error

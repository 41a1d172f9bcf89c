"""The panel as a process of its own: it shows what the gateway tells, and that there is no gateway where none does.

One thread and no event loop, so that it stays small: a socket at which the gateway finds it, the panel itself, and the
buttons' way back. It knows neither journal nor judges nor uplink, and needs no file but its own configuration.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from edge.config.panel import Panel as PanelConfig
from edge.errors import BabbittError
from edge.panel.watch import Watch
from edge.panel.wire import (
    VERSION,
    Acknowledged,
    Frames,
    Goodbye,
    Hello,
    Here,
    Reset,
    Shown,
    ToGateway,
    Told,
    frame,
    to_panel,
)
from edge.ports import Panel, Press
from edge.stand_in import answers_at, bound_at, is_answered

TICK_S = 0.25
CONNECTIONS_MAX = 4
PRESSES_MAX = 16
RECEIVED_BYTES = 65_536

log = logging.getLogger("babbitt.panel")


class Server:
    """Shows on ``panel`` what a gateway tells at ``path``, until ``stop``.

    ``of_gateway``: a gateway started it, and its goodbye ends it. Raises ``BabbittError`` where another panel answers
    at ``path``, or no socket can be made.
    """

    def __init__(self, path: Path, config: PanelConfig, panel: Panel, *, of_gateway: bool) -> None:
        self._config, self._panel, self._of_gateway = config, panel, of_gateway
        self._watch = Watch(panel.display, time.monotonic(), sounds=config.buzzer)
        self._selector = selectors.DefaultSelector()
        self._listener, self._path = _listener(path)
        self._inode = self._path.stat().st_ino
        self._connections: list[_Connection] = []
        self._gateway: _Connection | None = None
        self._presses: deque[Press] = deque(maxlen=PRESSES_MAX)
        self._awake, self._wakes = socket.socketpair()
        for end in (self._awake, self._wakes):
            end.setblocking(False)
        self._stopping = False
        panel.listen(self._pressed)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._awake, selectors.EVENT_READ, self._woken)

    @property
    def wakes(self) -> int:
        """A file descriptor; a byte written to it ends a wait."""
        return self._wakes.fileno()

    def stop(self) -> None:
        """From a signal's handler: end at the next turn."""
        self._stopping = True

    def _pressed(self, press: Press) -> None:
        """On whatever thread the buttons have."""
        self._presses.append(press)
        with contextlib.suppress(BlockingIOError):
            self._wakes.send(b"p")

    def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """``beat`` is called at every turn."""
        while not self._stopping:
            self._show()
            beat()
            for key, _ in self._selector.select(TICK_S):
                key.data()
            self._take_presses()
            self._end_where_nobody_finds_it()

    def close(self) -> None:
        for connection in [*self._connections]:
            self._drop(connection)
        self._listener.close()
        if self._is_at_home():
            self._path.unlink(missing_ok=True)
        self._selector.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            if len(self._connections) >= CONNECTIONS_MAX:
                connection.close()
                return
            made = _Connection(connection)
            self._connections.append(made)
            self._selector.register(connection, selectors.EVENT_READ, lambda: self._receive(made))

    def _receive(self, connection: _Connection) -> None:
        try:
            for data in connection.receive():
                self._hear(connection, data)
        except (OSError, ValueError, EOFError) as error:
            if connection in self._connections:
                if not isinstance(error, EOFError):
                    log.warning("panel: a connection is given up: %s", error)
                self._drop(connection)

    def _hear(self, connection: _Connection, data: bytes) -> None:
        said = to_panel(data)
        match said:
            case Hello():
                self._greet(connection, said)
            case Told() if connection is self._gateway:
                self._watch.hear(said, time.monotonic())
                self._show()
                connection.tell(Shown(self._panel.trouble()))
            case Goodbye() if connection is self._gateway:
                self._watch.end()
                self._show()
                self._stopping = self._stopping or self._of_gateway
                self._gateway = None  # What follows, an end of the connection, says nothing more.
            case _:
                raise ValueError("it said what no gateway says")

    def _greet(self, connection: _Connection, hello: Hello) -> None:
        """A gateway that comes takes the place of any other. It answers before it ends for being another's panel."""
        connection.tell(Here(os.getpid(), self._of_gateway))
        if hello.version != VERSION or hello.panel != self._config:
            log.warning("panel: gateway %s is of another version or configuration: ending, to be started anew",
                        hello.gateway)  # fmt: skip
            self._stopping = True
            return
        if self._gateway is not None:
            self._drop(self._gateway)
        log.info("panel: shows gateway %s", hello.gateway)
        self._gateway = connection

    def _drop(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._connections.remove(connection)
        if connection is self._gateway:
            self._gateway = None
            self._watch.lose()
            self._show()

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._awake.recv(1024):
                pass

    def _take_presses(self) -> None:
        while self._presses:
            for asked in self._watch.press(self._presses.popleft(), time.monotonic()):
                if self._gateway is not None:
                    message = Reset if asked.reset else Acknowledged
                    self._gateway.tell(message(asked.asset, asked.rule))

    def _show(self) -> None:
        self._panel.show(self._watch.view(time.monotonic(), self._panel.trouble()))

    def _end_where_nobody_finds_it(self) -> None:
        """Its folder is gone, or another took its place: no gateway will ever come."""
        if self._of_gateway and self._gateway is None and not self._is_at_home():
            self._stopping = True

    def _is_at_home(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False


class _Connection:
    """One at the other end. What it does not read is not kept for it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._frames = Frames()
        self._unsent = b""

    def receive(self) -> list[bytes]:
        """The frames that have come. Raises ``EOFError`` at the end, and ``ValueError`` for what is no frame."""
        try:
            data = self.socket.recv(RECEIVED_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise EOFError
        return list(self._frames.feed(data))

    def tell(self, message: ToGateway) -> None:
        data = self._unsent or frame(message)
        with contextlib.suppress(OSError):
            sent = self.socket.send(data)
            self._unsent = data[sent:] if sent < len(data) else b""


def _listener(path: Path) -> tuple[socket.socket, Path]:
    """It listens at ``path``, or in the stand-in of its folder where that takes no socket."""
    if is_answered(answers_at(path)):
        hint = "a running gateway has its own, unless it was started with --panel-apart"
        raise BabbittError(str(path), "another panel answers here", hint)
    listener, place = bound_at(path)
    listener.listen(CONNECTIONS_MAX)
    return listener, place

"""What a service manager is told (systemd's ``sd_notify``): ready, stopping, how it goes, and that it still works.

A notification is one datagram of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names; one that begins with
``@`` is abstract. Where ``WATCHDOG_USEC`` asks for beats and they end, the manager ends the process and starts it anew;
and where the manager itself feeds the machine's hardware watchdog, the machine. So a beat is only worth something where
it is sent by what must work, as long as it does. Without a manager all of this does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

FROM_MANAGER = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""Variables that are meant for this process alone: whoever starts another leaves them out."""
BEATS_A_TIMEOUT = 4

log = logging.getLogger("babbitt.watchdog")


class Watchdog:
    """Of ``environment``. None of its calls waits, and none raises: a manager that does not listen stops nothing.

    What one that was busy could not take, but for beats, is told again with the next beat or word.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if path else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self.interval_s = _timeout_s(environment) / BEATS_A_TIMEOUT
        """Between two beats; 0 where nobody asks for any."""
        self._beat_s = -self.interval_s
        self._said = ""
        self._owed: dict[str, str] = {}
        self._failing = False

    @property
    def listens(self) -> bool:
        """Whether there is a manager at all."""
        return self._socket is not None

    def ready(self) -> None:
        self._tell("READY", "1")

    def stopping(self) -> None:
        self._tell("STOPPING", "1")

    def say(self, words: str) -> None:
        """One line for a person who asks the manager; told where it has changed."""
        words = words.replace("\n", " ")
        if words != self._said:
            self._said = self._owed["STATUS"] = words
        self._pay()

    def beat(self) -> None:
        """It works. Call it as often as you like: one is sent an interval."""
        now_s = time.monotonic()
        if self.interval_s and now_s - self._beat_s >= self.interval_s:
            self._beat_s = now_s
            self._pay()
            self._sent("WATCHDOG", "1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _tell(self, name: str, value: str) -> None:
        self._owed[name] = value
        self._pay()

    def _pay(self) -> None:
        while self._owed:
            name = next(iter(self._owed))
            if not self._sent(name, self._owed[name]):
                return
            del self._owed[name]

    def _sent(self, name: str, value: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(f"{name}={value}".encode(), self._address)
        except OSError as error:
            if not self._failing:
                log.warning("the service manager cannot be told %s: %s", name, error)
            self._failing = True
            return False
        self._failing = False
        return True


def _timeout_s(environment: Mapping[str, str]) -> float:
    """0 where no beats are wanted, or those of another process."""
    try:
        pid = int(environment.get("WATCHDOG_PID", os.getpid()))
        timeout_us = int(environment.get("WATCHDOG_USEC", 0))
    except ValueError:
        return 0.0
    return timeout_us / 1e6 if pid == os.getpid() and timeout_us > 0 else 0.0

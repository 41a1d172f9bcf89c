"""Keys of a terminal in place of buttons: a, p, s and t; in capitals they count as held for two seconds.

Read only where the terminal is ours: a program in the background that changes a terminal's ways would be stopped.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import tty
from collections.abc import Callable
from typing import Any

from edge.ports import Button, Hold, Press

KEYS = {"a": Button.ACKNOWLEDGE, "p": Button.PAGE, "s": Button.SILENCE, "t": Button.TEST}
CLOSE_S_MAX = 1.0


class Keys:
    """Tells presses of the keys of the terminal ``fd`` until it is closed; Ctrl-C and its like go on working."""

    def __init__(self, fd: int, tell: Callable[[Press], None]) -> None:
        self._fd, self._tell = fd, tell
        self._before: list[Any] = termios.tcgetattr(fd)
        self._ended, self._end = os.pipe()
        tty.setcbreak(fd, termios.TCSANOW)
        self._thread = threading.Thread(target=self._run, name="babbitt.panel.keys", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the terminal its ways back."""
        os.close(self._end)
        self._thread.join(CLOSE_S_MAX)
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd, self._ended], [], [])
            if self._ended in ready:
                os.close(self._ended)
                return
            try:
                data = os.read(self._fd, 64)
            except OSError:
                data = b""
            if not data:
                select.select([self._ended], [], [])
                os.close(self._ended)
                return
            for press in pressed(data.decode("ascii", "ignore")):
                self._tell(press)


def pressed(text: str) -> list[Press]:
    """What the keys of ``text`` press."""
    return [Press(KEYS[key.lower()], Hold.LONG if key.isupper() else Hold.SHORT) for key in text if key.lower() in KEYS]


def is_ours(fd: int) -> bool:
    """Whether ``fd`` is a terminal, and this process in its foreground."""
    try:
        return os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False

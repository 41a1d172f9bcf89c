"""What the panel shows by what it hears of the gateway: only what is heard now is shown, and silence has a sign."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from edge.panel.asked import Asked
from edge.panel.console import Console, stopped
from edge.panel.state import PanelState
from edge.panel.wire import Told
from edge.ports import PanelView, Press

SILENT_S = 2.0
"""Without a heartbeat for so long there is no gateway."""


class Watch:
    """Times are the panel's own, monotonic, in seconds; they also turn the pages. ``sounds``: it has a buzzer."""

    def __init__(self, display: str, now_s: float, *, sounds: bool = True) -> None:
        self._display, self._console = display, Console(display, sounds=sounds)
        self._told: Told | None = None
        self._heard_s = self._sound_s = now_s
        self._ended = False

    def hear(self, told: Told, now_s: float) -> None:
        """A heartbeat. One that says why nobody watches shows it, and is none of a gateway that does."""
        self._told, self._heard_s, self._ended = told, now_s, False
        if told.trouble:
            self._console.say(told.trouble, now_s)
        else:
            self._sound_s = now_s

    def lose(self) -> None:
        """The connection broke: whoever was at its other end is no more."""
        self._told = None

    def end(self) -> None:
        """The gateway said goodbye."""
        self._told, self._ended = None, True

    def view(self, now_s: float, trouble: Collection[str] = ()) -> PanelView:
        """What is to be seen at this moment; ``trouble`` is the panel's own."""
        if self._ended:
            return stopped(self._display)
        return self._console.view(self._current(now_s), now_s, trouble=trouble, silent_s=now_s - self._sound_s)

    def press(self, press: Press, now_s: float) -> tuple[Asked, ...]:
        """Take a press; gives what it asks for."""
        return self._console.press(press, now_s)

    def _current(self, now_s: float) -> PanelState | None:
        """What was told, where it was now, and by a gateway that watches."""
        told = self._told
        if told is None or now_s - self._heard_s > SILENT_S or told.trouble:
            return None
        return replace(told.state, elapsed_s=now_s)

"""Writes down each change of the lamps, with the monotonic time at which it was made: for tests and measurements."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from edge.ports import Panel, PanelView, Press


class Traced:
    """``panel``, whose lamps are written to ``path`` as lines of JSON once they are set, each by one call."""

    def __init__(self, panel: Panel, path: Path) -> None:
        self.display = panel.display
        self._panel = panel
        self._shown: PanelView | None = None
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def show(self, view: PanelView) -> None:
        self._panel.show(view)
        if view != self._shown:
            self._shown = view
            seen = {name: part for name, part in asdict(view).items() if name != "pixels"}
            told = {"mono_ns": time.monotonic_ns(), "pid": os.getpid(), **seen}
            os.write(self._file, json.dumps(told, separators=(",", ":")).encode() + b"\n")

    def listen(self, heard: Callable[[Press], None]) -> None:
        self._panel.listen(heard)

    def trouble(self) -> tuple[str, ...]:
        return self._panel.trouble()

    def close(self) -> None:
        self._panel.close()
        os.close(self._file)

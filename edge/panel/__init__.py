"""The panel: lamps, buzzer, buttons and a display that work with the cable cut.

``lamps`` says what the lamps mean, ``matters`` what there is to tell, ``characters`` how it is told in lines; all are
pure. ``console`` turns the pages and takes presses. ``terminal``, ``png`` and ``pi`` show what it gives. ``make_panel``
builds the one that the site asks for and imports no other's libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from edge.config.panel import Panel as PanelConfig
from edge.panel.console import Console, stopped
from edge.panel.lamps import lamps
from edge.panel.state import Advice, Condition, PanelState
from edge.ports import Panel, PanelView, Press

__all__ = ["Advice", "Condition", "Console", "NoPanel", "PanelState", "lamps", "make_panel", "stopped"]


class NoPanel:
    """A gateway without a panel."""

    def __init__(self, display: str) -> None:
        self.display = display

    def show(self, view: PanelView) -> None:
        """Nothing to show it on."""

    def listen(self, heard: Callable[[Press], None]) -> None:
        """Nothing to press."""

    def trouble(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Nothing to close."""


def make_panel(config: PanelConfig, *, png_path: Path = Path("panel.png"), out: TextIO | None = None) -> Panel:
    """The panel that ``config.kind`` names; ``out`` is the terminal's (standard output if None).

    Raises ``ConfigError`` or ``LineError`` where what it needs is missing.
    """
    if config.kind == "terminal":
        from edge.panel.keys import is_ours
        from edge.panel.terminal import TerminalPanel

        keys = sys.stdin.fileno() if out is None and sys.stdout.isatty() and is_ours(0) else None
        return TerminalPanel(config.display, out if out is not None else sys.stdout, keys)
    if config.kind == "png":
        from edge.panel.png import PngPanel

        return PngPanel(config.display, png_path)
    if config.kind == "pi":
        from edge.panel.pi import PiPanel

        return PiPanel(config)
    return NoPanel(config.display)

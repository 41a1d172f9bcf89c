"""The panel: lamps and a character display that work with the cable cut.

``view`` says what they show and is pure; ``terminal``, ``png`` and ``pi`` show it. ``make_panel`` builds the one that
the site asks for and imports no other's libraries.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from edge.config.tables import Panel as PanelConfig
from edge.panel.view import PanelState, compose, lamps, stopped
from edge.ports import Panel, PanelView

__all__ = ["NoPanel", "PanelState", "compose", "lamps", "make_panel", "stopped"]


class NoPanel:
    """A gateway without a panel."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows

    def show(self, view: PanelView) -> None:
        """Nothing to show it on."""

    def close(self) -> None:
        """Nothing to close."""


def make_panel(config: PanelConfig, *, png_path: Path = Path("panel.png"), out: TextIO | None = None) -> Panel:
    """The panel that ``config.kind`` names; ``out`` is the terminal's (standard output if None).

    Raises ``ConfigError`` or ``LineError`` where what it needs is missing.
    """
    if config.kind == "terminal":
        from edge.panel.terminal import TerminalPanel

        return TerminalPanel(config.columns, config.rows, out if out is not None else sys.stdout)
    if config.kind == "png":
        from edge.panel.png import PngPanel

        return PngPanel(config.columns, config.rows, png_path)
    if config.kind == "pi":
        from edge.panel.pi import PiPanel

        return PiPanel(config)
    return NoPanel(config.columns, config.rows)

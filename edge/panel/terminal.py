"""A stack light and a display in a terminal, drawn in place at its top; what is logged scrolls below.

Each picture is one write between the marks of a synchronised update, so it does not flicker. Where the output is no
terminal, a plain line says what changed: a lamp, or a heading that had not been told since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from edge.panel.console import stopped
from edge.panel.displays import characters
from edge.panel.painter import Painter
from edge.ports import PanelView, Pattern, Press

CSI = "\x1b["
_LIT = {"red": 196, "amber": 214, "green": 46}
_DARK = {"red": 52, "amber": 58, "green": 22}
_BACKLIGHT, _DOTS, _UNLIT = 148, 22, 234
"""Colours of the 256-colour palette."""
TOLD_MAX = 64
PAUSE_S = 0.05


class TerminalPanel:
    """Draws on ``out``, at its top where that is a terminal."""

    def __init__(self, display: str, out: TextIO) -> None:
        self.display = display
        self._columns, self._rows = characters(display)
        self._out = out
        self._drawn = out.isatty()
        self._begun = False
        self._told: set[tuple[str, ...]] = set()
        self._lamps: tuple[str, str, str] | None = None
        self._painter = Painter(self._paint, what="terminal", pause_s=PAUSE_S, trouble=(OSError, ValueError))

    def show(self, view: PanelView) -> None:
        self._painter.show(view)

    def listen(self, heard: Callable[[Press], None]) -> None:
        """It has no buttons yet."""

    def trouble(self) -> tuple[str, ...]:
        return self._painter.trouble()

    def close(self) -> None:
        """Say that nobody watches, and give the terminal back."""
        self.show(stopped(self.display))
        self._painter.close()

    def _paint(self, view: PanelView) -> None:
        text = self._picture(view) if self._drawn else self._line(view)
        if text:
            self._out.write(text)
            self._out.flush()

    def _line(self, view: PanelView) -> str:
        """One plain line, empty where it would say nothing new."""
        lamps = (view.green, view.amber, view.red)
        if lamps != self._lamps or len(self._told) >= TOLD_MAX:
            self._lamps = lamps
            self._told.clear()
        key = view.lines[:1]
        if key in self._told:
            return ""
        self._told.add(key)
        words = " | ".join(line.strip() for line in view.lines if line.strip())
        return f"panel: green {view.green}, amber {view.amber}, red {view.red}: {words}\n"

    def _picture(self, view: PanelView) -> str:
        tower, screen = _tower(view, self._rows + 2), _screen(view, self._columns)
        height = len(tower)
        parts = [f"{CSI}?2026h"]
        if not self._begun:
            self._begun = True
            # Clear, and let only what lies below the panel scroll.
            parts.append(f"{CSI}2J{CSI}{height + 2}r{CSI}{height + 2};1H")
        parts.append("\x1b7")
        parts += [f"{CSI}{i + 1};1H {a}  {b}{CSI}K" for i, (a, b) in enumerate(zip(tower, screen, strict=True))]
        parts.append("\x1b8")
        if view == stopped(self.display):
            parts.append(f"\x1b7{CSI}r\x1b8")
        parts.append(f"{CSI}?2026l")
        return "".join(parts)


def _tower(view: PanelView, height: int) -> list[str]:
    """The stack light, red on top: two lines a lamp where there is room, and a foot where some is left."""
    tall = height // 3
    lines = []
    for colour, lamp in (("red", view.red), ("amber", view.amber), ("green", view.green)):
        shade = _DARK[colour] if lamp == "off" else _LIT[colour]
        blink = f"{CSI}5m" if lamp not in (Pattern.OFF, Pattern.ON) else ""
        # Lit and dark differ in their pattern too, for those who do not see the colours.
        pattern = "░░░░░░" if lamp == "off" else "██████"
        lines += [f"{blink}{CSI}38;5;{shade};48;5;{_UNLIT}m{pattern}{CSI}0m"] * tall
    return lines + [f"{CSI}38;5;240m  ▐▌  {CSI}0m"] * (height - len(lines))


def _screen(view: PanelView, columns: int) -> list[str]:
    """The display in its frame: dark characters on a lit ground."""
    frame = f"{CSI}38;5;240m"
    top, bottom = f"{frame}╭{'─' * (columns + 2)}╮{CSI}0m", f"{frame}╰{'─' * (columns + 2)}╯{CSI}0m"
    rows = [f"{frame}│{CSI}1;38;5;{_DOTS};48;5;{_BACKLIGHT}m {line} {CSI}0m{frame}│{CSI}0m" for line in view.lines]
    return [top, *rows, bottom]

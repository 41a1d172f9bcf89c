"""A stack light and a display in a terminal, drawn in place at its top; what is logged scrolls below.

Each picture is one write between the marks of a synchronised update, so it does not flicker. Where the output is no
terminal, a plain line says what changed: a lamp, or a heading that had not been told since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from edge.panel.console import stopped
from edge.panel.keys import Keys
from edge.panel.painter import Painter
from edge.ports import PanelView, Pattern, Press

CSI = "\x1b["
_LIT = {"red": 196, "amber": 214, "green": 46, "blue": 33}
_DARK = {"red": 52, "amber": 58, "green": 22, "blue": 17}
_BACKLIGHT, _DOTS, _UNLIT, _SHINE, _BLACK = 148, 22, 234, 153, 232
"""Colours of the 256-colour palette."""
TOLD_MAX = 64
PAUSE_S = 0.05


class TerminalPanel:
    """Draws on ``out``, at its top where that is a terminal; ``keys``, where given, is that terminal's input."""

    def __init__(self, display: str, out: TextIO, keys: int | None = None) -> None:
        self.display = display
        self._out = out
        self._drawn = out.isatty()
        self._begun = self._closing = False
        self._heard: Callable[[Press], None] = lambda _: None
        self._keys = Keys(keys, lambda press: self._heard(press)) if keys is not None else None
        self._told: set[tuple[str, ...]] = set()
        self._lamps: tuple[str, ...] | None = None
        self._painter = Painter(self._paint, what="terminal", pause_s=PAUSE_S, trouble=(OSError, ValueError))

    def show(self, view: PanelView) -> None:
        self._painter.show(view)

    def listen(self, heard: Callable[[Press], None]) -> None:
        self._heard = heard

    def trouble(self) -> tuple[str, ...]:
        return self._painter.trouble()

    def close(self) -> None:
        """Say that nobody watches, and give the terminal back."""
        if self._keys is not None:
            self._keys.close()
        self._closing = True
        self._painter.close(stopped(self.display))

    def _paint(self, view: PanelView) -> None:
        text = self._picture(view) if self._drawn else self._line(view)
        if text:
            self._out.write(text)
            self._out.flush()

    def _line(self, view: PanelView) -> str:
        """One plain line, empty where it would say nothing new."""
        lamps = (view.green, view.amber, view.red, view.blue, view.buzzer)
        if lamps != self._lamps or len(self._told) >= TOLD_MAX:
            self._lamps = lamps
            self._told.clear()
        key = view.lines[:1]
        if key in self._told:
            return ""
        self._told.add(key)
        words = " | ".join(line.strip() for line in view.lines if line.strip())
        beeps = ", it beeps" if view.buzzer is not Pattern.OFF else ""
        return f"panel: green {view.green}, amber {view.amber}, red {view.red}, blue {view.blue}{beeps}: {words}\n"

    def _foot(self, view: PanelView) -> str:
        """What stands in the frame's lower edge: the buzzer, and which keys there are."""
        beep = " BEEP " if view.buzzer is not Pattern.OFF else ""
        keys = " a p s t " if self._keys is not None else ""
        return f"─{beep}─{keys}" if beep or keys else ""

    def _picture(self, view: PanelView) -> str:
        screen = _screen(view, self._foot(view))
        height = len(screen)
        tower = _tower(view, height)
        parts = [f"{CSI}?2026h"]
        if not self._begun:
            self._begun = True
            # Clear, and let only what lies below the panel scroll.
            parts.append(f"{CSI}2J{CSI}{height + 2}r{CSI}{height + 2};1H")
        parts.append("\x1b7")
        parts += [f"{CSI}{i + 1};1H {a}  {b}{CSI}K" for i, (a, b) in enumerate(zip(tower, screen, strict=True))]
        parts.append("\x1b8")
        if self._closing:
            parts.append(f"\x1b7{CSI}r\x1b8")
        parts.append(f"{CSI}?2026l")
        return "".join(parts)


def _tower(view: PanelView, height: int) -> list[str]:
    """The stack light, red on top: as many lines a lamp as there is room for, and a foot where some is left."""
    tall = height // 4
    lines = []
    for colour in _LIT:
        lamp: Pattern = getattr(view, colour)
        shade = _DARK[colour] if lamp is Pattern.OFF else _LIT[colour]
        blinks = lamp not in (Pattern.OFF, Pattern.ON)
        blink = f"{CSI}5m" if blinks else ""
        # Lit and dark differ in their pattern too, for those who do not see the colours.
        pattern = "░░░░░░" if lamp is Pattern.OFF else "██████"
        lens = f"{blink}{CSI}38;5;{shade};48;5;{_UNLIT}m{pattern}{CSI}0m"
        lines += [f"{lens} {lamp if blinks else '':7}", *[f"{lens} {'':7}"] * (tall - 1)]
    return lines + [f"{CSI}38;5;240m  ▐▌  {CSI}0m {'':7}"] * (height - len(lines))


def _screen(view: PanelView, foot: str) -> list[str]:
    """The display in its frame: dark characters on a lit ground, or dots that shine."""
    shown = [f" {line} " for line in view.lines] if not view.pixels else _braille(view.pixels)
    colours = f"1;38;5;{_DOTS};48;5;{_BACKLIGHT}" if not view.pixels else f"38;5;{_SHINE};48;5;{_BLACK}"
    frame, width = f"{CSI}38;5;240m", len(shown[0])
    top, bottom = f"{frame}╭{'─' * width}╮{CSI}0m", f"{frame}╰{foot:─<{width}}╯{CSI}0m"
    return [top, *(f"{frame}│{CSI}{colours}m{line}{CSI}0m{frame}│{CSI}0m" for line in shown), bottom]


def _braille(pixels: bytes) -> list[str]:
    """Two by four dots a character."""
    rows = [int.from_bytes(pixels[i : i + 16], "big") for i in range(0, len(pixels), 16)]
    lines = []
    for y in range(0, 64, 4):
        cells = []
        for x in range(126, -1, -2):
            left, right = [row >> x + 1 & 1 for row in rows[y : y + 4]], [row >> x & 1 for row in rows[y : y + 4]]
            bits = (left[0], left[1], left[2], right[0], right[1], right[2], left[3], right[3])
            cells.append(chr(0x2800 + sum(bit << i for i, bit in enumerate(bits))))
        lines.append("".join(cells))
    return lines

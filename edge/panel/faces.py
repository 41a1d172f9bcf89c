"""How each kind of display puts what there is to tell: in lines, or in dots with lines beside them for whoever asks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from edge.errors import ConfigError
from edge.panel import characters, sheets
from edge.panel.displays import DOTS
from edge.panel.displays import characters as size_of
from edge.panel.matters import Matter
from edge.panel.state import PanelState
from edge.panel.text import heading

BLOCK = "\u2588"
"""A cell with all its dots; the display's ROM has it."""


@dataclass(frozen=True, slots=True)
class Screen:
    """What a display shows at once: ``lines``, and the sheet that is drawn where it shows dots."""

    lines: tuple[str, ...]
    sheet: sheets.Sheet | None = None


Drawn = tuple[tuple[str, ...], bytes]
"""``PanelView``'s lines and pixels."""


@dataclass(frozen=True, slots=True)
class Lines:
    """A display of characters."""

    columns: int
    rows: int

    def screens(self, matter: Matter, state: PanelState, trouble: Collection[str]) -> list[Screen]:
        found = characters.screens(matter, state, self.columns, self.rows, trouble=trouble)
        return [Screen(lines) for lines in found]

    def words(self, *lines: str) -> Screen:
        """Words of the panel's own, the first of them a heading."""
        return Screen(characters.page(lines[0], lines[1:], self.columns, self.rows))

    def draw(self, screen: Screen, note: str = "") -> Drawn:
        """``note``, if any, takes the last line's place."""
        last = note[: self.columns].upper().ljust(self.columns)
        return ((*screen.lines[:-1], last) if note else screen.lines), b""

    def lit(self) -> Drawn:
        """All that it has."""
        return (BLOCK * self.columns,) * self.rows, b""


@dataclass(frozen=True, slots=True)
class Dots:
    """A display of dots. Raises ``ConfigError`` where what it draws with is missing."""

    _words: Lines = field(default_factory=lambda: Lines(*size_of(DOTS)))
    _drawing: Any = field(default_factory=lambda: _drawing())

    def screens(self, matter: Matter, state: PanelState, trouble: Collection[str]) -> list[Screen]:
        return [self._screen(sheet) for sheet in sheets.sheets(matter, state, trouble)]

    def _screen(self, sheet: sheets.Sheet) -> Screen:
        title = heading(sheet.name, (sheet.mark,), self._words.columns)
        return Screen(self._words.words(title, *sheet.lines).lines, sheet)

    def words(self, *lines: str) -> Screen:
        return Screen(self._words.words(*lines).lines, sheets.plain(*lines))

    def draw(self, screen: Screen, note: str = "") -> Drawn:
        assert screen.sheet is not None
        lines, _ = self._words.draw(screen, note)
        return lines, self._drawing.draw(replace(screen.sheet, note=note.upper()))

    def lit(self) -> Drawn:
        return self._words.lit()[0], self._drawing.ALL_LIT


def face_of(display: str) -> Lines | Dots:
    return Dots() if display == DOTS else Lines(*size_of(display))


def _drawing() -> Any:
    try:
        from edge.panel import dots
    except ImportError as error:
        hint = "pip install luma.lcd, or choose another display"
        raise ConfigError("panel", f"`display` {DOTS}: {error.name} is not installed", hint) from error
    return dots

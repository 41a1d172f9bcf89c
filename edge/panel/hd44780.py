"""A character display: an HD44780 (font ROM A00) in its 4-bit mode, behind a PCF8574 backpack on I2C.

The start works from whatever state a loss of power or a disturbed nibble left the controller in, and clears nothing, so
that it may be repeated while the display shows (HD44780U data sheet, figure 24).
"""

from __future__ import annotations

import time
from typing import Any

from edge.panel.displays import characters
from edge.ports import PanelView

_ROW_STARTS = (0x00, 0x40, 0x14, 0x54)
_FUNCTION_4BIT_2LINES, _DISPLAY_ON, _ENTRY_RIGHT, _HOME, _ADDRESS = 0x28, 0x0C, 0x06, 0x02, 0x80
_ROM = {"\u2588": 0xFF}
"""Characters that are no ASCII: a cell with all its dots."""


class Hd44780:
    """``serial`` is luma's to a PCF8574: ``command`` and ``data`` take nibbles. All raise where nobody answers."""

    def __init__(self, serial: Any, display: str) -> None:
        self._serial = serial
        self._columns, self._rows = characters(display)
        self._shown: list[bytes] = []

    def start(self) -> None:
        for wait_s in (0.005, 0.001, 0.001):
            self._serial.command(0x3)
            time.sleep(wait_s)
        self._serial.command(0x2)
        for command in (_FUNCTION_4BIT_2LINES, _DISPLAY_ON, _ENTRY_RIGHT, _HOME):
            self._command(command)
        time.sleep(0.002)
        self._shown = []

    def show(self, view: PanelView) -> None:
        """Write what differs; the cursor moves in any case, and so a display that is gone is noticed."""
        rows = [bytes(_ROM.get(c, ord(c)) for c in line) for line in view.lines[: self._rows]]
        before = self._shown or [b"\x00" * self._columns] * len(rows)
        self._shown = []
        self._command(_ADDRESS)
        for start, new, old in zip(_ROW_STARTS, rows, before, strict=False):
            changed = [i for i in range(len(new)) if i >= len(old) or new[i] != old[i]]
            if changed:
                first, last = changed[0], changed[-1]
                self._command(_ADDRESS | (start + first))
                self._serial.data([nibble for byte in new[first : last + 1] for nibble in (byte >> 4, byte & 0xF)])
        self._shown = rows

    def _command(self, byte: int) -> None:
        self._serial.command(byte >> 4, byte & 0xF)

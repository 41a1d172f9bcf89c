"""A display of 128x64 dots on I2C: an SSD1306 or an SH1106, one dot a bit, eight rows a page.

Both are written in page addressing, the only way that they share. luma.oled drives them too, but it adds 5 MB, sends
every frame whole, by a call that Pillow 14 takes away, and cannot be started again while it shows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from edge.ports import PanelView

WIDTH, HEIGHT, PAGES = 128, 64, 8
_COLUMNS = range(WIDTH - 1, -1, -1)

_START = (
    0xD5, 0x80,  # clock
    0xA8, 0x3F,  # 64 rows
    0xD3, 0x00, 0x40,  # no offset, no scrolling
    0xA1, 0xC8,  # columns and rows as the modules are mounted
    0xDA, 0x12,  # rows of pins alternate
    0x81, 0xCF,  # contrast
    0xA4, 0xA6,  # shows its memory, lit where a bit is set
)  # fmt: skip
_OF_CONTROLLER = {
    # Addressing by pages, charge pump, precharge, level of deselected rows.
    "ssd1306": (0x20, 0x02, 0x8D, 0x14, 0xD9, 0xF1, 0xDB, 0x40),
    "sh1106": (0xAD, 0x8B, 0xD9, 0x22, 0xDB, 0x35),
}
_ON, _NOTHING, _PAGE = 0xAF, 0xE3, 0xB0
_FIRST_COLUMN = {"ssd1306": 0, "sh1106": 2}
"""The SH1106 has memory for 132 columns, whose middle is shown."""


class Oled:
    """``serial`` is luma's I2C interface. All raise where nobody answers."""

    def __init__(self, serial: Any, controller: str) -> None:
        self._serial, self._controller = serial, controller
        self._shown: tuple[bytes, ...] = ()

    def start(self) -> None:
        """Set it up, from whatever state, without a change of what it shows."""
        self._serial.command(*_START)
        self._serial.command(*_OF_CONTROLLER[self._controller], _ON)
        self._shown = ()

    def show(self, view: PanelView) -> None:
        """Write the pages that differ; a display that is gone is noticed in any case."""
        pages = pages_of(view.pixels)
        before, self._shown = self._shown, ()
        self._serial.command(_NOTHING)
        column = _FIRST_COLUMN[self._controller]
        for number, page in enumerate(pages):
            if not before or page != before[number]:
                self._serial.command(_PAGE | number, column & 0xF, 0x10 | column >> 4)
                self._serial.data(page)
        self._shown = pages


@lru_cache(maxsize=2)
def pages_of(pixels: bytes) -> tuple[bytes, ...]:
    """The controller's eight pages of 128 bytes, a column of eight dots each, the topmost its lowest bit.

    ``pixels`` is a picture by rows, as in ``PanelView``; an empty one is dark. Without numpy, which would double the
    panel's process.
    """
    pixels = pixels or bytes(WIDTH * HEIGHT // 8)
    rows = [int.from_bytes(pixels[i : i + WIDTH // 8], "big") for i in range(0, len(pixels), WIDTH // 8)]
    return tuple(
        bytes(sum((row >> x & 1) << y for y, row in enumerate(rows[8 * page : 8 * page + 8])) for x in _COLUMNS)
        for page in range(PAGES)
    )

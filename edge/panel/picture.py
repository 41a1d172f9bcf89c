"""Draws a view: an enclosure's door with a stack light, a display, a buzzer and buttons. Needs Pillow and luma.lcd.

Shapes are smooth; dots are drawn at their own size, for sharp ones. Tower and door are kept as long as lamps and buzzer
stay as they are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from luma.core.bitmap_font import embedded_fonts
from luma.lcd.const import hd44780
from PIL import Image, ImageDraw, ImageFont

from edge.panel.brush import SMOOTH, Colour, box, disc
from edge.panel.faces import BLOCK
from edge.panel.lamps import Lamps
from edge.panel.tower import tower
from edge.ports import PanelView, Pattern

DOT, CELL_W, CELL_H = 4, 6, 9
"""A dot's pitch in pixels; a character's in dots, with the gap to the next."""
BEZEL, MARGIN, TOWER_W, BUTTONS_H = 26, 34, 166, 104
TOWER_AT = (24, 24)
HEIGHT_MIN = 372

DOOR, DOOR_EDGE, INK = (216, 219, 214), (168, 172, 168), (92, 98, 96)
GLASS, GLASS_OFF, DOT_ON = (171, 206, 46), (160, 195, 42), (28, 43, 10)
OLED, OLED_ON = (8, 10, 14), (186, 226, 255)
SOUND: Colour = (255, 120, 40)
_BUTTONS: tuple[tuple[str, Colour], ...] = (
    ("ACK", (40, 96, 190)), ("PAGE", (236, 238, 236)), ("SILENCE", (46, 48, 50)), ("TEST", (150, 154, 152)),
)  # fmt: skip


def draw(view: PanelView) -> Image.Image:
    """The picture of ``view``, RGB, whose size follows from its display's."""
    glass = _oled(view.pixels) if view.pixels else _glass(view.lines)
    lamps = Lamps(view.green, view.amber, view.red, view.blue)
    image = _door(glass.size, sounding=view.buzzer is not Pattern.OFF).copy()
    image.paste(tower(lamps, image.height - 42, DOOR), TOWER_AT)
    image.paste(glass, _glass_at(glass.size))
    return image


def _glass_at(size: tuple[int, int]) -> tuple[int, int]:
    return MARGIN + TOWER_W + BEZEL, (_height(size) - BUTTONS_H - size[1]) // 2 + 8


def _height(size: tuple[int, int]) -> int:
    return max(HEIGHT_MIN, size[1] + 2 * BEZEL + BUTTONS_H + 48)


@lru_cache(maxsize=1)
def _font() -> Any:
    """The display's own characters (ROM A00)."""
    return embedded_fonts(hd44780.FONTDATA, selected_font=0)


def _glass(lines: tuple[str, ...]) -> Image.Image:
    """The lit display: every dot of every character is there, and those of the text are dark."""
    columns, rows = len(lines[0]), len(lines)
    size = (columns * CELL_W + 3, rows * CELL_H + 3)
    off, on = Image.new("1", size), Image.new("1", size)
    cell = Image.new("1", (5, 8), 1)
    for y, line in enumerate(lines):
        text = Image.new("1", (columns * 5, 8))
        ImageDraw.Draw(text).text((0, 0), line.replace(BLOCK, " "), fill=1, font=_font())
        for x in range(columns):
            at = (2 + x * CELL_W, 2 + y * CELL_H)
            off.paste(cell, at)
            on.paste(cell if line[x] == BLOCK else text.crop((x * 5, 0, x * 5 + 5, 8)), at)
    glass = Image.new("RGB", (size[0] * DOT, size[1] * DOT), GLASS)
    glass.paste(GLASS_OFF, mask=_dots(off))
    glass.paste(DOT_ON, mask=_dots(on))
    return glass


def _oled(pixels: bytes) -> Image.Image:
    """Dots that shine on black."""
    glass = Image.new("RGB", (132 * DOT, 68 * DOT), OLED)
    glass.paste(OLED_ON, (2 * DOT, 2 * DOT), mask=_dots(Image.frombytes("1", (128, 64), pixels), gap=96))
    return glass


def _dots(image: Image.Image, *, gap: int = 0) -> Image.Image:
    """Each pixel as a square dot with a gap to the next, whose brightness is ``gap`` in 255 of a dot's."""
    large = image.convert("L").resize((image.width * DOT, image.height * DOT), Image.Resampling.NEAREST)
    large.paste(large.point(lambda light: light * gap // 255), mask=_grid(*large.size))
    return large


@lru_cache(maxsize=4)
def _grid(width: int, height: int) -> Image.Image:
    grid = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(grid)
    for x in range(DOT - 1, width, DOT):
        pen.line((x, 0, x, height), fill=255)
    for y in range(DOT - 1, height, DOT):
        pen.line((0, y, width, y), fill=255)
    return grid


@lru_cache(maxsize=6)
def _door(size: tuple[int, int], *, sounding: bool) -> Image.Image:
    """All but tower and glass."""
    left, top = _glass_at(size)
    right, bottom = left + size[0], top + size[1]
    width, height = right + BEZEL + MARGIN, _height(size)
    door = Image.new("RGB", (width * SMOOTH, height * SMOOTH), DOOR)
    pen = ImageDraw.Draw(door)
    box(pen, (6, 6, width - 7, height - 7), 10, outline=DOOR_EDGE, width=2)
    for x in (16, width - 17):
        for y in (16, height - 17):
            _screw(pen, x, y)
    box(pen, (left - BEZEL, top - BEZEL, right + BEZEL - 1, bottom + BEZEL - 1), 8, fill=(34, 36, 38))
    box(pen, (left - 7, top - 7, right + 6, bottom + 6), 4, fill=(12, 13, 14))
    y = bottom + BEZEL + 38
    pitch = (size[0] + 2 * BEZEL) // 5
    for number, (name, colour) in enumerate(_BUTTONS):
        _button(pen, left - BEZEL + pitch * number + pitch // 2, y, name, colour)
    _buzzer(pen, left - BEZEL + pitch * 4 + pitch // 2, y, sounding=sounding)
    small = door.resize((width, height), Image.Resampling.LANCZOS)
    ImageDraw.Draw(small).text((width - 34, height - 23), "B A B B I T T", fill=INK, anchor="ra",
                               font=ImageFont.load_default(11))  # fmt: skip
    return small


def _button(pen: ImageDraw.ImageDraw, x: int, y: int, name: str, colour: Colour) -> None:
    disc(pen, (x, y), 21, fill=(120, 124, 122), outline=(96, 100, 98), width=2)
    disc(pen, (x, y), 16, fill=colour, outline=(60, 64, 62))
    _label(pen, x, y + 36, name)


def _buzzer(pen: ImageDraw.ImageDraw, x: int, y: int, *, sounding: bool) -> None:
    disc(pen, (x, y), 19, fill=(40, 42, 44), outline=(96, 100, 98), width=2)
    for ring in (5, 11):
        disc(pen, (x, y), 16 - ring, fill=(40, 42, 44), outline=(120, 124, 122))
    if sounding:
        for reach in (25, 32):
            bounds = ((x - reach) * SMOOTH, (y - reach) * SMOOTH, (x + reach) * SMOOTH, (y + reach) * SMOOTH)
            for side in (-35, 145):
                pen.arc(bounds, side, side + 70, fill=SOUND, width=3 * SMOOTH)
    _label(pen, x, y + 36, "BEEPS" if sounding else "BUZZER")


def _label(pen: ImageDraw.ImageDraw, x: int, y: int, words: str) -> None:
    font = ImageFont.load_default(13 * SMOOTH)
    pen.text((x * SMOOTH, y * SMOOTH), words, fill=INK, anchor="mm", font=font)


def _screw(pen: ImageDraw.ImageDraw, x: int, y: int) -> None:
    disc(pen, (x, y), 4, fill=(190, 193, 190), outline=DOOR_EDGE)
    x, y, r = x * SMOOTH, y * SMOOTH, 2 * SMOOTH
    pen.line((x - r, y - r, x + r, y + r), fill=INK, width=SMOOTH)

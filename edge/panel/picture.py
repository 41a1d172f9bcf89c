"""Draws a view: an enclosure's door with a stack light and a character display. Needs Pillow and luma.lcd.

Shapes are drawn at three times the size and reduced, for smooth edges; dots at their own size, for sharp ones.
Everything but the dots depends on the lamps alone and is kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from luma.core.bitmap_font import embedded_fonts
from luma.lcd.const import hd44780
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edge.ports import PanelView, Pattern

DOT, CELL_W, CELL_H = 4, 6, 9
"""A dot's pitch in pixels; a character's in dots, with the gap to the next."""
SMOOTH = 3
BEZEL, MARGIN, TOWER_W, TOP, HEIGHT = 26, 34, 126, 34, 308

Colour = tuple[int, int, int]
DOOR, DOOR_EDGE, INK = (216, 219, 214), (168, 172, 168), (92, 98, 96)
GLASS, GLASS_OFF, DOT_ON = (171, 206, 46), (160, 195, 42), (28, 43, 10)
LIT: dict[str, Colour] = {"red": (255, 46, 32), "amber": (255, 170, 0), "green": (24, 214, 72)}
DARK: dict[str, Colour] = {"red": (88, 26, 24), "amber": (98, 68, 18), "green": (20, 74, 38)}


def draw(view: PanelView) -> Image.Image:
    """The picture of ``view``, RGB, whose size follows from the number of columns and rows."""
    columns, rows = len(view.lines[0]), len(view.lines)
    image = _door(columns, rows, view.red, view.amber, view.green).copy()
    image.paste(_glass(view.lines), _glass_at(columns, rows))
    return image


def _glass_at(columns: int, rows: int) -> tuple[int, int]:
    return MARGIN + TOWER_W + BEZEL, (HEIGHT - _glass_size(columns, rows)[1]) // 2 - 6


def _glass_size(columns: int, rows: int) -> tuple[int, int]:
    return (columns * CELL_W + 3) * DOT, (rows * CELL_H + 3) * DOT


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
        ImageDraw.Draw(text).text((0, 0), line, fill=1, font=_font())
        for x in range(columns):
            at = (2 + x * CELL_W, 2 + y * CELL_H)
            off.paste(cell, at)
            on.paste(text.crop((x * 5, 0, x * 5 + 5, 8)), at)
    glass = Image.new("RGB", (size[0] * DOT, size[1] * DOT), GLASS)
    glass.paste(GLASS_OFF, mask=_dots(off))
    glass.paste(DOT_ON, mask=_dots(on))
    return glass


def _dots(image: Image.Image) -> Image.Image:
    """Each pixel as a square dot with a gap to the next."""
    large = image.convert("L").resize((image.width * DOT, image.height * DOT), Image.Resampling.NEAREST)
    large.paste(0, mask=_grid(*large.size))
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


@lru_cache(maxsize=9)
def _door(columns: int, rows: int, red: str, amber: str, green: str) -> Image.Image:
    """All but the glass."""
    glass_w, glass_h = _glass_size(columns, rows)
    left, top = _glass_at(columns, rows)
    width = left + glass_w + BEZEL + MARGIN
    height = HEIGHT
    door = Image.new("RGB", (width * SMOOTH, height * SMOOTH), DOOR)
    pen = ImageDraw.Draw(door)
    _box(pen, (6, 6, width - 7, height - 7), 10, outline=DOOR_EDGE, width=2)
    for x in (16, width - 17):
        for y in (16, height - 17):
            _screw(pen, x, y)
    _box(pen, (left - BEZEL, top - BEZEL, left + glass_w + BEZEL - 1, top + glass_h + BEZEL - 1), 8, fill=(34, 36, 38))
    _box(pen, (left - 7, top - 7, left + glass_w + 6, top + glass_h + 6), 4, fill=(12, 13, 14))
    door = _tower(door, height, red, amber, green)
    small = door.resize((width, height), Image.Resampling.LANCZOS)
    ImageDraw.Draw(small).text((left + glass_w + BEZEL - 1, height - 28), "B A B B I T T", fill=INK, anchor="ra",
                               font=ImageFont.load_default(15))  # fmt: skip
    return small


def _tower(door: Image.Image, height: int, red: str, amber: str, green: str) -> Image.Image:
    """The stack light: cap, three lenses, foot. A lit lens glows; one that blinks is drawn with rays."""
    x0, x1 = MARGIN + 16, MARGIN + 76
    y = TOP - 6
    lens_h = (height - 2 * TOP - 34) // 3
    pen = ImageDraw.Draw(door)
    _box(pen, (x0, y - 6, x1, y + 8), 6, fill=(52, 55, 57))
    for name, lamp in (("red", red), ("amber", amber), ("green", green)):
        if lamp != "off":
            door = _glow(door, (x0, y + 8, x1, y + lens_h), LIT[name])
            pen = ImageDraw.Draw(door)
        _lens(pen, (x0, y + 6, x1, y + lens_h), LIT[name] if lamp != "off" else DARK[name], lit=lamp != "off")
        if lamp not in (Pattern.OFF, Pattern.ON):
            _rays(pen, x0, x1, y + 6 + lens_h // 2, LIT[name])
        _box(pen, (x0 - 2, y + lens_h - 1, x1 + 2, y + lens_h + 6), 3, fill=(52, 55, 57))
        y += lens_h + 3
    middle = (x0 + x1) // 2
    _box(pen, (middle - 9, y + 2, middle + 9, height - 24), 2, fill=(74, 78, 80))
    _box(pen, (x0 - 8, height - 28, x1 + 8, height - 16), 4, fill=(52, 55, 57))
    return door


def _lens(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: Colour, *, lit: bool) -> None:
    """A ribbed cylinder: brighter towards its middle, where a lit one is almost white."""
    x0, y0, x1, y1 = box
    for x in range(x0 * SMOOTH, (x1 + 1) * SMOOTH):
        across = (x / SMOOTH - x0) / (x1 - x0) * 2.0 - 1.0
        round_ = max(0.0, 1.0 - across * across) ** 0.5
        shade = 0.55 + 0.45 * round_
        white = max(0.0, round_ - 0.55) * (1.1 if lit else 0.22)
        tone = tuple(round(min(255.0, c * shade + (255 - c * shade) * white)) for c in colour)
        pen.line((x, y0 * SMOOTH, x, (y1 + 1) * SMOOTH), fill=tone)
    rib = tuple(round(c * 0.72) for c in colour)
    for y in range(y0 + 8, y1, 9):
        pen.line((x0 * SMOOTH, y * SMOOTH, (x1 + 1) * SMOOTH - 1, y * SMOOTH), fill=rib, width=1)


def _glow(door: Image.Image, box: tuple[int, int, int, int], colour: Colour) -> Image.Image:
    """Light that falls on the door around a lit lens."""
    x0, y0, x1, y1 = box
    mask = Image.new("L", (door.width // SMOOTH, door.height // SMOOTH), 0)
    ImageDraw.Draw(mask).rounded_rectangle((x0 - 8, y0, x1 + 8, y1), 8, fill=190)
    mask = mask.filter(ImageFilter.GaussianBlur(9)).resize(door.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", door.size, colour), door, mask)


def _rays(pen: ImageDraw.ImageDraw, x0: int, x1: int, y: int, colour: Colour) -> None:
    for side, x in ((-1, x0 - 8), (1, x1 + 8)):
        for slope in (-1, 0, 1):
            start = (x * SMOOTH, (y + slope * 11) * SMOOTH)
            end = ((x + side * 12) * SMOOTH, (y + slope * 18) * SMOOTH)
            pen.line((*start, *end), fill=colour, width=4 * SMOOTH)


def _screw(pen: ImageDraw.ImageDraw, x: int, y: int) -> None:
    x, y, r = x * SMOOTH, y * SMOOTH, 4 * SMOOTH
    pen.ellipse((x - r, y - r, x + r, y + r), fill=(190, 193, 190), outline=DOOR_EDGE, width=SMOOTH)
    pen.line((x - r // 2, y - r // 2, x + r // 2, y + r // 2), fill=INK, width=SMOOTH)


def _box(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    radius: int,
    *,
    fill: Colour | None = None,
    outline: Colour | None = None,
    width: int = 0,
) -> None:
    """A rounded box, given at the picture's own size."""
    x0, y0, x1, y1 = box
    scaled = (x0 * SMOOTH, y0 * SMOOTH, (x1 + 1) * SMOOTH - 1, (y1 + 1) * SMOOTH - 1)
    pen.rounded_rectangle(scaled, radius * SMOOTH, fill=fill, outline=outline, width=width * SMOOTH)

"""Draws sheets on 128x64 dots. Needs Pillow and luma.core, whose fonts it takes.

Three sizes of type: names twice as large as the words below them, and small ones for what is beside a bar.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from luma.core.bitmap_font import embedded_fonts
from luma.core.legacy.font import CP437_FONT
from luma.lcd.const import hd44780
from PIL import Image, ImageDraw

from edge.panel.sheets import Life, Sheet, Sign

WIDTH, HEIGHT = 128, 64
ALL_LIT = b"\xff" * (WIDTH * HEIGHT // 8)
STRIP_Y = 53
BODY_Y, LINE_H = 20, 11
LIFE_LEAST_H, LIFE_MOST_H = 5.0, 20_000.0
NOTCHES_H = (48.0, 168.0)
"""Where the life bar is notched: less is critical, or a warning."""


@lru_cache(maxsize=32)
def draw(sheet: Sheet) -> bytes:
    """``PanelView.pixels`` of it."""
    image = Image.new("1", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(image)
    _title(image, sheet)
    if sheet.tiles:
        _tiles(image, sheet.tiles)
        _words(image, sheet.lines, 35 if len(sheet.lines) > 1 else 38, 8)
    elif sheet.health is not None or sheet.life is not None:
        _bars(image, pen, sheet)
    else:
        _words(image, sheet.lines, BODY_Y, LINE_H)
    _strip(image, pen, sheet)
    return image.tobytes()


def _title(image: Image.Image, sheet: Sheet) -> None:
    """Names of up to nine letters wide, longer ones high; the sign on the right."""
    room = WIDTH - (16 if sheet.sign else 0)
    wide = len(sheet.name) * 12 <= room
    glyphs = small(sheet.name) if wide else large(sheet.name)
    scaled = glyphs.resize((glyphs.width * (2 if wide else 1), 16), Image.Resampling.NEAREST)
    image.paste(scaled.crop((0, 0, min(room, scaled.width), 16)), (0, 0))
    if sheet.sign:
        image.paste(icon(sheet.sign), (WIDTH - 16, 0))


def _words(image: Image.Image, lines: tuple[str, ...], y: int, height: int) -> None:
    for number, line in enumerate(lines):
        image.paste(large(line), (0, y + number * height))


def _tiles(image: Image.Image, tiles: tuple[Sign, ...]) -> None:
    """A box for each machine, in the order of the pages."""
    pitch = min(20, WIDTH // len(tiles))
    left = (WIDTH - pitch * len(tiles)) // 2
    for number, sign in enumerate(tiles):
        x = left + number * pitch
        tile = icon(sign).resize((pitch - 4, 12), Image.Resampling.NEAREST) if pitch < 16 else icon(sign)
        image.paste(tile, (x + (pitch - tile.width) // 2, 18))


def _bars(image: Image.Image, pen: ImageDraw.ImageDraw, sheet: Sheet) -> None:
    if sheet.health is not None:
        image.paste(small("HEALTH"), (0, 20))
        pen.rectangle((38, 19, 94, 28), outline=1)
        pen.rectangle((40, 21, 40 + round(52 * min(100.0, max(0.0, sheet.health)) / 100), 26), fill=1)
        image.paste(large(f"{sheet.health:.0f}%"), (WIDTH - 8 * len(f"{sheet.health:.0f}%"), 20))
    if sheet.life is not None:
        image.paste(small("BY AGE" if sheet.life.by_age else "LIFE"), (0, 33))
        _life(pen, sheet.life)
    _words(image, sheet.lines, 43, 9)


def _life(pen: ImageDraw.ImageDraw, life: Life) -> None:
    """On a scale that is the same for all machines: solid up to the interval's lower end, then dots; a tick at the best
    guess."""
    left, right, top, bottom = 38, WIDTH - 1, 32, 40
    pen.rectangle((left, top, right, bottom), outline=1)
    for notch_h in NOTCHES_H:
        x = left + 2 + _along(notch_h, right - left - 4)
        pen.line((x, top - 2, x, top), fill=1)
    low, high, middle = (left + 2 + _along(h, right - left - 4) for h in (life.low_h, life.high_h, life.hours))
    pen.rectangle((left + 2, top + 2, low, bottom - 2), fill=1)
    for x in range(low + 1, high + 1):
        pen.point([(x, y) for y in range(top + 2, bottom - 1) if (x + y) % 2], fill=1)
    pen.line((middle, top + 1, middle, bottom - 1), fill=1)
    pen.line((middle + 1, top + 1, middle + 1, bottom - 1), fill=0)
    pen.line((middle - 1, top + 1, middle - 1, bottom - 1), fill=0)


def _along(hours: float, width: int) -> int:
    """Where on a logarithmic bar so many hours are."""
    share = math.log(max(hours, LIFE_LEAST_H) / LIFE_LEAST_H) / math.log(LIFE_MOST_H / LIFE_LEAST_H)
    return round(width * min(1.0, share))


def _strip(image: Image.Image, pen: ImageDraw.ImageDraw, sheet: Sheet) -> None:
    if sheet.note:
        pen.rectangle((0, STRIP_Y - 1, WIDTH - 1, HEIGHT - 1), fill=1)
        image.paste(inverse(large(sheet.note[:16])), ((WIDTH - 8 * len(sheet.note[:16])) // 2, STRIP_Y + 1))
        return
    if sheet.mark:
        width = 8 * len(sheet.mark)
        if sheet.loud:
            pen.rectangle((0, STRIP_Y - 1, width + 3, HEIGHT - 1), fill=1)
        glyphs = large(sheet.mark)
        image.paste(inverse(glyphs) if sheet.loud else glyphs, (2 if sheet.loud else 0, STRIP_Y + 1))
    if sheet.detail:
        image.paste(small(sheet.detail), (WIDTH - 16 - 6 * len(sheet.detail), STRIP_Y + 2))
    if sheet.uplink is not None:
        image.paste(_uplink(up=sheet.uplink), (WIDTH - 13, STRIP_Y))


def inverse(image: Image.Image) -> Image.Image:
    return image.point(lambda dot: 0 if dot else 255, "1")


@lru_cache(maxsize=64)
def small(text: str) -> Image.Image:
    """In letters of five by seven dots, six apart."""
    narrow = Image.new("1", (5 * len(text), 8))
    ImageDraw.Draw(narrow).text((0, 0), text, fill=1, font=_font())
    image = Image.new("1", (6 * len(text), 8))
    for i in range(len(text)):
        image.paste(narrow.crop((5 * i, 0, 5 * i + 5, 8)), (6 * i, 0))
    return image


@lru_cache(maxsize=64)
def large(text: str) -> Image.Image:
    """In bold letters of eight by eight."""
    image = Image.new("1", (8 * len(text), 8))
    dots = [
        (8 * i + x, y)
        for i, letter in enumerate(text.encode("ascii", "replace"))
        for x, column in enumerate(CP437_FONT[letter])
        for y in range(8)
        if column >> y & 1
    ]
    ImageDraw.Draw(image).point(dots, fill=1)
    return image


@lru_cache(maxsize=1)
def _font() -> Any:
    return embedded_fonts(hd44780.FONTDATA, selected_font=0)


@lru_cache(maxsize=8)
def icon(sign: Sign) -> Image.Image:
    """Sixteen by fifteen dots."""
    image = Image.new("1", (16, 15))
    pen = ImageDraw.Draw(image)
    if sign is Sign.GOOD:
        for offset in range(3):
            pen.line((2, 6 + offset, 6, 10 + offset, 14, 1 + offset), fill=1)
    elif sign is Sign.ALARM:
        pen.polygon(((7, 0), (8, 0), (15, 14), (0, 14)), fill=1)
        pen.rectangle((7, 5, 8, 9), fill=0)
        pen.rectangle((7, 11, 8, 12), fill=0)
    elif sign is Sign.NOTICE:
        pen.polygon(((7, 0), (8, 0), (15, 14), (0, 14)), outline=1)
        pen.rectangle((7, 5, 8, 9), fill=1)
        pen.rectangle((7, 11, 8, 12), fill=1)
    elif sign is Sign.SILENT:
        for offset in range(-1, 2):
            pen.line((2 + offset, 2, 13 + offset, 13), fill=1)
            pen.line((13 + offset, 2, 2 + offset, 13), fill=1)
    elif sign is Sign.UNKNOWN:
        image.paste(large("?").resize((16, 16), Image.Resampling.NEAREST).crop((0, 0, 16, 15)), (0, 0))
    return image


def _uplink(*, up: bool) -> Image.Image:
    """An arrow up; with a cross beside it where nothing goes up."""
    image = Image.new("1", (13, 10))
    pen = ImageDraw.Draw(image)
    left = 3 if up else 0
    pen.polygon(((left + 3, 0), (left + 6, 4), (left, 4)), fill=1)
    pen.rectangle((left + 2, 4, left + 4, 9), fill=1)
    if not up:
        pen.line((8, 4, 12, 8), fill=1)
        pen.line((12, 4, 8, 8), fill=1)
        pen.line((8, 5, 11, 8), fill=1)
        pen.line((12, 5, 9, 8), fill=1)
    return image

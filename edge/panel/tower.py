"""Draws the stack light of a panel's picture: cap, four lenses, foot. Needs Pillow.

A lit lens glows. One that blinks has rays, as many as its pattern is quick, or arcs, one for each of its flashes, and
its pattern's name beside it, for a picture stands still.
"""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edge.panel.brush import SMOOTH, Colour, box
from edge.panel.lamps import Lamps
from edge.ports import Pattern

STRIP_W, LEFT, WIDTH, GAP = 166, 26, 60, 3
FRAME: Colour = (52, 55, 57)
POLE: Colour = (74, 78, 80)
WORDS: Colour = (70, 75, 74)
LIT: dict[str, Colour] = {"red": (255, 46, 32), "amber": (255, 170, 0), "green": (24, 214, 72), "blue": (40, 130, 255)}
DARK: dict[str, Colour] = {"red": (88, 26, 24), "amber": (98, 68, 18), "green": (20, 74, 38), "blue": (24, 42, 96)}
NAMES = {Pattern.SLOW: "slow", Pattern.FAST: "fast", Pattern.FLASH: "flash", Pattern.DOUBLE: "2 flashes"}


@lru_cache(maxsize=16)
def tower(lamps: Lamps, height: int, ground: Colour) -> Image.Image:
    """A strip of the door, ``STRIP_W`` wide, with the tower on it."""
    x0, x1 = LEFT, LEFT + WIDTH
    top, bottom = 10, height
    door = Image.new("RGB", (STRIP_W * SMOOTH, height * SMOOTH), ground)
    lens_h = (bottom - top - 46) // 4 - GAP
    pen = ImageDraw.Draw(door)
    box(pen, (x0, top - 6, x1, top + 8), 6, fill=FRAME)
    y = top + 6
    for name in ("red", "amber", "green", "blue"):
        pattern: Pattern = getattr(lamps, name)
        lens = (x0, y, x1, y + lens_h - 6)
        if pattern is not Pattern.OFF:
            door = _glow(door, lens, LIT[name])
        pen = ImageDraw.Draw(door)
        _lens(pen, lens, LIT[name] if pattern is not Pattern.OFF else DARK[name], lit=pattern is not Pattern.OFF)
        _halo(pen, lens, pattern, LIT[name])
        box(pen, (x0 - 2, y + lens_h - 7, x1 + 2, y + lens_h), 3, fill=FRAME)
        y += lens_h + GAP
    middle = (x0 + x1) // 2
    box(pen, (middle - 9, y - 2, middle + 9, bottom - 10), 2, fill=POLE)
    box(pen, (x0 - 8, bottom - 14, x1 + 8, bottom - 2), 4, fill=FRAME)
    return door.resize((STRIP_W, height), Image.Resampling.LANCZOS)


def _lens(pen: ImageDraw.ImageDraw, lens: tuple[int, int, int, int], colour: Colour, *, lit: bool) -> None:
    """A ribbed cylinder: brighter towards its middle, where a lit one is almost white."""
    x0, y0, x1, y1 = lens
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


def _glow(door: Image.Image, lens: tuple[int, int, int, int], colour: Colour) -> Image.Image:
    """Light that falls on the door around a lit lens."""
    x0, y0, x1, y1 = lens
    mask = Image.new("L", (door.width // SMOOTH, door.height // SMOOTH), 0)
    ImageDraw.Draw(mask).rounded_rectangle((x0 - 8, y0, x1 + 8, y1), 8, fill=190)
    mask = mask.filter(ImageFilter.GaussianBlur(9)).resize(door.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", door.size, colour), door, mask)


def _halo(pen: ImageDraw.ImageDraw, lens: tuple[int, int, int, int], pattern: Pattern, colour: Colour) -> None:
    if pattern not in NAMES:
        return
    x0, y0, x1, y1 = lens
    middle = (y0 + y1) // 2
    font = ImageFont.load_default(12 * SMOOTH)
    pen.text(((x1 + 29) * SMOOTH, middle * SMOOTH), NAMES[pattern], fill=WORDS, anchor="lm", font=font)
    if pattern in (Pattern.SLOW, Pattern.FAST):
        for side, x in ((-1, x0 - 8), (1, x1 + 8)):
            for slope in (-1, 0, 1) if pattern is Pattern.FAST else (0,):
                start = (x * SMOOTH, (middle + slope * 10) * SMOOTH)
                end = ((x + side * 12) * SMOOTH, (middle + slope * 16) * SMOOTH)
                pen.line((*start, *end), fill=colour, width=4 * SMOOTH)
        return
    for ring in range(2 if pattern is Pattern.DOUBLE else 1):
        reach = 14 + 7 * ring
        for x, turned in ((x1 - 2, 0), (x0 + 2, 180)):
            bounds = ((x - reach) * SMOOTH, (middle - reach) * SMOOTH, (x + reach) * SMOOTH, (middle + reach) * SMOOTH)
            pen.arc(bounds, turned - 40, turned + 40, fill=colour, width=3 * SMOOTH)

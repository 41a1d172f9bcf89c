"""What the parts of a panel's picture are drawn with. Needs Pillow.

Shapes are drawn at ``SMOOTH`` times the size and reduced, for smooth edges.
"""

from __future__ import annotations

from PIL import ImageDraw

SMOOTH = 3

Colour = tuple[int, int, int]


def box(
    pen: ImageDraw.ImageDraw,
    corners: tuple[int, int, int, int],
    radius: int,
    *,
    fill: Colour | None = None,
    outline: Colour | None = None,
    width: int = 0,
) -> None:
    """A rounded box, given at the picture's own size."""
    x0, y0, x1, y1 = corners
    scaled = (x0 * SMOOTH, y0 * SMOOTH, (x1 + 1) * SMOOTH - 1, (y1 + 1) * SMOOTH - 1)
    pen.rounded_rectangle(scaled, radius * SMOOTH, fill=fill, outline=outline, width=width * SMOOTH)


def disc(
    pen: ImageDraw.ImageDraw, middle: tuple[int, int], radius: int, *, fill: Colour, outline: Colour, width: int = 1
) -> None:
    x, y, r = middle[0] * SMOOTH, middle[1] * SMOOTH, radius * SMOOTH
    pen.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline, width=width * SMOOTH)

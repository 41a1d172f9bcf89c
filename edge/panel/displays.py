"""The kinds of display by the names that the site file gives them."""

from __future__ import annotations

DOTS = "128x64"
NONE = "none"


def characters(display: str) -> tuple[int, int]:
    """Columns and rows of its text; those of 20x4 where it shows none, for whoever asks what it would say."""
    if display in (DOTS, NONE):
        return 20, 4
    columns, rows = display.split("x")
    return int(columns), int(rows)

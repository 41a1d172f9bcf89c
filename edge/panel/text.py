"""Words for a character display of 16 or 20 columns: what an HD44780 can show, cut where a reader would cut."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.deferred import Deferred

if TYPE_CHECKING:
    import unicodedata
else:
    unicodedata = Deferred("unicodedata")  # its tables weigh a megabyte, and most names are ASCII

_REPLACED = str.maketrans({
    "×": "x", "–": "-", "—": "-", "±": "+", "µ": "u", "μ": "u", "°": "", "…": "..", "’": "'", "≥": ">", "≤": "<",
    "−": "-", "‐": "-", "‑": "-", "⁄": "/", "→": "->", "←": "<-", "·": ".", "•": "*", "€": "EUR", "Ω": "Ohm",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "‚": "'",
    "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H",
    "\\": "/", "~": "-", "{": "(", "}": ")",
})  # fmt: skip
"""The last row: the display's ROM (A00) has a yen sign and arrows in their places, and no braces."""


def to_ascii(text: str) -> str:
    """``text`` in the characters that the display's ROM shares with ASCII; accents go, the rest is ``?``."""
    plain = text.translate(_REPLACED)
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain).translate(_REPLACED)
        plain = "".join(c for c in plain if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return "".join(c if " " <= c < "\x7f" else " " if c.isspace() else "?" for c in plain)


def readable(name: str, otherwise: str) -> str:
    """``name``, or ``otherwise`` where the display has no characters for half of it: machines must differ."""
    lost = to_ascii(name).count("?") - name.count("?")
    return otherwise if 2 * lost >= len("".join(name.split())) else name


TAIL_MAX = 3
"""Longer words without a digit at a name's end are cut with the rest of it."""


def short_name(name: str, width: int) -> str:
    """``name`` in at most ``width`` characters; a number or letters at its end, which tell machines apart, are kept."""
    if len(name) <= width:
        return name
    head, _, tail = name.rpartition(" ")
    if head and (len(tail) <= TAIL_MAX or any(c.isdigit() for c in tail)) and len(tail) < width - 1:
        return f"{head[: width - 1 - len(tail)].rstrip()} {tail}"
    return name[:width].rstrip()


def heading(name: str, marks: Sequence[str], columns: int) -> str:
    """The name on the left; on the right the longest mark that leaves it whole, else the last with a short name."""
    name = to_ascii(name).upper()
    mark = next((m for m in marks if len(name) + 1 + len(m) <= columns), marks[-1])
    return short_name(name, columns - 1 - len(mark)).ljust(columns - len(mark)) + mark


def wrap(text: str, columns: int, lines_max: int) -> list[str]:
    """``text`` broken at spaces into at most ``lines_max`` lines; what was cut shows as two dots."""
    lines = textwrap.wrap(to_ascii(text), columns, break_on_hyphens=False)
    if len(lines) > lines_max:
        lines = lines[:lines_max]
        last = lines[-1]
        # A number cut in half would be another number.
        whole = last if len(last) <= columns - 2 else last[: columns - 1].rpartition(" ")[0] or last[: columns - 2]
        lines[-1] = whole[: columns - 2].rstrip(" ,:;.") + ".."
    return lines


def fitting(variants: Sequence[str], columns: int) -> str:
    """The first of ``variants`` that fits, else the last, cut."""
    return next((v for v in variants if len(v) <= columns), variants[-1][:columns])


_TERSE = (
    (" times its healthy value", "x normal"), (" times ", "x "), (" its ", " "), (" the ", " "), (" is ", " "),
    (" are ", " "), (" has ", " "), ("temperature", "temp"), ("vibration", "vibr"), ("acceleration", "accel"),
)  # fmt: skip


def terse(text: str) -> str:
    """``text`` without the words that a small display has no room for."""
    text = to_ascii(text)
    for long, short in _TERSE:
        text = text.replace(long, short)
    return text


def hours(value_h: float) -> str:
    """Hours in at most four characters."""
    if value_h >= 9999.5:
        return f"{min(value_h / 1000, 999):.0f}k"
    return f"{value_h:.1f}" if value_h < 9.95 else f"{value_h:.0f}"


def count(number: int) -> str:
    """A count in at most five characters."""
    for limit, divisor, letter in ((100_000, 1, ""), (10**8, 10**3, "k"), (10**11, 10**6, "M")):
        if number < limit:
            return f"{number // divisor}{letter}"
    return ">100G"


def ago(now_ns: int, then_ns: int, *, least: str = "1 min") -> str:
    """How long lies between two times, in at most six characters, such as "12 min"; empty where that cannot be.

    It is never said to be shorter than ``least``; seconds are told where that is of seconds.
    """
    if now_ns <= 0:
        return ""
    seconds = max(0.0, (now_ns - then_ns) / 1e9)
    for limit, divisor, unit in (
        (100, 1, "s"),
        (100 * 60, 60, "min"),
        (48 * 3600, 3600, "h"),
        (9999 * 86_400, 86_400, "d"),
    ):
        if seconds < limit and (unit != "s" or least.endswith(" s")):
            return f"{seconds / divisor:.0f} {unit}" if seconds >= divisor else least
    return ""

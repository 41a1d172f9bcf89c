"""Whether two names look the same to whoever reads them: a second person must not be the first one again."""

from __future__ import annotations

import unicodedata

_LETTERS = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455\u0456\u0458\u04bb\u0501\u051b\u051d"
    "\u03b1\u03b2\u03b5\u03b6\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "abekmhopctyxsijhdqw"
    "abezikmvoptux",
)  # fmt: skip
"""Cyrillic and Greek letters, folded, whose small or capital form is drawn as a Latin one."""


def looks(name: str) -> str:
    """The same for names that differ by case, by blanks, by width or by letters of another script alone."""
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_LETTERS)
    return " ".join(folded.split())

"""Reading JSON that came from elsewhere: each field is checked to its type, its range and its length, or named."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

WORDS_MAX = 300
WHOLE_MAX = 2**63 - 1
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character, which JSON may hold and no file."""

Json = Any
"""What the json module gives: checked field by field before it is believed."""


class Fields:
    """The fields of one object, each as the type that is wanted. Raises ``ValueError`` naming the field."""

    def __init__(self, found: Json, where: str) -> None:
        if not isinstance(found, Mapping):
            raise ValueError(f"{where}: not an object")  # noqa: TRY004 - it is the data that is wrong, not the program
        self._found, self._where = found, where

    def whole(self, name: str) -> int:
        value: Json = self._found.get(name)
        if type(value) is not int or not 0 <= value <= WHOLE_MAX:
            raise ValueError(f"{self._where}.{name}: not a whole number from 0 on")
        return int(value)

    def maybe_whole(self, name: str) -> int | None:
        return None if self._found.get(name) is None else self.whole(name)

    def flag(self, name: str) -> bool:
        """False where it is not said."""
        value: Json = self._found.get(name, False)
        if type(value) is not bool:
            raise ValueError(f"{self._where}.{name}: not true or false")
        return value

    def number(self, name: str) -> float:
        """Of either sign."""
        value: Json = self._found.get(name)
        try:
            figure = float(value) if type(value) in (int, float) else math.nan
        except OverflowError:
            figure = math.nan
        if not math.isfinite(figure):
            raise ValueError(f"{self._where}.{name}: not a finite number")
        return figure

    def real(self, name: str) -> float:
        value: Json = self._found.get(name)
        if type(value) not in (int, float) or not 0.0 <= value < math.inf:
            raise ValueError(f"{self._where}.{name}: not a finite number from 0 on")
        return float(value)

    def maybe_real(self, name: str) -> float | None:
        return None if self._found.get(name) is None else self.real(name)

    def text(self, name: str, chars_max: int = WORDS_MAX) -> str:
        value = self._found.get(name)
        if not isinstance(value, str) or len(value) > chars_max or _HALF.search(value):
            raise ValueError(f"{self._where}.{name}: not a text of up to {chars_max} characters")
        return value

    def name(self, name: str) -> str:
        """A text that says something."""
        found = self.text(name)
        if not found:
            raise ValueError(f"{self._where}.{name}: empty")
        return found

    def hex(self, name: str, digits: int = 64) -> str:
        value = self._found.get(name)
        if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
            raise ValueError(f"{self._where}.{name}: not {digits} hex digits")
        return value

    def entries(self, name: str, count_max: int) -> list[Json]:
        value = self._found.get(name, [])
        if not isinstance(value, list) or len(value) > count_max:
            raise ValueError(f"{self._where}.{name}: not a list of up to {count_max}")
        return value

    def each(self, name: str, count_max: int) -> Iterator[Fields]:
        """The objects of a list."""
        for entry in self.entries(name, count_max):
            yield Fields(entry, f"{self._where}.{name}")

    def object(self, name: str) -> Fields:
        """An object within."""
        return Fields(self._found.get(name), f"{self._where}.{name}")

    def maybe(self, name: str) -> Fields | None:
        """As ``object``; None where there is none."""
        return None if self._found.get(name) is None else self.object(name)

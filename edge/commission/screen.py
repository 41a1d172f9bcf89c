"""The live screen of `babbitt decode`: pure state. Keys and windows go in, lines and wishes come out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edge.commission.candidates import Candidate, candidates
from edge.commission.show import clock_words
from edge.commission.window import Window

Mode = Literal["list", "expect", "name"]
Style = Literal["", "bold", "dim", "chosen", "good", "bad"]
Line = tuple[str, Style]

INPUT_MAX = 120
_TAG = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
HEAD = f"  {'REGISTER':>8}  {'TYPE':8} {'ORDER':6} {'SCALE':>7}  {'VALUE':>20}"
_HELP = "type what it should read   ↑↓ choose   Enter add to profile   ←→ move   Esc all   q end"


@dataclass(frozen=True, slots=True)
class Wish:
    """To end, to look elsewhere by ``shift`` registers, or to add ``candidate`` to the profile as ``tag``."""

    end: bool = False
    shift: int = 0
    candidate: Candidate | None = None
    tag: str = ""
    unit: str = ""
    title: str = ""


class Screen:
    """What a person sees and does. The chosen row stays chosen while values move."""

    def __init__(self, place: str, *, expected: float | None = None) -> None:
        self._place = place
        self._window: Window | None = None
        self._expected = expected
        self._found: list[Candidate] = []
        self._chosen: tuple[int, str, str, float] | None = None
        self._first = 0
        self._page = 10
        self._mode: Mode = "list"
        self._typed = ""
        self._message: Line = ("", "")

    def look(self, window: Window) -> None:
        """Take what was read."""
        self._window = window
        self._find()

    def say(self, words: str, *, bad: bool = False) -> None:
        self._message = (words, "bad" if bad else "good")

    def key(self, key: str) -> Wish | None:
        """One key: a character, or the name of a special one. A wish is for whoever runs the screen."""
        if self._mode == "list":
            return self._list_key(key)
        if key == "esc":
            self._mode, self._typed = "list", ""
        elif key == "backspace":
            self._typed = self._typed[:-1]
        elif key == "enter":
            return self._entered()
        elif len(key) == 1 and key.isprintable() and len(self._typed) < INPUT_MAX:
            self._typed += key
        return None

    def lines(self, columns: int, rows: int) -> list[Line]:
        """The whole screen, ``rows`` lines of at most ``columns`` characters."""
        head, foot = list(self._head(columns)), list(self._foot())
        self._page = max(1, rows - len(head) - len(foot))
        body = list(self._body())
        body += [("", "")] * (self._page - len(body))
        return [(text[:columns], style) for text, style in [*head, *body, *foot]][:rows]

    def _list_key(self, key: str) -> Wish | None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -self._page, "pagedown": self._page}
        if key == "q":
            return Wish(end=True)
        if key in moves:
            self._move(moves[key])
        elif key in ("left", "right"):
            return Wish(shift=-1 if key == "left" else 1)
        elif key == "esc":
            self._expected = None
            self._find()
        elif key == "enter" and self._choice() is not None:
            self._mode, self._typed, self._message = "name", "", ("", "")
        elif key in "+-.0123456789":
            self._mode, self._typed = "expect", key
        return None

    def _entered(self) -> Wish | None:
        typed, mode = self._typed.strip(), self._mode
        if mode == "expect":
            try:
                self._expected = float(typed.replace(",", "."))
            except ValueError:
                self.say(f"{typed!r} is no number", bad=True)
            self._mode, self._typed = "list", ""
            self._chosen, self._first = None, 0
            self._find()
            return None
        tag, _, rest = typed.partition(" ")
        unit, _, title = rest.strip().partition(" ")
        if not _TAG.match(tag):
            self.say(f"{tag!r} is no tag: small letters, digits and _, a letter first", bad=True)
            return None
        self._mode, self._typed = "list", ""
        return Wish(candidate=self._choice(), tag=tag, unit=unit, title=title.strip())

    def _find(self) -> None:
        if self._window is None:
            return
        found = candidates(self._window.registers, address=self._window.address, expected=self._expected)
        self._found = found if self._expected is not None else [one for one in found if one.plausible]
        if self._chosen not in [_key(one) for one in self._found]:
            self._chosen = _key(self._found[0]) if self._found else None
            self._first = 0

    def _choice(self) -> Candidate | None:
        return next((one for one in self._found if _key(one) == self._chosen), None)

    def _move(self, by: int) -> None:
        if not self._found:
            return
        keys = [_key(one) for one in self._found]
        at = min(max(keys.index(self._chosen) + by, 0), len(keys) - 1) if self._chosen in keys else 0
        self._chosen = keys[at]
        self._first = min(max(self._first, at - self._page + 1), at)

    def _head(self, columns: int) -> Iterator[Line]:
        window = self._window
        if window is None:
            yield f"{self._place}: reading …", "bold"
            return
        last = window.address + len(window.registers) - 1
        yield f"{self._place}   function {window.function}, registers {window.address} to {last}", "bold"
        state = f"{clock_words(window.at_ns)} UTC, in {window.took_ms:.0f} ms"
        yield (f"{window.trouble}   {state}", "bad") if window.trouble else (state, "dim")
        cells = [f"{'----' if word is None else f'{word:04x}'}" for word in window.registers]
        a_row = max(1, (columns - 8) // 5)
        for start in range(0, len(cells), a_row):
            yield f"{window.address + start:>6}  {' '.join(cells[start : start + a_row])}", ""
        yield f"{'text':>6}  {window.text}", "dim"
        expected = "" if self._expected is None else f", nearest to {self._expected:g} first"
        yield f"{len(self._found)} readings{expected}", "bold"
        yield f"{HEAD}  OFF BY", "dim"

    def _body(self) -> Iterator[Line]:
        self._first = min(self._first, max(0, len(self._found) - self._page))
        for one in self._found[self._first : self._first + self._page]:
            chosen = _key(one) == self._chosen
            yield row_text(one, mark=">" if chosen else " "), "chosen" if chosen else ""

    def _foot(self) -> Iterator[Line]:
        yield self._message
        if self._mode == "expect":
            yield f"it should read: {self._typed}_   (Enter, Esc)", "bold"
        elif self._mode == "name":
            yield f"tag, and if you like unit and title: {self._typed}_   (Enter, Esc)", "bold"
        else:
            yield _HELP, "dim"


def row_text(one: Candidate, *, mark: str = " ") -> str:
    """One candidate as a row of the table."""
    order = one.order if not one.type.endswith("16") else {"ABCD": "AB", "BADC": "BA"}[one.order]
    off = "" if one.error is None else "exact" if one.error < 1e-7 else f"{one.error:.3%}"
    return (
        f"{mark} {one.address:>8}  {one.type:8} {order:6} {one.scale:>7g}  {value_text(one.value):>20}  {off}".rstrip()
    )


def value_text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.7g}"


def _key(one: Candidate) -> tuple[int, str, str, float]:
    return (one.address, one.type, one.order, one.scale)

"""Regular expressions that cost linear time on any bytes, however hostile: what a serial profile may match by.

A backtracking matcher is fast as long as it can always tell by the next byte where it is. So that is asked of every
pattern: what may follow a repeat does not begin as the repeat goes on, and alternatives differ at some byte of their
fixed beginnings. Then giving a byte back never leads anywhere, and a pattern without these properties is refused when
the profile is loaded, not when the first evil message comes.

Accepted: bytes, ``.``, classes, ``\\d \\w \\s`` and their opposites, groups (plain, ``(?:...)`` and ``(?P<name>...)``),
``|``, ``* + ? {m,n}``. The whole message is matched, hence no anchors; no back-references, lookarounds or lazy repeats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

PATTERN_CHARACTERS_MAX = 500
DEPTH_MAX = 20
_ATOM = re.compile(
    r"\\x[0-9a-fA-F]{2}|\\[dDwWsSrnt]|\\[^a-zA-Z0-9]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[\](){}*+?|^$]", re.DOTALL
)
_REPEAT = re.compile(r"([*+?]|\{(\d{1,4})(,?)(\d{0,4})\})([?+]?)")
_GROUP = re.compile(r"\((?:\?:|\?P<([a-zA-Z_]\w*)>)?(?!\?)")


class PatternError(ValueError):
    """What is wrong with a pattern, in words."""


@dataclass(frozen=True)
class _Atom:
    """One byte; bit ``b`` of ``may`` says whether it may be ``b``."""

    may: int


@dataclass(frozen=True)
class _Row:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Choice:
    branches: tuple[_Node, ...]


@dataclass(frozen=True)
class _Repeat:
    part: _Node
    low: int
    high: int | None
    text: str


_Node = _Atom | _Row | _Choice | _Repeat


def compiled(pattern: str) -> re.Pattern[bytes]:
    """``pattern`` for whole messages of bytes. Raises ``PatternError`` where it is not accepted (see the module)."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise PatternError(f"longer than {PATTERN_CHARACTERS_MAX} characters")
    _check(_Parser(pattern).whole(), 0)
    try:
        return re.compile(pattern.encode("latin-1"))
    except (re.error, UnicodeEncodeError) as error:
        raise PatternError(str(error)) from error


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> _Node:
        node = self._choice()
        if self._at < len(self._text):
            raise PatternError("`)` without `(`")
        return node

    def _choice(self) -> _Node:
        branches = [self._row()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._row())
        return branches[0] if len(branches) == 1 else _Choice(tuple(branches))

    def _row(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._part()))
        return _Row(tuple(parts))

    def _part(self) -> _Node:
        if self._peek() == "(":
            return self._group()
        found = _ATOM.match(self._text, self._at)
        if found is None:
            raise PatternError(f"`{self._text[self._at : self._at + 4]}` at character {self._at + 1} is not accepted")
        self._at = found.end()
        return _Atom(_may(found.group()))

    def _group(self) -> _Node:
        opening = _GROUP.match(self._text, self._at)
        if opening is None:
            raise PatternError(f"`{self._text[self._at : self._at + 4]}` at character {self._at + 1} is not accepted")
        self._at = opening.end()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise PatternError(f"groups more than {DEPTH_MAX} deep")
        node = self._choice()
        if self._peek() != ")":
            raise PatternError("`(` without `)`")
        self._at += 1
        self._depth -= 1
        return node

    def _repeated(self, part: _Node) -> _Node:
        found = _REPEAT.match(self._text, self._at)
        if found is None:
            return part
        sign, low, comma, high, lazy = found.groups()
        if lazy:
            raise PatternError(f"`{found.group()}`: lazy and possessive repeats are not accepted")
        self._at = found.end()
        if low is None:
            return _Repeat(part, sign == "+", 1 if sign == "?" else None, sign)
        return _Repeat(part, int(low), int(high) if high else None if comma else int(low), sign)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]


@lru_cache(maxsize=512)
def _may(atom: str) -> int:
    try:
        one = re.compile(atom.encode("latin-1"))
    except (re.error, UnicodeEncodeError) as error:
        raise PatternError(f"`{atom}`: {error}") from error
    return sum(1 << byte for byte in range(256) if one.fullmatch(bytes((byte,))))


def _nullable(node: _Node) -> bool:
    match node:
        case _Atom():
            return False
        case _Row(parts):
            return all(map(_nullable, parts))
        case _Choice(branches):
            return any(map(_nullable, branches))
        case _Repeat(part, low):
            return low == 0 or _nullable(part)


def _first(node: _Node) -> int:
    """The bytes that it may begin with."""
    match node:
        case _Atom(may):
            return may
        case _Row(parts):
            found = 0
            for part in parts:
                found |= _first(part)
                if not _nullable(part):
                    break
            return found
        case _Choice(branches):
            found = 0
            for branch in branches:
                found |= _first(branch)
            return found
        case _Repeat(part):
            return _first(part)


def _check(node: _Node, follow: int) -> None:
    """``follow``: the bytes that may come after ``node``. Raises ``PatternError``."""
    match node:
        case _Row(parts):
            for part in reversed(parts):
                _check(part, follow)
                follow = _first(part) | (follow if _nullable(part) else 0)
        case _Choice(branches):
            _check_choice(branches, follow)
        case _Repeat(part, low, high, text):
            if _nullable(part):
                raise PatternError(f"`{text}` repeats what may be empty")
            if low != high and _first(part) & follow:
                raise PatternError(
                    f"`{text}`: what follows it may begin as it goes on ({_example(_first(part) & follow)})"
                )
            _check(part, follow | (_first(part) if high is None or high > 1 else 0))


def _check_choice(branches: tuple[_Node, ...], follow: int) -> None:
    for branch in branches:
        _check(branch, follow)
    for i, one in enumerate(branches):
        for other in branches[i + 1 :]:
            ones = _first(one) | (follow if _nullable(one) else 0)
            others = _first(other) | (follow if _nullable(other) else 0)
            both_empty = _nullable(one) and _nullable(other)
            if both_empty or (ones & others and not _apart(_beginning(one), _beginning(other))):
                raise PatternError(f"alternatives of `|` that may begin alike ({_example(ones & others)})")


def _beginning(node: _Node) -> list[int]:
    """The leading bytes of ``node`` that are always there."""
    match node:
        case _Atom(may):
            return [may]
        case _Row(parts):
            found: list[int] = []
            for part in parts:
                found += _beginning(part)
                if not isinstance(part, _Atom):
                    break
            return found
        case _:
            return []


def _apart(ones: list[int], others: list[int]) -> bool:
    return any(one & other == 0 for one, other in zip(ones, others, strict=False))


def _example(may: int) -> str:
    if not may:
        return "both may be empty"
    shown = [b for b in range(32, 127) if may >> b & 1] or [may.bit_length() - 1]
    return f"with {chr(shown[0])!r}, say"

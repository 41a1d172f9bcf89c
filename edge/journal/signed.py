"""SQLite has no checksums of its own: a flipped bit in an account would be a number like any other.

So each account ends with a checksum over itself and over where it stands, in eight hex digits. One of a former version
has none: it ends with its JSON.
"""

from __future__ import annotations

import sqlite3
import zlib

DIGITS = 8


def sign(text: str, *place: object) -> str:
    """The JSON ``text`` with its checksum; ``place`` are the columns beside it that say what it is of."""
    return f"{text}{_checksum(text, place):0{DIGITS}x}"


def verified(signed: str, *place: object) -> str:
    """The JSON that was signed. Raises ``sqlite3.DatabaseError`` where it, or its place, was altered."""
    if signed.endswith(("}", "]")):
        return signed
    text, checksum = signed[:-DIGITS], signed[-DIGITS:]
    if checksum != f"{_checksum(text, place):0{DIGITS}x}":
        raise sqlite3.DatabaseError("a stored account was altered")
    return text


def _checksum(text: str, place: tuple[object, ...]) -> int:
    return zlib.crc32(repr((text, *place)).encode())

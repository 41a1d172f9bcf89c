"""JSON pointers, RFC 6901: ``/a/0/b`` leads through objects by key and through arrays by index."""

from __future__ import annotations

import re
from typing import Any

MISSING = object()
"""What a pointer leads to where there is nothing."""
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_TILDE = re.compile(r"~(?![01])")

Keys = tuple[str, ...]


def parse_pointer(pointer: str) -> Keys:
    """The keys of ``pointer``, unescaped. Raises ``ValueError`` where it is no JSON pointer."""
    if not pointer:
        return ()
    if not pointer.startswith("/") or _TILDE.search(pointer):
        raise ValueError(f"not a JSON pointer: {pointer!r}")
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in pointer[1:].split("/"))


def resolve(document: Any, keys: Keys) -> Any:
    """What ``keys`` lead to in a decoded document, or ``MISSING``."""
    for key in keys:
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and _INDEX.fullmatch(key) and int(key) < len(document):
            document = document[int(key)]
        else:
            return MISSING
    return document

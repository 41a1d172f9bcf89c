"""Words of people that go down to gateways. One in a form that a gateway refuses would keep all else from it."""

from __future__ import annotations

import json

from edge.contract.fields import WORDS_MAX
from edge.errors import ConfigError

BY_MAX = 64


def by(name: str) -> str:
    """Whose word it is. Raises ``ConfigError``."""
    if not 0 < len(name) <= BY_MAX or not name.isprintable():
        raise ConfigError("--by", f"{name[:BY_MAX]!r} is nobody's name", f"a line of up to {BY_MAX} characters")
    return name


def why(text: str) -> str:
    """The reason, cut where it is too long. Raises ``ConfigError`` for what is no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError("--why", "holds half of a character", "write it anew") from error
    return text[:WORDS_MAX]


def size(text: str) -> int:
    """How many bytes a text takes on its way down."""
    return len(json.dumps(text))

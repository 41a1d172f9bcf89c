"""Modules that are loaded by whoever first uses them, as most gateways never do.

What a room itself needs rarely it names ``Deferred``. What libraries import and rarely use is deferred for them: 6 MB,
of which OpenSSL is 4. asyncio wants that for TLS over its own connections, which of all rooms the uplink alone makes;
hashlib for hashes that Python has itself, in C, and for ``scrypt``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_OF = {
    "urllib.parse": ("ipaddress",),
    "subprocess": ("locale",),
    "asyncio": ("ssl", "asyncio.sslproto"),
    "msgspec": ("msgspec.inspect",),
    "numpy": ("pickle", "numpy._core._add_newdocs"),  # the second gives functions their help
}
"""What each library imports for rare occasions, libraries in the order in which they import one another."""


class Deferred(ModuleType):
    """Stands for the module of this name, and imports it as soon as it is asked for something.

    For what a room needs rarely: ``shutil = Deferred("shutil")`` in the place of its import.
    """

    def __getattr__(self, name: str) -> Any:
        if (self.__name__, name) == ("ssl", "SSLSocket") and "ssl" not in sys.modules:
            # asyncio asks before each connection whether the socket is one: without the module there can be none.
            return _NoSuchSocket
        found = self.__dict__[name] = getattr(importlib.import_module(self.__name__), name)
        return found


class _NoSuchSocket:
    pass


def defer_libraries() -> None:
    """To be called before anything else is imported; what is there already stays as it is."""
    for library, rare in _OF.items():
        # It asks for what typing has itself in every Python that is young enough for a gateway.
        with without("typing_extensions"), _standing_for(rare):
            importlib.import_module(library)
    if "hashlib" not in sys.modules:
        with without("_hashlib"):
            hashlib = importlib.import_module("hashlib")
        hashlib.scrypt = _scrypt  # type: ignore[attr-defined]


@contextmanager
def _standing_for(names: tuple[str, ...]) -> Iterator[None]:
    """Who imports one of these meanwhile gets a module that stands for it; afterwards everybody gets it at once."""
    standing = {name: Deferred(name) for name in names if name not in sys.modules}
    sys.modules.update(standing)
    try:
        yield
    finally:
        for name in standing:
            del sys.modules[name]
    for name, module in standing.items():
        package, _, place = name.rpartition(".")
        if package:
            # As after any import; where it is imported in earnest, that one takes this place.
            setattr(sys.modules[package], place, module)


@contextmanager
def without(name: str) -> Iterator[None]:
    """For a library that takes a module where it is there, and can do without: as if there were none.

    What is loaded already stays as it is.
    """
    if name in sys.modules:
        yield
        return
    # So Python is told that there is none.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _scrypt(*arguments: Any, **named: Any) -> bytes:
    found: bytes = importlib.import_module("_hashlib").scrypt(*arguments, **named)
    return found

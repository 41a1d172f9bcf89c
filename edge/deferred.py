"""OpenSSL, loaded by whoever first uses it: asyncio and hashlib alone load it in every program, which costs 4 MB.

asyncio wants it for TLS over its own connections, which of all rooms the uplink alone makes; hashlib for hashes that
Python has itself, in C, and for ``scrypt``.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands for a module in those that imported it, and imports it as soon as one of them asks it for something."""

    def __getattr__(self, name: str) -> Any:
        if name == "SSLSocket" and "ssl" not in sys.modules:
            # asyncio asks before each connection whether the socket is one: without the module there can be none.
            return _NoSuchSocket
        return getattr(importlib.import_module(self.__name__), name)


class _NoSuchSocket:
    pass


def defer_openssl() -> None:
    """To be called before anything else is imported; what is there already stays as it is."""
    if "asyncio" not in sys.modules:
        _import_asyncio_alone()
    if "hashlib" not in sys.modules:
        _import_hashlib_alone()


def _import_asyncio_alone() -> None:
    # The second asks the first for something as soon as it is imported.
    names = [name for name in ("ssl", "asyncio.sslproto") if name not in sys.modules]
    sys.modules.update((name, _Deferred(name)) for name in names)
    try:
        asyncio = importlib.import_module("asyncio")
        # As after any import; where it is imported in earnest, that one takes this place.
        asyncio.sslproto = sys.modules["asyncio.sslproto"]  # type: ignore[attr-defined]
    finally:
        # Whoever else imports them gets them at once.
        for name in names:
            del sys.modules[name]


def _import_hashlib_alone() -> None:
    # None in its place is how Python says that there is no such module; hashlib then takes what Python has itself.
    sys.modules["_hashlib"] = None  # type: ignore[assignment]
    try:
        hashlib = importlib.import_module("hashlib")
    finally:
        del sys.modules["_hashlib"]
    hashlib.scrypt = _scrypt  # type: ignore[attr-defined]


def _scrypt(*arguments: Any, **named: Any) -> bytes:
    found: bytes = importlib.import_module("_hashlib").scrypt(*arguments, **named)
    return found

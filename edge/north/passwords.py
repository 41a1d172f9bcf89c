"""Users of a server and their passwords: a file of one line a user, ``name:scrypt:salt:hash`` in hex, mode 0600.

Hashed by scrypt (RFC 7914) with n = 2^14, r = 8, p = 1: 16 MB and some 50 ms a try, so a caller checks in a thread.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from edge.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}")
PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 8, 256
FILE_BYTES_MAX = 256 * 1024
_NOBODY = (b"\0" * 16, b"\0" * 32)


def hashed(password: str, salt: bytes) -> bytes:
    """32 bytes. Raises nothing for any text."""
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1, dklen=32)


class Users:
    """The users of one file, read again when it changes, so that a new user needs no restart."""

    def __init__(self, path: Path) -> None:
        """A file that is missing has no users. Raises ``ConfigError`` for one that is none, or that others may read."""
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, tuple[bytes, bytes]] = {}
        self._refresh()

    def __len__(self) -> int:
        return len(self._known)

    def verify(self, name: str, password: str) -> bool:
        """Whether it is the password of ``name``; an unknown name takes as long as a known one.

        A file that has become unreadable since leaves the users as they were.
        """
        try:
            self._refresh()
        except ConfigError:
            pass
        salt, wanted = self._known.get(name, _NOBODY)
        found = hashed(password[:PASSWORD_LENGTH_MAX], salt)
        return hmac.compare_digest(found, wanted) and name in self._known

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
        except OSError:
            self._stamp, self._known = None, {}
            return
        # By its number too: it is replaced as a whole, and a file system's clock may tick more slowly than that.
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if stamp != self._stamp:
            self._known = read_users(self._path)
            self._stamp = stamp


def read_users(path: Path) -> dict[str, tuple[bytes, bytes]]:
    """Salt and hash by name. Raises ``ConfigError``."""
    try:
        stat = path.stat()
        if stat.st_mode & 0o077:
            raise ConfigError(str(path), f"mode {stat.st_mode & 0o777:04o}: others may read it", f"chmod 0600 {path}")
        if stat.st_size > FILE_BYTES_MAX:
            raise ConfigError(str(path), f"larger than {FILE_BYTES_MAX} bytes", "name a file of users")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error
    return dict(_parsed(path, i, line) for i, line in enumerate(lines, 1) if line.strip())


def set_password(path: Path, name: str, password: str) -> bool:
    """Add ``name`` or change its password; whether it is new. Raises ``ConfigError``."""
    if not NAME.fullmatch(name):
        raise ConfigError(name, "not a user's name", "letters, digits and _ . @ -, at most 63")
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        hint = f"give {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters"
        raise ConfigError(name, f"a password of {len(password)} characters", hint)
    users = read_users(path) if path.exists() else {}
    new = name not in users
    salt = secrets.token_bytes(16)
    users[name] = (salt, hashed(password, salt))
    text = "".join(f"{user}:scrypt:{salt.hex()}:{digest.hex()}\n" for user, (salt, digest) in users.items())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}") from error
    return new


def _parsed(path: Path, number: int, line: str) -> tuple[str, tuple[bytes, bytes]]:
    try:
        name, kind, salt, digest = line.strip().split(":")
        found = bytes.fromhex(salt), bytes.fromhex(digest)
    except ValueError:
        name, kind, found = "", "", _NOBODY
    if kind != "scrypt" or not NAME.fullmatch(name) or len(found[1]) != 32:
        hint = "lines are name:scrypt:salt:hash; `babbitt gateway user` makes them"
        raise ConfigError(str(path), f"line {number} is no user", hint)
    return name, found

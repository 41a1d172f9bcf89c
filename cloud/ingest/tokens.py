"""Who may send: a file of lines ``gateway-id sha256-of-its-token``. Only hashes are kept; there is no default token.

Whoever may tell what became of a machine has a line of the same kind in a file of people.

This is the seam where device certificates will follow: ``Tokens.owner`` is all that the receiver asks.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from pathlib import Path

from edge.errors import ConfigError

GATEWAY = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")
_LINE = re.compile(r"^(\S+)\s+([0-9a-f]{64})$")
_HINT = "make one with: babbitt cloud token GATEWAY --tokens FILE --out TOKEN_FILE"
PEOPLE_HINT = "make one with: babbitt cloud person NAME --people FILE"

log = logging.getLogger(__name__)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """The file's tokens; read again whenever the file changes, so that a new gateway needs no restart."""

    def __init__(self, path: Path, *, hint: str = _HINT) -> None:
        """Raises ``ConfigError`` for a file that is missing, readable by others, or malformed."""
        self._path, self._hint = path, hint
        self._digests = read(path, hint)
        self._stamp = self._look()

    def owner(self, token: str, claimed: str = "") -> str | None:
        """Whom ``token`` belongs to, or None; ``claimed`` is asked first. In constant time for each that is known."""
        return self.owner_of(digest_of(token), claimed)

    def owner_of(self, digest: str, claimed: str = "") -> str | None:
        """As ``owner``, by the token's digest: whoever keeps that instead of the token learns of a withdrawn one."""
        self._refresh()
        for gateway in (claimed, *self._digests):
            if any(hmac.compare_digest(digest, known) for known in self._digests.get(gateway, ())):
                return gateway
        return None

    def _look(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _refresh(self) -> None:
        """A file that cannot be read now leaves the tokens as they were."""
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                self._digests = read(self._path, self._hint)
        except (OSError, ConfigError) as error:
            if self._stamp != (0, 0, 0):
                log.warning("tokens stay as they were: %s", error)
                self._stamp = (0, 0, 0)


def read(path: Path, hint: str = _HINT) -> dict[str, tuple[str, ...]]:
    """Digests by gateway; a gateway may have several while its token is changed. Raises ``ConfigError``."""
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ConfigError(str(path), "there is no tokens file", hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}", hint) from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(str(path), f"others may read it (mode {stat.S_IMODE(mode):04o})", f"chmod 600 {path}")
    digests: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line.strip())
        if match is None or not GATEWAY.match(match[1]):
            raise ConfigError(f"{path}:{number}", "wants `name sha256-hex`", hint)
        digests[match[1]] = (*digests.get(match[1], ()), match[2])
    return digests


def make(path: Path, gateway: str, *, what: str = "gateway id") -> str:
    """Make a token for ``gateway``, append its hash to the file (made with mode 0600), and return it, once."""
    if not GATEWAY.match(gateway):
        raise ConfigError(what, f"{gateway!r} is no {what}", "letters, digits, dot, dash, underscore")
    begin = ""
    if path.exists():
        read(path)
        # An editor may have left the last line without its end.
        begin = "" if path.read_bytes()[-1:] in (b"", b"\n") else "\n"
    token = secrets.token_urlsafe(32)
    _write(path, f"{begin}{gateway} {digest_of(token)}\n", os.O_APPEND)
    return token


def check_absent(path: Path) -> None:
    """Raises ``ConfigError`` where a file exists that a token would be written to."""
    if path.exists():
        raise ConfigError(str(path), "exists already", "name a new file, or remove this one")


def write_secret(path: Path, token: str) -> None:
    """Write a token to a new file that only its owner may read. Raises ``ConfigError`` where the file exists."""
    _write(path, token + "\n", os.O_EXCL)


def _write(path: Path, text: str, flags: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise ConfigError(str(path), "exists already", "name a new file, or remove this one") from error
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}") from error

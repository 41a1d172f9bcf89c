"""The operators' PIN: 4 to 12 digits in a file of mode 0600, as a scrypt hash.

So few digits do not stand up to who has the file; against guessing over the page it is the pauses (``tries``) that
count, and that what everybody tries first is no PIN here.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError

DIGITS_MIN, DIGITS_MAX = 4, 12
FILE_BYTES_MAX = 1024
_FORM = re.compile(r"pin:scrypt:([0-9a-f]{32}):([0-9a-f]{64})\n?")
_DIGITS = re.compile(rf"[0-9]{{{DIGITS_MIN},{DIGITS_MAX}}}")


@dataclass(frozen=True, slots=True)
class Pin:
    """What is kept of it; another PIN, or the same one set again, is not equal."""

    salt: bytes
    digest: bytes

    def is_met(self, digits: str) -> bool:
        """Some 25 ms and 8 MB: to be called in a thread, one at a time."""
        return hmac.compare_digest(_hashed(digits[:DIGITS_MAX], self.salt), self.digest)


def read_pin(path: Path) -> Pin | None:
    """None where there is no file: nobody may act.

    Raises ``ConfigError`` for a file that holds none, or that others may read.
    """
    try:
        stat = path.stat()
        if stat.st_mode & 0o077:
            raise ConfigError(str(path), f"mode {stat.st_mode & 0o777:04o}: others may read it", f"chmod 0600 {path}")
        if stat.st_size > FILE_BYTES_MAX:
            raise ConfigError(str(path), f"larger than {FILE_BYTES_MAX} bytes", "`babbitt gateway pin` makes it")
        found = _FORM.fullmatch(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}", "`babbitt gateway pin` makes it") from error
    if found is None:
        raise ConfigError(str(path), "holds no PIN", "`babbitt gateway pin` makes it")
    return Pin(bytes.fromhex(found[1]), bytes.fromhex(found[2]))


def set_pin(path: Path, digits: str) -> None:
    """Keep ``digits`` in place of any former. Raises ``ConfigError`` for such as are tried first, or no digits."""
    if problem := trouble_of(digits):
        raise ConfigError("the PIN", problem, f"{DIGITS_MIN} to {DIGITS_MAX} digits that nobody guesses first")
    salt = secrets.token_bytes(16)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(f"pin:scrypt:{salt.hex()}:{_hashed(digits, salt).hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}") from error


def trouble_of(digits: str) -> str:
    """Why ``digits`` are no PIN: too few or too many, or such as are tried first. Empty where they are one."""
    if not _DIGITS.fullmatch(digits):
        return f"wants {DIGITS_MIN} to {DIGITS_MAX} digits"
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(digits)}
    if len(steps) == 1:
        return "counts up or down, or is one digit"
    if any(digits == (digits[:n] * len(digits))[: len(digits)] for n in range(1, len(digits) // 2 + 1)):
        return "repeats itself"
    if len(digits) == 4 and digits[:2] in ("19", "20"):
        return "looks like a year"
    return "lies in one row of the keys" if digits in ("2580", "0852") else ""


def _hashed(digits: str, salt: bytes) -> bytes:
    return hashlib.scrypt(digits.encode("utf-8", "surrogatepass"), salt=salt, n=2**13, r=8, p=1, dklen=32)

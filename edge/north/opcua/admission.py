"""Whom the server believes: applications by their certificate, people by their password.

A certificate is trusted that lies in the folder, or that one in the folder issued. One that is not is put into
``rejected`` beside it, from where a person moves it over; that needs no restart.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from edge.certificates import FILE_BYTES_MAX, application_uri, load_certificate, thumbprint
from edge.errors import ConfigError
from edge.north.passwords import Users

log = logging.getLogger("babbitt.north.opcua")

KEY_BITS_MIN, KEY_BITS_MAX = 2048, 4096
"""What Basic256Sha256 takes; a longer key would cost us seconds a connection."""
TRUSTED_MAX = 200
REJECTED_MAX = 20
_SUFFIXES = (".der", ".pem", ".crt", ".cer")


class Trust:
    """The folder of trusted certificates, read again when it changes."""

    def __init__(self, folder: Path) -> None:
        """Raises ``ConfigError`` where the folder cannot be made."""
        self._folder = folder
        self._rejected = folder.parent / "rejected"
        self._stamp: tuple[tuple[str, int, int, int], ...] | None = None
        self._known: list[x509.Certificate] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._rejected.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(str(folder), f"cannot be made: {error.strerror}", "name a folder that can") from error

    def problem(self, der: bytes) -> str:
        """Why this certificate is not believed, in a few words; empty where it is."""
        if len(der) > FILE_BYTES_MAX:
            return "its certificate is too large"
        try:
            certificate = x509.load_der_x509_certificate(der)
            key = certificate.public_key()
        except ValueError:
            return "it sent no certificate"
        now = dt.datetime.now(dt.UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return "its certificate has expired, or is of the future"
        if not isinstance(key, rsa.RSAPublicKey) or not KEY_BITS_MIN <= key.key_size <= KEY_BITS_MAX:
            return f"its key is no RSA key of {KEY_BITS_MIN} to {KEY_BITS_MAX} bits"
        if any(_vouches(known, certificate) for known in self._refreshed()):
            return ""
        return f"its certificate is not trusted ({self._put_aside(certificate)})"

    def _refreshed(self) -> list[x509.Certificate]:
        paths = sorted(p for p in self._folder.iterdir() if p.suffix.lower() in _SUFFIXES)[:TRUSTED_MAX]
        stamp = tuple((path.name, *_stamp(path)) for path in paths)
        if stamp != self._stamp:
            self._known = [found for path in paths if (found := _readable(path)) is not None]
            self._stamp = stamp
        return self._known

    def _put_aside(self, certificate: x509.Certificate) -> str:
        """Where a person finds it, or its thumbprint where there is no room."""
        name = f"{thumbprint(certificate)}.der"
        path = self._rejected / name
        try:
            if not path.exists():
                if len(list(self._rejected.iterdir())) >= REJECTED_MAX:
                    return f"{thumbprint(certificate)}; {self._rejected} is full"
                path.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        except OSError as error:
            return f"{thumbprint(certificate)}; {error.strerror}"
        return f"of {application_uri(certificate) or 'no application'}; to trust it move {path} to {self._folder}"


class Gatekeeper:
    """Checks passwords, one at a time and off the event loop, and answers a wrong one late."""

    def __init__(self, users: Users, *, pause_s: float = 1.0) -> None:
        self._users = users
        self._pause_s = pause_s
        self._turn = asyncio.Semaphore(1)

    async def verify(self, name: str, password: str) -> bool:
        async with self._turn:
            right = await asyncio.to_thread(self._users.verify, name, password)
        if not right:
            await asyncio.sleep(self._pause_s)
        return right


def _stamp(path: Path) -> tuple[int, int, int]:
    """Another one once the file is another, or more of it is there; of one that is gone meanwhile, all zero."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _vouches(known: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether ``certificate`` is ``known``, or was issued by it as an authority."""
    if known == certificate:
        return True
    try:
        if not known.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(known)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    now = dt.datetime.now(dt.UTC)
    return known.not_valid_before_utc <= now <= known.not_valid_after_utc


def _readable(path: Path) -> x509.Certificate | None:
    try:
        return load_certificate(path)
    except ConfigError as error:
        log.warning("passed over: %s", error)
        return None

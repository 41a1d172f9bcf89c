"""What makes a broker believe us and us a broker: password and certificates, from files that nobody else reads."""

from __future__ import annotations

import ssl
from pathlib import Path

from edge.config.broker import Broker
from edge.errors import LineError

SECRET_BYTES_MAX = 4096


def password_of(broker: Broker, where: str) -> str | None:
    """Raises ``LineError``."""
    return read_secret(broker.password_file, where) if broker.password_file else None


def tls_of(broker: Broker, where: str) -> ssl.SSLContext | None:
    """How to speak TLS to ``broker``; None: not at all. Renewed certificates are taken up by asking again.

    Raises ``LineError`` for files that cannot be used.
    """
    if not broker.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca or None)
    except OSError as error:
        raise LineError(where, f"ca {broker.ca}: {in_words(error)}", "name a PEM file") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    if broker.certificate:
        _check_private(Path(broker.key), where)
        try:
            context.load_cert_chain(broker.certificate, broker.key, password="")
        except OSError as error:
            raise LineError(
                where, f"certificate {broker.certificate} with key {broker.key}: {in_words(error)}",
                "name PEM files that belong together, the key not encrypted",
            ) from error  # fmt: skip
    return context


class _TlsSocket(ssl.SSLSocket):
    """Closed where the handshake fails: paho forgets it there."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def read_secret(path: str, where: str) -> str:
    """The one line of a secret's file. Raises ``LineError`` where it is missing, open to others, or no line."""
    _check_private(Path(path), where)
    try:
        text = Path(path).read_bytes()[: SECRET_BYTES_MAX + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise LineError(where, f"{path}: cannot be read: {error}", "put the password there") from error
    secret = text.rstrip("\r\n")
    if not secret or len(text) > SECRET_BYTES_MAX or "\n" in secret:
        raise LineError(where, f"{path}: holds no password", "one line of UTF-8 text")
    return secret


def _check_private(path: Path, where: str) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise LineError(where, f"{path}: cannot be read: {error.strerror}", "name a file that exists") from error
    if mode & 0o077:
        raise LineError(where, f"{path}: others may read it (mode {mode & 0o777:04o})", f"chmod 600 {path}")


def in_words(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not to be trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason or error}"
        case TimeoutError():
            return "no answer"
        case OSError(strerror=str(words)):
            return words.lower()
        case _:
            return str(error) or type(error).__name__

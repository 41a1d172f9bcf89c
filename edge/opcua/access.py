"""Who the gateway is for a server, and whom it takes for that server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge.certificates import Identity, load_certificate, load_identity
from edge.errors import ConfigError

if TYPE_CHECKING:
    from cryptography import x509

PORT = 4840
SECRET_BYTES_MAX = 4096
POLICY_URI = "http://opcfoundation.org/UA/SecurityPolicy#"


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one server. ``identity`` and ``server_certificate`` are there unless ``security`` is None."""

    url: str
    security: str = "None"
    mode: str = "SignAndEncrypt"
    identity: Identity | None = None
    server_certificate: x509.Certificate | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = 5.0
    session_s: float = 60.0
    channel_s: float = 3600.0

    @property
    def secured(self) -> bool:
        return self.security != "None"


def make_access(
    where: str, *, url: str, security: str, mode: str, certificate: str = "", key: str = "",
    server_certificate: str = "", username: str = "", password_file: str = "", timeout_s: float = 5.0,
    session_s: float = 60.0,
) -> Access:  # fmt: skip
    """Load what the configuration at ``where`` names. Raises ``ConfigError`` for what a person must mend."""
    identity, server = None, None
    if certificate or key:
        if not (certificate and key):
            raise ConfigError(where, "of `certificate` and `key` one is missing", "name both")
        identity = load_identity(Path(certificate), Path(key))
    if server_certificate:
        server = load_certificate(Path(server_certificate))
    if security != "None" and identity is None:
        hint = 'make them with `babbitt gateway certificate pki`, or say security = "None"'
        raise ConfigError(where, f"security {security} without `certificate` and `key`", hint)
    if security != "None" and server is None:
        hint = "get it with `babbitt browse URL --trust FILE` and compare its thumbprint at the server"
        raise ConfigError(where, f"security {security} without `server_certificate`", hint)
    if password_file and not username:
        raise ConfigError(where, "a password without a user name", "set `username`")
    return Access(
        url=with_port(where, url), security=security, mode=mode, identity=identity, server_certificate=server,
        username=username, password=read_password(where, Path(password_file)) if password_file else "",
        timeout_s=timeout_s, session_s=session_s,
    )  # fmt: skip


def with_port(where: str, url: str) -> str:
    """``url`` with the port that an OPC UA server has by default. Raises ``ConfigError``."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(where, f"`url`: {url!r}: {error}", "as opc.tcp://plc-1:4840") from error
    if parts.scheme != "opc.tcp" or not host or "@" in parts.netloc:
        raise ConfigError(where, f"`url`: found {url!r}", "as opc.tcp://plc-1:4840; a user is named by `username`")
    return url if port else parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{PORT}").geturl()


def read_password(where: str, path: Path) -> str:
    """Raises ``ConfigError`` where the file is missing, open to others, or holds none."""
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()[: SECRET_BYTES_MAX + 1]
    except OSError as error:
        raise ConfigError(where, f"{path} cannot be read: {error.strerror}", "put the password there") from error
    if mode & 0o077:
        raise ConfigError(where, f"others may read {path} (mode {mode & 0o777:04o})", f"chmod 600 {path}")
    try:
        password = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        password = ""
    if not password or len(data) > SECRET_BYTES_MAX:
        raise ConfigError(where, f"{path} holds no password", "one line of UTF-8")
    return password

"""Application certificates: how the gateway proves to OPC UA servers and clients that it is itself.

An application certificate (OPC UA Part 6, 6.2.2) names the application by a URI, which a peer compares with what the
application calls itself. Self-signed ones are the custom: each side is told once to trust the other's, which is
compared by its thumbprint. ``cryptography`` is loaded only where there is a certificate.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.errors import ConfigError

KEY_BITS = 2048
"""What Basic256Sha256 takes at least, and every server takes."""
DAYS_DEFAULT = 3650
FILE_BYTES_MAX = 64 * 1024
_MAKE_ONE = "make one with `babbitt gateway certificate`"


@dataclass(frozen=True, slots=True)
class Identity:
    """An application's certificate with its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def uri(self) -> str:
        return application_uri(self.certificate)


def make_identity(*, uri: str, name: str, hosts: Sequence[str], days: int = DAYS_DEFAULT) -> Identity:
    """A new key and its self-signed certificate for the application ``uri`` on ``hosts`` (names or addresses)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)  # A gateway's clock may be behind its server's.
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days + 1))
    )
    for extension, critical in (
        (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *map(_host, hosts)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_KEY_USAGE, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (identifier, False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return Identity(builder.sign(key, hashes.SHA256()), key)


# What Part 6, table 43 wants of a self-signed one.
_KEY_USAGE = x509.KeyUsage(
    digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True,
    key_cert_sign=True, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_identity(identity: Identity, certificate: Path, key: Path) -> None:
    """Write both, the certificate as DER (what servers take), the key as PEM, for its owner's eyes only (0600).

    Raises ``ConfigError`` where one of them exists: a key that servers trust is not overwritten.
    """
    private = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path in (certificate, key):
        if path.exists():
            raise ConfigError(str(path), "exists, and servers may trust it", "move it away first, or name another")
    _write(key, private, 0o600)
    write_certificate(identity.certificate, certificate)


def write_certificate(certificate: x509.Certificate, path: Path) -> None:
    """Write a certificate as DER. Raises ``ConfigError`` where the file exists or cannot be written."""
    _write(path, certificate.public_bytes(serialization.Encoding.DER), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name a place that can") from error


def load_identity(certificate: Path, key: Path) -> Identity:
    """Raises ``ConfigError`` where a file is missing, is none, is open to others, or one is not the other's."""
    found, private = load_certificate(certificate), load_key(key)
    if found.public_key() != private.public_key():
        raise ConfigError(str(key), f"is not the key of {certificate}", "name the two that were made together")
    if not application_uri(found):
        raise ConfigError(str(certificate), "names no application URI", f"OPC UA wants one: {_MAKE_ONE}")
    return Identity(found, private)


def load_certificate(path: Path) -> x509.Certificate:
    """A certificate, DER or PEM, whatever its file is called. Raises ``ConfigError``."""
    data = _read(path, "name a certificate file, DER or PEM")
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise ConfigError(str(path), "is no certificate", "name a certificate file, DER or PEM") from error


def load_key(path: Path) -> rsa.RSAPrivateKey:
    """A private RSA key, PEM or DER, without a passphrase. Raises ``ConfigError``, also where others may read it."""
    data = _read(path, _MAKE_ONE)
    mode = path.stat().st_mode
    if mode & 0o077:
        raise ConfigError(str(path), f"others may read it (mode {mode & 0o777:04o})", f"chmod 600 {path}")
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            key = serialization.load_pem_private_key(data, None)
        else:
            key = serialization.load_der_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(str(path), "is no private key without a passphrase", _MAKE_ONE) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
        raise ConfigError(str(path), f"is no RSA key of {KEY_BITS} bits or more", _MAKE_ONE)
    return key


def _read(path: Path, hint: str) -> bytes:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(str(path), f"larger than {FILE_BYTES_MAX} bytes", hint)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", hint) from error


def application_uri(certificate: x509.Certificate) -> str:
    """Which application it is of; empty where it does not say."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")


def thumbprint(certificate: x509.Certificate) -> str:
    """The SHA-1 digest in hex, as OPC UA tools show it, to compare two by eye."""
    return certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303

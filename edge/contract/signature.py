"""Who stands behind a bundle or a setpoint contract: an Ed25519 signature (RFC 8032) over its hash, in a file of JSON.

It is ``signature.json`` beside a bundle's manifest, ``ID.sig`` beside the contract ``ID.toml``. The hash covers every
byte that counts, so that is what is signed, behind words that keep the signature from meaning anything else. The file
names the key by its fingerprint; only a key that the reader already trusts makes it worth something. Keys are PEM files
as RFC 8410 has them, which openssl reads and writes.

What is here is the format. The mathematics are a library's, which whoever signs or verifies brings along.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge.errors import BundleError, ConfigError

SIGNATURE = "signature.json"
FORMAT = 1
ALGORITHM = "ed25519"
SIGNATURE_BYTES_MAX = 4096
_KEY_FILE_BYTES_MAX = 8192
_HEX = re.compile(r"^[0-9a-f]+$")
_MAKE = "`babbitt gateway contract key` or `babbitt cloud key make`"
_PUBLIC, _PRIVATE = "PUBLIC KEY", "PRIVATE KEY"
# What DER (RFC 8410, sections 4 and 7) puts before the 32 bytes of a key.
_DER = {_PUBLIC: bytes.fromhex("302a300506032b6570032100"), _PRIVATE: bytes.fromhex("302e020100300506032b657004220420")}


class Kind(StrEnum):
    """What is signed. Each is signed behind words of its own, lest a signature of one pass for one of another."""

    BUNDLE = "bundle"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Signature:
    """``signature`` (64 bytes) of what has the hash ``hash``, by the key with the fingerprint ``key``."""

    hash: str
    key: str
    signature: bytes
    kind: Kind = Kind.BUNDLE


def signed_message(found: str, kind: Kind = Kind.BUNDLE) -> bytes:
    """What is signed for the bundle, or for what else, with the hash ``found`` (64 hex digits)."""
    return f"babbitt {kind} v1\n{found}\n".encode("ascii")


def fingerprint(public: bytes) -> str:
    """How people call a public key (32 bytes): the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def pack_signature(signature: Signature) -> bytes:
    told = {
        "format": FORMAT, "algorithm": ALGORITHM, signature.kind.value: signature.hash, "key": signature.key,
        "signature": base64.b64encode(signature.signature).decode("ascii"),
    }  # fmt: skip
    return (json.dumps(told, sort_keys=True, indent=1) + "\n").encode("ascii")


def read_signature(folder: Path) -> Signature:
    """The signature that lies in a bundle's folder. Raises ``BundleError`` where there is none, or it is none."""
    path = folder / SIGNATURE
    try:
        with path.open("rb") as file:
            data = file.read(SIGNATURE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        hint = "have it signed by whoever trained it: `babbitt cloud sign BUNDLE --key FILE`"
        raise BundleError(str(folder), "is not signed", hint) from error
    except OSError as error:
        raise BundleError(str(path), f"cannot be read: {error.strerror}", "copy the whole bundle again") from error
    try:
        return parse_signature(data, Kind.BUNDLE)
    except ValueError as error:
        raise BundleError(str(path), f"is no signature: {error}", "sign the bundle again") from error


def parse_signature(data: bytes, kind: Kind) -> Signature:
    """What ``pack_signature`` made of a signature of this ``kind``. Raises ``ValueError``."""
    if len(data) > SIGNATURE_BYTES_MAX:
        raise ValueError(f"more than {SIGNATURE_BYTES_MAX} bytes")
    try:
        told = json.loads(data)
        if not isinstance(told, dict) or (told.get("format"), told.get("algorithm")) != (FORMAT, ALGORITHM):
            raise ValueError(f"wanted format {FORMAT} with {ALGORITHM}")
        if kind.value not in told:
            raise ValueError(f"it is not that of a {kind}")
        found, key = str(told[kind.value]), str(told["key"])
        signature = base64.b64decode(told["signature"], validate=True)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not _HEX.match(found) or not _HEX.match(key) or len(signature) != 64:
        raise ValueError("its hash, its key or its signature is none")
    return Signature(found, key, signature, kind)


def public_pem(public: bytes) -> bytes:
    """A public key (32 bytes) as a PEM file."""
    return _pem(_PUBLIC, public)


def private_pem(seed: bytes) -> bytes:
    """A private key (its seed, 32 bytes) as a PEM file."""
    return _pem(_PRIVATE, seed)


def write_pair(private: Path, public: Path, *, seed: bytes, key: bytes) -> str:
    """Write ``seed`` as a new file of mode 0600, its public ``key`` beside; returns the fingerprint.

    Raises ``ConfigError`` where one of the files exists or cannot be written.
    """
    for path in (private, public):
        if path.exists():
            raise ConfigError(str(path), "exists already", "name a new file: nothing replaces a lost key")
    _write(private, private_pem(seed), 0o600)
    _write(public, public_pem(key), 0o644)
    return fingerprint(key)


def read_public(path: Path) -> bytes:
    """The 32 bytes of a public key. Raises ``ConfigError``."""
    return _read_key(path, _PUBLIC)


def read_private(path: Path) -> bytes:
    """The 32 bytes of a private key's seed. Raises ``ConfigError``, also where others may read the file."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise _unreadable(path, error) from error
    key = _read_key(path, _PRIVATE)
    if mode & 0o077:
        raise ConfigError(str(path), f"others may read it (mode {mode:04o})", f"chmod 600 {path}")
    return key


def _pem(label: str, key: bytes) -> bytes:
    assert len(key) == 32
    text = base64.b64encode(_DER[label] + key).decode("ascii")
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n".encode("ascii")


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name another file") from error


def _read_key(path: Path, label: str) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(_KEY_FILE_BYTES_MAX).decode("ascii", errors="replace")
    except OSError as error:
        raise _unreadable(path, error) from error
    found = re.search(rf"-----BEGIN {label}-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END {label}-----", text)
    try:
        der = base64.b64decode("".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        der = b""
    if not der.startswith(_DER[label]) or len(der) != len(_DER[label]) + 32:
        what = "public" if label == _PUBLIC else "private"
        raise ConfigError(str(path), f"is no {what} Ed25519 key (PEM)", f"make a pair with {_MAKE}")
    return der[len(_DER[label]) :]


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(str(path), f"cannot be read: {error.strerror}", "name the file of a key")

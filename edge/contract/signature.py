"""Who stands behind a bundle: an Ed25519 signature (RFC 8032) over its hash, as ``signature.json`` beside the manifest.

The bundle's hash covers every byte that counts, so that is what is signed, behind words that keep the signature from
meaning anything else. The file names the key by its fingerprint; only a key that the reader already trusts makes it
worth something. Keys are PEM files as RFC 8410 has them, which openssl reads and writes.

What is here is the format. The mathematics are a library's, which whoever signs or verifies brings along.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from edge.errors import BundleError, ConfigError

SIGNATURE = "signature.json"
FORMAT = 1
ALGORITHM = "ed25519"
_BYTES_MAX = 4096
_KEY_FILE_BYTES_MAX = 8192
_HEX = re.compile(r"^[0-9a-f]+$")
_PUBLIC, _PRIVATE = "PUBLIC KEY", "PRIVATE KEY"
# What DER (RFC 8410, sections 4 and 7) puts before the 32 bytes of a key.
_DER = {_PUBLIC: bytes.fromhex("302a300506032b6570032100"), _PRIVATE: bytes.fromhex("302e020100300506032b657004220420")}


@dataclass(frozen=True, slots=True)
class Signature:
    """``signature`` (64 bytes) of the bundle with the hash ``bundle`` by the key with the fingerprint ``key``."""

    bundle: str
    key: str
    signature: bytes


def signed_message(bundle: str) -> bytes:
    """What is signed for the bundle with this hash (64 hex digits)."""
    return f"babbitt bundle v1\n{bundle}\n".encode("ascii")


def fingerprint(public: bytes) -> str:
    """How people call a public key (32 bytes): the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def pack_signature(signature: Signature) -> bytes:
    told = {
        "format": FORMAT, "algorithm": ALGORITHM, "bundle": signature.bundle, "key": signature.key,
        "signature": base64.b64encode(signature.signature).decode("ascii"),
    }  # fmt: skip
    return (json.dumps(told, sort_keys=True, indent=1) + "\n").encode("ascii")


def read_signature(folder: Path) -> Signature:
    """The signature that lies in a bundle's folder. Raises ``BundleError`` where there is none, or it is none."""
    path = folder / SIGNATURE
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
    except FileNotFoundError as error:
        hint = "have it signed by whoever trained it: `babbitt cloud sign BUNDLE --key FILE`"
        raise BundleError(str(folder), "is not signed", hint) from error
    except OSError as error:
        raise BundleError(str(path), f"cannot be read: {error.strerror}", "copy the whole bundle again") from error
    try:
        return _parse(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(str(path), f"is no signature: {error}", "sign the bundle again") from error


def _parse(data: bytes) -> Signature:
    if len(data) > _BYTES_MAX:
        raise ValueError(f"more than {_BYTES_MAX} bytes")
    told = json.loads(data)
    if not isinstance(told, dict) or (told.get("format"), told.get("algorithm")) != (FORMAT, ALGORITHM):
        raise ValueError(f"wanted format {FORMAT} with {ALGORITHM}")
    bundle, key = str(told["bundle"]), str(told["key"])
    signature = base64.b64decode(told["signature"], validate=True)
    if not _HEX.match(bundle) or not _HEX.match(key) or len(signature) != 64:
        raise ValueError("its hash, its key or its signature is none")
    return Signature(bundle, key, signature)


def public_pem(public: bytes) -> bytes:
    """A public key (32 bytes) as a PEM file."""
    return _pem(_PUBLIC, public)


def private_pem(seed: bytes) -> bytes:
    """A private key (its seed, 32 bytes) as a PEM file."""
    return _pem(_PRIVATE, seed)


def read_public(path: Path) -> bytes:
    """The 32 bytes of a public key. Raises ``ConfigError``."""
    return _read_key(path, _PUBLIC)


def read_private(path: Path) -> bytes:
    """The 32 bytes of a private key's seed. Raises ``ConfigError``, also where others may read the file."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise _unreadable(path, error) from error
    if mode & 0o077:
        raise ConfigError(str(path), f"others may read it (mode {mode:04o})", f"chmod 600 {path}")
    return _read_key(path, _PRIVATE)


def _pem(label: str, key: bytes) -> bytes:
    assert len(key) == 32
    text = base64.b64encode(_DER[label] + key).decode("ascii")
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n".encode("ascii")


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
        raise ConfigError(str(path), f"is no {what} Ed25519 key (PEM)", "make a pair with `babbitt cloud key make`")
    return der[len(_DER[label]) :]


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(str(path), f"cannot be read: {error.strerror}", "name the file of a key")

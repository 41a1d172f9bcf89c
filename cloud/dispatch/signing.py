"""Making keys and signing bundles. The private key never leaves the machine of whoever releases bundles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from edge.contract.bundle import Bundle, load_bundle
from edge.contract.signature import (
    SIGNATURE,
    Signature,
    fingerprint,
    pack_signature,
    read_private,
    read_public,
    read_signature,
    signed_message,
    write_pair,
)
from edge.errors import BundleError


def make_key(private: Path, public: Path) -> str:
    """Make a pair: ``private`` a new file with mode 0600, ``public`` one for gateways; returns its fingerprint.

    Raises ``ConfigError`` where one of the files exists or cannot be written.
    """
    key = SigningKey.generate()
    return write_pair(private, public, seed=bytes(key), key=bytes(key.verify_key))


def sign(folder: Path, private: Path) -> Signature:
    """Sign the bundle in ``folder`` and leave the signature there. The same bundle and key give the same bytes.

    Raises ``BundleError`` for what is no whole bundle, ``ConfigError`` for what is no key.
    """
    bundle = load_bundle(folder)
    key = SigningKey(read_private(private))
    signature = Signature(
        bundle.hash, fingerprint(bytes(key.verify_key)), bytes(key.sign(signed_message(bundle.hash)).signature)
    )
    part = folder / f"{SIGNATURE}.part"
    part.write_bytes(pack_signature(signature))
    part.replace(folder / SIGNATURE)
    return signature


def signed_bundle(folder: Path, keys: Iterable[Path]) -> tuple[Bundle, Signature]:
    """The bundle in ``folder``, signed by one of ``keys``. Raises ``BundleError``: no gateway would take it either."""
    bundle, signature = load_bundle(folder), read_signature(folder)
    trusted = {fingerprint(key): key for key in map(read_public, keys)}
    if signature.key not in trusted:
        known = ", ".join(sorted(trusted)) or "none"
        raise BundleError(
            str(folder), f"signed by key {signature.key}, not one of yours ({known})", "name its public key with --key"
        )
    try:
        VerifyKey(trusted[signature.key]).verify(signed_message(bundle.hash), signature.signature)
    except BadSignatureError as error:
        raise BundleError(str(folder), "its signature is false: it was altered", "sign it again") from error
    return bundle, signature

"""Whose bundles and contracts a gateway takes: public keys that its site names, and the check of a signature by them.

libsodium does the mathematics, by PyNaCl: 1.6 MB in memory against nine of ``cryptography``, 0.1 ms a signature. It is
loaded with the first bundle, so a gateway that judges nothing does not pay for it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

from edge.config.site import Site, profiles_root
from edge.contract.downlink import Configuration, configuration_message
from edge.contract.signature import Kind, fingerprint, parse_signature, read_public, read_signature, signed_message
from edge.errors import BundleError, ConfigError

KEYS = "keys"
"""The folder of public keys (``*.pub``) among the shipped profiles and in a site's own."""


class Trust:
    """Public keys (32 bytes each), by their fingerprints."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {fingerprint(key): key for key in keys}

    def check(self, folder: Path, bundle: str) -> None:
        """Whether a trusted key signed the bundle with the hash ``bundle``; its signature lies in ``folder``.

        Raises ``BundleError`` that says in words why not.
        """
        where = str(folder)
        signature = read_signature(folder)
        if signature.hash != bundle:
            raise BundleError(where, "its signature is that of another bundle", "copy the whole bundle again")
        key = self._keys.get(signature.key)
        if key is None:
            trusted = ", ".join(sorted(self._keys)) or "none"
            hint = (
                f"trusted: {trusted}; to take it, put its public key into `keys` of the site's profiles,"
                " or name it in `gateway.bundle_keys`"
            )
            raise BundleError(where, f"signed by key {signature.key}, which this gateway does not trust", hint)
        if not is_signed(key, signed_message(bundle), signature.signature):
            raise BundleError(where, "its signature is false: it was altered", "copy the whole bundle again")

    def signer_of_contract(self, contract: str, signature: bytes) -> str:
        """The fingerprint of the trusted key that signed the contract with the hash ``contract``.

        ``signature`` is what its file of a signature holds. Raises ``ValueError`` that says in words why none did.
        """
        told = parse_signature(signature, Kind.CONTRACT)
        if told.hash != contract:
            raise ValueError("its signature is that of another contract, or of it before it was changed")
        key = self._keys.get(told.key)
        if key is None:
            trusted = ", ".join(sorted(self._keys)) or "none"
            raise ValueError(f"signed by key {told.key}, which is none of `command.contract_keys` (trusted: {trusted})")
        if not is_signed(key, signed_message(contract, Kind.CONTRACT), told.signature):
            raise ValueError("its signature is false: it was altered")
        return told.key

    def why_not_configured(self, one: Configuration) -> str:
        """Why a configuration's signature does not count, in words; empty where a trusted key signed it as it is."""
        key = self._keys.get(one.key)
        if key is None:
            trusted = ", ".join(sorted(self._keys)) or "none"
            return f"signed by key {one.key}, which is none of `update.configuration_keys` (trusted: {trusted})"
        signature = base64.b64decode(one.signature)
        return "" if is_signed(key, configuration_message(one), signature) else "its signature is false: it was altered"


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) is ``public``'s (32 bytes) of ``message`` by RFC 8032."""
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(public).verify(message, signature)
    except BadSignatureError:
        return False
    return True


def trust_of(site: Site) -> Trust:
    """The keys of ``gateway.bundle_keys`` alone where it names any, else those in the folders of profiles.

    Raises ``ConfigError`` for a file that is no public key.
    """
    named = [site.resolve(path) for path in site.file.gateway.bundle_keys]
    found = [path for folder in site.folders for path in sorted((folder / KEYS).glob("*.pub"))]
    return Trust(read_public(path) for path in named or found)


def configuration_trust_of(site: Site) -> Trust:
    """The keys of ``update.configuration_keys``, none by default. Raises ``ConfigError``."""
    return Trust(read_public(site.resolve(path)) for path in site.file.update.configuration_keys)


def contract_trust_of(site: Site) -> Trust:
    """The keys of ``command.contract_keys``, none without that table.

    A key of the shipped bundles is refused there: whoever makes models sets no limits of a machine. Raises
    ``ConfigError``, for a file that is no public key too.
    """
    command = site.file.command
    named = [site.resolve(path) for path in command.contract_keys] if command is not None else []
    shipped = {read_public(path) for path in sorted((profiles_root() / KEYS).glob("*.pub"))}
    for path in named:
        if read_public(path) in shipped:
            hint = "make a key of the site's own: `babbitt gateway contract key FILE`"
            raise ConfigError(str(path), "is the key of shipped bundles, which signs no contracts", hint)
    return Trust(map(read_public, named))

"""Private keys of people who stand beside a gateway: made, and used to sign contracts and commands.

They never are on the gateway in service: an engineer's and an operator's own machines hold them. libsodium does the
mathematics, by PyNaCl.
"""

from __future__ import annotations

import base64
from pathlib import Path

from edge.contract.commands import Signed
from edge.contract.signature import Kind, Signature, fingerprint, read_private, signed_message, write_pair


class PrivateKey:
    """The key in a PEM file of mode 0600. Raises ``ConfigError``."""

    def __init__(self, path: Path) -> None:
        from nacl.signing import SigningKey

        self._key = SigningKey(read_private(path))

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return bytes(self._key.verify_key)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public)

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        return bytes(self._key.sign(message).signature)

    def sign_contract(self, contract: str) -> Signature:
        """Of the contract with this hash."""
        return Signature(contract, self.fingerprint, self.sign(signed_message(contract, Kind.CONTRACT)), Kind.CONTRACT)

    def sign_command(self, message: bytes, *, at_ns: int) -> Signed:
        """Of a command's ``signed_message``."""
        return Signed(self.fingerprint, at_ns, base64.b64encode(self.sign(message)).decode("ascii"))


def make_pair(private: Path, public: Path) -> bytes:
    """Make two new files, ``private`` of mode 0600; returns the public key (32 bytes). Raises ``ConfigError``."""
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    write_pair(private, public, seed=bytes(key), key=bytes(key.verify_key))
    return bytes(key.verify_key)

"""People's signatures of commands and configurations: made where their key is, checked by what a contract says.

Making one wants the key's file, which is on the machine of whoever signs. A server is only ever asked to check.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from edge.contract.commands import Command, Signed, signed_message
from edge.contract.downlink import Configuration, configuration_message
from edge.contract.signature import fingerprint, read_private


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) is ``public``'s (32 bytes) of ``message`` by RFC 8032."""
    try:
        VerifyKey(public).verify(message, signature)
    except BadSignatureError:
        return False
    return True


def fingerprint_of(private: Path) -> str:
    """Of the public half of the key in a file. Raises ``ConfigError``."""
    return fingerprint(bytes(SigningKey(read_private(private)).verify_key))


def sign_command(command: Command, private: Path, *, at_ns: int) -> Command:
    """The command with one signature more. Raises ``ConfigError`` for what is no private key."""
    key, signature = _signature(signed_message(command), private)
    return replace(command, signed=(*command.signed, Signed(key, at_ns, signature)))


def sign_configuration(one: Configuration, private: Path) -> Configuration:
    """The same, signed. Raises ``ConfigError`` for what is no private key."""
    key, signature = _signature(configuration_message(one), private)
    return replace(one, key=key, signature=signature)


def _signature(message: bytes, private: Path) -> tuple[str, str]:
    """The key's fingerprint, and 64 bytes in base64."""
    key = SigningKey(read_private(private))
    return fingerprint(bytes(key.verify_key)), base64.b64encode(key.sign(message).signature).decode("ascii")

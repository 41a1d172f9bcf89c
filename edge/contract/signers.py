"""Who signed a command, by its contract: pure, with the mathematics handed in (``edge.trust.is_signed``, or another's).

Whoever signs one, hands it on or carries it out asks here, with one strictness: one false signature spoils the whole.

Whatever is wrong comes back as words, since they go into the audit and to whoever gave the command.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass

from edge.contract.commands import Command, Signed, signed_message
from edge.contract.setpoint import Mode, Person, SetpointContract
from edge.contract.setpoint_words import bounds, figure

COMMAND_LIFE_MAX_NS = 7 * 86_400 * 1_000_000_000
"""Nobody means a value of next month today."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether the third, a signature of 64 bytes, is the first's, a public key of 32, of the second, a message."""


class FalseCommandError(ValueError):
    """A command that nobody who may has signed as it is, in words."""


@dataclass(frozen=True, slots=True)
class Signers:
    """``missing``: so many more must approve before it may be written. None of them is the giver, no two the same."""

    giver: Person
    approvers: tuple[Person, ...]
    missing: int


def why_not_under(command: Command, contract: SetpointContract) -> str:
    """Why ``command`` is none that ``contract`` could ever allow, whoever signed and whenever; empty where it is."""
    if command.contract != contract.hash:
        return f"it is under contract {command.contract[:12]}, not {contract.hash[:12]} ({contract.id})"
    for what in ("gateway", "asset", "tag"):
        told, wanted = getattr(command, what), getattr(contract, what)
        if told != wanted:
            return f"its {what} is {told!r}, the contract's is {wanted!r}"
    if not (math.isfinite(command.value) and contract.low <= command.value <= contract.high):
        return f"{figure(command.value)} {contract.sign} is outside {bounds(contract)}"
    if not command.issued_ns < command.expires_ns <= command.issued_ns + COMMAND_LIFE_MAX_NS:
        return f"it must expire within {COMMAND_LIFE_MAX_NS / 86_400e9:.0f} days after it was given"
    if not contract.valid_from_ns <= command.issued_ns < contract.expires_ns:
        return "it was given while the contract did not hold"
    return ""


def signers_of(command: Command, contract: SetpointContract, verify: Verify) -> Signers:
    """The giver and the approvers, every signature checked. Raises ``FalseCommandError``, for one false one too."""
    if not command.signed:
        raise FalseCommandError("nobody has signed it")
    message = signed_message(command)
    first, *others = [_person(signed, contract, message, verify) for signed in command.signed]
    if "command" not in first.may:
        raise FalseCommandError(f"{first.name} gave it, who may only approve")
    if first.name != command.by:
        raise FalseCommandError(f"it says that it is by {command.by}, and {first.name} signed it")
    seen = {first.key}
    for person in others:
        if "approve" not in person.may:
            raise FalseCommandError(f"{person.name} approved it, who may not")
        if person.key in seen:
            raise FalseCommandError(f"{person.name} signed it twice: an approval is another's")
        seen.add(person.key)
    wanted = contract.approvals if contract.mode is Mode.APPROVE else 0
    return Signers(first, tuple(others), max(wanted - len(others), 0))


def _is_genuine(signed: Signed, person: Person, message: bytes, verify: Verify) -> bool:
    """Whether it is ``person``'s signature of ``message``."""
    try:
        signature = base64.b64decode(signed.signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(signature) == 64 and verify(person.key, message, signature)


def _person(signed: Signed, contract: SetpointContract, message: bytes, verify: Verify) -> Person:
    person = contract.person_of(signed.key)
    if person is None:
        raise FalseCommandError(f"signed by key {signed.key}, which the contract does not know")
    if not _is_genuine(signed, person, message, verify):
        raise FalseCommandError(f"the signature of {person.name} is false: the command was altered")
    return person

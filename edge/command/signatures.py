"""Who stands behind a command, by the keys that its contract names: whoever gave it, and whoever approved it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from edge.contract.commands import Command, Signed, signed_message
from edge.contract.setpoint import Person, SetpointContract
from edge.contract.signers import Verify, is_genuine


def giver_of(command: Command, contract: SetpointContract, verify: Verify) -> Person | None:
    """Whoever gave it: the first to sign, who may command, and whom it names."""
    person = _signer(command, command.signed[0], contract, verify) if command.signed else None
    return person if person is not None and "command" in person.may and person.name == command.by else None


def approvals_of(
    command: Command, signed: Sequence[Signed], contract: SetpointContract, verify: Verify
) -> list[tuple[Person, Signed]]:
    """Those of ``signed`` that approve: each person once, and never whoever gave it."""
    giver = command.signed[0].key if command.signed else ""
    giver_person = contract.person_of(giver)
    found: dict[str, tuple[Person, Signed]] = {}
    for one in signed:
        person = _signer(command, one, contract, verify)
        if person is None or "approve" not in person.may or person.name in found:
            continue
        if person.fingerprint == giver or (giver_person is not None and person.name == giver_person.name):
            continue
        found[person.name] = person, one
    return list(found.values())


def _signer(command: Command, signed: Signed, contract: SetpointContract, verify: Verify) -> Person | None:
    person = contract.person_of(signed.key)
    genuine = person is not None and is_genuine(signed, person, signed_message(command), verify)
    return person if genuine else None

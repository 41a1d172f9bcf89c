"""Commands: only whoever may, as they signed it, within the contract; two people are two keys."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.commands import Command, Signed
from edge.contract.signers import COMMAND_LIFE_MAX_NS, FalseCommandError, signers_of, why_not_under
from edge.trust import is_signed
from tests.rooms.contract.contracts import KEYS, command_for, key_of, signed_by, sound

CONTRACT = sound()


def names(command: Command) -> tuple[str, list[str], int]:
    found = signers_of(command, CONTRACT, is_signed)
    return found.giver.name, [person.name for person in found.approvers], found.missing


def test_who_gave_it_who_approved_and_how_many_are_missing() -> None:
    assert names(command_for(CONTRACT, "ada")) == ("ada", [], 2)
    assert names(command_for(CONTRACT, "ada", "bob")) == ("ada", ["bob"], 1)
    assert names(command_for(CONTRACT, "ada", "bob", "carol")) == ("ada", ["bob", "carol"], 0)
    assert why_not_under(command_for(CONTRACT), CONTRACT) == ""


def test_only_mode_approve_wants_approvals() -> None:
    for mode, approvals in (("shadow", "2"), ("advise", "2"), ("auto", "")):
        contract = sound(mode=f'"{mode}"', approvals=approvals)
        assert signers_of(command_for(contract), contract, is_signed).missing == 0


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (replace(command_for(CONTRACT), signed=()), "nobody"),
        (command_for(CONTRACT, "bob"), "may only approve"),
        (command_for(CONTRACT, "mallory"), "does not know"),
        (command_for(CONTRACT, "ada", "mallory"), "does not know"),
        (command_for(CONTRACT, "ada", "ada"), "twice"),
        (command_for(CONTRACT, "ada", "bob", "bob"), "twice"),
        (command_for(CONTRACT, "ada", "bob", "carol", "ada"), "twice"),
        (replace(command_for(CONTRACT), by="bob"), "false"),
        (replace(command_for(CONTRACT, by="bob", signed=()), signed=()), "nobody"),
    ],
)
def test_whoever_may_not_spoils_it(command: Command, why: str) -> None:
    with pytest.raises(FalseCommandError, match=why):
        signers_of(command, CONTRACT, is_signed)


def test_whoever_may_only_command_approves_nothing() -> None:
    persons = [("ada", '"command", "approve"'), ("bob", '"command"'), ("carol", '"approve"')]
    entries = ", ".join(f'{{ name = "{who}", key = "{key_of(who)}", may = [{may}] }}' for who, may in persons)
    contract = sound(person=f"[{entries}]", approvals="1")
    with pytest.raises(FalseCommandError, match="bob approved it, who may not"):
        signers_of(command_for(contract, "ada", "bob"), contract, is_signed)
    assert signers_of(command_for(contract, "bob", "ada"), contract, is_signed).missing == 0


def test_it_says_whose_it_is() -> None:
    """The audit names ``by``: it must not be another than whoever signed."""
    claimed = replace(command_for(CONTRACT), by="carol", signed=())
    claimed = replace(claimed, signed=(signed_by(claimed, "ada"),))
    with pytest.raises(FalseCommandError, match="by carol, and ada signed"):
        signers_of(claimed, CONTRACT, is_signed)


@pytest.mark.parametrize(
    "change",
    [
        {"value": 2500.0000000001}, {"value": -2500.0}, {"order": 2}, {"gateway": "gw-2"}, {"asset": "pump-2"},
        {"tag": "x"},
        {"contract": "0" * 64}, {"issued_ns": 1}, {"expires_ns": 2**62}, {"by": "Ada"}, {"why": ""},
    ],
)  # fmt: skip
def test_no_field_can_be_altered(change: dict[str, Any]) -> None:
    for signed in (("ada",), ("ada", "bob", "carol")):
        with pytest.raises(FalseCommandError, match="false"):
            signers_of(replace(command_for(CONTRACT, *signed), **change), CONTRACT, is_signed)


@given(st.integers(0, 2), st.integers(0, 511))
def test_no_bit_of_a_signature_can_be_altered(which: int, bit: int) -> None:
    command = command_for(CONTRACT, "ada", "bob", "carol")
    altered = bytearray(base64.b64decode(command.signed[which].signature))
    altered[bit // 8] ^= 1 << bit % 8
    false = replace(command.signed[which], signature=base64.b64encode(altered).decode())
    signed = tuple(false if i == which else one for i, one in enumerate(command.signed))
    with pytest.raises(FalseCommandError, match="false"):
        signers_of(replace(command, signed=signed), CONTRACT, is_signed)


@pytest.mark.parametrize("odd", ["", "AAAA", "ä" * 88, "A" * 86 + "==", "*" * 88])
def test_what_is_no_signature_is_false(odd: str) -> None:
    command = command_for(CONTRACT)
    with pytest.raises(FalseCommandError, match="false"):
        signers_of(replace(command, signed=(Signed(command.signed[0].key, 0, odd),)), CONTRACT, is_signed)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"contract": "0" * 64}, "under contract 000000000000"), ({"gateway": "gw-2"}, "its gateway is 'gw-2'"),
        ({"asset": "pump-2"}, "its asset"), ({"tag": "speed_rpm"}, "its tag"), ({"value": 3000.0000001}, "outside"),
        ({"value": 2399.9}, "outside 2400 to 3000"), ({"value": float("nan")}, "outside"), ({"value": float("inf")},
        "outside"),
        ({"expires_ns": CONTRACT.valid_from_ns}, "must expire"), ({"expires_ns": 2**62}, "must expire within 7 days"),
        ({"issued_ns": CONTRACT.valid_from_ns - 1, "expires_ns": CONTRACT.valid_from_ns}, "did not hold"),
        ({"issued_ns": CONTRACT.expires_ns, "expires_ns": CONTRACT.expires_ns + 1}, "did not hold"),
    ],
)  # fmt: skip
def test_what_the_contract_never_allows_is_told_in_words(change: dict[str, Any], why: str) -> None:
    assert why in why_not_under(replace(command_for(CONTRACT), **change), CONTRACT)


def test_both_bounds_are_allowed_and_the_longest_life_is() -> None:
    command = command_for(CONTRACT)
    for change in (
        {"value": 2400.0}, {"value": 3000}, {"expires_ns": command.issued_ns + COMMAND_LIFE_MAX_NS},
        {"issued_ns": CONTRACT.valid_from_ns},
        {"issued_ns": CONTRACT.expires_ns - 1, "expires_ns": CONTRACT.expires_ns},
    ):  # fmt: skip
        assert why_not_under(replace(command, **change), CONTRACT) == ""


def test_the_keys_of_persons_are_whole_ones() -> None:
    assert [person.key for person in CONTRACT.person] == [bytes(KEYS[n].verify_key) for n in ("ada", "bob", "carol")]
    assert all(base64.b64decode(key_of(name)) == bytes(KEYS[name].verify_key) for name in KEYS)

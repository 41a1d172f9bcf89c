"""Commands, contracts, a configuration and acknowledgements on their way down: whole as they were meant, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.command_file import pack_command, parse_command
from edge.contract.commands import Command, Signed
from edge.contract.desired import BYTES_MAX, Desired, pack_desired, parse_desired
from edge.contract.downlink import (
    COMMANDS_MAX,
    CONFIGURATION_CHARS_MAX,
    CONTRACT_CHARS_MAX,
    CONTRACTS_MAX,
    Acknowledged,
    Configuration,
    ContractDocument,
    WithdrawnCommand,
    WithdrawnContract,
)
from edge.contract.types import Alarm, AlarmState, Priority

SIGNATURE = "A" * 86 + "=="
SIGNED = Signed("ab" * 8, 5, SIGNATURE)
COMMAND = Command("gw", 3, "cd" * 32, "pump-1", "speed_setpoint", 1450.0, 10, 20, "ada", "less wear", (SIGNED,))
CONFIGURATION = Configuration("gw", 2, "[gateway]\n", "ada", "two more tags", 10, 20, "ab" * 8, SIGNATURE)
DESIRED = Desired(
    "gw", 7, commands=(COMMAND, replace(COMMAND, order=4, value=-1.5)),
    withdrawn_commands=(WithdrawnCommand(replace(COMMAND, order=2), "bob", "not now"),),
    contracts=(ContractDocument("pump speed", "[contract]\n", "signed"),),
    withdrawn_contracts=(WithdrawnContract("12" * 32, "bob", "a new pump"),), configuration=CONFIGURATION,
    acknowledged=(Acknowledged("pump-1", "overheated", 99, "ada", 100),),
)  # fmt: skip

WHOLE = st.integers(0, 2**63 - 1)
WORDS = st.text(st.characters(codec="utf-8"), max_size=300)
NAME = WORDS.filter(bool)
HASH = st.text("0123456789abcdef", min_size=64, max_size=64)
KEY = st.text("0123456789abcdef", min_size=16, max_size=16)
SIGNEDS = st.builds(Signed, KEY, WHOLE, st.just(SIGNATURE))
COMMANDS = st.builds(
    Command, st.just("gw"), WHOLE, HASH, NAME, NAME, st.floats(allow_nan=False, allow_infinity=False), WHOLE, WHOLE,
    WORDS, WORDS, st.lists(SIGNEDS, max_size=3).map(tuple),
)  # fmt: skip
WANTED = st.builds(
    Desired, st.just("gw"), WHOLE,
    commands=st.lists(COMMANDS, max_size=4, unique_by=lambda one: one.order).map(
        lambda found: tuple(sorted(found, key=lambda one: one.order))
    ),
    withdrawn_commands=st.lists(st.builds(WithdrawnCommand, COMMANDS, WORDS, WORDS), max_size=2).map(tuple),
    contracts=st.lists(st.builds(ContractDocument, NAME, WORDS, WORDS), max_size=2).map(tuple),
    withdrawn_contracts=st.lists(st.builds(WithdrawnContract, HASH, WORDS, WORDS), max_size=2).map(tuple),
    configuration=st.none() | st.builds(
        Configuration, st.just("gw"), WHOLE, WORDS, WORDS, WORDS, WHOLE, WHOLE, KEY, st.just(SIGNATURE)
    ),
    acknowledged=st.lists(st.builds(Acknowledged, NAME, NAME, WHOLE, NAME, WHOLE), max_size=2).map(tuple),
)  # fmt: skip


@given(WANTED)
def test_what_is_packed_is_read_back_and_each_command_keeps_its_id(desired: Desired) -> None:
    found = parse_desired(pack_desired(desired))
    assert found == desired
    assert [one.id for one in found.commands] == [one.id for one in desired.commands]
    assert found.configuration is None or desired.configuration is None or (
        found.configuration.id == desired.configuration.id
    )  # fmt: skip


@given(COMMANDS)
def test_a_command_that_people_hand_on_to_sign_is_read_back(command: Command) -> None:
    assert parse_command(pack_command(command)) == command


@given(st.binary(max_size=200) | st.just(b"[" * 9000) | st.just(b" " * 20_000))
def test_other_bytes_are_no_command(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what is said depends on the bytes
        parse_command(data)


def test_a_cloud_of_before_wants_none_of_it() -> None:
    told = {"format": 1, "gateway": "gw", "issued_ns": 7, "offers": [], "withdrawn": [], "records": []}
    assert parse_desired(json.dumps(told).encode()) == Desired("gw", 7)


def at(told: Any, *path: str | int) -> Any:
    for step in path:
        told = told[step]
    return told


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("commands", 0, "value"), "1450", "commands.value"), (("commands", 0, "value"), True, "commands.value"),
        (("commands", 0, "value"), 10**400, "commands.value"), (("commands", 0, "value"), None, "commands.value"),
        (("commands", 0, "contract"), "cd", "commands.contract"), (("commands", 0, "tag"), "", "commands.tag: empty"),
        (("commands", 0, "order"), 1.0, "commands.order"), (("commands", 0, "order"), 4, "not in their order"),
        (("commands", 0, "order"), 9, "not in their order"), (("commands", 0, "gateway"), "other", "another gateway"),
        (("commands", 0, "signed"), "none", "commands.signed"),
        (("commands", 0, "signed", 0, "key"), "AB" * 8, "signed.key"),
        (("commands", 0, "signed", 0, "signature"), "A" * 88, "64 bytes in base64"),
        (("commands", 0), 5, "not an object"), (("commands",), {}, "commands: not a list"),
        (("contracts", 0, "text"), "x" * (CONTRACT_CHARS_MAX + 1), "contracts.text"),
        (("contracts", 0, "name"), "", "contracts.name"), (("contracts", 0, "signature"), 1, "contracts.signature"),
        (("withdrawn_contracts", 0, "contract"), "12" * 31, "withdrawn_contracts.contract"),
        (("withdrawn_commands", 0, "command"), None, "withdrawn_commands.command"),
        (("withdrawn_commands", 0, "command", "gateway"), "other", "another gateway"),
        (("configuration",), [], "configuration: not an object"),
        (("configuration", "text"), "x" * (CONFIGURATION_CHARS_MAX + 1), "configuration.text"),
        (("configuration", "key"), "", "configuration.key"), (("configuration", "number"), -1, "configuration.number"),
        (("acknowledged", 0, "by"), "", "acknowledged.by"), (("acknowledged", 0, "since_ns"), "9", "since_ns"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(path: tuple[str | int, ...], value: Any, said: str) -> None:
    told = json.loads(pack_desired(DESIRED))
    at(told, *path[:-1])[path[-1]] = value
    with pytest.raises(ValueError, match=said):
        parse_desired(json.dumps(told).encode())


@pytest.mark.parametrize(
    ("field", "most"),
    [("commands", COMMANDS_MAX), ("contracts", CONTRACTS_MAX), ("withdrawn_contracts", CONTRACTS_MAX),
     ("withdrawn_commands", COMMANDS_MAX), ("acknowledged", 256)],
)  # fmt: skip
def test_more_than_there_is_room_for_is_refused(field: str, most: int) -> None:
    told = json.loads(pack_desired(DESIRED))
    told[field] = [told[field][0] | {"order": i} for i in range(most)]
    parse_desired(json.dumps(told).encode())
    told[field].append(told[field][0] | {"order": most})
    with pytest.raises(ValueError, match=f"{field}: not a list of up to {most}"):
        parse_desired(json.dumps(told).encode())


def test_all_that_a_gateway_may_be_sent_at_once_fits() -> None:
    """With texts in which each character of plain TOML costs what it costs most often."""
    document = ContractDocument("n" * 300, 'bound = "é"\n' * (CONTRACT_CHARS_MAX // 12), "s" * 600)
    whole = replace(
        DESIRED, commands=tuple(replace(COMMAND, order=i, signed=(SIGNED,) * 4) for i in range(COMMANDS_MAX)),
        contracts=(document,) * CONTRACTS_MAX,
        configuration=replace(CONFIGURATION, text="period_ms = 100 # x\n" * (CONFIGURATION_CHARS_MAX // 20)),
        acknowledged=DESIRED.acknowledged * 256,
    )  # fmt: skip
    assert len(pack_desired(whole)) < BYTES_MAX
    assert parse_desired(pack_desired(whole)) == whole


@pytest.mark.parametrize(
    "other",
    [{"gateway": "other"}, {"number": 3}, {"text": "[gateway] \n"}, {"by": "eve"}, {"why": "because"},
     {"issued_ns": 11}, {"expires_ns": 21}],
)  # fmt: skip
def test_a_configuration_is_another_one_where_any_of_it_is_other(other: dict[str, Any]) -> None:
    assert replace(CONFIGURATION, **other).id != CONFIGURATION.id
    assert replace(CONFIGURATION, key="cd" * 8, signature="B" * 86 + "==").id == CONFIGURATION.id


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5,
)  # fmt: skip


def paths(told: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    return [path, *(deeper for key, value in inner for deeper in paths(value, (*path, key)))]


@given(st.data())
def test_whatever_stands_in_place_of_any_part_it_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    told = json.loads(pack_desired(DESIRED))
    path = data.draw(st.sampled_from(paths(told)[1:]))
    at(told, *path[:-1])[path[-1]] = data.draw(JSONS)
    try:
        found = parse_desired(json.dumps(told).encode())
    except ValueError:
        return
    again = parse_desired(pack_desired(found))
    assert again == found
    assert [one.id for one in again.commands] == [one.id for one in found.commands]


@pytest.mark.parametrize(
    ("seen", "repeats", "is_of"),
    [(None, 7, True), (0, 0, True), (1, 0, True), (0, 1, False), (2, 3, False)],
)
def test_an_acknowledgement_is_of_what_was_seen_of_an_alarm(seen: int | None, repeats: int, is_of: bool) -> None:
    alarm = Alarm("pump-1", "hot", "t", Priority.HIGH, AlarmState.UNACKNOWLEDGED, 99, 100, 1.0, "hot", repeats=repeats)
    told = Acknowledged("pump-1", "hot", 99, "ada", 101, repeats=seen)
    assert told.is_of(alarm) is is_of
    for other in ({"asset": "pump-2"}, {"rule": "cold"}, {"since_ns": 98}):
        assert not replace(told, **other).is_of(alarm)

"""What goes down to a gateway, until by its own word it has come to its end; and what nothing may change."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.dispatch.acknowledging import acknowledge
from cloud.dispatch.downward import Issued
from cloud.store.commands import FILE, Commands
from cloud.store.documents import Offered
from cloud.store.rollouts import Rollouts
from edge.contract.commands import CommandStep, Outcome, Signed
from edge.contract.downlink import CONTRACTS_MAX, Acknowledged, Configuration
from edge.contract.types import AlarmState
from edge.errors import StoreError
from tests.rooms.cloud.sending import GATEWAY
from tests.rooms.dispatch.fleets import CONTRACT, NOW_NS, Fleet, alarm

SIGNED = Signed("ab" * 8, 1, "A" * 86 + "==")
SEEN = Acknowledged("pump-1", "hot", NOW_NS, "ada", NOW_NS)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.close()


def test_commands_go_down_in_their_order_until_their_gateway_tells_an_end(fleet: Fleet) -> None:
    first, second = fleet.submitted(), fleet.submitted()
    assert fleet.down().commands == (first, second)
    for step in (CommandStep.WAITING, CommandStep.WRITING, CommandStep.EXECUTED):
        fleet.step(first, step)
        assert fleet.down().commands == (first, second), f"{step} is not the end"
    fleet.step(first, CommandStep.KEPT)
    assert fleet.down().commands == (second,)
    assert fleet.down("another").commands == ()


def test_another_gateway_cannot_tell_an_end(fleet: Fleet) -> None:
    command = fleet.submitted()
    fleet.step(command, CommandStep.KEPT, gateway="rogue")
    assert fleet.down().commands == (command,)


def test_a_command_that_expired_goes_down_still_and_is_not_done_before_the_gateway_says_so(fleet: Fleet) -> None:
    command = fleet.submitted()
    fleet.now_ns = command.expires_ns + 30 * 86_400 * 10**9
    assert fleet.down().commands == (command,)
    fleet.step(command, CommandStep.EXPIRED)
    assert fleet.down().commands == ()


def test_signatures_that_come_later_go_down_with_it_and_leave_its_id(fleet: Fleet) -> None:
    command = fleet.submitted()
    with fleet.commands.changing():
        fleet.commands.sign(command.id, SIGNED)
        fleet.commands.sign(command.id, replace(SIGNED, key="cd" * 8))
    (sent,) = fleet.down().commands
    assert [one.key for one in sent.signed] == ["ab" * 8, "cd" * 8]
    assert sent.id == command.id
    with pytest.raises(StoreError), fleet.commands.changing():
        fleet.commands.sign(command.id, SIGNED)


def test_a_command_that_was_withdrawn_on_its_way_goes_down_as_such(fleet: Fleet) -> None:
    command = fleet.submitted()
    fleet.down()
    (sent,) = fleet.commands.get(command.id)
    assert sent.served_ns
    with fleet.commands.changing():
        fleet.commands.withdraw(command.id, fleet.now_ns, "bob", "not now")
    found = fleet.down()
    assert found.commands == ()
    assert [(one.command, one.by, one.why) for one in found.withdrawn_commands] == [(command, "bob", "not now")]
    fleet.step(command, CommandStep.WITHDRAWN)
    assert fleet.down().withdrawn_commands == ()


def test_of_a_contract_the_highest_version_goes_down_and_what_is_withdrawn_is_named(fleet: Fleet) -> None:
    def offer(name: str, version: int, digest: str) -> None:
        with fleet.commands.changing():
            fleet.commands.documents.offer(
                Offered(digest * 32, GATEWAY, name, version, f"text {version}", "sig", "ada", "", fleet.now_ns)
            )

    offer("speed", 1, "01")
    offer("speed", 2, "02")
    offer("flow", 7, "07")
    assert sorted((one.name, one.text) for one in fleet.down().contracts) == [("flow", "text 7"), ("speed", "text 2")]
    with fleet.commands.changing():
        fleet.commands.documents.withdraw("02" * 32, fleet.now_ns, "bob", "a new pump")
    found = fleet.down()
    assert [one.contract for one in found.withdrawn_contracts] == ["02" * 32]
    assert [one.name for one in found.contracts] == ["flow"], "the version before it does not come back"


def test_no_withdrawal_is_lost_on_a_gateway_that_was_away_for_more_than_go_down_at_once(fleet: Fleet) -> None:
    hashes = [f"{n:064x}" for n in range(CONTRACTS_MAX + 8)]
    with fleet.commands.changing():
        for n, digest in enumerate(hashes):
            fleet.commands.documents.offer(
                Offered(digest, GATEWAY, f"c{n}", 1, f"text {n}", "sig", "ada", "", fleet.now_ns)
            )
            fleet.commands.documents.withdraw(digest, fleet.now_ns + n, "bob", "not safe")
    for _ in range(2):
        for one in fleet.down().withdrawn_contracts:
            fleet.tell(Outcome(
                "pump-1", fleet.now_ns, "", 0, one.contract, "speed", CommandStep.WITHDRAWN, None, None, None, "bob", ""
            ))  # fmt: skip
    told = [one for one in hashes if fleet.reader.outcomes_of_contract(one, GATEWAY)]
    assert told == hashes
    newest = [one.contract for one in fleet.down().withdrawn_contracts]
    assert newest == hashes[: -CONTRACTS_MAX - 1 : -1], "again: one that was set up anew remembers nothing"


def test_the_newest_configuration_goes_down_until_it_has_ended(fleet: Fleet) -> None:
    for number in (1, 2):
        with fleet.commands.changing():
            one = Configuration(
                GATEWAY, number, f"# {number}", "ada", "", fleet.now_ns + number, 2 * NOW_NS, SIGNED.key, "x"
            )
            fleet.commands.documents.configure(one)
    assert fleet.down().configuration == one
    step = Outcome("pump-1", 1, one.id, 2, "", "", CommandStep.ACCEPTED, None, None, None, "gateway", "on trial")
    fleet.tell(step)
    assert fleet.down().configuration == one
    fleet.tell(replace(step, step=CommandStep.ROLLED_BACK, asset=GATEWAY))
    assert [row.asset for row in fleet.reader.assets()] == ["pump-1"], "a gateway is no machine"
    assert fleet.down().configuration is None


@pytest.mark.parametrize("state", [AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED])
def test_an_acknowledgement_goes_down_while_the_alarm_waits_for_it(fleet: Fleet, state: AlarmState) -> None:
    fleet.tell(alarm(state))
    with fleet.commands.changing():
        fleet.commands.documents.acknowledge(GATEWAY, SEEN)
    assert fleet.down().acknowledged == (SEEN,)
    fleet.tell(alarm(AlarmState.ACKNOWLEDGED, at_ns=NOW_NS + 1))
    assert fleet.down().acknowledged == ()
    fleet.tell(alarm(AlarmState.UNACKNOWLEDGED, at_ns=NOW_NS + 2))
    assert fleet.down().acknowledged == (), "it was done with"


def test_an_acknowledgement_is_of_one_raising_alone_and_not_for_ever(fleet: Fleet) -> None:
    fleet.tell(alarm(AlarmState.UNACKNOWLEDGED, since_ns=NOW_NS + 5))
    with fleet.commands.changing():
        fleet.commands.documents.acknowledge(GATEWAY, SEEN)
    assert fleet.down().acknowledged == ()
    with fleet.commands.changing():
        fleet.commands.documents.acknowledge(GATEWAY, replace(SEEN, since_ns=NOW_NS + 5))
    assert len(fleet.down().acknowledged) == 1
    fleet.now_ns += 8 * 86_400 * 10**9
    assert fleet.down().acknowledged == ()


def test_an_acknowledgement_is_not_of_what_the_alarm_has_called_for_since(fleet: Fleet) -> None:
    fleet.tell(alarm(AlarmState.UNACKNOWLEDGED))
    assert acknowledge(fleet.commands, fleet.reader, GATEWAY, SEEN)
    assert not acknowledge(fleet.commands, fleet.reader, GATEWAY, SEEN), "that was done"
    [seen] = fleet.down().acknowledged
    assert seen == replace(SEEN, repeats=0)
    fleet.tell(replace(alarm(AlarmState.UNACKNOWLEDGED, at_ns=NOW_NS + 1), repeats=1))
    assert acknowledge(fleet.commands, fleet.reader, GATEWAY, replace(SEEN, by="bob"))
    assert fleet.down().acknowledged == (replace(SEEN, by="bob", repeats=1),)
    fleet.tell(replace(alarm(AlarmState.UNACKNOWLEDGED, at_ns=NOW_NS + 2), repeats=2))
    assert fleet.down().acknowledged == ()


def test_acknowledgements_of_a_file_of_version_1_go_on(fleet: Fleet) -> None:
    with contextlib.closing(sqlite3.connect(fleet.data / FILE)) as file:
        for column in ("repeats", "resets"):
            file.execute(f"ALTER TABLE acknowledged DROP COLUMN {column}")
        row = (GATEWAY, SEEN.asset, SEEN.rule, SEEN.since_ns, SEEN.by, SEEN.at_ns)
        file.execute("INSERT INTO acknowledged VALUES (?,?,?,?,?,?)", row)
        file.execute("PRAGMA user_version=1")
        file.commit()
    for _ in range(2):
        with contextlib.closing(Commands(fleet.data)) as commands:
            assert commands.documents.acknowledged(GATEWAY) == [SEEN]


def test_nothing_changes_or_removes_what_was_drafted_signed_or_done(fleet: Fleet) -> None:
    command = fleet.submitted()
    with fleet.commands.changing():
        fleet.commands.sign(command.id, SIGNED)
    connection = sqlite3.connect(fleet.data / FILE)
    for sql in (
        "UPDATE command SET value = 3000", "UPDATE command SET expires_ns = expires_ns + 1", "DELETE FROM command",
        "UPDATE signature SET key = 'x'", "DELETE FROM signature", "UPDATE history SET by = 'eve'",
        "DELETE FROM history",
    ):  # fmt: skip
        with pytest.raises(sqlite3.DatabaseError, match="never"):
            connection.execute(sql)
    connection.close()


def test_a_change_by_any_process_is_seen_by_whoever_hints_at_it(fleet: Fleet) -> None:
    rollouts = Rollouts(fleet.data)
    issued = Issued(rollouts, fleet.commands)
    issued.refresh()
    assert issued.of(GATEWAY) == 0
    fleet.submitted()
    issued.refresh()
    first = issued.of(GATEWAY)
    assert first == fleet.commands.changed_ns(GATEWAY) > 0
    assert issued.of("another") == 0
    other = Commands(fleet.data)
    with other.changing():
        other.write(GATEWAY, 0, "withdrawn", CONTRACT, "bob", "")
    other.close()
    issued.refresh()
    assert issued.of(GATEWAY) == first + 1, "no two decisions have the same time"
    rollouts.close()

"""Drafted, signed by who may, approved by others, withdrawn: what the cloud takes, and how it says that it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from cloud.dispatch.offering import draft_configuration, offer_configuration, offer_contract, withdraw_contract
from cloud.dispatch.ordering import draft, submit, withdraw
from cloud.dispatch.signatures import sign_command, sign_configuration
from cloud.dispatch.standing import CommandView, command_view, contract_view
from cloud.store.documents import Offered
from edge.contract.commands import Command, CommandStep, Outcome
from edge.contract.desired import Desired, pack_desired, parse_desired
from edge.contract.downlink import COMMANDS_MAX
from edge.contract.setpoint import SetpointContract, contract_hash
from edge.contract.signature import Kind, Signature, fingerprint, pack_signature, private_pem
from edge.errors import ConfigError
from tests.rooms.cloud.sending import GATEWAY
from tests.rooms.contract.contracts import KEYS, contract_text, signed_by
from tests.rooms.dispatch.fleets import Fleet

VALID = {"gateway": f'"{GATEWAY}"', "valid_from": "2030-01-01T00:00:00Z", "expires": "2031-01-01T00:00:00Z"}


def write_contract(folder: Path, **changed: str) -> tuple[Path, Path]:
    """A contract with its signature beside it; whose key that is only a gateway knows."""
    file, signature = folder / "speed.toml", folder / "speed.sig"
    file.write_text(contract_text(**VALID | changed))
    found = contract_hash(file.read_bytes())
    signature.write_bytes(pack_signature(Signature(found, "ab" * 8, bytes(64), Kind.CONTRACT)))
    return file, signature


class World(Fleet):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.contract = self.offer()

    def offer(self, **changed: str) -> SetpointContract:
        self.now_ns += 10**9
        found, _ = offer_contract(
            self.commands, *write_contract(self.folder, **changed), by="eva", why="trial run", now_ns=self.now_ns
        )
        return found

    def draft(self, value: float = 2500.0, **more: Any) -> Command:
        self.now_ns += 10**9
        return draft(self.commands, GATEWAY, "pump-1-speed", value, now_ns=self.now_ns, **{
            "by": "ada", "why": "less wear", "expires_s": 3600.0, **more,
        })  # fmt: skip

    def submit(self, command: Command, *names: str) -> Command:
        """With the signatures of ``names``."""
        self.now_ns += 10**9
        signed = replace(command, signed=tuple(signed_by(command, name) for name in names))
        return submit(self.commands, signed, now_ns=self.now_ns).command

    def view(self, command: Command) -> CommandView:
        held = self.commands.get(command.id)[0]
        offered = self.commands.documents.contract(command.contract)[0]
        return command_view(held, offered, self.reader.outcomes_of(command.id, GATEWAY), self.now_ns)

    def offered(self) -> Offered:
        return self.commands.documents.contract(self.contract.hash)[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_a_command_goes_from_draft_to_kept_and_is_never_called_done_before_its_gateway_says_so(world: World) -> None:
    command = world.draft()
    assert world.view(command).standing.state == "draft"
    assert world.view(command).missing == "the signature of ada"
    assert world.down().commands == ()
    world.submit(command, "ada")
    assert world.view(command).standing.state == "waiting for the gateway"
    assert world.view(command).missing == "2 more approvals, of bob or carol"
    assert len(world.down().commands[0].signed) == 1
    assert "went down at 2030-03-1" in world.view(command).standing.words
    world.submit(command, "bob")
    assert world.view(command).missing == "1 more approval, of carol"
    world.submit(command, "ada", "bob", "carol")
    assert (world.view(command).signed, world.view(command).missing) == (("ada", "bob", "carol"), "")
    assert len(world.down().commands[0].signed) == 3
    for step in (CommandStep.WRITING, CommandStep.EXECUTED, CommandStep.KEPT):
        assert not world.view(command).standing.is_final
        world.step(command, step)
        assert world.view(command).standing.state == step
    assert world.view(command).standing.is_final
    said = [(line.what, line.by) for line in world.commands.history(GATEWAY, subject=command.id)][::-1]
    assert said == [
        ("drafted: speed_setpoint_rpm of pump-1 to 2500 rpm", "ada"), ("submitted", "ada"), ("approved", "bob"),
        ("approved", "carol"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"value": 3000.1}, "outside 2400 to 3000"), ({"value": 2399.0}, "outside"), ({"by": "bob"}, "who may: ada"),
        ({"by": "mallory"}, "who may: ada"), ({"expires_s": 8 * 86_400.0}, "within 7 days"),
        ({"expires_s": 0.0}, "within 7 days"), ({"value": float("nan")}, "outside"),
    ],
)  # fmt: skip
def test_what_no_contract_allows_is_not_even_drafted(world: World, more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        world.draft(**more)
    assert world.commands.all() == []


def altered(command: Command, **changed: Any) -> Command:
    """Other fields under signatures of what was there before; its id is another one."""
    return replace(replace(command, signed=(signed_by(command, "ada"),)), **changed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: altered(c, value=2600.0), "is no command"),
        (lambda c: altered(c, expires_ns=c.expires_ns + 1), "is no command"),
        (lambda c: replace(c, signed=(signed_by(replace(c, value=2600.0), "ada"),)), "is false"),
        (lambda c: replace(c, signed=(signed_by(c, "bob"),)), "who may only approve"),
        (lambda c: replace(c, signed=(signed_by(c, "mallory"),)), "does not know"),
        (lambda c: replace(c, signed=(signed_by(c, "ada"), signed_by(c, "mallory"))), "does not know"),
        (lambda c: replace(c, signed=(signed_by(c, "ada"), replace(signed_by(c, "ada"), at_ns=2))), "signed it twice"),
    ],
)  # fmt: skip
def test_what_the_gateway_would_refuse_is_refused_at_once(world: World, change: Any, said: str) -> None:
    command = world.draft()
    with pytest.raises(ConfigError, match=said):
        submit(world.commands, change(command), now_ns=world.now_ns)
    assert world.down().commands == ()
    assert world.view(command).standing.state == "draft"


def test_of_two_drafts_the_later_one_submitted_first_leaves_the_other_behind(world: World) -> None:
    first, second = world.draft(), world.draft()
    assert first.order < second.order
    world.submit(second, "ada")
    with pytest.raises(ConfigError, match="drafted later was submitted before"):
        world.submit(first, "ada")
    third = world.draft()
    world.submit(third, "ada")
    assert [one.order for one in world.down().commands] == [second.order, third.order]


def test_the_same_twice_is_done_once(world: World) -> None:
    command = world.draft()
    world.submit(command, "ada")
    before = world.commands.history()
    world.submit(command, "ada")
    assert world.commands.history() == before
    assert len(world.down().commands[0].signed) == 1


def test_a_gateway_that_is_away_is_not_given_more_than_it_can_take(world: World) -> None:
    for _ in range(COMMANDS_MAX):
        world.submit(world.draft(), "ada")
    with pytest.raises(ConfigError, match="64 commands wait"):
        world.submit(world.draft(), "ada")
    assert len(world.down().commands) == COMMANDS_MAX


def test_withdrawn_before_it_went_down_it_never_does(world: World) -> None:
    command = world.draft()
    world.submit(command, "ada")
    withdraw(world.commands, command.id[:8], by="bob", why="not now", now_ns=world.now_ns)
    found = world.down()
    assert (found.commands, found.withdrawn_commands) == ((), ())
    assert world.view(command).standing == world.view(command).standing.__class__(
        "withdrawn", "by bob, before it went down: not now", True
    )
    with pytest.raises(ConfigError, match="it is withdrawn"):
        world.submit(command, "bob")


def test_withdrawn_on_its_way_it_stands_as_the_gateway_says(world: World) -> None:
    command = world.draft()
    world.submit(command, "ada")
    world.down()
    withdraw(world.commands, command.id, by="bob", why="not now", now_ns=world.now_ns)
    assert world.view(command).standing.state == "waiting for the gateway"
    world.step(command, CommandStep.KEPT)
    assert world.view(command).standing.state == "kept", "it was too late"


def test_what_expired_is_said_to_wait_for_the_gateways_word(world: World) -> None:
    command = world.draft()
    world.submit(command, "ada")
    world.now_ns = command.expires_ns
    assert not world.view(command).standing.is_final
    assert "has expired, and will be refused" in world.view(command).standing.words
    with pytest.raises(ConfigError, match="has expired"):
        world.submit(command, "bob")
    world.down()
    world.step(command, CommandStep.EXPIRED)
    assert world.view(command).standing.state == "expired"


def test_a_contract_is_offered_once_by_rising_versions_and_withdrawn(world: World) -> None:
    assert world.down().contracts[0].text == contract_text(**VALID)
    again, is_new = offer_contract(
        world.commands, *write_contract(world.folder), by="eva", why="", now_ns=world.now_ns
    )  # fmt: skip
    assert (again, is_new) == (world.contract, False)
    with pytest.raises(ConfigError, match=r"version 1 of pump-1-speed was offered already \(give it `version = 2`"):
        world.offer(high="2900.0")
    second = world.offer(high="2900.0", version="2")
    assert world.down().contracts[0].text == contract_text(**VALID | {"high": "2900.0", "version": "2"})
    with pytest.raises(ConfigError, match="outside 2400 to 2900"):
        world.draft(2950.0)
    command = world.draft()
    assert command.contract == second.hash
    withdraw_contract(world.commands, second.hash[:10], by="eva", why="a new pump", now_ns=world.now_ns)
    with pytest.raises(ConfigError, match="its contract is withdrawn"):
        world.submit(command, "ada")
    with pytest.raises(ConfigError, match="withdrawn, which holds for good"):
        world.offer(high="2900.0", version="2")


def test_a_signature_is_of_the_contract_that_it_comes_with(world: World) -> None:
    file, signature = write_contract(world.folder, version="2")
    file.write_text(file.read_text().replace("2400.0", "100.0"))
    with pytest.raises(ConfigError, match="another contract, or of it before it was changed"):
        offer_contract(world.commands, file, signature, by="eva", why="", now_ns=world.now_ns)
    signature.write_text("{}")
    with pytest.raises(ConfigError, match="format"):
        offer_contract(world.commands, file, signature, by="eva", why="", now_ns=world.now_ns)


def test_a_contract_says_in_words_what_it_allows_and_whether_its_gateway_has_it(world: World) -> None:
    def view() -> Any:
        outcomes = world.reader.outcomes_of_contract(world.contract.hash, GATEWAY)
        return contract_view(world.offered(), outcomes, world.now_ns, newest=1)

    assert view().standing.state == "waiting for the gateway"
    assert view().words[0].startswith("pump-1.speed_setpoint_rpm may be set to 2400 to 3000 rpm, by at most 100 a")
    assert any(words.startswith("only while `running`") for words in view().words)
    step = Outcome(
        "pump-1", world.now_ns, "", 0, world.contract.hash, "", CommandStep.ACCEPTED, None, None, None, "gateway",
        "signed by key abab",
    )  # fmt: skip
    world.tell(step)
    assert view().standing.state == "accepted"
    withdraw_contract(world.commands, world.contract.hash, by="eva", why="a new pump", now_ns=world.now_ns)
    assert view().standing.state == "waiting for the gateway"
    world.tell(replace(step, step=CommandStep.WITHDRAWN))
    assert view().standing.state == "withdrawn"


def test_keys_stay_where_they_are_a_file_signs_and_the_cloud_checks(world: World) -> None:
    key = world.folder / "ada.pem"
    key.write_bytes(private_pem(bytes(KEYS["ada"])))
    key.chmod(0o600)
    signed = sign_command(world.draft(), key, at_ns=5)
    assert signed.signed[0] == replace(signed_by(signed, "ada"), at_ns=5)
    assert submit(world.commands, signed, now_ns=world.now_ns).submitted_ns
    (world.folder / "site.toml").write_text("[gateway]\nid = 'gateway-1'\n")
    one = sign_configuration(
        draft_configuration(
            world.commands, GATEWAY, world.folder / "site.toml", by="ada", why="", expires_s=3600, now_ns=world.now_ns
        ), key,
    )  # fmt: skip
    assert one.key == fingerprint(bytes(KEYS["ada"].verify_key))
    assert offer_configuration(world.commands, one, now_ns=world.now_ns) == (one, True)
    assert offer_configuration(world.commands, one, now_ns=world.now_ns) == (one, False)
    assert world.down().configuration == one
    with pytest.raises(ConfigError, match="number 1 was offered already"):
        offer_configuration(world.commands, replace(one, text=""), now_ns=world.now_ns)
    with pytest.raises(ConfigError, match="would keep later ones out"):
        offer_configuration(world.commands, replace(one, number=2**63 - 1), now_ns=world.now_ns)


@pytest.mark.parametrize("name", ["", "x" * 65, "two\nlines", "half \udce9"])
def test_nobody_decides_anything_under_a_name_that_no_gateway_reads(world: World, name: str) -> None:
    command = world.draft()
    world.submit(command, "ada")
    world.down()
    for decide in (
        lambda: withdraw(world.commands, command.id, by=name, why="", now_ns=1),
        lambda: withdraw_contract(world.commands, world.contract.hash, by=name, why="", now_ns=1),
        lambda: world.draft(by=name),
    ):
        with pytest.raises(ConfigError, match="is nobody's name"):
            decide()
    with pytest.raises(ConfigError, match="half of a character"):
        withdraw(world.commands, command.id, by="bob", why="caf\udce9", now_ns=1)


def test_what_goes_down_is_read_there_whatever_people_write(world: World) -> None:
    withdraw(world.commands, world.submit(world.draft(why="é" * 999), "ada").id, by="bob", why="", now_ns=1)
    world.submit(world.draft(why="\N{SNOWMAN}" * 999), "ada")
    world.down()
    (world.folder / "site.toml").write_text("é" * 200_000)
    with pytest.raises(ConfigError, match="at most go down"):
        draft_configuration(
            world.commands, GATEWAY, world.folder / "site.toml", by="ada", why="", expires_s=60, now_ns=world.now_ns
        )
    found = world.down()
    desired = Desired(GATEWAY, 1, **{field.name: getattr(found, field.name) for field in fields(found)})
    assert parse_desired(pack_desired(desired)) == desired

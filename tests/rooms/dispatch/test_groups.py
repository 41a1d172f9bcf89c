"""The command line, as people use it: with keys on this machine, and with keys that never come to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud.cli import cloud
from cloud.store.writer import Writer
from edge.contract.command_file import pack_command, parse_command
from edge.contract.signature import private_pem
from edge.errors import BabbittError, ConfigError, StoreError
from tests.rooms.cloud.sending import GATEWAY
from tests.rooms.contract.contracts import KEYS, signed_by
from tests.rooms.dispatch.test_ordering import write_contract


def run(*words: str) -> Result:
    result = CliRunner().invoke(cloud, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def told(*words: str) -> Any:
    return json.loads(run(*words, "--json").output)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ada", "bob", "carol"):
        key = tmp_path / f"{name}.pem"
        key.write_bytes(private_pem(bytes(KEYS[name])))
        key.chmod(0o600)
    Writer(tmp_path / "var/cloud").close()
    write_contract(tmp_path, valid_from="2026-01-01T00:00:00Z", expires="2030-01-01T00:00:00Z")
    return tmp_path


def test_a_command_from_draft_to_approval_with_keys_on_this_machine(at: Path) -> None:
    assert "offered" in run("contract", "offer", "speed.toml").output
    made = told("command", "draft", GATEWAY, "pump-1-speed", "2500", "--why", "wear", "--key", "ada.pem")
    assert made["standing"]["state"] == "waiting for the gateway"
    assert made["missing"] == "2 more approvals, of bob or carol"
    name = made["id"][:10]
    with pytest.raises(ConfigError, match="is the key that gave the command"):
        run("command", "approve", name, "--key", "ada.pem")
    for key in ("bob.pem", "carol.pem"):
        run("command", "approve", name, "--key", key)
    assert "signed by ada, bob, carol\n" in run("command", "show", name).output
    assert "waiting for the gateway" in run("command", "list", GATEWAY).output
    assert "withdrawn" in run("command", "withdraw", name, "--why", "cleaning", "--by", "bob").output
    assert "only while `running`" in run("contract", "list").output
    (contract,) = told("contract", "list")
    assert "withdrawn" in run("contract", "withdraw", contract["hash"][:12], "--why", "a new pump").output


def test_a_folder_without_a_store_is_named_and_none_is_made(at: Path) -> None:
    with pytest.raises(StoreError, match="holds no store"):
        run("contract", "offer", "speed.toml", "--data", "elsewhere")
    assert not (at / "elsewhere").exists()


def test_a_key_that_the_contract_does_not_know_drafts_nothing(at: Path) -> None:
    run("contract", "offer", "speed.toml")
    run("key", "make", "stranger.pem")
    with pytest.raises(BabbittError, match="knows no key"):
        run("command", "draft", GATEWAY, "pump-1-speed", "2500", "--why", "wear", "--key", "stranger.pem")
    assert told("command", "list") == []


def test_the_same_with_keys_elsewhere(at: Path) -> None:
    run("contract", "offer", "speed.toml", "--signature", "speed.sig")
    run("command", "draft", GATEWAY, "pump-1-speed", "2500", "--by", "ada", "--why", "wear", "--out", "c.json")
    drafted = parse_command((at / "c.json").read_bytes())
    signed = replace(drafted, signed=(signed_by(drafted, "ada"),))
    (at / "c.json").write_bytes(pack_command(signed))
    assert "2 more approvals" in run("command", "submit", "c.json").output
    run("command", "show", drafted.id, "--out", "c.json")
    assert parse_command((at / "c.json").read_bytes()) == signed
    (at / "c.json").write_bytes(pack_command(replace(signed, signed=(*signed.signed, signed_by(drafted, "bob")))))
    assert "1 more approval" in run("command", "submit", "c.json").output


def test_a_configuration_is_drafted_signed_and_submitted(at: Path) -> None:
    (at / "site.toml").write_text("[gateway]\nid = 'gateway-1'\n")
    run("configuration", "offer", GATEWAY, "site.toml", "--key", "ada.pem", "--why", "two more pumps")
    run("configuration", "draft", GATEWAY, "site.toml", "--out", "d.json", "--why", "three more")
    with pytest.raises(BabbittError, match="is not signed"):
        run("configuration", "submit", "d.json")
    run("configuration", "sign", "d.json", "--key", "bob.pem")
    run("configuration", "submit", "d.json")
    found = told("configuration", "list", GATEWAY)
    assert [(one["number"], one["standing"]["state"]) for one in found] == [
        (2, "waiting for the gateway"), (1, "superseded"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "{}", "x" * 100_000])
def test_what_is_no_command_is_not_submitted(at: Path, text: str) -> None:
    (at / "c.json").write_text(text)
    with pytest.raises(BabbittError, match="is no command"):
        run("command", "submit", "c.json")


def test_a_value_is_shown_as_it_is_signed(at: Path) -> None:
    write_contract(at, high="3000000.0", valid_from="2026-01-01T00:00:00Z", expires="2030-01-01T00:00:00Z")
    run("contract", "offer", "speed.toml")
    made = told("command", "draft", GATEWAY, "pump-1-speed", "1234567.5", "--why", "w", "--key", "ada.pem")
    for words in (("command", "show", made["id"][:10]), ("command", "list")):
        assert "= 1234567.5 " in run(*words).output
    assert "may be set to 2400 to 3000000 " in run("contract", "list").output


def test_no_words_of_anybody_move_the_cursor_of_whoever_approves_or_turn_a_line_around(at: Path) -> None:
    """Else the reason of a command could write another value over its own."""
    run("contract", "offer", "speed.toml")
    why = "less wear\x1b[2A\x9b2K\r\N{RIGHT-TO-LEFT OVERRIDE}0001 = deeps"
    made = told("command", "draft", GATEWAY, "pump-1-speed", "2500", "--why", why, "--key", "ada.pem")
    site = at / "site.toml"
    site.write_text("[gateway]\n")
    run("configuration", "offer", GATEWAY, str(site), "--key", "ada.pem", "--why", why)
    for words in (("command", "show", made["id"][:10]), ("command", "list"), ("configuration", "list")):
        shown = run(*words).output
        assert "less wear" in shown
        assert all(line.isprintable() for line in shown.splitlines()), words

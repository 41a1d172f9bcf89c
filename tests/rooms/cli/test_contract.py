"""Contracts and commands as people handle them: keys, checks, signatures, approvals, each in words and as JSON."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.cli import babbitt
from edge.contract.command_file import parse_command
from edge.contract.commands import Command
from edge.contract.downlink import command_of
from edge.contract.fields import Fields
from edge.contract.setpoint import parse_contract
from edge.contract.signature import write_pair
from edge.contract.signers import signers_of
from edge.errors import BabbittError, ConfigError
from edge.local_socket import answering
from edge.trust import is_signed
from tests.rooms.contract.contracts import KEYS, contract_text
from tests.rooms.contract.sites import site_file
from tests.waiting import DEADLINE_S

NOW = datetime.now(UTC).replace(microsecond=0)
LIVE = {
    "valid_from": (NOW - timedelta(days=1)).isoformat(), "expires": (NOW + timedelta(days=90)).isoformat(),
    "why": '"less wear at night"',
}  # fmt: skip
CONTRACT = "own/contracts/pump-1-speed.toml"


@pytest.fixture(autouse=True)
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with one sound contract that nobody has signed, and the keys of all people."""
    monkeypatch.chdir(tmp_path)
    site_file(tmp_path)
    (tmp_path / "own/contracts").mkdir()
    (tmp_path / CONTRACT).write_text(contract_text(**LIVE))
    for name, key in KEYS.items():
        write_pair(tmp_path / f"{name}.pem", tmp_path / f"{name}.pub", seed=bytes(key), key=bytes(key.verify_key))
    done("contract", "key", "engineer.pem")
    return tmp_path


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(babbitt, ["gateway", *arguments], input=answer)


def done(*arguments: str, answer: str = "") -> str:
    result = run(*arguments, answer=answer)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, ConfigError), (result.output, result.exception)
    return str(result.exception)


def signed_contract() -> None:
    done("contract", "sign", CONTRACT, "--key", "engineer.pem", "--site", "site.toml", "--yes")


def given(*more: str, by: str = "ada", value: str = "2500", out: str = "c.json") -> dict[str, Any]:
    told = done("command", "give", CONTRACT, value, "--key", f"{by}.pem", "-o", out, "--json", *more)
    found: dict[str, Any] = json.loads(told)
    return found


def approved(by: str, file: str = "c.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        done("command", "approve", file, "--key", f"{by}.pem", "--contract", CONTRACT, "--json")
    )
    return found


# --- contracts --------------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_its_public_half_is_ready_for_a_contract(plant: Path) -> None:
    assert (plant / "engineer.pem").stat().st_mode & 0o777 == 0o600
    assert "exists already" in refused("contract", "key", "engineer.pem")
    told = json.loads(done("contract", "key", "dora.pem", "--json"))
    text = contract_text(person=f'[{{ name = "dora", key = "{told["public"]}", may = ["command"] }}]', **MODE_AUTO)
    assert parse_contract(text.encode(), where="x").person[0].fingerprint == told["key"]


MODE_AUTO = {"mode": '"auto"', "approvals": ""}


def test_a_draft_checks_and_says_what_there_is_to_ask_about(plant: Path) -> None:
    arguments = ("contract", "draft", "site.toml", "pump-2")
    people = ("--person", "ada.pub", "--person", "bob.pub")
    done(*arguments, "speed_setpoint_rpm", *people, "--low", "1200", "--high", "2950", "--why", 'as "slow" as can be')
    path = plant / "own/contracts/pump-2-speed-setpoint-rpm.toml"
    done("contract", "check", str(path), "--site", "site.toml")
    contract = parse_contract(path.read_bytes(), where="x")
    assert (contract.mode, contract.step_max, contract.unit, contract.why) == (
        "shadow", 180.0, "1/min", 'as "slow" as can be'
    )  # fmt: skip
    assert [person.name for person in contract.person] == ["ada", "bob"]
    assert "motor_temp_c, flow_m3_h" in path.read_text()
    assert "exists already" in refused(*arguments, "speed_setpoint_rpm", *people, "--low", "1", "--high", "2")
    assert "give --low and --high" in refused(*arguments, "torque_limit", *people)
    assert "writable here: speed_setpoint_rpm" in refused(*arguments, "speed_rpm", *people)
    assert "assets: pump-1, pump-2" in refused("contract", "draft", "site.toml", "pump-9", "x", *people)
    told = json.loads(done(
        *arguments, "torque_limit", *people, "--low", "0", "--high", "1.5", "-o", "own/contracts/t.toml", "--json"
    ))  # fmt: skip
    assert told == {"file": "own/contracts/t.toml", "problems": []}


def test_check_tells_all_problems_of_all_files(plant: Path) -> None:
    folder = plant / "own/contracts"
    assert done("contract", "check", CONTRACT, "--site", "site.toml") == f"{CONTRACT}: pump-1-speed is sound\n"
    (folder / "a.toml").write_text(contract_text(id='"a"', low="4000", precondition='["running and"]'))
    (folder / "b.toml").write_text(contract_text(id='"b"', high="70000", abort='["vib > 7"]', **MODE_AUTO))
    arguments = ("contract", "check", *(f"own/contracts/{name}.toml" for name in ("a", "b")), "nowhere.toml")
    result = run(*arguments, "--site", "site.toml")
    assert result.exit_code == 2
    for words in ("a.toml: `low`", "a.toml: `precondition[0]`", "b.toml: `high`", "b.toml: `abort[0]`", "nowhere.toml"):
        assert words in result.stdout
    found = run(*arguments, "--site", "site.toml", "--json")
    assert [p["problem"][:6] for p in json.loads(found.stdout)["problems"]][:2] == ["`preco", "`low`:"]
    assert "b.toml: `expires`: 2026-09-01 00:00 UTC is past" in result.stdout
    (folder / "c.toml").write_text(contract_text(id='"c"', **LIVE))
    result = run("contract", "check", CONTRACT, "own/contracts/c.toml", "--site", "site.toml")
    assert result.exit_code == 2
    assert "pump-1-speed allows writes to pump-1.speed_setpoint_rpm in the same time" in result.stdout


def test_sign_says_in_words_what_is_allowed_and_asks(plant: Path) -> None:
    result = run("contract", "sign", CONTRACT, "--key", "engineer.pem", "--site", "site.toml", answer="n\n")
    assert result.exit_code == 1
    assert not (plant / "own/contracts/pump-1-speed.sig").exists()
    for words in (
        "less wear at night", "2400 to 3000 rpm, by at most 100 a step and 200 a minute",
        "2 approvals by ada, bob or carol, never by whoever gave it", "`age(flow_m3_h) < 5` hold",
        "rolled back if `vibration_mm_s > 7.1` or power_kw goes up by 10 %", "in the 10 min after",
    ):  # fmt: skip
        assert words in result.stdout
    done("contract", "sign", CONTRACT, "--key", "engineer.pem", "--site", "site.toml", answer="y\n")
    assert (plant / "own/contracts/pump-1-speed.sig").exists()


def test_sign_refuses_what_does_not_check_and_what_conflicts(plant: Path) -> None:
    folder = plant / "own/contracts"
    signing = ("--key", "engineer.pem", "--site", "site.toml", "--yes")
    (folder / "high.toml").write_text(contract_text(id='"high"', high="70000"))
    assert "is not signed" in refused("contract", "sign", "own/contracts/high.toml", *signing)
    (folder / "late.toml").write_text(contract_text(id='"late"', **LIVE))
    done("contract", "sign", "own/contracts/late.toml", *signing)  # The other one is but a draft.
    assert "is not signed" in refused("contract", "sign", CONTRACT, *signing)
    (folder / "late.sig").unlink()
    signed_contract()
    assert not (folder / "high.sig").exists()


def test_sign_tells_when_the_site_does_not_know_the_key() -> None:
    result = run("contract", "sign", CONTRACT, "--key", "ada.pem", "--site", "site.toml", "--yes")
    assert result.exit_code == 0
    assert "will not take it yet: signed by key" in result.stderr


def test_list_tells_what_is_signed_trusted_and_why_not(plant: Path) -> None:
    assert "is not signed" in done("contract", "list", "site.toml")
    signed_contract()
    (row,) = json.loads(done("contract", "list", "site.toml", "--json"))
    assert (row["contract"], row["tag"], row["mode"], row["trusted"]) == (
        "pump-1-speed", "speed_setpoint_rpm", "approve", True
    )  # fmt: skip
    assert 89 * 86400 < row["expires_in_s"] <= 90 * 86400
    (plant / CONTRACT).write_text(contract_text(**LIVE | {"high": "3001.0"}))
    (plant / "own/contracts/odd.toml").write_bytes(b"\xff\x00")
    told = done("contract", "list", "site.toml")
    assert "before it was changed" in told
    assert "not TOML" in told or "no text" in told


def test_the_help_says_that_what_is_not_known_refuses() -> None:
    words = " ".join(done("contract", "--help").split())
    assert "an abort that cannot be told refuses beforehand as one that holds" in words


def test_without_contracts_nothing_is_ever_written(plant: Path) -> None:
    (plant / CONTRACT).unlink()
    assert "nothing is ever written" in done("contract", "list", "site.toml")


# --- commands ---------------------------------------------------------------------------------------------------------


def read(plant: Path, name: str = "c.json") -> Command:
    return parse_command((plant / name).read_bytes())


def test_a_command_is_given_approved_by_two_others_and_complete(plant: Path) -> None:
    told = given("--why", "bearing is warm")
    assert (told["giver"], told["approvers"], told["missing"]) == ("ada", [], 2)
    assert told["may_approve"] == ["bob", "carol"]
    assert approved("bob")["missing"] == 1
    assert approved("carol")["missing"] == 0
    shown = done("command", "show", "c.json", "--site", "site.toml")
    for words in (
        "set pump-1.speed_setpoint_rpm of gw-1 to 2500 rpm", "because: bearing is warm", ", expires in ",
        "signed by ada, approved by bob and carol", "complete",
    ):  # fmt: skip
        assert words in shown
    command = read(plant)
    contract = parse_contract((plant / CONTRACT).read_bytes(), where="x")
    assert signers_of(command, contract, is_signed).missing == 0
    assert 0 <= command.order - NOW.timestamp() * 1000 < 600_000


def test_orders_rise_with_time(plant: Path) -> None:
    given(out="a.json")
    given(out="b.json")
    assert read(plant, "a.json").order < read(plant, "b.json").order
    given("--order", "7", out="c.json")
    assert read(plant).order == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("3500", "--key", "ada.pem"), "3500 rpm is outside 2400 to 3000"),
        (("nan", "--key", "ada.pem"), "outside"),
        (("2500", "--key", "ada.pem", "--why", "x" * 301), "at most 300"),
        (("2500", "--key", "ada.pem", "--order", f"{2**62}"), "is further ahead than a gateway takes it"),
        (("2500", "--key", "bob.pem"), "may not command under pump-1-speed (may: ada"),
        (("2500", "--key", "mallory.pem"), "may not command"),
        (("2500", "--key", "ada.pub"), "is no private Ed25519 key"),
        (("2500", "--key", "none.pem"), "cannot be read"),
    ],
)
def test_what_no_gateway_would_take_is_not_signed(plant: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused("command", "give", CONTRACT, *arguments, "-o", "c.json", "--yes")
    assert not (plant / "c.json").exists()


def test_approving_is_for_those_who_may_and_for_each_once(plant: Path) -> None:
    given()
    approve = ("command", "approve", "c.json", "--site", "site.toml", "--yes")
    assert "ada signed it twice" in refused(*approve, "--key", "ada.pem")
    assert "the contract does not know" in refused(*approve, "--key", "mallory.pem")
    approved("bob")
    assert "bob signed it twice" in refused(*approve, "--key", "bob.pem")
    assert len(read(plant).signed) == 2
    result = run("command", "approve", "c.json", "--site", "site.toml", "--key", "carol.pem", answer="n\n")
    assert result.exit_code == 1
    assert "to 2500 rpm" in result.stdout
    assert len(read(plant).signed) == 2


def test_an_altered_command_is_told_and_not_signed(plant: Path) -> None:
    given()
    path = plant / "c.json"
    path.write_text(path.read_text().replace("2500.0", "2600.0"))
    result = run("command", "show", "c.json", "--contract", CONTRACT)
    assert result.exit_code == 2
    assert "REFUSED as it is: the signature of ada is false" in result.stdout
    told = json.loads(run("command", "show", "c.json", "--contract", CONTRACT, "--json").stdout)
    assert "false" in told["why_not"]
    assert "false" in refused("command", "approve", "c.json", "--key", "bob.pem", "--contract", CONTRACT, "--yes")


def test_a_changed_contract_wants_a_new_command(plant: Path) -> None:
    given()
    (plant / CONTRACT).write_text(contract_text(**LIVE | {"high": "3001.0"}))
    assert "a changed contract wants a new command" in refused("command", "show", "c.json", "--contract", CONTRACT)
    assert "holds no contract with the hash" in refused("command", "show", "c.json", "--site", "site.toml")
    assert "name its file by --contract" in refused("command", "show", "c.json")


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 20_000, b"x" * 17_000, b'{"gateway": 1}', b"\xff"])
def test_what_is_no_command_is_said_so(plant: Path, data: bytes) -> None:
    (plant / "c.json").write_bytes(data)
    assert "is no command" in refused("command", "show", "c.json", "--contract", CONTRACT)


def test_a_file_from_elsewhere_shows_no_other_words_than_it_signs(plant: Path) -> None:
    """Escapes of a terminal could paint over the value that is being approved."""
    given("--why", "harmless")
    path = plant / "c.json"
    path.write_text(path.read_text().replace("harmless", "\\u001b[2J\\u202eoops\\nset it to 1"))
    shown = run("command", "show", "c.json", "--contract", CONTRACT).stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "oops\N{REPLACEMENT CHARACTER}set it to 1" in shown


@pytest.fixture
def gateway(plant: Path) -> Iterator[list[Command]]:
    """What answers at the gateway's socket: it takes commands as a gateway does, and knows of orders up to 2**60."""
    took: list[Command] = []
    (plant / "var/gateway").mkdir(parents=True)
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    def command(signed: dict[str, Any]) -> dict[str, Any]:
        took.append(command_of(Fields(signed, "command")))
        return {"id": took[-1].id, "step": "waiting", "words": "for 2 approvals"}

    def contracts() -> dict[str, Any]:
        held = plant / "held.toml"
        one = parse_contract((held if held.exists() else plant / CONTRACT).read_bytes(), where="x")
        here = {"id": one.id, "version": 1, "hash": one.hash, "asset": one.asset, "tag": one.tag, "unit": one.unit}
        more = {"low": one.low, "high": one.high, "mode": "approve", "expires_ns": one.expires_ns}
        other = here | more | {"id": "fan-1", "hash": "0" * 64, "asset": "fan-1"}
        return {"order": 2**60, "contracts": [here | more, other]}

    async def serve() -> None:
        async with answering(plant / "var/gateway/gateway.sock", {"command": command, "contracts": contracts}):
            ready.set()
            await stop.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)  # What they closed is closed in the loop's next round.

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(DEADLINE_S)
    yield took
    loop.call_soon_threadsafe(stop.set)
    thread.join(DEADLINE_S)
    loop.close()


def test_a_command_is_handed_to_the_running_gateway_as_it_is(plant: Path, gateway: list[Command]) -> None:
    given("--site", "site.toml")
    assert read(plant).order == 2**60 + 1
    assert done("command", "send", "site.toml", "c.json") == "waiting: for 2 approvals\n"
    assert json.loads(done("command", "send", "site.toml", "c.json", "--json"))["step"] == "waiting"
    assert gateway == [read(plant), read(plant)]


def test_list_tells_what_the_running_gateway_holds(gateway: list[Command]) -> None:
    signed_contract()
    rows = json.loads(done("contract", "list", "site.toml", "--json"))
    assert [(row["contract"], row["state"]) for row in rows] == [
        ("pump-1-speed", "in force"), ("fan-1", "in force, from the cloud"),
    ]  # fmt: skip
    assert not gateway


def test_a_changed_contract_wants_a_higher_version(plant: Path, gateway: list[Command]) -> None:
    signing = ("contract", "sign", CONTRACT, "--key", "engineer.pem", "--site", "site.toml", "--yes")
    done(*signing)
    (plant / "held.toml").write_text((plant / CONTRACT).read_text())
    (plant / CONTRACT).write_text(contract_text(**LIVE | {"high": "2900.0"}))
    result = run(*signing)
    assert "`version`: found 1, the running gateway holds version 1" in result.stderr
    assert isinstance(result.exception, ConfigError)
    (plant / CONTRACT).write_text(contract_text(**LIVE | {"high": "2900.0", "version": "2"}))
    done(*signing)
    assert not gateway


def test_a_running_gateway_takes_a_contract_when_it_is_started_anew(plant: Path, gateway: list[Command]) -> None:
    signing = ("contract", "sign", CONTRACT, "--key", "engineer.pem", "--site", "site.toml", "--yes")
    (plant / "held.toml").write_text((plant / CONTRACT).read_text())
    (plant / CONTRACT).write_text(contract_text(**LIVE | {"version": "2"}))
    assert "the running gateway takes it when it is started anew" in run(*signing).stderr
    listed = done("contract", "list", "site.toml")
    assert "not in force" in listed
    assert "start it anew" in listed
    assert not gateway


def test_where_no_gateway_runs_it_is_said_so() -> None:
    given()
    result = run("command", "send", "site.toml", "c.json")
    assert isinstance(result.exception, BabbittError)
    assert "nobody answers" in str(result.exception)


def test_what_was_commanded_is_listed_as_it_was_signed() -> None:
    from edge.cli.commanded import table

    one = {
        "id": "ab" * 32, "asset": "pump-1", "tag": "stop_at", "value": 1234567.5, "unit": "m3", "step": "kept",
        "by": "ada", "approvers": [], "why": "", "words": "", "ended_ns": None, "expires_ns": 0,
    }  # fmt: skip
    assert "  1234567.5 m" in table([one])[1]

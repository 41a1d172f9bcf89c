"""A stranger signs contracts and commands with openssl alone, by edge/contract/README.md as it stands."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.config.site import load_site
from edge.contract.command_file import parse_command
from edge.contract.signature import read_public
from edge.contract.signers import signers_of, why_not_under
from edge.setpoint import documents, signed_contract
from edge.trust import contract_trust_of, is_signed
from tests.rooms.contract.contracts import contract_text
from tests.rooms.contract.sites import site_file

README = Path(__file__).resolve().parents[3] / "edge/contract/README.md"


def commands_of_the_page() -> list[str]:
    """The blocks of commands below "With openssl alone"."""
    section = README.read_text(encoding="utf-8").partition("### With openssl alone")[2]
    blocks, inside = [""], False
    for line in section.splitlines():
        if line.startswith("    "):
            blocks = blocks if inside else [*blocks, ""]
            blocks[-1] += line[4:] + "\n"
        inside = line.startswith("    ")
    return blocks[1:]


def bash(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_openssl_signed_by_the_page_is_taken(tmp_path: Path) -> None:
    pair, contract, command, verify = commands_of_the_page()
    bash(pair, tmp_path)
    site = load_site(site_file(tmp_path))
    people = {}
    for name in ("ada", "bob"):
        bash(pair.replace("engineer", name), tmp_path)
        people[name] = base64.b64encode(read_public(tmp_path / f"{name}.pub")).decode()
    now = datetime.now(UTC)
    folder = tmp_path / "own/contracts"
    folder.mkdir()
    text = contract_text(
        approvals="1", valid_from=f"{now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        expires=f"{now + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        person=f'[{{ name = "ada", key = "{people["ada"]}", may = ["command"] }},'
        f' {{ name = "bob", key = "{people["bob"]}", may = ["approve"] }}]',
    )  # fmt: skip
    (tmp_path / "pump-1-speed.toml").write_text(text)
    functions = pair.splitlines()[-1] + "\n"
    assert "Success" in bash(functions + contract + command + verify, tmp_path)
    for suffix in ("toml", "sig"):
        (tmp_path / f"pump-1-speed.{suffix}").rename(folder / f"pump-1-speed.{suffix}")
    found, _ = signed_contract(documents(site)[0], site, contract_trust_of(site).signer_of_contract)
    told = parse_command((tmp_path / "slower.json").read_bytes())
    assert why_not_under(told, found) == ""
    signers = signers_of(told, found, is_signed)
    assert (signers.giver.name, [p.name for p in signers.approvers], signers.missing) == ("ada", ["bob"], 0)
    altered = parse_command((tmp_path / "slower.json").read_bytes().replace(b"2500.0", b"2501.0"))
    with pytest.raises(ValueError, match="false"):
        signers_of(altered, found, is_signed)


def test_the_contract_on_the_page_is_one() -> None:
    """With the dots replaced by the others whom its two approvals want."""
    from edge.contract.setpoint import parse_contract

    page = README.read_text(encoding="utf-8").partition("# Setpoint contracts and commands")[2]
    text = page[page.index("    id = ") : page.index("\n`precondition`")]
    keys = [base64.b64encode(bytes([i]) * 32).decode() for i in (1, 2)]
    others = ", ".join(f'{{ name = "{i}", key = "{key}", may = ["approve"] }}' for i, key in enumerate(keys))
    contract = parse_contract(text.replace("…", others).encode(), where="page")
    assert (contract.id, contract.version, len(contract.person)) == ("pump-1-speed", 1, 3)

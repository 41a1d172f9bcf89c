"""``babbitt gateway command``: commands as files: given, approved, looked at, and handed to a running gateway."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.config.site import load_site
from edge.errors import ConfigError
from edge.local_socket import ask

if TYPE_CHECKING:
    from edge.contract.commands import Command
    from edge.contract.setpoint import SetpointContract
    from edge.keys import PrivateKey

PATH = click.Path(path_type=Path)
KEY = click.option("--key", "private", type=PATH, required=True, help="Your private key; see `contract key`.")
CONTRACT = click.option("--contract", type=PATH, help="The file of its contract; else it is looked for in --site.")
SITE = click.option("--site", "config", type=PATH, help="The site file, in whose folder its contract lies.")
YES = click.option("--yes", is_flag=True, help="Do not ask before signing.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
EXPIRES_H = 1.0
WAIT_S = 10.0
LOOK_S = 0.2


@click.group()
def command() -> None:
    """Commands under a setpoint contract: one value for one tag, signed by whoever gives it and whoever approves.

    They are files, so that those who sign need not be where the gateway is. What is signed cannot be altered; a gateway
    takes each once, in order, and not after it has expired.

    \b
    Example:
      babbitt gateway command give speed.toml 2500 --key ada.pem --why "less wear" -o slower.json
      babbitt gateway command approve slower.json --contract speed.toml --key bob.pem
      babbitt gateway command show slower.json --contract speed.toml
      babbitt gateway command send site.toml slower.json
      babbitt gateway command list site.toml
    """


@command.command()
@click.argument("contract_file", metavar="CONTRACT", type=PATH)
@click.argument("value", type=float)
@KEY
@click.option("--why", default="", help="For those who approve, and for the audit.")
@click.option("--hours", type=click.FloatRange(0, 168, min_open=True), default=EXPIRES_H, show_default=True,
              help="When it expires: what is not begun by then never is.")  # fmt: skip
@click.option("--order", type=click.IntRange(1), help="Its order; by default the clock's milliseconds.")
@SITE
@click.option("-o", "--out", type=PATH, required=True, metavar="FILE", help="The command's file, a new one.")
@YES
@JSON
def give(
    contract_file: Path, value: float, private: Path, why: str, hours: float, order: int | None, config: Path | None,
    out: Path, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write and sign a command: VALUE for the tag of CONTRACT, in its unit.

    What the contract never allows is refused here already. With --site its running gateway is asked for the highest
    order so far.

    \b
    Example:
      babbitt gateway command give speed.toml 2500 --key ada.pem --why "less wear" -o slower.json
    """
    from edge.cli.setpoints import highest_order, read_file
    from edge.contract.commands import Command, order_after, order_limit
    from edge.contract.fields import WORDS_MAX
    from edge.contract.setpoint import BYTES_MAX, parse_contract
    from edge.keys import PrivateKey

    if len(why) > WORDS_MAX:
        raise ConfigError("--why", f"has {len(why)} characters", f"say it in at most {WORDS_MAX}")
    found = parse_contract(read_file(contract_file, BYTES_MAX), where=str(contract_file))
    signer, now_ns = PrivateKey(private), time.time_ns()
    person = found.person_of(signer.fingerprint)
    if person is None or "command" not in person.may:
        who = ", ".join(f"{p.name} ({p.fingerprint})" for p in found.person if "command" in p.may)
        raise ConfigError(str(private), f"key {signer.fingerprint} may not command under {found.id}", f"may: {who}")
    last = highest_order(load_site(config)) if config is not None else 0
    order = order if order is not None else order_after(last, now_ns)
    if order > order_limit(last, now_ns):
        problem = f"{order} is further ahead than a gateway takes it, which is {order_limit(last, now_ns)} now"
        raise ConfigError("--order", problem, "leave it out, and name --site where its gateway runs here")
    made = Command(
        gateway=found.gateway, order=order, contract=found.hash, asset=found.asset, tag=found.tag, value=value,
        issued_ns=now_ns, expires_ns=now_ns + round(hours * 3600e9), by=person.name, why=why,
    )  # fmt: skip
    _signed(made, found, signer, out, yes=yes, as_json=as_json, new=True)


@command.command()
@click.argument("file", type=PATH)
@KEY
@CONTRACT
@SITE
@YES
@JSON
def approve(file: Path, private: Path, contract: Path | None, config: Path | None, yes: bool, as_json: bool) -> None:
    """Say in words what the command in FILE asks for, ask, and add your signature to it.

    \b
    Example:
      babbitt gateway command approve slower.json --contract speed.toml --key bob.pem
    """
    from edge.cli.setpoints import contract_of, read_command
    from edge.keys import PrivateKey

    made = read_command(file)
    _signed(made, contract_of(made, contract, config), PrivateKey(private), file, yes=yes, as_json=as_json, new=False)


@command.command()
@click.argument("file", type=PATH)
@CONTRACT
@SITE
@JSON
def show(file: Path, contract: Path | None, config: Path | None, as_json: bool) -> None:
    """Say what the command in FILE asks for, who has signed, and what is missing.

    Exit code 2 where a gateway would refuse it as it is.

    \b
    Example:
      babbitt gateway command show slower.json --site site.toml
    """
    from edge.cli.setpoints import contract_of, read_command

    made = read_command(file)
    _show(made, contract_of(made, contract, config), file, as_json=as_json)


@command.command()
@click.argument("config", type=PATH)
@click.argument("file", type=PATH)
@click.option("--wait", "wait_s", type=click.FloatRange(0, 3600), default=WAIT_S, show_default=True, metavar="SECONDS",
              help="How long at most to follow it, until it waits for somebody or something, or ended.")  # fmt: skip
@JSON
def send(config: Path, file: Path, wait_s: float, as_json: bool) -> None:
    """Hand the command in FILE to the running gateway of CONFIG: what it does with it is its own to decide.

    Sent again, with more signatures or without, it is the same command, and is told what became of it. Exit code 1
    where it was refused, has expired, or did not stay written.

    \b
    Example:
      babbitt gateway command send site.toml slower.json
    """
    from edge.cli.setpoints import read_command
    from edge.contract.commands import CommandStep
    from edge.contract.setpoint_words import plain

    signed = asdict(read_command(file))
    site = load_site(config)
    path = site.resolve(site.file.gateway.data_dir) / "gateway.sock"
    until = time.monotonic() + wait_s
    answer = ask(path, "command", signed=signed)
    while answer["step"] in ("", CommandStep.WRITING) and time.monotonic() < until:
        time.sleep(LOOK_S)
        answer = ask(path, "command", signed=signed)
    click.echo(json.dumps(answer) if as_json else plain(f"{answer['step']}: {answer['words']}".strip(": ")))
    failed = (CommandStep.REFUSED, CommandStep.EXPIRED, CommandStep.FAILED, CommandStep.ROLLED_BACK)
    raise SystemExit(1 if answer["step"] in failed else 0)


@command.command("list")
@click.argument("config", type=PATH)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="So many of those that ended.")
@JSON
def list_commands(config: Path, limit: int, as_json: bool) -> None:
    """List what was commanded at the running gateway of CONFIG: what is under way or waits, then what ended last.

    Each with who gave it, who approved, how it stands or ended, and what was read back. Commands that nobody signed who
    may are refused and not listed. The gateway remembers the last 100; what proves them is `babbitt cloud audit`.

    \b
    Example:
      babbitt gateway command list site.toml
      babbitt gateway command list site.toml --limit 100 --json
    """
    from edge.cli.commanded import table

    site = load_site(config)
    told = ask(site.resolve(site.file.gateway.data_dir) / "gateway.sock", "commanded")["commands"]
    open_, ended = [one for one in told if "ended_ns" not in one], [one for one in told if "ended_ns" in one][:limit]
    found = [*open_, *ended]
    click.echo(json.dumps(found) if as_json else "\n".join(table(found)))


def _signed(
    made: Command, contract: SetpointContract, signer: PrivateKey, file: Path, *, yes: bool, as_json: bool, new: bool
) -> None:  # fmt: skip
    """Sign it after asking, if it is then one that a gateway could take, and show how it stands."""
    from edge.cli.setpoints import write_file
    from edge.contract.command_file import pack_command
    from edge.contract.commands import signed_message
    from edge.contract.setpoint_words import command_words
    from edge.contract.signers import FalseCommandError, signers_of, why_not_under
    from edge.trust import is_signed

    now_ns = time.time_ns()
    why_not = why_not_under(made, contract) or ("it has expired" if made.expires_ns <= now_ns else "")
    if why_not:
        raise ConfigError(str(file), f"is not signed: {why_not}", "no gateway would take it")
    if new and file.exists():
        raise ConfigError(str(file), "exists already", "name a new file by -o")
    signed = replace(made, signed=(*made.signed, signer.sign_command(signed_message(made), at_ns=now_ns)))
    try:
        signers_of(signed, contract, is_signed)
    except FalseCommandError as error:
        raise ConfigError(str(file), f"is not signed: {error}", "no gateway would take it") from error
    if not yes and not as_json:
        for line in command_words(made, contract, now_ns=now_ns):
            click.echo(line)
        click.confirm(f"sign this with key {signer.fingerprint}?", abort=True, err=True)
    write_file(file, pack_command(signed))
    _show(signed, contract, file, as_json=as_json)


def _show(made: Command, contract: SetpointContract, file: Path, *, as_json: bool) -> None:
    from edge.contract.setpoint_words import command_words, listed
    from edge.contract.signers import FalseCommandError, Signers, signers_of, why_not_under
    from edge.trust import is_signed

    now_ns = time.time_ns()
    why_not = why_not_under(made, contract) or ("it has expired" if made.expires_ns <= now_ns else "")
    found: Signers | None = None
    try:
        found = signers_of(made, contract, is_signed)
    except FalseCommandError as error:
        why_not = why_not or str(error)
    others = [
        person.name
        for person in contract.person
        if "approve" in person.may and found is not None and person not in (found.giver, *found.approvers)
    ]
    missing = found.missing if found is not None else 0
    if as_json:
        click.echo(json.dumps({
            "id": made.id, "file": str(file), "command": asdict(made), "why_not": why_not, "missing": missing,
            "giver": found.giver.name if found else "", "approvers": [p.name for p in found.approvers] if found else [],
            "may_approve": others,
        }))  # fmt: skip
    else:
        for line in command_words(made, contract, now_ns=now_ns):
            click.echo(line)
        if found is not None:
            approved = listed([p.name for p in found.approvers], "and")
            click.echo(f"signed by {found.giver.name}" + (f", approved by {approved}" if approved else ""))
        if why_not:
            click.echo(f"REFUSED as it is: {why_not}")
        elif missing:
            click.echo(f"missing: {missing} more {'approval' if missing == 1 else 'approvals'}, of {listed(others)}")
        else:
            click.echo(f"complete: babbitt gateway command send SITE {file}")
    if why_not:
        raise SystemExit(2)

"""``babbitt gateway contract``: setpoint contracts are checked, signed and listed; keys for them are made."""

from __future__ import annotations

import base64
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from edge.config.site import load_site
from edge.errors import ConfigError

PATH = click.Path(path_type=Path)
SITE = click.option("--site", "config", type=PATH, required=True, help="The site file of the gateway that it is for.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.group()
def contract() -> None:
    """Setpoint contracts: what may be written to a machine, signed by an engineer. Without one nothing ever is.

    \b
    A key, its public half into the site file, a contract, its signature:
      babbitt gateway contract key engineer.pem
      babbitt gateway contract draft site.toml pump-1 speed_setpoint_rpm --person ada.pub
      babbitt gateway contract check own/contracts/pump-1-speed-setpoint-rpm.toml --site site.toml
      babbitt gateway contract sign own/contracts/pump-1-speed-setpoint-rpm.toml --key engineer.pem --site site.toml
    and in the site file:
      [command]
      contract_keys = ["engineer.pub"]

    What is not known refuses. A precondition that cannot be told refuses as a false one does, and an abort that cannot
    be told refuses beforehand as one that holds; while a write is watched, an abort that cannot be told for `blind_s`
    rolls it back.

    What a contract may say: edge/contract/README.md.
    """


@contract.command()
@click.argument("file", type=PATH)
@JSON
def key(file: Path, as_json: bool) -> None:
    """Make a pair of keys: FILE (mode 0600) signs, FILE with the suffix .pub is for others to check by.

    An engineer's public file is named in `command.contract_keys` of the site file; an operator's public key, in base64,
    stands in the contracts under which they may command or approve. FILE stays with its owner.

    \b
    Example:
      babbitt gateway contract key ada.pem
    """
    from edge.contract.signature import fingerprint
    from edge.keys import make_pair

    public_file = file.with_suffix(".pub")
    public = make_pair(file, public_file)
    text = base64.b64encode(public).decode("ascii")
    if as_json:
        told = {"key": fingerprint(public), "public": text, "private_file": str(file), "public_file": str(public_file)}
        click.echo(json.dumps(told))
        return
    click.echo(f"key {fingerprint(public)}: {file} signs, {public_file} is for others")
    click.echo(f'in a contract: {{ name = "{file.stem}", key = "{text}", may = ["command", "approve"] }}')


@contract.command()
@click.argument("config", type=PATH)
@click.argument("asset")
@click.argument("tag")
@click.option("--person", "persons", multiple=True, required=True, type=PATH, metavar="FILE.pub",
              help="The public key of one who may command and approve, named as they are; give one each.")  # fmt: skip
@click.option("--low", type=float, help="The least that may be written; by default the profile's `write_low`.")
@click.option("--high", type=float, help="The most that may be written; by default the profile's `write_high`.")
@click.option("--why", default="", help="What it is for, in a line.")
@click.option("-o", "--out", type=PATH, help="By default ASSET-TAG.toml in the site's folder of contracts.")
@JSON
def draft(
    config: Path, asset: str, tag: str, persons: tuple[Path, ...], low: float | None, high: float | None, why: str,
    out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Write a contract for TAG of ASSET to go on from: in mode shadow, in which nothing is written to the machine.

    What the site knows is filled in; conditions, steps and times are the engineer's to say.

    \b
    Example:
      babbitt gateway contract draft site.toml pump-1 speed_setpoint_rpm --person ada.pub --person bob.pub
    """
    from edge.cli.draft import draft as drafted
    from edge.cli.setpoints import checked, write_file
    from edge.setpoint import contracts_folder

    site = load_site(config)
    now = datetime.now(UTC)
    name, text = drafted(site, asset, tag, low=low, high=high, persons=persons, why=why, now=now)
    path = out or contracts_folder(site) / f"{name}.toml"
    if path.exists():
        raise ConfigError(str(path), "exists already", "name a new file by -o")
    write_file(path, text.replace(f'"{name}"', f'"{path.stem}"', 1).encode())
    _, wrong = checked(path, site, now_ns=time.time_ns())
    if as_json:
        click.echo(json.dumps({"file": str(path), "problems": [str(problem) for problem in wrong]}))
        return
    click.echo(f"{path}: a draft; say under which conditions, then sign it")
    for problem in wrong:
        click.echo(str(problem), err=True)


@contract.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@SITE
@JSON
def check(files: tuple[Path, ...], config: Path, as_json: bool) -> None:
    """Say everything that is wrong with contracts: in themselves, for the site, and with each other.

    Exit code 2 if anything is.

    \b
    Example:
      babbitt gateway contract check own/contracts/*.toml --site site.toml
    """
    from edge.cli.setpoints import checked
    from edge.setpoint import conflicts

    site = load_site(config)
    read = [(path, *checked(path, site, now_ns=time.time_ns())) for path in files]
    found = [problem for *_, wrong in read for problem in wrong]
    found += conflicts([(str(path), one) for path, one, _ in read if one is not None])
    if as_json:
        told = [{"where": p.where, "problem": p.problem, "hint": p.hint} for p in found]
        click.echo(json.dumps({"problems": told, "contracts": [str(path) for path in files]}))
    for path, one, _ in [] if as_json else read:
        if one is not None and not any(problem.where == str(path) for problem in found):
            click.echo(f"{path}: {one.id} is sound")
    for problem in [] if as_json else found:
        click.echo(str(problem))
    sys.exit(2 if found else 0)


@contract.command()
@click.argument("file", type=PATH)
@click.option("--key", "private", type=PATH, required=True, help="The engineer's private key.")
@SITE
@click.option("--yes", is_flag=True, help="Do not ask before signing.")
@JSON
def sign(file: Path, private: Path, config: Path, yes: bool, as_json: bool) -> None:
    """Sign the contract FILE: say in words what it allows, ask, and write its signature beside it (suffix .sig).

    What `check` finds anything wrong with is not signed, nor what conflicts with a signed one in the site's folder.

    \b
    Example:
      babbitt gateway contract sign own/contracts/pump-1-speed.toml --key engineer.pem --site site.toml
    """
    from edge.cli.setpoints import checked, neighbours, outdated, running_contracts, why_untrusted, write_file
    from edge.contract.setpoint_words import contract_words
    from edge.contract.signature import pack_signature
    from edge.keys import PrivateKey
    from edge.setpoint import conflicts, contracts_folder

    site, signer = load_site(config), PrivateKey(private)
    one, wrong = checked(file, site, now_ns=time.time_ns())
    if one is not None and not wrong:
        wrong = outdated(one, site, file) + conflicts([*neighbours(file, site), (str(file), one)])
    for problem in wrong:
        click.echo(str(problem), err=True)
    if wrong or one is None:
        raise ConfigError(str(file), "is not signed", f"mend {'these' if len(wrong) > 1 else 'this'} first")
    for line in [] if as_json else contract_words(one):
        click.echo(line)
    if not yes and not as_json:
        click.confirm(f"sign this with key {signer.fingerprint}?", abort=True, err=True)
    made = pack_signature(signer.sign_contract(one.hash))
    write_file(file.with_suffix(".sig"), made)
    untrusted = why_untrusted(site, one.hash, made)
    if as_json:
        told = {"contract": one.hash, "key": signer.fingerprint, "file": str(file.with_suffix(".sig"))}
        click.echo(json.dumps(told | {"words": contract_words(one), "trusted": not untrusted}))
        return
    click.echo(f"{file.with_suffix('.sig')}: {one.hash[:16]} signed by key {signer.fingerprint}")
    if untrusted:
        click.echo(f"note: this site's gateway will not take it yet: {untrusted}", err=True)
    if file.resolve().parent != contracts_folder(site).resolve():
        click.echo(
            f"note: its gateway reads {contracts_folder(site)}: put both files there, or offer it from the cloud",
            err=True,
        )
    elif running_contracts(site) is not None:
        click.echo("note: the running gateway takes it when it is started anew", err=True)


@contract.command("list")
@click.argument("config", type=PATH)
@JSON
def list_contracts(config: Path, as_json: bool) -> None:
    """List the contracts in the folder of CONFIG's site, and those that its running gateway holds beside them.

    \b
    Example:
      babbitt gateway contract list site.toml
    """
    from edge.cli.setpoints import contract_lines, contract_rows, running_contracts
    from edge.setpoint import contracts_folder

    site = load_site(config)
    rows = contract_rows(site, running_contracts(site), now_ns=time.time_ns())
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo(f"no contracts in {contracts_folder(site)}: nothing is ever written")
        return
    for line in contract_lines(rows):
        click.echo(line)

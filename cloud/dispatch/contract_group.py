"""``babbitt cloud contract``: setpoint contracts on their way down to gateways."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path

import click

from cloud.dispatch.command_group import BY, DATA, JSON, PATH, opened


@click.group()
def contract() -> None:
    """Setpoint contracts that gateways are offered: signed by an engineer, whom the gateway alone trusts or not.

    \b
    Example:
      babbitt gateway contract sign pump-1-speed.toml --key engineer.pem --site site.toml
      babbitt cloud contract offer pump-1-speed.toml --why "three weeks of trial"
      babbitt cloud contract list
    """


@contract.command()
@click.argument("file", type=PATH)
@click.option("--signature", type=PATH, help="FILE with the ending .sig by default.")
@DATA
@BY
@click.option("--why", default="", help="The reason, for the history.")
@JSON
def offer(file: Path, *, signature: Path | None, data: Path, by: str | None, why: str, as_json: bool) -> None:
    """Let the contract in FILE go down to the gateway that it names.

    \b
    Example:
      babbitt cloud contract offer pump-1-speed.toml
    """
    from cloud.dispatch.offering import offer_contract

    with opened(data) as (commands, _):
        found, is_new = offer_contract(
            commands, file, signature or file.with_suffix(".sig"), by=by or getpass.getuser(), why=why,
            now_ns=time.time_ns(),
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"new": is_new, "hash": found.hash, "id": found.id, "gateway": found.gateway}))
    else:
        done = "offered" if is_new else "offered before: nothing has changed"
        click.echo(f"contract {found.id} version {found.version} ({found.hash[:12]}) for {found.gateway}: {done}")


@contract.command()
@click.argument("name", metavar="HASH")
@DATA
@BY
@click.option("--why", required=True, help="The reason, for the history and the audit.")
@JSON
def withdraw(name: str, *, data: Path, by: str | None, why: str, as_json: bool) -> None:
    """No command counts any more under the contract whose hash begins with HASH.

    \b
    Example:
      babbitt cloud contract withdraw 9b1c20aa --why "a new impeller"
    """
    from cloud.dispatch.offering import withdraw_contract

    with opened(data) as (commands, _):
        held, is_new = withdraw_contract(
            commands, name, by=by or getpass.getuser(), why=why, now_ns=time.time_ns()
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"new": is_new, "hash": held.hash, "id": held.id, "gateway": held.gateway}))
    else:
        done = "withdrawn; its gateway says when it knows" if is_new else "was withdrawn before"
        click.echo(f"contract {held.id} version {held.version} ({held.hash[:12]}) for {held.gateway}: {done}")


@contract.command("list")
@click.argument("gateway", required=False)
@DATA
@JSON
def contracts(gateway: str | None, *, data: Path, as_json: bool) -> None:
    """Contracts of GATEWAY, or of all, the newest first: what each says, and whether its gateway has taken it.

    \b
    Example:
      babbitt cloud contract list gateway-1
    """
    from cloud.dispatch import tables
    from cloud.dispatch.views import plain

    with opened(data) as (_, views):
        found = views.contracts(gateway)
    click.echo(json.dumps([plain(one) for one in found]) if as_json else "\n".join(tables.contracts(found)))

"""``babbitt cloud command``: what people want of machines, drafted, signed, approved, followed."""

from __future__ import annotations

import contextlib
import getpass
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from cloud.dispatch.views import Views
    from cloud.store.commands import Commands
    from edge.contract.commands import Command

PATH = click.Path(path_type=Path)
DATA = click.option("--data", default="var/cloud", show_default=True, type=PATH, help="Folder of the store.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
BY = click.option("--by", default=None, help="Who decides it; you, by your user's name.")
_OUT = click.option("--out", type=PATH, help="File for the command as JSON, to be signed elsewhere.")
_FILE_BYTES_MAX = 64 * 1024


@contextlib.contextmanager
def opened(data: Path) -> Iterator[tuple[Commands, Views]]:
    """The files of a store's folder. Raises ``StoreError``, also where there is none: nothing is asked of nobody."""
    from cloud.dispatch.views import Views
    from cloud.store.commands import Commands
    from cloud.store.reader import Reader
    from cloud.store.schema import database

    if not database(data).exists():
        raise StoreError(str(data), "holds no store", "name the folder that `babbitt cloud serve` was given")
    with contextlib.ExitStack() as stack:
        commands = stack.enter_context(contextlib.closing(Commands(data)))
        reader = stack.enter_context(contextlib.closing(Reader(data)))
        yield commands, Views(commands, reader)


@click.group()
def command() -> None:
    """Commands to machines: signed by people, carried out by gateways under their contracts.

    \b
    Example, with a key on this machine:
      babbitt cloud command draft gateway-1 pump-1-speed 2500 --why "less wear" --key ada.pem
      babbitt cloud command approve 3f2a9c01 --key bob.pem
      babbitt cloud command list

    With keys elsewhere, which is how it should be: `draft --out FILE`, have FILE signed there by `babbitt gateway
    command approve FILE`, and bring it back with `submit`; approvers do the same with `show --out FILE`.

    The same over HTTP, with a person's token beside the signatures: POST /api/v1/commands/draft with `gateway`,
    `contract`, `value` and `why`, then POST /api/v1/commands with what came back, signed; GET /api/v1/commands/ID.

    Nothing is done until its gateway has told so: until then a command waits for it, however long ago it was sent.
    """


@command.command()
@click.argument("gateway")
@click.argument("contract")
@click.argument("value", type=float)
@DATA
@BY
@click.option("--why", required=True, help="The reason, for whoever approves and for the audit.")
@click.option("--expires", default="1h", show_default=True, help="So long it may be carried out, up to 7d.")
@click.option("--key", type=PATH, help="Private key of whoever gives it: signs and submits in one step.")
@_OUT
@JSON
def draft(
    *, gateway: str, contract: str, value: float, data: Path, by: str | None, why: str, expires: str,
    key: Path | None, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Draft that the tag of CONTRACT (its id, or the beginning of its hash) be brought to VALUE at GATEWAY.

    The cloud gives the order and the time; --by is the name of whoever gives the command, as the contract has it, and
    need not be named with --key.

    \b
    Example:
      babbitt cloud command draft gateway-1 pump-1-speed 2500 --by ada --why "less wear" --expires 4h --out c.json
    """
    from cloud.dispatch import ordering
    from cloud.dispatch.promote import seconds
    from cloud.dispatch.signatures import fingerprint_of, sign_command

    with opened(data) as (commands, views):
        if by is None and key is not None:
            by = ordering.name_of(commands, gateway, contract, fingerprint_of(key))
        made = ordering.draft(
            commands, gateway, contract, value, by=by or getpass.getuser(), why=why, expires_s=seconds(expires),
            now_ns=time.time_ns(),
        )  # fmt: skip
        if key is not None:
            now_ns = time.time_ns()
            made = ordering.submit(commands, sign_command(made, key, at_ns=now_ns), now_ns=now_ns).command
        _hand_over(made, out, as_json=as_json, views=views)


@command.command()
@click.argument("file", type=PATH)
@DATA
@JSON
def submit(file: Path, *, data: Path, as_json: bool) -> None:
    """Take the signatures in FILE, a command as `draft` or `show` wrote it: the giver's, or those of approvers.

    \b
    Example:
      babbitt cloud command submit c.json
    """
    from cloud.dispatch import ordering

    with opened(data) as (commands, views):
        held = ordering.submit(commands, read(file), now_ns=time.time_ns())
        _hand_over(held.command, None, as_json=as_json, views=views)


@command.command()
@click.argument("name", metavar="ID")
@DATA
@click.option("--key", required=True, type=PATH, help="Private key of whoever approves.")
@JSON
def approve(name: str, *, data: Path, key: Path, as_json: bool) -> None:
    """Approve the command whose id begins with ID, with a key on this machine; the same as a signed file's `submit`.

    \b
    Example:
      babbitt cloud command approve 3f2a9c01 --key bob.pem
    """
    from cloud.dispatch import ordering
    from cloud.dispatch.signatures import fingerprint_of, sign_command

    with opened(data) as (commands, views):
        held, now_ns = ordering.one(commands, name).command, time.time_ns()
        if held.signed and held.signed[0].key == fingerprint_of(key):
            raise ConfigError(str(key), f"is the key that gave the command {name}", "another person approves it")
        one = sign_command(held, key, at_ns=now_ns)
        made = ordering.submit(commands, one, now_ns=now_ns)
        _hand_over(made.command, None, as_json=as_json, views=views)


@command.command()
@click.argument("name", metavar="ID")
@DATA
@BY
@click.option("--why", required=True, help="The reason, for the audit.")
@JSON
def withdraw(name: str, *, data: Path, by: str | None, why: str, as_json: bool) -> None:
    """Take back the command whose id begins with ID, where it is not carried out yet.

    What has not gone down never will. Of what has, its gateway says whether that was in time.

    \b
    Example:
      babbitt cloud command withdraw 3f2a9c01 --why "the line is down for cleaning"
    """
    from cloud.dispatch import ordering

    with opened(data) as (commands, views):
        held = ordering.withdraw(commands, name, by=by or getpass.getuser(), why=why, now_ns=time.time_ns())
        _hand_over(held.command, None, as_json=as_json, views=views)


@command.command("list")
@click.argument("gateway", required=False)
@DATA
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="So many, newest first.")
@JSON
def listed(gateway: str | None, *, data: Path, limit: int, as_json: bool) -> None:
    """Commands to GATEWAY, or to all, the newest first, and how each stands.

    \b
    Example:
      babbitt cloud command list gateway-1
    """
    from cloud.dispatch import tables
    from cloud.dispatch.views import plain

    with opened(data) as (_, views):
        found = views.commands(gateway, limit=limit)
    click.echo(json.dumps([plain(one) for one in found]) if as_json else "\n".join(tables.commands(found)))


@command.command()
@click.argument("name", metavar="ID")
@DATA
@_OUT
@JSON
def show(name: str, *, data: Path, out: Path | None, as_json: bool) -> None:
    """The command whose id begins with ID: who signed, what is missing, each step that its gateway told.

    \b
    Example:
      babbitt cloud command show 3f2a9c01
      babbitt cloud command show 3f2a9c01 --out c.json     for an approver to sign
    """
    from cloud.dispatch import ordering, tables
    from cloud.dispatch.views import plain

    with opened(data) as (commands, views):
        held = ordering.one(commands, name)
        if out is not None:
            write(out, held.command)
        view = views.command(held.command.id)
        history = commands.history(held.command.gateway, subject=held.command.id)
    if as_json:
        click.echo(json.dumps(plain(view)))
    else:
        click.echo("\n".join(tables.command(view, history)))


def read(path: Path) -> Command:
    """A command that somebody signed. Raises ``ConfigError``."""
    from edge.contract.command_file import parse_command

    try:
        with path.open("rb") as file:
            return parse_command(file.read(_FILE_BYTES_MAX))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", "name the signed file") from error
    except ValueError as error:
        raise ConfigError(str(path), f"is no command: {error}", "`babbitt cloud command show ID --out FILE`") from error


def write(path: Path, one: Command) -> None:
    """Raises ``ConfigError``."""
    from edge.contract.command_file import pack_command

    try:
        path.write_bytes(pack_command(one))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name another file") from error


def _hand_over(one: Command, out: Path | None, *, as_json: bool, views: Views) -> None:
    """Say how it stands now; a draft is printed for whoever signs it, where no file is named."""
    from cloud.dispatch import tables
    from cloud.dispatch.views import plain
    from edge.contract.command_file import pack_command

    view = views.command(one.id)
    if out is not None:
        write(out, one)
    if as_json:
        click.echo(json.dumps(plain(view) | {"command": json.loads(pack_command(one))}))
        return
    click.echo("\n".join(tables.commands([view])))
    if not one.signed and out is None:
        click.echo(f"to be signed by {one.by}:\n{pack_command(one).decode()}", nl=False)

"""``babbitt cloud configuration``: site files that gateways try."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud.dispatch.command_group import BY, DATA, JSON, PATH, opened
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.contract.downlink import Configuration

_FILE_BYTES_MAX = 2 * 1024 * 1024


@click.group()
def configuration() -> None:
    """Site files that gateways try, and keep if coverage holds: signed by whom the gateway trusts for it.

    \b
    Example:
      babbitt cloud configuration offer gateway-1 site.toml --why "two more pumps" --key plant.pem
      babbitt cloud configuration list

    With the key elsewhere: `draft --out FILE`, `sign FILE --key KEY` there, `submit FILE` here.
    """


_WHY = click.option("--why", required=True, help="The reason, for the history and for whoever looks at the gateway.")
_EXPIRES = click.option("--expires", default="1d", show_default=True, help="So long it may be begun, up to 30d.")


@configuration.command("offer")
@click.argument("gateway")
@click.argument("file", type=PATH)
@click.option("--key", required=True, type=PATH, help="Private key that `update.configuration_keys` there trusts.")
@DATA
@BY
@_WHY
@_EXPIRES
@JSON
def offer_configuration(
    *, gateway: str, file: Path, key: Path, data: Path, by: str | None, why: str, expires: str, as_json: bool
) -> None:
    """Sign the site file FILE and let it go down to GATEWAY, which tries it.

    \b
    Example:
      babbitt cloud configuration offer gateway-1 site.toml --key plant.pem --why "two more pumps"
    """
    from cloud.dispatch import offering
    from cloud.dispatch.promote import seconds
    from cloud.dispatch.signatures import sign_configuration

    with opened(data) as (commands, _):
        now_ns = time.time_ns()
        one = offering.draft_configuration(
            commands, gateway, file, by=by or getpass.getuser(), why=why, expires_s=seconds(expires), now_ns=now_ns
        )
        made, is_new = offering.offer_configuration(commands, sign_configuration(one, key), now_ns=now_ns)
    _say(made, is_new=is_new, as_json=as_json)


@configuration.command("draft")
@click.argument("gateway")
@click.argument("file", type=PATH)
@click.option("--out", required=True, type=PATH, help="File for the draft, to be signed elsewhere.")
@DATA
@BY
@_WHY
@_EXPIRES
def draft_configuration(
    *, gateway: str, file: Path, out: Path, data: Path, by: str | None, why: str, expires: str
) -> None:
    """Write what is to be signed: the site file FILE with the next number of GATEWAY.

    \b
    Example:
      babbitt cloud configuration draft gateway-1 site.toml --why "two more pumps" --out draft.json
    """
    from cloud.dispatch import offering
    from cloud.dispatch.promote import seconds

    with opened(data) as (commands, _):
        one = offering.draft_configuration(
            commands, gateway, file, by=by or getpass.getuser(), why=why, expires_s=seconds(expires),
            now_ns=time.time_ns(),
        )  # fmt: skip
    _write(out, one)
    click.echo(f"configuration {one.number} for {gateway} drafted in {out}")


@configuration.command()
@click.argument("file", type=PATH)
@click.option("--key", required=True, type=PATH, help="Private key that `update.configuration_keys` there trusts.")
def sign(*, file: Path, key: Path) -> None:
    """Sign the draft in FILE, in its place. It needs no store: do it where the key is.

    \b
    Example:
      babbitt cloud configuration sign draft.json --key plant.pem
    """
    from cloud.dispatch.signatures import sign_configuration

    one = sign_configuration(_read(file), key)
    _write(file, one)
    click.echo(f"configuration {one.number} for {one.gateway} signed by key {one.key}")


@configuration.command("submit")
@click.argument("file", type=PATH)
@DATA
@JSON
def submit_configuration(*, file: Path, data: Path, as_json: bool) -> None:
    """Let a signed draft go down.

    \b
    Example:
      babbitt cloud configuration submit draft.json
    """
    from cloud.dispatch import offering

    one = _read(file)
    if not one.signature:
        raise ConfigError(str(file), "is not signed", "`babbitt cloud configuration sign FILE --key KEY`")
    with opened(data) as (commands, _):
        made, is_new = offering.offer_configuration(commands, one, now_ns=time.time_ns())
    _say(made, is_new=is_new, as_json=as_json)


@configuration.command("list")
@click.argument("gateway", required=False)
@DATA
@JSON
def configurations(gateway: str | None, *, data: Path, as_json: bool) -> None:
    """Configurations of GATEWAY, or of all, the newest first, and what became of each.

    \b
    Example:
      babbitt cloud configuration list gateway-1
    """
    from cloud.dispatch import tables
    from cloud.dispatch.views import plain

    with opened(data) as (_, views):
        found = views.configurations(gateway)
    click.echo(json.dumps([plain(one) for one in found]) if as_json else "\n".join(tables.configurations(found)))


def _say(one: Configuration, *, is_new: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"new": is_new, "id": one.id, "gateway": one.gateway, "number": one.number}))
    else:
        done = "offered" if is_new else "offered before: nothing has changed"
        click.echo(f"configuration {one.number} ({one.id[:12]}) for {one.gateway}: {done}")


def _write(path: Path, one: Configuration) -> None:
    from edge.contract.downlink import pack_configuration

    try:
        path.write_bytes(pack_configuration(one))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name another file") from error


def _read(path: Path) -> Configuration:
    from edge.contract.downlink import parse_configuration

    try:
        with path.open("rb") as file:
            return parse_configuration(file.read(_FILE_BYTES_MAX))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", "name the draft") from error
    except ValueError as error:
        hint = "`babbitt cloud configuration draft` writes one"
        raise ConfigError(str(path), f"is no configuration: {error}", hint) from error

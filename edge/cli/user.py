"""``babbitt gateway user``: who may log in at the gateway's OPC UA server."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge.config.site import load_site
from edge.errors import ConfigError


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--password-file", type=click.Path(path_type=Path), help="Take the password from a file's first line.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
def user(config: Path, name: str, password_file: Path | None, as_json: bool) -> None:
    """Add the user NAME for the OPC UA server of CONFIG, or change their password; it is asked for.

    Only its hash is kept, in the file that `north.opcua.users` names. A running gateway takes note by itself.

    \b
    Example:
      babbitt gateway user site.toml operator
    """
    from edge.north.passwords import set_password

    site = load_site(config)
    if site.file.north.opcua is None:
        hint = "add the table [north.opcua]; without it there is no server to log in at"
        raise ConfigError(str(config), "has no OPC UA server", hint)
    if password_file is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = _first_line(password_file)
    path = site.resolve(site.file.north.opcua.users)
    new = set_password(path, name, password)
    if as_json:
        click.echo(json.dumps({"user": name, "new": new, "file": str(path)}))
    else:
        click.echo(f"{name} {'may log in' if new else 'has a new password'} ({path})")


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error

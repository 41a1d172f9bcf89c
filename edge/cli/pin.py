"""``babbitt gateway pin``: the PIN by which operators acknowledge on the gateway's own page."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge.config.load import read_toml
from edge.config.page import load_page
from edge.errors import ConfigError


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--pin-file", type=click.Path(path_type=Path), help="Take the PIN from a file's first line.")
@click.option("--remove", is_flag=True, help="Take it away: the page is read-only again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
def pin(config: Path, pin_file: Path | None, *, remove: bool, as_json: bool) -> None:
    """Set the operators' PIN of the page of CONFIG; it is asked for. 4 to 12 digits, none that are tried first.

    With a PIN people acknowledge, shelve and reset alarms on the gateway's own page, under the name that they give;
    without one the page is read-only. Only its hash is kept, in the file that `page.pin_file` names. A running page
    takes note by itself, and who is signed in by the former PIN is signed out.

    \b
    Example:
      babbitt gateway pin site.toml
    """
    from edge.page.pin import set_pin

    path = load_page(config).pin_file
    if remove:
        _remove(path)
    else:
        set_pin(path, _asked() if pin_file is None else _first_line(pin_file))
    if as_json:
        click.echo(json.dumps({"set": not remove, "file": str(path)}))
    else:
        click.echo(f"{'the page is read-only' if remove else 'the PIN is set'} ({path})")
        if "page" not in read_toml(config):
            click.echo(f"note: {config} has no table [page]: its gateway starts no page", err=True)


def _asked() -> str:
    return str(click.prompt("PIN", hide_input=True, confirmation_prompt=True, err=True))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be removed: {error.strerror}") from error


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error

"""``babbitt cloud audit``: what a gateway did with commands and contracts, and whether nobody tampered with it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import click
import msgspec

from edge.errors import ConfigError

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("gateway")
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
@click.option("--asset", help="Show this machine's steps alone; all are verified.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="Show so many, the newest.")
@click.option("--export", type=_PATH, help="New file for every step as JSON lines, in order, with its seal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def audit(*, gateway: str, data: Path, asset: str | None, limit: int, export: Path | None, as_json: bool) -> None:
    """What GATEWAY did with commands and contracts, step by step, its chain verified from end to end.

    \b
    Example, also while the server runs:
      babbitt cloud audit gateway-1
      babbitt cloud audit gateway-1 --export audit.jsonl

    A gateway numbers each step and seals it with the one before. A step that was altered, taken out or put in
    afterwards breaks the chain, and this exits with 1. Where the gateway ended without warning it has said so: its
    numbers leap there, and the link holds. Compare the last seal with the one that `babbitt gateway status` prints.
    """
    from cloud.fleet import trail as room
    from cloud.fleet.command import open_store
    from cloud.store.audited import audited

    reader = open_store(data)
    try:
        if gateway not in {row.gateway for row in reader.gateways()}:
            known = ", ".join(row.gateway for row in reader.gateways()) or "none"
            raise ConfigError(gateway, "is no gateway that was ever heard of", f"known: {known}")
        trails = [room.trail(found) for found in audited(reader, gateway)]
    finally:
        reader.close()
    steps = [step for found in trails for step in found.steps]
    if export is not None:
        _export(export, [{"epoch": t.epoch, **msgspec.to_builtins(step)} for t in trails for step in t.steps])
    shown = [step for step in steps if asset in (None, step.asset)]
    shown = shown[max(len(shown) - limit, 0) :]
    if as_json:
        found = {"whole": room.is_whole(trails), "trails": [room.plain(one) for one in trails]}
        click.echo(json.dumps({**found, "steps": [msgspec.to_builtins(step) for step in shown]}))
    else:
        if len(shown) < len(steps):
            click.echo(f"{len(shown):,} of {len(steps):,} steps")
        for step in shown:
            click.echo(_line(step))
        for one in trails:
            _say(one)
        if not steps:
            click.echo(f"{gateway} has told nothing of commands, contracts or configurations")
    if not room.is_whole(trails):
        raise SystemExit(1)


def _line(step: Any) -> str:
    from edge.contract.setpoint_words import plain

    at = f"{dt.datetime.fromtimestamp(step.at_ns / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S}"
    named = f"{step.command or step.contract:.12}"
    read = [
        f"{name} {value:.9g}"
        for name, value in (("wanted", step.value), ("before", step.before), ("read back", step.read_back))
        if value is not None
    ]
    figures = f" ({', '.join(read)})" if read else ""
    where = f"{step.asset}.{step.tag}" if step.tag else step.asset
    return plain(f"{step.number:>7}  {at}  {named:13}{where:32}{step.step:12}{step.by:12}{step.words}{figures}")


def _say(found: Any) -> None:
    if not found.steps:
        return
    for one in found.breaks:
        at = f"{dt.datetime.fromtimestamp(one.at_ns / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S}"
        where = f"{at} between no. {one.after:,} and {one.number:,}"
        click.echo(f"{'declared' if one.is_declared else 'BROKEN'}: {where}: {one.words}")
    word = "the chain is whole" if found.is_whole else "THE CHAIN IS BROKEN"
    count = f"{len(found.steps):,} steps, {found.linked:,} linked"
    click.echo(f"journal {found.epoch[:8]}: {word}: {count}, last no. {found.end.number:,}, seal {found.end.seal[:16]}")


def _export(path: Path, lines: list[dict[str, Any]]) -> None:
    try:
        with path.open("x", encoding="ascii") as file:
            file.writelines(json.dumps(line, sort_keys=True) + "\n" for line in lines)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name a new file") from error

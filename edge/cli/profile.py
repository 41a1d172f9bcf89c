"""``babbitt profile``: make a device profile of a register map, and find everything that is wrong with one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge.commission.import_map import Addresses, Imported
    from edge.commission.profile_check import Checked

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")


@click.group()
def profile() -> None:
    """Device profiles: what a device is and where its values live, as data.

    \b
    The shipped ones, to read and to copy: firmware_profiles/devices/
    A site's own lie in the folder that it names as `profiles`, under devices/.
    """


@profile.command("import")
@click.argument("register_map", metavar="MAP.csv", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The profile to write.")
@click.option(
    "--addresses", type=click.Choice(["pdu", "one-based", "modicon"]), default="pdu", show_default=True,
    help="How the map counts: from 0 as in the frame, from 1, or in five or six digits whose first names the table.",
)  # fmt: skip
@click.option("--device", metavar="NAME", help="The rows of this device alone, where a map holds several.")
@click.option("--id", "device_id", metavar="ID", help="The profile's id; the name of the file by default.")
@click.option("--source", default="", help="Where the facts come from: manual, revision, page.")
@click.option("--writable", is_flag=True, help="Let points be written that the map marks rw; read-only by default.")
@click.option("--force", is_flag=True, help="Replace the profile where it exists.")
@JSON
def import_(
    register_map: Path, out: Path, addresses: Addresses, device: str | None, device_id: str | None, source: str,
    writable: bool, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make a device profile of a register map.

    \b
    MAP.csv has one row for each value, and these columns (those in brackets may be missing or empty):
      [device]        its name
      function_code   1 coils, 2 discrete inputs, 3 holding, 4 input registers
      address         see --addresses; decimal, 0x1F40 or 1F40h
      [count]         registers; of a string, its length
      type            uint16 int16 uint32 int32 uint64 int64 float32 float64 bcd16 bcd32 bcd64 bool string
      [byte_order]    bytes as they arrive, A the most significant: AB BA, ABCD CDAB BADC DCBA, ABCDEFGH ...
      [scale]         value = raw * scale
      [unit] [access] r, rw or w
      name            becomes the tag
      [description]   becomes the title

    Rows that cannot be mapped are listed with line and column, and noted in the profile. Exit code 1 if there are any.

    \b
    Example:
      babbitt profile import meter.csv -o profiles/devices/meter.toml --source "Manual 4711 rev. C, p. 12"
      babbitt profile check profiles/devices/meter.toml
    """
    from edge.commission.import_map import import_map, profile_text
    from edge.commission.toml_text import must_load, write_whole
    from edge.errors import ConfigError

    if out.exists() and not force:
        raise ConfigError(str(out), "exists already", "name another file, or replace it with --force")
    found = import_map(register_map, addresses=addresses, device=device, writable=writable)
    if found.points:
        text = profile_text(found, id=device_id or out.stem, source=source or f"register map {register_map.name}")
        must_load(text, out)
        write_whole(out, text)
    if as_json:
        click.echo(json.dumps(_imported_json(found, out)))
    else:
        click.echo("\n".join(_imported_lines(found, register_map, out)))
    sys.exit(1 if found.issues else 0)


def _imported_json(found: Imported, out: Path) -> dict[str, object]:
    issues = [{"line": i.line, "column": i.column, "problem": i.problem, "hint": i.hint} for i in found.issues]
    return {
        "profile": str(out) if found.points else None, "device": found.device, "rows": found.rows,
        "points": len(found.points), "unmapped": issues, "notes": list(found.notes),
    }  # fmt: skip


def _imported_lines(found: Imported, register_map: Path, out: Path) -> Iterator[str]:
    for note in found.notes:
        yield f"note: {register_map}: {note}"
    for issue in found.issues:
        yield f"not mapped: {register_map}:{issue.line}: column {issue.column}: {issue.problem} ({issue.hint})"
    if found.points:
        yield f"{out}: {len(found.points)} of {found.rows} rows"
    else:
        yield f"nothing written: none of {found.rows} rows could be mapped"


@profile.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Find everything that is wrong with profiles, not only the first thing.

    Unknown keys, wrong types, tags that stand twice, points that overlap or that no request can read, samples that do
    not decode to what they say. Exit code 2 if anything must be mended; what is only worth a look leaves it 0.

    \b
    Example:
      babbitt profile check profiles/devices/*.toml
    """
    from edge.commission.profile_check import as_json_object, check_profile
    from edge.drivers.samples import decode_sample

    checked = [check_profile(path, decode_sample) for path in files]
    if as_json:
        click.echo(json.dumps(as_json_object(checked)))
    else:
        click.echo("\n".join(_checked_lines(checked)))
    sys.exit(0 if all(one.sound for one in checked) else 2)


def _checked_lines(checked: list[Checked]) -> Iterator[str]:
    width = max(len(str(one.path)) for one in checked)
    yield f"{'PROFILE':{width}}  {'PROTOCOL':10}{'POINTS':>7}{'SAMPLES':>9}{'PROVED':>8}  VERDICT"
    for one in checked:
        wrong = sum(problem.wrong for problem in one.problems)
        verdict = "sound" if one.sound else f"{wrong} problem{'s' * (wrong != 1)}"
        yield f"{one.path!s:{width}}  {one.protocol:10}{one.points:>7}{one.samples:>9}{one.proved:>8}  {verdict}"
        for problem in one.problems:
            where = f"`{problem.key}`: " if problem.key else ""
            hint = f" ({problem.hint})" if problem.hint else ""
            yield f"  {'WRONG' if problem.wrong else 'look '}  {where}{problem.problem}{hint}"

"""``babbitt gateway apply``, ``versions``, ``rollback``: another configuration on trial, and the way back."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from edge.config.site import Site, load_site
from edge.errors import BabbittError, ConfigError
from edge.local_socket import UnknownCommandError, ask, is_alive

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
SWITCH_S = 90.0
"""A serial line is listened to for as long as its patience lasts before it is used."""
LOOK_S = 0.5
ENDS_S = 2.0
WAITED_FOR_S = 30.0
"""How long a gateway that was told to go back may take for it."""


@click.command()
@click.argument("new", type=click.Path(path_type=Path))
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--minutes", type=click.FloatRange(0, 1440, min_open=True), default=5.0, show_default=True,
              help="How long the trial lasts.")  # fmt: skip
@click.option("--margin", type=click.FloatRange(0, 100), default=5.0, show_default=True, metavar="PERCENT",
              help="By how much the share of good readings of a unit may be worse than before.")  # fmt: skip
@click.option("--why", default="", help="A few words for the list of versions.")
@click.option("--yes", is_flag=True, help="Do not ask before the trial.")
@click.option("--abort", is_flag=True, help="End the trial that is under way: back to what ran before. NEW or CONFIG.")
@JSON
def apply(
    new: Path, config: Path | None, minutes: float, margin: float, why: str, yes: bool, abort: bool, as_json: bool
) -> None:
    """Let the running gateway try the site file NEW, and keep it if coverage holds.

    CONFIG is the site file that the gateway was started with; NEW may be that very file, edited. The difference is
    shown first. Lines that are the same in both go on undisturbed, and so does the store.

    \b
    The trial is kept, and CONFIG replaced by NEW, if at its end
      - every unit gave as large a share of good readings as in the ten minutes before (but --margin), and
      - every new unit answers.
    Else, or with Ctrl-C, or if the gateway ends meanwhile, all is as before; CONFIG too, if it was edited in place
    (what was tried is kept beside the store, see `babbitt gateway versions`). Exit code 1 then.

    NEW is read as if it stood where CONFIG does: paths in it are relative to there. `[gateway]`, `[uplink]`, `[panel]`
    and the like change with a restart only, and are refused.

    \b
    Examples:
      babbitt gateway apply new.toml site.toml --minutes 10 --why "second meter"
      babbitt gateway apply site.toml --yes
      babbitt gateway apply --abort site.toml
    """
    path = socket_of(config or new)
    if abort:
        ask(path, "abort")
        ended = _watched(path, WAITED_FOR_S, quiet=as_json)
        _show_end(ended, {}, as_json)
        return
    new = new.absolute()
    found = ask(path, "difference", file=str(new))
    if not as_json:
        show_difference(found)
    if found["refused"]:
        keys = ", ".join(f"`{change['key'] or change['name']}`" for change in found["refused"])
        hint = "edit the site file, then stop and start the gateway"
        raise ConfigError(str(new), f"{keys}: changes only with a restart", hint)
    if not found["changes"]:
        click.echo(json.dumps({"state": "none", **found}) if as_json else "nothing differs in meaning: nothing to try")
        return
    if not yes:
        click.confirm(f"try this for {minutes:g} min?", abort=True, err=True)
    from edge.update import user

    asked = {"digest": found["digest"], "minutes": minutes, "margin": margin / 100, "who": user(), "why": why}
    try:
        _asked(path, "apply", file=str(new), **asked)
        ended = _watched(path, minutes * 60 + SWITCH_S + WAITED_FOR_S, quiet=as_json)
    except KeyboardInterrupt:
        click.echo("\ngoing back", err=True)
        with contextlib.suppress(BabbittError):  # It may just have ended.
            ask(path, "abort")
        ended = _watched(path, WAITED_FOR_S, quiet=as_json)
    _show_end(ended, found, as_json)


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@JSON
def versions(config: Path, as_json: bool) -> None:
    """List the configurations that ran here: the ten last that were kept, and the last that were tried in vain.

    They lie beside the store, each as it was with its own profiles, so this works on a stopped gateway too.

    \b
    Example:
      babbitt gateway versions site.toml
    """
    from edge.update import Versions, config_folder

    site = load_site(config)
    index = Versions(config_folder(site), site.path).index()
    rows: list[dict[str, Any]] = [
        {
            "number": v.number, "at": v.at, "who": v.who, "why": v.why, "hash": v.hash, "state": v.state,
            "note": v.note, "current": v.number == index.current,
            "folder": str(config_folder(site) / f"{v.number:04}"),
        }
        for v in reversed(index.versions)
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows))
        return
    who = max([14, *(len(row["who"]) + 2 for row in rows)])
    click.echo(f"{'':2}{'NUMBER':>6}  {'WHEN (UTC)':22}{'WHO':{who}}{'HASH':14}{'STATE':13}WHY")
    for row in rows:
        mark = "*" if row["current"] else ""
        note = f" ({row['note']})" if row["note"] else ""
        click.echo(
            f"{mark:2}{row['number']:>6}  {row['at']:22}{row['who']:{who}}{row['hash'][:12]:14}{row['state']:13}"
            f"{row['why']}{note}".rstrip()
        )
    click.echo(f"their files: {config_folder(site)}")


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("number", type=int, required=False)
@JSON
def rollback(config: Path, number: int | None, as_json: bool) -> None:
    """Go back to version NUMBER of the configuration: by default to the one that was kept before the current one.

    The running gateway changes over at once, without a trial: it ran with it before. Where none runs, the site file
    and its profiles are put back for the next start.

    \b
    Example:
      babbitt gateway rollback site.toml 7
    """
    from edge.update import user

    path = socket_of(config)
    if is_alive(path):
        answer = ask(path, "rollback", within_s=SWITCH_S, number=number, who=user())
    else:
        answer = _put_back(load_site(config), number)
    if as_json:
        click.echo(json.dumps(answer))
        return
    show_difference(answer)
    click.echo(f"back to version {answer['number']} (version {answer['former']} before)")


def _put_back(site: Site, number: int | None) -> dict[str, Any]:
    from edge.update import Versions, config_folder, former

    kept = Versions(config_folder(site), site.path)
    index = kept.index()
    wanted = former(index) if number is None else number
    kept.load(wanted)
    kept.keep(wanted)
    return {"number": wanted, "former": index.current, "changes": [], "refused": [], "anew": [], "undisturbed": []}


def show_difference(found: dict[str, Any]) -> None:
    """The changes, one a line, and what becomes of the lines."""
    for change in [*found["changes"], *found["refused"]]:
        click.echo(change["words"])
    if not found["changes"]:
        return
    if found["anew"]:
        click.echo(f"lines that start anew: {', '.join(found['anew'])}")
    if found["undisturbed"]:
        click.echo(f"lines that go on undisturbed: {', '.join(found['undisturbed'])}")


def _watched(path: Path, within_s: float, *, quiet: bool) -> dict[str, Any]:
    """The trial's end. What a terminal shows meanwhile is one line that is written over."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = _asked(path, "trial")
        if found["state"] not in ("switching", "on trial"):
            if not quiet and sys.stderr.isatty():
                click.echo("\r\033[K", err=True, nl=False)
            return found
        if not quiet and sys.stderr.isatty():
            click.echo(f"\r\033[K{_progress(found)}", err=True, nl=False)
        time.sleep(LOOK_S)
    raise BabbittError(str(path), f"the trial did not end within {within_s:.0f} s", "the gateway's log says why")


def _asked(path: Path, command: str, **arguments: Any) -> dict[str, Any]:
    """As ``ask``, of a gateway that was there a moment ago. Raises ``BabbittError``, which says so if it is no more."""
    try:
        return ask(path, command, **arguments)
    except BabbittError as error:
        if error.where != str(path) or isinstance(error, UnknownCommandError) or not _has_ended(path):
            raise
        hint = "its next start runs what ran before it"
        raise BabbittError(str(path), "the gateway ended amid the trial", hint) from error


def _has_ended(path: Path) -> bool:
    """Whether nobody listens any more, soon: who is killed may leave off answering before."""
    until = time.monotonic() + ENDS_S
    while is_alive(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _progress(found: dict[str, Any]) -> str:
    if found["state"] == "switching":
        return f"version {found['number']}: changing over"
    due = sum(unit["due"] for unit in found["units"])
    good = sum(unit["good"] for unit in found["units"])
    share = f"{100 * good / due:.1f} % of {due:,} readings good" if due else "nothing was due yet"
    return f"version {found['number']} on trial: {found['left_s']:.0f} s left, {share}   (Ctrl-C goes back)"


def _show_end(ended: dict[str, Any], found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**found, **ended}))
    else:
        if ended["units"]:
            click.echo(f"{'UNIT':34}{'BEFORE':>9}{'TRIAL':>9}{'DUE':>10}  WHY NOT")
        for unit in ended["units"]:
            name = f"{unit['asset']} {unit['line']}/{unit['at'] or unit['unit']}"
            line = f"{name:34}{_percent(unit['before']):>9}{_percent(unit['share']):>9}{unit['due']:>10,}"
            click.echo(f"{line}  {unit['words']}".rstrip())
        click.echo(f"version {ended['number']} {ended['state']}: {ended['reason']}")
    sys.exit(0 if ended["state"] == "kept" else 1)


def _percent(share: float | None) -> str:
    return "new" if share is None else f"{100 * share:.1f} %"


def socket_of(config: Path) -> Path:
    """Where the gateway of ``config`` answers. A file that is wrong elsewhere still says where."""
    from edge.update import data_dir_of

    return data_dir_of(config) / "gateway.sock"

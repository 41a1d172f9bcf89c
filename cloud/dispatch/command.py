"""``babbitt cloud key``, ``sign``, ``promote``, ``rollback``, ``rollout``: who stands behind a bundle, who gets it."""

from __future__ import annotations

import contextlib
import getpass
import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from edge.errors import ConfigError

_PATH = click.Path(path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")


@click.group()
def key() -> None:
    """Keys that bundles are signed with."""


@key.command()
@click.argument("file", type=_PATH)
@click.option("--public", type=_PATH, help="New file for the public half; FILE with the ending .pub by default.")
@JSON
def make(file: Path, public: Path | None, as_json: bool) -> None:
    """Make a pair of keys: FILE (mode 0600) signs bundles, the public half lets gateways take them.

    \b
    Example:
      babbitt cloud key make ~/keys/plant.pem
      babbitt cloud sign bundles/cnc_spindle --key ~/keys/plant.pem

    Copy the public half into `keys/` of the site's own profiles (`profiles = "profiles"` in its site file): it is then
    trusted beside the key of the shipped bundles. `gateway.bundle_keys` names the only ones to trust instead; a gateway
    that is to judge with shipped bundles too needs their key there as well.

    Keep FILE where only people who release bundles can read it, with a copy: nothing replaces a lost one.
    """
    from cloud.dispatch import signing

    public = public or file.with_suffix(".pub")
    name = signing.make_key(file, public)
    if as_json:
        click.echo(json.dumps({"key": name, "private": str(file), "public": str(public)}))
    else:
        click.echo(f"key {name}: {file} signs, {public} is for gateways")


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=_PATH, metavar="BUNDLE...")
@click.option("--key", "private", required=True, type=_PATH, help="Private key; see `babbitt cloud key make`.")
@JSON
def sign(bundles: tuple[Path, ...], private: Path, as_json: bool) -> None:
    """Sign each BUNDLE, a folder as `babbitt cloud train` fills it: gateways take no unsigned one.

    \b
    Example:
      babbitt cloud sign firmware_profiles/bundles/* --key release.pem
    """
    from cloud.dispatch import signing

    signed = {str(folder): signing.sign(folder, private) for folder in bundles}
    if as_json:
        click.echo(json.dumps({path: {"bundle": s.hash, "key": s.key} for path, s in signed.items()}))
        return
    for path, signature in signed.items():
        click.echo(f"{path}: {signature.hash[:16]} signed by key {signature.key}")


_DATA = click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
_BY = click.option("--by", default=None, help="Who decides it; you, by your user's name.")


@click.command()
@click.argument("bundle", type=_PATH)
@_DATA
@click.option("--stages", default="10%,50%,100%", show_default=True, help="Shares of the class's machines, rising.")
@click.option("--assets", default="", help="Only these machines: GATEWAY/ASSET, with commas between.")
@click.option(
    "--watch", default="24h", show_default=True, help="How long it judges beside before it counts, and after."
)
@click.option("--tolerate", default="10%", show_default=True, help="More of the machines giving it up take it back.")
@click.option("--expires", default="30d", show_default=True, help="So long it is offered to gateways that are away.")
@click.option("--key", "keys", multiple=True, type=_PATH, help="Public key that signed it; the shipped one by default.")
@_BY
@click.option("--why", required=True, help="The reason, for the history and for whoever looks at a gateway.")
@JSON
def promote(
    *, bundle: Path, data: Path, stages: str, assets: str, watch: str, tolerate: str, expires: str,
    keys: tuple[Path, ...], by: str | None, why: str, as_json: bool,
) -> None:  # fmt: skip
    """Let gateways judge with BUNDLE, a signed folder, a few machines first.

    Gateways ask for it over their own connections; nothing is pushed. Each runs it beside what judges there, on the
    same readings, for the time of --watch; only where it does no worse it counts, and is watched for as long again. A
    machine where it does worse goes back by itself. The next stage begins once the machines of this one have kept it;
    if more of them than --tolerate give it up, all go back. Gateways that are away are not waited for: they get it when
    they are back, if it has not expired.

    \b
    Example:
      babbitt cloud promote bundles/cnc_spindle --key plant.pub --why "retrained on nine failures"
      babbitt cloud rollout

    It works beside a running `babbitt cloud serve`, which takes it on from there. Asked for twice, it is done once.
    """
    from cloud.dispatch import promote as room
    from cloud.dispatch.show import plain, table
    from cloud.store.rollouts import Rollouts

    plan = room.Plan(
        stages=room.shares(stages), scope=tuple(sorted(filter(None, map(str.strip, assets.split(","))))),
        watch_s=room.seconds(watch), tolerate=room.shares(tolerate)[0], expires_s=room.seconds(expires),
    )  # fmt: skip
    _check_machines(data, plan.scope)
    with contextlib.closing(Rollouts(data)) as rollouts:
        rollout, is_new = room.promote(
            bundle, data, rollouts, plan, keys=keys or _shipped_keys(), by=by or getpass.getuser(), why=why,
            now_ns=time.time_ns(),
        )  # fmt: skip
        members = rollouts.members(rollout.number)
    if as_json:
        click.echo(json.dumps({"new": is_new, **plain(rollout, members)}))
        return
    click.echo("promoted" if is_new else "promoted before: nothing has changed")
    click.echo("\n".join(table([(rollout, members)], machines=False)))


@click.command()
@click.argument("asset_class", metavar="CLASS")
@_DATA
@click.option("--number", type=int, help="That rollout; the newest of the class by default.")
@_BY
@click.option("--why", required=True, help="The reason, for the history and for whoever looks at a gateway.")
@JSON
def rollback(asset_class: str, *, data: Path, number: int | None, by: str | None, why: str, as_json: bool) -> None:
    """Take back the newest rollout of CLASS: its machines judge with what they had before.

    They do so when they ask next, within a minute or so, or when they are back. What they had before lies there still.

    \b
    Example:
      babbitt cloud rollback cnc_spindle --why "cries wolf on the night shift"
    """
    from cloud.dispatch import promote as room
    from cloud.dispatch.show import plain, table
    from cloud.store.rollouts import Rollouts

    with contextlib.closing(Rollouts(data)) as rollouts:
        rollout, is_new = room.roll_back(
            asset_class, rollouts, by=by or getpass.getuser(), why=why, now_ns=time.time_ns(), number=number
        )
        members = rollouts.members(rollout.number)
    if as_json:
        click.echo(json.dumps({"new": is_new, **plain(rollout, members)}))
        return
    click.echo("rolled back" if is_new else "was rolled back before; name an older one with --number")
    click.echo("\n".join(table([(rollout, members)], machines=False)))


@click.group(invoke_without_command=True)
@click.pass_context
def rollout(context: click.Context) -> None:
    """Which bundles are on their way to which machines; see `babbitt cloud promote`.

    \b
    Example:
      babbitt cloud rollout                  the rollouts that are under way or in force, with each machine
      babbitt cloud rollout status --all     all that there ever were
      babbitt cloud rollout history          who decided what, and why
    """
    if context.invoked_subcommand is None:
        context.invoke(status)


@rollout.command()
@_DATA
@click.option("--all", "every", is_flag=True, help="Also what was rolled back or has expired.")
@JSON
def status(*, data: Path, every: bool, as_json: bool) -> None:
    """Each rollout, and how it stands at each machine, as the server saw it last.

    \b
    Example:
      babbitt cloud rollout status --data var/cloud --json
    """
    from cloud.dispatch.show import is_current, plain, table
    from cloud.store.rollouts import Rollouts

    with contextlib.closing(Rollouts(data)) as rollouts:
        found = [(one, rollouts.members(one.number)) for one in rollouts.all() if every or is_current(one)]
    if as_json:
        click.echo(json.dumps([plain(*one) for one in found]))
    else:
        click.echo("\n".join(table(found, machines=True)))


@rollout.command()
@_DATA
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many lines.")
@JSON
def history(*, data: Path, limit: int, as_json: bool) -> None:
    """Who promoted and rolled back what, when and why, the newest first.

    \b
    Example:
      babbitt cloud rollout history --limit 10
    """
    from cloud.dispatch import show
    from cloud.store.rollouts import Rollouts

    with contextlib.closing(Rollouts(data)) as rollouts:
        lines = rollouts.history(limit=limit)
    click.echo(json.dumps([asdict(line) for line in lines]) if as_json else "\n".join(show.history(lines)))


def _shipped_keys() -> list[Path]:
    import edge

    return sorted((Path(edge.__file__).resolve().parent.parent / "firmware_profiles/keys").glob("*.pub"))


def _check_machines(data: Path, scope: tuple[str, ...]) -> None:
    """Raises ``ConfigError`` for a machine that no gateway has told of: most likely its name is misspelt."""
    if not scope:
        return
    from cloud.store.reader import Reader
    from cloud.store.schema import database

    known: set[str] = set()
    if database(data).exists():
        with contextlib.closing(Reader(data)) as reader:
            known = {f"{machine.gateway}/{machine.asset}" for machine in reader.machines()}
    unknown = [name for name in scope if name not in known]
    if unknown:
        hint = f"known: {', '.join(sorted(known)[:20]) or 'none'}"
        raise ConfigError("--assets", f"no gateway has told of {', '.join(unknown)}", hint)

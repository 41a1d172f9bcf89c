"""``babbitt cloud``: the receiver with its pages, and the training of bundles."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from cloud import learning
from cloud.dispatch.command import key, promote, rollback, rollout, sign
from cloud.dispatch.command_group import command
from cloud.dispatch.configuration_group import configuration
from cloud.dispatch.contract_group import contract
from cloud.fleet.trail_command import audit
from cloud.notify.command import notify as notify_group

_PATH = click.Path(path_type=Path)
_DAYS = click.IntRange(1, 36_500)


@click.group()
def cloud() -> None:
    """Receive what gateways send, show the fleet, train what gateways judge with."""


cloud.add_command(key)
cloud.add_command(sign)
cloud.add_command(promote)
cloud.add_command(rollback)
cloud.add_command(rollout)
cloud.add_command(contract)
cloud.add_command(command)
cloud.add_command(configuration)
cloud.add_command(audit)
cloud.add_command(notify_group)


@cloud.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8555, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
@click.option("--tokens", required=True, type=_PATH, help="File with the gateways' tokens; see `babbitt cloud token`.")
@click.option("--people", type=_PATH, help="File with people's tokens; lets them tell of failures on the pages.")
@click.option("--notify", type=_PATH, help="File of who is called about alarms; see `babbitt cloud notify`.")
@click.option("--certificate", type=_PATH, help="PEM file; turns TLS on.")
@click.option("--key", type=_PATH, help="PEM file of the certificate's key, where it is not in the same file.")
@click.option("--keep-raw-days", type=_DAYS, metavar="DAYS", help="Remove raw blocks received longer ago than this.")
@click.option("--keep-minutes-days", type=_DAYS, metavar="DAYS", help="Remove minutes that began longer ago than this.")
@click.option(
    "--cache-mb",
    type=click.IntRange(1, 65_536),
    default=64,
    show_default=True,
    metavar="MB",
    help="Pages of the store kept in memory; a large fleet's receiver is faster with more.",
)
def serve(
    *,
    host: str,
    port: int,
    data: Path,
    tokens: Path,
    people: Path | None,
    notify: Path | None,
    certificate: Path | None,
    key: Path | None,
    keep_raw_days: int | None,
    keep_minutes_days: int | None,
    cache_mb: int,
) -> None:
    """Receive blocks, keep them, and show the fleet's pages until Ctrl-C or SIGTERM.

    Everything is kept for ever unless days are named. Hours, verdicts, alarms and the ledger always stay; what was
    removed is counted, and is no loss in the ledger.

    \b
    Example, all on this machine:
      babbitt cloud token gateway-1 --tokens var/cloud.tokens --out var/gateway-1.token
      babbitt cloud serve --tokens var/cloud.tokens

    Then name the printed address and the token's file under [uplink] in the gateway's site file. Only gateways need a
    token: whoever reaches the address can read the pages, so listen beyond this machine only in a network you trust.
    Nobody can write on them, unless --people names a file of those who may tell what became of machines.
    """
    from cloud.runtime import Settings
    from cloud.runtime import serve as run
    from cloud.store.retention import Retention

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings(
        data=data, tokens=tokens, host=host, port=port, certificate=certificate, key=key,
        retention=Retention(keep_raw_days, keep_minutes_days), cache_mb=cache_mb, people=people,
        notify=notify,
    )  # fmt: skip
    asyncio.run(run(settings, ready=lambda address: click.echo(f"fleet page: {address}")))


@cloud.command()
@click.argument("gateway")
@click.option("--tokens", required=True, type=_PATH, help="File that the hash is appended to (made with mode 0600).")
@click.option("--out", type=_PATH, help="New file for the token (mode 0600) instead of printing it.")
def token(gateway: str, tokens: Path, out: Path | None) -> None:
    """Make a token for GATEWAY. It is shown once; only its hash is kept.

    \b
    Example:
      babbitt cloud token gateway-1 --tokens var/cloud.tokens --out var/gateway-1.token

    A running `babbitt cloud serve` takes it at once. A second token for the same gateway is valid beside the first; to
    withdraw one, delete its line from the file.
    """
    from cloud.ingest import tokens as room

    if out is not None:
        room.check_absent(out)
    made = room.make(tokens, gateway)
    if out is None:
        click.echo(made)
    else:
        room.write_secret(out, made)
        click.echo(f"token of {gateway} written to {out}")


@cloud.command()
@click.argument("name")
@click.option("--people", required=True, type=_PATH, help="File that the hash is appended to (made with mode 0600).")
@click.option("--out", type=_PATH, help="New file for the token (mode 0600) instead of printing it.")
def person(name: str, people: Path, out: Path | None) -> None:
    """Make a token for the person NAME, who may then tell of failures, acknowledge alarms, and hand in commands.

    \b
    Example:
      babbitt cloud person ada --people var/cloud.people
      babbitt cloud serve --tokens var/cloud.tokens --people var/cloud.people

    The token is shown once; only its hash is kept. It is entered once on a machine's page, or sent with JSON:

    \b
      curl -H "Authorization: Bearer TOKEN" -H "Content-Type: application/json" \\
        -d '{"kind": "failure", "at": "2026-11-29T05:30Z", "cost": 8400, "words": "outer race spalled"}' \\
        http://127.0.0.1:8555/api/v1/assets/gateway-1/spindle-1/outcomes

    A running server takes it at once. To withdraw one, delete its line from the file.
    """
    from cloud.ingest import tokens as room

    if out is not None:
        room.check_absent(out)
    made = room.make(people, name, what="name of a person")
    if out is None:
        click.echo(made)
    else:
        room.write_secret(out, made)
        click.echo(f"token of {name} written to {out}")


@cloud.command()
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
def rebuild(data: Path) -> None:
    """Make every derived table anew from the raw blocks: rollups, newest values, verdicts, alarms, the ledger.

    Hours whose blocks were removed by --keep-raw-days stay as they are.

    \b
    Example, with the server stopped:
      babbitt cloud rebuild --data var/cloud
    """
    from cloud.store.rebuild import rebuild as run

    click.echo(f"{run(data):,} blocks read; rollups and newest values are made anew")


@cloud.command()
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the chains as one JSON array.")
def verify(*, data: Path, as_json: bool) -> None:
    """Verify the sealed prediction ledger: that every verdict is there, as its gateway sealed it before its outcome.

    \b
    Example, also while the server runs:
      babbitt cloud verify --data var/cloud

    A gateway seals each verdict with the one before it. Where it ended without warning or gave blocks up, it has said
    so: such breaks are declared. A verdict that was altered, taken out or put in afterwards breaks the chain, and this
    exits with 1. Compare the last seal with the one that `babbitt gateway status` prints: nobody can make another
    chain that ends with it.
    """
    from cloud.fleet.command import verify as run

    if not run(data, as_json=as_json):
        raise SystemExit(1)


@cloud.command("score")
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as one JSON object.")
def score_(*, data: Path, as_json: bool) -> None:
    """How often the judgement was right, by asset and by bundle, against what people told of failures.

    \b
    Example, also while the server runs:
      babbitt cloud score --data var/cloud

    A failure is a hit if an alarm (WARNING, CRITICAL or anomalous) foretold it within a week, else a miss; an alarm
    after which nothing came in a week, or that a person rejects, is a false one. What is still open counts for
    nothing yet. "foretold" is a 90 % interval: with few failures it is wide, and that is the truth.
    """
    from cloud.fleet.command import scores

    scores(data, as_json=as_json)


@cloud.command()
@click.argument("asset", metavar="GATEWAY/ASSET")
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
@click.option("--bundles", type=_PATH, help="Folder with bundles in it; the shipped ones by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
def replay(*, asset: str, data: Path, bundles: Path | None, as_json: bool) -> None:
    """Judge an asset's stored readings again, with the gateway's own judge, and compare to the bit.

    \b
    Example, also while the server runs:
      babbitt cloud replay gateway-1/spindle-1 --data var/cloud --bundles own/bundles

    Each verdict names the bundle that made it, by its hash; that bundle has to be there, or to have been
    promoted from here. A verdict that cannot be replayed is counted with the reason. One that comes out otherwise is
    shown, and this exits with 1.
    """
    from cloud.replay.command import run
    from edge.config.site import profiles_root

    if not run(asset, data, bundles or profiles_root() / "bundles", as_json=as_json):
        raise SystemExit(1)


for one in learning.COMMANDS:
    cloud.add_command(one)

"""``babbitt cloud``: the receiver with its pages, and the training of bundles."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from cloud.dispatch.command import key, sign

_PATH = click.Path(path_type=Path)
_DAYS = click.IntRange(1, 36_500)


@click.group()
def cloud() -> None:
    """Receive what gateways send, show the fleet, train what gateways judge with."""


cloud.add_command(key)
cloud.add_command(sign)


@cloud.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8555, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
@click.option("--tokens", required=True, type=_PATH, help="File with the gateways' tokens; see `babbitt cloud token`.")
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
    """
    from cloud.runtime import Settings
    from cloud.runtime import serve as run
    from cloud.store.retention import Retention

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings(
        data=data, tokens=tokens, host=host, port=port, certificate=certificate, key=key,
        retention=Retention(keep_raw_days, keep_minutes_days), cache_mb=cache_mb,
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
@click.option("--plant", is_flag=True, required=True, help="Learn from simulated fleets that run to failure.")
@click.option("--class", "classes", multiple=True, help="Only this asset class; may be given more than once.")
@click.option("--fleet", type=click.IntRange(min=80), default=240, show_default=True, help="Machines for each class.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed draws the same machines."
)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to fill.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object, last.")
def train(*, plant: bool, classes: tuple[str, ...], fleet: int, seed: int, output: Path, as_json: bool) -> None:
    """Train the bundles that gateways judge with. The same options give the same hashes.

    \b
    Example, what the shipped bundles were made by (about three minutes):
      babbitt cloud train --plant -o firmware_profiles/bundles
    """
    from cloud.learn.command import train_all

    assert plant
    train_all(classes, machines=fleet, seed=seed, folder=output, as_json=as_json)


@cloud.command()
@click.argument("exports", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--class", "asset_class", default="generic", show_default=True, help="What kind of machine it is.")
@click.option("--bundle", type=click.Path(file_okay=False, path_type=Path), help="Another bundle than the class's own.")
@click.option("--map", "maps", multiple=True, metavar="COLUMN=TAG", help="Set a guess right; COLUMN= leaves it out.")
@click.option("--failures", type=_PATH, help="CSV with `at` (and `asset`, `end`) of what failed when.")
@click.option("--failure-column", default="", help="Column that is 1 while the machine fails.")
@click.option("--time", default="", help="Column of times, where it is not found by itself.")
@click.option("--time-format", default="", help="As for strptime, such as '%d.%m.%Y %H:%M'.")
@click.option("--zone", default="", help="IANA zone of times without one, such as Europe/Berlin; UTC without.")
@click.option("--day-first/--month-first", "day_first", default=None, help="What 03/04/2026 means.")
@click.option("--asset-column", default="", help="Column that names the machine, where it is not found by itself.")
@click.option("--lead-h", type=click.FloatRange(min=0), default=24.0, show_default=True, help="Lead needed to act.")
@click.option(
    "--horizon-h", type=click.FloatRange(min=0), default=336.0, show_default=True, help="An earlier alarm cried wolf."
)
@click.option(
    "--together-h", type=click.FloatRange(min=0), default=24.0, show_default=True, help="Alarms so near are one event."
)
@click.option("--downtime-cost", type=click.FloatRange(min=0), default=1000.0, show_default=True, help="For an hour.")
@click.option("--downtime-h", type=click.FloatRange(min=0), default=8.0, show_default=True, help="Of a failure.")
@click.option("--planned-h", type=click.FloatRange(min=0), default=2.0, show_default=True, help="Of a planned stop.")
@click.option("--false-alarm-cost", type=click.FloatRange(min=0), default=200.0, show_default=True, help="For each.")
@click.option("--currency", default="EUR", show_default=True, help="The sign that amounts are shown with.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Draw time lines into this file.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def backtest(
    *,
    exports: tuple[Path, ...],
    asset_class: str,
    bundle: Path | None,
    maps: tuple[str, ...],
    failures: Path | None,
    failure_column: str,
    time: str,
    time_format: str,
    zone: str,
    day_first: bool | None,
    asset_column: str,
    lead_h: float,
    horizon_h: float,
    together_h: float,
    downtime_cost: float,
    downtime_h: float,
    planned_h: float,
    false_alarm_cost: float,
    currency: str,
    html: Path | None,
    as_json: bool,
) -> None:
    """Tell from a historian's EXPORTS what would have been caught, missed and cried wolf about, and the money of it.

    Every row goes through the judge and the alarms of a gateway. An export is a CSV (gzipped or not), wide (a column of
    times, then signals) or long (time, tag, value); which column is which signal is guessed from its name and shown.

    \b
    Examples:
      babbitt cloud backtest pump.csv --class centrifugal_pump --failures failed.csv --html pump.html
      babbitt cloud backtest line.csv.gz --map 'DE VIB=vibration_mm_s' --map 'comment=' --zone Europe/Berlin
    """
    from cloud.backtest import command
    from cloud.backtest.export import Reading
    from cloud.backtest.money import Prices
    from cloud.backtest.score import Terms

    command.backtest(
        exports, reading=Reading(time, asset_column, failure_column, time_format, zone, day_first),
        asset_class=asset_class, bundle=bundle, maps=maps, failures=failures,
        terms=Terms(lead_h, horizon_h, together_h),
        prices=Prices(downtime_cost, false_alarm_cost, downtime_h, planned_h, currency), as_json=as_json, html=html,
    )  # fmt: skip


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

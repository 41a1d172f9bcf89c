"""Commands of learning: train, calibrate, compare, backtest. Each loads what it needs when it is called."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_BUNDLE = click.Path(exists=True, file_okay=False, path_type=Path)
_OUTCOMES = click.option(
    "--outcomes", type=_PATH, help="CSV: gateway,asset,at,kind,cost,findings; without it, what the store was told."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object, last.")


@click.command()
@click.option("--plant", is_flag=True, help="Learn from simulated fleets that run to failure.")
@click.option("--data", type=_FOLDER, help="Learn from the histories of this store; with --plant, from both.")
@_OUTCOMES
@click.option("--class", "classes", multiple=True, help="Only this asset class; may be given more than once.")
@click.option("--fleet", type=click.IntRange(min=80), default=240, show_default=True, help="Machines for each class.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed draws the same machines."
)
@click.option("-o", "--output", type=_FOLDER, help="Folder to fill, one folder a class.")
@click.option("--champions", type=_BUNDLE, help="Folder of the bundles in use: compare with them on the stored past.")
@click.option("--if-due", is_flag=True, help="Only where 91 days or 5 confirmed failures have passed since OUTPUT's.")
@click.option(
    "--again", type=click.Path(exists=True, path_type=Path), help="Run a bundle's or manifest's training again."
)
@_JSON
def train(
    *,
    plant: bool,
    data: Path | None,
    outcomes: Path | None,
    classes: tuple[str, ...],
    fleet: int,
    seed: int,
    output: Path | None,
    champions: Path | None,
    if_due: bool,
    again: Path | None,
    as_json: bool,
) -> None:
    """Train the bundles that gateways judge with. The same options and data give the same hashes.

    Few real failures move a simulated fleet (--plant --data); 9 or more that are kept out of the fit, a third of all,
    stand alone (--data). Machines replaced while healthy, and those that still run, count as that, never as failures.

    \b
    Examples:
      babbitt cloud train --plant -o firmware_profiles/bundles      (the shipped ones; some minutes)
      babbitt cloud train --plant --data var/cloud --class centrifugal_pump --champions bundles -o var/challengers
      babbitt cloud train --again var/challengers/centrifugal_pump --data var/cloud

    For a timer (cron, systemd), every day, does nothing until a quarter or five failures have passed:
      babbitt cloud train --plant --data var/cloud --champions bundles -o var/challengers --if-due --json
    """
    from cloud.learn import command

    if again is not None:
        command.train_again(again, data=data, outcomes=outcomes, folder=output, as_json=as_json)
        return
    if not plant and data is None:
        raise click.UsageError("learn from what? Give --plant, --data DIR, or both.")
    if output is None:
        raise click.UsageError("where to? Give -o DIR.")
    if data is None and (outcomes is not None or champions is not None):
        raise click.UsageError("--outcomes and --champions are about stored histories: give --data DIR too.")
    command.train_all(
        classes, machines=fleet if plant else 0, seed=seed, folder=output, as_json=as_json, data=data,
        outcomes=outcomes, champions=champions, if_due=if_due,
    )  # fmt: skip


@click.command()
@click.argument("bundle", type=_BUNDLE)
@click.option("--data", default="var/cloud", show_default=True, type=_FOLDER, help="Folder of the store.")
@_OUTCOMES
@click.option("-o", "--output", type=_FOLDER, required=True, help="Folder of the new bundle.")
@_JSON
def calibrate(*, bundle: Path, data: Path, outcomes: Path | None, output: Path, as_json: bool) -> None:
    """Set BUNDLE's intervals and thresholds anew on stored histories, by asset; its models stay as they are.

    19 failed machines replace a 90 % interval, fewer can only widen it; 9 healthy machines replace the threshold of
    anomalies, fewer can only raise it. Where they move nothing, it says so and writes nothing.

    \b
    Example:
      babbitt cloud calibrate bundles/centrifugal_pump --data var/cloud -o var/calibrated/centrifugal_pump
    """
    from cloud.learn import command

    command.calibrate(bundle, data=data, outcomes=outcomes, folder=output, as_json=as_json)


@click.command()
@click.argument("champion", type=_BUNDLE)
@click.argument("challenger", type=_BUNDLE)
@click.option("--data", default="var/cloud", show_default=True, type=_FOLDER, help="Folder of the store.")
@_OUTCOMES
@_JSON
def compare(*, champion: Path, challenger: Path, data: Path, outcomes: Path | None, as_json: bool) -> None:
    """Judge two bundles on the whole stored past, and say which to keep and why.

    CHALLENGER's training is run again for each third of the machines without them, and once with what was known at a
    cut in time: it never judges what it learned from. CHAMPION judges as it is.

    \b
    Example:
      babbitt cloud compare bundles/centrifugal_pump var/challengers/centrifugal_pump --data var/cloud
    """
    from cloud.learn import command

    command.compare_two(champion, challenger, data=data, outcomes=outcomes, as_json=as_json)


@click.command()
@click.argument("exports", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--class", "asset_class", default="generic", show_default=True, help="What kind of machine it is.")
@click.option("--bundle", type=click.Path(file_okay=False, path_type=Path), help="Another bundle than the class's own.")
@click.option("--alarms-per-week", type=click.FloatRange(0.01, 1000), help="Anomalies a healthy machine may raise.")
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
    alarms_per_week: float | None,
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
        asset_class=asset_class, bundle=bundle, alarms_per_week=alarms_per_week, maps=maps,
        failures=failures,
        terms=Terms(lead_h, horizon_h, together_h),
        prices=Prices(downtime_cost, false_alarm_cost, downtime_h, planned_h, currency), as_json=as_json, html=html,
    )  # fmt: skip


COMMANDS = (train, calibrate, compare, backtest)

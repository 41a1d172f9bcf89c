"""``babbitt demo``: a plant, a gateway and a cloud on this machine, and what happens to them in three minutes."""

from __future__ import annotations

from pathlib import Path

import click

from cloud.demo.story import SECONDS_MIN


@click.command()
@click.option("--seconds", type=click.FloatRange(min=SECONDS_MIN), help="End after so long.  [default: on Ctrl-C]")
@click.option("--headless", is_flag=True, help="No live view: one line for each thing that happens.")
@click.option(
    "--speed",
    type=click.FloatRange(min=1, max=1e6),
    help="Machine seconds in a second.  [default: to fit; a row a poll with --data]",
)
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="RECORDING",
    help="Play a CSV or Parquet recording through the plant's registers instead of simulated machines.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print, last, one JSON object with every count.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Work in this folder and leave it.")
def demo(
    seconds: float | None, headless: bool, speed: float | None, data: Path | None, as_json: bool, keep: Path | None
) -> None:
    """The whole story on this machine: healthy, wear, anomaly, a shrinking life, an outage that loses nothing.

    \b
    Examples:
      babbitt demo                                   until Ctrl-C; open the page that it names
      babbitt demo --seconds 90 --headless --json    for a script
      babbitt demo --data pump.csv --speed 10        your own recording, ten times as fast

    Plant, gateway and cloud run as three processes on 127.0.0.1; nothing else can reach them. The exit code is 1 if the
    ledger does not balance.
    """
    from cloud.demo.run import run

    run(seconds=seconds, headless=headless, speed=speed, recording=data, as_json=as_json, keep=keep)

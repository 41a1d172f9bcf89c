"""``babbitt gateway check``: a dry run of a site against its live lines, and the acceptance report."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click

from edge.cli.rules import loaded

READS_OF_A_REPORT = 5


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--trouble", is_flag=True, help="List only the tags that are suspicious or bad.")
@click.option(
    "--reads", type=click.IntRange(1, 1000), metavar="N",
    help=f"Read each polled unit so often, a period apart; the last counts. 1, or {READS_OF_A_REPORT} for a report.",
)  # fmt: skip
@click.option(
    "--listen", type=click.FloatRange(0.1, 3600), metavar="SECONDS",
    help="How long at most to listen to lines whose devices speak by themselves; two of their periods by default.",
)  # fmt: skip
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
    help="Write the acceptance report, one page to print and sign, and the same as FILE.json beside it.",
)  # fmt: skip
def check(
    config: Path, as_json: bool, trouble: bool, reads: int | None, listen: float | None, report: Path | None
) -> None:
    """Ask every device of CONFIG once and judge each tag: a dry run that only reads.

    \b
    ok          good, and such as the tag can be
    suspicious  good, but a sentinel, out of any range, or 0 where nothing is ever 0
    bad         no value, and why: bus, device, decode

    Each signal gets a score of 0 to 100: missing reads, too slow, coarse, frozen, scattering, checked by no other
    sensor; and each asset what its sensors are good enough for: monitoring, anomaly detection, prediction, with what
    the next level lacks. More reads know more: --reads 60 also judges the scatter.

    Rules that contradict each other, or that could never raise or clear, are refused before anything is asked: all of
    them are printed.

    A gateway may go on running beside it where its lines allow that (TCP, brokers); a serial line belongs to one
    program at a time, and check says which one has it. Exit code 1 if a tag is bad, or a device is not the one
    that its profile describes.

    \b
    Example:
      babbitt gateway check site.toml --trouble
      babbitt gateway check site.toml --report acceptance.html
    """
    from importlib.metadata import version

    from edge.clock import SystemClock
    from edge.commission.dry_run import Trial, dry_run
    from edge.commission.report import report_html
    from edge.commission.show import accepted, as_json_object, table
    from edge.commission.toml_text import write_whole
    from edge.drivers import make_driver, make_source
    from edge.local_socket import is_alive

    site = loaded(config)
    trial = Trial(
        clock=SystemClock(), make_driver=make_driver, make_source=make_source,
        reads=reads or (READS_OF_A_REPORT if report else 1), listen_s=listen,
        say=lambda words: click.echo(words, err=True),
    )  # fmt: skip
    found = asyncio.run(dry_run(site, trial))
    if report is not None:
        beside = report.with_suffix(".json")
        write_whole(report, report_html(found, version=version("babbitt")))
        write_whole(beside, json.dumps(as_json_object(found), indent=2) + "\n")
        click.echo(f"{report}: the acceptance report, and as JSON in {beside}", err=True)
    if as_json:
        click.echo(json.dumps(as_json_object(found)))
    else:
        for line in table(found, only_trouble=trouble):
            click.echo(line)
    if found.count("bad") and is_alive(site.resolve(site.file.gateway.data_dir) / "gateway.sock"):
        click.echo(
            "note: the gateway of this site is running; devices that take one client at a time are its own", err=True
        )
    sys.exit(0 if accepted(found) else 1)

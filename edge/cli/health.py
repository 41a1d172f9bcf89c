"""``babbitt gateway health``: what the running gateway sees of itself, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edge.config.site import load_site
from edge.local_socket import ask


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def health(config: Path, as_json: bool) -> None:
    """Ask the running gateway of CONFIG how it is itself: disk, store, clock, way up, board, memory, parts, judges.

    What is wrong is an alarm of the gateway's own, as `babbitt gateway alarms` lists it, once it lasts; the figures
    that make it one are the table [health] of the site file. Exit code 1 if anything is wrong now.

    \b
    Example:
      babbitt gateway health site.toml
    """
    site = load_site(config)
    answer = ask(site.resolve(site.file.gateway.data_dir) / "gateway.sock", "health")
    click.echo(json.dumps(answer) if as_json else "\n".join(lines_of(answer)))
    sys.exit(1 if answer["findings"] else 0)


def lines_of(answer: dict[str, Any]) -> Iterator[str]:
    seen = answer["seen"]
    if seen is None:
        yield "it has not looked at itself yet"
        return
    counts, restarts = seen["counts"], {room: n for room, n in seen["restarts"].items() if n}
    way_up = "no uplink" if seen["waiting_s"] is None else f"{seen['waiting']:,} readings wait"
    if seen["waiting_s"] is not None and seen["waiting"]:
        way_up += f", the oldest for {seen['waiting_s']:.0f} s at least"
    rows = {
        "disk": "unknown" if seen["free_mb"] is None else f"{seen['free_mb']:,.0f} MB free",
        "store": f"{seen['store_mb']:,.1f} MB; thinned {counts['thinned']:,}, lost {counts['lost']:,} readings",
        "ledger": "balances" if seen["balanced"] else "DOES NOT BALANCE",
        "clock": ("set" if seen["clock_trusted"] else "NOT SET") + _steps(counts["clock_steps"]),
        "way up": way_up + (f" ({seen['uplink_words']})" if seen["uplink_words"] else ""),
        "board": "no sensor" if seen["board_c"] is None else f"{seen['board_c']:.0f} °C",
        "memory": "unknown"
        if seen["memory_percent"] is None
        else f"{seen['memory_percent']:.0f} % of the machine's is free",
        "parts": ", ".join(f"{room} started again {n} times" for room, n in restarts.items()) or "none broke",
        "judges": "none" if seen["judged_s"] is None else f"came round {seen['judged_s']:.1f} s ago",
    }
    yield from (f"{name:10}{words}" for name, words in rows.items())
    for one in answer["findings"]:
        yield f"WRONG     {one['rule']}: {one['sentence']}"
        yield f"          probably {one['cause']}"
        yield f"          {one['action']}"
    if not answer["findings"]:
        yield "well"


def _steps(steps: int) -> str:
    return f", stepped {steps} times" if steps else ""

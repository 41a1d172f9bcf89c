"""``babbitt gateway doctor``: what ails the lines of a running gateway, in words."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.config.lines import place_of
from edge.config.site import load_site
from edge.local_socket import ask

if TYPE_CHECKING:
    from edge.commission.doctor import Finding
    from edge.commission.line_facts import LineFacts, UnitFacts
    from edge.commission.plan import Plan

BAR = 24


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--seconds", type=click.FloatRange(0.1, 86_400), metavar="N",
              help="Look at the next N seconds only; by default at all since the gateway's start.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def doctor(config: Path, seconds: float | None, as_json: bool) -> None:
    """Examine the lines of the running gateway of CONFIG: what ails them, the likely cause, what to try first; and
    whether its store was lost.

    It only looks at what the gateway counted: nothing is sent to any device. Exit code 1 where a fault was found.

    \b
    AIRTIME    share of the time in which the line is taken up by a unit's questions and answers, waiting included
    SCHEDULE   share of the polls that were asked when they were due
    LATE       answers that came after they were given up; DOUBLE: second answers to one question
    CRC        frames with a wrong check sum; OTHER: noise, and frames that answer another question; REFUSED: exceptions

    \b
    Examples:
      babbitt gateway doctor site.toml
      babbitt gateway doctor site.toml --seconds 60
    """
    from edge.commission.doctor import degraded, findings, lost_store
    from edge.commission.line_facts import facts
    from edge.commission.plan import plan

    site = load_site(config)
    path = site.resolve(site.file.gateway.data_dir) / "gateway.sock"
    before = None
    if seconds is not None:
        before = ask(path, "counts")
        _wait(seconds, quiet=as_json)
    counts = ask(path, "counts")
    own = [*degraded(counts["degraded"]), *lost_store(counts["store_lost_s"])]
    examined = [(line, findings(line), plan(line)) for line in facts(counts, before)]
    if as_json:
        told = [asdict(finding) for finding in own]
        click.echo(json.dumps({"lines": [_as_json(*one) for one in examined], "findings": told}))
    else:
        if own:
            click.echo("\n".join([f"gateway {site.file.gateway.id}", *_said(own), ""]))
        for one in examined:
            click.echo("\n".join(_shown(*one)))
    found = [*own, *(finding for _, ailing, _ in examined for finding in ailing)]
    sys.exit(1 if any(finding.severity == "fault" for finding in found) else 0)


def _wait(seconds: float, *, quiet: bool) -> None:
    shows = not quiet and sys.stderr.isatty()
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if shows:
            click.echo(f"\r\033[Klooking for {left:.0f} s more", err=True, nl=False)
        time.sleep(min(left, 1.0))
    if shows:
        click.echo("\r\033[K", err=True, nl=False)


def _shown(line: LineFacts, found: list[Finding], plan: Plan) -> list[str]:
    place = place_of(line.line)
    serial = f" {line.baud} baud" if line.baud is not None else ""
    lines = [f"line {line.name}   {line.kind} {place}{serial}   over {line.window_s:.0f} s"]
    if line.counted:
        theory = f", {line.wire_s(line.baud) / line.window_s:.0%} of it on the wire" if line.baud is not None else ""
        lines.append(f"  airtime {bar(line.airtime)} {line.airtime:.0%}{theory}   reconnects {line.reconnects}")
    heads = (("UNIT", -26), ("AIRTIME", 8), ("SCHEDULE", 9), ("ASKED", 8), ("TIMEOUT", 8), ("CRC", 6), ("OTHER", 6),
             ("LATE", 6), ("DOUBLE", 7), ("REFUSED", 8), ("p50 ms", 8), ("p95 ms", 8))  # fmt: skip
    lines.append("  " + "".join(head.rjust(width) if width > 0 else head.ljust(-width) for head, width in heads))
    lines += [_row(line, unit) for unit in line.units]
    lines += _said(found)
    if not found:
        lines.append("  nothing ails it")
    if plan.timeout_ms or plan.baud or plan.stretch:
        lines += ["  plan:", *(f"    {note}" for note in plan.notes)]
    return [*lines, ""]


def _said(found: list[Finding]) -> list[str]:
    lines = []
    for finding in found:
        mark = click.style("FAULT  " if finding.severity == "fault" else "WARNING", bold=True)
        lines += [f"  {mark} {finding.saw}", f"          likely: {finding.likely}", f"          try: {finding.advice}"]
    return lines


def _row(line: LineFacts, unit: UnitFacts) -> str:
    counts, met = unit.counts, _met(line, unit)
    name = f"{unit.unit} {', '.join(unit.assets)}"
    name = name if len(name) <= 25 else f"{name[:22]}..."
    share = counts.busy_ns / 1e9 / line.window_s
    other = counts.noise + counts.mismatches + counts.foreign
    return (
        f"  {name:26}{share:>8.1%}{'–' if met is None else f'{met:.1%}':>9}{counts.requests:>8,}{counts.timeouts:>8,}"
        f"{counts.crc_errors:>6,}{other:>6,}{counts.late:>6,}{counts.doubles:>7,}{sum(counts.refusals.values()):>8,}"
        f"{_ms(counts.response_ms(0.5)):>8}{_ms(counts.response_ms(0.95)):>8}"
    )


def _met(line: LineFacts, unit: UnitFacts) -> float | None:
    """The share of polls that were asked when they were due; none of a line that is not open was asked."""
    return None if line.shut is not None else unit.polls.met


def bar(share: float) -> str:
    """A share as a picture of ``BAR`` characters, to eighths of one."""
    eighths = round(max(0.0, min(1.0, share)) * BAR * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(BAR, "░")


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _as_json(line: LineFacts, found: list[Finding], plan: Plan) -> dict[str, Any]:
    return {
        "line": line.name, "kind": line.kind, "window_s": line.window_s, "airtime": line.airtime,
        "wire": line.wire_s(line.baud) / line.window_s if line.baud is not None else None,
        "reconnects": line.reconnects,
        "units": [
            {
                "unit": unit.unit, "assets": unit.assets, "schedule": _met(line, unit),
                "airtime": unit.counts.busy_ns / 1e9 / line.window_s, **asdict(unit.polls), **_counts(unit),
                "response_ms": {"p50": unit.counts.response_ms(0.5), "p95": unit.counts.response_ms(0.95)},
            }
            for unit in line.units
        ],
        "findings": [asdict(finding) for finding in found],
        "plan": asdict(plan),
    }  # fmt: skip


def _counts(unit: UnitFacts) -> dict[str, Any]:
    counts = asdict(unit.counts)
    return {name: counts[name] for name in counts if name not in ("responses", "busy_ns")}

"""``babbitt gateway rules``: every rule that counts for each machine of a site, and where each figure comes from."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edge.commission.show import unit_words
from edge.config.laid import Laid
from edge.config.rule import Rule
from edge.config.site import Site, load_site
from edge.errors import ConfigErrors
from edge.health import concerns
from edge.ports import Concern

_TOLD = {"limit": "limit", "deadband": "deadband", "on_delay_s": "delay to raise", "off_delay_s": "delay to clear",
         "window_s": "window", "suppressed_by": "suppressed by"}  # fmt: skip


_UNWRITTEN = {
    "no_data": "nothing good of a watched tag for five of its periods, and 3 s at least",
    "anomaly": "its model's score is past its limit",
    "rul_warning": "less than 168 running hours left, by the interval's lower end",
    "rul_critical": "less than 48 running hours left, by the interval's lower end",
    "sensor_drifting": "a sensor drifts that the others contradict",
    "sensor_bad": "a sensor is stuck, noisy, clipped, spiking or swapped",
    "chattering": "an alarm of it comes and goes, three times within a minute",
}
"""Alarms that every machine has without a rule in a file, and when they raise."""


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--asset", metavar="ID", help="Only the rules of this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def rules(config: Path, asset: str | None, as_json: bool) -> None:
    """Print every rule that counts for each machine of CONFIG, with where each figure comes from.

    \b
    A rule is its class's (firmware_profiles/assets), as the site changes it:
      [[asset]]
      rule = [
          { id = "flow_low", below = 12.0 },            # another limit, the rest stays
          { id = "discharge_pressure_low", off = true },
      ]
    What neither says is the standard's for the machine's nameplate, or what is usual for the kind of signal:
    deadbands after EEMUA 191, delays after common practice.

    \b
    Example:
      babbitt gateway rules site.toml --asset pump-1
    """
    site = loaded(config)
    chosen = [one.id for one in site.file.asset if asset in (None, one.id)]
    if not chosen:
        known = ", ".join(one.id for one in site.file.asset)
        raise click.BadParameter(f"there is no {asset!r}; there are: {known}", param_hint="--asset")
    if as_json:
        told = {
            "assets": {name: [as_plain(one) for one in site.laid[name]] for name in chosen},
            "every_machine": _UNWRITTEN, "gateway": {one.rule: one.priority for one in own_of(site)},
        }  # fmt: skip
        click.echo(json.dumps(told, indent=2))
    else:
        lines = [line for name in chosen for line in [*lines_of(site, name), ""]]
        click.echo("\n".join([*lines, *unwritten_lines(site)]))


def as_plain(laid: Laid) -> dict[str, Any]:
    """A rule for JSON: what it says, whose it is, and the source of each figure."""
    rule = laid.rule
    told = {name: getattr(rule, name) for name in rule.__struct_fields__}
    return {
        **{name: value for name, value in told.items() if value not in (None, "")},
        "condition": condition(rule), "origin": laid.origin, "sources": dict(laid.sources), "off": laid.off,
    }  # fmt: skip


def lines_of(site: Site, asset: str) -> Iterator[str]:
    machine = next(one for one in site.file.asset if one.id == asset)
    units = {p.tag: unit_words(p.unit) for unit in machine.unit for p in site.profiles[unit.profile].point}
    yield f"{asset}   {machine.name or asset}   class {machine.class_}"
    yield f"  {'RULE':30}{'PRIORITY':10}{'RAISES':50}{'DEADBAND':>10}{'DELAYS s':>12}"
    for laid in site.laid[asset]:
        rule = laid.rule
        if laid.off:
            yield f"  {rule.id:30}{rule.priority:10}not laid: {laid.off}"
            continue
        delays = f"{rule.on_delay_s:g} / {rule.off_delay_s:g}"
        yield f"  {rule.id:30}{rule.priority:10}{condition(rule, units):50}{rule.deadband:>10g}{delays:>12}"
        if rule.enabled_by:
            yield f"      means nothing without {rule.enabled_by}"
        if rule.suppressed_by:
            settling = f", and for {rule.settle_s:g} s after" if rule.settle_s else ""
            yield f"      suppressed while {rule.suppressed_by}{settling}"
        yield from (f"      {line}" for line in sources(laid))


def unwritten_lines(site: Site) -> Iterator[str]:
    """The alarms that no rule in a file raises."""
    yield "every machine, without a rule"
    yield from (f"  {name:30}{words}" for name, words in _UNWRITTEN.items())
    yield ""
    off = f"; off: {', '.join(site.file.health.off)}" if site.file.health.off else ""
    yield f"{site.file.gateway.id}, the gateway itself: figures in [health]{off}"
    yield from textwrap.wrap(
        ", ".join(f"{one.rule} ({one.priority})" for one in own_of(site)), 110, initial_indent="  ",
        subsequent_indent="  ",
    )  # fmt: skip


def own_of(site: Site) -> tuple[Concern, ...]:
    return concerns(site.file.health, site.file.gateway.id)


def condition(rule: Rule, units: dict[str, str] | None = None) -> str:
    """When it raises: ``flow_m3_h < 10 m3/h``."""
    sign, unit = "<" if rule.is_low else ">", (units or {}).get(rule.tag, "")
    limit = f"{rule.limit:g}" if rule.limit is not None else "?"
    bars = ("|", "|") if rule.beyond is not None else ("", "")
    match rule.kind:
        case "rate":
            return f"{bars[0]}rate of {rule.tag}{bars[1]} {sign} {limit} {unit}/min over {rule.window_s or 60:g} s"
        case "deviation" | "change":
            return f"{bars[0]}{rule.tag} - {rule.of or 'its baseline'}{bars[1]} {sign} {limit} {unit}".rstrip()
        case "stale":
            return f"age of {rule.tag} > {limit} s"
        case "zone":
            return f"{rule.tag} > {limit} {unit} (zone {rule.zone})"
    return f"{rule.tag} {sign} {limit} {unit}".rstrip()


def sources(laid: Laid) -> list[str]:
    """Where its figures come from, one line for each source."""
    by_source: dict[str, list[str]] = {}
    for name, words in _TOLD.items():
        if name in laid.sources:
            by_source.setdefault(laid.sources[name], []).append(words)
    if len(by_source) == 1:
        return [f"all of it: {source}" for source in by_source]
    return [f"{_listed(names)}: {source}" for source, names in by_source.items()]


def _listed(names: list[str]) -> str:
    both = [_TOLD["on_delay_s"], _TOLD["off_delay_s"]]
    if names[-2:] == both or set(both) <= set(names):
        names = [name for name in names if name not in both] + ["delays"]
    return ", ".join(names)


def loaded(config: Path) -> Site:
    """The site of a command that is to tell everything that is wrong with it: each error on a line, exit code 2."""
    try:
        return load_site(config)
    except ConfigErrors as errors:
        for error in errors.of:
            click.echo(f"error: {error}", err=True)
        sys.exit(errors.exit_code)

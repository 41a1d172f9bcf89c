"""``babbitt gateway``: run one, ask a running one, read its ledger."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.lazy import LazyGroup
from edge.errors import StoreError

if TYPE_CHECKING:
    from edge.config.site import Site

# Whatever else a command needs it imports itself: each start of a gateway goes through here.
_PLACES = {
    **{
        name: f"edge.cli.alarms:{name.replace('-', '_')}"
        for name in ("alarms", "acknowledge", "shelve", "unshelve", "out-of-service", "in-service", "reset")
    },
    "certificate": "edge.cli.certificate:certificate", "user": "edge.cli.user:user", "check": "edge.cli.check:check",
    "contract": "edge.cli.contract:contract", "command": "edge.cli.order:command", "doctor": "edge.cli.doctor:doctor",
    "rules": "edge.cli.rules:rules", "health": "edge.cli.health:health", "page": "edge.cli.page:page",
    "pin": "edge.cli.pin:pin", "apply": "edge.cli.trial:apply", "versions": "edge.cli.trial:versions",
    "rollback": "edge.cli.trial:rollback", "panel": "edge.cli.panel:panel",
}  # fmt: skip

CONFIG = click.argument("config", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")


@click.group(cls=LazyGroup, places=_PLACES)
def gateway() -> None:
    """Poll machines, keep every reading, judge their health, show it, send it up.

    \b
    CONFIG is the site file that plant and gateway share. A first one to copy:
      firmware_profiles/sites/demo.toml
    """


@gateway.command()
@CONFIG
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True,
    help="How much to say on stderr.",
)  # fmt: skip
@click.option("--panel-apart", is_flag=True, help="Something else runs `babbitt gateway panel`: start none.")
def run(config: Path, log_level: str, *, panel_apart: bool) -> None:
    """Run the gateway of CONFIG until Ctrl-C or SIGTERM.

    Lamps and display are a process of their own, which it starts where none answers and restarts where it dies.

    A trial of another configuration (`babbitt gateway apply`) that was cut short is rolled back first.

    \b
    Example:
      babbitt gateway run site.toml
    """
    # In the place of this process: what the command line is made of weighs on no gateway.
    apart = ["--panel-apart"] if panel_apart else []
    command = [sys.executable, "-P", "-m", "edge.gateway", str(config), log_level, *apart]
    os.execv(sys.executable, command)  # noqa: S606 - there is no shell to start it with


@gateway.command()
@CONFIG
@JSON
def status(config: Path, as_json: bool) -> None:
    """Ask the running gateway of CONFIG how it is."""
    from edge.config.site import load_site
    from edge.local_socket import ask

    site = load_site(config)
    answer = ask(socket_path(site), "status")
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for line in status_lines(answer):
            click.echo(line)


@gateway.command()
@CONFIG
@JSON
@click.option("--by-tag", is_flag=True, help="One line for each signal.")
@click.option("--by-hour", is_flag=True, help="One line for each hour, as the gateway's clock stamped it (UTC).")
def ledger(config: Path, as_json: bool, by_tag: bool, by_hour: bool) -> None:
    """What became of every reading that was due.

    \b
    The equation, for every signal and hour:
      offered = good + bad                  polls that were due; bad, and why
      good    = kept + unchanged            unchanged: held back, as nothing new
      kept    = acknowledged + pending      the receiver has it; or it waits here
                + thinned + dropped         given up on purpose; or lost, and why

    Nothing is ever lost without a place in it. It is read from the store, so it is the same beside a running gateway
    (what the next commit brings is not in it yet) and on a stopped one. Exit code 1 if it does not balance.

    \b
    Example:
      babbitt gateway ledger site.toml --by-tag --by-hour
    """
    from edge.cli.equation import as_json as equation_json
    from edge.cli.equation import equation, parts, table, total
    from edge.config.site import load_site
    from edge.journal import read_ledger

    path = store_path(load_site(config))
    if not path.exists():
        raise StoreError(str(path), "no store here yet", "run the gateway of this configuration first")
    rows = read_ledger(path)
    found, whole = parts(rows, by_tag=by_tag, by_hour=by_hour), total(rows)
    if as_json:
        lines = [equation_json(found, whole)]
    elif by_tag or by_hour:
        lines = [*table(found), *equation(whole)]
    else:
        lines = [line for part in found for line in equation(part)] + (equation(whole) if len(found) != 1 else [])
    click.echo("\n".join(lines))
    sys.exit(0 if whole.balanced else 1)


def socket_path(site: Site) -> Path:
    return data_dir(site) / "gateway.sock"


def store_path(site: Site) -> Path:
    return data_dir(site) / "store.db"


def data_dir(site: Site) -> Path:
    return site.resolve(site.file.gateway.data_dir)


def _uplink_line(up: dict[str, Any], *, kept: bool) -> str:
    if up["detail"] == "not configured":
        where = "all is kept here" if kept else "all that there is is in memory"
        return f"uplink none: {where}, {up['backlog_readings']:,} readings so far"
    return f"uplink {'up' if up['up'] else 'DOWN: ' + up['detail']}   waiting {up['backlog_readings']:,} readings"


def status_lines(answer: dict[str, Any]) -> list[str]:
    """The running gateway's answer for a person: units, verdicts with lives, alarms with their names."""
    lines = [
        f"gateway {answer['gateway']}   up {answer['uptime_s']:.0f} s   {answer['rss_mb']:.0f} MB",
        *_degraded_lines(answer),
        *_clock_lines(answer.get("clock", {})),
        *_trial_lines(answer.get("configuration", {})),
        _uplink_line(answer["uplink"], kept=not answer.get("degraded")),
        *_north_lines(answer.get("north", {})),
        *_page_lines(answer.get("page")),
        *_panel_lines(answer.get("panel", {})),
        f"{'UNIT':28}{'LINE':14}{'EVERY s':>9}{'POLLS':>9}{'FAILED':>8}  STATE",
    ]
    for unit in answer["units"]:
        name = f"{unit['asset']}/{unit['unit']}"
        counts = f"{unit['period_ms'] / 1000:>9g}{unit['polls']:>9}{unit['failures']:>8}"
        lines.append(f"{name:28}{unit['line']:14}{counts}  {unit['detail'] or 'good'}")
    lines.append(f"{'MACHINE':28}{'URGENCY':14}{'LIFE LEFT h':>17}  WHY")
    for v in answer["verdicts"]:
        lines.append(f"{v['asset']:28}{v['urgency']:14}{_life(v):>17}  {v['words']}")
        if v.get("seal"):
            lines.append(f"    sealed as no. {v['number']:,}, {v['seal'][:16]}")
        lines += _worked_lines(answer.get("worked", {}).get(v["asset"], {}))
    lines += [f"{asset:28}NOT JUDGED: {why}" for asset, why in answer.get("unjudged", {}).items()]
    lines += _bundle_lines(answer.get("bundles", {}))
    rule = max([22, *(len(alarm["rule"]) + 2 for alarm in answer["alarms"])])
    if answer["alarms"]:
        lines.append(f"{'ALARM OF':28}{'RULE':{rule}}{'PRIORITY':10}STATE")
    for alarm in answer["alarms"]:
        lines.append(f"{alarm['asset']:28}{alarm['rule']:{rule}}{alarm['priority']:10}{alarm['state']}")
        lines.append(f"    {alarm['sentence']}")
    if (more := answer.get("alarms_of", 0) - len(answer["alarms"])) > 0:
        lines.append(f"and {more} more alarms, which are not shown")
    if detail := answer.get("downlink", {}).get("detail"):
        lines.append(f"what the cloud wants is not known: {detail}")
    if (lost_s := (answer.get("commands") or {}).get("lost_s")) is not None:
        lines.append(
            f"the former store is lost: commands, writes and withdrawals are known of the last {lost_s:.0f} s alone;"
            " nothing is written until that is a minute, and the time between two writes"
        )
    if (audit := answer.get("audit")) and audit["number"]:
        lines.append(f"audit of commands: sealed as no. {audit['number']:,}, {audit['seal'][:16]}")
    if answer.get("held_alarms"):
        lines.append(f"alarms held back: {answer['held_alarms']}, see `babbitt gateway alarms`")
    return lines


def _worked_lines(worked: dict[str, float]) -> list[str]:
    """How long a machine ran since it is watched, and its last week; nothing before it ran."""
    if not worked.get("operating_h"):
        return []
    week = []
    if "load_mean" in worked:
        week.append(f"load {worked['load_mean']:.0f} ± {worked['load_variance'] ** 0.5:.0f}")
    if "temperature_mean_c" in worked:
        slope = worked.get("temperature_slope_c_per_day")
        trend = f", {round(slope, 1) + 0.0:+.1f} a day" if slope is not None else ""
        week.append(f"{worked['temperature_mean_c']:.1f} °C, peak {worked['temperature_peak_c']:.1f}{trend}")
    ran = f"    ran {worked['operating_h']:,.1f} h since it is watched"
    return [f"{ran}; last week: {'; '.join(week)}" if week else ran]


def _degraded_lines(answer: dict[str, Any]) -> list[str]:
    why = answer.get("degraded")
    return [f"DEGRADED: nothing is kept but in memory, until it can be: {why}"] if why else []


def _clock_lines(clock: dict[str, Any]) -> list[str]:
    """Nothing where the clock is as it should be."""
    lines = [] if clock.get("trusted", True) else ["clock NOT SET: readings are corrected once it is"]
    return (
        [*lines, f"clock stepped {clock['steps']} times, the last: {clock['words']}"] if clock.get("steps") else lines
    )


def _north_lines(north: dict[str, Any]) -> list[str]:
    """One line for each way in which other systems read the gateway, and what was refused there."""
    lines = []
    for name, way in north.items():
        if way.get("trouble"):
            lines.append(f"{name}   DOWN: {way['trouble']}")
            continue
        if "node" in way:
            dropped = f"   dropped {way['dropped']:,}" if way["dropped"] else ""
            lines.append(f"{name} {way['node']}   {way['detail'] or 'up'}   told {way['sent']:,} values{dropped}")
            continue
        state = f"clients {way['sessions']}   values watched {way['items']:,}" if way["up"] else "DOWN"
        refused = "".join(f"; refused {count}: {why}" for why, count in way["refused"].items())
        lines.append(f"{name} {way['url']}   {state}{refused}")
    return lines


def _page_lines(page: dict[str, Any] | None) -> list[str]:
    """Where the gateway's own page is, or why it is not."""
    if page is None:
        return []
    state = f"up   {page['rss_mb']:.0f} MB" if page["up"] else page["detail"]
    return [f"page {page['url']}   {state}"]


def _panel_lines(panel: dict[str, Any]) -> list[str]:
    """What of the panel does not work; nothing where all does."""
    return [f"panel   {words}" for words in (panel.get("detail"), *panel.get("trouble", ())) if words]


def _trial_lines(configuration: dict[str, Any]) -> list[str]:
    number = configuration.get("on_trial")
    return [] if number is None else [f"configuration version {number} ON TRIAL, {configuration['left_s']:.0f} s left"]


def _bundle_lines(bundles: dict[str, Any]) -> list[str]:
    """Which bundle judges each machine and why, what is on trial beside it, and what was given up lately."""
    assets = {asset: told for asset, told in bundles.get("assets", {}).items() if told["bundle"] or told["trial"]}
    lines = [f"{'JUDGED':28}BY BUNDLE"] if assets else []
    for asset, told in assets.items():
        trouble = "NOT AS IT SHOULD BE: " if told["trouble"] else ""
        lines.append(f"{asset:28}{told['bundle'][:12] or 'none':12}  {trouble}{told['why']}")
        trial = told["trial"]
        if trial is not None:
            beside = "judges beside it" if trial["phase"] == "watched" else "counts, watched still"
            watched = f"{trial['verdicts']:,} verdicts in {trial['watched_s']:.0f} of {trial['watch_s']:.0f} s"
            stage = f"rollout {trial['rollout']}, stage {trial['stage']} of {trial['stages']}"
            lines.append(f"    on trial: {trial['bundle'][:12]} {beside}: {watched} ({stage}: {trial['why']})")
    return lines + [
        f"    given up: {ended['bundle'][:12]} by {ended['asset']} at {ended['at']}: {ended['why']}"
        for ended in bundles.get("given_up", [])
    ]


def _life(verdict: dict[str, Any]) -> str:
    if verdict["rul_h"] is None:
        return "–"
    return f"{verdict['rul_h']:.0f} ({verdict['rul_low_h']:.0f}–{verdict['rul_high_h']:.0f})"

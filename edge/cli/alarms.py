"""``babbitt gateway alarms`` and what a person does about one: acknowledge, shelve, take out of service, reset."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from edge.config.site import load_site
from edge.local_socket import Answer, ask

CONFIG = click.argument("config", type=click.Path(path_type=Path))
ASSET = click.argument("asset")
RULE = click.argument("rule")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
WHY = click.option("--why", default="", help="A few words for whoever asks later.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container's user may have no name.
        return ""


BY = click.option("--by", default=_user, show_default="your user name", help="Who does it.")


@click.command()
@CONFIG
@JSON
@click.option("--kpi", is_flag=True, help="How well the alarms serve, in the figures of ISA-18.2 and EEMUA 191.")
def alarms(config: Path, as_json: bool, kpi: bool) -> None:
    """List the alarms of the running gateway of CONFIG: those that stand, and those that are held back.

    \b
    States (ISA-18.2 / IEC 62682):
      unacknowledged   active, and nobody has seen it yet
      acknowledged     active, and somebody takes care of it
      returned         over before anybody saw it; acknowledge it
      latched          its condition is gone, and it stays until it is reset
    Held back, and calling nobody until it is over (their states go on beneath):
      shelved          by a person, for a time or until it next returns
      suppressed       by the gateway: the machine's state, chattering, a flood
      out of service   by a person, until it is put back

    \b
    Examples:
      babbitt gateway alarms site.toml
      babbitt gateway alarms site.toml --kpi
    """
    answer = ask(_socket(config), "alarms")
    if as_json:
        click.echo(json.dumps(answer["kpi"] if kpi else answer))
    else:
        click.echo("\n".join(kpi_lines(answer["kpi"]) if kpi else alarm_lines(answer)))


@click.command()
@CONFIG
@ASSET
@RULE
@BY
@WHY
def acknowledge(config: Path, asset: str, rule: str, by: str, why: str) -> None:
    """Acknowledge the alarm RULE of ASSET at the running gateway; `babbitt gateway alarms` lists both.

    \b
    Example:
      babbitt gateway acknowledge site.toml spindle-1 rul_critical --why "bearing is ordered"
    """
    path = _socket(config)
    answer = ask(path, "acknowledge", asset=asset, rule=rule, by=by, why=why)
    if answer["acknowledged"]:
        click.echo("acknowledged")
        return
    open_ones = [a for a in ask(path, "alarms")["standing"] if a["state"] != "acknowledged"]
    names = ", ".join(f"{a['asset']} {a['rule']}" for a in open_ones)
    click.echo(f"nothing to acknowledge: no such unacknowledged alarm (there are: {names or 'none'})", err=True)
    sys.exit(1)


@click.command()
@CONFIG
@ASSET
@RULE
@click.option("--hours", type=click.FloatRange(0, min_open=True), help="For so long; the site file has a limit, 8 h.")
@click.option("--once", is_flag=True, help="Until it next returns to normal, and no longer than that limit.")
@BY
@WHY
def shelve(config: Path, asset: str, rule: str, hours: float | None, once: bool, by: str, why: str) -> None:
    """Shelve the alarm RULE of ASSET: it calls nobody for a time, and is still watched and recorded.

    \b
    Examples:
      babbitt gateway shelve site.toml pump-2 flow_low --hours 2 --why "filter is being changed"
      babbitt gateway shelve site.toml pump-2 flow_low --once
    """
    if (hours is None) is not once:
        raise click.UsageError("give --hours, or --once")
    end: dict[str, Any] = {"once": True} if hours is None else {"for_s": hours * 3600}
    answer = ask(_socket(config), "shelve", asset=asset, rule=rule, by=by, why=why, **end)
    until = _clock(answer["until_ns"])
    click.echo(f"shelved until {until}" if hours is not None else f"shelved until it returns, at most until {until}")


def _simple(name: str, command: str, done: str, nothing: str, words: str) -> click.Command:
    def run(config: Path, asset: str, rule: str, by: str, why: str) -> None:
        answer = ask(_socket(config), command, asset=asset, rule=rule, by=by, why=why)
        if not answer["changed"]:
            click.echo(f"{asset} {rule} {nothing}", err=True)
            sys.exit(1)
        click.echo(done)

    run.__doc__ = f"{words}\n\n\b\nExample:\n  babbitt gateway {name} site.toml pump-2 flow_low"
    decorated: Callable[..., None] = run
    for decorator in (WHY, BY, RULE, ASSET, CONFIG):
        decorated = decorator(decorated)
    return click.command(name)(decorated)


unshelve = _simple(
    "unshelve", "unshelve", "unshelved", "is not shelved",
    "End the shelving of the alarm RULE of ASSET before its time: if it is active, it calls.",
)  # fmt: skip
out_of_service = _simple(
    "out-of-service", "out_of_service", "out of service", "is out of service already",
    "Take the alarm RULE of ASSET out of service: it calls nobody until somebody puts it back.",
)  # fmt: skip
in_service = _simple(
    "in-service", "in_service", "in service again", "is in service",
    "Put the alarm RULE of ASSET back into service: if it is active, it calls.",
)  # fmt: skip
reset = _simple(
    "reset", "reset", "reset", "is not latched",
    "Reset the latched alarm RULE of ASSET, which is acknowledged and whose condition is gone.",
)  # fmt: skip


def alarm_lines(answer: Answer) -> list[str]:
    """The running gateway's answer for a person."""
    now_ns, standing, held = answer["now_ns"], answer["standing"], answer["held"]
    asset, rule = widths = name_widths([*standing, *held])
    head = f"{'ALARM OF':{asset}}{'RULE':{rule}}{'PRIORITY':10}{'STATE':26}SINCE"
    lines = [head] if standing or held else ["no alarms"]
    for alarm in standing:
        lines += _alarm_lines(alarm, now_ns, widths)
    lines += _untold(answer, "standing")
    if held:
        lines.append(f"held back: {answer.get('held_of', len(held))}")
    for alarm in held:
        lines += [*_alarm_lines(alarm, now_ns, widths), f"    {_held(alarm)}"]
    return lines + _untold(answer, "held")


def _untold(answer: Answer, which: str) -> list[str]:
    """How many more there are than a running gateway tells at once."""
    more = answer.get(f"{which}_of", 0) - len(answer[which])
    return [f"and {more} more, which are not shown"] if more > 0 else []


WISHED = {
    "alarms_per_10_min": "1 can be answered, 2 just so",
    "most_in_10_min": "over 10 is a flood",
    "flood_percent": "under 1",
}
"""What ISA-18.2 and EEMUA 191 hold a person to be able to take."""

_WINDOWS = ("hour", "day", "week")
_RATES = (
    ("alarms", "alarms that called"), ("held_back", "held back"),
    ("alarms_per_h", "alarms an hour"), ("alarms_per_10_min", "alarms in 10 minutes"),
    ("most_in_10_min", "most in 10 minutes"), ("flood_percent", "% of time in flood"),
)  # fmt: skip


def kpi_lines(kpi: dict[str, Any]) -> list[str]:
    """The gateway's figures of its alarms for a person; a dash where too little was watched to say."""
    watched = {window: _span(kpi["watched_h"][window]) for window in _WINDOWS}
    lines = [
        f"{'LAST':22}{'HOUR':>10}{'DAY':>10}{'WEEK':>10}  GOOD",
        f"{'watched':22}{''.join(f'{words:>10}' for words in watched.values())}",
    ]
    for name, title in _RATES:
        guessed = [window for window in _WINDOWS if _is_guess(kpi, name, window)]
        figures = [f"{'~' * (window in guessed)}{_figure(kpi[name][window])}" for window in _WINDOWS]
        over = f"~ over {watched[guessed[0]]}" if guessed else ""
        said = "; ".join(filter(None, (WISHED.get(name, ""), over)))
        lines.append(f"{title:22}{''.join(f'{figure:>10}' for figure in figures)}  {said}".rstrip())
    shares = ", ".join(f"{_figure(share)} {name}" for name, share in kpi["priority_percent"].items())
    held = ", ".join(f"{count} {kind}" for kind, count in kpi["held"].items() if count)
    lines += [
        f"% by priority         {shares}   (good: 80, 15, 5)",
        f"standing now          {kpi['standing']}{f', held: {held}' if held else ''}",
        f"for over a day        {', '.join(kpi['stale']) or 'none'}",
        f"chattering now        {', '.join(kpi['chattering']) or 'none'}",
        *(["A FLOOD IS ON: alarms of low priority wait until it is over"] if kpi["flood"] else []),
    ]
    asset, rule = name_widths(kpi["bad_actors"])
    if kpi["bad_actors"]:
        lines.append(f"{'RAISED MOST, WEEK':{asset}}{'RULE':{rule}}{'TIMES':>8}{'%':>8}")
    for actor in kpi["bad_actors"]:
        lines.append(f"{actor['asset']:{asset}}{actor['rule']:{rule}}{actor['raised']:>8}{actor['percent']:>8.1f}")
    return lines


def _is_guess(kpi: dict[str, Any], name: str, window: str) -> bool:
    """Whether a rate is made of less time than it speaks of."""
    return bool(kpi.get("estimated", {}).get(name, {}).get(window)) and kpi[name][window] is not None


def _span(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 1 else f"{_figure(round(hours, 1))} h"


def _figure(number: float | None) -> str:
    return "–" if number is None else f"{number:,.2f}".rstrip("0").rstrip(".")


def state_words(alarm: dict[str, Any]) -> str:
    """An alarm's state with what lies beside it: "acknowledged, latched"."""
    marks = (", latched" if alarm["latched"] else "") + (", first" if alarm["first"] else "")
    again = f", called {alarm['repeats'] + 1} times" if alarm["repeats"] else ""
    return f"{alarm['state']}{marks}{again}"


def name_widths(alarms: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """How wide the columns of machine and rule are, so that the longest name still ends before the next column."""
    asset = max([24, *(len(alarm["asset"]) + 2 for alarm in alarms)])
    return asset, max([22, *(len(alarm["rule"]) + 2 for alarm in alarms)])


def _alarm_lines(alarm: dict[str, Any], now_ns: int, widths: tuple[int, int]) -> list[str]:
    asset, rule = widths
    since = _age((now_ns - alarm["since_ns"]) / 1e9) if alarm["since_ns"] else "never"
    by = f"  by {alarm['by']}{_quoted(alarm['why'])}" if alarm["by"] and not alarm["held"] else ""
    return [
        f"{alarm['asset']:{asset}}{alarm['rule']:{rule}}{alarm['priority']:10}{state_words(alarm):26}{since}{by}",
        *([f"    {alarm['sentence']}"] if alarm["sentence"] and alarm["state"] != "normal" else []),
    ]


def _held(alarm: dict[str, Any]) -> str:
    until = f" until {_clock(alarm['until_ns'])}" if alarm["until_ns"] else ""
    if alarm["held"] == "shelved" and not until:
        until = " until it returns"
    return f"{alarm['held']}{until} by {alarm['by'] or 'somebody'}{_quoted(alarm['why'])}"


def _quoted(why: str) -> str:
    return f": {why}" if why else ""


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _clock(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _socket(config: Path) -> Path:
    site = load_site(config)
    return site.resolve(site.file.gateway.data_dir) / "gateway.sock"

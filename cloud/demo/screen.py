"""The terminal view: the page's address, the machines, the gateway's lamps and display, the story, the counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

URGENCY_STYLE = {
    "CRITICAL": "bold white on red",
    "WARNING": "black on yellow",
    "NORMAL": "black on green",
    "UNKNOWN": "dim",
}
LAMP_STYLE = {"red": "red", "amber": "yellow", "green": "green", "blue": "blue"}
STORY_LINES = 7


def draw(
    *, page: str, elapsed_s: float, seconds: float | None, pace: str, status: Mapping[str, Any],
    truth: Mapping[str, Any], stats: Mapping[str, Any], told: list[tuple[float, str]], cable_whole: bool, tick: int,
) -> RenderableType:  # fmt: skip
    """One frame, from plain data alone."""
    head = Text.assemble(
        ("  ", ""), (page, "bold underline cyan"), ("   the fleet's page\n", "dim"),
        (f"  {elapsed_s:5.0f} s" + (f" of {seconds:.0f}" if seconds else ""), ""),
        (f"   {pace}", "dim"), ("" if seconds else "   Ctrl-C ends it and counts every reading", "dim"),
    )  # fmt: skip
    return Group(
        head, _machines(status, truth), _floor(status, cable_whole, tick), _counts(status, stats), _story(told)
    )


def _machines(status: Mapping[str, Any], truth: Mapping[str, Any]) -> RenderableType:
    """Beside each verdict what only the simulated plant knows, so that a visitor can judge the judge."""
    table = Table(box=None, padding=(0, 2), expand=False)
    for column in ("machine", "urgency", "health", "remaining useful life", "in truth", "why"):
        table.add_column(column, header_style="dim", no_wrap=column != "why")
    for verdict in status.get("verdicts", []):
        health = f"{verdict['health']:.0f} %" if verdict["health"] is not None else "–"
        table.add_row(
            verdict["asset"], Text(f" {verdict['urgency']} ", URGENCY_STYLE[verdict["urgency"]]), health,
            _life(verdict), _true_life(truth.get(verdict["asset"], {})), verdict["words"],
        )  # fmt: skip
    return Panel(table, title="judged on the gateway", title_align="left", border_style="dim")


def _life(verdict: Mapping[str, Any]) -> str:
    if verdict["rul_h"] is None:
        return "not enough evidence"
    return f"{verdict['rul_h']:.0f} h  ({verdict['rul_low_h']:.0f}–{verdict['rul_high_h']:.0f} h)"


def _true_life(machine: Mapping[str, Any]) -> str:
    """Of a recording the plant knows no life, only where it is in it."""
    if "row" in machine:
        return "it has ended" if machine["finished"] else f"row {machine['row']:,} of {machine['rows']:,}"
    if machine.get("failed"):
        return "failed"
    rul_h = machine.get("rul_h")
    return "no wear yet" if rul_h is None else f"{rul_h:.0f} h"


def _floor(status: Mapping[str, Any], cable_whole: bool, tick: int) -> RenderableType:
    panel = status.get("panel", {"green": "off", "amber": "off", "red": "off", "lines": []})
    lamps = Text()
    for lamp, style in LAMP_STYLE.items():
        pattern = panel.get(lamp, "off")
        lit = pattern == "on" or (pattern != "off" and tick % 2 == 0)
        lamps.append("  ⬤  " if lit else "  ○  ", style if lit else "dim")
        lamps.append(f"{lamp}{f' ({pattern})' if pattern not in ('on', 'off') else ''}\n", "" if lit else "dim")
    display = Panel(Text("\n".join(panel["lines"]), "black on green"), border_style="green", expand=False)
    uplink = status.get("uplink", {})
    cable = Text.assemble(
        ("gateway ", ""), ("━━━━━━━━" if cable_whole else "━━━ ✂ ━━━", "green" if cable_whole else "bold red"),
        (" cloud\n", ""), (f"{uplink.get('backlog_readings', 0):,} readings wait on the gateway", "dim"),
    )  # fmt: skip
    grid = Table.grid(padding=(0, 4))
    grid.add_row(lamps, display, cable)
    return Panel(grid, title="on the floor", title_align="left", border_style="dim")


def _counts(status: Mapping[str, Any], stats: Mapping[str, Any]) -> RenderableType:
    ledger = status.get("ledger", {})
    words = [
        f"{name} {ledger.get(name, 0):,}" for name in ("offered", "good", "bad", "acknowledged", "pending", "dropped")
    ]
    cloud = f"received {stats.get('received_good', 0):,}   duplicates {stats.get('duplicate_readings_stored', 0):,}"
    text = Text.assemble(("gateway's ledger  ", "dim"), ("   ".join(words)), ("\ncloud's own count ", "dim"), cloud)
    return Panel(text, title="readings", title_align="left", border_style="dim")


def _story(told: list[tuple[float, str]]) -> RenderableType:
    text = Text()
    for at_s, words in told[-STORY_LINES:]:
        text.append(f"{at_s:5.0f} s  ", "dim")
        text.append(words + "\n")
    return Panel(text, title="the story so far", title_align="left", border_style="dim")

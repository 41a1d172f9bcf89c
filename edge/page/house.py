"""What the page shows of the gateway itself: headline, way up, store, ledger, disk, clock. Pure but for the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.page import words
from edge.page.alarms import AlarmRow, untold
from edge.page.machines import Machine
from edge.page.watching import Look


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about the gateway: ``mark`` is ok, warn or bad."""

    name: str
    text: str
    mark: str = "ok"
    detail: str = ""


def headline(look: Look, machines: Sequence[Machine], alarms: Sequence[AlarmRow]) -> tuple[str, str]:
    """A sentence for who looks from the door, and its mark: ok, warn, bad or late."""
    if look.answered_s is None:
        return "The gateway has not answered yet", "late"
    if not look.is_live:
        return f"The gateway does not answer: this is how it was {words.span(look.age_s)} ago", "late"
    high = {row.asset for row in alarms if row.calls and row.priority == "high"}
    now = high | {machine.asset for machine in machines if machine.urgency == "CRITICAL"}
    if now:
        return f"{_counted(len(now), 'machine')} need{'s' if len(now) == 1 else ''} a person now", "bad"
    calling = sum(row.calls for row in alarms)
    if calling:
        return f"{'over ' if untold(look) else ''}{_counted(calling, 'alarm')} to acknowledge", "warn"
    standing = sum(not row.held for row in alarms)
    soon = sum(machine.urgency == "WARNING" for machine in machines)
    if standing or soon:
        parts = (_counted(standing, "alarm") + " acknowledged" if standing else "",
                 _counted(soon, "machine") + " to plan for this week" if soon else "")  # fmt: skip
        return ", ".join(filter(None, parts)), "warn"
    silent = sum(machine.troubled > 0 for machine in machines)
    if silent:
        return f"{_counted(silent, 'machine')} without some of {'its' if silent == 1 else 'their'} data", "warn"
    return "No alarms", "ok"


def house(look: Look, data_dir: Path) -> list[Fact]:
    """Facts about the gateway, in the order in which a person asks for them."""
    status = look.of("status")
    if not status:
        return [*_disk(data_dir)]
    return [
        *_degraded(status), *_alarms(look.of("alarms").get("kpi", {})), *_panel(status["panel"]),
        *_uplink(status), *_ledger(status), *_losses(status), *_disk(data_dir), *_clock(status), *_process(status),
        *_board(look.of("health").get("seen") or {}), *_north(status), *_trial(status),
    ]  # fmt: skip


def _degraded(status: Mapping[str, Any]) -> list[Fact]:
    why = status.get("degraded")
    return [Fact("DEGRADED", "nothing is kept but in memory, until it can be", "bad", why)] if why else []


def _alarms(kpi: Mapping[str, Any]) -> list[Fact]:
    """How well the alarms serve (ISA-18.2): so many an hour, of which some do not deserve a person."""
    if not kpi:
        return []
    hour, day = kpi["alarms"]["hour"], kpi["alarms"]["day"]
    ills = [
        "a FLOOD: only the gravest call" if kpi["flood"] else "",
        _listed("chattering", kpi["chattering"]),
        _listed("standing for long", kpi["stale"]),
    ]
    ills = [ill for ill in ills if ill]
    held = sum(kpi["held"].values())
    told = [f"{words.number(day)} within a day", f"{held} held back" if held else "", *ills]
    return [
        Fact("Alarms", f"{words.number(hour)} within the hour", "warn" if ills else "ok", "; ".join(filter(None, told)))
    ]


def _listed(what: str, found: Sequence[Any]) -> str:
    return f"{len(found)} {what}" if found else ""


def _panel(panel: Mapping[str, Any]) -> list[Fact]:
    missing = [Fact("Panel", "none shows", "warn", panel["detail"])] if panel.get("detail") else []
    return missing + [Fact("Panel", trouble, "warn") for trouble in panel.get("trouble", ())]


def _uplink(status: Mapping[str, Any]) -> list[Fact]:
    up = status["uplink"]
    waiting = f"{words.number(up['backlog_readings'])} readings wait"
    if up["detail"] == "not configured":
        where = "all that there is is in memory" if status.get("degraded") else "all is kept here"
        return [Fact("Way up", "none configured", detail=f"{where}: {waiting}")]
    down = "DOWN" if status.get("degraded") else "DOWN, nothing is lost"
    state = Fact("Way up", "up") if up["up"] else Fact("Way up", down, "warn", up["detail"])
    return [state, Fact("Backlog", waiting, detail=f"in {words.number(up['backlog_blocks'])} blocks")]


def _ledger(status: Mapping[str, Any]) -> list[Fact]:
    """The equation with its sums, and whether it holds."""
    sums = status["ledger"]
    # As `LedgerRow.balanced`, whose module would bring numpy into this small process.
    balanced = (
        sums["offered"] == sums["good"] + sums["bad"]
        and sums["good"] == sums["kept"] + sums["unchanged"]
        and sums["kept"] == sums["acknowledged"] + sums["pending"] + sums["thinned"] + sums["dropped"]
    )
    n = {name: words.number(count) for name, count in sums.items()}
    causes = [f"{name.partition('_')[2]} {n[name]}" for name in sums if name.startswith("bad_") and sums[name]]
    lost = [f"{name.partition('_')[2]} {n[name]}" for name in sums if name.startswith("dropped_") and sums[name]]
    return [
        Fact("Readings due", n["offered"], detail=f"good {n['good']}, bad {n['bad']}" + _because(causes)),
        Fact("Kept, or in memory" if status.get("degraded") else "Kept", n["kept"],
             detail=f"at the cloud {n['acknowledged']}, waiting {n['pending']}, thinned {n['thinned']};"
             f" unchanged {n['unchanged']}"),
        Fact("Lost", n["dropped"], "bad" if sums["dropped"] else "ok", _because(lost).strip(" ()")),
        Fact("Ledger", "balances" if balanced else "DOES NOT BALANCE", "ok" if balanced else "bad",
             "" if balanced else "`babbitt gateway ledger` shows where"),
    ]  # fmt: skip


def _because(causes: Sequence[str]) -> str:
    return f" ({', '.join(causes)})" if causes else ""


def _losses(status: Mapping[str, Any]) -> list[Fact]:
    losses = status["losses"]
    if not (losses["records"] or losses["blocks"]):
        return []
    text = f"{words.number(losses['blocks'])} altered blocks, {words.number(losses['records'])} lost records"
    return [Fact("Store", text, "bad")]


def _disk(folder: Path) -> list[Fact]:
    try:
        disk = os.statvfs(folder)
        store = sum(path.stat().st_size for path in folder.glob("store.db*"))
    except OSError as error:
        return [Fact("Disk", "cannot be read", "bad", str(error.strerror))]
    free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    mark = "ok" if whole and free / whole > 0.1 else "warn"
    return [
        Fact("Disk", f"{words.size(free)} free", mark, f"of {words.size(whole)}; the store takes {words.size(store)}")
    ]


def _clock(status: Mapping[str, Any]) -> list[Fact]:
    clock = status["clock"]
    steps = f"stepped {clock['steps']} times, the last: {clock['words']}" if clock["steps"] else ""
    if not clock["trusted"]:
        return [Fact("Clock", "NOT SET", "warn", "readings are corrected once it is")]
    return [Fact("Clock", "trusted", detail=steps)]


def _process(status: Mapping[str, Any]) -> list[Fact]:
    restarts = status["restarts"]
    broke = ", ".join(f"{name} {count}" for name, count in restarts.items())
    return [
        Fact("Runs since", words.span(status["uptime_s"]), detail=f"{status['rss_mb']:.0f} MB"),
        *([Fact("Parts that broke and started again", broke, "warn")] if broke else []),
    ]


def _board(seen: Mapping[str, Any]) -> list[Fact]:
    """What is wrong with them is an alarm of the gateway's own."""
    degrees, memory = seen.get("board_c"), seen.get("memory_percent")
    return [
        *([Fact("Board", f"{degrees:.0f} °C")] if degrees is not None else []),
        *([Fact("Memory", f"{memory:.0f} % of the machine's is free")] if memory is not None else []),
    ]


def _north(status: Mapping[str, Any]) -> list[Fact]:
    found = []
    for name, way in status["north"].items():
        if way.get("trouble"):
            found.append(Fact(name, "DOWN", "warn", way["trouble"]))
        elif "node" in way:
            found.append(Fact(name, way["detail"] or "up", "warn" if way["detail"] else "ok", str(way["node"])))
        else:
            found.append(Fact(name, "up" if way["up"] else "DOWN", "ok" if way["up"] else "warn", str(way["url"])))
    return found


def _trial(status: Mapping[str, Any]) -> list[Fact]:
    brief = status["configuration"]
    if brief.get("on_trial") is None:
        return []
    return [
        Fact("Configuration", f"version {brief['on_trial']} ON TRIAL", "warn", f"{words.span(brief['left_s'])} left")
    ]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"

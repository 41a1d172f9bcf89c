"""Which alarms stand, as rows: what, where, since when, how bad, the likely cause, what to do. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.page import words
from edge.page.watching import Look

SHOWN = 20
"""So many the overview shows; the rest has a page of its own."""
ALL_SHOWN = 500
_PRIORITIES = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """``calls``: it asks for a person now. ``held`` says why it does not although it may be active, or is empty."""

    asset: str
    rule: str
    tag: str
    name: str
    priority: str
    state: str
    state_words: str
    calls: bool
    since: str
    since_ns: int
    sentence: str
    cause: str
    action: str
    held: str
    latched: bool
    said: str
    first: bool


def alarms(look: Look) -> list[AlarmRow]:
    """What asks for a person first, then by priority, then the newest; held ones last."""
    names = look.of("values").get("assets", {})
    rows = [_row(told, names) for told in _told(look)]
    return sorted(rows, key=lambda row: (bool(row.held), not row.calls, _rank(row), row.state == "returned"))


def untold(look: Look) -> int:
    """How many more stand than the gateway told."""
    every = look.of("alarms")
    return max(int(every.get("standing_of", 0)) - len(every.get("standing", ())), 0)


def alarm(look: Look, asset: str, rule: str) -> AlarmRow | None:
    return next((row for row in alarms(look) if (row.asset, row.rule) == (asset, rule)), None)


def _rank(row: AlarmRow) -> int:
    return _PRIORITIES.get(row.priority, 1)


def _told(look: Look) -> list[Mapping[str, Any]]:
    every = look.of("alarms")
    told = [*every["standing"], *every["held"]] if "standing" in every else look.of("status").get("alarms", [])
    return sorted((one for one in told if not _says_nothing(one)), key=lambda one: -one["since_ns"])


def _says_nothing(one: Mapping[str, Any]) -> bool:
    """Suppressed by design, and it would not stand: nobody did anything, and nobody need know."""
    return one.get("held") == "suppressed" and one["state"] == "normal"


def _row(told: Mapping[str, Any], names: Mapping[str, str]) -> AlarmRow:
    held, state = told.get("held", ""), told["state"]
    return AlarmRow(
        asset=told["asset"], rule=told["rule"], tag=told["tag"], name=names.get(told["asset"], told["asset"]),
        priority=told["priority"], state=state, state_words=_state_words(told),
        calls=not held and state in ("unacknowledged", "returned"), since=_since(told["since_ns"]),
        since_ns=told["since_ns"],
        sentence=told["sentence"], cause=told["cause"], action=told["action"], held=held,
        latched=bool(told.get("latched")), said=_said(told), first=bool(told.get("first")),
    )  # fmt: skip


def _since(since_ns: int) -> str:
    """Empty where it was never raised: one may be shelved before it is."""
    return f"{words.clock(since_ns)} ({words.span(time.time() - since_ns / 1e9)})" if since_ns else ""


def _state_words(told: Mapping[str, Any]) -> str:
    state = words.ALARM_STATES.get(told["state"], str(told["state"]))
    if told.get("latched"):
        state = f"{state}, stays until it is reset"
    held = told.get("held", "")
    if not held:
        return state
    until = told.get("until_ns", 0)
    return f"{held}{f' until {words.clock(until)}' if until else ''} ({state})"


def _said(told: Mapping[str, Any]) -> str:
    """Who did something about it last, and in what words."""
    by, why = told.get("by", ""), told.get("why", "")
    return f"{by}: {why}" if by and why else by or why

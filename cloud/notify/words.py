"""What a message says: the same words for every channel, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from cloud.notify.incidents import Incident, Kind
from edge.contract.types import Priority

_RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}
_WHAT = {Kind.RAISED: "", Kind.ESCALATED: "NOT ACKNOWLEDGED: ", Kind.ACKNOWLEDGED: "taken: ", Kind.ENDED: "over: "}
SUBJECT_CHARS_MAX = 120
LATE_S = 120.0
"""An alarm that was raised longer ago than that when it was told of was kept by a cut cable, and says so."""

Said = tuple[Kind, Incident]


def sorted_by_weight(said: Sequence[Said]) -> list[Said]:
    """What calls before what ends, high before low, old before new."""
    order = {Kind.ESCALATED: 0, Kind.RAISED: 1, Kind.ACKNOWLEDGED: 2, Kind.ENDED: 3}
    return sorted(said, key=lambda one: (order[one[0]], _RANK[one[1].alarm.priority], one[1].alarm.since_ns))


def subject(said: Sequence[Said]) -> str:
    """One line; ``said`` is sorted by weight."""
    kind, incident = said[0]
    text = f"{_WHAT[kind]}{incident.alarm.sentence}"
    if kind in (Kind.RAISED, Kind.ESCALATED):
        text = f"[{incident.alarm.priority}] {text}"
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    flat = " ".join(text.split())
    return flat[: SUBJECT_CHARS_MAX - len(more)] + more


def body(said: Sequence[Said], *, page: str, zone: tzinfo) -> str:
    return "\n\n".join("\n".join(_lines(kind, incident, page, zone)) for kind, incident in said) + "\n"


def plain(kind: Kind, incident: Incident, *, page: str) -> dict[str, Any]:
    """For machines."""
    alarm = incident.alarm
    return {
        "what": kind, "gateway": incident.gateway, "asset": incident.asset, "name": incident.name, "rule": alarm.rule,
        "tag": alarm.tag, "priority": alarm.priority, "state": alarm.state, "since_ns": alarm.since_ns,
        "since": _time(alarm.since_ns, UTC), "value": alarm.value, "sentence": alarm.sentence, "cause": alarm.cause,
        "action": alarm.action, "by": alarm.by, "why": alarm.why, "stage": incident.stage,
        "page": _link(incident, page),
    }  # fmt: skip


def _lines(kind: Kind, incident: Incident, page: str, zone: tzinfo) -> list[str]:
    alarm = incident.alarm
    lines = [f"{_WHAT[kind]}{alarm.sentence}"]
    if kind is Kind.ACKNOWLEDGED:
        by = f" by {alarm.by}" if alarm.by else ""
        why = f": {alarm.why}" if alarm.why else ""
        return [*lines, f"Acknowledged{by} at {_time(alarm.at_ns, zone)}{why}. Nobody else is called."]
    if kind is Kind.ENDED:
        return [*lines, f"It had stood since {_time(alarm.since_ns, zone)}."]
    lines.append(f"{incident.name}, {incident.machine.rstrip('/')}; priority {alarm.priority}")
    late_s = (incident.opened_ns - alarm.since_ns) / 1e9
    late = f"; told of {_span(late_s)} later, as the gateway could not be reached" if late_s > LATE_S else ""
    lines.append(f"since {_time(alarm.since_ns, zone)}{late}")
    if not alarm.state.is_active:
        lines.append("It is no longer active, but nobody has acknowledged it.")
    if alarm.cause:
        lines.append(f"Likely cause: {alarm.cause}")
    if alarm.action:
        lines.append(f"What to do: {alarm.action}")
    if kind is Kind.ESCALATED:
        lines.append(f"{incident.stage} call(s) before this one, and nobody has acknowledged.")
    link = _link(incident, page)
    return [*lines, link] if link else lines


def _link(incident: Incident, page: str) -> str:
    if not page:
        return ""
    if not incident.asset:
        return page.rstrip("/") + "/"
    return f"{page.rstrip('/')}/assets/{quote(incident.gateway, safe='')}/{quote(incident.asset, safe='')}"


def _time(at_ns: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, zone).isoformat(sep=" ", timespec="seconds")


def _span(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

"""Figures as people read them: the filters of the pages. Times become ``<time>`` elements that browsers localise."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

from edge.contract.types import Alarm, AlarmState, BundleStep, Held, Quality, Tag, Urgency, Verdict, failure_chance
from edge.contract.units import sign

URGENCY_WORDS = {
    Urgency.CRITICAL: "may fail within two days",
    Urgency.WARNING: "may fail within the week",
    Urgency.NORMAL: "more than a week to go",
    Urgency.UNKNOWN: "not enough evidence",
}
STATE_WORDS = {
    AlarmState.NORMAL: "cleared",
    AlarmState.UNACKNOWLEDGED: "not acknowledged",
    AlarmState.ACKNOWLEDGED: "acknowledged",
    AlarmState.RETURNED: "cleared, not acknowledged",
}
CAUSE_WORDS = {
    "bus": "no answer on the bus",
    "device": "the device has no value",
    "decode": "the reply cannot be read",
    "disk": "lost: the gateway's disk",
    "clock": "lost: the gateway's clock",
    "power": "lost: power cut",
    "cap": "lost: over the store's cap",
    "thinned": "let go, with extremes and events kept",
    "altered": "lost: altered on the disk, or refused",
    "no data": "nothing received",
}
KIND_WORDS = {
    "failure": "Failed",
    "replaced_healthy": "Replaced while healthy",
    "false_alarm": "False alarm",
    "inspected_ok": "Inspected, found sound",
}
OUTCOME_WORDS = {
    "proposed": "proposed",
    "confirmed": "confirmed",
    "corrected": "corrected",
    "rejected": "withdrawn",
}
FAULT_WORDS = {
    "drifting": "drifts",
    "stuck": "is stuck",
    "noisy": "is noisy",
    "clipped": "is clipped",
    "spiking": "spikes",
    "swapped": "is swapped",
}
BASIS_WORDS = {
    "bundle": "models trained on machines of its class",
    "prior": "physics and its age, not its condition",
}
STEP_WORDS = {
    BundleStep.WATCHED: "on trial beside it", BundleStep.COUNTS: "judges, on trial still", BundleStep.KEPT: "kept",
    BundleStep.ROLLED_BACK: "given up", BundleStep.WITHDRAWN: "withdrawn", BundleStep.REFUSED: "refused",
}  # fmt: skip
FEW_FAILURES = 10
"""Below this many the interval of a share is so wide that it says little else."""
QUALITY_WORDS = {Quality.GOOD: "good", Quality.UNCERTAIN: "uncertain"}
SMALL_WORDS = {"cnc": "CNC", "dc": "DC", "ac": "AC", "hvac": "HVAC"}
AHEAD_S = 60.0
"""Clocks that differ by less are called equal."""


def rul(verdict: Verdict | None) -> str:
    """``31 h (18–44 h)`` or why there is none."""
    if verdict is None or verdict.rul_h is None:
        return "not enough evidence"
    low, high = verdict.rul_low_h, verdict.rul_high_h
    if low is None or high is None:
        return hours(verdict.rul_h)
    return f"{hours(verdict.rul_h)} ({_count(low)}–{hours(high)})"


def chance(verdict: Verdict) -> str:
    """Of a failure before the planned stop: ``12 %``, or nothing where none is known."""
    return failure_chance(verdict)


def hours(value: float) -> str:
    return f"{_count(value)} h"


def _count(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def count(value: int) -> str:
    return f"{value:,}"


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def title(tag: Tag) -> str:
    """The tag's title, or its name made readable."""
    return tag.title or tag.tag.replace("_", " ").capitalize()


def class_title(asset_class: str) -> str:
    """``cnc_spindle`` as ``CNC spindle``."""
    words = [SMALL_WORDS.get(word, word) for word in asset_class.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def unit(tag: Tag) -> str:
    return sign(tag.unit, tag.kind)


def value(tag: Tag, found: float | int | str | None) -> str:
    """One value with the decimals and the unit that its tag asks for."""
    if found is None:
        return "–"
    if tag.kind == "state" and found in (0, 1):
        return "yes" if found else "no"
    if isinstance(found, str):
        return found
    number = f"{found:,.{tag.decimals}f}" if isinstance(found, float) else f"{found:,}"
    return f"{number} {unit(tag)}".rstrip()


def probability(p: float) -> str:
    """In words: never nothing, never everything."""
    return "under 0.1 %" if p < 0.001 else "over 99.9 %" if p > 0.999 else f"{p * 100:.{1 if p < 0.1 else 0}f} %"


def between(interval: tuple[float, float]) -> str:
    return f"{interval[0] * 100:.0f} to {interval[1] * 100:.0f} %"


def utc_input(at_ns: int) -> str:
    """For a form's field of a time, to the minute, in UTC."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M")


def quality(found: Quality) -> str:
    return QUALITY_WORDS.get(found) or CAUSE_WORDS[str(found.cause)]


def state(alarm: Alarm) -> str:
    """An alarm's state with what lies beside it, but for what holds it: "acknowledged, latched until it is reset"."""
    marks = [STATE_WORDS[alarm.state]]
    if alarm.latched:
        marks.append("latched until it is reset")
    if alarm.first:
        marks.append("the first of its group")
    if alarm.repeats:
        marks.append(f"called {alarm.repeats + 1} times")
    return ", ".join(marks)


def holding(alarm: Alarm) -> Markup:
    """What keeps an alarm from people, by whom and why, where anything does; else who acknowledged it or reset it."""
    by = Markup(" by {}").format(alarm.by) if alarm.by else ""
    why = Markup(": {}").format(alarm.why) if alarm.why else ""
    if alarm.held is Held.NOT:
        return Markup("{}{}").format(by.strip(), why) if by else Markup("")
    until = Markup(" until {}").format(clock(alarm.until_ns)) if alarm.until_ns else ""
    if alarm.held is Held.SHELVED and not until:
        until = " until it returns"
    return Markup("{}{}{}{}").format(alarm.held.value, until, by, why)


def age(at_ns: int, now_ns: int) -> Markup:
    """``2 s ago``, kept up to date by the page."""
    if not at_ns:
        return Markup("never")
    text = ago((now_ns - at_ns) / 1e9)
    return Markup('<time datetime="{}" data-age="{}">{}</time>').format(_iso(at_ns), at_ns // 1_000_000, text)


def clock(at_ns: int) -> Markup:
    """A point in time, in the viewer's zone once the page's script has run, in UTC before."""
    shown = datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" data-clock="{}">{}</time>').format(_iso(at_ns), at_ns // 1_000_000, shown)


def span(from_s: int, to_s: int) -> Markup | str:
    """An hour by its beginning, a day by its date, a month by its name; days and months in UTC, as they are summed."""
    when = datetime.fromtimestamp(from_s, UTC)
    if to_s - from_s <= 3600:
        return clock(from_s * 10**9)
    return when.strftime("%Y-%m-%d") if to_s - from_s <= 86_400 else when.strftime("%B %Y")


def ago(seconds: float) -> str:
    """A span before now in words; one that lies in the future by more than clocks may differ is called so."""
    if seconds < -AHEAD_S:
        return ago(-seconds).replace("ago", "ahead")
    seconds = max(seconds, 0.0)
    for limit, divisor, name in ((99.5, 1, "s"), (5970, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {name} ago"
    return f"{seconds / 86_400:.0f} d ago"


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def freshness(at_ns: int, now_ns: int, period_ms: int) -> str:
    """``fresh``, ``late`` or ``gone``: how a last-seen time is to be read; ``ahead`` where its clock is ahead of ours.

    The page's script uses the same limits.
    """
    age_s = (now_ns - at_ns) / 1e9
    if age_s < -AHEAD_S:
        return "ahead"
    late_s, gone_s = freshness_limits_s(period_ms)
    return "fresh" if age_s <= late_s else "late" if age_s <= gone_s else "gone"


def freshness_limits_s(period_ms: int) -> tuple[float, float]:
    return max(5.0, 3 * period_ms / 1000), max(60.0, 20 * period_ms / 1000)


def headline(critical: int, warning: int, normal: int, unknown: int) -> str:
    """The fleet in one sentence."""
    total = critical + warning + normal + unknown
    if critical:
        return f"{_machines(critical)} {'needs' if critical == 1 else 'need'} a person now"
    if warning:
        return f"{_machines(warning)} to plan for this week"
    if unknown == total:
        return f"{_machines(total)}, still gathering evidence"
    return (
        "All machines have more than a week to go"
        if not unknown
        else f"{_machines(normal)} with more than a week to go"
    )


def _machines(number: int) -> str:
    return f"{number} machine" if number == 1 else f"{number} machines"


def waits_for_a_person(alarm: Alarm) -> bool:
    """Whether somebody is to acknowledge it."""
    return alarm.state.awaits_a_person

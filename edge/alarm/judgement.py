"""What a verdict says in alarms: an anomaly asks for a look, a short remaining life for a plan or for a stop, a sensor
that is not believed for a repair of the sensor.

An alarm clears only when the verdict is back by a margin and for a while, so that a figure that wavers about its limit
is one alarm. A verdict without enough evidence neither raises nor clears. A remaining life raises by its urgency, for
the lower end of the interval shown may reach lower for mere want of readings; and it clears by that lower end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge.alarm.entry import Entry
from edge.contract.types import (
    URGENCY_CRITICAL_BELOW_H,
    URGENCY_WARNING_BELOW_H,
    Priority,
    SensorFault,
    SensorState,
    Urgency,
    Verdict,
    failure_chance,
)
from edge.ports import Finding

CLEAR_MARGIN = 0.1
"""How far (as a share of the limit) a verdict must be back before its alarm clears."""

OFF_DELAY_NS = 5 * 10**9

BY_AGE = "its age by the hour meter, and what its papers promise"
UNEXPLAINED = "no signal stands out: they do not fit together as they did"

_LIFE = {
    Urgency.WARNING: ("rul_warning", URGENCY_WARNING_BELOW_H),
    Urgency.CRITICAL: ("rul_critical", URGENCY_CRITICAL_BELOW_H),
}
"""The rule of each urgency, and the limit of the lower end in running hours."""

SENSOR_ACTIONS = {
    SensorFault.DRIFTING: "recalibrate or replace the sensor; the machine itself shows no fault",
    SensorFault.STUCK: "check the sensor, its cable and its converter",
    SensorFault.NOISY: "check the sensor's cable, shield and ground",
    SensorFault.CLIPPED: "check the range of the sensor and of its input",
    SensorFault.SPIKING: "check the sensor's plugs and cable",
    SensorFault.SWAPPED: "check which of the two sensors is wired where",
}


def entries(asset: str, name: str) -> dict[str, Entry]:
    """The alarms that verdicts can raise, by rule."""
    kinds = {
        "anomaly": (Priority.MEDIUM, f"{name} behaves like itself again"),
        "rul_warning": (
            Priority.MEDIUM,
            f"{name} has more than {URGENCY_WARNING_BELOW_H:.0f} running hours left again",
        ),
        "rul_critical": (
            Priority.HIGH,
            f"{name} has more than {URGENCY_CRITICAL_BELOW_H:.0f} running hours left again",
        ),
        "sensor_drifting": (Priority.LOW, f"{name}: no sensor drifts any longer"),
        "sensor_bad": (Priority.LOW, f"{name}: every sensor is believed again"),
    }
    return {
        rule: Entry(asset, rule, "", priority, on_ns=0, off_ns=OFF_DELAY_NS, name=name, ended=ended)
        for rule, (priority, ended) in kinds.items()
    }


def findings(verdict: Verdict, name: str, standing: Mapping[str, Entry]) -> Iterator[Finding]:
    """What ``verdict`` says about each of ``entries``; ``standing`` tells which of them are active."""
    yield _anomaly(verdict, name, active=standing["anomaly"].is_active)
    yield _remaining_life(verdict, name, Urgency.WARNING, active=standing["rul_warning"].is_active)
    yield _remaining_life(verdict, name, Urgency.CRITICAL, active=standing["rul_critical"].is_active)
    yield _sensors(verdict, name, "sensor_drifting", drifting=True)
    yield _sensors(verdict, name, "sensor_bad", drifting=False)


def _sensors(verdict: Verdict, name: str, rule: str, *, drifting: bool) -> Finding:
    """The sensor that is off for longest speaks for all of its kind."""
    bad = [s for s in verdict.sensors if (s.fault is SensorFault.DRIFTING) == drifting]
    if not bad:
        return Finding(rule, holds=False)
    worst: SensorState = min(bad, key=lambda s: (s.since_ns, s.tag))
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return Finding(
        rule, holds=True, tag=worst.tag, value=worst.offset, sentence=f"{name}: {worst.words}{more}",
        cause=f"the sensor of {worst.tag} is {worst.fault}", action=SENSOR_ACTIONS[worst.fault],
    )  # fmt: skip


def _anomaly(verdict: Verdict, name: str, *, active: bool) -> Finding:
    if verdict.anomaly is None:
        return Finding("anomaly", None)
    if not verdict.anomalous and (not active or verdict.anomaly < 1.0 - CLEAR_MARGIN):
        return Finding("anomaly", holds=False)
    tag, words = _top_reason(verdict)
    return Finding(
        "anomaly",
        holds=verdict.anomalous or active,
        tag=tag,
        value=verdict.anomaly,
        sentence=f"{name} behaves unlike itself ({verdict.anomaly:.1f} times its limit)"
        + (f": {words}" if words else ""),
        cause=words or UNEXPLAINED,
        action="look and listen at the machine; compare with its last good shift",
    )


def _remaining_life(verdict: Verdict, name: str, urgency: Urgency, *, active: bool) -> Finding:
    rule, limit_h = _LIFE[urgency]
    low_h, rul_h, high_h = verdict.rul_low_h, verdict.rul_h, verdict.rul_high_h
    if low_h is None or rul_h is None or high_h is None or verdict.urgency is Urgency.UNKNOWN:
        return Finding(rule, None)
    clear_at_h = limit_h * (1.0 + CLEAR_MARGIN)
    if not (verdict.urgency.rank >= urgency.rank or (active and low_h <= clear_at_h)):
        return Finding(rule, holds=False)
    tag, words = _top_reason(verdict)
    action = (
        f"plan the stop within {low_h:.0f} running hours and have the spare part at hand"
        if urgency is Urgency.CRITICAL
        else "order the spare part and plan a stop this week"
    )
    return Finding(
        rule,
        holds=True,
        tag=tag,
        value=rul_h,
        sentence=f"{name} has about {rul_h:.0f} running hours left ({low_h:.0f} to {high_h:.0f})"
        + _before_stop(verdict)
        + (f": {words}" if words else ""),
        cause=words or (BY_AGE if verdict.basis == "prior" else UNEXPLAINED),
        action=action,
    )


def _before_stop(verdict: Verdict) -> str:
    """What the planner asks first, where a stop is planned."""
    chance = failure_chance(verdict)
    return f", {chance} to fail before the stop in {verdict.stop_h:.0f} h" if chance else ""


def _top_reason(verdict: Verdict) -> tuple[str, str]:
    """The tag and the words of what weighs most."""
    if not verdict.reasons:
        return "", ""
    top = max(verdict.reasons, key=lambda reason: reason.share)
    return top.tag, top.words

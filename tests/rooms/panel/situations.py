"""Situations of a small plant, for tests of lamps, pages and pictures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from edge.contract.desired import TrackRecord
from edge.contract.types import Alarm, AlarmState, Held, Priority, Reason, Urgency, Verdict
from edge.panel import Advice, Condition, PanelState

S, MIN, H = 10**9, 60 * 10**9, 3600 * 10**9
NOW = 1_790_000_000 * S
NAMES = {"s": "Spindle 1", "p": "Pump 1", "e": "Extruder drive 2"}
HIGH, MEDIUM, LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW
UNACK, ACK, RETURNED = AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED, AlarmState.RETURNED


def alarm(
    rule: str, priority: Priority, state: AlarmState, sentence: str, *, asset: str = "s", ago_ns: int = 12 * MIN
) -> Alarm:
    cause, action = "worn bearing or loose spindle", "stop after this part and inspect the spindle bearings"
    if rule == "no_data":
        cause = "no answer on the bus: device off, cable, termination or address"
        action = "check the device's power and the cable"
    since = NOW - ago_ns
    return Alarm(asset, rule, "", priority, state, since, since, 4.62, sentence, cause, action)


def verdict(
    urgency: Urgency, rul_h: float | None, low_h: float | None, high_h: float | None, health: float, note: str = ""
) -> Verdict:
    reasons = (Reason("kurtosis", 0.6, "kurtosis is 2.1 times its healthy value"),) if rul_h is not None else ()
    known = health if rul_h is not None else None
    return Verdict("s", 0, "b", known, None, False, rul_h, low_h, high_h, urgency, reasons, 1.0, note)


ZONE_D = "Spindle 1 vibrates at 4.62 mm/s, above 4.5: damage is likely"
CRITICAL = verdict(Urgency.CRITICAL, 31.0, 18.0, 44.0, 22.0)
WARNING = verdict(Urgency.WARNING, 131.0, 98.0, 244.0, 58.0)
FINE = verdict(Urgency.NORMAL, 640.0, 410.0, 910.0, 91.0)
UNKNOWN = verdict(Urgency.UNKNOWN, None, None, None, 0.0, "not enough evidence: 12 of 60 windows")
LIFE = alarm("rul_critical", HIGH, UNACK, "Spindle 1 has about 31 running hours left (18 to 44)")
LIMIT = alarm("zone_d", HIGH, UNACK, ZONE_D)
SILENT = alarm("no_data", MEDIUM, UNACK, "Spindle 1 sends no data")
SHELVED = replace(alarm("zone_c", MEDIUM, UNACK, ZONE_D), held=Held.SHELVED, until_ns=NOW + 25 * MIN, by="mira")
OUT = replace(alarm("seal_temp", HIGH, UNACK, "Pump 1", asset="p"), held=Held.OUT_OF_SERVICE)
SUPPRESSED = replace(alarm("low_flow", LOW, ACK, "Pump 1", asset="p"), held=Held.SUPPRESSED)
SPEED = Advice("s", "speed 2700 rpm", "10 % slower adds 40 h of life until the stop on Sunday", 2)
DISK = Condition("disk", "97 % full", ok=False)
CLOCK = Condition("clock", "set by NTP", ok=True)
RECORD = TrackRecord("s", 7, 1, 1, 0.9, 52.0, "right 7 of 8, 1 false")


def state(
    alarms: Sequence[Alarm] = (),
    verdicts: Mapping[str, Verdict] | None = None,
    stale: Collection[str] = (),
    *,
    names: Mapping[str, str] = NAMES,
    uplink_up: bool | None = True,
    backlog: int = 0,
    advice: tuple[Advice, ...] = (),
    health: tuple[Condition, ...] = (),
    records: Mapping[str, TrackRecord] | None = None,
    age_s: float | None = None,
) -> PanelState:
    ages = dict.fromkeys(names, age_s) if age_s is not None else {}
    return PanelState(
        alarms, verdicts or {}, names, stale, uplink_up, backlog, 0.0, records=records or {}, at_ns=NOW, age_s=ages,
        advice=advice, health=health, gateway="hall-3",
    )  # fmt: skip


ALL_FINE = dict.fromkeys(NAMES, FINE)
SITUATIONS: dict[str, PanelState] = {
    "all normal": state((), ALL_FINE, age_s=1.4),
    "no alarms, one judged normal": state(verdicts={"s": FINE, "p": UNKNOWN}),
    "critical, unacknowledged": state([LIFE], {"s": CRITICAL}),
    "acknowledged": state([replace(LIMIT, state=ACK, by="panel")], ALL_FINE),
    "returned unseen": state([replace(LIMIT, state=RETURNED, sentence="Spindle 1: Vibration is back at 2.00 mm/s")]),
    "latched": state([replace(LIMIT, state=ACK, latched=True, first=True)], ALL_FINE),
    "warning": state(verdicts={"s": WARNING}),
    "silent": state([SILENT], stale={"s"}, age_s=95.0),
    "not heard yet": state(stale={"s"}),
    "silent and high": state([LIFE, SILENT], stale={"s"}),
    "held alone": state([SHELVED, OUT, SUPPRESSED], ALL_FINE),
    "advice": state([], ALL_FINE, advice=(SPEED,)),
    "uplink down": state(uplink_up=False, backlog=1240),
    "uplink down and critical": state([LIFE], {"s": CRITICAL}, uplink_up=False, backlog=123_456),
    "disk full": state([], ALL_FINE, health=(CLOCK, DISK)),
    "no uplink": state(uplink_up=None),
    "no assets": state(names={}),
}

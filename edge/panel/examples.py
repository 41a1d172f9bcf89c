"""Every kind of page once, of machines that are given: pictures for people who want to know what a panel shows, and
golden ones for tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edge.contract.types import Alarm, AlarmState, Held, Priority, Reason, Urgency, Verdict
from edge.panel.console import Console, stopped
from edge.panel.matters import Kind
from edge.panel.state import Advice, Condition, PanelState
from edge.ports import Button, Hold, PanelView, Press

MACHINES: Mapping[str, str] = {"spindle-1": "Spindle 1", "pump-1": "Pump 1", "extruder-2": "Extruder drive 2"}
_NOW_NS = 1_790_000_000 * 10**9
_MIN_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Example:
    """``words`` say what happened; of ``state`` the first page of this ``kind`` is shown, after ``presses``.

    ``line``: the first of its pages on which a line begins so.
    """

    name: str
    words: str
    state: PanelState | None
    kind: Kind | None = None
    presses: Sequence[Press] = ()
    trouble: tuple[str, ...] = ()
    line: str = ""


def examples(names: Mapping[str, str] = MACHINES) -> tuple[Example, ...]:
    """``names`` is of at least one machine, by id."""
    asset, name = next(iter(names.items()))
    fine = dict.fromkeys(names, _verdict(Urgency.NORMAL, 91.0, (640.0, 410.0, 910.0)))
    critical = {**fine, asset: _verdict(Urgency.CRITICAL, 22.0, (31.0, 18.0, 44.0))}
    warning = {**fine, asset: _verdict(Urgency.WARNING, 58.0, (131.0, 98.0, 244.0))}
    new = Alarm(
        asset, "zone_d", "vibration_mm_s", Priority.HIGH, AlarmState.UNACKNOWLEDGED, _NOW_NS - 12 * _MIN_NS, _NOW_NS,
        4.62, f"{name} vibrates at 4.62 mm/s, above 4.5: damage is likely", "worn bearing or imbalance",
        "stop after this part and inspect the bearings",
    )  # fmt: skip
    seen, back = replace(new, state=AlarmState.ACKNOWLEDGED), replace(new, state=AlarmState.RETURNED)
    silent = replace(
        new, rule="no_data", priority=Priority.MEDIUM, sentence=f"{name} sends no data",
        cause="no answer on the bus: device off, cable, termination or address", action="check power and cable",
    )  # fmt: skip
    shelved = replace(new, rule="zone_c", held=Held.SHELVED, until_ns=_NOW_NS + 25 * _MIN_NS)
    out = replace(new, rule="seal_temp", held=Held.OUT_OF_SERVICE)
    advice = Advice(asset, "speed 2700 rpm", "slower adds 40 h of life until the stop", 2)
    calm = PanelState((), fine, names, (), True, 0, 0.0, at_ns=_NOW_NS, age_s=dict.fromkeys(names, 1.0),
                      health=(Condition("clock", "set", ok=True),), gateway="gateway")  # fmt: skip
    latched = replace(seen, latched=True)
    full = (Condition("disk", "97 % full", ok=False),)
    acknowledge = Press(Button.ACKNOWLEDGE)
    return (
        Example("overview", "all is well", calm, Kind.OVERVIEW),
        Example("machine", "a machine that is well", calm, Kind.MACHINE),
        Example("alarm-new", "an alarm that nobody has acknowledged", replace(calm, alarms=[new]), Kind.ALARM),
        Example("alarm-do", "what to do about it", replace(calm, alarms=[new]), Kind.ALARM, line="Do:"),
        Example("alarm-seen", "an alarm that is acknowledged", replace(calm, alarms=[seen]), Kind.ALARM),
        Example("alarm-gone", "one that is gone, and nobody saw it", replace(calm, alarms=[back]), Kind.ALARM),
        Example("alarm-latched", "one that is gone and waits for its reset",
                replace(calm, alarms=[latched]), Kind.ALARM),
        Example("alarm-reset", "how it is reset", replace(calm, alarms=[latched]), Kind.ALARM, line="hold ACK"),
        Example("reset-held", "the acknowledge button has been held for two seconds on it",
                replace(calm, alarms=[latched]), Kind.ALARM, (replace(acknowledge, hold=Hold.DOWN),)),
        Example("acknowledged", "the acknowledge button was pressed", replace(calm, alarms=[new]), Kind.ALARM,
                (acknowledge,)),
        Example("acknowledge-all", "it has been held for two seconds", replace(calm, alarms=[new]), Kind.ALARM,
                (replace(acknowledge, hold=Hold.DOWN),)),
        Example("warning", "a machine whose life is running out", replace(calm, verdicts=warning), Kind.MACHINE),
        Example("critical", "a machine near its end", replace(calm, verdicts=critical), Kind.MACHINE),
        Example("no-data", "data of a machine have stopped", replace(calm, alarms=[silent], stale=[asset]), Kind.ALARM),
        Example("not-heard", "a machine that was not heard yet", replace(calm, stale=[asset], age_s={}), Kind.SILENCE),
        Example("advice", "a setpoint waits for two people", replace(calm, advice=(advice,)), Kind.ADVICE),
        Example("uplink", "the cable to the cloud is cut",
                replace(calm, uplink_up=False, backlog_readings=1240), Kind.TROUBLE),
        Example("disk", "the gateway's disk is full", replace(calm, health=full), Kind.TROUBLE),
        Example("stuck", "a button is stuck", calm, Kind.TROUBLE, trouble=("ack button stuck",)),
        Example("gateway", "how the gateway is", calm, Kind.GATEWAY),
        Example("held", "alarms that people hold back", replace(calm, alarms=[shelved, out]), Kind.HELD),
        Example("lamp-test", "all that it has, for five seconds", calm, Kind.OVERVIEW, (Press(Button.TEST),)),
        Example("lost", "the gateway does not answer", None),
        Example("stopped", "the gateway was stopped", None),
    )  # fmt: skip


def views(display: str, names: Mapping[str, str] = MACHINES) -> Iterator[tuple[Example, PanelView]]:
    """Each example on a display of this kind."""
    for example in examples(names):
        yield example, stopped(display) if example.name == "stopped" else _view(example, display)


def _view(example: Example, display: str) -> PanelView:
    console = Console(display)
    view = console.view(example.state, 0.0, trouble=example.trouble, silent_s=12.0)
    while example.kind is not None and not _is_shown(example, console, view):
        console.press(Press(Button.PAGE), 0.0)
        view = console.view(example.state, 0.0, trouble=example.trouble)
    for press in example.presses:
        console.press(press, 1.0)
    return console.view(example.state, 1.0, trouble=example.trouble, silent_s=12.0)


def _is_shown(example: Example, console: Console, view: PanelView) -> bool:
    return console.kind is example.kind and (
        not example.line or any(line.startswith(example.line) for line in view.lines)
    )


def _verdict(urgency: Urgency, health: float, life: tuple[float, float, float]) -> Verdict:
    reasons = () if urgency is Urgency.NORMAL else (Reason("kurtosis", 0.6, "kurtosis is 2.1 times its healthy value"),)
    return Verdict("", 0, "b", health, None, False, *life, urgency, reasons, 1.0)

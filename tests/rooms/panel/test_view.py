"""What lamps and display say, situation by situation, on both sizes of display."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.desired import TrackRecord
from edge.contract.types import Alarm, AlarmState, Priority, Reason, Urgency, Verdict
from edge.panel import PanelState, compose, lamps, stopped
from edge.panel.displays import characters
from edge.panel.lamps import Lamps
from edge.panel.view import PAGE_S
from edge.ports import Pattern

NAMES = {"s": "Spindle 1", "p": "Pump 1", "e": "Extruder drive 2"}
UNACK, ACK, RETURNED = AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED, AlarmState.RETURNED


def alarm(
    rule: str, priority: Priority, state: AlarmState, sentence: str, *, asset: str = "s", since: int = 0
) -> Alarm:
    cause, action = "", "stop after this part and inspect the spindle bearings"
    if rule == "no_data":
        cause = "no answer on the bus: device off, cable, termination or address"
        action = "check the device's power and the cable"
    return Alarm(asset, rule, "", priority, state, since, since, 4.62, sentence, cause, action)


def verdict(
    urgency: Urgency, rul_h: float | None, low_h: float | None, high_h: float | None, note: str = ""
) -> Verdict:
    reasons = (Reason("kurtosis", 0.6, "kurtosis is 2.1 times its healthy value"),) if rul_h is not None else ()
    health = 64.0 if rul_h is not None else None
    return Verdict("s", 0, "b", health, None, False, rul_h, low_h, high_h, urgency, reasons, 1.0, note)


ZONE_D = "Spindle 1 vibrates at 4.62 mm/s, above 4.5: damage is likely"
CRITICAL = verdict(Urgency.CRITICAL, 31.0, 18.0, 44.0)
WARNING = verdict(Urgency.WARNING, 131.0, 98.0, 244.0)
FINE = verdict(Urgency.NORMAL, 640.0, 410.0, 910.0)
UNKNOWN = verdict(Urgency.UNKNOWN, None, None, None, "not enough evidence: 12 of 60 windows")
LIFE = alarm("rul_critical", Priority.HIGH, UNACK, "Spindle 1 has about 31 running hours left (18 to 44)")
SILENT = alarm("no_data", Priority.MEDIUM, UNACK, "Spindle 1 sends no data")


def state(
    alarms: Sequence[Alarm] = (),
    verdicts: Mapping[str, Verdict] | None = None,
    stale: Collection[str] = (),
    *,
    names: Mapping[str, str] = NAMES,
    uplink_up: bool | None = True,
    backlog: int = 0,
    elapsed_s: float = 0.0,
    hint: str = "",
) -> PanelState:
    return PanelState(alarms, verdicts or {}, names, stale, uplink_up, backlog, elapsed_s, hint)


SITUATIONS: dict[str, PanelState] = {
    "all normal": state((), dict.fromkeys(NAMES, FINE)),
    "no alarms, one judged normal": state(verdicts={"s": FINE, "p": UNKNOWN}),
    "critical, unacknowledged": state([LIFE], {"s": CRITICAL}),
    "limit and verdict": state([alarm("zone_d", Priority.HIGH, ACK, ZONE_D)], {"s": CRITICAL}),
    "limit without inference": state([alarm("zone_d", Priority.HIGH, UNACK, ZONE_D)]),
    "warning": state(verdicts={"s": WARNING}),
    "silent": state([SILENT], stale={"s"}),
    "not heard yet": state(stale={"s"}),
    "returned unseen": state([alarm("zone_d", Priority.HIGH, RETURNED, "Spindle 1: Vibration is back at 2.00 mm/s")]),
    "uplink down": state(uplink_up=False, backlog=1240),
    "uplink down and critical": state([LIFE], {"s": CRITICAL}, uplink_up=False, backlog=123_456),
    "no uplink": state(uplink_up=None),
    "with a button": state([LIFE], {"s": CRITICAL}, hint="ack: button"),
    "no assets": state(names={}),
}

# green, amber, red, blue
LAMPS = {
    "all normal": "on off off off",
    "no alarms, one judged normal": "on off off off",
    "critical, unacknowledged": "off off fast slow",
    "limit and verdict": "off off on off",
    "limit without inference": "off off fast slow",
    "warning": "off on off off",
    "silent": "off double off slow",
    "not heard yet": "off double off off",
    "returned unseen": "off off slow slow",
    "uplink down": "on flash off off",
    "uplink down and critical": "off flash fast slow",
    "no uplink": "on off off off",
    "with a button": "off off fast slow",
    "no assets": "off off off off",
}

WIDE = {
    "all normal": """
|ALL NORMAL    3/3 OK|uplink ok           |                    |                    |
|SPINDLE 1     NORMAL|RUL 640h (410-910)  |kurtosis 2.1x normal|                    |
|PUMP 1        NORMAL|RUL 640h (410-910)  |kurtosis 2.1x normal|                    |
|EXTRUDER DRIVE 2  OK|RUL 640h (410-910)  |kurtosis 2.1x normal|                    |
""",
    "no alarms, one judged normal": """
|NO ALARMS 1/3 judged|uplink ok           |                    |                    |
|SPINDLE 1     NORMAL|RUL 640h (410-910)  |kurtosis 2.1x normal|                    |
|PUMP 1      UNJUDGED|not enough evidence:|12 of 60 windows    |                    |
|EXTRUDER DRIVE 2   ?|no verdict yet      |                    |                    |
""",
    "critical, unacknowledged": """
|SPINDLE 1   CRITICAL|RUL 31h (18-44)     |kurtosis 2.1x normal|                    |
|SPINDLE 1   CRITICAL|stop after this part|and inspect the     |spindle bearings    |
""",
    "limit and verdict": """
|SPINDLE 1   CRITICAL|RUL 31h (18-44)     |kurtosis 2.1x normal|                    |
|SPINDLE 1   CRITICAL|vibrates at 4.62    |mm/s, above 4.5:    |damage is likely    |
|SPINDLE 1   CRITICAL|stop after this part|and inspect the     |spindle bearings    |
""",
    "limit without inference": """
|SPINDLE 1   CRITICAL|vibrates at 4.62    |mm/s, above 4.5:    |damage is likely    |
|SPINDLE 1   CRITICAL|stop after this part|and inspect the     |spindle bearings    |
""",
    "warning": """
|SPINDLE 1    WARNING|RUL 131h (98-244)   |kurtosis 2.1x normal|                    |
""",
    "silent": """
|SPINDLE 1    NO DATA|no answer on the    |bus: device off,    |cable, termination..|
|SPINDLE 1    NO DATA|check the device's  |power and the cable |                    |
""",
    "not heard yet": """
|SPINDLE 1    NO DATA|waiting for data    |                    |                    |
""",
    "returned unseen": """
|SPINDLE 1   RETURNED|Vibration is back at|2.00 mm/s           |                    |
""",
    "uplink down": """
|UPLINK DOWN 1240 rdg|kept in the gateway |                    |                    |
|NO ALARMS 0/3 judged|uplink down         |                    |                    |
|SPINDLE 1   UNJUDGED|no verdict yet      |                    |                    |
|PUMP 1      UNJUDGED|no verdict yet      |                    |                    |
|EXTRUDER DRIVE 2   ?|no verdict yet      |                    |                    |
""",
    "uplink down and critical": """
|SPINDLE 1   CRITICAL|RUL 31h (18-44)     |kurtosis 2.1x normal|                    |
|SPINDLE 1   CRITICAL|stop after this part|and inspect the     |spindle bearings    |
|UPLINK DOWN 123k rdg|kept in the gateway |                    |                    |
""",
    "no uplink": """
|NO ALARMS 0/3 judged|no uplink           |                    |                    |
|SPINDLE 1   UNJUDGED|no verdict yet      |                    |                    |
|PUMP 1      UNJUDGED|no verdict yet      |                    |                    |
|EXTRUDER DRIVE 2   ?|no verdict yet      |                    |                    |
""",
    "with a button": """
|SPINDLE 1   CRITICAL|RUL 31h (18-44)     |kurtosis 2.1x normal|                    |
|SPINDLE 1   CRITICAL|stop after this part|and inspect the     |spindle bearings    |
|SPINDLE 1   CRITICAL|ack: button         |                    |                    |
""",
    "no assets": """
|NO ASSETS           |                    |                    |                    |
""",
}

NARROW = {
    "all normal": """
|ALL NORMAL  3 OK|uplink ok       |
|SPINDLE 1 NORMAL|RUL 640h 410-910|
|SPINDLE 1 NORMAL|kurtosis 2.1x   |
|SPINDLE 1 NORMAL|normal          |
|PUMP 1    NORMAL|RUL 640h 410-910|
|PUMP 1    NORMAL|kurtosis 2.1x   |
|PUMP 1    NORMAL|normal          |
|EXTRUDER DR 2 OK|RUL 640h 410-910|
|EXTRUDER DR 2 OK|kurtosis 2.1x   |
|EXTRUDER DR 2 OK|normal          |
""",
    "no alarms, one judged normal": """
|NO ALARMS    1/3|uplink ok       |
|SPINDLE 1 NORMAL|RUL 640h 410-910|
|SPINDLE 1 NORMAL|kurtosis 2.1x   |
|SPINDLE 1 NORMAL|normal          |
|PUMP 1  UNJUDGED|not enough      |
|PUMP 1  UNJUDGED|evidence: 12 of |
|PUMP 1  UNJUDGED|60 windows      |
|EXTRUDER DRI 2 ?|no verdict yet  |
""",
    "critical, unacknowledged": """
|SPINDLE 1   CRIT|RUL 31h (18-44) |
|SPINDLE 1   CRIT|kurtosis 2.1x   |
|SPINDLE 1   CRIT|normal          |
|SPINDLE 1   CRIT|stop after this |
|SPINDLE 1   CRIT|part and inspect|
|SPINDLE 1   CRIT|the spindle..   |
""",
    "limit and verdict": """
|SPINDLE 1   CRIT|RUL 31h (18-44) |
|SPINDLE 1   CRIT|kurtosis 2.1x   |
|SPINDLE 1   CRIT|normal          |
|SPINDLE 1   CRIT|vibrates at 4.62|
|SPINDLE 1   CRIT|mm/s, above 4.5:|
|SPINDLE 1   CRIT|damage is likely|
|SPINDLE 1   CRIT|stop after this |
|SPINDLE 1   CRIT|part and inspect|
|SPINDLE 1   CRIT|the spindle..   |
""",
    "limit without inference": """
|SPINDLE 1   CRIT|vibrates at 4.62|
|SPINDLE 1   CRIT|mm/s, above 4.5:|
|SPINDLE 1   CRIT|damage is likely|
|SPINDLE 1   CRIT|stop after this |
|SPINDLE 1   CRIT|part and inspect|
|SPINDLE 1   CRIT|the spindle..   |
""",
    "warning": """
|SPINDLE 1   WARN|RUL 131h 98-244 |
|SPINDLE 1   WARN|kurtosis 2.1x   |
|SPINDLE 1   WARN|normal          |
""",
    "silent": """
|SPINDLE 1 NODATA|no answer on the|
|SPINDLE 1 NODATA|bus: device off,|
|SPINDLE 1 NODATA|cable..         |
|SPINDLE 1 NODATA|check the       |
|SPINDLE 1 NODATA|device's power  |
|SPINDLE 1 NODATA|and the cable   |
""",
    "not heard yet": """
|SPINDLE 1 NODATA|waiting for data|
""",
    "returned unseen": """
|SPINDLE 1    RTN|Vibration is    |
|SPINDLE 1    RTN|back at 2.00    |
|SPINDLE 1    RTN|mm/s            |
""",
    "uplink down": """
|UPLINK DOWN     |1240 rdg kept   |
|NO ALARMS    0/3|uplink down     |
|SPINDLE 1      ?|no verdict yet  |
|PUMP 1  UNJUDGED|no verdict yet  |
|EXTRUDER DRI 2 ?|no verdict yet  |
""",
    "uplink down and critical": """
|SPINDLE 1   CRIT|RUL 31h (18-44) |
|SPINDLE 1   CRIT|kurtosis 2.1x   |
|SPINDLE 1   CRIT|normal          |
|SPINDLE 1   CRIT|stop after this |
|SPINDLE 1   CRIT|part and inspect|
|SPINDLE 1   CRIT|the spindle..   |
|UPLINK DOWN     |123k rdg kept   |
""",
    "no uplink": """
|NO ALARMS    0/3|no uplink       |
|SPINDLE 1      ?|no verdict yet  |
|PUMP 1  UNJUDGED|no verdict yet  |
|EXTRUDER DRI 2 ?|no verdict yet  |
""",
    "with a button": """
|SPINDLE 1   CRIT|RUL 31h (18-44) |
|SPINDLE 1   CRIT|kurtosis 2.1x   |
|SPINDLE 1   CRIT|normal          |
|SPINDLE 1   CRIT|stop after this |
|SPINDLE 1   CRIT|part and inspect|
|SPINDLE 1   CRIT|the spindle..   |
|SPINDLE 1   CRIT|ack: button     |
""",
    "no assets": """
|NO ASSETS       |                |
""",
}


def pages(situation: PanelState, columns: int, rows: int) -> list[tuple[str, ...]]:
    """Every page in its turn, until the first comes again."""
    seen: list[tuple[str, ...]] = []
    for i in range(100):
        turned = PanelState(
            situation.alarms, situation.verdicts, situation.names, situation.stale, situation.uplink_up,
            situation.backlog_readings, i * PAGE_S + 0.01, situation.acknowledge_hint,
        )  # fmt: skip
        lines = compose(turned, f"{columns}x{rows}").lines
        if seen and lines == seen[0]:
            return seen
        seen.append(lines)
    raise AssertionError("the pages never begin anew")


def drawn(shown: Sequence[tuple[str, ...]]) -> str:
    return "\n" + "\n".join("|" + "|".join(lines) + "|" for lines in shown) + "\n"


def shown(situation: PanelState) -> str:
    lit = lamps(situation)
    return f"{lit.green} {lit.amber} {lit.red} {lit.blue}"


@pytest.mark.parametrize("name", SITUATIONS)
def test_lamps(name: str) -> None:
    assert shown(SITUATIONS[name]) == LAMPS[name]


@pytest.mark.parametrize("name", SITUATIONS)
def test_twenty_by_four(name: str) -> None:
    assert drawn(pages(SITUATIONS[name], 20, 4)) == WIDE[name]


@pytest.mark.parametrize("name", SITUATIONS)
def test_sixteen_by_two(name: str) -> None:
    assert drawn(pages(SITUATIONS[name], 16, 2)) == NARROW[name]


def test_a_machine_that_the_gateway_cannot_see_is_never_green() -> None:
    for asset in NAMES:
        assert lamps(state(verdicts={"s": FINE}, stale={asset})) == Lamps(amber=Pattern.DOUBLE)


def test_an_old_verdict_of_a_silent_machine_lights_nothing() -> None:
    view = compose(state([SILENT], {"s": CRITICAL}, stale={"s"}), "20x4")
    assert view.red == "off"
    assert "NO DATA" in view.lines[0]


def test_a_standing_high_alarm_of_a_silent_machine_keeps_the_red_lamp() -> None:
    situation = state([LIFE, SILENT], stale={"s"})
    assert shown(situation) == "off double fast slow"
    assert [page[0] for page in pages(situation, 20, 4)] == [
        "SPINDLE 1   CRITICAL",
        "SPINDLE 1   CRITICAL",
        "SPINDLE 1    NO DATA",
        "SPINDLE 1    NO DATA",
    ]


def test_the_worst_comes_first() -> None:
    pump = alarm("zone_c", Priority.MEDIUM, UNACK, "Pump 1 vibrates", asset="p")
    extruder = alarm("zone_d", Priority.HIGH, UNACK, "Extruder drive 2 vibrates", asset="e")
    headings = [page[0] for page in pages(state([pump, extruder]), 20, 4)]
    assert headings == ["EXTRUDER DRIV 2 CRIT"] * 2 + ["PUMP 1       WARNING"] * 2


def test_a_stopped_gateway_shows_no_light() -> None:
    view = stopped("16x2")
    assert (view.green, view.amber, view.red) == ("off", "off", "off")
    assert view.lines == ("GATEWAY STOPPED ", "not watching    ")


Alarms = st.lists(
    st.builds(
        Alarm,
        asset=st.sampled_from(list(NAMES)),
        rule=st.sampled_from(["zone_c", "no_data", "rul_critical", "anomaly"]),
        tag=st.just("t"),
        priority=st.sampled_from(list(Priority)),
        state=st.sampled_from([UNACK, ACK, RETURNED]),
        since_ns=st.integers(0, 10),
        at_ns=st.just(0),
        value=st.none() | st.floats(0, 10),
        sentence=st.text(max_size=60),
        cause=st.text(max_size=60),
        action=st.text(max_size=60),
    ),
    max_size=6,
)


@given(
    alarms=Alarms,
    verdicts=st.dictionaries(st.sampled_from(list(NAMES)), st.sampled_from([FINE, WARNING, CRITICAL, UNKNOWN])),
    stale=st.frozensets(st.sampled_from(list(NAMES))),
    uplink_up=st.sampled_from([True, False, None]),
    backlog=st.integers(0, 10**13),
    elapsed_s=st.floats(0, 1e9),
    display=st.sampled_from(["16x2", "20x4"]),
)
def test_in_no_situation_does_the_panel_lie_or_break(
    alarms: list[Alarm],
    verdicts: dict[str, Verdict],
    stale: frozenset[str],
    uplink_up: bool | None,
    backlog: int,
    elapsed_s: float,
    display: str,
) -> None:
    columns, rows = characters(display)
    situation = state(alarms, verdicts, stale, uplink_up=uplink_up, backlog=backlog, elapsed_s=elapsed_s)
    view = compose(situation, display)
    assert len(view.lines) == rows
    assert all(len(line) == columns and line.isascii() and line.isprintable() for line in view.lines)
    assert view.green in (Pattern.OFF, Pattern.ON), "green never blinks"
    if view.green is Pattern.ON:
        assert not alarms
        assert not stale
        assert all(v.urgency.rank < Urgency.WARNING.rank for v in verdicts.values())
    if any(a.priority is Priority.HIGH and a.state is UNACK for a in alarms):
        assert view.red is Pattern.FAST
        assert view.blue is Pattern.SLOW
        assert view.buzzer is Pattern.DOUBLE
    if stale:
        assert view.amber is Pattern.DOUBLE


@pytest.mark.parametrize(("columns", "line"), [(20, "stop 120h 7% fail"), (16, "7% fail by stop")])
def test_the_risk_until_the_planned_stop_has_a_line(columns: int, line: str) -> None:
    told = replace(FINE, stop_h=120.0, failure_p=0.07, basis="bundle")
    shown = {text.rstrip() for at_s in range(60) for text in view_lines(told, columns, at_s)}
    assert line in shown


def test_a_life_by_papers_is_called_one_by_age() -> None:
    told = replace(FINE, urgency=Urgency.UNKNOWN, basis="prior")
    shown = {text.rstrip() for at_s in range(60) for text in view_lines(told, 20, at_s)}
    assert "by age 640h 410-910" in shown


def view_lines(told: Verdict, columns: int, at_s: int) -> tuple[str, ...]:
    return compose(
        state(verdicts={"s": told}, elapsed_s=float(at_s)), f"{columns}x4" if columns == 20 else "16x2"
    ).lines


@pytest.mark.parametrize(
    ("counts", "columns", "line"),
    [
        ((7, 1, 1), 20, "right 7/8, 1 false"),
        ((7, 1, 1), 16, "right 7/8"),
        ((0, 0, 3), 20, "3 false"),
    ],
)
def test_how_often_it_was_right_stands_in_a_line(counts: tuple[int, int, int], columns: int, line: str) -> None:
    hits, misses, false = counts
    words = f"right {hits} of {hits + misses}, {false} false" if hits else "no failure yet, 3 false"
    record = TrackRecord("s", hits, misses, false, 0.9, 52.0, words)
    for verdicts in ({"s": FINE}, {"s": CRITICAL}):
        told = [
            compose(
                PanelState((), verdicts, {"s": "Spindle 1"}, (), True, 0, page * PAGE_S, records={"s": record}),
                "20x4" if columns == 20 else "16x2",
            ).lines
            for page in range(9)
        ]  # fmt: skip
        assert any(line in shown.rstrip() for lines in told for shown in lines), told

"""The doctor: one rule an illness, and a line that is well has none."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.doctor import _shown
from edge.commission.doctor import findings
from edge.commission.line_facts import LineFacts, Polls, UnitFacts, facts
from edge.commission.plan import plan
from edge.line_counts import UnitCounts

SERIAL = {"kind": "modbus-rtu", "name": "bus", "device": "/dev/ttyUSB0", "baud": 9600, "parity": "E", "stop_bits": 1,
          "timeout_ms": 300}  # fmt: skip
POLLS = Polls(100)
TCP = {"kind": "modbus-tcp", "name": "hall", "host": "10.0.0.7", "port": 502, "timeout_ms": 500}


def answered(times: int, *, ms: float = 20.0, length: int = 25) -> UnitCounts:
    counts = UnitCounts()
    for _ in range(times):
        counts.count("", busy_ns=round(ms * 1e6), sent_bytes=8, heard_bytes=length)
    return counts


def with_(
    counts: UnitCounts, fault: Any, times: int, *, length: int = 25, ms: float = 20.0, code: int = 0
) -> UnitCounts:
    for _ in range(times):
        counts.count(fault, busy_ns=round(ms * 1e6), sent_bytes=8, heard_bytes=length, code=code)
    return counts


def line(
    *counts: UnitCounts, of: dict[str, Any] = SERIAL, polls: Polls = POLLS, window_s: float = 100.0, reconnects: int = 0
) -> LineFacts:
    units = tuple(UnitFacts(n, (f"m{n}",), 1000, polls, c) for n, c in enumerate(counts, start=1))
    return LineFacts(of["name"], of, window_s, True, reconnects, units)


def named(facts: LineFacts) -> list[tuple[str, int | None]]:
    return [(finding.illness, finding.unit) for finding in findings(facts)]


def healthy() -> UnitCounts:
    return answered(100)


def silent_unit() -> UnitCounts:
    return with_(UnitCounts(), "timeout", 20, ms=300)


def refused(code: int) -> UnitCounts:
    return with_(UnitCounts(), "refused", 50, code=code)


def noisy() -> UnitCounts:
    """One byte in 500 is spoilt: 2 % of the short answers, 27 % of the long ones."""
    counts = with_(with_(UnitCounts(), "", 98, length=9), "crc", 2, length=9)
    return with_(with_(counts, "", 73, length=125), "crc", 27, length=125)


def duplicate() -> UnitCounts:
    counts = with_(with_(UnitCounts(), "", 50, length=9), "crc", 50, length=9)
    return with_(with_(counts, "", 45, length=125), "crc", 55, length=125)


def late() -> UnitCounts:
    counts = with_(UnitCounts(), "timeout", 20, ms=300)
    counts.late = 18
    return counts


def doubled() -> UnitCounts:
    counts = healthy()
    counts.doubles = 40
    return counts


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (line(healthy(), healthy()), []),
        (line(healthy(), healthy(), of=TCP), []),
        (line(UnitCounts()), []),
        (line(silent_unit(), silent_unit()), [("all_silent", None)]),
        (line(silent_unit(), silent_unit(), of=TCP), [("all_silent", None)]),
        (line(healthy(), silent_unit()), [("one_silent", 2)]),
        (line(silent_unit()), [("one_silent", 1)]),
        (line(healthy(), refused(11), of=TCP), [("one_silent", 2)]),
        (line(*[with_(UnitCounts(), "noise", 20, ms=300) for _ in "ab"]), [("settings", None)]),
        (line(with_(UnitCounts(), "crc", 20)), [("settings", None)]),
        (line(with_(UnitCounts(), "line", 20), of=TCP), [("line_down", None)]),
        (line(with_(UnitCounts(), "line", 20)), [("line_down", None)]),
        (line(healthy(), of=TCP, reconnects=7), [("line_breaks_off", None)]),
        (line(late(), healthy()), [("timeout_too_short", 1)]),
        (line(late(), with_(healthy(), "foreign", 10)), [("timeout_too_short", 1)]),
        (line(doubled(), healthy()), [("duplicate", 1)]),
        (line(duplicate(), healthy()), [("duplicate", 1)]),
        (line(duplicate(), duplicate()), [("garbled", None)]),
        (line(noisy(), noisy()), [("noise", None)]),
        (line(noisy(), healthy()), [("noise", 1)]),
        (line(with_(healthy(), "foreign", 10)), [("foreign", 1)]),
        (line(with_(healthy(), "mismatch", 10)), [("foreign", 1)]),
        (line(refused(2), healthy()), [("register_map", 1)]),
        (line(with_(healthy(), "refused", 20, code=6)), [("device_trouble", 1)]),
        (line(with_(healthy(), "timeout", 10, ms=300)), [("loses_answers", 1)]),
        (line(answered(450, ms=220), polls=Polls(900, overruns=450)), [("too_full", None)]),
        (line(answered(450, ms=200)), [("nearly_full", None)]),
    ],
)
def test_each_illness_is_named(facts: LineFacts, expected: list[tuple[str, int | None]]) -> None:
    assert named(facts) == expected


def test_a_unit_that_the_breaker_leaves_alone_is_silent_though_it_was_asked_once_only() -> None:
    dead = UnitFacts(2, ("m2",), 1000, Polls(60, 60, 0, 59), with_(UnitCounts(), "timeout", 1, ms=300))
    alive = UnitFacts(1, ("m1",), 1000, Polls(60), healthy())
    assert named(LineFacts("bus", SERIAL, 60.0, True, 0, (alive, dead))) == [("one_silent", 2)]


@pytest.mark.parametrize("of", [SERIAL, TCP])
@pytest.mark.parametrize("units", [1, 2])
def test_of_units_that_nothing_could_be_sent_to_it_is_not_said_that_they_are_silent(
    of: dict[str, Any], units: int
) -> None:
    unsent = [with_(UnitCounts(), "line", 3)] * units
    assert named(line(*unsent, of=of, polls=Polls(60, 60, 0, 57))) == [("line_down", None)]


def test_devices_that_should_speak_by_themselves() -> None:
    def listened(*failures: int) -> LineFacts:
        units = tuple(
            UnitFacts(1, (f"m{n}",), 1000, Polls(50, failed), UnitCounts(), "nothing came within 1 s" if failed else "")
            for n, failed in enumerate(failures)
        )
        return LineFacts("plant", {"kind": "mqtt", "name": "plant"}, 50.0, False, 0, units)

    assert findings(listened(0, 3)) == []
    [one] = findings(listened(0, 50))
    assert one.saw == "m1: nothing good in 50 periods; nothing came within 1 s"
    [all_of_them] = findings(listened(50, 50))
    assert all_of_them.likely.startswith("the line itself")


def test_looks_are_added_up_by_device_and_taken_from_each_other() -> None:
    def row(asset: str, polls: int, failures: int) -> dict[str, Any]:
        return {"asset": asset, "unit": 1, "polls": polls, "failures": failures, "overruns": 0, "left_alone": 0,
                "period_ms": 500.0, "detail": ""}  # fmt: skip

    def look(uptime_s: float, scale: int) -> dict[str, Any]:
        counts = {"reconnects": scale, "units": {"1": asdict(answered(10 * scale))}}
        asked = {"line": SERIAL, "counts": counts, "units": [row("a", 6 * scale, 0), row("a", 4 * scale, scale)]}
        heard = {"line": {"name": "mqtt"}, "counts": None, "units": [row("b", scale, 0), row("c", 2 * scale, 0)]}
        return {"uptime_s": uptime_s, "stood_still_s": 2.0 * scale, "lines": [asked, heard]}

    since_start = facts(json.loads(json.dumps(look(100.0, 1))))
    window = facts(json.loads(json.dumps(look(130.0, 3))), json.loads(json.dumps(look(100.0, 1))))
    assert [(unit.assets, unit.polls.due, unit.counts.replies) for unit in since_start[0].units] == [(("a",), 10, 10)]
    assert [(unit.assets, unit.polls.due) for unit in since_start[1].units] == [(("b",), 1), (("c",), 2)]
    assert (window[0].window_s, window[0].reconnects, window[0].stood_still_s) == (30.0, 2, 4.0)
    [formerly] = facts({**look(100.0, 1), "stood_still_s": 7.0}, {"uptime_s": 90.0, "lines": []})[:1]
    assert formerly.stood_still_s == 7.0
    [unit] = window[0].units
    assert (unit.polls, unit.counts.replies) == (Polls(20, 2), 20)


def test_a_finding_says_what_it_saw_the_likely_cause_and_what_to_try() -> None:
    [finding] = findings(line(late(), healthy()))
    assert finding.saw == "unit 1 (m1): 18 answers came after they were given up (20 timeouts)"
    assert finding.likely == "it needs longer than 300 ms"
    assert finding.advice == "timeout_ms = 600: 2 x 300 ms, since it answers later than that; then look again"


@pytest.mark.parametrize(("of", "faster"), [(SERIAL, ", a higher baud rate"), (TCP, "")])
def test_what_is_tried_on_a_full_line_is_something_that_it_has(of: dict[str, Any], faster: str) -> None:
    [finding] = findings(line(answered(450, ms=220), polls=Polls(900, overruns=450), of=of))
    assert finding.saw == "450 of 900 polls had no time; the line was taken up for 99 % of it"
    assert finding.advice == f"longer periods, fewer registers{faster}"


def test_a_line_with_room_whose_polls_had_no_time_is_not_to_blame() -> None:
    [finding] = findings(line(answered(450, ms=20), polls=Polls(900, overruns=450)))
    assert "answers slowly" in finding.likely
    assert "baud" not in finding.advice


@pytest.mark.parametrize(("stood_still_s", "illness"), [(0.5, "too_full"), (20.0, "no_time")])
def test_polls_that_had_no_time_while_the_gateway_stood_still_are_no_fault_of_the_line(
    stood_still_s: float, illness: str
) -> None:
    """A question that was open meanwhile took up the line for as long as that: 29 s of 100 here, 20 of them so."""
    facts = replace(line(answered(450, ms=65), polls=Polls(900, overruns=45)), stood_still_s=stood_still_s)
    [finding] = findings(facts)
    assert (finding.illness, finding.unit) == (illness, None)
    if illness == "no_time":
        assert finding.saw.startswith("45 of 900 polls had no time, and the gateway itself stood still for 20.0 s")
        assert "`babbitt gateway health`" in finding.advice


def test_a_line_that_is_too_full_is_so_also_where_the_gateway_stood_still() -> None:
    full = line(answered(450, ms=220), polls=Polls(900, overruns=450))
    assert named(replace(full, stood_still_s=30.0)) == [("too_full", None)]


def test_the_timeout_is_reckoned_from_the_answers_and_the_wire() -> None:
    # 20 registers at 9600 baud, 8E1: 8 + 45 bytes of 11 bits are 60.7 ms, two silences of 3.5 characters 8.0 ms.
    found = plan(line(answered(100, ms=400, length=45), of={**SERIAL, "timeout_ms": 200}, window_s=1000))
    assert found.timeout_ms == pytest.approx(1.5 * (400 - 68.7), rel=0.1)
    assert "68.8 ms on the wire" in found.notes[0]
    wasteful = plan(line(answered(100, ms=20), silent_unit(), of={**TCP, "timeout_ms": 1000}, window_s=1000))
    assert wasteful.timeout_ms == 50
    assert "20 timeouts were waited for" in wasteful.notes[1]
    assert plan(line(healthy(), of=TCP)).timeout_ms is None


def test_a_line_that_is_too_full_gets_a_baud_rate_and_periods_at_which_there_is_room() -> None:
    # Each question takes 100 ms, of which 68.8 ms on the wire: ten a second are due, so the line is full.
    found = plan(line(answered(1000, ms=100, length=45), polls=Polls(1000)))
    assert found.stretch == pytest.approx(1.7)
    assert found.baud == 38400  # own 31 % + 69 % x 9600/38400 = 48 %; at 19200 it would be 66 %
    assert any("10.00 polls/s x 1.0 questions x 100.0 ms = 100%" in note for note in found.notes)


COUNTS = st.lists(
    st.tuples(
        st.sampled_from(["", "refused", "timeout", "noise", "crc", "mismatch", "foreign", "line"]),
        st.integers(0, 60), st.integers(5, 256), st.integers(0, 255),
    ), max_size=6,
)  # fmt: skip


@given(st.lists(COUNTS, max_size=4), st.sampled_from([SERIAL, TCP]), st.integers(0, 500), st.integers(0, 500))
def test_no_counts_are_too_strange(
    units: list[list[tuple[str, int, int, int]]], of: dict[str, Any], due: int, over: int
) -> None:
    made = []
    for ends in units:
        counts = UnitCounts()
        for fault, times, length, code in ends:
            with_(counts, fault, times, length=length, code=code)
        made.append(counts)
    facts = line(*made, of=of, polls=Polls(due, overruns=min(due, over)))
    for finding in findings(facts):
        assert finding.saw
        assert finding.likely
        assert finding.advice
    assert plan(facts).stretch is None or plan(facts).stretch > 1  # type: ignore[operator]


def test_of_a_line_that_is_not_open_no_poll_was_in_time() -> None:
    open_line = line(UnitCounts(), polls=Polls(60, 60))
    shut = replace(open_line, shut={"where": "/dev/ttyUSB0", "problem": "no such device", "hint": "is it plugged in?"})
    for one, met in ((open_line, "100.0%"), (shut, "–")):
        row = next(words for words in _shown(one, findings(one), plan(one)) if "m1" in words)
        assert row.split()[3] == met

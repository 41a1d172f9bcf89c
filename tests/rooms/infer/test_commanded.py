"""A speed that somebody asked for: what is not known there is not judged, and what happens by itself stays evidence."""

from __future__ import annotations

import pytest

from edge.contract.types import Urgency, Verdict
from edge.features.tracker import number
from edge.infer.commanded import Commanded
from tests.rooms.infer.machines import Watched, batch, judge, watched

SETPOINT = "speed_setpoint_rpm"
S = 10**9


def run(seen: Watched, hours: float) -> list[Verdict]:
    return list(seen.verdicts(until_h=seen.machine.hour_meter_h + hours))


def ask(seen: Watched, rpm: float) -> None:
    assert seen.machine.take({SETPOINT: rpm})


@pytest.mark.parametrize(
    ("name", "rpm"), [("centrifugal_pump", 1150.0), ("centrifugal_pump", 1450.0), ("cnc_spindle", 6000.0)]
)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_healthy_machine_at_a_speed_that_was_asked_for_raises_nothing_there_nor_on_its_return(
    name: str, rpm: float, seed: int
) -> None:
    seen = watched(name, seed, every=1)
    assert run(seen, 300.0)[-1].anomaly is not None
    own = seen.machine.setpoint_rpm
    ask(seen, rpm)
    there = run(seen, 120.0)
    words = f"{rpm:g} is asked for as its speed, and what is normal was learned at {own:g}"
    assert {verdict.note for verdict in there} == {f"not enough evidence: {words}"}
    assert {(verdict.anomaly, verdict.rul_h, verdict.urgency) for verdict in there} == {(None, None, Urgency.UNKNOWN)}
    ask(seen, own)
    back = run(seen, 300.0)
    assert not any(verdict.anomalous for verdict in back)
    assert {verdict.urgency for verdict in back} == {Urgency.NORMAL}
    assert not any("polled every" in verdict.note for verdict in back), "time went on for it"


def test_wear_that_began_there_is_found_on_its_return() -> None:
    seen = watched("centrifugal_pump", 1, every=1)
    run(seen, 300.0)
    ask(seen, 1150.0)
    seen.machine.begin_wear(400.0)
    run(seen, 250.0)
    ask(seen, seen.machine.reference_rpm)
    assert any(verdict.anomalous for verdict in run(seen, 100.0))


def test_a_speed_that_changes_though_none_was_asked_for_stays_evidence() -> None:
    seen = watched("centrifugal_pump", 1, every=1)
    run(seen, 300.0)
    told: list[Verdict] = []
    ask(seen, 1150.0)
    for _ in range(60):
        # The drive slips: the machine turns as slowly as if it had been asked to, and nobody did.
        seen.machine.step(seen.pace_h)
        seen.polls += 1
        seen.judge.observe(batch({**seen.machine.signals(), SETPOINT: 1360.0}, seen.polls))
        told.append(seen.verdict())
    assert any(verdict.anomalous for verdict in told)


def test_a_restart_amid_it_goes_on_to_the_bit() -> None:
    seen = watched("centrifugal_pump", 3, every=1)
    run(seen, 300.0)
    ask(seen, 1150.0)
    run(seen, 20.0)
    again = judge("centrifugal_pump")
    assert again.restore(seen.judge.state())
    for rpm in (1150.0, 1360.0):
        ask(seen, rpm)
        for _ in range(20):
            taken = seen.poll()
            again.observe(taken)
            assert again.verdict(0, mono_ns=taken.mono_ns) == seen.verdict()


class Drive:
    """A machine that was learned at 1000, poll by poll a second apart."""

    def __init__(self) -> None:
        self.commanded, self.at_s = Commanded("asked", "speed"), 0
        self.poll(1000.0, 1000.0, learning=True)

    def poll(self, asked: object, speed: object, *, learning: bool = False, after_s: int = 1) -> bool:
        self.at_s += after_s
        self.commanded.observe({"asked": asked, "speed": speed}, self.at_s * S, learning=learning)
        return self.commanded.away


def test_what_is_within_reach_of_what_was_learned_is_no_other_operating_point() -> None:
    drive = Drive()
    assert [drive.poll(asked, asked) for asked in (1040.0, 960.0, 1060.0, 940.0)] == [False, False, True, True]
    drive = Drive()
    drive.poll(1500.0, 1500.0, learning=True)
    assert [drive.poll(asked, asked) for asked in (1200.0, 1600.0)] == [False, True]
    assert "learned at 1000 to 1500" in drive.commanded.words


def test_on_its_return_it_is_waited_for_until_it_follows_but_not_for_ever() -> None:
    drive = Drive()
    assert drive.poll(500.0, 1000.0), "at once: the speed follows"
    assert drive.poll(1000.0, 500.0)
    assert drive.poll(1000.0, 900.0)
    assert not drive.poll(1000.0, 980.0)
    drive.poll(500.0, 500.0)
    assert drive.poll(1000.0, 500.0)
    assert drive.poll(1000.0, 500.0, after_s=599)
    assert not drive.poll(1000.0, 500.0), "it does not follow what is asked of it: that is evidence"


def test_a_setpoint_that_cannot_be_read_says_nothing() -> None:
    drive = Drive()
    drive.poll(500.0, 500.0)
    assert [drive.poll(asked, 500.0) for asked in (None, True, 0.0, float("nan"))] == [True] * 4
    assert number(float("nan")) is None
    nothing = Commanded("", "speed")
    nothing.observe({"": 5.0, "speed": 1.0}, S, learning=True)
    assert not nothing.away
    older = Commanded("asked", "speed")
    older.observe({"asked": 5.0, "speed": 5.0}, S, learning=False)
    assert not older.away, "of what was learned before setpoints were remembered none is known"

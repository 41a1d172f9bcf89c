"""A life on day one: what papers and physics say, how wide, and that growing old in good health is no alarm."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from edge.alarm.judgement import entries, findings
from edge.config.nameplate import Bearing, Nameplate, PlannedStop, Service, Tool, Vibration, Winding
from edge.contract.bundle import Ages
from edge.contract.types import Urgency, Verdict
from edge.features.severity import Zone
from edge.infer import Judge
from edge.infer.opinion import NOT_ENOUGH, Life, Opinion
from edge.infer.prior import Prior
from tests.rooms.infer.machines import PERIOD_MS, PERIOD_NS, asset_class, batch, bundle, watched

METER = "hour_meter_h"
BALL = Bearing(c_kn=30.0, p_kn=5.0, rpm=1500.0, a_iso=1.0)
"""An L10 life of 2400 h."""
ZONES = (1.4, 2.8, 4.5)


def service(bearing: Bearing = BALL, **more: object) -> Service:
    return Service(nameplate=Nameplate(bearing=bearing), **more)  # type: ignore[arg-type]


def said(plate: Nameplate, hour_h: float) -> Prior:
    prior = Prior(Service(nameplate=plate), METER)
    prior.observe({METER: hour_h})
    return prior


def width(prior: Prior) -> float:
    outlook = prior.say()
    assert outlook is not None
    return outlook.life.high_h / outlook.life.low_h


def judge(given: Service, *, bundled: bool = False) -> Judge:
    name = "cnc_spindle"
    return Judge("asset-1", asset_class(name), bundle(name) if bundled else None, PERIOD_MS, service=given)


def verdict_at(one: Judge, hour_h: float, *, polls: int = 3, at_ns: int = 0, **values: float) -> Verdict:
    for _ in range(polls):
        one.observe(batch({METER: hour_h, **values}, one.polls + 1))
    verdict = one.verdict(at_ns, mono_ns=one.polls * PERIOD_NS)
    assert verdict is not None
    return verdict


def test_a_new_bearing_lives_about_its_papers() -> None:
    outlook = said(Nameplate(bearing=BALL), 0.0).say()
    assert outlook is not None
    life = outlook.life
    assert life.rul_h == pytest.approx(3.51 * 2400.0, rel=0.1)
    assert life.low_h < 2400.0 < life.rul_h < life.high_h
    assert life.rul_h % 100.0 == 0.0, "two digits: no more is known"
    assert "ISO 281 bearing life" in outlook.words
    assert "physics alone" in outlook.words


def test_what_the_papers_do_not_say_widens() -> None:
    full = width(said(Nameplate(bearing=BALL), 0.0))
    no_lubrication = width(said(Nameplate(bearing=Bearing(c_kn=30.0, p_kn=5.0, rpm=1500.0)), 0.0))
    no_load = said(Nameplate(bearing=Bearing(c_kn=30.0, rpm=1500.0)), 0.0)
    assert 10.0 < full < no_lubrication < width(no_load)
    outlook = no_load.say()
    assert outlook is not None
    assert "not known or doubtful: bearing: load, lubrication" in outlook.words
    assert f"{width(no_load):.0f} fold apart" in outlook.words


def test_hours_that_were_lived_count() -> None:
    """Less is left at 6000 h than new, but more than the difference: it has shown that it lasts."""
    new, old = (said(Nameplate(bearing=BALL), hour).say() for hour in (0.0, 6000.0))
    assert new is not None
    assert old is not None
    assert new.life.rul_h - 6000.0 < old.life.rul_h < new.life.rul_h


def test_a_part_fitted_later_is_as_new() -> None:
    fitted = said(Nameplate(bearing=Bearing(c_kn=30.0, p_kn=5.0, rpm=1500.0, a_iso=1.0, fitted_at_h=6000.0)), 6000.0)
    new = said(Nameplate(bearing=BALL), 0.0)
    assert fitted.say() is not None
    assert fitted.say() == new.say()


def test_the_first_part_to_fail_ends_it() -> None:
    tool = Tool(v_m_min=180.0, n=0.25, c_m_min=400.0)
    winding = Winding(insulation="F", hot_spot_c=130.0)
    alone = said(Nameplate(tool=tool), 0.0).say()
    together = said(Nameplate(bearing=BALL, tool=tool, winding=winding), 0.0).say()
    assert alone is not None
    assert together is not None
    # (400 / 180)^4 = 24.4 minutes of cutting.
    assert alone.life.rul_h == pytest.approx(24.4 / 60.0, rel=0.1)
    assert together.life.rul_h == pytest.approx(alone.life.rul_h, rel=0.02)
    assert "and Taylor tool life and insulation ageing" in together.words


def told_by(ages: Ages | None) -> Life:
    prior = said(Nameplate(bearing=Bearing(c_kn=30.0, p_kn=5.0, rpm=1500.0)), 0.0)
    found = prior.completed(Opinion(note=NOT_ENOUGH), 0, ages)
    assert found.life is not None
    assert ("and its fleet" in found.note) == (ages is not None)
    return found.life


def test_failures_of_the_fleet_narrow_it_and_draw_it_to_them() -> None:
    """Papers say a median of 8400 h; a fleet of the like failed at 2000 h: the more failures, the nearer and surer."""
    papers = told_by(None)
    few, many = (told_by(Ages(1.5, 2000.0 / 0.783, spread, n, 2 * n)) for n, spread in ((2, 0.6), (30, 0.12)))
    assert papers.rul_h > few.rul_h > many.rul_h
    assert many.rul_h == pytest.approx(2000.0, rel=0.25)
    widths = [life.high_h / life.low_h for life in (papers, few, many)]
    assert widths == sorted(widths, reverse=True)
    assert widths[2] < 0.3 * widths[0]


def test_zones_c_and_d_shorten_and_widen_and_b_does_neither() -> None:
    plate = Nameplate(bearing=BALL, vibration=Vibration(tag="vibration_mm_s", power_kw=45.0))

    def at(velocity: float) -> Prior:
        prior = Prior(Service(nameplate=plate, zones=ZONES), METER)
        for hour in range(200):
            prior.observe({METER: 1000.0 + hour, "vibration_mm_s": velocity})
        return prior

    zones = {velocity: at(velocity) for velocity in (1.0, 2.5, 3.5, 6.0)}
    assert [prior.zone for prior in zones.values()] == [Zone.A, Zone.B, Zone.C, Zone.D]
    lives = [outlook.life for prior in zones.values() if (outlook := prior.say()) is not None]
    assert lives[0] == lives[1]
    assert lives[2].rul_h < 0.5 * lives[1].rul_h
    assert lives[3].rul_h < 0.5 * lives[2].rul_h
    assert width(zones[1.0]) < width(zones[3.5]) < width(zones[6.0])
    outlook = zones[6.0].say()
    assert outlook is not None
    assert "shortened for vibration in zone D" in outlook.words


def test_a_moment_of_vibration_is_no_zone() -> None:
    plate = Nameplate(bearing=BALL, vibration=Vibration(tag="v", power_kw=45.0))
    prior = Prior(Service(nameplate=plate, zones=ZONES), METER)
    for hour in range(100):
        prior.observe({METER: 1000.0 + hour, "v": 1.0})
    prior.observe({METER: 1099.1, "v": 30.0})
    assert prior.zone is Zone.A
    prior.observe({METER: 1099.1, "v": float("nan")})
    assert prior.zone is Zone.A


def test_without_bundle_the_verdict_rests_on_the_prior_and_says_so() -> None:
    verdict = verdict_at(judge(service(stop=PlannedStop(every_h=2000.0))), 1500.0)
    assert verdict.basis == "prior"
    assert verdict.bundle == ""
    assert verdict.note.startswith(NOT_ENOUGH)
    assert "physics alone" in verdict.note
    assert verdict.rul_low_h is not None
    assert verdict.rul_h is not None
    assert verdict.rul_high_h is not None
    assert verdict.rul_low_h < verdict.rul_h < verdict.rul_high_h
    assert verdict.stop_h == 500.0
    assert verdict.failure_p is not None
    assert 0.0 < verdict.failure_p < 0.2


def test_a_bundle_that_still_learns_lets_the_prior_speak_and_then_takes_over() -> None:
    asset = watched("cnc_spindle", 1)
    asset.judge = judge(service(), bundled=True)
    first = next(iter(asset.verdicts()))
    assert first.basis == "prior"
    assert "learning the healthy baseline" in first.note
    for _ in range(100):
        asset.poll()
    later = asset.verdict()
    assert (later.basis, later.urgency) == ("bundle", Urgency.NORMAL)
    assert "physics" not in later.note


def test_old_age_in_good_health_raises_nothing() -> None:
    """Years beyond its papers the lower end is below every limit: it is neither CRITICAL nor an alarm."""
    verdict = verdict_at(judge(service(Bearing(c_kn=30.0, p_kn=14.0, rpm=3000.0, a_iso=1.0))), 9000.0)
    assert verdict.rul_low_h is not None
    assert verdict.rul_low_h < 48.0
    assert verdict.urgency is Urgency.UNKNOWN
    standing = entries("asset-1", "Spindle")
    assert all(finding.holds is not True for finding in findings(verdict, "Spindle", standing))


def test_what_departs_from_healthy_is_not_told_a_life_by_its_papers() -> None:
    asset = watched("cnc_spindle", 9)
    asset.judge = judge(service(), bundled=True)
    list(asset.verdicts(until_h=150.0))
    asset.machine.unbalance(4.0)
    last = list(asset.verdicts(until_h=260.0))[-1]
    assert last.anomalous
    assert (last.rul_h, last.basis, last.survival, last.failure_p) == (None, "", (), None)


def test_an_hour_meter_that_does_not_tell_the_age_is_said() -> None:
    silent = verdict_at(judge(service()), float("nan"))
    assert silent.basis == ""
    assert "no life by physics: no good reading of the hour meter yet" in silent.note
    exchanged = verdict_at(judge(service(Bearing(c_kn=30.0, rpm=1500.0, fitted_at_h=5000.0))), 10.0)
    assert exchanged.rul_h is None
    assert "reads less than when the bearing was fitted" in exchanged.note


@pytest.mark.parametrize(
    ("stop", "expected_h"),
    [
        (PlannedStop(at_h=1800.0), 300.0), (PlannedStop(at_h=1200.0), None), (PlannedStop(every_h=400.0), 100.0),
        (PlannedStop(at=datetime(1970, 1, 3, tzinfo=UTC)), 48.0),
        (PlannedStop(at=datetime(1969, 1, 3, tzinfo=UTC)), None), (None, None),
    ],
)  # fmt: skip
def test_the_next_stop_is_a_date_or_a_reading(stop: PlannedStop | None, expected_h: float | None) -> None:
    verdict = verdict_at(judge(service(stop=stop)), 1500.0, at_ns=0)
    assert verdict.stop_h == expected_h
    assert (verdict.failure_p is None) == (expected_h is None)


def test_a_later_stop_is_a_greater_chance() -> None:
    chances = [
        verdict_at(judge(service(stop=PlannedStop(at_h=at_h))), 1500.0).failure_p for at_h in (1600.0, 3000.0, 30_000.0)
    ]
    assert None not in chances
    assert chances == sorted(chances, key=lambda chance: chance or 0.0)
    assert chances[-1] is not None
    assert chances[-1] > 0.8


def test_a_restart_continues_to_the_bit_also_from_a_checkpoint() -> None:
    plate = Nameplate(bearing=BALL, vibration=Vibration(tag="v", power_kw=45.0))
    given = Service(nameplate=plate, zones=ZONES, stop=PlannedStop(at=datetime(2027, 3, 1, 6, tzinfo=UTC)))
    one = judge(given)
    for hour in range(50):
        verdict_at(one, 1000.0 + hour, polls=1, v=2.0 + 0.1 * hour)
    twin = judge(given)
    assert twin.restore(one.state())
    third = Judge.resumed(one.checkpoint(), lambda _: bundle("cnc_spindle"))
    kept, resumed = json.loads(one.checkpoint()), json.loads(third.checkpoint())
    assert (kept["service"], kept["state"]) == (resumed["service"], resumed["state"])
    for hour in range(50, 60):
        verdicts = [verdict_at(each, 1000.0 + hour, polls=1, v=3.0) for each in (one, twin, third)]
        plain = [dataclasses.replace(v, coverage=0.0) for v in verdicts]
        assert plain[0] == plain[1] == plain[2]


def test_state_from_before_there_were_papers_still_continues() -> None:
    one = judge(Service())
    verdict_at(one, 1000.0)
    old = json.loads(one.state())
    del old["prior"]
    assert judge(service()).restore(json.dumps(old).encode())

"""The physics: features react in the field's order, laws hold their oracles, steps may have any length."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BabbittError
from edge.plant.bearing import CREST_OF_BACKGROUND, Traits, Vibration, growth, vibration
from edge.plant.hydraulics import Hydraulics
from edge.plant.machines import MACHINES, Machine, Pump, Spindle
from edge.plant.processes import Jobs, Lag, Noise, Schedule, Wander

TRAITS = Traits(
    velocity_new_mm_s=0.65, residual_unbalance_mm_s=0.75, velocity_failed_mm_s=9.5, acceleration_new_g=0.5,
    acceleration_failed_g=6.0,
)  # fmt: skip
QUIET = Traits(
    velocity_new_mm_s=0.0, residual_unbalance_mm_s=0.0, velocity_failed_mm_s=9.5, acceleration_new_g=1e-9,
    acceleration_failed_g=6.0,
)  # fmt: skip


def at(wear: float, *, traits: Traits = TRAITS, speed: float = 1.0, unbalance: float = 0.0) -> Vibration:
    return vibration(traits, wear=wear, speed=speed, load=1.0, unbalance_mm_s=unbalance, rpm=8000.0 * speed)


def first_wear_where(risen: Callable[[Vibration], bool]) -> float:
    return next(i / 1000 for i in range(1001) if risen(at(i / 1000)))


class TestBearing:
    def test_a_new_bearing_is_near_1_mm_s_and_a_failed_one_in_zone_d(self) -> None:
        assert 0.8 < at(0.0).velocity_mm_s < 1.4
        assert 8.0 < at(1.0).velocity_mm_s < 11.0

    def test_crest_and_kurtosis_rise_first_then_acceleration_then_velocity(self) -> None:
        new = at(0.0)
        order = [
            first_wear_where(lambda v: v.crest_factor > 1.25 * new.crest_factor),
            first_wear_where(lambda v: v.kurtosis > 1.25 * new.kurtosis),
            first_wear_where(lambda v: v.acceleration_g > 1.25 * new.acceleration_g),
            first_wear_where(lambda v: v.velocity_mm_s > 1.25 * new.velocity_mm_s),
        ]
        assert order == sorted(order)
        assert all(later - earlier > 0.02 for earlier, later in itertools.pairwise(order))

    def test_crest_and_kurtosis_fall_again_late_in_life(self) -> None:
        kurtosis = [at(i / 100).kurtosis for i in range(101)]
        crest = [at(i / 100).crest_factor for i in range(101)]
        assert 0.3 < kurtosis.index(max(kurtosis)) / 100 < 0.7
        assert max(kurtosis) > 10.0
        assert kurtosis[-1] < max(kurtosis) / 2
        assert crest.index(max(crest)) / 100 < 0.6
        assert crest[-1] < 1.15 * crest[0]

    def test_both_rms_only_rise(self) -> None:
        rows = [at(i / 100) for i in range(101)]
        for before, after in itertools.pairwise(rows):
            assert after.velocity_mm_s > before.velocity_mm_s
            assert after.acceleration_g > before.acceleration_g

    def test_a_pure_sine_has_its_textbook_shape(self) -> None:
        sine = at(0.0, traits=QUIET, unbalance=4.0)
        assert sine.crest_factor == pytest.approx(math.sqrt(2.0), abs=1e-6)
        assert sine.kurtosis == pytest.approx(1.5, abs=1e-6)
        assert sine.acceleration_g == pytest.approx(4.0 * math.tau * 8000 / 60 / 9806.65)

    def test_gaussian_background_has_kurtosis_3(self) -> None:
        background = Traits(1.0, 0.0, 9.5, 0.5, 6.0)
        assert at(0.0, traits=background).kurtosis == pytest.approx(3.0)
        assert at(0.0, traits=background).crest_factor == pytest.approx(CREST_OF_BACKGROUND)

    def test_unbalance_shows_in_velocity_with_the_speed_squared_and_not_in_kurtosis(self) -> None:
        slow, fast = (at(0.0, traits=QUIET, unbalance=4.0, speed=speed).velocity_mm_s for speed in (1.0, 1.5))
        assert fast / slow == pytest.approx(1.5**2)
        assert at(0.0, unbalance=4.0).velocity_mm_s > 3.5 * at(0.0).velocity_mm_s
        assert at(0.0, unbalance=4.0).kurtosis < 3.0 < at(0.2).kurtosis

    @given(st.floats(0.5, 8.0))
    def test_growth_runs_from_0_to_1(self, exponent: float) -> None:
        assert growth(0.0, exponent) == 0.0
        assert growth(1.0, exponent) == pytest.approx(1.0)
        assert growth(0.5, exponent) < 0.5


class TestPump:
    def test_affinity_without_static_head(self) -> None:
        free = Hydraulics(static_m=0.0, k_s2_m5=12_500.0)
        for n, flow, head, power in ((1.1, 1.10, 1.21, 1.331), (1.15, 1.15, 1.3225, 1.5209), (0.8, 0.8, 0.64, 0.512)):
            assert free.flow_m3_s(n) / free.flow_m3_s(1.0) == pytest.approx(flow)
            assert free.head_m(n) / free.head_m(1.0) == pytest.approx(head)
            assert free.power_kw(n) / free.power_kw(1.0) == pytest.approx(power, abs=1e-4)

    def test_the_system_of_12_m_static_and_8_m_friction_at_40_l_s(self) -> None:
        pump = Hydraulics()
        assert pump.k_s2_m5 == pytest.approx(8.0 / 0.04**2)
        assert pump.flow_m3_s(1.0) == pytest.approx(0.04)
        assert pump.head_m(1.0) == pytest.approx(20.0)

    @given(st.floats(0.7, 1.2))
    def test_the_operating_point_lies_on_both_curves(self, n: float) -> None:
        pump = Hydraulics()
        assert pump.head_m(n) == pytest.approx(pump.static_m + pump.k_s2_m5 * pump.flow_m3_s(n) ** 2)

    def test_with_static_head_flow_ends_early_and_the_cube_law_promises_too_much(self) -> None:
        pump = Hydraulics()
        assert pump.flow_m3_s(math.sqrt(12 / 26) - 1e-9) == 0.0
        assert pump.flow_m3_s(0.8) < 0.8 * pump.flow_m3_s(1.0)
        per_m3_slow, per_m3_rated = (pump.power_kw(n) / pump.flow_m3_s(n) for n in (0.75, 1.0))
        assert per_m3_slow / per_m3_rated > 0.75**2, "energy for a cubic metre falls by less than n squared"

    def test_the_discharge_is_the_head_above_the_suction(self) -> None:
        pump = Pump(3)
        pump.step(0.5)
        signals = pump.signals()
        rise_bar = float(signals["discharge_pressure_bar"] or 0) - float(signals["suction_pressure_bar"] or 0)
        n = float(signals["speed_rpm"] or 0) / pump.RATED_RPM
        assert rise_bar == pytest.approx(pump.hydraulics.head_m(n) * 1000 * 9.80665 / 1e5, abs=0.05)


class TestProcesses:
    @pytest.mark.parametrize("dt_h", [0.01, 0.5, 4.0])
    def test_a_wander_has_variance_1_and_its_own_memory_at_any_step(self, dt_h: float) -> None:
        wander = Wander(Noise(5), tau_h=1.0)
        values = []
        for _ in range(40_000):
            wander.step(dt_h)
            values.append(wander.value)
        kept = math.exp(-dt_h)
        independent = len(values) * (1 - kept) / (1 + kept)
        assert statistics.fmean(values) == pytest.approx(0.0, abs=5 / math.sqrt(independent))
        assert statistics.pvariance(values) == pytest.approx(1.0, abs=8 / math.sqrt(independent))
        assert statistics.correlation(values[:-1], values[1:]) == pytest.approx(kept, abs=0.02)

    @given(st.floats(0.0, 50.0), st.integers(1, 200))
    def test_a_lag_reaches_the_same_in_one_step_as_in_many(self, hours: float, steps: int) -> None:
        once, often = Lag(20.0, 0.6), Lag(20.0, 0.6)
        once.step(60.0, hours)
        for _ in range(steps):
            often.step(60.0, hours / steps)
        assert often.value == pytest.approx(once.value, abs=1e-6)

    @given(st.lists(st.floats(0.0, 300.0), min_size=1, max_size=20), st.floats(0.0, 167.0))
    def test_running_hours_add_up_however_time_is_cut(self, steps: list[float], phase_h: float) -> None:
        schedule = Schedule(phase_h=phase_h)
        times = list(itertools.accumulate(steps, initial=0.0))
        parts = sum(schedule.running_hours(a, b) for a, b in itertools.pairwise(times))
        assert parts == pytest.approx(schedule.running_hours(0.0, times[-1]), abs=1e-6)
        assert schedule.running_hours(0.0, 168.0) == pytest.approx(164.0)

    def test_the_mean_of_jobs_is_over_all_of_them(self) -> None:
        jobs = Jobs(Noise(1), job_h=2.0, spread=0.1)
        levels = [jobs.level(2.0 * i + 1.0) for i in range(Jobs.COUNT)]
        assert jobs.mean_power(3.0) == pytest.approx(statistics.fmean(level**3 for level in levels))


def healthy(model: type[Machine], dt_h: float, *, hours: float, skip: int) -> dict[str, tuple[float, float]]:
    """Mean and deviation of each measured signal of a healthy machine, over every ``skip``-th step while it runs."""
    machine, rows = model(4), []
    for i in range(int(hours / dt_h)):
        machine.step(dt_h)
        if machine.running and i % skip == 0:
            rows.append(machine.signals())
    tags = [tag for tag, value in rows[0].items() if isinstance(value, float) and tag != "hour_meter_h"]
    columns = {tag: [float(row[tag] or 0.0) for row in rows] for tag in tags if "total" not in tag}
    return {tag: (statistics.fmean(c), statistics.pstdev(c)) for tag, c in columns.items()}


class TestMachines:
    @pytest.mark.parametrize("model", MACHINES.values())
    def test_the_same_seed_gives_the_same_machine(self, model: type[Machine]) -> None:
        one, other, stranger = model(9), model(9), model(10)
        for machine in (one, other, stranger):
            for _ in range(50):
                machine.step(0.7)
        assert one.signals() == other.signals() != stranger.signals()

    @pytest.mark.parametrize("model", MACHINES.values())
    def test_statistics_do_not_depend_on_the_step(self, model: type[Machine]) -> None:
        fine = healthy(model, 0.1, hours=2000.0, skip=10)
        coarse = healthy(model, 2.0, hours=4000.0, skip=1)
        for tag, (mean, deviation) in fine.items():
            assert coarse[tag][0] == pytest.approx(mean, abs=0.3 * deviation), tag
            assert coarse[tag][1] == pytest.approx(deviation, rel=0.3), tag

    @pytest.mark.parametrize("model", MACHINES.values())
    @pytest.mark.parametrize("dt_h", [0.25, 2.0])
    def test_it_fails_when_its_life_is_over_by_the_hour_meter(self, model: type[Machine], dt_h: float) -> None:
        lived = []
        for seed in range(12):
            machine = model(seed, life_h=300.0, onset_h=20.0)
            while not machine.truth.failed:
                machine.step(dt_h)
            lived.append(machine.hour_meter_h - 20.0)
        assert statistics.fmean(lived) == pytest.approx(300.0, rel=0.08)
        assert statistics.pstdev(lived) > 3.0, "lives scatter about the mean path"

    def test_hours_left_fall_with_the_damage_and_end_at_0(self) -> None:
        spindle = Spindle(1, life_h=200.0)
        assert spindle.truth.rul_h is None
        spindle.begin_wear()
        left = [spindle.truth.rul_h or 0.0]
        while not spindle.truth.failed:
            spindle.step(1.0)
            left.append(spindle.truth.rul_h or 0.0)
        assert left[0] == 200.0
        assert left[-1] == 0.0
        assert all(b <= a for a, b in itertools.pairwise(left))

    def test_drawn_lives_differ_and_lie_within_their_limits(self) -> None:
        lives = []
        for seed in range(60):
            machine = Spindle(seed)
            machine.begin_wear()
            lives.append(machine.truth.life_h or 0.0)
        assert min(lives) >= 120.0
        assert max(lives) <= 1000.0
        assert 300.0 < statistics.median(lives) < 400.0

    def test_a_standing_machine_neither_wears_nor_turns_its_hour_meter(self) -> None:
        machine = Spindle(2, life_h=100.0)
        while machine.running:
            machine.step(0.5)
        machine.begin_wear()
        hours, wear = machine.hour_meter_h, machine.truth.wear
        machine.step(0.5)
        signals = machine.signals()
        assert not machine.running
        assert (machine.hour_meter_h, machine.truth.wear) == (hours, wear)
        assert signals["speed_rpm"] == 0.0
        assert float(signals["vibration_mm_s"] or 0.0) < 0.1

    @pytest.mark.parametrize("model", MACHINES.values())
    def test_wear_heats_costs_power_and_makes_scrap(self, model: type[Machine]) -> None:
        machine = model(3, life_h=300.0)
        for _ in range(40):
            machine.step(0.5)
        new = machine.signals()
        machine.begin_wear()
        while not machine.truth.failed:
            machine.step(0.5)
        worn = machine.signals()
        assert float(worn["bearing_temperature_c"] or 0) > float(new["bearing_temperature_c"] or 0) + 15.0
        if "scrap_total" in worn:
            assert int(worn["scrap_total"] or 0) / int(worn["parts_total"] or 1) > 0.015
            assert int(new["scrap_total"] or 0) / int(new["parts_total"] or 1) < 0.012

    def test_temperature_follows_load_with_inertia(self) -> None:
        machine = Spindle(5)
        while machine.running:
            machine.step(0.1)
        just_stopped = float(machine.signals()["bearing_temperature_c"] or 0)
        machine.step(0.6)
        after_one_tau = float(machine.signals()["bearing_temperature_c"] or 0)
        ambient = float(machine.signals()["ambient_temperature_c"] or 0)
        assert just_stopped > ambient + 10.0
        assert (after_one_tau - ambient) / (just_stopped - ambient) == pytest.approx(math.exp(-1), abs=0.08)

    def test_reading_it_changes_nothing(self) -> None:
        watched, alone = Spindle(1, onset_h=5.0), Spindle(1, onset_h=5.0)
        for _ in range(100):
            watched.step(1.0)
            watched.signals()
            alone.step(1.0)
        assert watched.truth == alone.truth
        assert watched.signals()["hour_meter_h"] == alone.signals()["hour_meter_h"]

    def test_signals_stay_the_same_until_the_next_step(self) -> None:
        machine = Spindle(1)
        first = machine.signals()
        assert machine.signals() == first
        machine.step(1e-6)
        assert machine.signals() != first


class TestSetpoint:
    def test_an_untouched_setpoint_is_the_machines_own_speed_and_changes_nothing(self) -> None:
        """Every figure, every bundle and every recording of before rests on machines without one."""
        for model in (Pump, Spindle):
            touched, alone = model(4, onset_h=10.0), model(4, onset_h=10.0)
            assert touched.take({"speed_setpoint_rpm": model.reference_rpm})
            for _ in range(50):
                touched.step(1.0)
                alone.step(1.0)
                assert touched.signals() == alone.signals()
            assert touched.truth == alone.truth

    @pytest.mark.parametrize("share", [0.8, 1.1])
    def test_another_speed_moves_all_that_hangs_on_it(self, share: float) -> None:
        """Against the pump's own curves at that speed; with static head power moves by more than the speed does."""
        usual, other = Pump(4), Pump(4)
        assert other.take({"speed_setpoint_rpm": share * Pump.reference_rpm})
        for machine in (usual, other):
            for _ in range(20):
                machine.step(0.5)
        before, after = ({tag: float(v or 0) for tag, v in machine.signals().items()} for machine in (usual, other))
        assert after["speed_setpoint_rpm"] == round(share * 1360)
        assert after["speed_rpm"] / before["speed_rpm"] == pytest.approx(share, abs=0.001)
        for tag, law in (("flow_m3_h", Hydraulics().flow_m3_s), ("power_kw", Hydraulics().power_kw)):
            n = before["speed_rpm"] / Pump.RATED_RPM
            assert after[tag] / before[tag] == pytest.approx(law(share * n) / law(n), rel=0.03), tag
        faster = share > 1.0
        for tag in ("vibration_mm_s", "discharge_pressure_bar", "bearing_temperature_c", "load_percent"):
            assert (after[tag] > before[tag]) == faster, tag

    def test_a_spindle_at_constant_torque_takes_power_as_it_turns(self) -> None:
        usual, slow = Spindle(4), Spindle(4)
        assert slow.take({"speed_setpoint_rpm": 4000})
        for machine in (usual, slow):
            machine.step(0.5)
        assert float(slow.signals()["power_kw"] or 0) / float(usual.signals()["power_kw"] or 0) == pytest.approx(
            0.5, abs=0.03
        )

    def test_what_is_set_is_told_at_once_and_the_rest_stays_until_the_next_step(self) -> None:
        pump = Pump(4)
        before = pump.signals()
        assert pump.take({"speed_setpoint_rpm": 1200})
        assert pump.signals() == before | {"speed_setpoint_rpm": 1200}

    @pytest.mark.parametrize("value", [0, 407, 1633, 65535, math.nan, None, "fast"])
    def test_a_speed_that_its_drive_cannot_turn_at_is_not_taken(self, value: float | str | None) -> None:
        pump = Pump(4)
        assert not pump.take({"speed_setpoint_rpm": value})
        assert pump.signals()["speed_setpoint_rpm"] == 1360

    def test_a_slower_bearing_lives_longer(self) -> None:
        usual, slow = Pump(4, life_h=200.0), Pump(4, life_h=200.0)
        slow.take({"speed_setpoint_rpm": 680})
        for machine in (usual, slow):
            machine.begin_wear()
            for _ in range(100):
                machine.step(1.0)
        assert slow.truth.wear / usual.truth.wear == pytest.approx(0.5, abs=0.001)


class TestMachineFaults:
    def test_a_drifting_sensor_is_off_by_its_rate_and_the_others_are_not(self) -> None:
        honest, drifting = Spindle(6), Spindle(6)
        honest.signals()
        drifting.drift_sensor("bearing_temperature_c", 0.25)
        for _ in range(40):
            honest.step(1.0)
            drifting.step(1.0)
        true, told = honest.signals(), drifting.signals()
        off = float(told.pop("bearing_temperature_c") or 0) - float(true.pop("bearing_temperature_c") or 0)
        assert off == pytest.approx(10.0)
        assert told == true

    def test_a_stuck_sensor_says_what_it_said(self) -> None:
        machine = Spindle(6)
        said = machine.signals()["torque_nm"]
        machine.stick_sensor("torque_nm")
        machine.step(5.0)
        assert machine.signals()["torque_nm"] == said

    @pytest.mark.parametrize("model", MACHINES.values())
    def test_a_dry_bearing_is_hot_loud_and_takes_power_the_more_the_longer(self, model: type[Machine]) -> None:
        def told(hours: float, *, dry: bool) -> dict[str, float]:
            machine = model(7)
            if dry:
                machine.starve(100.0)
            for _ in range(int(hours)):
                machine.step(1.0)
            return {tag: float(v) for tag, v in machine.signals().items() if isinstance(v, float)}

        good, half, full = told(120.0, dry=False), told(50.0, dry=True), told(120.0, dry=True)
        assert full["bearing_temperature_c"] > good["bearing_temperature_c"] + 10.0
        assert full["acceleration_rms_g"] == pytest.approx(2.2 * good["acceleration_rms_g"], rel=0.01)
        assert full["power_kw"] == pytest.approx(1.08 * good["power_kw"], rel=0.01)
        assert full["vibration_mm_s"] == good["vibration_mm_s"]
        assert half["acceleration_rms_g"] < full["acceleration_rms_g"]

    def test_a_cavitating_pump_loses_flow_and_head_and_hammers_until_it_is_repaired(self) -> None:
        good, bad = Pump(8), Pump(8)
        bad.cavitate(50.0)
        for _ in range(60):
            good.step(1.0)
            bad.step(1.0)
        assert list(bad.faults) == ["cavitation"]
        up, down = ("acceleration_rms_g", "vibration_mm_s", "crest_factor"), ("flow_m3_h", "suction_pressure_bar")
        values = good.signals(), bad.signals()
        assert all(float(values[1][tag] or 0) > float(values[0][tag] or 0) for tag in up)
        assert all(float(values[1][tag] or 0) < float(values[0][tag] or 0) for tag in down)
        bad.repair()
        assert bad.faults == ()

    def test_other_products_and_another_season_are_no_fault(self) -> None:
        usual, other = Pump(9), Pump(9)
        other.make_other_products(0.9)
        other.turn_season(1.0)
        for machine in (usual, other):
            for _ in range(48):
                machine.step(1.0)
        assert other.faults == ()
        assert float(other.signals()["load_percent"] or 0) < float(usual.signals()["load_percent"] or 0)
        warmer = float(other.signals()["ambient_temperature_c"] or 0) - float(
            usual.signals()["ambient_temperature_c"] or 0
        )
        assert warmer == pytest.approx(2.0, abs=0.3)

    def test_repair_ends_all_and_the_hour_meter_goes_on(self) -> None:
        machine = Spindle(6, life_h=50.0)
        machine.begin_wear()
        machine.unbalance(5.0)
        machine.stick_sensor("kurtosis")
        machine.drift_sensor("power_kw", 1.0)
        machine.step(40.0)
        assert len(machine.faults) == 4
        hours = machine.hour_meter_h
        machine.repair()
        assert not machine.faults
        assert machine.truth.wear == 0.0
        assert machine.truth.rul_h is None
        assert machine.hour_meter_h == hours > 0.0

    @pytest.mark.parametrize("tag", ["no_such_tag", "hour_meter_h", "running", "parts_total"])
    def test_only_a_measured_signal_has_a_sensor_to_break(self, tag: str) -> None:
        with pytest.raises(BabbittError, match=r"sensors: .*kurtosis"):
            Spindle(1).stick_sensor(tag)

"""The watch over machines of the plant: sensors that drift, stick or are exchanged, and machines that break."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from edge.config.sensors import Balance
from edge.contract.types import SensorFault, SensorState, Tag, Value
from edge.infer.sensors.spec import kind_of, spec_of
from edge.infer.sensors.watch import LEARN_STEPS, SensorWatch
from edge.plant.machine import COUNTED, Machine
from edge.plant.machines import MACHINES
from tests.rooms.infer.machines import MODEL_OF, asset_class

Values = dict[str, Value]
HOUR_NS = 3_600_000_000_000


class Asset:
    """A machine of the plant under watch, polled once an hour; ``tamper`` alters what was read."""

    def __init__(self, name: str, seed: int) -> None:
        self.machine: Machine = MACHINES[MODEL_OF[name]](seed)
        tags = [t for t, v in self.machine.signals().items() if isinstance(v, float) and t not in COUNTED]
        self.spec = spec_of(asset_class(name), [Tag(tag, "", tag, "other", 2) for tag in tags])
        self.watch = SensorWatch(self.spec, "hour_meter_h")
        self.tamper: Callable[[Values], Values] = lambda values: values
        self.polls = 0

    def run(self, hours: int, until: Callable[[], bool] = lambda: False) -> int:
        """Hours that passed, ``hours`` at most."""
        for hour in range(hours):
            self.machine.step(1.0)
            self.polls += 1
            values = self.tamper(self.machine.signals())
            self.watch.observe(values, values, 0, self.polls * HOUR_NS)
            if until():
                return hour + 1
        return hours

    def learn(self) -> Asset:
        self.run(400, until=lambda: self.watch.learned == 1.0)
        self.run(48)
        assert self.watch.states == ()
        return self

    def faults(self) -> dict[str, SensorFault]:
        return {state.tag: state.fault for state in self.watch.states}

    def state(self, tag: str) -> SensorState:
        return next(state for state in self.watch.states if state.tag == tag)


@pytest.mark.parametrize(
    ("name", "tag", "per_day"),
    [
        ("cnc_spindle", "acceleration_rms_g", -0.005), ("cnc_spindle", "torque_nm", -0.12),
        ("centrifugal_pump", "discharge_pressure_bar", 0.02), ("centrifugal_pump", "vibration_mm_s", -0.01),
        ("extruder_drive", "power_kw", 0.4), ("extruder_drive", "load_percent", -0.4),
    ],
)  # fmt: skip
def test_a_sensor_that_drifts_alone_is_named_with_its_offset(name: str, tag: str, per_day: float) -> None:
    asset = Asset(name, 40).learn()
    began = asset.polls
    asset.machine.drift_sensor(tag, per_day / 24.0)
    asset.run(900, until=lambda: bool(asset.watch.states))
    assert asset.faults() == {tag: SensorFault.DRIFTING}
    assert asset.watch.machine == ""
    asset.run(100)
    true = per_day / 24.0 * (asset.polls - began)
    state = asset.state(tag)
    assert state.quarantined
    assert state.offset == pytest.approx(true, rel=0.3)
    assert began - 72 < state.since_ns / HOUR_NS < asset.polls
    assert "drifts" in state.words


@pytest.mark.parametrize("name", MODEL_OF)
@pytest.mark.parametrize(
    "fault",
    [lambda m: m.begin_wear(400.0), lambda m: m.unbalance(4.0), lambda m: m.starve(400.0)],
    ids=["wear", "unbalance", "dry"],
)  # fmt: skip
def test_a_fault_of_the_machine_is_no_drift(name: str, fault: Callable[[Machine], None]) -> None:
    asset = Asset(name, 41).learn()
    fault(asset.machine)
    for _ in range(400):
        asset.run(1)
        assert asset.watch.states == ()
    assert "the machine, not a sensor" in asset.watch.machine


def test_a_recalibrated_sensor_is_believed_again() -> None:
    asset = Asset("cnc_spindle", 42).learn()
    asset.machine.drift_sensor("power_kw", 0.02)
    asset.run(900, until=lambda: bool(asset.watch.states))
    asset.run(72)
    assert asset.watch.quarantined == {"power_kw"}
    asset.machine.repair()
    assert asset.run(200, until=lambda: not asset.watch.states) <= 96
    asset.run(200)
    assert asset.watch.states == ()


def test_two_exchanged_sensors_are_named_both_until_they_are_put_back() -> None:
    asset = Asset("extruder_drive", 43).learn()
    one, two = "melt_temperature_c", "bearing_temperature_c"
    asset.tamper = lambda values: {**values, one: values[two], two: values[one]}
    asset.run(72)
    assert asset.faults() == {one: SensorFault.SWAPPED, two: SensorFault.SWAPPED}
    asset.tamper = lambda values: values
    asset.run(96)
    assert asset.watch.states == ()


def test_a_stuck_sensor_is_quarantined_and_a_standstill_is_none() -> None:
    asset = Asset("centrifugal_pump", 44).learn()
    asset.machine.stick_sensor("power_kw")
    asset.run(120)
    assert asset.faults() == {"power_kw": SensorFault.STUCK}
    believed = asset.watch.believed({"power_kw": 8.0, "flow_m3_h": 100.0})
    assert believed == {"flow_m3_h": 100.0}


def test_what_the_machine_never_did_before_is_no_bad_sensor() -> None:
    """Other products, another season, gaps: the conditions moved, and everything with them."""
    asset = Asset("centrifugal_pump", 45).learn()
    draw = np.random.default_rng(45)
    asset.machine.make_other_products(0.9)
    asset.machine.turn_season(-0.4)
    asset.tamper = lambda values: {t: v for t, v in values.items() if draw.random() > 0.1}
    asset.run(700)
    assert asset.watch.states == ()
    assert asset.watch.machine == ""


def test_a_heat_balance_tells_which_of_its_terms_is_off() -> None:
    """A cooler: what the water takes, 1.163 kW per m3/h and K, the oil gives. Flow and temperatures wander."""
    tags = [Tag(t, u, t, k, 2) for t, u, k in (
        ("water_flow_m3_h", "m3/h", "flow"), ("water_rise_c", "°C", "other"), ("oil_heat_kw", "kW", "other"),
        ("load_percent", "%", "load"),
    )]  # fmt: skip
    balance = Balance(id="heat", terms={"water_flow_m3_h * water_rise_c": 1.163, "oil_heat_kw": -1.0})
    spec = spec_of(asset_class("generic"), tags, balances=[balance])
    watch, draw = SensorWatch(spec), np.random.default_rng(46)
    for hour in range(900):
        load = 60.0 + 15.0 * draw.random()
        flow, heat = 12.0 + draw.standard_normal(), 1.4 * load + 3.0 * draw.standard_normal()
        rise = heat / (1.163 * flow)
        drift = -0.004 * max(hour - 300, 0)
        values: dict[str, object] = {
            "water_flow_m3_h": flow * (1.0 + 0.005 * draw.standard_normal()),
            "water_rise_c": rise + 0.02 * draw.standard_normal() + drift,
            "oil_heat_kw": heat + 0.5 * draw.standard_normal(),
            "load_percent": load,
        }
        watch.observe(values, values, hour * HOUR_NS, hour * HOUR_NS)
    print(watch.states, watch.machine)
    [state] = watch.states
    assert (state.tag, state.fault) == ("water_rise_c", SensorFault.DRIFTING)
    assert state.offset == pytest.approx(drift, abs=0.5)


def test_where_two_sensors_only_disagree_both_are_named_in_words() -> None:
    asset = Asset("cnc_spindle", 47).learn()
    asset.machine.drift_sensor("ambient_temperature_c", 0.02)
    asset.run(600, until=lambda: bool(asset.watch.states))
    [state] = asset.watch.states
    assert "or else" in state.words
    assert "ambient temperature" in state.words
    assert "bearing temperature" in state.words


@pytest.mark.parametrize("stop", [100, LEARN_STEPS + 90, LEARN_STEPS + 400])
def test_after_a_restart_it_goes_on_to_the_bit(stop: int) -> None:
    asset, twin = Asset("extruder_drive", 48), Asset("extruder_drive", 48)
    for one in (asset, twin):
        one.machine.drift_sensor("power_kw", 0.02)
        one.run(stop)
    kept = json.loads(json.dumps(twin.watch.kept()))
    twin.watch = SensorWatch(twin.spec, "hour_meter_h")
    assert twin.watch.restore(kept)
    asset.run(200)
    twin.run(200)
    assert json.dumps(asset.watch.kept()) == json.dumps(twin.watch.kept())
    assert asset.watch.states == twin.watch.states
    assert len(json.dumps(kept)) < 40_000


def test_the_state_of_other_sensors_is_refused() -> None:
    one, other = Asset("cnc_spindle", 49), Asset("centrifugal_pump", 49)
    assert not other.watch.restore(one.watch.kept())


def test_nothing_to_watch_is_nothing_to_say() -> None:
    watch = SensorWatch(spec_of(asset_class("generic")))
    for hour in range(LEARN_STEPS + 20):
        watch.observe({"x": 1.0}, {"x": 1.0}, hour * HOUR_NS, hour)
    assert watch.states == ()
    assert watch.believed({"x": 1.0}) == {"x": 1.0}


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("vibration_mm_s", "vibration"), ("bearing_temperature_c", "temperature"), ("load_percent", "load"),
        ("volume_total_m3", "counter"), ("hour_meter_h", "hours"), ("pressure_x", "other"),
    ],
)  # fmt: skip
def test_kinds_are_told_by_names_where_no_profile_tells(tag: str, kind: str) -> None:
    assert kind_of(tag) == kind

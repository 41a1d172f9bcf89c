"""Three machines whose state follows physics: a CNC spindle, a centrifugal pump and an extruder drive.

Pure: a machine with a seed and a row of steps is reproducible to the bit, and its statistics do not depend on how long
the steps are.
"""

from __future__ import annotations

import math

from edge.contract.types import Value
from edge.plant.bearing import growth
from edge.plant.hydraulics import Hydraulics
from edge.plant.machine import Creeping, Machine, Truth
from edge.plant.processes import Jobs, Lag, Wander, near_one

__all__ = ["MACHINES", "Extruder", "Machine", "Pump", "Spindle", "Truth"]


class Parts:
    """Counts what is made and what of it is scrap; scrap rises with wear, from 0.8 to 7 percent."""

    def __init__(self) -> None:
        self._made = self._scrapped = 0.0

    def make(self, count: float, wear: float) -> None:
        self._made += count
        self._scrapped += count * (0.008 + 0.062 * growth(wear, 3.0))

    def signals(self) -> dict[str, Value]:
        return {"parts_total": int(self._made), "scrap_total": int(self._scrapped)}


class Spindle(Machine):
    """A 25 kW milling spindle at 8000 1/min: torque by job, power = torque x speed."""

    model = "spindle"
    can_be_set = True
    reference_rpm, reference_load = 8000.0, 0.55
    bearing_rise_c, bearing_tau_h = 24.0, 0.6
    acceleration_new_g = 0.5
    RATED_TORQUE_NM = 30.0
    PARTS_PER_H = 42.0

    def __init__(self, seed: int, *, life_h: float | None = None, onset_h: float | None = None) -> None:
        super().__init__(seed, life_h=life_h, onset_h=onset_h)
        self._feeds = Jobs(self.noise, job_h=1.5, spread=0.1)
        self._parts = Parts()

    def _demand(self) -> tuple[float, float]:
        level = self._jobs.level(self.clock_h)
        load = self.reference_load * level * (1.0 + 0.06 * self._load.value)
        return self.reference_rpm * (2.0 - level) * self._pace, max(0.1, load)

    def _work(self, dt_h: float, run_h: float) -> None:  # noqa: ARG002
        self._parts.make(self.PARTS_PER_H * self._feeds.level(self.clock_h) * run_h, self.wear.damage)

    def _process_signals(self) -> dict[str, Value]:
        friction_nm = 0.6 * (1.0 + 3.0 * growth(self.wear.damage, 3.0)) if self.running else 0.0
        torque_nm = self.RATED_TORQUE_NM * self._load_fraction + friction_nm
        power_kw = torque_nm * self._rpm * math.tau / 60.0 / 1000.0 / 0.9 + 0.4
        return {
            "load_percent": 100.0 * self._load_fraction,
            "power_kw": power_kw * near_one(0.01, self.sensor_noise.normal()),
            "torque_nm": torque_nm * near_one(0.01, self.sensor_noise.normal()),
        } | self._parts.signals()


CAVITATION_SHARES = {
    "acceleration_rms_g": 1.5, "vibration_mm_s": 0.6, "crest_factor": 0.15, "suction_pressure_bar": -0.4,
    "discharge_pressure_bar": -0.1, "flow_m3_h": -0.08,
}  # fmt: skip
"""By how much each signal changes where a pump cavitates fully."""


class Pump(Machine):
    """A 15 kW centrifugal pump on a variable-speed drive that follows the day's demand about its setpoint."""

    model = "pump"
    can_be_set = True
    reference_rpm, reference_load = 1360.0, 0.55
    bearing_rise_c, bearing_tau_h = 20.0, 0.8
    acceleration_new_g = 0.3
    RATED_RPM, MOTOR_KW = 1480.0, 15.0
    BAR_PER_M = 1000.0 * 9.80665 / 1e5

    def __init__(self, seed: int, *, life_h: float | None = None, onset_h: float | None = None) -> None:
        self.hydraulics = Hydraulics()
        self._volume_m3 = 0.0
        self._cavitation = Creeping()
        super().__init__(seed, life_h=life_h, onset_h=onset_h)
        self._level = Wander(self.noise, tau_h=4.0)

    def cavitate(self, full_h: float = 200.0) -> None:
        """The suction clogs, fully after ``full_h`` running hours: vapour bubbles cost flow and head, and hammer."""
        self._cavitation.begin(self.hour_meter_h, full_h)

    def repair(self) -> None:
        super().repair()
        self._cavitation.end()

    @property
    def faults(self) -> tuple[str, ...]:
        cavitates = self._cavitation.severity(self.hour_meter_h) > 0.0
        return (*super().faults, *(["cavitation"] if cavitates else []))

    def _rub(self, values: dict[str, Value]) -> None:
        super()._rub(values)
        bubbles = self._cavitation.severity(self.hour_meter_h) if self.running else 0.0
        if bubbles:
            for tag, share in CAVITATION_SHARES.items():
                value = values[tag]
                assert isinstance(value, float)
                values[tag] = value * (1.0 + share * bubbles)

    def _demand(self) -> tuple[float, float]:
        day = 1.0 + 0.03 * math.sin(math.tau * (self.clock_h - self._dawn_h) / 24.0)
        job = 1.0 + 0.5 * (self._jobs.level(self.clock_h) - 1.0)
        n = self.reference_rpm / self.RATED_RPM * day * job * (1.0 + 0.004 * self._load.value) * self._pace
        return self.RATED_RPM * n, self.hydraulics.power_kw(n) / self.MOTOR_KW

    def _work(self, dt_h: float, run_h: float) -> None:
        self._level.step(dt_h)
        rpm = self._rpm or self._demand()[0]
        self._volume_m3 += 3600.0 * self.hydraulics.flow_m3_s(rpm / self.RATED_RPM) * run_h

    def _process_signals(self) -> dict[str, Value]:
        n, normal = self._rpm / self.RATED_RPM, self.sensor_noise.normal
        friction_kw = 0.25 * growth(self.wear.damage, 3.0) * n + (0.15 if self.running else 0.0)
        flow_m3_s, head_m = self.hydraulics.flow_m3_s(n), self.hydraulics.head_m(n) if self.running else 0.0
        suction_bar = 0.45 + 0.05 * self._level.value - 0.1 * (flow_m3_s / self.hydraulics.rated_m3_s) ** 2
        return {
            "load_percent": 100.0 * self._load_fraction,
            "power_kw": (self.hydraulics.power_kw(n) / 0.93 + friction_kw) * near_one(0.01, normal()),
            "flow_m3_h": 3600.0 * flow_m3_s * near_one(0.008, normal()),
            "suction_pressure_bar": suction_bar + 0.004 * normal(),
            "discharge_pressure_bar": suction_bar + head_m * self.BAR_PER_M + 0.008 * normal(),
            "volume_total_m3": self._volume_m3,
        }


class Extruder(Machine):
    """A 75 kW extruder drive: the screw pushes melt whose viscosity falls with its temperature."""

    model = "extruder"
    reference_rpm, reference_load = 1500.0, 0.65
    bearing_rise_c, bearing_tau_h = 26.0, 1.2
    acceleration_new_g = 0.4
    MOTOR_KW = 75.0
    PARTS_PER_H = 90.0
    MELT_C, MELT_BAR = 210.0, 180.0

    def __init__(self, seed: int, *, life_h: float | None = None, onset_h: float | None = None) -> None:
        super().__init__(seed, life_h=life_h, onset_h=onset_h)
        self._melt_c = Lag(self.MELT_C, tau_h=0.5)
        self._recipe = Wander(self.noise, tau_h=8.0)
        self._parts = Parts()

    def _demand(self) -> tuple[float, float]:
        level = self._jobs.level(self.clock_h)
        load = self.reference_load * level * (1.0 + 0.03 * self._load.value)
        return self.reference_rpm * (1.0 + 0.7 * (level - 1.0)), max(0.1, load)

    def _work(self, dt_h: float, run_h: float) -> None:
        self._recipe.step(dt_h)
        shear_c = 12.0 * (self._rpm / self.reference_rpm - 1.0)
        self._melt_c.step(self.MELT_C + shear_c + 1.5 * self._recipe.value, dt_h)
        self._parts.make(self.PARTS_PER_H * self._jobs.level(self.clock_h) * run_h, self.wear.damage)

    def _process_signals(self) -> dict[str, Value]:
        normal = self.sensor_noise.normal
        speed = self._rpm / self.reference_rpm
        viscosity = math.exp(-0.015 * (self._melt_c.value - self.MELT_C))
        friction = 0.03 * growth(self.wear.damage, 3.0) if self.running else 0.0
        torque = self._load_fraction + friction
        return {
            "load_percent": 100.0 * self._load_fraction,
            "power_kw": (self.MOTOR_KW * torque * speed / 0.92 + 0.8) * near_one(0.01, normal()),
            "melt_pressure_bar": self.MELT_BAR * speed**0.4 * viscosity * near_one(0.01, normal()),
            "melt_temperature_c": self._melt_c.value + 0.2 * normal(),
            "screw_torque_percent": 100.0 * torque * near_one(0.01, normal()),
        } | self._parts.signals()


MACHINES: dict[str, type[Machine]] = {machine.model: machine for machine in (Spindle, Pump, Extruder)}

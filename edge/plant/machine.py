"""What the simulated machines have in common: a schedule, a bearing that wears, its temperature, sensors and faults.

Wear turns with the hour meter: a standing machine does not wear. Failure is a functional one (the bearing is in or past
zone D), so a failed machine runs on, roughly, until it is repaired.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from edge.contract.types import Value
from edge.errors import BabbittError
from edge.plant.bearing import HEAT_GROWTH, STANDSTILL, Traits, growth, vibration
from edge.plant.processes import Jobs, Lag, Noise, Schedule, Wander, near_one

LIFE_H_MEDIAN, LIFE_LOG_SIGMA = 350.0, 0.3
LIFE_H_RANGE = (120.0, 1000.0)
"""A drawn life, from the onset of wear to failure, is log-normal within these limits."""
L10_EXPONENT = 3.0
"""ISO 281: life of a ball bearing falls with the third power of its load."""
DRY_HEAT_C = 16.0
DRY_SHARES = {"acceleration_rms_g": 1.2, "power_kw": 0.08, "torque_nm": 0.08, "screw_torque_percent": 0.08}
"""A bearing without lubricant: its heat above a greased one's, and by how much more it shakes and takes."""
SETPOINT = "speed_setpoint_rpm"
SETPOINT_SHARES = (0.3, 1.2)
"""The drive takes a speed between these shares of the machine's own, and refuses any other."""
COUNTED = ("running", "hour_meter_h", "parts_total", "scrap_total", "volume_total_m3", SETPOINT)
"""Signals that are counted, switched or set, not measured: no sensor of theirs can drift or stick."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What nobody outside the simulation knows. ``rul_h`` is hours of the hour meter to failure along the mean path;
    None while wear has not begun."""

    wear: float
    rul_h: float | None
    life_h: float | None
    failed: bool


class Wear:
    """Damage of one bearing, 0 to 1. It grows in running hours, by load and by chance, about the mean path 1 / life."""

    def __init__(self, noise: Noise, life_h: float | None) -> None:
        self._noise, self._given_life_h = noise, life_h
        self._chance = Wander(noise, tau_h=20.0)
        self.life_h: float | None = None
        self.damage = 0.0

    def begin(self, life_h: float | None) -> None:
        """Wear sets in now; what was damaged stays so. Without ``life_h`` it is the machine's own, or is drawn."""
        self.life_h = life_h or self._given_life_h or self._drawn_life_h()

    def renew(self) -> None:
        self.life_h, self.damage = None, 0.0

    def step(self, run_h: float, stress: float) -> None:
        """``stress`` is the cubed load over its own mean (ISO 281)."""
        self._chance.step(run_h)
        if self.life_h is not None:
            chance = math.exp(0.25 * self._chance.value - 0.25**2 / 2.0)
            self.damage = min(1.0, self.damage + run_h / self.life_h * stress * chance)

    @property
    def rul_h(self) -> float | None:
        return None if self.life_h is None else (1.0 - self.damage) * self.life_h

    def _drawn_life_h(self) -> float:
        drawn = LIFE_H_MEDIAN * math.exp(LIFE_LOG_SIGMA * self._noise.normal())
        return min(max(drawn, LIFE_H_RANGE[0]), LIFE_H_RANGE[1])


class Creeping:
    """A fault that grows from 0 to 1 over so many running hours."""

    def __init__(self) -> None:
        self._begun_h, self._full_h = math.inf, 1.0

    def begin(self, hour_h: float, full_h: float) -> None:
        self._begun_h, self._full_h = hour_h, full_h

    def end(self) -> None:
        self._begun_h = math.inf

    def severity(self, hour_h: float) -> float:
        return min(max((hour_h - self._begun_h) / self._full_h, 0.0), 1.0)


class Machine(ABC):
    """A simulated machine. Pure: no input, no output, no clock but ``step``.

    ``life_h``: hours from the onset of wear to failure (drawn if None). ``onset_h``: when wear begins by itself, on the
    hour meter; None waits for ``begin_wear``.
    """

    model: str
    can_be_set: ClassVar[bool] = False
    reference_rpm: ClassVar[float]
    reference_load: ClassVar[float]
    bearing_rise_c: ClassVar[float]
    bearing_tau_h: ClassVar[float]
    acceleration_new_g: ClassVar[float]

    def __init__(self, seed: int, *, life_h: float | None = None, onset_h: float | None = None) -> None:
        self.noise = noise = Noise(seed)
        # Sensors have chance of their own, so that what happens to a machine does not depend on who reads it.
        self.sensor_noise = Noise(seed, stream=1)
        self.clock_h = 0.0
        self.hour_meter_h = 0.0
        self.running = True
        self.setpoint_rpm = round(self.reference_rpm)
        self._onset_h = onset_h
        self._schedule = Schedule(phase_h=noise.uniform(0.0, 120.0))
        self._dawn_h = noise.uniform(0.0, 24.0)
        self._jobs = Jobs(noise, job_h=1.5, spread=0.06)
        self._stress_mean = self._jobs.mean_power(L10_EXPONENT)
        self._traits = self._drawn_traits()
        self.wear = Wear(noise, life_h)
        self._weather = Wander(noise, tau_h=12.0)
        self._mount = Wander(noise, tau_h=3.0)
        self._load = Wander(noise, tau_h=0.3)
        self._season_c_per_h = self._season_from_h = 0.0
        self._ambient_c = self._ambient()
        self._bearing_c = Lag(self._ambient_c + self.bearing_rise_c, self.bearing_tau_h)
        self._unbalance_mm_s = 0.0
        self._dry = Creeping()
        self._drifts: dict[str, tuple[float, float]] = {}
        self._stuck: dict[str, Value] = {}
        self._rpm, self._load_fraction = self._demand()
        self._signals: dict[str, Value] | None = None

    @abstractmethod
    def _demand(self) -> tuple[float, float]:
        """Speed in 1/min and load (1 is rated) that the process asks for now."""

    @abstractmethod
    def _work(self, dt_h: float, run_h: float) -> None:
        """Let the process itself pass: what it makes, its own temperatures."""

    @abstractmethod
    def _process_signals(self) -> dict[str, Value]:
        """The signals that only this kind of machine has, with power and load."""

    def step(self, dt_h: float) -> None:
        """Let ``dt_h`` hours of machine time pass."""
        run_h = self._schedule.running_hours(self.clock_h, self.clock_h + dt_h)
        self.clock_h += dt_h
        self.hour_meter_h += run_h
        self.running = self._schedule.is_running(self.clock_h)
        for wander in (self._weather, self._mount, self._load):
            wander.step(dt_h)
        if self._onset_h is not None and self.hour_meter_h >= self._onset_h:
            self._onset_h = None
            self.wear.begin(None)
        self._rpm, self._load_fraction = self._demand() if self.running else (0.0, 0.0)
        # In revolutions a life is what it is; in hours it falls with the speed.
        self.wear.step(run_h, self._jobs.level(self.clock_h) ** L10_EXPONENT / self._stress_mean * self._pace)
        self._ambient_c = self._ambient()
        self._bearing_c.step(self._ambient_c + self._heat_c(), dt_h)
        self._work(dt_h, run_h)
        self._signals = None

    def signals(self) -> dict[str, Value]:
        """What the sensors say now: the same answer until the next step."""
        if self._signals is None:
            self._signals = self._measured()
        return dict(self._signals)

    @property
    def truth(self) -> Truth:
        wear = self.wear
        return Truth(wear=wear.damage, rul_h=wear.rul_h, life_h=wear.life_h, failed=wear.damage >= 1.0)

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults at work, in words."""
        words = [] if self.wear.life_h is None else [f"wear life_h={self.wear.life_h:.1f}"]
        words += [f"unbalance {self._unbalance_mm_s:g} mm/s"] if self._unbalance_mm_s else []
        words += ["lubrication"] if self._dryness else []
        words += [f"sensor_drift {tag} {rate:g}/h" for tag, (_, rate) in self._drifts.items()]
        return (*words, *(f"stuck_sensor {tag}" for tag in self._stuck))

    def take(self, values: dict[str, Value]) -> bool:
        """Turn at another speed from the next step on: ``values`` is its setpoint alone, as its drive takes it."""
        value = values.get(SETPOINT)
        low, high = (share * self.reference_rpm for share in SETPOINT_SHARES)
        if not self.can_be_set or len(values) != 1 or not isinstance(value, int | float) or not low <= value <= high:
            return False
        self.setpoint_rpm = round(value)
        if self._signals is not None:
            self._signals[SETPOINT] = self.setpoint_rpm
        return True

    @property
    def _pace(self) -> float:
        """The speed that is asked for over the machine's own."""
        return self.setpoint_rpm / self.reference_rpm

    def asked(self, tags: tuple[str, ...]) -> None:  # noqa: B027 - nothing to do, in every machine
        """A machine goes on by time alone, whoever asks."""

    def served(self, tags: tuple[str, ...]) -> None:  # noqa: B027
        """And whoever was answered."""

    def begin_wear(self, life_h: float | None = None) -> None:
        self.wear.begin(life_h)

    def unbalance(self, velocity_mm_s: float = 4.0) -> None:
        """Add an unbalance that gives this velocity RMS at the reference speed; it grows with the speed squared."""
        self._unbalance_mm_s = velocity_mm_s

    def starve(self, full_h: float = 300.0) -> None:
        """Lubrication fails, fully after ``full_h`` running hours: the bearing runs hot, rubs and takes more power."""
        self._dry.begin(self.hour_meter_h, full_h)

    @property
    def _dryness(self) -> float:
        return self._dry.severity(self.hour_meter_h)

    def make_other_products(self, factor: float) -> None:
        """The mix changes: its jobs ask for ``factor`` of the load that the former did. No fault."""
        self._jobs.scale(factor)

    def turn_season(self, kelvin_per_day: float) -> None:
        """From now on the hall gets warmer, or colder, by so much a day. No fault."""
        self._season_c_per_h, self._season_from_h = kelvin_per_day / 24.0, self.clock_h

    def drift_sensor(self, tag: str, rate_per_h: float) -> None:
        """From now on the sensor of ``tag`` is off by ``rate_per_h`` (in its own unit) more each hour."""
        self._drifts[self._sensor(tag)] = (self.clock_h, rate_per_h)
        self._signals = None

    def stick_sensor(self, tag: str) -> None:
        """From now on the sensor of ``tag`` says what it says now."""
        sensor = self._sensor(tag)
        self._stuck[sensor] = self.signals()[sensor]

    def repair(self) -> None:
        """New bearing, balanced and greased, sensors replaced; the hour meter and the counters go on."""
        self.wear.renew()
        self._unbalance_mm_s = 0.0
        self._dry.end()
        self._drifts.clear()
        self._stuck.clear()
        self._signals = None

    def _sensor(self, tag: str) -> str:
        sensors = sorted(set(self.signals()) - set(COUNTED))
        if tag not in sensors:
            raise BabbittError(self.model, f"no sensor measures {tag!r}", f"sensors: {', '.join(sensors)}")
        return tag

    def _drawn_traits(self) -> Traits:
        uniform = self.noise.uniform
        return Traits(
            velocity_new_mm_s=uniform(0.55, 0.75),
            residual_unbalance_mm_s=uniform(0.6, 0.9),
            velocity_failed_mm_s=uniform(8.0, 11.0),
            acceleration_new_g=self.acceleration_new_g * uniform(0.9, 1.1),
            acceleration_failed_g=self.acceleration_new_g * uniform(10.0, 14.0),
        )

    def _ambient(self) -> float:
        day = 4.0 * math.sin(math.tau * (self.clock_h - self._dawn_h) / 24.0)
        season = self._season_c_per_h * (self.clock_h - self._season_from_h)
        return 22.0 + day + season + 0.8 * self._weather.value

    def _rub(self, values: dict[str, Value]) -> None:
        """What a dry bearing does beside its heat: metal touches (high frequencies), and that takes torque."""
        dry = self._dryness if self.running else 0.0
        for tag, share in DRY_SHARES.items():
            value = values.get(tag)
            if dry and isinstance(value, float):
                values[tag] = value * (1.0 + share * dry)

    def _heat_c(self) -> float:
        """Steady rise of the bearing above ambient: friction by speed and load, and by damage."""
        speed, load = self._rpm / self.reference_rpm, self._load_fraction / self.reference_load
        friction_c = 34.0 * growth(self.wear.damage, HEAT_GROWTH) + DRY_HEAT_C * self._dryness
        return (self.bearing_rise_c * (0.4 + 0.6 * load) + friction_c) * speed

    def _measured(self) -> dict[str, Value]:
        normal = self.sensor_noise.normal
        shaken = STANDSTILL
        if self.running:
            shaken = vibration(
                self._traits,
                wear=self.wear.damage,
                speed=self._rpm / self.reference_rpm,
                load=self._load_fraction / self.reference_load,
                unbalance_mm_s=self._unbalance_mm_s,
                rpm=self._rpm,
            )
        mount = math.exp(0.03 * self._mount.value)
        values: dict[str, Value] = {
            "vibration_mm_s": shaken.velocity_mm_s * mount * near_one(0.015, normal()),
            "acceleration_rms_g": shaken.acceleration_g * mount * near_one(0.015, normal()),
            "crest_factor": shaken.crest_factor * near_one(0.035, normal()),
            "kurtosis": shaken.kurtosis * near_one(0.04, normal()),
            "bearing_temperature_c": self._bearing_c.value + 0.15 * normal(),
            "ambient_temperature_c": self._ambient_c + 0.1 * normal(),
            "speed_rpm": max(0.0, self._rpm * (1.0 + 0.0008 * normal())),
            "running": self.running,
            "hour_meter_h": self.hour_meter_h,
        }
        values |= self._process_signals()
        if self.can_be_set:
            values[SETPOINT] = self.setpoint_rpm
        self._rub(values)
        for tag, (since_h, rate_per_h) in self._drifts.items():
            value = values[tag]
            assert isinstance(value, float)
            values[tag] = value + rate_per_h * (self.clock_h - since_h)
        return values | self._stuck

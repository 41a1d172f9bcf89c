"""A sensor that drifts, or a machine that breaks: how early it is found, and how rarely one is taken for the other.

First table, one of three redundant thermometers of a process at 90 °C, which after six months reads 85 (-0.83 °C a
month). All three sit in places of their own, wander about the true value (0.15 °C, a day and a half), scatter by
0.2 °C, are read every 20 minutes in steps of 0.1 °C, and miss 2 % of readings and now and then a day. The process has a
daily cycle, weather, and a load that changes its temperature. It is asked at which offset the right sensor was named,
and how often a sensor was named in simulated years in which none drifted.

Second table, machines of the simulated plant: healthy ones; ones with a worn bearing, an unbalance, failing lubrication
or a cavitating pump; and ones of which one sensor, any of them, drifts within five weeks by 20 to 40 % of its reading
(temperatures by 5 to 10 °C), up or down. In all of them the products change meanwhile (load by up to 3 %), the hall
warms or cools by up to 4 °C, and 3 % of readings are missing. Right is only who called the drifting sensor
(or named it as the one that could be it as well) and never the machine, or the machine and never a sensor, or nothing.

Rivals, on the same hourly means: a fixed threshold on each sensor's own mean (4 learned standard deviations of the
2-day mean: one sensor past it is a drift, more are a fault); and principal components (90 % of variance) of the
conditions and signals together, limits of T2 and Q from the learned hours, where the sensor with more than half of the
contribution to Q drifts, and otherwise the machine is at fault. That one has no robust distance: see the spillover.

The settings in edge/infer/sensors were chosen on seeds below 60000 (--seed 1000 shows them at it). What is printed by
default is of seeds from 80000 on, at which nobody looked before: those from 50000 on had been meant for that, gave 0.90
of the drifts right, showed what was wrong, and were development from then on. Some four minutes on two free cores.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config.asset_class import AssetClass, load_asset_class
from edge.config.sensors import Redundant
from edge.contract.types import SensorFault, Tag, Value
from edge.infer.sensors.spec import SensorSpec, kind_of, spec_of
from edge.infer.sensors.watch import SensorWatch
from edge.plant.machine import COUNTED, Machine
from edge.plant.machines import MACHINES, Pump

Array = NDArray[np.float64]

GOALS = {"offset_at_detection_c": 1.5, "false_per_sensor_year": 1.0, "drift_or_fault_accuracy": 0.95}
ASSETS = Path(__file__).resolve().parents[2] / "firmware_profiles" / "assets"
MODEL_OF = {"cnc_spindle": "spindle", "centrifugal_pump": "pump", "extruder_drive": "extruder"}
HOUR_NS = 3_600_000_000_000

# -- one of three thermometers -----------------------------------------------------------------------------------------

POLL_H = 1.0 / 3.0
THREE = ("temperature_1_c", "temperature_2_c", "temperature_3_c")
DRIFT_C_PER_H = -5.0 / (6 * 30.4 * 24)
LEARNED_H = 200.0


@dataclass(frozen=True)
class Thermometers:
    """``read`` [polls, 3], NaN where nothing came; ``load`` [polls]; ``offset`` [polls] of the first sensor."""

    read: Array
    load: Array
    offset: Array


def thermometers(seed: int, days: float, *, drifts: bool) -> Thermometers:
    draw = np.random.default_rng([seed, 1])
    n = int(days * 24 / POLL_H)
    hours = np.arange(n) * POLL_H
    load = np.clip(np.repeat(draw.uniform(45.0, 85.0, n // 6 + 1), 6)[:n] + draw.standard_normal(n), 0.0, 100.0)
    true = 90.0 + 0.08 * (load - 65.0) + 1.5 * np.sin(math.tau * (hours + draw.uniform(0, 24)) / 24.0)
    true += 1.0 * wandering(draw, n, 60.0)
    read = np.empty((n, 3))
    for k in range(3):
        place = draw.normal(0.0, 0.4) + draw.normal(0.0, 0.01) * (load - 65.0)
        read[:, k] = true + place + 0.15 * wandering(draw, n, 36.0) + 0.2 * draw.standard_normal(n)
    offset = np.where(hours > LEARNED_H, DRIFT_C_PER_H * (hours - LEARNED_H), 0.0) if drifts else np.zeros(n)
    read[:, 0] += offset
    read = np.round(read, 1)
    read[draw.random((n, 3)) < 0.02] = np.nan
    for k in range(3):
        for begin in draw.integers(0, n, max(int(days / 60), 1)):
            read[begin : begin + int(draw.uniform(2.0, 24.0) / POLL_H), k] = np.nan
    return Thermometers(read, load, offset)


def wandering(draw: np.random.Generator, n: int, tau_h: float) -> Array:
    """An Ornstein-Uhlenbeck process of variance 1."""
    kept = math.exp(-POLL_H / tau_h)
    steps = math.sqrt(1.0 - kept * kept) * draw.standard_normal(n)
    steps[0] = draw.standard_normal()
    found = np.empty(n)
    value = 0.0
    for i in range(n):
        value = kept * value + steps[i]
        found[i] = value
    return found


Alarms = Iterator[tuple[int, tuple[int, ...]]]
"""After which poll which of the sensors are called off."""


def by_watch(data: Thermometers, *, vote: bool) -> Alarms:
    """Ours; without ``vote`` nobody told it that the three are redundant, and the model must learn it."""
    groups = (Redundant(tags=THREE),) if vote else ()
    asset_class = AssetClass(
        id="oven", title="Oven", source="", watch=THREE, conditions=("load_percent",), redundant=groups
    )
    watch = SensorWatch(spec_of(asset_class))
    for i, row in enumerate(data.read):
        values: dict[str, object] = {t: float(x) for t, x in zip(THREE, row, strict=True) if np.isfinite(x)}
        values["load_percent"] = float(data.load[i])
        at_ns = int(i * POLL_H * HOUR_NS)
        watch.observe(values, values, at_ns, at_ns)
        off = tuple(THREE.index(s.tag) for s in watch.states if s.tag in THREE)
        yield i, off


def two_days(data: Array) -> Array:
    """Exponential mean over two days of running, NaN skipped: [polls, columns]."""
    rate, found, value = -math.expm1(-POLL_H / 48.0), np.empty_like(data), np.nanmean(data[: int(24 / POLL_H)], axis=0)
    for i, row in enumerate(data):
        value = np.where(np.isfinite(row), value + rate * (row - value), value)
        found[i] = value
    return found


def by_threshold(data: Thermometers) -> Alarms:
    """Each sensor's 2-day mean against its own learned mean and four of the learned standard deviations of that."""
    mean, learned = two_days(data.read), int(LEARNED_H / POLL_H)
    centre, sd = np.nanmean(data.read[:learned], axis=0), np.std(mean[:learned], axis=0)
    for i in range(learned, len(mean)):
        yield i, tuple(np.flatnonzero(np.abs(mean[i] - centre) > 4.0 * np.maximum(sd, 0.1)))


def by_components(data: Thermometers) -> Alarms:
    """Principal components of the three and the load; the largest contribution to Q is the one that is off."""
    both, learned = two_days(np.column_stack([data.read, data.load])), int(LEARNED_H / POLL_H)
    rival = Components(np.nan_to_num(both[:learned], nan=float(np.nanmean(both[:learned]))))
    for i in range(learned, len(both)):
        blamed = rival.blamed(both[i])
        yield i, ((blamed,) if blamed is not None and blamed < 3 else ())


class Components:
    """Q statistic of principal components that hold 90 % of the variance; its limit is the largest learned one."""

    def __init__(self, rows: Array) -> None:
        self._centre, self._sd = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
        z = (rows - self._centre) / self._sd
        _, size, vectors = np.linalg.svd(z, full_matrices=False)
        share = np.cumsum(size**2) / np.sum(size**2)
        self._kept = vectors[: int(np.searchsorted(share, 0.9)) + 1][: rows.shape[1] - 1]
        self._limit = 1.5 * float(max(np.sum(self._left(row) ** 2) for row in rows[:: max(len(rows) // 200, 1)]))
        self._t2_limit = 1.5 * float(
            np.max(np.sum((z @ self._kept.T) ** 2 / np.maximum(size[: len(self._kept)] ** 2 / len(z), 1e-9), axis=1))
        )
        self._variance = np.maximum(size[: len(self._kept)] ** 2 / len(z), 1e-9)

    def _left(self, row: Array) -> Array:
        z = (row - self._centre) / self._sd
        return np.asarray(z - (z @ self._kept.T) @ self._kept)

    def blamed(self, row: Array) -> int | None:
        """The sensor with the largest contribution, where Q or T2 is past its limit."""
        left = self._left(row) ** 2
        return int(left.argmax()) if self.is_out(row) else None

    def is_out(self, row: Array) -> bool:
        z = (row - self._centre) / self._sd
        t2 = float(np.sum((z @ self._kept.T) ** 2 / self._variance))
        return bool(np.sum(self._left(row) ** 2) > self._limit or t2 > self._t2_limit)

    def share(self, row: Array) -> float:
        """Of the largest contribution in Q."""
        left = self._left(row) ** 2
        return float(left.max() / max(float(left.sum()), 1e-12))


METHODS: dict[str, Callable[[Thermometers], Alarms]] = {
    "vote of three": lambda data: by_watch(data, vote=True),
    "learned model alone": lambda data: by_watch(data, vote=False),
    "fixed threshold": by_threshold,
    "PCA contribution": by_components,
}


def found_at(method: str, seed: int) -> tuple[float, int]:
    """Offset (°C, without its sign) at which the drifting one was named, infinite if never; how often another was."""
    data = thermometers(seed, 6 * 30.4 + 9, drifts=True)
    named, wrong = math.inf, 0
    before: tuple[int, ...] = ()
    for i, off in METHODS[method](data):
        if 0 in off and math.isinf(named) and data.offset[i] < 0.0:
            named = abs(float(data.offset[i]))
        wrong += len(set(off) - {0} - set(before))
        before = off
    return named, wrong


def false_calls(method: str, seed: int, days: float) -> int:
    """How often a sensor was newly called off in ``days`` in which none drifted."""
    before: tuple[int, ...] = ()
    calls = 0
    for _, off in METHODS[method](thermometers(seed, days, drifts=False)):
        calls += len(set(off) - set(before))
        before = off
    return calls


# -- drift or fault ----------------------------------------------------------------------------------------------------

CASE_DAYS, BEGINS_H = 36.0, 72.0


@dataclass(frozen=True)
class Case:
    """``truth``: drift, fault or healthy; ``what`` in words, ``sensor`` the one that drifts."""

    asset_class: str
    seed: int
    truth: str
    what: str
    sensor: str
    begin: Callable[[Machine], None]


@dataclass(frozen=True)
class Called:
    """What each method called: drift, fault, both or nothing; ``named``: whether ours named the sensor first."""

    truth: str
    what: str
    seed: int
    ours: str
    threshold: str
    components: str
    named: bool
    after_h: float


def cases(seed: int, count: int) -> list[Case]:
    """Half of them drifts, three eighths faults, the rest healthy; the three classes in turn."""
    found = []
    for i in range(count):
        name = list(MODEL_OF)[i % 3]
        draw = np.random.default_rng([seed, i, 2])
        kind = ("drift", "fault", "drift", "fault", "drift", "fault", "drift", "healthy")[(i // 3) % 8]
        make = {"drift": a_drift, "fault": a_fault, "healthy": nothing}[kind]
        what, sensor, begin = make(name, draw)
        found.append(Case(name, seed + i, kind, what, sensor, begin))
    return found


Made = tuple[str, str, Callable[[Machine], None]]


def nothing(name: str, draw: np.random.Generator) -> Made:
    return "nothing", "", lambda machine: None


def a_drift(name: str, draw: np.random.Generator) -> Made:
    sensor = str(draw.choice(tags_of(MACHINES[MODEL_OF[name]](1))))
    sign, share, kelvin = float(draw.choice([-1.0, 1.0])), draw.uniform(0.2, 0.4), draw.uniform(5.0, 10.0)

    def begin(machine: Machine) -> None:
        now = machine.signals()[sensor]
        assert isinstance(now, float)
        total = kelvin if kind_of(sensor) == "temperature" else share * abs(now)
        machine.drift_sensor(sensor, sign * total / (CASE_DAYS * 24))

    return f"{sensor} {'up' if sign > 0 else 'down'}", sensor, begin


def a_fault(name: str, draw: np.random.Generator) -> Made:
    full_h, life_h = draw.uniform(200.0, 600.0), math.exp(draw.uniform(math.log(200.0), math.log(1000.0)))
    velocity = draw.uniform(2.0, 6.0)
    kinds: list[Made] = [
        ("bearing wear", "", lambda m: m.begin_wear(life_h)),
        ("unbalance", "", lambda m: m.unbalance(velocity)),
        ("lubrication", "", lambda m: m.starve(full_h)),
    ]
    if name == "centrifugal_pump":
        kinds.append(("cavitation", "", lambda m: m.cavitate(full_h) if isinstance(m, Pump) else None))
    return kinds[int(draw.integers(len(kinds)))]


def tags_of(machine: Machine) -> list[str]:
    """The machine's sensors."""
    return sorted(tag for tag, value in machine.signals().items() if isinstance(value, float) and tag not in COUNTED)


def spec_for(name: str, machine: Machine) -> SensorSpec:
    tags = tuple(Tag(tag, "", tag, "other", 2) for tag in tags_of(machine))
    return spec_of(load_asset_class(ASSETS / f"{name}.toml"), tags)


def run(case: Case) -> Called:
    """One machine, from new, through the days of learning, to the end of the case."""
    machine = MACHINES[MODEL_OF[case.asset_class]](case.seed)
    draw = np.random.default_rng([case.seed, 3])
    mix, season = draw.uniform(0.97, 1.03), draw.uniform(-4.0, 4.0) / CASE_DAYS
    watch = SensorWatch(spec_for(case.asset_class, machine), "hour_meter_h")
    tags = tags_of(machine)
    rivals = Rivals(tags)
    drifts, fault, named, begun_h, after_h, learned_h = False, False, False, math.inf, math.inf, math.inf
    while machine.clock_h < min(learned_h, 1000.0) + BEGINS_H + CASE_DAYS * 24:
        machine.step(1.0)
        if watch.learned == 1.0 and math.isinf(learned_h):
            learned_h = machine.clock_h
            rivals.learn()
        if machine.running and machine.clock_h >= learned_h + BEGINS_H and math.isinf(begun_h):
            begun_h = machine.clock_h
            case.begin(machine)
            machine.make_other_products(mix)
            machine.turn_season(season)
        values: dict[str, Value] = {t: v for t, v in machine.signals().items() if draw.random() >= 0.03}
        values["hour_meter_h"] = machine.hour_meter_h
        at_ns = int(machine.clock_h * HOUR_NS)
        watch.observe(values, values, at_ns, at_ns)
        if machine.running:
            rivals.observe(values)
        off = [s for s in watch.states if s.fault is SensorFault.DRIFTING]
        if off and not drifts:
            drifts = True
            named = any(s.tag == case.sensor for s in off) or any(spoken_of(case.sensor) in s.words for s in off)
        fault = fault or bool(watch.machine)
        if (off or watch.machine) and math.isinf(after_h):
            after_h = machine.clock_h - begun_h
    return Called(
        case.truth, case.what, case.seed, call(drifts, fault), rivals.by_threshold, rivals.by_components, named, after_h
    )


def spoken_of(tag: str) -> str:
    from edge.infer.words import spoken

    return f"or else {spoken(tag)[0]} does" if tag else "no sensor"


def call(drifts: bool, fault: bool) -> str:
    return "both" if drifts and fault else "drift" if drifts else "fault" if fault else "nothing"


class Rivals:
    """The two other methods over the same hours; each calls once, at its first alarm that has held for two days."""

    def __init__(self, tags: list[str]) -> None:
        self._tags = tags
        self._rows: list[Array] = []
        self._mean: Array | None = None
        self._limits: tuple[Array, Array] | None = None
        self._pca: Components | None = None
        self._held = Counter[str]()
        self.by_threshold = self.by_components = "nothing"

    def observe(self, values: dict[str, Value]) -> None:
        row = np.array([float(v) if isinstance(v := values.get(t), float) else np.nan for t in self._tags])
        if self._mean is None:
            self._rows.append(row)
            return
        self._mean = np.where(np.isfinite(row), self._mean - math.expm1(-1.0 / 48.0) * (row - self._mean), self._mean)
        assert self._limits is not None
        assert self._pca is not None
        centre, sd = self._limits
        past = int(np.sum(np.abs(self._mean - centre) > 4.0 * sd))
        self.by_threshold = self._hold(
            "threshold", self.by_threshold, "drift" if past == 1 else "fault" if past else ""
        )
        out = "" if not self._pca.is_out(self._mean) else "drift" if self._pca.share(self._mean) > 0.5 else "fault"
        self.by_components = self._hold("components", self.by_components, out)

    def _hold(self, name: str, before: str, now: str) -> str:
        for kind in ("drift", "fault"):
            self._held[name + kind] = self._held[name + kind] + 1 if kind == now else 0
        return now if now and before == "nothing" and self._held[name + now] >= 48 else before

    def learn(self) -> None:
        rows = np.array(self._rows)
        rows = np.where(np.isfinite(rows), rows, np.nanmean(rows, axis=0))
        mean, means = rows[:24].mean(axis=0), []
        for row in rows:
            mean = mean - math.expm1(-1.0 / 48.0) * (row - mean)
            means.append(mean)
        smooth = np.array(means)
        self._limits = rows.mean(axis=0), np.maximum(smooth.std(axis=0), rows.std(axis=0) / math.sqrt(48.0))
        self._pca = Components(rows[: len(rows)])
        self._mean = rows.mean(axis=0)


# -- tables ------------------------------------------------------------------------------------------------------------


def progress(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def redundant_table(seed: int, runs: int, years: int, pool: concurrent.futures.Executor) -> dict[str, dict[str, float]]:
    table = {}
    for method in METHODS:
        at = list(pool.map(found_at, [method] * runs, range(seed, seed + runs)))
        offsets = np.array([offset for offset, _ in at])
        healthy = list(pool.map(false_calls, [method] * years, range(seed + 500, seed + 500 + years), [365.0] * years))
        found = offsets[np.isfinite(offsets)]
        table[method] = {
            "found": len(found), "of": runs, "offset_c": float(found.mean()) if len(found) else math.nan,
            "sd_c": float(found.std()) if len(found) else math.nan, "worst_c": float(offsets.max()),
            "another_named": float(sum(wrong for _, wrong in at)),
            "false_per_sensor_year": sum(healthy) / (3.0 * years),
        }  # fmt: skip
        progress(f"  {method}: done")
    return table


def _case(at: tuple[int, int, int]) -> Called:
    seed, count, i = at
    return run(cases(seed, count)[i])


def case_table(seed: int, count: int, pool: concurrent.futures.Executor) -> list[Called]:
    found = []
    for i, one in enumerate(pool.map(_case, [(seed, count, i) for i in range(count)], chunksize=4)):
        found.append(one)
        if i % 24 == 23:
            progress(f"  {i + 1} of {count} cases")
    return found


def is_right(one: Called) -> bool:
    return one.ours == one.truth or (one.truth == "healthy" and one.ours == "nothing")


def confusion(called: list[Called], method: str) -> dict[str, Counter[str]]:
    return {
        truth: Counter(getattr(c, method) for c in called if c.truth == truth)
        for truth in ("drift", "fault", "healthy")
    }


def share_right(table: dict[str, Counter[str]], truth: str) -> float:
    right = table[truth]["nothing" if truth == "healthy" else truth]
    return right / max(sum(table[truth].values()), 1)


def show(redundant: dict[str, dict[str, float]], called: list[Called], *, years: int) -> None:
    print(f"\n5 °C in six months on one of three, and {3 * years} sensor-years without a drift")
    print(f"{'':22}{'found':>8}{'at offset °C':>16}{'worst':>8}{'another named':>15}{'false/sensor-year':>19}")
    for method, row in redundant.items():
        print(
            f"{method:22}{row['found']:>4.0f}/{row['of']:<3.0f}{row['offset_c']:>9.2f} ± {row['sd_c']:<4.2f}"
            f"{row['worst_c']:>8.2f}{row['another_named']:>15.0f}{row['false_per_sensor_year']:>19.2f}"
        )
    for method, title in (("ours", "ours"), ("threshold", "fixed threshold"), ("components", "PCA contribution")):
        table = confusion(called, method)
        print(f"\n{title + ': what was called':34}{'drift':>8}{'fault':>8}{'both':>8}{'nothing':>9}{'right':>9}")
        for truth, counts in table.items():
            cells = "".join(
                f"{counts[kind]:>{width}}" for kind, width in (("drift", 8), ("fault", 8), ("both", 8), ("nothing", 9))
            )
            print(f"  {truth + f' ({sum(counts.values())} cases)':32}{cells}{100 * share_right(table, truth):>8.1f}%")
    drifts = [c for c in called if c.truth == "drift" and c.ours == "drift"]
    named = sum(c.named for c in drifts)
    print(f"\nof {len(drifts)} drifts that were called, the right sensor was named at once in {named}")
    for kind in ("drift", "fault"):
        after = [c.after_h for c in called if c.truth == kind and is_right(c)]
        print(f"median time to the call, {kind}: {np.median(after) if after else math.nan:.0f} h")
    for one in called:
        if not is_right(one):
            print(f"  wrong: seed {one.seed}, {one.truth} ({one.what}): called {one.ours}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seed", type=int, default=80_000, help="first seed [80000: evaluation; 1000, 50000: development]"
    )
    parser.add_argument("--cases", type=int, default=240, help="machines of the second table [240]")
    parser.add_argument("--runs", type=int, default=10, help="drifting thermometers of the first [10]")
    parser.add_argument("--years", type=int, default=20, help="years of three healthy ones [20]")
    parser.add_argument("--jobs", type=int, default=2, help="processes [2]; the figures do not depend on it")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    began = time.monotonic()
    progress(f"seeds {options.seed} to {options.seed + max(options.cases, 500 + options.years) - 1}")
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        redundant = redundant_table(options.seed, options.runs, options.years, pool)
        called = case_table(options.seed, options.cases, pool)
    ours, table = redundant["vote of three"], confusion(called, "ours")
    figures = {
        "offset_at_detection_c": ours["offset_c"] if ours["found"] == ours["of"] else math.inf,
        "false_per_sensor_year": ours["false_per_sensor_year"],
        # Right either way: the worse of the two counts.
        "drift_or_fault_accuracy": min(share_right(table, "drift"), share_right(table, "fault")),
    }
    progress(f"{time.monotonic() - began:.0f} s")
    if options.json:
        matrices = {
            m: {t: dict(row) for t, row in confusion(called, m).items()} for m in ("ours", "threshold", "components")
        }
        print(json.dumps({"seed": options.seed, "redundant": redundant, "confusion": matrices, "figures": figures}))
        return
    show(redundant, called, years=options.years)
    print()
    for name, value in figures.items():
        print(f"{name}={value:.3f}")


if __name__ == "__main__":
    main()

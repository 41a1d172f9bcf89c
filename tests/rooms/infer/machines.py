"""Simulated machines as batches, and the shipped bundles: what several tests of this room need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.config.asset_class import AssetClass, load_asset_class
from edge.contract.bundle import TrainedBundle, load_trained
from edge.contract.types import Batch, Quality, Value, Verdict
from edge.infer import Judge
from edge.plant.machine import Machine
from edge.plant.machines import MACHINES

PROFILES = Path(__file__).resolve().parents[3] / "firmware_profiles"
MODEL_OF = {"cnc_spindle": "spindle", "centrifugal_pump": "pump", "extruder_drive": "extruder"}
PERIOD_MS = 200
PERIOD_NS = PERIOD_MS * 1_000_000


def asset_class(name: str) -> AssetClass:
    return load_asset_class(PROFILES / "assets" / f"{name}.toml")


def bundle(name: str) -> TrainedBundle:
    return load_trained(PROFILES / "bundles" / name, asset_class=name)


def judge(name: str) -> Judge:
    return Judge("asset-1", asset_class(name), bundle(name), PERIOD_MS)


def batch(values: dict[str, Value], number: int, *, bad: tuple[str, ...] = ()) -> Batch:
    """The ``number``-th poll; tags in ``bad`` failed on the bus."""
    now = number * PERIOD_NS
    return Batch(
        asset="asset-1",
        tags=tuple(values),
        values=tuple(None if tag in bad else value for tag, value in values.items()),
        quality=tuple(Quality.BAD_BUS if tag in bad else Quality.GOOD for tag in values),
        source_ns=(now,) * len(values),
        read_ns=now,
        mono_ns=now,
    )


@dataclass
class Watched:
    """A machine under a judge, polled every ``pace_h`` machine hours, asked for a verdict every ``every`` polls."""

    machine: Machine
    judge: Judge
    pace_h: float
    every: int = 5
    polls: int = field(default=0)

    def poll(self, *, bad: tuple[str, ...] = ()) -> Batch:
        self.machine.step(self.pace_h)
        self.polls += 1
        taken = batch(self.machine.signals(), self.polls, bad=bad)
        self.judge.observe(taken)
        return taken

    def verdict(self) -> Verdict:
        verdict = self.judge.verdict(0, mono_ns=self.polls * PERIOD_NS)
        assert verdict is not None
        return verdict

    def verdicts(self, *, until_h: float = 1e9) -> Iterator[Verdict]:
        """Verdicts until the machine has failed or its hour meter reads ``until_h``."""
        while not self.machine.truth.failed and self.machine.hour_meter_h < until_h:
            self.poll()
            if self.polls % self.every == 0:
                yield self.verdict()


def watched(
    name: str,
    seed: int,
    *,
    pace_h: float = 1.4,
    life_h: float | None = None,
    onset_h: float | None = None,
    every: int = 5,
) -> Watched:
    machine = MACHINES[MODEL_OF[name]](seed, life_h=life_h, onset_h=onset_h)
    return Watched(machine, judge(name), pace_h, every)

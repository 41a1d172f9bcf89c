"""Random and thermal processes with exact updates: the same statistics whether time passes in seconds or in hours.

Each update is the solution of the process over the step, not an Euler approximation of it, so no step is too long.
All times are hours of machine time. Pure: no clock, no input or output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


class Noise:
    """Standard normal and uniform numbers from a seed, drawn in blocks because a call costs more than a number.

    Streams of one seed are independent of each other.
    """

    def __init__(self, seed: int, stream: int = 0) -> None:
        self._generator = np.random.default_rng([seed, stream])
        self._normals: list[float] = []

    def normal(self) -> float:
        if not self._normals:
            self._normals = self._generator.standard_normal(512).tolist()
        return self._normals.pop()

    def uniform(self, low: float, high: float) -> float:
        return float(self._generator.uniform(low, high))


class Wander:
    """An Ornstein-Uhlenbeck process of mean 0 and variance 1 that forgets its past with the time constant ``tau_h``."""

    def __init__(self, noise: Noise, tau_h: float) -> None:
        self._noise, self._tau_h = noise, tau_h
        self.value = noise.normal()

    def step(self, dt_h: float) -> None:
        kept = math.exp(-dt_h / self._tau_h)
        self.value = kept * self.value + math.sqrt(1.0 - kept * kept) * self._noise.normal()


class Lag:
    """A first-order lag (one thermal mass): it approaches its target with the time constant ``tau_h``."""

    def __init__(self, value: float, tau_h: float) -> None:
        self.value, self._tau_h = value, tau_h

    def step(self, target: float, dt_h: float) -> None:
        self.value = target + (self.value - target) * math.exp(-dt_h / self._tau_h)


@dataclass(frozen=True, slots=True)
class Schedule:
    """It runs, but for ``stop_h`` hours at the end of every period of ``period_h``; ``phase_h`` hours into one at 0."""

    period_h: float = 168.0
    stop_h: float = 4.0
    phase_h: float = 0.0

    def is_running(self, clock_h: float) -> bool:
        return (clock_h + self.phase_h) % self.period_h < self.period_h - self.stop_h

    def running_hours(self, from_h: float, to_h: float) -> float:
        """How many of the hours between two times it runs."""
        return self._run_until(to_h + self.phase_h) - self._run_until(from_h + self.phase_h)

    def _run_until(self, h: float) -> float:
        periods, rest = divmod(h, self.period_h)
        return periods * (self.period_h - self.stop_h) + min(rest, self.period_h - self.stop_h)


class Jobs:
    """What the machine is asked to do: jobs of ``job_h`` hours, each with a level around 1, in a fixed cycle."""

    COUNT = 97

    def __init__(self, noise: Noise, job_h: float, spread: float) -> None:
        self._job_h = job_h
        self._levels = [1.0 + spread * noise.uniform(-1.0, 1.0) for _ in range(self.COUNT)]

    def level(self, clock_h: float) -> float:
        return self._levels[int(clock_h / self._job_h) % self.COUNT]

    def scale(self, factor: float) -> None:
        """Other products from now on, which ask for ``factor`` of what the former did."""
        self._levels = [factor * level for level in self._levels]

    def mean_power(self, exponent: float) -> float:
        """Mean of level ** exponent over the cycle."""
        return math.fsum(math.pow(level, exponent) for level in self._levels) / self.COUNT


def near_one(sigma: float, normal: float) -> float:
    """A log-normal factor: multiplicative sensor noise of relative size ``sigma``."""
    return math.exp(sigma * normal)

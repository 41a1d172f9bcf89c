"""What one sensor gives away by itself, poll by poll: stuck, noisy, clipped, spiking.

Each sign is measured while the sensor is learned and stands only where it is far beyond what was usual then: a coarse
sensor repeats itself, and a valve stands at its stop for hours, and both are healthy. A machine fault may make a
signal louder, but it neither freezes it nor pins it to one value.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from edge.contract.types import SensorFault

LEARN_POLLS = 200
_SETTLED = 20
_FULL_POLLS = 100
_RATE = 1.0 / _FULL_POLLS
"""Shares and scatter are exponential means over some 100 polls."""
_STUCK_RUNS, _STUCK_LEAST = 6.0, 30
"""Stuck: the same value for so many times the longest run that was usual, and for so many polls at least."""
_NOISY, _CLIPPED, _CLIPPED_USUAL = 4.0, 0.3, 3.0
_VISITS = 3
"""One long stay at the highest value is a stuck sensor; one that comes back to it again and again is cut off there."""
_SPIKE, _BACK, _SPIKING = 8.0, 3.0, 0.03
_HELD_POLLS, _FREE_POLLS = 60, 200
"""A sign must stand, and be gone again, for so many polls before it is said, and before it is taken back. What is noisy
has spikes too at first: those must stand twice as long, and a stuck sensor stood still for long enough already."""
_HELD = {"stuck": 0, "spiking": 2 * _HELD_POLLS}


@dataclass(slots=True)
class Signs:
    """One sensor. ``update`` takes a poll's value; ``fault`` is the sign that stands, None where none does."""

    polls: int = 0
    last: float = math.nan
    before: float = math.nan
    run: int = 0
    run_usual: int = 0
    changes: int = 0
    step: float = 0.0
    """Exponential mean of the absolute step between polls, spikes left out."""
    step_usual: float = 0.0
    level: float = 0.0
    """Exponential mean of the absolute value: what shakes ten times as much also scatters ten times as much."""
    level_usual: float = 0.0
    high: float = -math.inf
    low: float = math.inf
    at_high: float = 0.0
    at_low: float = 0.0
    visits: int = 0
    """How often it came to stand at its highest or lowest value since that was last exceeded."""
    grain: float = math.inf
    """The smallest step that was seen: its resolution."""
    pinned_usual: float = 0.0
    spikes: float = 0.0
    spikes_usual: float = 0.0
    suspect: str = ""
    suspect_polls: int = 0
    fault: str = ""
    free_polls: int = 0

    def update(self, value: float, *, others_move: bool) -> None:
        """``others_move``: whether other signals of the asset changed, without which standing still says nothing."""
        self.polls += 1
        self._follow(value, others_move=others_move)
        if self.polls <= LEARN_POLLS:
            self._learn()
            return
        self._settle(self._sign())

    @property
    def sensor_fault(self) -> SensorFault | None:
        return SensorFault(self.fault) if self.fault else None

    def _follow(self, value: float, *, others_move: bool) -> None:
        same = value == self.last
        self.run = self.run + others_move if same else 0
        self.changes += not same and self.polls > 1
        self._count_spike(value)
        if value > self.high:
            self.high, self.at_high, self.visits = value, 0.0, 0
        if value < self.low:
            self.low, self.at_low, self.visits = value, 0.0, 0
        self.visits += not same and value in (self.high, self.low)
        self.at_high += _RATE * ((value == self.high) - self.at_high)
        self.at_low += _RATE * ((value == self.low) - self.at_low)
        self.before, self.last = self.last, value

    def _count_spike(self, value: float) -> None:
        """The middle of the last three is a spike where it stands far from both of its neighbours, which agree."""
        step, out = abs(value - self.last), abs(self.last - self.before)
        out = min(out, step)
        scale = self._usual_step()
        spiked = scale > 0.0 and out > _SPIKE * scale and abs(value - self.before) < _BACK * scale
        self.spikes += _RATE * (spiked - self.spikes)
        self.level += (_RATE if self.polls >= _FULL_POLLS else 1.0 / self.polls) * (abs(value) - self.level)
        if self.polls > 1:
            if 0.0 < step < self.grain:
                self.grain = step
            # A jump, to a spike or back, is no scatter: it counts as eight usual steps at most.
            if self.polls > _SETTLED and step > _SPIKE * scale:
                step = _SPIKE * scale
            self.step += (_RATE if self.polls > _FULL_POLLS else 1.0 / (self.polls - 1)) * (step - self.step)

    def _usual_step(self) -> float:
        step = self.step_usual or self.step
        if step < self.grain < math.inf:
            step = self.grain
        return step * (self.level / self.level_usual) if 0.0 < self.level_usual < self.level else step

    def _learn(self) -> None:
        self.run_usual = max(self.run_usual, self.run)
        if self.polls == LEARN_POLLS:
            self.step_usual, self.level_usual = self.step, self.level
            self.pinned_usual = max(self.at_high, self.at_low)
            self.spikes_usual = self.spikes

    def _sign(self) -> str:
        if self.changes < 5 or self.step_usual == 0.0:
            # It hardly ever moved: a set-point or a constant, of which nothing can be said.
            return ""
        pinned = max(self.at_low, self.at_high)
        if (
            pinned > _CLIPPED
            and pinned > _CLIPPED_USUAL * self.pinned_usual
            and self.visits >= _VISITS
            and self.run_usual < 10
        ):
            return SensorFault.CLIPPED
        if self.run >= _STUCK_LEAST and self.run >= _STUCK_RUNS * self.run_usual:
            return SensorFault.STUCK
        # Asked for little first: a usual step is never less than that of its learning.
        if self.step > _NOISY * self.step_usual and self.step > _NOISY * self._usual_step():
            return SensorFault.NOISY
        is_spiking = self.spikes > _SPIKING and self.spikes > 3.0 * self.spikes_usual
        return SensorFault.SPIKING if is_spiking else ""

    def _settle(self, sign: str) -> None:
        if sign and sign == self.suspect:
            self.suspect_polls += 1
        else:
            self.suspect, self.suspect_polls = sign, 0
        if sign and self.suspect_polls >= _HELD.get(sign, _HELD_POLLS):
            self.fault, self.free_polls = sign, 0
        elif self.fault and not sign:
            self.free_polls += 1
            if self.free_polls >= _FREE_POLLS:
                self.fault, self.free_polls = "", 0

    def kept(self) -> dict[str, Any]:
        """Without what is as in a new one, so that many sensors fit a few kilobytes."""
        new = asdict(Signs())
        return {key: value for key, value in asdict(self).items() if repr(value) != repr(new[key])}

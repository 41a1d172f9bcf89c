"""What happens when, in one run of the demo: pure data, scaled to the seconds that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["wear", "cut", "mend", "silence", "speak", "repair", "say", "advise", "approve"]

OUTAGE_S = 20.0
SECONDS_MIN = 60.0
LIFE_H = 350.0
"""From the onset of wear to failure, on the machine's own hour meter."""


@dataclass(frozen=True, slots=True)
class Step:
    """At ``at_s`` after the first reading, do ``action``, and say ``words``."""

    at_s: float
    action: Action
    words: str


@dataclass(frozen=True, slots=True)
class Story:
    """``speed``: machine seconds in one second of wall time, and ``pace`` the same in words; ``life_h``: the wear's
    length on the hour meter."""

    seconds: float
    speed: float | None
    life_h: float
    pace: str
    steps: tuple[Step, ...]

    @property
    def outage(self) -> tuple[float, float]:
        at = {step.action: step.at_s for step in self.steps}
        return at["cut"], at["mend"]


def tell(seconds: float, speed: float | None) -> Story:
    """The story for a run of ``seconds``. Without ``speed``, wear takes 350 h of the hour meter in half of the run."""
    onset_s, wear_s = 0.22 * seconds, 0.5 * seconds
    cut_s = onset_s + 0.3 * wear_s
    life_h = LIFE_H if speed is None else speed * wear_s / 3600
    speed = speed or LIFE_H * 3600 / wear_s
    failure_s = onset_s + wear_s
    steps = (
        Step(0, "say", "all three machines are healthy; the gateway learns what healthy means for each"),
        Step(0.03 * seconds, "advise", "ada asks for Pump 1 at 1,150 rpm: by the cube law, half the power"),
        Step(0.09 * seconds, "approve", "bob and carol approve it, each with a key of their own"),
        Step(onset_s, "wear", f"wear begins in the spindle's front bearing: it has {life_h:.0f} h to live"),
        Step(cut_s, "cut", f"the cable to the cloud is cut for {OUTAGE_S:.0f} s; the gateway goes on alone"),
        Step(cut_s + OUTAGE_S, "mend", "the cable is back; the backlog follows"),
        Step(
            failure_s - 0.06 * seconds, "silence", "the extruder's unit goes dead: its readings are bad, with a cause"
        ),
        Step(failure_s, "speak", "the extruder answers again"),
        Step(failure_s + 0.07 * seconds, "repair", "the spindle gets a new bearing"),
    )
    words = f"1 s here is {speed / 3600:.1f} h on the machines' hour meters"
    in_time = tuple(sorted(steps, key=lambda step: step.at_s))
    return Story(seconds=seconds, speed=speed, life_h=life_h, pace=words, steps=in_time)


def tell_recording(seconds: float, speed: float | None) -> Story:
    """With a recording nothing is made to happen to the machine: only the cable is cut.

    Without ``speed`` the recording does not follow the clock: each row waits to be read, so that none is missed.
    """
    cut_s = 0.4 * seconds
    steps = (
        Step(0, "say", f"the recording plays through the plant's registers, {pace(speed)}"),
        Step(cut_s, "cut", f"the cable to the cloud is cut for {OUTAGE_S:.0f} s; the gateway goes on alone"),
        Step(cut_s + OUTAGE_S, "mend", "the cable is back; the backlog follows"),
    )
    return Story(seconds=seconds, speed=speed, life_h=0.0, pace=pace(speed), steps=steps)


def pace(speed: float | None) -> str:
    """A recording's speed in words."""
    return "a row a poll" if speed is None else f"{speed:g} times as fast as it was recorded"

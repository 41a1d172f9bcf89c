"""From findings block by block to a call that stands: how long one explanation must hold before it is believed.

To read a fault of the machine as a sensor that drifts is the worse mistake, for it silences the warning. So where a
sensor moves as a fault of the machine would move it, more time must pass, in which the others would follow; where a
fault would move it before all others, still more, and it must go on rising: what jumps and stays is no drift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from edge.infer.sensors.isolate import Finding

_BLOCKS, _STRONG_BLOCKS, _COUPLED_BLOCKS, _PAIR_BLOCKS, _EARLY_BLOCKS = 8, 4, 16, 20, 40
_STRONG = 15.0
_GROWN, _STAYED = 1.5, 1.15
"""What drifts on grows by half in the time that is waited, or in twice that; what jumped stays as it was."""
_GROWN_FROM = 6
_MACHINE_BLOCKS = 6


class Manner(IntEnum):
    """How a sensor's shift looks beside the machine's faults: like none, like a part of one, like its beginning."""

    ALIEN = 0
    COUPLED = 1
    EARLY = 2


@dataclass
class Suspicion:
    """``suspects`` are who has explained what stands off for the last ``blocks``; ``machine`` that nobody could."""

    suspects: tuple[int, ...] = ()
    blocks: int = 0
    first_shift: float = 0.0
    machine_blocks: int = 0
    quiet_blocks: int = 0
    machine: bool = False
    coupling: str = ""
    together: tuple[str, ...] = ()

    def take(
        self, finding: Finding, still: Callable[[tuple[int, ...]], bool], shift: Callable[[int], float],
        manner: Callable[[int, float], Manner],
    ) -> tuple[int, ...]:  # fmt: skip
        """Take one block's finding; the sensors that are called off by it, mostly none.

        ``still`` tells whether suspects would still explain everything, ``shift`` how far a sensor is off now, and
        ``manner`` how that looks beside the machine's faults.
        """
        self._settle_machine(finding)
        if not finding.sensors:
            self.blocks = max(self.blocks - 1, 0) if not finding.machine else 0
            return ()
        if finding.sensors != self.suspects and not (self.suspects and self.blocks and still(self.suspects)):
            self.suspects, self.blocks, self.first_shift = finding.sensors, 0, 0.0
        self.blocks += 1
        now = shift(self.suspects[0])
        if self.blocks == _GROWN_FROM:
            self.first_shift = now
        if self.blocks < self._needed(finding.strength, manner, shift):
            return ()
        if manner(self.suspects[0], now) is Manner.EARLY:
            grown = abs(now) / max(abs(self.first_shift), 1e-12)
            self.machine = self.machine or grown < _STAYED
            if grown < _GROWN:
                return ()
        if self.machine:
            return ()
        called, self.suspects, self.blocks = self.suspects, (), 0
        return called

    def _needed(
        self, strength: float, manner: Callable[[int, float], Manner], shift: Callable[[int], float]
    ) -> int:  # fmt: skip
        looks = max(manner(j, shift(j)) for j in self.suspects)
        if looks is Manner.EARLY:
            return _EARLY_BLOCKS
        if len(self.suspects) > 1:
            return _PAIR_BLOCKS
        if looks is Manner.COUPLED:
            return _COUPLED_BLOCKS
        return _STRONG_BLOCKS if strength >= _STRONG else _BLOCKS

    def _settle_machine(self, finding: Finding) -> None:
        self.machine_blocks = self.machine_blocks + 1 if finding.machine else 0
        self.quiet_blocks = 0 if finding.machine else self.quiet_blocks + 1
        if self.machine_blocks >= _MACHINE_BLOCKS:
            self.machine = True
        if self.machine and finding.machine and finding.coupling:
            self.coupling, self.together = finding.coupling, finding.together
        if self.machine and self.quiet_blocks >= 2 * _MACHINE_BLOCKS and not finding.sensors:
            self.machine, self.coupling, self.together = False, "", ()

    def kept(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(kept: dict[str, Any]) -> Suspicion:
        return Suspicion(**{**kept, "suspects": tuple(kept["suspects"]), "together": tuple(kept["together"])})

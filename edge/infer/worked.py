"""How long, how hard and how hot an asset ran: its week, and its hours since it is watched, for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.features.duty import Duty
from edge.features.tracker import number
from edge.infer.sensors.spec import SensorSpec, kind_of

_STEP_NS = 10_000_000_000
"""Often enough for hours and a week's trend, and seldom enough to cost nothing."""


class Worked:
    """One asset: its first temperature but that of the air, its load (or power), whether it runs."""

    def __init__(self, spec: SensorSpec, speed: str) -> None:
        """``speed`` tells whether it runs where no tag ``running`` does; empty where there is none."""
        tags = [tag for tag in spec.tags if tag != spec.ambient]
        kinds = {kind: tag for tag in reversed(tags) if (kind := kind_of(tag))}
        self._temperature = kinds.get("temperature", "")
        self._load = kinds.get("load") or kinds.get("power", "")
        self._speed = speed
        self._duty = Duty()
        self._mono_ns = -_STEP_NS

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int) -> None:
        """Take one poll's good values, with its wall and monotonic times."""
        if 0 <= mono_ns - self._mono_ns < _STEP_NS:
            return
        self._mono_ns = mono_ns
        running = values.get("running")
        if not isinstance(running, bool):
            speed = number(values.get(self._speed))
            running = speed > 0.0 if speed is not None else None
        self._duty.update(
            read_ns, running=running, load=values.get(self._load), temperature_c=values.get(self._temperature)
        )

    def features(self) -> dict[str, float]:
        """By name, units last; what is not known yet is left out."""
        return self._duty.features()

    def kept(self) -> dict[str, Any]:
        return {"mono_ns": self._mono_ns, "duty": self._duty.kept()}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Continue. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what ``kept`` never gave."""
        if not self._duty.restore(kept["duty"]):
            raise ValueError("the duty of another version")
        self._mono_ns = int(kept["mono_ns"])

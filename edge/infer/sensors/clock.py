"""Hours for what only counts while the machine runs: of its own meter, or of the gateway's clock where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.features.tracker import number

_GAP_MAX_H = 2.0
WARM_UP_H = 2.0
"""After a standstill the machine is cold: what it shows meanwhile is compared with nothing."""


class RunningHours:
    """``at`` is the hours that have run; ``warm`` whether it has run for long enough."""

    def __init__(self, hour_meter: str, conditions: tuple[str, ...]) -> None:
        self._meter, self._conditions = hour_meter, conditions
        self.at = 0.0
        self._meter_h = -1.0
        self._mono_ns = -1
        self._warm_at = 0.0

    def update(self, values: Mapping[str, object], mono_ns: int) -> bool:
        """Take a poll; True where the machine runs and is warm."""
        passed_h = self._passed(values, mono_ns)
        self.at += passed_h
        asked = [number(values.get(tag)) for tag in self._conditions]
        if asked and all(value == 0.0 for value in asked):
            self._warm_at = self.at + WARM_UP_H
            return False
        return self.at >= self._warm_at

    def _passed(self, values: Mapping[str, object], mono_ns: int) -> float:
        """Hours since the last poll; gaps count as two hours at most, a replaced meter or a new boot as none."""
        before_ns, self._mono_ns = self._mono_ns, mono_ns
        hour = number(values.get(self._meter)) if self._meter else None
        if hour is not None:
            before_h, self._meter_h = self._meter_h, hour
            return min(max(hour - before_h, 0.0), _GAP_MAX_H) if before_h >= 0.0 else 0.0
        if self._meter or before_ns < 0:
            return 0.0
        return min(max(mono_ns - before_ns, 0) / 3.6e12, _GAP_MAX_H)

    def kept(self) -> list[Any]:
        return [self.at, self._meter_h, self._mono_ns, self._warm_at]

    def restore(self, kept: list[Any]) -> None:
        self.at, self._meter_h, self._mono_ns, self._warm_at = kept

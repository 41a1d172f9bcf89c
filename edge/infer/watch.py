"""Time watched: what passed between polls, by the monotonic clock, which no correction of the time can move."""

from __future__ import annotations

_GAP_POLLS = 10.0


class Watch:
    """A longer silence, a stop or a restart is worth one poll, ``period_s``: nobody watched then."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._mono_ns = 0
        self._passed_s = 0.0

    def poll(self, mono_ns: int) -> None:
        elapsed_s = (mono_ns - self._mono_ns) / 1e9
        self._mono_ns = mono_ns
        self._passed_s += elapsed_s if 0.0 <= elapsed_s <= _GAP_POLLS * self._period_s else self._period_s

    def passed_s(self) -> float:
        """Seconds watched since this was asked before."""
        passed_s, self._passed_s = self._passed_s, 0.0
        return passed_s

    def kept(self) -> list[float]:
        return [self._mono_ns, self._passed_s]

    def restore(self, kept: list[float]) -> None:
        self._mono_ns, self._passed_s = int(kept[0]), float(kept[1])

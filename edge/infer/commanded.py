"""A speed that somebody asked for is no fault of the machine: at one that it never ran at, nothing is known of it.

What is normal was learned at the speeds that were asked for meanwhile. At another one power, temperature and vibration
are others without anything being wrong, or hide that something is. So nothing is judged there, and nothing averaged; it
is said why. A speed that changes though none was asked for stays what it is: evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.features.tracker import number

_REACH = 0.05
"""Of the speed asked for: so much further off it is no other operating point."""
_SETTLED_NS = 600 * 10**9
"""For so long at most a machine may take to follow what is asked of it again."""


class Commanded:
    """``setpoint`` is the tag of the speed asked for, ``speed`` that of its own; without them nothing is ever off."""

    def __init__(self, setpoint: str, speed: str) -> None:
        self._setpoint, self._speed = setpoint, speed
        self._low: float | None = None
        self._high = 0.0
        self._asked = 0.0
        self._since_ns: int | None = None
        self.away = False

    def observe(self, values: Mapping[str, object], mono_ns: int, *, learning: bool) -> None:
        """Take one poll's good values; ``learning``: what is normal is being learned from them."""
        asked = number(values.get(self._setpoint)) if self._setpoint else None
        if asked is None or asked <= 0.0:
            return
        self._asked = asked
        if learning:
            low = asked if self._low is None else self._low
            self._low, self._high = min(low, asked), max(self._high, asked)
        if self._low is None:
            return  # It was learned elsewhere, or before the speeds asked for were remembered.
        if not self._low * (1.0 - _REACH) <= asked <= self._high * (1.0 + _REACH):
            self.away, self._since_ns = True, None
        elif self.away:
            self._since_ns = mono_ns if self._since_ns is None else self._since_ns
            speed = number(values.get(self._speed))
            follows = speed is not None and abs(speed - asked) <= _REACH * asked
            if follows or not 0 <= mono_ns - self._since_ns < _SETTLED_NS:
                self.away, self._since_ns = False, None

    @property
    def words(self) -> str:
        """Why nothing is judged, while that is so."""
        assert self._low is not None
        learned = f"{self._low:g}" if self._low == self._high else f"{self._low:g} to {self._high:g}"
        return f"{self._asked:g} is asked for as its speed, and what is normal was learned at {learned}"

    def kept(self) -> list[Any]:
        return [self._low, self._high, self._asked, self._since_ns, self.away]

    def restore(self, kept: list[Any]) -> None:
        """Raises ``TypeError`` or ``ValueError`` for what ``kept`` never gave."""
        low, high, asked, since_ns, away = kept
        self._low = None if low is None else float(low)
        self._high, self._asked, self.away = float(high), float(asked), bool(away)
        self._since_ns = None if since_ns is None else int(since_ns)

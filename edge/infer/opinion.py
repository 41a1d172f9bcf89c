"""What a judge's mind thinks of an asset, before coverage and identity make it a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edge.contract.bundle import Ages
from edge.contract.types import Reason, SurvivalPoint, Urgency, urgency_of

NOT_ENOUGH = "not enough evidence"
BUNDLE, PRIOR = "bundle", "prior"
"""What a life may rest on."""


@dataclass(frozen=True, slots=True)
class Life:
    """Remaining useful life in hours with its interval: ``low_h <= rul_h <= high_h``."""

    rul_h: float
    low_h: float
    high_h: float


@dataclass(frozen=True, slots=True)
class Opinion:
    """``life`` is None where there is too little evidence; ``note`` then says what is missing.

    ``anomaly_p`` is the conformal p-value of ``anomaly`` among healthy ones, None where none has been seen yet.
    ``departs``: the asset is known to be other than healthy, if not how. ``survival`` belongs to ``life``, which rests
    on ``basis``; ``failure_p`` is the chance of a failure within ``stop_h`` hours. ``urgent_h`` is the lower end of the
    life by which its urgency is judged, where that is not the one shown.
    """

    health: float | None = None
    anomaly: float | None = None
    anomalous: bool = False
    life: Life | None = None
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    anomaly_p: float | None = None
    survival: tuple[SurvivalPoint, ...] = ()
    departs: bool = False
    basis: str = ""
    stop_h: float | None = None
    failure_p: float | None = None
    urgent_h: float | None = None

    @property
    def urgency(self) -> Urgency:
        """What the life asks for; UNKNOWN where there is none by its condition."""
        if self.life is None or self.basis != BUNDLE:
            return Urgency.UNKNOWN
        return urgency_of(self.life.low_h if self.urgent_h is None else self.urgent_h)


class Mind(Protocol):
    """One way of judging: with a bundle, or by what it has learned itself."""

    tags: tuple[str, ...]
    """Tags whose readings are the evidence; empty for all."""
    ages: Ages | None
    """What its bundle tells of the ages at which such machines fail."""

    @property
    def learning(self) -> bool:
        """Whether what is normal is still learned from what it observes."""

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int, /) -> None:
        """Take one poll's good values, with its wall and monotonic times."""

    def doubt(self, tags: frozenset[str]) -> None:
        """From now on these sensors are not believed, and those that were doubted before are again."""

    def opine(self) -> Opinion: ...
    def kept(self) -> dict[str, Any]:
        """What a restart needs, as plain JSON data."""

    def restore(self, kept: dict[str, Any]) -> bool:
        """Continue; False, with nothing changed, where ``kept`` is another mind's."""

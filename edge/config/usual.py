"""What a rule's deadband and delays are where nobody says: by the kind of its signal, each figure with its source."""

from __future__ import annotations

from dataclasses import dataclass

_EEMUA = "EEMUA 191"
_COMMON = "common practice beside ISA-18.2"
_OURS = "ours, no standard's"


@dataclass(frozen=True, slots=True)
class Usual:
    """``deadband_percent`` is of the signal's range; of the limit where that is not known, and always of a ``scatter``,
    which grows with the value. ``delay_s`` is both for raising and for clearing."""

    deadband_percent: float
    deadband_source: str
    delay_s: float
    delay_source: str
    scatter: bool = False


USUAL: dict[str, Usual] = {
    "flow": Usual(5.0, _EEMUA, 15.0, _COMMON),
    "level": Usual(5.0, f"{_EEMUA}; some tables have 2 %", 60.0, _COMMON),
    "pressure": Usual(2.0, _EEMUA, 15.0, _COMMON),
    "temperature": Usual(1.0, _EEMUA, 60.0, _COMMON),
    "vibration": Usual(5.0, f"{_OURS}: the scatter of an RMS value", 5.0, _OURS, scatter=True),
}
"""By ``Signal.kind``; others have none."""

OFF_THE_MARK_PERCENT = 10.0
"""Of the limit of a rate or a deviation, which lies about 0 and has no range: its deadband. Ours, no standard's."""

STALE_OFF_DELAY_S = 1.0
"""A tag that is read again once, and then not, is still stale. Ours."""

RATE_WINDOW_S = 60.0

"""How well the alarms serve their people, in the figures of ISA-18.2 and EEMUA 191, over the last hour, day and week.

Counted in spans of ten minutes of the time that the gateway watched, in bounded memory: 1,009 spans, and for each rule
that raised its counts of eight days. Time in which it did not run is passed over where a clock can say how long it
was. A raising is counted once, also over a kill: those since the figures were last kept go with the alarms' own state.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from edge.alarm.memory import Moment, Raising, packed
from edge.contract.types import Priority

log = logging.getLogger(__name__)

SPAN_NS = 600 * 10**9
WINDOWS = {"hour": 6, "day": 144, "week": 1008}
"""In spans; what is under way comes on top."""
SPANS_A_DAY = 144
DAYS = 7
WORST = 10
VERSION = 1


class Span(msgspec.Struct, array_like=True):
    """Ten minutes: seconds watched, of these in a flood, raisings that called by priority, and those held back."""

    number: int
    watched_s: float = 0.0
    flood_s: float = 0.0
    low: int = 0
    medium: int = 0
    high: int = 0
    held: int = 0

    @property
    def called(self) -> int:
        return self.low + self.medium + self.high


class _State(msgspec.Struct, frozen=True):
    version: int
    at: Moment
    time_ns: int
    total: int
    spans: list[Span]
    actors: list[tuple[str, str, dict[int, int]]]


class Figures:
    """``total`` is how many raisings there ever were."""

    def __init__(self) -> None:
        self._spans: deque[Span] = deque([Span(0)], maxlen=WINDOWS["week"] + 1)
        self._actors: dict[tuple[str, str], dict[int, int]] = {}
        self._shift_ns: int | None = None
        self._at_ns = self._kept_ns = 0
        self.total = 0
        self._recent: list[bytes] = []

    def recent(self) -> list[bytes]:
        """The raisings that the kept figures do not know, ``packed``."""
        return self._recent

    def pass_time(self, mono_ns: int, *, flood: bool) -> None:
        """Until now it was watched, and the last of it was a ``flood`` or not."""
        time_ns = self._time_ns(mono_ns)
        elapsed_s = max(time_ns - self._at_ns, 0) / 1e9
        self._at_ns = max(time_ns, self._at_ns)
        span = self._span()
        span.watched_s += elapsed_s
        span.flood_s += elapsed_s if flood else 0.0

    def raised(self, asset: str, rule: str, priority: Priority, *, held: bool) -> None:
        """Count one raising, which called or was held back, at the time until which was passed."""
        self.total += 1
        raising = Raising(self.total, asset, rule, priority, held)
        self._recent.append(packed(raising))
        self._count(raising)

    def report(self) -> dict[str, Any]:
        """Plain data: counts and rates by window, shares, and the rules that raised most often in the last week.

        ``estimated`` are the rates that are none of a time so long as they speak of: a minute's alarms make no hour's.
        """
        now = self._span().number
        windows = {name: [span for span in self._spans if span.number >= now - n] for name, n in WINDOWS.items()}
        week = windows["week"]
        called = sum(span.called for span in week)
        return {
            "watched_h": {name: round(_sum(spans, "watched_s") / 3600, 3) for name, spans in windows.items()},
            "alarms": {name: int(_sum(spans, "called")) for name, spans in windows.items()},
            "held_back": {name: int(_sum(spans, "held")) for name, spans in windows.items()},
            "alarms_per_h": {name: _rate(spans, 3600) for name, spans in windows.items()},
            "alarms_per_10_min": {name: _rate(spans, 600) for name, spans in windows.items()},
            "estimated": {
                "alarms_per_h": {name: _is_estimate(spans, 3600) for name, spans in windows.items()},
                "alarms_per_10_min": {name: _is_estimate(spans, 600) for name, spans in windows.items()},
            },
            "most_in_10_min": {name: max(span.called for span in spans) for name, spans in windows.items()},
            "flood_percent": {name: _percent(_sum(s, "flood_s"), _sum(s, "watched_s")) for name, s in windows.items()},
            "priority_percent": {str(p): _percent(_sum(week, p.value), called) for p in Priority},
            "bad_actors": self._worst(now // SPANS_A_DAY),
        }

    def due(self) -> bool:
        """Whether there is enough new to keep: a raising, or ten minutes."""
        return bool(self._recent) or self._at_ns - self._kept_ns >= SPAN_NS

    def state(self, at: Moment) -> bytes:
        """What a restart needs, as JSON. From now on ``recent`` begins anew."""
        self._recent, self._kept_ns = [], self._at_ns
        actors = [(asset, rule, days) for (asset, rule), days in self._actors.items()]
        spans = [span for span in self._spans if span.watched_s or span.called or span.held]
        return msgspec.json.encode(_State(VERSION, at, self._at_ns, self.total, spans, actors))

    def restore(self, state: bytes, recent: Iterable[Raising], at: Moment) -> None:
        """Go on from what was kept, and from the raisings since; from nothing, with a word, where it is spoilt."""
        try:
            found = msgspec.json.decode(state, type=_State) if state else None
        except msgspec.DecodeError as error:
            log.warning("the figures of alarms begin anew: what was kept of them cannot be read: %s", error)
            found = None
        if found is not None and found.version == VERSION:
            self.total = found.total
            self._spans.extend(found.spans)
            self._actors = {(asset, rule): days for asset, rule, days in found.actors}
            self._at_ns = found.time_ns + (at.since(found.at) or 0)
        self._shift_ns = self._at_ns - at.mono_ns
        for raising in recent:
            if raising.number > self.total:
                self.total = raising.number
                self._recent.append(packed(raising))
                self._count(raising)

    def _count(self, raising: Raising) -> None:
        span = self._span()
        if raising.held:
            span.held += 1
        else:
            setattr(span, raising.priority.value, getattr(span, raising.priority.value) + 1)
        today = span.number // SPANS_A_DAY
        days = self._actors.setdefault((raising.asset, raising.rule), {})
        days[today] = days.get(today, 0) + 1
        for day in [day for day in days if day < today - DAYS]:
            del days[day]

    def _worst(self, today: int) -> list[dict[str, Any]]:
        counts = {
            key: sum(count for day, count in days.items() if day >= today - DAYS) for key, days in self._actors.items()
        }
        whole = sum(counts.values())
        ranked = sorted((-count, key) for key, count in counts.items() if count)[:WORST]
        return [
            {"asset": asset, "rule": rule, "raised": -less, "percent": _percent(-less, whole)}
            for less, (asset, rule) in ranked
        ]

    def _time_ns(self, mono_ns: int) -> int:
        if self._shift_ns is None:
            self._shift_ns = -mono_ns
        return mono_ns + self._shift_ns

    def _span(self) -> Span:
        number = self._at_ns // SPAN_NS
        if self._spans[-1].number < number:
            self._spans.append(Span(number))
        return self._spans[-1]


def _sum(spans: Iterable[Span], name: str) -> float:
    return float(sum(getattr(span, name) for span in spans))


def _rate(spans: list[Span], per_s: float) -> float | None:
    """Alarms in so many seconds; None where less than a minute was watched, of which nothing follows."""
    watched_s = _sum(spans, "watched_s")
    return round(_sum(spans, "called") * per_s / watched_s, 3) if watched_s >= 60 else None


def _is_estimate(spans: list[Span], per_s: float) -> bool:
    return _sum(spans, "watched_s") < per_s


def _percent(part: float, whole: float) -> float | None:
    return round(100 * part / whole, 2) if whole else None

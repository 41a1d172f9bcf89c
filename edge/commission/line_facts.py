"""What a diagnosis is made from: one line's settings, counts and polls, from one look at a gateway to another. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.line_counts import LineCounts, UnitCounts, between

FAST_BAUD = 19_200
FAST_SILENCE_S = 0.00175
"""Above 19200 baud the silence between frames is fixed (Modbus over Serial Line V1.02, 2.5.1.1)."""


@dataclass(frozen=True, slots=True)
class Polls:
    """Of one unit: polls that were ``due``, that gave nothing (``failures``), and that were never asked, and why."""

    due: int = 0
    failures: int = 0
    overruns: int = 0
    left_alone: int = 0

    def __sub__(self, other: Polls) -> Polls:
        return Polls(
            self.due - other.due, self.failures - other.failures, self.overruns - other.overruns,
            self.left_alone - other.left_alone,
        )  # fmt: skip

    def __add__(self, other: Polls) -> Polls:
        return Polls(
            self.due + other.due, self.failures + other.failures, self.overruns + other.overruns,
            self.left_alone + other.left_alone,
        )  # fmt: skip

    @property
    def met(self) -> float | None:
        """The share of what was due that was asked when it was due; None where nothing was."""
        return 1.0 - (self.overruns + self.left_alone) / self.due if self.due else None


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """One device. ``period_ms`` is its shortest; ``counts`` are empty where its driver keeps none.

    ``detail`` is its last trouble in words, empty where it has none now.
    """

    unit: int
    assets: tuple[str, ...]
    period_ms: float
    polls: Polls
    counts: UnitCounts
    detail: str = ""

    @property
    def name(self) -> str:
        return f"unit {self.unit} ({', '.join(self.assets)})" if self.assets else f"unit {self.unit}"

    @property
    def is_silent(self) -> bool:
        """It was asked, or left alone for its silence, and nothing of it was understood."""
        return self.counts.requests + self.polls.left_alone > 0 and self.counts.replies == 0


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One line over ``window_s``. ``line`` is its table of the site file; ``counted``: whether its driver counts.

    ``shut`` is why it is not open: where, problem and hint; None where it is. ``stood_still_s`` is how long of the
    window the gateway's own process did.
    """

    name: str
    line: Mapping[str, Any]
    window_s: float
    counted: bool
    reconnects: int
    units: tuple[UnitFacts, ...]
    shut: Mapping[str, str] | None = None
    stood_still_s: float = 0.0

    @property
    def kind(self) -> str:
        return str(self.line.get("kind", ""))

    @property
    def baud(self) -> int | None:
        """None where the line is not serial."""
        return self.line.get("baud")

    @property
    def timeout_ms(self) -> float:
        return float(self.line.get("timeout_ms", 0))

    @property
    def busy_s(self) -> float:
        return sum(unit.counts.busy_ns for unit in self.units) / 1e9

    @property
    def airtime(self) -> float:
        """The share of the window in which the line was taken up, as measured."""
        return min(1.0, self.busy_s / self.window_s)

    @property
    def airtime_meanwhile(self) -> float:
        """The share of the time in which the gateway did not stand still. A question that is open while it does seems
        to take up the line for as long: all of that is taken off."""
        return max(0.0, self.airtime * self.window_s - self.stood_still_s) / max(
            self.window_s - self.stood_still_s, 1e-3
        )

    def character_s(self, baud: int) -> float:
        """Wire time of one character: start bit, eight data bits, parity, stop bits."""
        return float(9 + (self.line.get("parity") != "N") + int(self.line.get("stop_bits", 1))) / baud

    def wire_s(self, baud: int) -> float:
        """By theory: the time that the window's bytes and silences take at ``baud``."""
        return sum(self.unit_wire_s(unit, baud) for unit in self.units)

    def unit_wire_s(self, unit: UnitFacts, baud: int) -> float:
        character_s = self.character_s(baud)
        silence_s = FAST_SILENCE_S if baud > FAST_BAUD else 3.5 * character_s
        counts = unit.counts
        return (counts.sent_bytes + counts.heard_bytes) * character_s + 2 * counts.requests * silence_s


Device = tuple[int, str]


@dataclass(frozen=True, slots=True)
class _Look:
    line: Mapping[str, Any]
    counts: LineCounts | None
    units: dict[Device, _Unit]
    shut: Mapping[str, str] | None


@dataclass(slots=True)
class _Unit:
    polls: Polls
    assets: tuple[str, ...]
    period_ms: float
    detail: str


def facts(answer: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> list[LineFacts]:
    """From a gateway's answer to ``counts``, and an earlier one where only what came between is to be told."""
    then = {look.line["name"]: look for look in _looks(before)} if before is not None else {}
    elapsed_s = answer["uptime_s"] - (before["uptime_s"] if before is not None else 0.0)
    # A gateway of before this was measured does not say it.
    still_s = answer.get("stood_still_s", 0.0) - (before.get("stood_still_s", 0.0) if before is not None else 0.0)
    return [_facts(look, then.get(look.line["name"]), max(elapsed_s, 1e-3), still_s) for look in _looks(answer)]


def _facts(look: _Look, then: _Look | None, window_s: float, stood_still_s: float) -> LineFacts:
    counts = look.counts
    if counts is not None and then is not None:
        counts = between(then.counts, counts)
    then_units = then.units if then is not None else {}
    units = tuple(
        UnitFacts(
            unit=device[0], assets=unit.assets, period_ms=unit.period_ms, detail=unit.detail,
            polls=unit.polls - then_units[device].polls if device in then_units else unit.polls,
            counts=(counts.units.get(device[0]) if counts is not None else None) or UnitCounts(),
        )
        for device, unit in look.units.items()
    )  # fmt: skip
    reconnects = counts.reconnects if counts is not None else 0
    return LineFacts(
        str(look.line["name"]), look.line, window_s, counts is not None, reconnects, units, look.shut, stood_still_s
    )


def _looks(answer: Mapping[str, Any]) -> list[_Look]:
    return [_look(line) for line in answer["lines"]]


def _look(line: Mapping[str, Any]) -> _Look:
    counts = None if line["counts"] is None else msgspec.convert(line["counts"], LineCounts, str_keys=True)
    units: dict[Device, _Unit] = {}
    for row in line["units"]:
        # Where nothing is counted by unit, units are places that have no numbers: a device is known by its machine.
        device = (row["unit"], "" if counts is not None else row["asset"])
        polls = Polls(row["polls"], row["failures"], row["overruns"], row["left_alone"])
        found = units.setdefault(device, _Unit(Polls(), (), row["period_ms"], ""))
        found.polls += polls
        found.assets = tuple(dict.fromkeys((*found.assets, row["asset"])))
        found.period_ms = min(found.period_ms, row["period_ms"])
        found.detail = row["detail"] or found.detail
    return _Look(line["line"], counts, units, line.get("shut"))

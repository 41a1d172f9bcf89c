"""What a driver counts of its line, by unit: plain numbers that only rise, so that two looks give a window between.

Counting costs a look-up and a few additions a request. Response times are a histogram with steps of a quarter of an
octave (9 % from the middle of a step to its edge), since histograms of two looks subtract and percentiles do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Fault = Literal["", "refused", "timeout", "noise", "crc", "mismatch", "foreign", "line"]
"""Why a question has no good answer: the device refused it; nothing came; noise only; a frame with a wrong check sum;
a whole frame that answers another question; a frame of another unit; the line itself was down."""

FIRST_STEP_NS = 100_000
STEPS = 80
"""From 0.1 ms to 100 s."""
LENGTHS_MAX = 64


@dataclass(slots=True)
class UnitCounts:
    """One unit. ``requests`` were sent; each ended in ``replies`` (good ones and refusals) or in one of the faults.

    ``late`` replies came after their question was given up, ``doubles`` after it was answered already. ``refusals`` are
    counted by exception code, ``lengths`` gives ``[asked, check sum errors]`` by the bytes that the answer has on the
    wire. ``busy_ns`` is how long the line was taken up by its questions, silences included; ``answering_ns`` is that of
    those that were answered: the rest was waited for in vain.
    """

    requests: int = 0
    replies: int = 0
    timeouts: int = 0
    noise: int = 0
    crc_errors: int = 0
    mismatches: int = 0
    foreign: int = 0
    late: int = 0
    doubles: int = 0
    line_down: int = 0
    busy_ns: int = 0
    answering_ns: int = 0
    sent_bytes: int = 0
    heard_bytes: int = 0
    refusals: dict[int, int] = field(default_factory=dict)
    lengths: dict[int, list[int]] = field(default_factory=dict)
    responses: list[int] = field(default_factory=lambda: [0] * STEPS)

    def count(self, fault: Fault, *, busy_ns: int, sent_bytes: int, heard_bytes: int, code: int = 0) -> None:
        """One question's end; ``heard_bytes`` is the length of the answer that it asked for, ``code`` the refusal's."""
        if fault == "line":
            self.line_down += 1
            return
        self.requests += 1
        self.busy_ns += busy_ns
        self.sent_bytes += sent_bytes
        length = self.lengths.get(heard_bytes)
        if length is None:
            # A driver that learns ever other lengths counts the rest as one.
            length = self.lengths.setdefault(heard_bytes if len(self.lengths) < LENGTHS_MAX else 0, [0, 0])
        length[0] += 1
        if fault in ("", "refused"):
            self.replies += 1
            self.heard_bytes += heard_bytes
            self.answering_ns += busy_ns
            self.responses[_step(busy_ns)] += 1
            if fault:
                self.refusals[code] = self.refusals.get(code, 0) + 1
        elif fault == "timeout":
            self.timeouts += 1
        elif fault == "crc":
            self.crc_errors += 1
            length[1] += 1
        elif fault == "noise":
            self.noise += 1
        elif fault == "mismatch":
            self.mismatches += 1
        else:
            self.foreign += 1

    def response_ms(self, share: float) -> float | None:
        """The percentile of response times, by the middle of its step; None where nothing answered."""
        wanted = share * sum(self.responses)
        seen = 0
        for step, count in enumerate(self.responses):
            seen += count
            if count and seen >= wanted:
                return FIRST_STEP_NS * 2 ** ((step + 0.5) / 4) / 1e6
        return None


@dataclass(slots=True)
class LineCounts:
    """One line: ``reconnects`` after its first opening, and its units by their number."""

    reconnects: int = 0
    units: dict[int, UnitCounts] = field(default_factory=dict)

    def of(self, unit: int) -> UnitCounts:
        counts = self.units.get(unit)
        if counts is None:
            counts = self.units[unit] = UnitCounts()
        return counts


def between(before: LineCounts | None, after: LineCounts) -> LineCounts:
    """What was counted from one look to the other; all of ``after`` where its driver is a new one."""
    if before is None or any(
        unit not in after.units or counts.requests > after.units[unit].requests for unit, counts in before.units.items()
    ):
        return after
    units = {unit: _minus(counts, before.units.get(unit, UnitCounts())) for unit, counts in after.units.items()}
    return LineCounts(after.reconnects - before.reconnects, units)


def _minus(after: UnitCounts, before: UnitCounts) -> UnitCounts:
    return UnitCounts(**{f.name: _less(getattr(after, f.name), getattr(before, f.name)) for f in fields(UnitCounts)})


def _less(after: Any, before: Any) -> Any:
    if isinstance(after, dict):
        return {key: _less(value, before[key]) if key in before else value for key, value in after.items()}
    if isinstance(after, list):
        return [a - b for a, b in zip(after, before, strict=True)]
    return after - before


def _step(ns: int) -> int:
    return min(STEPS - 1, int(4 * math.log2(ns / FIRST_STEP_NS))) if ns > FIRST_STEP_NS else 0

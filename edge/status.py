"""What a running gateway answers when it is asked how it is: plain data, ready for JSON."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.contract.types import Alarm, Verdict, failure_chance
from edge.errors import BabbittError


def of_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict with ``words``: the chance of a failure before the next stop, and the note or else the first reason."""
    why = verdict.note or "; ".join(reason.words for reason in verdict.reasons[:1])
    chance = failure_chance(verdict)
    before_stop = f"{chance} to fail before the stop in {verdict.stop_h:.0f} h" if chance else ""
    words = "; ".join(filter(None, (before_stop, why)))
    return {**_plain(verdict), "words": words}


def of_alarm(alarm: Alarm) -> dict[str, Any]:
    return _plain(alarm)


def of_unit(unit: Any) -> dict[str, Any]:
    """``unit``: the poller's status of one unit."""
    return _plain(unit)


def of_line(line: Any, counts: Any, units: Collection[Any], shut: BabbittError | None) -> dict[str, Any]:
    """A line's table, what its driver counted (or None), its units, and why it could not be opened (or None): what a
    diagnosis is made from."""
    why = None if shut is None else {"where": shut.where, "problem": shut.problem, "hint": shut.hint}
    return {
        "line": _plain(line), "counts": None if counts is None else _plain(counts), "units": [*map(of_unit, units)],
        "shut": why,
    }  # fmt: skip


def of_clock(clock: Any) -> dict[str, Any]:
    """``clock``: what the watch knows of the wall clock, with the last step in ``words``."""
    words = clock.last.words if clock.last is not None else ""
    return {"trusted": clock.trusted, "steps": clock.steps, "words": words}


def figures(
    uplink: Any, backlog: tuple[int, int], clock: Any, losses: Any, ledger: Mapping[str, int]
) -> dict[str, float | int | bool | str]:
    """The gateway in figures for other systems: ``uplink`` is its state (None where there is none), ``backlog`` blocks
    and readings, ``ledger`` its sums."""
    blocks, readings = backlog
    return {
        "Uplink/Up": uplink is not None and uplink.up,
        "Uplink/Detail": uplink.detail if uplink is not None else "not configured",
        "Uplink/WaitingReadings": readings,
        "Uplink/WaitingBlocks": blocks,
        "Clock/Trusted": clock.trusted,
        "Clock/Steps": clock.steps,
        "Store/LostRecords": losses.records,
        "Store/AlteredBlocks": losses.blocks,
        "Ledger/Lost": ledger["dropped"],
        **{
            f"Ledger/{name.capitalize()}": ledger[name]
            for name in ("offered", "good", "bad", "unchanged", "kept", "acknowledged", "pending", "thinned")
        },
    }


def percentile(samples: Collection[float], share: float) -> float | None:
    """The nearest-rank percentile, None of nothing."""
    ranked = sorted(samples)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else None


def rss_mb(pid: int | str = "self") -> float:
    """The resident memory of this process, or of another one. Raises ``OSError`` where that is not there."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def _plain(record: Any) -> dict[str, Any]:
    plain = msgspec.to_builtins(record)
    assert isinstance(plain, dict)
    return plain

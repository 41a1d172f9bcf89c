"""Figures as people on the floor read them: the filters of the pages. Times of day are the gateway's own."""

from __future__ import annotations

import math
import time
from typing import Any

from edge.contract import units

CAUSES = {
    "bus": "no answer on the bus", "device": "the device has no value", "decode": "the reply cannot be read",
}  # fmt: skip
ALARM_STATES = {
    "unacknowledged": "not acknowledged", "acknowledged": "acknowledged", "returned": "gone, not acknowledged",
    "normal": "gone",
}  # fmt: skip
URGENCIES = {
    "CRITICAL": "may fail within two days", "WARNING": "may fail within the week",
    "NORMAL": "more than a week to go", "UNKNOWN": "not enough evidence",
}  # fmt: skip
LAMPS = {
    "slow": "blinks slowly", "fast": "blinks fast", "flash": "flashes", "double": "flashes twice",
}  # fmt: skip
BREAKERS = {"closed": "asked when due", "open": "left alone for a while", "probing": "tried again"}
NUMBER_CHARS_MAX = 24


def number(value: Any, decimals: int = 0) -> str:
    """A value with its decimals, without its unit; text as it is, but short."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        text = f"{value:,.{decimals}f}" if isinstance(value, float) and math.isfinite(value) else f"{value:,}"
        return text if len(text) <= NUMBER_CHARS_MAX else f"{value:.6g}"
    return str(value) if len(str(value)) <= NUMBER_CHARS_MAX else f"{str(value)[: NUMBER_CHARS_MAX - 1]}…"


def measured(value: Any, decimals: int, kind: str) -> str:
    """As ``number``, but a state of 0 or 1 is no or yes."""
    return ("yes" if value else "no") if kind == "state" and value in (0, 1) else number(value, decimals)


def unit(ucum: str) -> str:
    return units.sign(ucum)


def span(seconds: float) -> str:
    """``4 s``, ``12 min``, ``31 h``, ``9 d``."""
    seconds = max(seconds, 0.0)
    for limit, divisor, name in ((99.5, 1, "s"), (5970, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {name}"
    return f"{seconds / 86_400:,.0f} d"


def ago(seconds: float) -> str:
    return "just now" if seconds < 1.5 else f"{span(seconds)} ago"


def hours(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def clock(at_ns: int, now_s: float | None = None) -> str:
    """The time of day in the gateway's zone; with the date where it is not today's."""
    try:
        then = time.localtime(at_ns / 1e9)
    except (OverflowError, ValueError, OSError):
        return "unknown"
    today = time.localtime(now_s)[:3] == then[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M", then)


def urgency(word: str) -> str:
    return URGENCIES.get(word, word)


def lamp(mode: str) -> str:
    return LAMPS.get(mode, mode)


def zone() -> str:
    return time.strftime("%Z")


def size(amount: float) -> str:
    """Bytes as ``3.1 GB``."""
    for limit, divisor, name in ((1e6, 1e3, "kB"), (1e9, 1e6, "MB"), (1e12, 1e9, "GB")):
        if amount < limit:
            return f"{amount / divisor:,.1f} {name}"
    return f"{amount / 1e12:,.1f} TB"

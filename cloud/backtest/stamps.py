"""Times as historians write them: ISO 8601, numbers since 1970, day or month first, with or without a zone.

What it survives: hours that daylight saving repeats or leaves out (where the zone is named), and dates that could be of
two kinds, which are asked about and not guessed.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError

NONE = np.iinfo(np.int64).min
"""Stands for a time that cannot be read."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND = dt.timedelta(seconds=1)
_NUMBER = re.compile(r"^\d{9,19}(\.\d+)?$")
_DATE = re.compile(r"^(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:[ T,]+(.*))?$")
_CLOCK = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*([AaPp]\.?[Mm]\.?)?$")
_SAMPLE = 2000
_FIRST_YEAR, _LAST_YEAR = 1969, 2200
_LAST_NS = 7_258_118_400 * 10**9
"""What lies beyond is no time of a machine, and more than nanoseconds in 64 bits can hold."""


def is_time(text: str) -> bool:
    """Whether it may be a time, of whatever kind."""
    text = text.strip()
    return bool(_NUMBER.match(text)) or _dated(text, day_first=True) is not None or _iso(text) is not None or (
        _dated(text, day_first=False) is not None
    )  # fmt: skip


def read_times(
    texts: Sequence[str], where: str, *, form: str = "", zone: str = "", day_first: bool | None = None
) -> tuple[NDArray[np.int64], list[str]]:
    """Nanoseconds since 1970 (UTC), ``NONE`` where a text is no time, and what there is to say of them.

    ``form`` is a format of ``strptime``; ``zone`` an IANA name, for times that carry none (UTC where it is not given).
    Raises ``ConfigError`` where day and month cannot be told apart, or nothing is a time.
    """
    sample = [text.strip() for text in texts[:_SAMPLE] if text.strip()]
    parse = _parser(sample, where, form, day_first)
    at_ns = np.full(len(texts), NONE, np.int64)
    local: list[tuple[int, dt.datetime]] = []
    for i, text in enumerate(texts):
        moment = parse(text.strip())
        if isinstance(moment, int):
            at_ns[i] = moment if moment < _LAST_NS else NONE
        elif moment is not None and not _FIRST_YEAR < moment.year < _LAST_YEAR:
            continue
        elif moment is not None and moment.tzinfo is not None:
            at_ns[i] = _ns(moment)
        elif moment is not None:
            local.append((i, moment))
    notes = []
    if local:
        notes = _place(at_ns, local, where, zone)
    if (at_ns == NONE).all():
        raise ConfigError(where, f"no time can be read from {sample[:1] or ['']}", "give --time-format")
    return at_ns, notes


def _parser(
    sample: Sequence[str], where: str, form: str, day_first: bool | None
) -> Callable[[str], int | dt.datetime | None]:
    if form:
        return lambda text: _by_form(text, form)
    if sample and all(_NUMBER.match(text) for text in sample):
        scale = _scale(float(sample[0]))
        return lambda text: round(float(text) * scale) if _NUMBER.match(text) else None
    if sample and _DATE.match(sample[0]):
        first = _day_first(sample, where) if day_first is None else day_first
        return lambda text: _dated(text, day_first=first)
    return _iso


def _by_form(text: str, form: str) -> dt.datetime | None:
    try:
        return dt.datetime.strptime(text, form)  # noqa: DTZ007 (the zone is put to it later)
    except ValueError:
        return None


def _scale(number: float) -> float:
    """Nanoseconds in one unit of a number since 1970: seconds, milliseconds, microseconds or nanoseconds."""
    return 10.0 ** (9 - 3 * max(0, min(3, (math.floor(math.log10(max(number, 1.0))) - 8) // 3)))


def _iso(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        return None


def _day_first(sample: Sequence[str], where: str) -> bool:
    """Told by a number above 12; points between the numbers mean day first everywhere."""
    parts = [(int(m[1]), m[2], int(m[3])) for text in sample if (m := _DATE.match(text))]
    if parts[0][1] == "." or any(first > 12 for first, _, _ in parts):
        return True
    if any(second > 12 for _, _, second in parts):
        return False
    days, months = {first for first, _, _ in parts}, {second for _, _, second in parts}
    if len(days) != len(months):
        return len(days) > len(months)  # What changes from row to row is the day.
    raise ConfigError(where, f"is {sample[0]} day or month first?", "say --day-first or --month-first")


def _dated(text: str, *, day_first: bool) -> dt.datetime | None:
    match = _DATE.match(text)
    clock = _CLOCK.match(match[5] or "0:00") if match else None
    if match is None or clock is None:
        return None
    day, month = (int(match[1]), int(match[3])) if day_first else (int(match[3]), int(match[1]))
    year = int(match[4]) + (2000 if len(match[4]) == 2 else 0)
    hour, half = int(clock[1]), (clock[5] or "").lower()[:1]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    micros = int((clock[4] or "0")[:6].ljust(6, "0"))
    try:
        return dt.datetime(year, month, day, hour, int(clock[2]), int(clock[3] or 0), micros)  # noqa: DTZ001
    except ValueError:
        return None


def _ns(moment: dt.datetime) -> int:
    apart = moment - _EPOCH
    return (apart // _SECOND) * 10**9 + apart.microseconds * 1000


def _place(at_ns: NDArray[np.int64], local: Sequence[tuple[int, dt.datetime]], where: str, zone: str) -> list[str]:
    """Put times without a zone in theirs. Raises ``ConfigError`` for a zone that nobody knows."""
    if not zone:
        for i, moment in local:
            at_ns[i] = _ns(moment.replace(tzinfo=dt.UTC))
        return ["times carry no zone and are taken as UTC; name it with --zone, such as Europe/Berlin"]
    try:
        place = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(where, f"there is no zone {zone!r}", "an IANA name such as Europe/Berlin") from error
    repeated = skipped = 0
    before = NONE
    for i, moment in local:
        here = _ns(moment.replace(tzinfo=place))
        again = _ns(moment.replace(tzinfo=place, fold=1))
        if again > here and here < before:
            here, repeated = again, repeated + 1  # The hour that autumn repeats: its second time round.
        elif again < here:
            skipped += 1
        at_ns[i] = before = here
    notes = [f"times carry no zone and are taken as {zone}'s"]
    if repeated:
        notes.append(f"times in the hour that daylight saving repeats: {repeated}, read as its second time round")
    if skipped:
        notes.append(f"times in an hour that daylight saving leaves out: {skipped}, the zone may be another")
    return notes

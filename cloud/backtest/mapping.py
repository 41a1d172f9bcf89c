"""Which column is which signal: guessed from its name, shown, and set by a person where the guess is wrong.

A column that nothing matches keeps its own name: it is evidence all the same. Units that stand in a column's name are
turned into the tag's; a unit that changes in mid-history (inches for millimetres) ends the column there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.backtest.export import Track
from edge.errors import ConfigError

Array = NDArray[np.float64]

_GUESSES = (
    ("ambient_temperature_c", r"ambient|outside|room"),
    ("bearing_temperature_c", r"bearing.*temp|temp.*bearing|(^|_)(de|nde)_temp"),
    ("hour_meter_h", r"hour_?meter|run(ning|time)?_?h(ou)?rs?|operating_h"),
    ("running", r"^(is_)?running|run_?(status|state|fb|feedback)|^motor_on"),
    ("kurtosis", r"kurt"),
    ("crest_factor", r"crest"),
    ("vibration_mm_s", r"vib|veloc|mm_s|ips"),
    ("acceleration_rms_g", r"accel|_g_rms|rms_g"),
    ("torque_nm", r"torque"),
    ("speed_rpm", r"speed|rpm|r_min"),
    ("load_percent", r"^load|_load"),
    ("power_kw", r"power|kw"),
    ("current_a", r"current|amp"),
    ("voltage_v", r"volt"),
    ("suction_pressure_bar", r"suction|inlet_p"),
    ("discharge_pressure_bar", r"discharge|outlet_p|pressure"),
    ("flow_m3_h", r"flow"),
)
_UNITS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "_c": {"degf": (5.0 / 9.0, -160.0 / 9.0), "°f": (5.0 / 9.0, -160.0 / 9.0), "f": (5.0 / 9.0, -160.0 / 9.0)},
    "_mm_s": {"in/s": (25.4, 0.0), "ips": (25.4, 0.0), "m/s": (1000.0, 0.0)},
    "_bar": {"psi": (0.0689476, 0.0), "kpa": (0.01, 0.0), "mpa": (10.0, 0.0), "pa": (1e-5, 0.0)},
    "_kw": {"hp": (0.745700, 0.0), "w": (0.001, 0.0), "mw": (1000.0, 0.0)},
    "_m3_h": {"gpm": (0.227125, 0.0), "l/min": (0.06, 0.0), "l/s": (3.6, 0.0)},
    "_g": {"m/s2": (1.0 / 9.80665, 0.0), "m/s²": (1.0 / 9.80665, 0.0)},
}
"""By the end of a tag, other units with factor and offset to its own."""
_JUMPS = {25.4: "inches and millimetres", 1000.0: "a thousandfold unit", 14.5038: "bar and psi", 6.89476: "kPa and psi"}
_SIDE = 30
_BOOLEAN = ("running",)


@dataclass(frozen=True, slots=True)
class Mapped:
    """One column: its tag (empty: left out), whether it was guessed, given or is its own name; ``words`` say more."""

    column: str
    tag: str
    how: str
    words: str = ""


def parse_maps(pairs: Sequence[str]) -> dict[str, str]:
    """``column=tag`` pairs; an empty tag leaves the column out. Raises ``ConfigError``."""
    found = {}
    for pair in pairs:
        column, equals, tag = pair.rpartition("=")
        if not equals or not column or not re.fullmatch(r"[a-z][a-z0-9_]*|", tag):
            hint = "column=tag, such as 'VIB DE=vibration_mm_s'; column= leaves it out"
            raise ConfigError(f"--map {pair}", "is no pair of column and tag", hint)
        found[column] = tag
    return found


def mapping_of(columns: Sequence[str], given: Mapping[str, str]) -> tuple[Mapped, ...]:
    """A tag for every column, each tag once. Raises ``ConfigError`` where a given column is not there."""
    for column in given:
        if column not in columns:
            names = ", ".join(map(repr, columns[:12]))
            raise ConfigError(f"--map {column}", "there is no such column of numbers", f"columns: {names}")
    taken = {tag for tag in given.values() if tag}
    if len(taken) < sum(bool(tag) for tag in given.values()):
        raise ConfigError("--map", "two columns are mapped to one tag", "a tag has one column")
    found = []
    for column in columns:
        if column in given:
            found.append(Mapped(column, given[column], "given"))
            continue
        name = _name_of(column)
        guess = next((tag for tag, form in _GUESSES if re.search(form, name) and tag not in taken), None)
        tag = guess or _free(name, taken)
        taken.add(tag)
        found.append(Mapped(column, tag, "guessed" if guess else "own name"))
    return tuple(found)


def apply(track: Track, mapping: Sequence[Mapped]) -> tuple[dict[str, Array], list[Mapped]]:
    """The track's columns by tag, in the tag's unit; the mapping again, with what was done in words."""
    found, said = {}, []
    for mapped in mapping:
        if not mapped.tag or mapped.column not in track.columns:
            continue
        numbers, words = track.columns[mapped.column], []
        unit, turn = _turn(mapped)
        if turn is not None:
            numbers = numbers * turn[0] + turn[1]
            words.append(f"turned from {unit}")
        at = jump_of(numbers)
        if at is not None:
            row, what = at
            words.append(f"jumps as between {what} at row {row + 1}: not judged from there on")
            numbers = np.where(np.arange(len(numbers)) < row, numbers, np.nan)
        found[mapped.tag] = numbers
        said.append(Mapped(mapped.column, mapped.tag, mapped.how, "; ".join(words)))
    return found, said


def jump_of(numbers: Array) -> tuple[int, str] | None:
    """The row from which on the numbers are in another unit, and which; None where they are not.

    Everything after is apart from everything before, and the medians of 30 rows on either side are by one of the
    known factors (within 1 %): nothing that wears does that between two rows.
    """
    rows = np.flatnonzero(np.isfinite(numbers))
    values = numbers[rows]
    if len(values) < 2 * _SIDE or (values <= 0.0).any():
        return None
    logs = np.log(values)
    at = int(np.argmax(np.abs(np.diff(logs)))) + 1
    if not _SIDE <= at <= len(values) - _SIDE:
        return None
    before, after = values[:at], values[at:]
    if not (before.max() < after.min() or after.max() < before.min()):
        return None
    ratio = abs(float(np.median(logs[at : at + _SIDE]) - np.median(logs[at - _SIDE : at])))
    for factor, what in _JUMPS.items():
        if abs(ratio - np.log(factor)) < 0.01:
            return int(rows[at]), what
    return None


def is_boolean(tag: str) -> bool:
    """Whether a tag says yes or no, and not how much."""
    return tag in _BOOLEAN


def _name_of(column: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", column.lower().replace("²", "2")).strip("_") or "signal"
    return name if name[0].isalpha() else f"s_{name}"


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _turn(mapped: Mapped) -> tuple[str, tuple[float, float] | None]:
    """The unit in brackets (or after a last comma) of a column's name, and the way from it to the tag's."""
    found = re.search(r"[\[(]\s*([^\])]+?)\s*[\])]\s*$", mapped.column)
    unit = found[1].lower().replace("deg f", "degf").replace("m3", "m³") if found else ""
    ends = [end for end in _UNITS if mapped.tag.endswith(end)]
    if not unit or not ends:
        return unit, None
    return unit, _UNITS[max(ends, key=len)].get(unit)

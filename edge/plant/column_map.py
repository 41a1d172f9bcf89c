"""The column map of a recording: which column is which tag, in which register, and when its rows were true.

A map is one TOML file; ``guessed_map`` makes a first one from the columns themselves, which a person then edits.
``recording_profile`` makes the device profile that a gateway needs to read the recording back from registers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.config.load import load
from edge.config.profiles.modbus import REGISTERS_OF, ByteOrder, ModbusProfile, PlainType, Point, Quirks
from edge.config.profiles.signal import Device, SignalKind
from edge.errors import ConfigError

ROW_TAG = "row_number"
"""The point that says which row, from 1, is being served; it stands first, so that reading it begins a poll."""
TimeUnit = Literal["ns", "us", "ms", "s", "min", "h", "d"]
SECONDS_OF: dict[TimeUnit, float] = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0,
}  # fmt: skip
_NONE_OF: dict[PlainType, tuple[int, ...]] = {"float32": (0x7FC0_0000,), "float64": (0x7FF8_0000_0000_0000,)}
"""How a floating-point register says that a cell was empty: as the quiet NaN."""


class Times(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When rows were true: by ``column``, whose numbers count ``unit`` or whose texts follow ``format`` (``iso`` or a
    strptime pattern); or, without one, every ``period_s`` seconds."""

    column: str = ""
    format: str = ""
    unit: TimeUnit = "s"
    period_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column, as a point of the profile that will be made of it; ``name`` is its header in the file."""

    name: str
    tag: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    type: PlainType = "float32"
    order: ByteOrder = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    title: str = ""
    kind: SignalKind = "other"
    decimals: Annotated[int, msgspec.Meta(ge=0, le=9)] = 3


class ColumnMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``advance``: rows follow the plant's clock, or each waits until a poll has read all of it (``on_read``).
    ``at_end``: the last row stays, or the first follows it. ``decimal`` is the decimal sign of texts in a CSV file."""

    column: Annotated[tuple[Column, ...], msgspec.Meta(min_length=1, max_length=2000)]
    time: Times = Times()
    advance: Literal["clock", "on_read"] = "clock"
    at_end: Literal["hold", "repeat"] = "hold"
    decimal: Literal[".", ","] = "."


def load_map(path: Path) -> ColumnMap:
    """Read and check a column map. Raises ``ConfigError``."""
    column_map = load(path, ColumnMap)
    tags = [ROW_TAG, *(column.tag for column in column_map.column)]
    for i, column in enumerate(column_map.column):
        if tags.count(column.tag) > 1:
            raise ConfigError(str(path), f"`column[{i}]`: tag {column.tag!r} stands twice", f"{ROW_TAG} is the plant's")
        if column.scale == 0.0:
            raise ConfigError(str(path), f"`column[{i}]`: scale is 0", "value = raw * scale + offset")
    return column_map


def map_tables(column_map: ColumnMap) -> dict[str, Any]:
    """The map as TOML tables."""
    tables = msgspec.to_builtins(column_map)
    assert isinstance(tables, dict)
    return {
        "time": tables.pop("time", {}),
        **{k: v for k, v in tables.items() if k != "column"},
        "column": tables["column"],
    }


def recording_profile(column_map: ColumnMap, *, id: str) -> ModbusProfile:  # noqa: A002 - as in the profile
    """A device of input registers, one column after the other behind the row number; bools are discrete inputs."""
    points = [Point(
        tag=ROW_TAG, function=4, address=0, type="uint32", title="Row of the recording", kind="counter", decimals=0,
    )]  # fmt: skip
    register, bit = points[0].registers, 0
    for column in column_map.column:
        is_bool = column.type == "bool"
        points.append(Point(
            tag=column.tag, function=2 if is_bool else 4, address=bit if is_bool else register, type=column.type,
            order=column.order, scale=column.scale, offset=column.offset, unit=column.unit,
            title=column.title or column.name, kind=column.kind, decimals=column.decimals,
            not_available=_NONE_OF.get(column.type, ()),
        ))  # fmt: skip
        bit += is_bool
        register += 0 if is_bool else REGISTERS_OF[column.type]
    device = Device(id=id, products=("a recording played by the plant",), source="made of a recording's column map")
    return ModbusProfile(device=device, point=tuple(points), quirks=Quirks(gap_max=0))


def profile_tables(profile: ModbusProfile) -> dict[str, Any]:
    """A profile as TOML tables, without what is at its default."""
    tables = msgspec.to_builtins(profile, str_keys=True)
    defaults = msgspec.to_builtins(Point(tag="x", function=4, address=0, type="float32"))
    point = [
        {key: value for key, value in table.items() if key in _ALWAYS or value != defaults[key]}
        for table in tables["point"]
    ]
    return {"device": tables["device"], "quirks": tables["quirks"], "point": point}


_ALWAYS = ("tag", "function", "address", "type", "decimals")


def guessed_map(columns: dict[str, NDArray[Any]]) -> ColumnMap:
    """A first map: every numeric column becomes a float, tags are made of headers, the time column is looked for.

    ``columns``: by header, arrays of numbers, of datetime64 or of texts. Raises ``ConfigError`` where none is numeric.
    """
    times = _guessed_times(columns)
    dated = bool(times.column) and _is_dated(columns[times.column], times)
    mapped: list[Column] = []
    for name, values in columns.items():
        if values.dtype.kind in "iufb" and not (dated and name == times.column):
            tag = _slug(name, {ROW_TAG, *(column.tag for column in mapped)})
            mapped.append(Column(name=name, tag=tag, type=_float_for(values), title=name, kind=_kind(tag)))
    if not mapped:
        raise ConfigError("recording", "has no numeric column", f"columns: {', '.join(columns) or 'none'}")
    return ColumnMap(column=tuple(mapped), time=times)


def _guessed_times(columns: dict[str, NDArray[Any]]) -> Times:
    for name, values in columns.items():
        if len(values) == 0:
            continue
        if values.dtype.kind == "M":
            return Times(column=name)
        if values.dtype.kind == "U" and re.match(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}", str(values[0])):
            return Times(column=name, format="iso")
        word = re.search(r"(?:^|[^a-z])(time|timestamp|elapsed|date|t)(?:[^a-z]+(ns|us|ms|s|min|h|d))?$", name.lower())
        if word and values.dtype.kind in "iuf" and _ascends(values):
            return Times(column=name, unit=_unit_of(word[2], float(values[0])))
    return Times()


def _ascends(values: NDArray[Any]) -> bool:
    return bool(np.isfinite(values).all() and (np.diff(values.astype(np.float64)) >= 0).all())


def _unit_of(written: str | None, first: float) -> TimeUnit:
    """The unit in the header, else by size: Unix times count nano-, micro-, milliseconds or seconds."""
    if written is not None:
        return next(unit for unit in SECONDS_OF if unit == written)
    by_size: Sequence[tuple[TimeUnit, float]] = (("ns", 1e17), ("us", 1e14), ("ms", 1e11))
    return next((unit for unit, least in by_size if first >= least), "s")


def _is_dated(values: NDArray[Any], times: Times) -> bool:
    """Dates and Unix times are no readings; elapsed times may be."""
    return values.dtype.kind not in "iuf" or float(values[0]) * SECONDS_OF[times.unit] > 1e8


def _slug(name: str, taken: set[str]) -> str:
    """A tag made of a header: CamelCase and signs become words joined by ``_``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    slug = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:56] or "column"
    slug = slug if slug[0].isalpha() else f"c_{slug}"
    number = 2
    unique = slug
    while unique in taken:
        unique, number = f"{slug}_{number}", number + 1
    return unique


def _float_for(values: NDArray[Any]) -> PlainType:
    """float32, but float64 for whole numbers beyond 2**24 and for numbers beyond float32."""
    finite = values[np.isfinite(values)].astype(np.float64)
    largest = float(np.abs(finite).max(initial=0.0))
    whole = bool((finite == np.round(finite)).all())
    return "float64" if largest > 3e38 or (whole and largest > 2**24) else "float32"


_KINDS: Sequence[tuple[str, SignalKind]] = (
    (r"temp|thermo", "temperature"), (r"accel|vibr|rms|kurt|crest|peak", "vibration"), (r"press", "pressure"),
    (r"flow", "flow"), (r"rpm|speed|veloc", "speed"), (r"power", "power"), (r"torque|load|current", "load"),
)  # fmt: skip


def _kind(tag: str) -> SignalKind:
    return next((kind for pattern, kind in _KINDS if re.search(pattern, tag)), "other")

"""A recording (CSV, also gzipped, or Parquet) behind a device's registers, so that real data travel the real path.

Rows follow the plant's clock, or each waits until a poll has read all of it, so that a reader sees every row. A file
that is not what it says is refused with the row and column; nothing of it is guessed at while it plays.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from edge.contract.types import Value
from edge.errors import ConfigError
from edge.plant.column_map import ROW_TAG, SECONDS_OF, Column, ColumnMap, Times

TEXT_BYTES_MAX = 512 * 1024 * 1024
ROWS_MAX = 5_000_000
SUFFIXES = (".csv", ".csv.gz", ".parquet")
FLOAT32_MAX = float(np.finfo(np.float32).max)
INTEGER_LIMITS = {
    "uint16": (0, 2**16 - 1), "int16": (-(2**15), 2**15 - 1), "uint32": (0, 2**32 - 1),
    "int32": (-(2**31), 2**31 - 1), "uint64": (0, 2**64 - 1), "int64": (-(2**63), 2**63 - 1),
}  # fmt: skip


class Recording:
    """Plays the rows of a file. ``step`` follows the clock, ``asked`` and ``served`` the reader (``on_read``)."""

    model = "recording"

    def __init__(self, path: Path, column_map: ColumnMap) -> None:
        """Read the whole file. Raises ``ConfigError``."""
        self._map = column_map
        columns = read_columns(path, decimal=column_map.decimal)
        self._values = {c.tag: _checked(path, c, columns) for c in column_map.column}
        self._is_bool = {c.tag for c in column_map.column if c.type == "bool"}
        self.rows = len(next(iter(self._values.values())))
        if self.rows == 0:
            raise ConfigError(str(path), "has no rows", "a recording wants a header and at least one row")
        self._at_s = _row_times(path, column_map.time, columns, self.rows)
        self._clock_s = 0.0
        self._row = 0
        self._unread = self._all_tags = frozenset({ROW_TAG, *self._values})
        self.finished = False
        """Every row has been played (``clock``) or read (``on_read``) at least once."""

    @property
    def row(self) -> int:
        """The row that is served now, counted from 1."""
        return self._row + 1

    def signals(self) -> dict[str, Value]:
        signals: dict[str, Value] = {ROW_TAG: self.row}
        for tag, values in self._values.items():
            value = float(values[self._row])
            signals[tag] = bool(value) if tag in self._is_bool else value
        return signals

    def step(self, dt_h: float) -> None:
        if self._map.advance == "on_read":
            return
        self._clock_s += dt_h * 3600.0
        length_s = self._length_s()
        if self._clock_s >= length_s:
            self.finished = True
            if self._map.at_end == "repeat":
                self._clock_s = math.fmod(self._clock_s, length_s)
        self._row = max(0, int(np.searchsorted(self._at_s, self._clock_s, side="right")) - 1)

    def take(self, values: dict[str, Value]) -> bool:  # noqa: ARG002
        """What was recorded cannot be changed any more."""
        return False

    def asked(self, tags: tuple[str, ...]) -> None:
        """The row number begins a poll: the row goes on if the poll before it has read all of it."""
        if self._map.advance != "on_read" or ROW_TAG not in tags:
            return
        if not self._unread:
            last = self.rows - 1
            self._row = self._row + 1 if self._row < last else (0 if self._map.at_end == "repeat" else last)
        self._unread = self._all_tags

    def served(self, tags: tuple[str, ...]) -> None:
        self._unread -= frozenset(tags)
        if self._map.advance == "on_read" and not self._unread and self._row == self.rows - 1:
            self.finished = True

    def _length_s(self) -> float:
        """From the first row to where a row after the last would be."""
        period_s = float(np.median(np.diff(self._at_s))) if self.rows > 1 else self._map.time.period_s
        return float(self._at_s[-1]) + (period_s or self._map.time.period_s)


def read_columns(path: Path, *, decimal: str = ".") -> dict[str, NDArray[Any]]:
    """The columns of a file by header: float64, integers, datetime64, or texts where a cell is no number.

    Raises ``ConfigError`` for a file that is missing, of another kind, or past the limits.
    """
    if not path.is_file():
        raise ConfigError(str(path), "no such recording", "name a .csv, .csv.gz or .parquet file")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    if path.suffix not in (".csv", ".gz", ".txt"):
        raise ConfigError(str(path), f"a {path.suffix or 'file without suffix'} is no recording", ", ".join(SUFFIXES))
    try:
        return _read_csv(path, decimal)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(str(path), f"cannot be read as CSV: {error}", "UTF-8 with one header row") from error


def _read_csv(path: Path, decimal: str) -> dict[str, NDArray[Any]]:
    with _opened(path) as file:
        lines = _limited(path, file)
        first = next(lines, "")
        delimiter = max(";,\t", key=first.count)
        rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter)
        header = [name.strip() for name in next(rows, [])]
        if len(set(header)) < len(header) or not any(header):
            raise ConfigError(str(path), f"its header is {header!r}", "the first row names each column differently")
        cells: list[list[str]] = [[] for _ in header]
        for row in rows:
            if row and len(row) != len(header):
                raise ConfigError(
                    str(path), f"row {len(cells[0]) + 1} has {len(row)} cells, the header {len(header)}",
                    f"columns are split at {delimiter!r}",
                )  # fmt: skip
            for column, cell in zip(cells, row, strict=False):
                column.append(cell.strip())
            if len(cells[0]) > ROWS_MAX:
                raise ConfigError(str(path), f"has more than {ROWS_MAX} rows", "cut it")
    return {name: _typed(column, decimal) for name, column in zip(header, cells, strict=True)}


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _limited(path: Path, file: TextIO) -> Iterator[str]:
    """Lines of a text file, as long as they stay within the limit: a small .gz may hold a terabyte."""
    read = 0
    while line := file.readline(TEXT_BYTES_MAX):
        read += len(line)
        if read > TEXT_BYTES_MAX:
            raise ConfigError(str(path), f"holds more than {TEXT_BYTES_MAX} characters", "cut it, or use Parquet")
        yield line


def _typed(cells: list[str], decimal: str) -> NDArray[Any]:
    """Numbers where every cell is one or empty (NaN), else texts."""
    try:
        numbers = [float(c.replace(decimal, ".") if c else "nan") for c in cells]
    except ValueError:
        return np.array(cells, dtype=np.str_)
    return np.array(numbers, dtype=np.float64)


def _read_parquet(path: Path) -> dict[str, NDArray[Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError(str(path), "Parquet wants pyarrow, which is not installed", "pip install pyarrow") from error
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > ROWS_MAX:
            raise ConfigError(str(path), f"has more than {ROWS_MAX} rows", "cut it")
        table = file.read()
        return {name: _from_arrow(table.column(name)) for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(str(path), f"cannot be read as Parquet: {error}") from error


def _from_arrow(column: Any) -> NDArray[Any]:
    values = column.to_numpy()
    if values.dtype.kind == "O":
        return np.array(["" if v is None else str(v) for v in values], dtype=np.str_)
    return np.asarray(values)


def _checked(path: Path, column: Column, columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """A mapped column as numbers that its registers can hold."""
    where = f"column {column.name!r}"
    if column.name not in columns:
        raise ConfigError(str(path), f"has no {where}", f"columns: {', '.join(columns)}")
    values = columns[column.name]
    if values.dtype.kind not in "iufb":
        text = next((str(v) for v in values if str(v) and not _is_number(str(v))), "")
        raise ConfigError(str(path), f"{where} is not numeric, it has {text!r}", "map numeric columns; see `decimal`")
    numbers: NDArray[np.float64] = values.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    if len(finite) < len(numbers) and column.type not in ("float32", "float64"):
        raise ConfigError(str(path), f"{where} has empty cells, {column.type} cannot say so", "use float32 or float64")
    raw = (finite - column.offset) / column.scale
    low, high = INTEGER_LIMITS.get(column.type, (-math.inf, math.inf))
    low, high = (-FLOAT32_MAX, FLOAT32_MAX) if column.type == "float32" else (low, high)
    if len(raw) and (np.round(raw.min()) < low or np.round(raw.max()) > high):
        raise ConfigError(
            str(path), f"{where} runs from {finite.min():g} to {finite.max():g}: {column.type} cannot hold it",
            "use a wider type, or scale",
        )  # fmt: skip
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _row_times(path: Path, times: Times, columns: dict[str, NDArray[Any]], rows: int) -> NDArray[np.float64]:
    """Seconds of each row since the first."""
    if not times.column:
        return np.arange(rows, dtype=np.float64) * times.period_s
    if times.column not in columns:
        raise ConfigError(str(path), f"has no time column {times.column!r}", f"columns: {', '.join(columns)}")
    values = columns[times.column]
    if values.dtype.kind == "M":
        seconds = (values - values[0]) / np.timedelta64(1, "s")
    elif values.dtype.kind in "iuf":
        seconds = (values - values[0]) * SECONDS_OF[times.unit]
    else:
        seconds = np.array([_parsed(path, times, i, str(v)) for i, v in enumerate(values)])
        seconds = seconds - seconds[0]
    falls = np.flatnonzero(~(np.diff(seconds) >= 0))
    if len(falls):
        raise ConfigError(
            str(path), f"time column {times.column!r} goes back at row {falls[0] + 2}",
            "sort the rows, or give `period_s` instead of a column",
        )  # fmt: skip
    return np.asarray(seconds, dtype=np.float64)


def _parsed(path: Path, times: Times, index: int, text: str) -> float:
    try:
        if times.format in ("", "iso"):
            moment = dt.datetime.fromisoformat(text)
        else:
            moment = dt.datetime.strptime(text, times.format)  # noqa: DTZ007 - the zone is settled below
    except ValueError as error:
        raise ConfigError(
            str(path), f"time column {times.column!r}, row {index + 1}: {error}", "see `time.format` in the map"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()

"""A file of separated values as a table of text: what separates, how it is encoded, whether commas are decimal."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cloud.backtest.stamps import is_time
from edge.errors import ConfigError

BYTES_MAX = 2 * 10**9
_TRUE, _FALSE = {"true", "on", "yes", "run", "running"}, {"false", "off", "no", "stop", "stopped"}


def table_of(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows, cells as text. Raises ``ConfigError``."""
    where = str(path)
    text = _text(path)
    lines = text.splitlines()
    try:
        separator = _separator(lines)
        table = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ConfigError(where, f"is no table of separated values: {error}", "export it as CSV") from error
    if not table:
        raise ConfigError(where, "is empty", "export the machine's signals with a column of times")
    header = [cell.strip() for cell in table[0]]
    if len(header) < 2:
        raise ConfigError(where, "has one column", "a time and a signal at least, apart by , ; tab or |")
    if all(number_of(cell) is not None or is_time(cell) for cell in header if cell):
        raise ConfigError(where, "has no header", "name the columns in its first line")
    if len(set(header)) < len(header):
        twice = next(name for name, count in Counter(header).items() if count > 1)
        raise ConfigError(where, f"has two columns named {twice!r}", "name each once")
    rows = [row + [""] * (len(header) - len(row)) for row in table[1:]]
    if not rows:
        raise ConfigError(where, "has a header and no rows", "export the machine's signals with it")
    return header, rows


def _text(path: Path) -> str:
    where = str(path)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise ConfigError(where, f"is larger than {BYTES_MAX // 10**9} GB", "export a machine or a year at a time")
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(where, f"cannot be read: {error}", "name an export in CSV, gzipped or not") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data[:4096]:
        raise ConfigError(where, "is not a text", "export it as CSV")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _separator(lines: Sequence[str]) -> str:
    """The one that cuts the most lines into the same number of cells as the header, two at least."""
    sample = [line for line in lines[:50] if line.strip()]
    if not sample:
        return ","

    def fit(separator: str) -> tuple[float, int]:
        cells = [len(row) for row in csv.reader(sample, delimiter=separator)]
        return (sum(count == cells[0] for count in cells) / len(cells) if cells[0] > 1 else 0.0, cells[0])

    return max(";\t|,", key=fit)


def has_decimal_comma(rows: Sequence[Sequence[str]], time: int) -> bool:
    cells = [cell for row in rows[:200] for i, cell in enumerate(row) if i != time]
    commas = sum(bool(re.match(r"^\s*-?\d+,\d+\s*$", cell)) for cell in cells)
    points = sum(bool(re.match(r"^\s*-?\d+\.\d+\s*$", cell)) for cell in cells)
    return commas > points


def number_of(cell: str, *, decimal_comma: bool = False) -> float | None:
    """A number, 1 or 0 for a word of state; None for anything else. Infinities are no numbers."""
    text = cell.strip()
    if decimal_comma:
        text = text.replace(".", "").replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        word = text.lower()
        return 1.0 if word in _TRUE else 0.0 if word in _FALSE else None
    return number if np.isfinite(number) else None

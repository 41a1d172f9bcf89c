"""From a register map, as a CSV that people keep, to a device profile.

Columns: ``device, function_code, address, count, type, byte_order, scale, unit, access, name, description``; the
seven that are not ``NEEDED`` may be missing or empty. A row that cannot be mapped is an ``Issue`` with its line and
column; nothing is left out without one. What was decided for the reader, such as a tag renamed, is a note.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge.commission.toml_text import comment_text, table_text
from edge.config.load import FILE_BYTES_MAX
from edge.config.profiles.modbus import REGISTERS_OF
from edge.contract.units import ucum
from edge.errors import ConfigError

Addresses = Literal["pdu", "one-based", "modicon"]

ROWS_MAX = 10_000
NEEDED = ("function_code", "address", "type", "name")
COLUMNS = (
    "device", "function_code", "address", "count", "type", "byte_order", "scale", "unit", "access", "name",
    "description",
)  # fmt: skip

_FUNCTIONS = {
    "1": 1, "2": 2, "3": 3, "4": 4, "coil": 1, "coils": 1, "discrete": 2, "discrete input": 2, "holding": 3,
    "holding register": 3, "input": 4, "input register": 4,
}  # fmt: skip
_MODICON = {"0": 1, "1": 2, "3": 4, "4": 3}
_TYPES = {
    **{name: name for name in REGISTERS_OF}, "string": "string",
    "u16": "uint16", "s16": "int16", "i16": "int16", "u32": "uint32", "s32": "int32", "i32": "int32",
    "u64": "uint64", "s64": "int64", "i64": "int64", "word": "uint16", "ushort": "uint16", "short": "int16",
    "dword": "uint32", "float": "float32", "real": "float32", "double": "float64", "lreal": "float64",
    "bit": "bool", "boolean": "bool", "coil": "bool", "bcd": "bcd16", "ascii": "string", "char": "string",
}  # fmt: skip
_ORDERS = {
    1: {"AB": "ABCD", "BA": "BADC"},
    2: {"ABCD": "ABCD", "CDAB": "CDAB", "BADC": "BADC", "DCBA": "DCBA"},
    4: {"ABCDEFGH": "ABCD", "GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA"},
}
"""Bytes as they arrive, by the number of registers; the profile writes the four orders with four letters."""
_KINDS = {
    "Cel": "temperature", "[degF]": "temperature", "K": "temperature", "/min": "speed", "W": "power", "kW": "power",
    "MW": "power", "bar": "pressure", "mbar": "pressure", "Pa": "pressure", "kPa": "pressure", "m3/h": "flow",
    "l/min": "flow", "mm/s": "vibration", "in/s": "vibration", "Wh": "counter", "kWh": "counter", "MWh": "counter",
    "varh": "counter", "kvarh": "counter", "VAh": "counter", "kVAh": "counter", "m3": "counter", "h": "hours",
}  # fmt: skip
_ACCESS = {"": "r", "r": "r", "ro": "r", "read": "r", "rw": "rw", "r/w": "rw", "w": "w", "wo": "w", "write": "w"}


@dataclass(frozen=True, slots=True)
class Issue:
    """Why the row at ``line`` (the header is 1) could not be mapped: what stands in ``column``, and what may."""

    line: int
    column: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class Imported:
    """``points`` are a profile's tables; ``rows`` were in the map, for each a point or an issue."""

    device: str
    points: tuple[dict[str, Any], ...]
    rows: int
    issues: tuple[Issue, ...]
    notes: tuple[str, ...]


class _Unmapped(Exception):
    def __init__(self, column: str, problem: str, hint: str) -> None:
        self.column, self.problem, self.hint = column, problem, hint


@dataclass(slots=True)
class _Book:
    """What has been imported so far."""

    points: list[dict[str, Any]] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)


def import_map(
    path: Path, *, addresses: Addresses = "pdu", device: str | None = None, writable: bool = False
) -> Imported:  # fmt: skip
    """Read the map at ``path``. Raises ``ConfigError`` where it is no such table, or holds several devices.

    ``addresses`` is the map's convention: 0-based as in the PDU, counted from 1, or Modicon's numbers (40001, 400001)
    whose first digit names the table. ``writable`` lets points be written whose access says so.
    """
    rows = [(line, row) for line, row in _rows(path) if device is None or row["device"].strip() == device]
    found = sorted({row["device"].strip() for _, row in rows})
    if len(found) > 1:
        raise ConfigError(str(path), f"holds {len(found)} devices: {', '.join(found)}", "choose one with --device")
    if not rows:
        raise ConfigError(str(path), "holds no row" + (f" of device {device!r}" if device else ""), "one value a row")
    book = _Book()
    for line, row in rows:
        try:
            _take(book, line, row, addresses, writable)
        except _Unmapped as why:
            book.issues.append(Issue(line, why.column, why.problem, why.hint))
    _doubt(book, addresses)
    return Imported(found[0], tuple(book.points), len(rows), tuple(book.issues), tuple(book.notes))


def profile_text(found: Imported, *, id: str, source: str) -> str:  # noqa: A002
    """The profile in TOML. What could not be mapped stands in its head, so that it is not forgotten."""
    head = comment_text(
        f"{found.device or id}: imported from a register map. Nothing is known of its limits, nor of the registers "
        "between these values, so none of those is read. It has no samples yet."
    )
    for issue in found.issues:
        head += comment_text(f"NOT MAPPED: line {issue.line}, {issue.column}: {issue.problem}")
    tables = [
        table_text("[device]", {"id": id, "products": [found.device or id], "source": source}),
        table_text("[quirks]", {"gap_max": 0}),
        *(table_text("[[point]]", point) for point in found.points),
    ]
    return "\n".join([head, *tables])


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its line. Raises ``ConfigError`` for what is no table of this layout."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(str(path), f"larger than {FILE_BYTES_MAX} bytes", "name a register map")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(str(path), "no such file", "name a CSV file that exists") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}", "a CSV file in UTF-8") from error
    reader = csv.reader(text.splitlines())
    header = [name.strip().lower() for name in next(reader, [])]
    _check_header(path, header)
    for number, cells in enumerate(reader):
        if not any(cell.strip() for cell in cells):
            continue
        if number >= ROWS_MAX:
            raise ConfigError(str(path), f"more than {ROWS_MAX} rows", "one device a map")
        if len(cells) > len(header):
            problem = f"line {reader.line_num}: {len(cells)} cells under {len(header)} columns"
            raise ConfigError(str(path), problem, 'a cell with a comma in it wants quotes: "a, b"')
        cells += [""] * (len(header) - len(cells))
        yield reader.line_num, dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=True))


def _check_header(path: Path, header: list[str]) -> None:
    accepted = f"the first line names the columns: {', '.join(COLUMNS)}"
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise ConfigError(str(path), f"line 1: no column {', '.join(missing)}", accepted)
    strange = [name for name in header if name not in COLUMNS]
    if strange:
        raise ConfigError(str(path), f"line 1: unknown column {', '.join(map(repr, strange))}", accepted)
    if len(set(header)) < len(header):
        raise ConfigError(str(path), "line 1: a column stands twice", accepted)


def _take(book: _Book, line: int, row: Mapping[str, str], addresses: Addresses, writable: bool) -> None:
    """One row into the book. Raises ``_Unmapped``."""
    access = _one_of(row, "access", _ACCESS)
    if access == "w":
        raise _Unmapped("access", "can only be written", "a point of a profile is read")
    function, address = _place(row, addresses)
    kind = _one_of(row, "type", _TYPES)
    if (kind == "bool") != (function in (1, 2)):
        raise _Unmapped("type", f"{kind} with function {function}", "functions 1 and 2 give bool, 3 and 4 numbers")
    registers = _registers(row, kind)
    if address + registers > 65536:
        raise _Unmapped("address", f"ends past register 65535 ({address} + {registers})", "is it 0-based?")
    point: dict[str, Any] = {"tag": "", "function": function, "address": address, "type": kind}
    if kind == "string":
        point["length"] = registers
    order = _order(row, kind, registers)
    if order != "ABCD":
        point["order"] = order
    scale = _number(row, "scale", 1.0)
    if scale == 0.0:
        raise _Unmapped("scale", "0", "value = raw * scale")
    if scale != 1.0 and kind not in ("bool", "string"):
        point["scale"] = scale
    point |= _meaning(row, kind, scale)
    if access == "rw" and function in (1, 3):
        if writable:
            point["writable"] = True
        else:
            book.notes.append(f"line {line}: {row['name']} can be written; imported read-only (--writable)")
    point["tag"] = _tag(book, line, row, address)
    book.points.append(point)


def _one_of(row: Mapping[str, str], column: str, accepted: Mapping[str, Any]) -> Any:
    found = row[column].strip()
    choice = accepted.get(found.lower())
    if choice is None:
        raise _Unmapped(column, repr(found), f"accepted here: {', '.join(k for k in accepted if k)}")
    return choice


def _whole(row: Mapping[str, str], column: str) -> int:
    """A whole number, decimal or hexadecimal (0x.. or ..h)."""
    found = row[column].strip()
    text = f"0x{found[:-1]}" if re.fullmatch(r"[0-9a-fA-F]+[hH]", found) else found
    try:
        return int(text, 0) if not re.fullmatch(r"0+\d+", text) else int(text)
    except ValueError:
        raise _Unmapped(column, repr(found), "a whole number, such as 40960, 0xA000 or A000h") from None


def _number(row: Mapping[str, str], column: str, default: float) -> float:
    found = row[column].strip()
    try:
        number = float(found) if found else default
    except ValueError:
        hint = "a decimal point, no comma" if "," in found else "a number, such as 0.1"
        raise _Unmapped(column, repr(found), hint) from None
    if not abs(number) < float("inf"):
        raise _Unmapped(column, repr(found), "a finite number")
    return number


def _place(row: Mapping[str, str], addresses: Addresses) -> tuple[int, int]:
    function = _one_of(row, "function_code", _FUNCTIONS)
    if addresses == "modicon":
        return _modicon(row, function)
    address = _whole(row, "address") - (addresses == "one-based")
    if not 0 <= address <= 65535:
        hint = "0 to 65535" if addresses == "pdu" else "1 to 65536"
        raise _Unmapped("address", row["address"].strip(), f"{hint}; numbers such as 400001 want --addresses modicon")
    return function, address


def _modicon(row: Mapping[str, str], function: int) -> tuple[int, int]:
    """The table is the first of five or six digits, the rest counts from 1."""
    digits = row["address"].strip()
    if not re.fullmatch(r"[0134]\d{4,5}", digits) or not 1 <= int(digits[1:]) <= 65536:
        hint = (
            "Modicon numbers have five or six digits: 00001 coils, 10001 inputs, 30001 input, 40001 holding registers"
        )
        raise _Unmapped("address", repr(digits), hint)
    table = _MODICON[digits[0]]
    if table != function:
        raise _Unmapped("address", f"{digits} is of function {table}, `function_code` says {function}", "which is it?")
    return function, int(digits[1:]) - 1


def _registers(row: Mapping[str, str], kind: str) -> int:
    """How many registers the value takes, by its type or, of a string, by its count."""
    if kind == "string":
        count = _whole(row, "count")
        if not 1 <= count <= 125:
            raise _Unmapped("count", str(count), "a string takes 1 to 125 registers")
        return count
    if row["count"].strip() and (count := _whole(row, "count")) != REGISTERS_OF[kind]:
        raise _Unmapped("count", f"{count}, and {kind} takes {REGISTERS_OF[kind]}", "one row for each value")
    return REGISTERS_OF[kind]


def _order(row: Mapping[str, str], kind: str, registers: int) -> str:
    found = row["byte_order"].strip().upper()
    if not found or kind == "bool":
        return "ABCD"
    accepted = _ORDERS[1] | _ORDERS[2] if kind == "string" else _ORDERS[registers]
    if found not in accepted:
        raise _Unmapped("byte_order", repr(found), f"of {registers} registers: {', '.join(accepted)}")
    return accepted[found]


def _meaning(row: Mapping[str, str], kind: str, scale: float) -> dict[str, Any]:
    """Unit, title, kind and decimals, as far as the map tells."""
    found = row["unit"].strip()
    unit = "" if found == "1" else ucum(found)
    meaning: dict[str, Any] = {"unit": unit} if unit else {}
    meaning["title"] = row["description"].strip() or _title(row["name"])
    if kind == "bool":
        meaning["kind"] = "state"
    elif unit in _KINDS:
        meaning["kind"] = _KINDS[unit]
    if kind not in ("bool", "string", "float32", "float64"):
        meaning["decimals"] = _decimals(scale)
    return meaning


def _title(name: str) -> str:
    """A name as words; phases keep their capital."""
    return re.sub(r"\bl([123])\b", r"L\1", name.strip().replace("_", " ").capitalize())


def _decimals(scale: float) -> int:
    """As many as one step of the raw value needs."""
    return next((n for n in range(9) if abs(scale * 10**n - round(scale * 10**n)) < 1e-9), 9)


def _tag(book: _Book, line: int, row: Mapping[str, str], address: int) -> str:
    name = row["name"].strip()
    tag = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    tag = tag if tag[:1].isalpha() else f"r_{tag}"
    if not name:
        raise _Unmapped("name", "empty", "the tag is made of it")
    tag = tag[:56]
    if tag in book.tags:
        tag = f"{tag}_{address}"
        book.notes.append(f"line {line}: the name {name!r} stands twice; this one is {tag}")
    if tag in book.tags:
        raise _Unmapped("name", f"{name!r} at {address} stands twice", "give each value a name of its own")
    book.tags.add(tag)
    return tag


def _doubt(book: _Book, addresses: Addresses) -> None:
    """Say where the convention looks like another one."""
    places = [(p["function"], p["address"]) for p in book.points]
    if addresses != "pdu" or not places:
        return
    if all((f == 3 and 40001 <= a <= 49999) or (f == 4 and 30001 <= a <= 39999) for f, a in places):
        book.notes.append("every address looks like a Modicon number: compare with the manual (--addresses modicon)")

"""TOML as a person writes it: tables one after the other, comments kept, a point added without touching the rest."""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.config.load import read_toml
from edge.config.profiles import parse_profile, problems_of
from edge.errors import ConfigError

_OTHER_TABLE = re.compile(r"^\s*\[(?!\s*point\s*\.)")
"""A header that is not one of a point's own tables, such as ``[point.values]``."""
_POINT = re.compile(r"^\s*\[\[\s*point\s*\]\]")


def value_text(value: Any) -> str:
    """One value in TOML. A float keeps its point, text its non-ASCII letters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{value_text(str(k))} = {value_text(v)}" for k, v in value.items()) + " }"
    return "[" + ", ".join(value_text(item) for item in value) + "]"


def table_text(header: str, table: Mapping[str, Any]) -> str:
    """``[header]`` with its keys, one a line."""
    return "\n".join([header, *(f"{key} = {value_text(value)}" for key, value in table.items()), ""])


def comment_text(words: str, width: int = 118) -> str:
    """``words`` as comment lines."""
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) + 1 > width and lines[-1]:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "".join(f"# {line}\n" for line in lines)


def with_point(text: str, point: Mapping[str, Any], comment: str = "") -> str:
    """``text`` with one more ``[[point]]`` after its last one; everything else stays as it was, comments too."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    starts = [i for i, line in enumerate(lines) if _POINT.match(line)]
    at = len(lines) if not starts else _end_of_table(lines, starts[-1])
    added = "\n" + (comment_text(comment) if comment else "") + table_text("[[point]]", point)
    rest = "".join(lines[at:])
    return "".join(lines[:at]) + added + ("" if not rest or rest.startswith("\n") else "\n") + rest


def add_point(path: Path, point: Mapping[str, Any], comment: str = "") -> None:
    """Add ``point`` to the profile at ``path``, as a whole or not at all. Raises ``ConfigError``.

    What would come of it is read back first: a file that no longer loads is never written. It is replaced in one step.
    """
    before = read_toml(path)
    text = with_point(path.read_text(encoding="utf-8"), point, comment)
    after = must_load(text, path)
    if after != before | {"point": [*before.get("point", []), dict(point)]}:
        raise ConfigError(str(path), "a point cannot be added to this file by itself", "add it by hand")
    write_whole(path, text)


def new_profile(path: Path, point: Mapping[str, Any], comment: str, *, source: str) -> None:
    """Begin a profile with ``point``. Raises ``ConfigError``."""
    device = {"id": re.sub(r"[^a-z0-9_.-]+", "-", path.stem.lower()).strip("-") or "device", "products": [path.stem]}
    tables = [table_text("[device]", {**device, "source": source}), table_text("[quirks]", {"gap_max": 0})]
    text = "\n".join([*tables, comment_text(comment) + table_text("[[point]]", point)])
    must_load(text, path)
    write_whole(path, text)


def write_whole(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``, with the old file's mode. Raises ``ConfigError`` where it cannot be written."""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name another path") from error


def must_load(text: str, path: Path) -> dict[str, Any]:
    """The tables of ``text``, which is a profile for ``path``. Raises ``ConfigError`` where it is none."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"it would no longer be TOML: {error}", "add it by hand") from error
    for problem, hint in problems_of(parse_profile(data, where=str(path))):
        raise ConfigError(str(path), problem, hint)
    return data


def _end_of_table(lines: list[str], start: int) -> int:
    """The line after the last key of the table at ``start``: blank lines and comments there are the next table's."""
    end = next((i for i in range(start + 1, len(lines)) if _OTHER_TABLE.match(lines[i])), len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end

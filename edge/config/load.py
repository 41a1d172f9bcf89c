"""Strict loading of TOML into frozen structs: one error that names file, key, what was found and what is accepted."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edge.errors import ConfigError

T = TypeVar("T")

FILE_BYTES_MAX = 4 * 1024 * 1024


def load(path: Path, kind: type[T]) -> T:
    """Read the TOML file at ``path`` as ``kind``. Raises ``ConfigError``."""
    return convert(read_toml(path), kind, where=str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables. Raises ``ConfigError`` for a file that is missing, too large or not TOML."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(str(path), f"larger than {FILE_BYTES_MAX} bytes", "name a configuration file")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(str(path), "no such file", "name a TOML file that exists") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"not TOML: {error}", "strings want quotes, tables [brackets]") from error


def convert(data: Any, kind: type[T], *, where: str) -> T:
    """``data`` as ``kind``, strictly. Raises ``ConfigError`` naming ``where`` and the key."""
    try:
        return msgspec.convert(data, kind, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        raise _explained(str(error), data, kind, where) from error


def _explained(message: str, data: Any, kind: type, where: str) -> ConfigError:
    text, _, path = message.partition(" - at `$")
    keys = path.rstrip("`").lstrip(".")
    found = _value_at(data, keys)
    problem = f"`{keys}`: {text}" if keys else text
    if not isinstance(found, dict | list) and found is not _MISSING and not text.startswith("Invalid"):
        problem += f", found {found!r}"
    accepted: list[str] = []
    if "unknown field" in text:
        accepted = _fields_near(kind, keys, data)
    elif text.startswith("Invalid"):
        accepted = _choices_near(kind, keys, data)
    return ConfigError(where, problem, f"accepted here: {', '.join(accepted)}" if accepted else "")


_MISSING = object()


def _value_at(data: Any, keys: str) -> Any:
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", keys):
        try:
            data = data[name] if name else data[int(index)]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return data


def _fields_near(kind: type, keys: str, data: Any) -> list[str]:
    info = _member(*_type_at(kind, keys, data))
    return [f.encode_name for f in info.fields] if isinstance(info, msgspec.inspect.StructType) else []


def _choices_near(kind: type, keys: str, data: Any) -> list[str]:
    """What the last of ``keys`` may be: the tags of a union of tables, the values of a literal or of an enumeration."""
    table, _, last = keys.rpartition(".")
    name = last.partition("[")[0]
    info, here = _type_at(kind, table, data)
    members = info.types if isinstance(info, msgspec.inspect.UnionType) else ()
    tags = [str(t.tag) for t in members if isinstance(t, msgspec.inspect.StructType) and t.tag_field == name]
    struct = _member(info, here)
    if tags or not isinstance(struct, msgspec.inspect.StructType):
        return tags
    for one in (_item(_plain(f.type)) for f in struct.fields if f.encode_name == name):
        if isinstance(one, msgspec.inspect.LiteralType):
            return [str(value) for value in one.values]
        if isinstance(one, msgspec.inspect.EnumType):
            return [str(member.value) for member in one.cls]
    return []


def _item(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """Of a list what stands in it."""
    lists = msgspec.inspect.ListType | msgspec.inspect.VarTupleType
    return _plain(info.item_type) if isinstance(info, lists) else info


def _type_at(kind: type, keys: str, data: Any) -> tuple[msgspec.inspect.Type, Any]:
    """The type that ``keys`` lead to, and what stands there in ``data``."""
    info = _plain(msgspec.inspect.type_info(kind))
    here: Any = data
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", keys):
        info = _member(info, here)
        here = _value_at(here, name or f"[{index}]")
        if index and isinstance(info, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
            info = _plain(info.item_type)
        elif isinstance(info, msgspec.inspect.StructType):
            info = _plain(next(f.type for f in info.fields if f.encode_name == name))
    return info, here


def _plain(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """Without its description."""
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _member(info: msgspec.inspect.Type, here: Any) -> msgspec.inspect.Type:
    """Of a union of tagged structs the one that ``here`` names, else its first struct."""
    if not isinstance(info, msgspec.inspect.UnionType):
        return info
    structs = [t for t in info.types if isinstance(t, msgspec.inspect.StructType)]
    for struct in structs:
        if struct.tag_field is not None and isinstance(here, dict) and here.get(struct.tag_field) == struct.tag:
            return struct
    return structs[0] if structs else info

"""Every key of a table that a struct would refuse, not only the first: the struct's own types, asked one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import msgspec

Found = tuple[str, str, str]
"""Key, problem, hint."""


def type_problems(data: Any, kind: type[msgspec.Struct], key: str = "") -> Iterator[Found]:
    """What ``kind`` refuses of ``data``, each with its key, such as ``point[3].scale``."""
    if not isinstance(data, dict):
        yield key, f"expected a table, found {data!r}", ""
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in data.keys() - fields.keys():
        yield _under(key, name), "unknown key", f"accepted here: {', '.join(fields)}"
    for name, field in fields.items():
        if name in data:
            yield from _value_problems(data[name], field.type, _under(key, name))
        elif field.required:
            yield _under(key, name), "missing", ""


def _value_problems(value: Any, kind: Any, key: str) -> Iterator[Found]:
    struct, many = _struct_of(kind)
    if struct is not None and not many:
        yield from type_problems(value, struct, key)
        return
    if struct is not None and isinstance(value, list):
        for i, table in enumerate(value):
            yield from type_problems(table, struct, f"{key}[{i}]")
        if value:
            return
    try:
        msgspec.convert(value, kind, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        text, _, _ = str(error).partition(" - at `$")
        yield key, text if text.startswith("Invalid") else f"{text}, found {value!r}", _choices(kind)


def _struct_of(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The struct that ``kind`` is, or is a tuple of; and which of the two."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    arguments = get_args(kind)
    if get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        inner, _ = _struct_of(arguments[0])
        return inner, True
    for part in (kind, *(a for a in arguments if arguments and type(None) in arguments)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part, False
    return None, False


def _choices(kind: Any) -> str:
    info = msgspec.inspect.type_info(kind)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    values = info.values if isinstance(info, msgspec.inspect.LiteralType) else ()
    return f"accepted here: {', '.join(map(str, values))}" if values else ""


def _under(key: str, name: str) -> str:
    return f"{key}.{name}" if key else str(name)

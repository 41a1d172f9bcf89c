"""A block's directory: its series, and what is neither a reading nor a time. JSON, believed field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge.contract.dictionary import Group
from edge.contract.envelope import DIRECTORY_BYTES_MAX, SERIES_MAX
from edge.contract.kinds import Scale
from edge.contract.series import Shape
from edge.errors import BlockError

_TO_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Directory:
    """``records`` are still JSON; ``scales`` are those that kinds from 16 on mean, in order."""

    shapes: list[Shape]
    texts: list[str]
    scales: Sequence[Scale]
    records: list[Any]


def to_json(found: dict[str, Any]) -> bytes:
    return _TO_JSON.encode(found).encode()


def lists_of(text: bytes, names: Sequence[str], *, all_of_them: bool) -> dict[str, list[Any]]:
    """An object of these lists, of which some may be left out unless ``all_of_them``. Raises BlockError."""
    if len(text) > DIRECTORY_BYTES_MAX:
        raise BlockError("block", f"a directory of {len(text)} bytes; the limit is {DIRECTORY_BYTES_MAX}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BlockError("block", "its directory is not JSON") from None
    if not isinstance(found, dict) or not found.keys() <= set(names) or (all_of_them and len(found) < len(names)):
        raise BlockError("block", "its directory has other keys than its version")
    if not all(isinstance(entry, list) for entry in found.values()):
        raise BlockError("block", "its directory holds something else than lists")
    return {name: [] for name in names} | found


def texts_of(found: Any) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise BlockError("block", "its directory holds a name that is no text")
    return found


def groups_of(entries: Iterable[Any], schemas: list[Any]) -> list[Group]:
    """Pairs of an asset and the number of its tags in ``schemas``."""
    tags = [tuple(texts_of(schema)) for schema in schemas]
    groups = []
    for entry in entries:
        match entry:
            case [str(asset), int(schema)] if 0 <= schema < len(tags):
                groups.append((asset, tags[schema]))
            case _:
                raise BlockError("block", "a series in its directory cannot be")
    return groups


def scales_of(found: list[Any]) -> list[Scale]:
    scales = []
    for entry in found:
        match entry:
            case ["times" | "over" | "over32" as op, float(factor), float(offset)] if (
                0 < abs(factor) < math.inf > abs(offset)
            ):
                scales.append(Scale(op, factor, offset))
            case _:
                raise BlockError("block", "a scale in its directory cannot be")
    return scales


def check_series(count: int) -> None:
    if count > SERIES_MAX:
        raise BlockError("block", f"its directory has more than {SERIES_MAX} series")

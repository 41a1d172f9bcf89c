"""A dictionary: the names of an epoch's scan groups, told once instead of in every block.

It is named by what it says, so that a block can tell which one it was written with, and whoever holds a dictionary can
prove that it is the right one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from edge.contract.zstd import compress, content_bytes, decompress
from edge.errors import BlockError

MAGIC = b"BABD"
VERSION = 1
GROUPS_MAX = 2**14
CONTENT_BYTES_MAX = 2**22
DIGEST_BYTES = 16
_TO_JSON = json.JSONEncoder(separators=(",", ":"))

Group = tuple[str, tuple[str, ...]]
"""An asset and the tags that are polled of it together."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """``groups`` in the order of their numbers, from 0, each different; ``digest`` names them (16 bytes)."""

    groups: tuple[Group, ...]
    digest: bytes = field(init=False, compare=False)
    numbers: dict[Group, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", {group: number for number, group in enumerate(self.groups)})
        object.__setattr__(self, "digest", _digest(_content(self)))
        assert len(self.numbers) == len(self.groups), "a scan group twice in one dictionary"


def pack_dictionary(dictionary: Dictionary) -> bytes:
    """The dictionary as it lies in a store and travels. Raises BlockError where it is more than one holds."""
    content = _content(dictionary)
    if len(dictionary.groups) > GROUPS_MAX or len(content) > CONTENT_BYTES_MAX:
        raise BlockError(
            "dictionary",
            f"{len(dictionary.groups)} scan groups in {len(content)} bytes; the limits are {GROUPS_MAX} and "
            f"{CONTENT_BYTES_MAX}",
        )
    head = MAGIC + bytes([VERSION]) + dictionary.digest + compress([content], len(content))
    return head + _digest(head)


def is_dictionary(data: bytes) -> bool:
    """Whether a frame is, or claims to be, a dictionary rather than a block."""
    return data[: len(MAGIC)] == MAGIC


def open_dictionary(data: bytes) -> Dictionary:
    """The dictionary that was packed. Raises BlockError, having allocated no more than the limits allow."""
    if not is_dictionary(data) or len(data) == len(MAGIC):
        raise BlockError("dictionary", "the bytes are not a dictionary")
    if data[4] != VERSION:
        raise BlockError(
            "dictionary", f"made in version {data[4]} of the format, this program reads version {VERSION}", "update it"
        )
    if len(data) < 5 + 2 * DIGEST_BYTES or _digest(memoryview(data)[:-DIGEST_BYTES]) != data[-DIGEST_BYTES:]:
        raise BlockError("dictionary", "its checksum is wrong: bytes were altered or cut")
    frame = data[5 + DIGEST_BYTES : -DIGEST_BYTES]
    size = content_bytes(frame)
    if not 0 <= size <= CONTENT_BYTES_MAX:
        raise BlockError("dictionary", f"a content of {size} bytes; the limit is {CONTENT_BYTES_MAX}")
    content = decompress(frame, size)
    dictionary = Dictionary(_groups(content))
    if dictionary.digest != data[5 : 5 + DIGEST_BYTES] or content != _content(dictionary):
        raise BlockError("dictionary", "its content is not what its digest names")
    return dictionary


def _content(dictionary: Dictionary) -> bytes:
    return _TO_JSON.encode(dictionary.groups).encode()


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def _groups(content: bytes) -> tuple[Group, ...]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise BlockError("dictionary", "its content is not JSON") from None
    if not isinstance(found, list) or len(found) > GROUPS_MAX:
        raise BlockError("dictionary", f"its content is no list of at most {GROUPS_MAX} scan groups")
    groups = tuple(_group(entry) for entry in found)
    if len(set(groups)) < len(groups):
        raise BlockError("dictionary", "it names a scan group twice")
    return groups


def _group(entry: Any) -> Group:
    match entry:
        case [str(asset), list(tags)] if all(isinstance(tag, str) for tag in tags):
            return asset, tuple(tags)
    raise BlockError("dictionary", "one of its scan groups is not an asset and its tags")

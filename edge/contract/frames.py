"""Several blocks in one body: each is preceded by its length, four bytes, least significant first."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from edge.errors import BlockError

_LENGTH = struct.Struct("<I")


def pack_frames(blocks: Sequence[bytes]) -> bytes:
    """One body of all ``blocks``, in order."""
    return b"".join(part for block in blocks for part in (_LENGTH.pack(len(block)), block))


def unpack_frames(body: bytes, *, frames_max: int, frame_bytes_max: int) -> list[bytes]:
    """The blocks of a body, unopened. Raises BlockError where it is cut short, or holds too many or too large ones."""
    frames: list[bytes] = []
    at = 0
    while at < len(body):
        if len(frames) == frames_max:
            raise BlockError("frames", f"more than {frames_max} blocks in one body")
        if at + _LENGTH.size > len(body):
            raise BlockError("frames", "the body ends within a length")
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if length > frame_bytes_max:
            raise BlockError("frames", f"a block of {length} bytes; the limit is {frame_bytes_max}")
        if at + length > len(body):
            raise BlockError("frames", "the body ends within a block")
        frames.append(body[at : at + length])
        at += length
    return frames

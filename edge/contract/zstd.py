"""zstd with limits, and with contexts that are made once a thread: making one costs more than a small block does."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import zstandard

from edge.errors import BlockError

_LEVEL = 3
_CHUNK_BYTES_MIN = 128


class _Contexts(threading.local):
    """They may be used by one thread at a time."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def compress(chunks: Sequence[bytes], raw: int) -> bytes:
    """One frame of ``raw`` bytes; a new block in it, with symbol statistics of its own, where a chunk of some size
    begins.
    """
    stream = _contexts.compressor.compressobj(size=raw)
    out: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        if len(chunk) >= _CHUNK_BYTES_MIN and size >= _CHUNK_BYTES_MIN:
            out += [stream.compress(b"".join(waiting)), stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)]
            waiting, size = [], 0
        waiting.append(chunk)
        size += len(chunk)
    return b"".join([*out, stream.compress(b"".join(waiting)), stream.flush()])


def content_bytes(frame: bytes | memoryview) -> int:
    """How long a frame says it is unpacked; negative where it does not say. Raises BlockError."""
    try:
        return zstandard.frame_content_size(frame)
    except zstandard.ZstdError as error:
        raise BlockError("block", f"its payload does not decompress: {error}") from None


def decompress(frame: bytes | memoryview, size: int) -> bytes:
    """The content of a frame that states ``size``. Raises BlockError, having allocated no more than that."""
    # The decompressor believes the size that the frame states, so that is checked first.
    if content_bytes(frame) != size:
        raise BlockError("block", "its payload and its header state different sizes")
    try:
        return _contexts.decompressor.decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BlockError("block", f"its payload does not decompress: {error}") from None

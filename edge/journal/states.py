"""The rooms' kept states in the store, each with a checksum: SQLite has none, and a room cannot tell a flipped bit from
what it has learned. A state that was altered is forgotten, so that its room starts anew instead of from nonsense.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Mapping

CHECKSUM_BYTES = 4

log = logging.getLogger("babbitt.journal")


def sealed_states(states: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Rows for the store: the name, and the state behind its checksum."""
    for name, state in states.items():
        yield name, _checksum(name, state) + state


def read_states(rows: Mapping[str, bytes]) -> dict[str, bytes]:
    """The states that are as they were kept."""
    states = {}
    for name, data in rows.items():
        checksum, state = bytes(data[:CHECKSUM_BYTES]), bytes(data[CHECKSUM_BYTES:])
        if checksum == _checksum(name, state):
            states[name] = state
        else:
            log.error("the state of %s was altered on the disk and is forgotten", name)
    return states


def _checksum(name: str, state: bytes) -> bytes:
    return zlib.crc32(state, zlib.crc32(name.encode())).to_bytes(CHECKSUM_BYTES, "little")

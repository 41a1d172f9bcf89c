"""The checksum of one request or answer, as ``Babbitt-Digest``: BLAKE2b, 16 bytes, in hex.

Blocks have checksums of their own. What is said around them (how far the gateway has settled, what the receiver holds)
decides what is let go, and a line without TLS has nothing but TCP's sixteen bits: a digit that turned over there
would acknowledge a block that nobody holds. Against whoever can write on the line only TLS helps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

HEADER = "Babbitt-Digest"
ISSUED = "Babbitt-Issued"
"""In the answer to a request with blocks: another value than before says that the gateway is wanted to do otherwise.

It is a hint to ask, and no more than that: an answer that was altered there costs a question.
"""
COVERED = (
    "Babbitt-Gateway", "Babbitt-Epoch", "Babbitt-Oldest", "Babbitt-Lane", "Babbitt-Backlog-Blocks",
    "Babbitt-Backlog-Readings", "Content-Type",
)  # fmt: skip
"""The headers that count, in this order, each as ``name: value`` and a newline; then an empty line, then the body."""


def digest_of(headers: Mapping[str, str], body: bytes) -> str:
    """32 hex digits over the covered headers that are there, and the body. An answer covers its body alone."""
    state = hashlib.blake2b(digest_size=16)
    for name in COVERED:
        value = headers.get(name)
        if value is not None:
            state.update(f"{name.lower()}: {value}\n".encode())
    state.update(b"\n")
    state.update(body)
    return state.hexdigest()

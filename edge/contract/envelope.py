"""What stands around a block's payload in every version: magic, version, limits, checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from edge.contract.types import Key, Lane
from edge.contract.zstd import decompress
from edge.errors import BlockError

MAGIC = b"BABT"
READINGS_MAX = 2**18
ROWS_MAX = 2**18
SERIES_MAX = 2**14
PAYLOAD_BYTES_MAX = 2**24
DIRECTORY_BYTES_MAX = 2**22
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Header:
    """What a block says of itself in clear.

    ``readings`` counts values asked for, good or bad; ``good`` those that came with a value. ``digest`` tells two
    blocks with the same key but different contents apart. ``dictionary`` is the digest of the one that its names are in
    (empty: it opens alone); ``thinned`` says that readings were taken out on purpose, which the ledger declares.
    """

    key: Key
    boot: str
    lane: Lane
    sealed_ns: int
    readings: int
    good: int
    records: int
    digest: bytes
    dictionary: bytes
    thinned: bool
    version: int
    raw_bytes: int
    """The payload's, before it is compressed."""
    frame: bytes | memoryview = field(compare=False, repr=False)
    """The payload as it lies in the block."""
    compressed: bool = field(compare=False, repr=False)


def sealed(data: bytes) -> bytes:
    return data + digest_of(data)


def digest_of(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def check_seal(data: bytes) -> bytes:
    """The block's own digest. Raises BlockError where it is not that of the bytes before it."""
    digest = data[-DIGEST_BYTES:]
    if digest_of(memoryview(data)[:-DIGEST_BYTES]) != digest:
        raise BlockError("block", "its checksum is wrong: bytes were altered or cut off")
    return digest


def check_counts(header: Header) -> Header:
    """Raises BlockError where it claims more than a block holds."""
    if (
        header.readings > READINGS_MAX
        or not 0 <= header.good <= header.readings
        or not 0 <= header.raw_bytes <= PAYLOAD_BYTES_MAX
        or header.records > header.raw_bytes
    ):
        raise BlockError("block", "its header counts more than a block holds")
    return header


def gateway_of(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BlockError("block", "the gateway's name is not UTF-8") from None


def payload_of(header: Header) -> bytes:
    """The payload, of ``raw_bytes``. Raises BlockError, having allocated no more than that."""
    return decompress(header.frame, header.raw_bytes) if header.compressed else bytes(header.frame)

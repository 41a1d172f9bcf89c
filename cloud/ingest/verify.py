"""What a request's body holds: each block is checked on its own, so that a bad one harms no other.

Bounded whatever arrives: frames, bytes a frame, and what all blocks of a request may unfold to together. Blocks beyond
that are left for the gateway to send again, since it was not told that they are held.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cloud.ingest.plausible import check
from cloud.store.writer import Duplicate, Refusal
from edge.contract.block import (
    MAGIC,
    VERSIONS,
    Block,
    Dictionary,
    Header,
    claimed_key,
    decode_block,
    is_dictionary,
    open_dictionary,
    peek,
)
from edge.contract.types import Key
from edge.errors import BlockError, UnknownDictionaryError

READINGS_AT_ONCE_MAX = 2**20
RAW_BYTES_AT_ONCE_MAX = 2**26
SEQ_MAX = 2**63 - 1


class Held(Protocol):
    """What is in the store already."""

    @property
    def dictionaries(self) -> Mapping[bytes, Dictionary]: ...
    def dictionaries_left(self, gateway: str) -> int: ...
    def holds(self, key: Key, data: bytes, *, thinned: bool = False) -> Literal["no", "same", "other"]: ...


class ForeignBlockError(Exception):
    """A sound block of another gateway or epoch than the request's: nothing of the request is taken."""


@dataclass(slots=True)
class Verified:
    """``fresh`` and ``dictionaries`` are to be stored; ``refused`` names, for the gateway, blocks that never will be.

    ``wants`` are digests of dictionaries that blocks of the request need and nobody has sent.
    ``held`` are the request's blocks that are, or are about to be, stored, by number. ``unreadable`` gives places in
    the request (from 0) of blocks that cannot be read; those not also in ``refused`` are worth sending once more.
    """

    fresh: list[tuple[bytes, Block]] = field(default_factory=list)
    dictionaries: dict[bytes, bytes] = field(default_factory=dict)
    wants: dict[bytes, None] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    held: dict[int, bytes] = field(default_factory=dict)


class Suspects:
    """Remembers which unreadable blocks came before, byte for byte.

    A bit that flipped on the way does not flip again: the same block, sent anew, will be sound. Only bytes that come
    unreadable a second time are damaged where they come from, and only those are refused for good.
    """

    def __init__(self, *, limit: int = 4096) -> None:
        self._limit = limit
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def again(self, data: bytes) -> bool:
        digest = hashlib.sha256(data).digest()
        known = digest in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return known


def verify(frames: Sequence[bytes], *, gateway: str, epoch: str, store: Held, suspects: Suspects) -> Verified:
    """Sort a request's dictionaries and blocks. Raises ``ForeignBlockError``."""
    verified = Verified()
    damaged: list[tuple[bytes, str]] = []
    sent: dict[bytes, Dictionary] = {}
    known = ChainMap(sent, store.dictionaries)  # type: ignore[arg-type]  # the second is only read
    readings = raw_bytes = 0
    for place, data in enumerate(frames):
        try:
            if is_dictionary(data):
                _take_dictionary(data, gateway, store, verified, sent)
                continue
            header = peek(data)
            _check_owner(header, gateway, epoch)
            if not _is_new(header, data, store, verified):
                continue
            readings, raw_bytes = readings + header.readings, raw_bytes + header.raw_bytes
            if verified.fresh and (readings > READINGS_AT_ONCE_MAX or raw_bytes > RAW_BYTES_AT_ONCE_MAX):
                break
            block = decode_block(data, known)
            check(block)
            verified.fresh.append((data, block))
            verified.held[header.key.seq] = data
        except UnknownDictionaryError as error:
            verified.wants[error.digest] = None
        except BlockError as error:
            verified.unreadable.append((place, error.problem))
            verified.refusals.append(Refusal(_kind(data), error.problem))
            damaged.append((data, error.problem))
    for data, problem in damaged:
        seq = _claimed_seq(data, epoch)
        key = Key(gateway, epoch, seq or 0)
        if suspects.again(data) and seq is not None and seq not in verified.held and store.holds(key, data) == "no":
            verified.refused.append((seq, problem))
    return verified


def _take_dictionary(data: bytes, gateway: str, store: Held, verified: Verified, sent: dict[bytes, Dictionary]) -> None:
    dictionary = open_dictionary(data)
    if dictionary.digest in store.dictionaries or dictionary.digest in sent:
        return
    if len(sent) >= store.dictionaries_left(gateway):
        raise BlockError("dictionary", "this gateway has sent more of them than are kept")
    sent[dictionary.digest] = dictionary
    verified.dictionaries[dictionary.digest] = data


def _check_owner(header: Header, gateway: str, epoch: str) -> None:
    if header.key.gateway != gateway:
        raise ForeignBlockError(f"a block of gateway {header.key.gateway!r} in a request of {gateway!r}")
    if header.key.epoch != epoch:
        raise ForeignBlockError(f"a block of epoch {header.key.epoch} in a request of epoch {epoch}")
    if not 1 <= header.key.seq <= SEQ_MAX:
        raise BlockError("block", f"its number {header.key.seq} cannot be")


def _is_new(header: Header, data: bytes, store: Held, verified: Verified) -> bool:
    seq = header.key.seq
    earlier = verified.held.get(seq)
    if earlier is None:
        found = store.holds(header.key, data, thinned=header.thinned)
    else:
        found = "same" if earlier == data or peek(earlier).thinned != header.thinned else "other"
    if found == "same":
        verified.duplicates.append(Duplicate(header.key, header.readings))
        verified.held[seq] = data
    elif found == "other":
        problem = "another block is held under its number"
        verified.refused.append((seq, problem))
        verified.refusals.append(Refusal("conflict", problem))
    return found == "no"


def _kind(data: bytes) -> str:
    """One word for counting."""
    if is_dictionary(data):
        return "dictionary"
    if data[: len(MAGIC)] != MAGIC:
        return "foreign"
    return "malformed" if data[len(MAGIC) : len(MAGIC) + 1] in [bytes([v]) for v in VERSIONS] else "version"


def _claimed_seq(data: bytes, epoch: str) -> int | None:
    """The number that a damaged block claims; believed only as a hint, see ``Suspects``."""
    claimed = claimed_key(data)
    return claimed[1] if claimed is not None and claimed[0] == epoch and 1 <= claimed[1] <= SEQ_MAX else None

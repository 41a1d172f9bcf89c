"""What a request's body holds: each block is checked on its own, so that a bad one harms no other.

Bounded whatever arrives: frames, bytes a frame, and what all blocks of a request may unfold to together. Blocks beyond
that are left for the gateway to send again, since it was not told that they are held. A request is sorted a part at a
time, so that a long one does not stand in others' way.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap, OrderedDict
from collections.abc import Callable, Mapping, Sequence
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
class Part:
    """What one part of a request gives the store to write down; ``dictionaries`` are digests with bytes.

    ``readings`` are those of the fresh blocks.
    """

    fresh: list[tuple[bytes, Block]] = field(default_factory=list)
    dictionaries: dict[bytes, bytes] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    readings: int = 0


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


class Sorting:
    """A request's dictionaries and blocks, sorted a part at a time.

    ``held`` are the blocks that are, or are about to be, stored, by number; ``refused`` names those that will never be
    taken. ``unreadable`` gives places in the request (from 0) of frames that cannot be read: blocks among them that are
    not also in ``refused`` are worth sending once more. ``wants`` are digests of dictionaries that blocks need and
    nobody has sent.
    """

    def __init__(self, frames: Sequence[bytes], *, gateway: str, epoch: str, suspects: Suspects) -> None:
        """Raises ``ForeignBlockError``."""
        self._gateway, self._epoch, self._suspects = gateway, epoch, suspects
        self._frames, self._place = frames, 0
        self._readings = self._raw_bytes = 0
        self._damaged: list[tuple[bytes, str]] = []
        self.held: dict[int, bytes] = {}
        self.refused: list[tuple[int, str]] = []
        self.unreadable: list[tuple[int, str]] = []
        self.wants: dict[bytes, None] = {}
        for data in frames:
            _check_owner(data, gateway, epoch)

    @property
    def is_done(self) -> bool:
        return self._place == len(self._frames)

    def go_on(self, store: Held, *, is_enough: Callable[[Part], bool]) -> Part:
        """Sort one frame, and more until it is enough."""
        part = Part()
        sent: dict[bytes, Dictionary] = {}
        known = ChainMap(sent, store.dictionaries)  # type: ignore[arg-type]  # the second is only read
        while not self.is_done:
            self._take(self._frames[self._place], store, part, known)
            self._place += 1
            if is_enough(part):
                break
        if self.is_done:
            self._give_up(store)
        return part

    def _take(self, data: bytes, store: Held, part: Part, known: ChainMap[bytes, Dictionary]) -> None:
        try:
            if is_dictionary(data):
                self._take_dictionary(data, store, part, known)
            else:
                self._take_block(data, store, part, known)
        except UnknownDictionaryError as error:
            self.wants[error.digest] = None
        except BlockError as error:
            self.unreadable.append((self._place, error.problem))
            part.refusals.append(Refusal(_kind(data), error.problem))
            self._damaged.append((data, error.problem))

    def _take_dictionary(self, data: bytes, store: Held, part: Part, known: ChainMap[bytes, Dictionary]) -> None:
        dictionary = open_dictionary(data)
        if dictionary.digest in known:
            return
        if len(part.dictionaries) >= store.dictionaries_left(self._gateway):
            raise BlockError("dictionary", "this gateway has sent more of them than are kept")
        known[dictionary.digest] = dictionary
        part.dictionaries[dictionary.digest] = data

    def _take_block(self, data: bytes, store: Held, part: Part, known: Mapping[bytes, Dictionary]) -> None:
        header = peek(data)
        if not 1 <= header.key.seq <= SEQ_MAX:
            raise BlockError("block", f"its number {header.key.seq} cannot be")
        if not self._is_new(header, data, store, part):
            return
        self._readings, self._raw_bytes = self._readings + header.readings, self._raw_bytes + header.raw_bytes
        if self.held and (self._readings > READINGS_AT_ONCE_MAX or self._raw_bytes > RAW_BYTES_AT_ONCE_MAX):
            self._place = len(self._frames) - 1  # the rest is left to be sent again
            return
        block = decode_block(data, known)
        check(block)
        part.fresh.append((data, block))
        part.readings += header.readings
        self.held[header.key.seq] = data

    def _is_new(self, header: Header, data: bytes, store: Held, part: Part) -> bool:
        seq = header.key.seq
        earlier = self.held.get(seq)
        if earlier is None:
            found = store.holds(header.key, data, thinned=header.thinned)
        else:
            found = "same" if earlier == data or peek(earlier).thinned != header.thinned else "other"
        if found == "same":
            part.duplicates.append(Duplicate(header.key, header.readings))
            self.held[seq] = data
        elif found == "other":
            problem = "another block is held under its number"
            self.refused.append((seq, problem))
            part.refusals.append(Refusal("conflict", problem))
        return found == "no"

    def _give_up(self, store: Held) -> None:
        """Refuse for good what came damaged before, byte for byte."""
        for data, problem in self._damaged:
            seq = _claimed_seq(data, self._epoch)
            key = Key(self._gateway, self._epoch, seq or 0)
            is_known = self._suspects.again(data)
            if is_known and seq is not None and seq not in self.held and store.holds(key, data) == "no":
                self.refused.append((seq, problem))


def _check_owner(data: bytes, gateway: str, epoch: str) -> None:
    try:
        key = peek(data).key
    except BlockError:
        return  # a dictionary belongs to all, and what cannot be read to nobody
    if key.gateway != gateway:
        raise ForeignBlockError(f"a block of gateway {key.gateway!r} in a request of {gateway!r}")
    if key.epoch != epoch:
        raise ForeignBlockError(f"a block of epoch {key.epoch} in a request of epoch {epoch}")


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

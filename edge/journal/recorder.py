"""The recorder: a small mapped file beside the store that counts every poll at the moment it happens.

Between two commits the only durable trace of a poll is here. The kernel keeps a mapped page when the process is
killed, so after a SIGKILL or a crash the counts are exact. After a power cut the file holds whatever the kernel had
written back by itself, at best: then its counts are a lower bound, and the gap is declared by its times.

It is made anew at each opening of the store and named after it (epoch and run): a recorder that belongs to another
store or run, or whose fixed parts fail their checksum, is not believed.

Layout, all native 64-bit integers: a header (magic, epoch in two words, run, checksum of these, words in use, 1 where a
later run could not be counted, the number of the newest block that is durable), then for each scan group: words of this
entry, words of its name, number of tags, checksum of the name; then the counters ``asked, answered, last_ns`` and, for
each tag, ``bad_bus, bad_device, bad_decode, waiting``; then the name, a JSON list of asset and tags padded with spaces.
``waiting`` is what lay in blocks of earlier runs, the losses that those declare and what was thinned of them, less all
that the receiver was told of since: with it the loss is known even where the store itself can no longer be read. A tag
may be in several groups: it is their sum that counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.journal.counts import BAD_FIELDS, Counts, ScanGroup, pack_counts
from edge.journal.schema import sync_folder

Words = NDArray[np.int64]

MAGIC = int.from_bytes(b"BABBREC1", "little")
HEADER_WORDS = 8
ENTRY_HEAD_WORDS = 4
COUNTER_WORDS = 3
PER_TAG = len(BAD_FIELDS) + 1
FILE_BYTES = 2 * 1024 * 1024
INCOMPLETE_AT = 6 * 8
LAST_SEQ = 7
# A difference beyond this is no count but a damaged page.
COUNT_MAX = 10**9

ASKED, ANSWERED, LAST_NS = range(COUNTER_WORDS)


@dataclass(frozen=True, slots=True)
class Cells:
    """The counters of one scan group: ``polls`` (asked, answered, last_ns), ``bad`` (3, tags), ``waiting`` (tags)."""

    polls: Words
    bad: Words
    waiting: Words

    @classmethod
    def over(cls, words: Words, tags: int) -> Cells:
        per_tag = words[COUNTER_WORDS:].reshape(PER_TAG, tags)
        return cls(words[:COUNTER_WORDS], per_tag[: len(BAD_FIELDS)], per_tag[len(BAD_FIELDS)])


def apart(group: ScanGroup) -> Cells:
    """Counters that no file holds, where there is no room for them: a crash then shows in its times only."""
    return Cells.over(np.zeros(COUNTER_WORDS + PER_TAG * len(group.tags), np.int64), len(group.tags))


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one scan group's counters said when they were read."""

    asset: str
    tags: tuple[str, ...]
    cells: Cells


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorder as a crash left it."""

    epoch: str
    run: int
    groups: tuple[Recorded, ...]
    complete: bool = True
    """False where a later run polled too, and had no room on the disk for a recorder of its own."""
    last_seq: int = 0
    """The newest block that was durable; one that the store does not know any more was lost with the disk's help."""


class Recorder:
    """The counters of this run. One thread writes each counter; see ``SqliteJournal`` for which."""

    def __init__(self, path: Path, *, epoch: str, run: int) -> None:
        """Make the file anew, with its room allocated: a full disk fails here (``OSError``), never at a count."""
        new = path.with_name(path.name + ".new")
        handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            os.posix_fallocate(handle, 0, FILE_BYTES)
        except OSError:
            new.unlink()
            raise
        finally:
            os.close(handle)
        self._words: Words = np.memmap(new, np.int64, mode="r+").view(np.ndarray)
        head = np.array([MAGIC, *_epoch_words(epoch), run], np.int64)
        self._words[:4] = head
        self._words[4] = zlib.crc32(head.tobytes())
        self._words[5] = HEADER_WORDS
        new.rename(path)
        sync_folder(path.parent)

    def durable(self, last_seq: int) -> None:
        """Blocks up to this number are on the disk."""
        self._words[LAST_SEQ] = last_seq

    def cells(self, group: ScanGroup) -> Cells:
        """New counters for a scan group, all zero."""
        tags = group.tags
        name = json.dumps([group.asset, tags]).encode()
        name += b" " * (-len(name) % 8)
        counters = COUNTER_WORDS + PER_TAG * len(tags)
        start = int(self._words[5])
        end = start + ENTRY_HEAD_WORDS + counters + len(name) // 8
        if end > len(self._words):
            return apart(group)
        entry = self._words[start:end]
        entry[ENTRY_HEAD_WORDS + counters :] = np.frombuffer(name, np.int64)
        entry[:ENTRY_HEAD_WORDS] = end - start, len(name) // 8, len(tags), zlib.crc32(name)
        # Only now does the entry exist: a kill before this line leaves it out whole.
        self._words[5] = end
        return Cells.over(entry[ENTRY_HEAD_WORDS : ENTRY_HEAD_WORDS + counters], len(tags))


def mark_incomplete(path: Path) -> None:
    """Say in an old recorder that what comes next is counted nowhere. Needs no room on the disk."""
    with contextlib.suppress(OSError), path.open("r+b") as file:
        if len(file.read(INCOMPLETE_AT)) == INCOMPLETE_AT:
            file.write((1).to_bytes(8, sys.byteorder))


def read_recording(path: Path) -> Recording | None:
    """What a former run left at ``path``; None where there is nothing that can be believed."""
    try:
        if path.stat().st_size > FILE_BYTES:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    words = np.frombuffer(data[: len(data) - len(data) % 8], np.int64)
    if len(words) < HEADER_WORDS or words[0] != MAGIC or words[4] != zlib.crc32(words[:4].tobytes()):
        return None
    groups = []
    at, used = HEADER_WORDS, int(words[5])
    if not HEADER_WORDS <= used <= len(words):
        return None
    while at + ENTRY_HEAD_WORDS <= used:
        size, name_words, tags, checksum = (int(w) for w in words[at : at + ENTRY_HEAD_WORDS])
        counters = COUNTER_WORDS + PER_TAG * tags
        if min(name_words, tags) < 0 or size != ENTRY_HEAD_WORDS + counters + name_words or at + size > used:
            return None
        entry = words[at : at + size]
        name = entry[ENTRY_HEAD_WORDS + counters :].tobytes()
        if zlib.crc32(name) != checksum:
            return None
        asset, names = _named(name)
        if len(names) != tags:
            return None
        groups.append(Recorded(asset, names, Cells.over(entry[ENTRY_HEAD_WORDS : ENTRY_HEAD_WORDS + counters], tags)))
        at += size
    return Recording(words[1:3].tobytes().hex(), int(words[3]), tuple(groups), words[6] == 0, int(words[LAST_SEQ]))


@dataclass(frozen=True, slots=True)
class Taken:
    """What a crash took of one scan group: answered polls with their bad ones, and polls that were never answered."""

    answered: int
    bad: Counts
    unanswered: int

    @property
    def good(self) -> Counts:
        """Good readings lost, by tag."""
        good: Counts = np.maximum(self.answered - self.bad.sum(axis=0), 0)
        return good

    @property
    def empty(self) -> bool:
        return not (self.answered or self.unanswered)


def taken_since(recorded: Cells, answered: int, bad: Counts) -> Taken:
    """The recorder's counts less those that a commit made durable.

    A counter behind the store's (a power cut) counts as nothing, one that is absurdly ahead is not believed.
    """
    lost = int(recorded.polls[ANSWERED]) - answered
    in_flight = int(recorded.polls[ASKED] - recorded.polls[ANSWERED])
    lost, in_flight = (n if 0 <= n <= COUNT_MAX else 0 for n in (lost, in_flight))
    lost_bad = np.clip(recorded.bad - bad, 0, lost)
    lost_bad[:, lost_bad.sum(axis=0) > lost] = 0
    return Taken(answered=lost, bad=lost_bad, unanswered=in_flight)


def counted(snapshot: Cells) -> list[Any]:
    """The counts that a commit makes durable, for the store's row."""
    return [int(snapshot.polls[ANSWERED]), *(pack_counts(row) for row in snapshot.bad)]


def _epoch_words(epoch: str) -> list[int]:
    return [int(word) for word in np.frombuffer(bytes.fromhex(epoch), np.int64)]


def _named(name: bytes) -> tuple[str, tuple[str, ...]]:
    asset, tags = json.loads(name)
    return asset, tuple(tags)

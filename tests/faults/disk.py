"""A disk with a volatile cache, as a recording of a process' writes: what a power cut may leave at any point of it.

The recording is made by ``recorder_shim.c``. Played again, it gives for every file what is durable (as of its last
sync) and, for each sector that was written since, all the contents that it has had: a kernel writes pages back when it
likes, in any order, so after a cut each sector is as durable or as any of its later versions. Names are durable once
their folder was synced; before that a cut keeps the first few of their changes, as a file system with a journal does.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

SECTOR = 512
TOLD = "told"
_HEAD = struct.Struct("<cIqI")


class Unsynced(StrEnum):
    """What becomes of writes that no sync has covered."""

    DROPPED = "dropped"
    KEPT = "kept"
    TORN = "torn"


@dataclass(slots=True)
class Entry:
    """One call that the recording holds; see ``recorder_shim.c`` for the kinds."""

    kind: str
    file: int
    offset: int
    data: bytes


def entries(log: Path) -> Iterator[Entry]:
    """The recording's entries; one that was cut off at the end, by a kill, is left out."""
    data = log.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        kind, file, offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + length > len(data):
            return
        yield Entry(kind.decode(), file, offset, data[at : at + length])
        at += length


@dataclass(eq=False)
class _File:
    """``cache`` is what a process reads, ``durable`` what the medium holds for certain."""

    cache: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    sectors: dict[int, list[bytes]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    shrunk: bool = False

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if end > len(self.cache):
            self.resize(end)
        self.cache[offset:end] = data
        self._remember(offset, end)

    def resize(self, size: int) -> None:
        if size < len(self.cache):
            del self.cache[size:]
            self._remember(size - size % SECTOR, size)
            self.shrunk = True
        else:
            self.cache.extend(bytes(size - len(self.cache)))
        self.sizes.append(size)

    def sync(self) -> None:
        if self.shrunk:
            self.durable[:] = self.cache
        else:
            _lay(self.durable, {sector: versions[-1] for sector, versions in self.sectors.items()}, len(self.cache))
        self.sectors.clear()
        self.sizes.clear()
        self.shrunk = False

    def after_cut(self, unsynced: Unsynced, chance: random.Random) -> bytearray:
        if unsynced is Unsynced.KEPT:
            return self.cache
        if unsynced is Unsynced.DROPPED or not (self.sectors or self.sizes):
            return self.durable
        left = bytearray(self.durable)
        share = chance.random()
        written = {s: chance.choice(versions) for s, versions in self.sectors.items() if chance.random() < share}
        _lay(left, written, chance.choice([len(self.durable), len(self.cache), *self.sizes]))
        return left

    def _remember(self, begin: int, end: int) -> None:
        for sector in range(begin // SECTOR, -(-end // SECTOR)):
            self.sectors.setdefault(sector, []).append(bytes(self.cache[sector * SECTOR : (sector + 1) * SECTOR]))


def _lay(into: bytearray, sectors: dict[int, bytes], size: int) -> None:
    """Put sectors in their places in a file that is then ``size`` long; what nobody wrote reads as zeros."""
    into.extend(bytes(max(-(-size // SECTOR) * SECTOR - len(into), 0)))
    for sector, data in sectors.items():
        if sector * SECTOR < size:
            into[sector * SECTOR : (sector + 1) * SECTOR] = data.ljust(SECTOR, b"\0")
    del into[size:]


class Disk:
    """The files of one folder while a recording is played. The file ``TOLD`` is not on this disk: it only tells."""

    def __init__(self, folder: Path) -> None:
        """Begins with what lies in ``folder`` now, all of it durable."""
        self._names: dict[str, _File] = {}
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            self._names[path.name] = _File(bytearray(data), bytearray(data))
        self._durable_names = dict(self._names)
        self._renamed: list[dict[str, _File]] = []
        self._open: dict[int, _File | None] = {}
        self._telling: set[int] = set()

    def play(self, entry: Entry) -> bytes:
        """Returns what the process told with this entry, mostly nothing."""
        if entry.file in self._telling or (entry.kind == "O" and entry.data == TOLD.encode()):
            self._telling.add(entry.file)
            return entry.data if entry.kind == "W" else b""
        match entry.kind:
            case "O":
                self._open_file(entry)
            case "R":
                old, new, _ = entry.data.decode().split("\0")
                self._names[new] = self._names.pop(old)
                self._renamed.append(dict(self._names))
            case "U":
                del self._names[entry.data.decode()]
                self._renamed.append(dict(self._names))
            case "S":
                self._sync(self._open[entry.file])
            case _:
                self._change(entry)
        return b""

    def after_cut(self, folder: Path, unsynced: Unsynced, chance: random.Random) -> None:
        """Write the files as a cut at this moment leaves them."""
        names = {
            Unsynced.DROPPED: self._durable_names,
            Unsynced.KEPT: self._names,
            Unsynced.TORN: chance.choice([self._durable_names, *self._renamed]),
        }[unsynced]
        for name, file in names.items():
            _write(folder / name, file.after_cut(unsynced, chance))

    def _open_file(self, entry: Entry) -> None:
        name = entry.data.decode()
        if not name:
            self._open[entry.file] = None
            return
        if name not in self._names:
            self._names[name] = _File()
            self._renamed.append(dict(self._names))
        file = self._open[entry.file] = self._names[name]
        if entry.offset & os.O_TRUNC:
            file.resize(0)

    def _sync(self, file: _File | None) -> None:
        if file is not None:
            file.sync()
            return
        self._durable_names = dict(self._names)
        self._renamed.clear()

    def _change(self, entry: Entry) -> None:
        file = self._open[entry.file]
        assert file is not None
        if entry.kind == "T":
            file.resize(entry.offset)
        elif entry.kind == "A":
            file.resize(max(entry.offset, len(file.cache)))
        elif entry.kind == "W":
            file.write(entry.offset, entry.data)
        else:
            # A mapping reaches to the end of its last page, its file perhaps not.
            file.write(entry.offset, entry.data[: max(len(file.cache) - entry.offset, 0)])


def _write(path: Path, data: bytearray) -> None:
    """With a hole for the zeros at its end, of which a file that was allocated has many."""
    with path.open("wb") as file:
        file.write(data.rstrip(b"\0"))
        file.truncate(len(data))

"""Room on the disk: what the store may take of it, and a reserve for when it is full.

Even to delete, SQLite must write: a file beside the store keeps some room, allocated and of no other use. It is
released when the disk is full or almost, and made again once there is enough room for it and a margin.

The cap counts what grows with what is stored: the database, its write-ahead log and the reserve. Where the disk has
less free than its floor, whoever filled it, the store may take no more than it does then; it thins and drops for what
comes in, but it does not empty itself for somebody else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("babbitt.journal")

RESERVE_BYTES_MAX = 8 * 1024 * 1024
WAL_BYTES_MAX = 4 * 1024 * 1024
# Of a small cap the reserve and the write-ahead log take a part each.
OVERHEAD_SHARE = 16
# However little is free, a store may take this much: else one that is new on a small disk could hold nothing.
STORE_BYTES_MIN = 8 * 1024 * 1024
# What opening a store takes of the disk.
OPENING_BYTES = 4 * 1024 * 1024
# When a store that was refused for no reason that can be seen tries to grow again.
RETRY_NS = 60 * 10**9
# Thinning begins at this part of what the store may take, so that dropping need not begin because thinning is slow.
THIN_FROM = 7 / 8

_NO_ROOM = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE"}


def lacks_room(error: sqlite3.Error) -> bool:
    """Whether a write failed for want of room. A file that may not grow any more (EFBIG) is an I/O error to SQLite."""
    return getattr(error, "sqlite_errorname", "") in _NO_ROOM


def wal_bytes_max(store_bytes_max: int) -> int:
    """How long the write-ahead log may grow before it is folded into the database."""
    return min(WAL_BYTES_MAX, store_bytes_max // OVERHEAD_SHARE)


def why_not_opened(path: Path, error: Exception) -> tuple[str, str]:
    """In words, and what to do: a full disk is an I/O error to SQLite, and its own words tell nobody."""
    if _free_bytes(path.parent) < OPENING_BYTES:
        return "the disk is full", "make room on it, or name a folder on another one as `gateway.data_dir`"
    words = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return words.lower(), "is the folder writable, and its disk in order?"


def free_for_opening(path: Path) -> None:
    """Release the reserve where the disk has too little for SQLite's index and a new recorder."""
    if _free_bytes(path.parent) < OPENING_BYTES and _reserve_of(path).exists():
        log.error("the disk of the store is full: its reserve is released")
        _reserve_of(path).unlink()


@dataclass(frozen=True, slots=True)
class Allowed:
    """Bytes of the database: above ``thin`` it is to be thinned, above ``most`` the rest is to be dropped."""

    thin: int
    most: int


class Space:
    """What the store at ``path`` may take, and the reserve beside it."""

    def __init__(self, path: Path, *, store_bytes_max: int, free_bytes_min: int) -> None:
        self._folder, self._free_bytes_min = path.parent, free_bytes_min
        self._bytes_max = store_bytes_max - store_bytes_max // OVERHEAD_SHARE * 2
        self._reserve = _reserve_of(path)
        self._reserve_bytes = max(min(RESERVE_BYTES_MAX, store_bytes_max // OVERHEAD_SHARE), 1)
        self._was_released = False
        self._below_floor_at: int | None = None
        self._refused_at: int | None = None
        self._retry_ns = 0

    @property
    def is_refused(self) -> bool:
        """Whether the database can grow no more, as far as that is known."""
        return self._refused_at is not None

    def allowed(self, used: int, file_bytes: int, now_ns: int) -> Allowed:
        """What the database may take now, of which it uses ``used`` and its file is long. Monotonic time.

        Releases or makes the reserve as needed.
        """
        free = _free_bytes(self._folder)
        if free >= self._free_bytes_min:
            self._ease(free, file_bytes, now_ns)
        elif self._below_floor_at is None:
            log.error("only %d MB are free on the disk of the store: it grows no more", free >> 20)
            self._below_floor_at = max(used, STORE_BYTES_MIN)
            self._release()
        bounds = (self._bytes_max, self._below_floor_at, self._refused_at)
        lowest = min(bound for bound in bounds if bound is not None)
        # A disk that refused once is a reason to thin, none to drop: it may have room again.
        return Allowed(int(lowest * THIN_FROM), min(self._bytes_max, self._below_floor_at or self._bytes_max))

    def refused(self, file_bytes: int, now_ns: int) -> bool:
        """A write found no room, with a file of that length. Whether there is more now, the reserve's."""
        # What is free says nothing of a bound on files or of a quota: that is tried again after a while.
        unseen = _free_bytes(self._folder) > 2 * self._reserve_bytes
        self._refused_at, self._retry_ns = file_bytes, now_ns + (RETRY_NS if unseen else 0)
        released = self._release()
        if released:
            log.error("the disk of the store is full: its reserve is released")
        return released

    def _release(self) -> bool:
        """Whether there was a reserve."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        self._was_released = True
        return True

    def _ease(self, free: int, file_bytes: int, now_ns: int) -> None:
        """Make the reserve where there is room for it; if it was released, for as much again, so that it stays."""
        if not self._reserve.exists():
            needed = self._reserve_bytes * (2 if self._was_released else 1)
            if free - needed < self._free_bytes_min or not self._make():
                return
        if self._below_floor_at is not None:
            log.warning("enough is free on the disk of the store again")
        self._below_floor_at = None
        if now_ns >= self._retry_ns or file_bytes > (self._refused_at or 0):
            self._refused_at = None

    def _make(self) -> bool:
        """Allocate the reserve. Where the disk refuses, nothing is left behind."""
        new = self._reserve.with_name(self._reserve.name + ".new")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(handle, 0, self._reserve_bytes)
            finally:
                os.close(handle)
            new.rename(self._reserve)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            return False
        return True


def _reserve_of(path: Path) -> Path:
    return path.with_name(path.name + ".reserve")


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize

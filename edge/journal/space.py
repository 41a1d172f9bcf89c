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
# How often the reserve is tried again where the disk had no room for it.
RETRY_NS = 10 * 10**9

_NO_ROOM = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE"}


def lacks_room(error: sqlite3.Error) -> bool:
    """Whether a write failed for want of room. A file that may not grow any more (EFBIG) is an I/O error to SQLite."""
    return getattr(error, "sqlite_errorname", "") in _NO_ROOM


def wal_bytes_max(store_bytes_max: int) -> int:
    """How long the write-ahead log may grow before it is folded into the database."""
    return min(WAL_BYTES_MAX, store_bytes_max // OVERHEAD_SHARE)


class Space:
    """What the store at ``path`` may take, and the reserve beside it. ``now_ns`` is monotonic everywhere."""

    def __init__(self, path: Path, *, store_bytes_max: int, free_bytes_min: int) -> None:
        self._folder, self._free_bytes_min = path.parent, free_bytes_min
        self._bytes_max = store_bytes_max - store_bytes_max // OVERHEAD_SHARE * 2
        self._reserve = path.with_name(path.name + ".reserve")
        self._reserve_bytes = min(RESERVE_BYTES_MAX, store_bytes_max // OVERHEAD_SHARE)
        self._below_floor_at: int | None = None
        self._retry_ns = 0

    def before_opening(self, now_ns: int) -> None:
        """Opening needs room for SQLite's index and a new recorder."""
        if self._free() < OPENING_BYTES and self._release(now_ns):
            log.error("the disk of the store is full: its reserve is released")

    def allowed(self, used: int, now_ns: int) -> int:
        """Bytes that the database may take now, of which it uses ``used``. Releases or makes the reserve as needed."""
        free = self._free()
        if free < self._free_bytes_min:
            if self._below_floor_at is None:
                log.error("only %d MB are free on the disk of the store: it grows no more", free >> 20)
                self._below_floor_at = max(used, STORE_BYTES_MIN)
                self._release(now_ns)
        elif now_ns >= self._retry_ns:
            self._ease(free, now_ns)
        return self._bytes_max if self._below_floor_at is None else min(self._bytes_max, self._below_floor_at)

    def refused(self, now_ns: int) -> bool:
        """A write found no room. Whether there is more now, the reserve's."""
        released = self._release(now_ns)
        if released:
            log.error("the disk of the store is full: its reserve is released")
        return released

    def _release(self, now_ns: int) -> bool:
        """Whether there was a reserve."""
        self._retry_ns = now_ns + RETRY_NS
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def _ease(self, free: int, now_ns: int) -> None:
        """Make the reserve where there is room for it and as much again, so that it does not come and go."""
        self._retry_ns = now_ns + RETRY_NS
        held = self._reserve.exists()
        if held or (free - 2 * self._reserve_bytes >= self._free_bytes_min and self._make()):
            if self._below_floor_at is not None:
                log.warning("enough is free on the disk of the store again")
            self._below_floor_at = None

    def _make(self) -> bool:
        """Allocate the reserve. Where the disk refuses, nothing is left behind."""
        new = self._reserve.with_name(self._reserve.name + ".new")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(handle, 0, max(self._reserve_bytes, 1))
            finally:
                os.close(handle)
            new.rename(self._reserve)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            return False
        return True

    def _free(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

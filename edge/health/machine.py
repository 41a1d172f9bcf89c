"""What the machine tells of itself: its disk, its memory, the temperature of its board. None where it does not tell."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
_HOT_C, _COLD_C = 200.0, -60.0
"""Beyond these it is no temperature: a zone that is not connected tells such."""


def free_mb(folder: Path) -> float | None:
    """What this user may still write on the disk of ``folder``."""
    try:
        told = os.statvfs(folder)
    except OSError:
        return None
    return told.f_bavail * told.f_frsize / 2**20


def store_mb(store: Path) -> float:
    """What a SQLite database takes of the disk, with its write-ahead log."""
    size = 0
    for path in (store, store.with_name(f"{store.name}-wal")):
        try:
            size += path.stat().st_size
        except OSError:
            continue
    return size / 2**20


def board_c(thermal: Path) -> float | None:
    """The hottest of the kernel's zones (``/sys/class/thermal``), in °C."""
    found = []
    for zone in sorted(thermal.glob("thermal_zone*/temp")):
        try:
            found.append(int(zone.read_text(encoding="ascii")) / 1000)
        except (OSError, ValueError):
            continue
    return max((one for one in found if _COLD_C < one < _HOT_C), default=None)


def memory_percent(meminfo: Path = MEMINFO) -> float | None:
    """How much of its memory can be had without swapping."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        told = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest.split()}
        return 100.0 * told["MemAvailable"] / told["MemTotal"]
    except (OSError, ValueError, KeyError, ZeroDivisionError):
        return None

"""Who has a device open: the kernel knows, in /proc."""

from __future__ import annotations

import os
from pathlib import Path

from edge.config.lines import AnyLine
from edge.errors import LineError

WORDS_MAX = 80
_OURS = {"edge.gateway": "babbitt gateway run", "edge.panel": "babbitt gateway panel"}
"""What a person starts for each of our modules that runs in a process of its own."""


def holder_of(device: str) -> str:
    """``process 4711 (babbitt gateway run site.toml)`` for another program that uses ``device``, else empty.

    Who locked it goes before who merely has it open. Programs of other users are seen by root alone.
    """
    try:
        wanted = Path(device).stat()
    except OSError:
        return ""
    open_in = [process for process in _others() if _has_open(process, wanted)]
    locked_by = _lock_owners(wanted)
    found = next((process for process in open_in if process.name in locked_by), next(iter(open_in), None))
    return f"process {found.name} ({_command(found)})" if found is not None else ""


def _others() -> list[Path]:
    numbers = [path for path in Path("/proc").glob("[0-9]*") if int(path.name) != os.getpid()]
    return sorted(numbers, key=lambda path: int(path.name))


def _lock_owners(wanted: os.stat_result) -> set[str]:
    """Process ids that hold a lock on the file: ``1: FLOCK ADVISORY WRITE 4711 00:18:4 0 EOF``."""
    try:
        rows = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return set()
    place = f"{os.major(wanted.st_dev):02x}:{os.minor(wanted.st_dev):02x}:{wanted.st_ino}"
    return {row[4] for row in rows if len(row) > 5 and row[5] == place}


def held_words(line: AnyLine, error: LineError) -> str:
    """What is wrong with a line that could not be opened, and the program that has its device, where one has."""
    holder = holder_of(str(getattr(line, "device", "")))
    return error.problem + (f", {holder}" if holder else "")


def _has_open(process: Path, wanted: os.stat_result) -> bool:
    try:
        links = list((process / "fd").iterdir())
    except OSError:
        return False
    for link in links:
        try:
            found = link.stat()
        except OSError:
            continue
        if (found.st_rdev, found.st_ino, found.st_dev) == (wanted.st_rdev, wanted.st_ino, wanted.st_dev):
            return True
    return False


def _command(process: Path) -> str:
    try:
        parts = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    module = parts.index("-m") + 1 if "-m" in parts else 0
    if parts[module] in _OURS:
        parts = [_OURS[parts[module]], *parts[module + 1 :]]
    words = " ".join(Path(part).name if i == 0 else part for i, part in enumerate(parts) if part)
    return words if len(words) <= WORDS_MAX else words[: WORDS_MAX - 1] + "…"

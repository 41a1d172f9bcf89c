"""Where a process answers, and keeps what it must, whose own folder takes nothing: a folder in memory in its stead.

It is named after the folder that it stands for, so that whoever looks for the one finds the other. It outlives the
process, and no cut of the power.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import zlib
from pathlib import Path

from edge.errors import BabbittError

MEMORY = Path("/dev/shm")  # noqa: S108 - memory is what it is for, and a folder there is its owner's alone
_TAKES_NOTHING = {errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EPERM}


def takes_nothing(error: OSError) -> bool:
    """Whether the disk or its rights are in the way, which may pass, and not the name."""
    return error.errno in _TAKES_NOTHING


def stand_in(folder: Path) -> Path:
    """What would stand in for ``folder``."""
    return MEMORY / f"babbitt-{zlib.crc32(os.fsencode(folder.absolute())):08x}"


def made_stand_in(folder: Path) -> Path:
    """``stand_in(folder)``, which is there from now on. Raises ``OSError``, also where it is somebody else's."""
    place = stand_in(folder)
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_theirs(place, folder):
            raise
    return place


def found_stand_in(folder: Path) -> Path | None:
    """``stand_in(folder)`` where there is one; what anybody else put there by its name is none."""
    place = stand_in(folder)
    return place if _is_theirs(place, folder) else None


def answers_at(path: Path) -> Path:
    """Where the process answers that is to be found at the socket ``path``: there, or in its folder's stand-in."""
    place = found_stand_in(path.parent)
    return place / path.name if place and not is_answered(path) and is_answered(place / path.name) else path


def bound_at(path: Path) -> tuple[socket.socket, Path]:
    """A socket for its owner alone, that blocks nobody, and where it is: at ``path``, or in its folder's stand-in where
    that takes none. What was left there is replaced. Raises ``BabbittError``.
    """
    try:
        try:
            return _bound(path), path
        except OSError as error:
            if not takes_nothing(error):
                raise
            with contextlib.suppress(OSError):
                place = made_stand_in(path.parent) / path.name
                return _bound(place), place
            raise
    except OSError as error:
        hint = "name a folder that may be written to, with a path of at most 90 characters"
        raise BabbittError(str(path), f"no socket can be made: {error}", hint) from error


def is_answered(path: Path) -> bool:
    """Whether a process answers at this very socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _bound(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    old = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(old)
    listener.setblocking(False)
    return listener


def _is_theirs(place: Path, folder: Path) -> bool:
    """Anybody may make a folder in memory, by any name. This one is ours, or its owner's whose folder it stands for.

    Only the latter is taken by root besides its own: whoever may write to the folder itself gains nothing by it.
    """
    try:
        found = place.lstat()
    except OSError:
        return False
    trusted = {os.geteuid()} | ({_owner(folder)} if os.geteuid() == 0 else set())
    return stat.S_ISDIR(found.st_mode) and found.st_uid in trusted and not found.st_mode & 0o077


def _owner(folder: Path) -> int:
    """Of the folder, or of the nearest one above it that is there."""
    for place in (folder, *folder.absolute().parents):
        try:
            return place.stat().st_uid
        except OSError:
            continue
    return os.geteuid()

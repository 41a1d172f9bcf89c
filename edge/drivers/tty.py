"""Opening a serial device for one program alone, and what to tell a person where that fails."""

from __future__ import annotations

import errno
import os
import stat
import termios
from pathlib import Path

import serial

from edge.errors import LineError

_PTY_MAJORS = range(136, 144)
_OPEN_TROUBLE: dict[int | None, tuple[str, str]] = {
    errno.ENOENT: ("no such device", "is the adapter plugged in? a simulated one comes with `babbitt plant run`"),
    errno.EACCES: ("no permission", "add this user to the group `dialout`, then start this program again"),
    errno.EAGAIN: ("another program uses it", "stop that program first"),
    errno.EBUSY: ("another program uses it", "stop that program first"),
}
"""Problem and hint by the error's number: pyserial's own exceptions carry it, but not as Python's subclasses."""


def open_tty(device: str, *, baud: int, parity: str, stop_bits: int, bits: int = 8) -> serial.Serial:
    """The device, locked, raw and non-blocking. A pty has no parity and refuses to be asked for one: it gets none.

    Raises ``OSError`` or ``termios.error``.
    """
    status = Path(device).stat()
    pty = stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in _PTY_MAJORS
    port = serial.Serial(
        device,
        baudrate=baud,
        bytesize=8 if pty else bits,
        parity=serial.PARITY_NONE if pty else parity,
        stopbits=stop_bits,
        timeout=0,
        exclusive=True,
    )
    # pyserial sets VMIN to 0, where "nothing yet" reads like "hung up"; with 1 the first is EAGAIN.
    settings = termios.tcgetattr(port.fileno())
    settings[6][termios.VMIN] = 1
    termios.tcsetattr(port.fileno(), termios.TCSANOW, settings)
    return port


def cannot_open(device: str, error: Exception) -> LineError:
    """What a person must know of ``error``, which ``open_tty`` raised."""
    number = error.errno if isinstance(error, OSError) else None
    other = (f"cannot be opened: {error}", "does it take this baud rate, parity and number of bits?")
    return LineError(device, *_OPEN_TROUBLE.get(number, other))

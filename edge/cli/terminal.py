"""A terminal as a screen with keys: no line buffering, no echo, the old screen back at the end. Plain termios."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence

KEYS = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left", b"\x1bOA": "up", b"\x1bOB": "down",
    b"\x1bOC": "right", b"\x1bOD": "left", b"\x1b[5~": "pageup", b"\x1b[6~": "pagedown", b"\x1b": "esc",
    b"\r": "enter", b"\n": "enter", b"\x7f": "backspace", b"\x08": "backspace",
}  # fmt: skip
_STYLES = {"": "", "bold": "1", "dim": "2", "chosen": "7", "good": "32", "bad": "31"}


def keys_of(data: bytes) -> Iterator[str]:
    """The keys in what a terminal sent at once; sequences that mean nothing here are passed over."""
    while data:
        name = next((name for sequence, name in KEYS.items() if len(sequence) > 1 and data.startswith(sequence)), None)
        if name is not None:
            length = next(len(s) for s, n in KEYS.items() if n == name and len(s) > 1 and data.startswith(s))
        elif data[:1] == b"\x1b" and len(data) > 1:
            return
        elif data[:1] in KEYS:
            name, length = KEYS[data[:1]], 1
        else:
            length = next((n for n in range(1, 5) if _whole(data[:n])), 1)
            name = data[:length].decode(errors="replace")
        yield name
        data = data[length:]


def _whole(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


@contextlib.contextmanager
def screen(on_key: Callable[[str], None]) -> Iterator[None]:
    """Take the terminal while the context lasts; ``on_key`` is called in the running loop for each key."""
    loop, fd = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def read() -> None:
        data = os.read(fd, 256)
        for key in keys_of(data) if data else ("q",):
            on_key(key)

    tty.setcbreak(fd)
    loop.add_reader(fd, read)
    try:
        _write("\x1b[?1049h\x1b[?25l")
        yield
    finally:
        loop.remove_reader(fd)
        _write("\x1b[?25h\x1b[?1049l")
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def draw(lines: Sequence[tuple[str, str]]) -> None:
    """The whole screen anew, without a blink."""
    styled = [f"\x1b[{_STYLES[style]}m{text}\x1b[0m\x1b[K" if style else f"{text}\x1b[K" for text, style in lines]
    _write("\x1b[H" + "\r\n".join(styled) + "\x1b[J")


def size() -> tuple[int, int]:
    """Columns and rows."""
    found = shutil.get_terminal_size()
    return found.columns, found.lines


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

"""The machine's own clocks behind the ``Clock`` port, and when its wall clock may be believed.

A wall clock that was never set is no time at all, yet readings must go on: they are stamped with it, marked as not
trusted, and corrected once it is set (``edge.clock_watch``). Who can say that it was set? There are two witnesses:

- ``release``: a time before this code's own release is certainly wrong, any other is believed. True on every machine
  with a battery clock, and in containers and virtual machines, whose host gives them the time.
- ``kernel``: what the kernel was told by a time service (chrony, timesyncd, ntpd): its status loses ``STA_UNSYNC`` when
  the clock was set from a source. Asking needs no privileges. A board without a battery clock starts with the time of
  its last shutdown, which looks sound and is wrong by as long as it lay; only this witness knows.

``auto``, the default, believes the kernel on a board without a battery clock, and the release elsewhere: a laptop or
a container without any time service never loses the flag, so there the kernel's word would mark every reading for ever.
Name ``kernel`` for a board whose battery clock has no battery, and ``release`` for one that lives without any time
source and is to be believed all the same.
"""

from __future__ import annotations

import asyncio
import ctypes
import platform
import time
from pathlib import Path
from typing import Literal

Witness = Literal["auto", "kernel", "release"]

STA_UNSYNC = 0x40
STEP_NS = 500_000_000
"""A wall clock that moved by more than this against the monotonic one was set; less is slewing and reading twice."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BATTERY_CLOCKS = Path("/sys/class/rtc")
# Such machines have a battery clock, or a host that gives them the time.
ALWAYS_TIMED = ("x86_64", "amd64", "i686", "i386")


class _Timex(ctypes.Structure):
    """The head of the kernel's ``struct timex``; the rest is only there to be written into."""

    _fields_ = (
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_long * 32),
    )  # fmt: skip


class SystemClock:
    """Wall and monotonic time of this machine.

    Once trusted the wall clock stays so until it is stepped: the kernel takes its word back after nine hours without
    its source, in which a quartz drifts by less than a second, and that is no reason to doubt what was read.
    """

    BUILT_NS = 1_760_000_000 * 10**9

    def __init__(self, witness: Witness = "auto") -> None:
        if witness == "auto":
            witness = "kernel" if lacks_battery_clock() else "release"
        # Where the kernel says nothing (another system, or a sandbox that forbids the question) the release decides.
        self._asks_kernel = witness == "kernel" and kernel_synchronised() is not None
        self._trusted_offset_ns: int | None = None

    def wall_ns(self) -> int:
        return time.time_ns()

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def trusted(self) -> bool:
        if time.time_ns() <= self.BUILT_NS:
            return False
        if not self._asks_kernel:
            return True
        offset_ns = time.time_ns() - time.monotonic_ns()
        if kernel_synchronised():
            self._trusted_offset_ns = offset_ns
            return True
        return self._trusted_offset_ns is not None and abs(offset_ns - self._trusted_offset_ns) < STEP_NS

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def boot_id() -> str:
    """The machine's boot, in 32 hex digits."""
    return BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")


def kernel_synchronised() -> bool | None:
    """Whether the kernel was told that its clock is right; None where it cannot be asked."""
    timex = _Timex()
    try:
        answer = _LIBC.adjtimex(ctypes.byref(timex))
    except AttributeError:
        return None
    return None if answer < 0 else not timex.status & STA_UNSYNC


def lacks_battery_clock() -> bool:
    """Whether this machine may start with a time that only looks sound."""
    if platform.machine().lower() in ALWAYS_TIMED:
        return False
    try:
        return not any(BATTERY_CLOCKS.iterdir())
    except OSError:
        return True


_LIBC = ctypes.CDLL(None)

"""Power cuts for real: an ext4 file system on a loop device is shut down under a gateway's journal without its log.

The process is stopped first, so that nothing it tells races the cut. Needs root and a loop device.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.aftermath import scratch
from tests.faults.numbered import Counts
from tests.faults.power_cut import check
from tests.faults.recording import ROOT
from tests.faults.told import Truth
from tests.laws.journals import START_NS

EXT4_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2
IMAGE_BYTES = 48 * 1024 * 1024


def impossible() -> str:
    """Why there can be no real cut on this machine; empty where there can."""
    if os.geteuid() != 0:
        return "only root may mount"
    if not (Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4")):
        return "no loop device, or no mkfs.ext4"
    try:
        with scratch() as place, _disk(place):
            return ""
    except subprocess.CalledProcessError as error:
        return f"ext4 cannot be mounted here: {error.stderr}"


def round(seed: int, *, cuts: int = 3, synchronous: str = "FULL") -> Counts:  # noqa: A001
    """One gateway whose power is cut again and again."""
    chance = random.Random(seed)
    found, truth = Counts(), Truth()
    with scratch() as place, _disk(place) as disk:
        for life in range(cuts):
            _live_until_cut(disk.mounted, place / f"told-{life}", truth, chance, f"--boot={life:032x}", synchronous)
            disk.mount_again()
            copy = place / "copy"
            shutil.copytree(disk.mounted, copy, ignore=shutil.ignore_patterns("lost+found"))
            found += check(copy, truth, chance)
            shutil.rmtree(copy)
    return found


def _live_until_cut(folder: Path, told: Path, truth: Truth, chance: random.Random, boot: str, synchronous: str) -> None:
    told.touch()
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.gateway", str(folder), str(told), f"--seed={chance.randrange(2**32)}",
         f"--first={truth.next_number}", f"--from-ns={(truth.last_ns or START_NS) + 10**9}", "--polls=1000000", boot,
         "--polls-per-commit=2", "--cap-bytes=400000", f"--synchronous={synchronous}", "--pause-s=0.001"],
        cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until(lambda: told.stat().st_size > chance.randrange(20_000, 100_000), child)
        child.send_signal(signal.SIGSTOP)
        _until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", child)
        handle = os.open(folder, os.O_RDONLY)
        fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, NOLOGFLUSH.to_bytes(4, sys.byteorder))
        os.close(handle)
    finally:
        child.kill()
        child.wait(10)
    truth.hear(told.read_bytes().rpartition(b"\n")[0])


def _until(reached: Callable[[], bool], child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert child.poll() is None, "the gateway ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.005)


class _Disk:
    def __init__(self, place: Path) -> None:
        self._image, self.mounted = place / "image", place / "mounted"
        self.mounted.mkdir()
        with self._image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        _call("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount()

    def mount(self) -> None:
        _call("mount", "-o", "loop", str(self._image), str(self.mounted))

    def mount_again(self) -> None:
        """As after a reboot: the file system replays what its log holds."""
        self.unmount()
        self.mount()

    def unmount(self) -> None:
        _call("umount", str(self.mounted))


@contextmanager
def _disk(place: Path) -> Iterator[_Disk]:
    disk = _Disk(place)
    try:
        yield disk
    finally:
        disk.unmount()


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

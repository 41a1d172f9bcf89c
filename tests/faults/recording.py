"""A program of the harness with its writes recorded, and what power cuts at moments of its run leave of them."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.disk import TOLD, Disk, Unsynced, entries

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def record(module: str, folder: Path, log: Path, *arguments: str) -> None:
    """Run a program of the harness on ``folder`` and record its writes; it ends by itself."""
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder), str(folder / TOLD), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={
            **os.environ, "LD_PRELOAD": str(preload("recorder_shim.c")), "RECORDED_FOLDER": str(folder),
            "RECORDED_LOG": str(log),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def cuts(
    start: Path, log: Path, left: Path, *, count: int, chance: random.Random, hear: Callable[[bytes], None]
) -> Iterator[int]:
    """The recording ``log`` of a run that began with ``start``, cut at ``count`` random moments, one after the other.

    Each time ``left`` holds what the cut leaves, and ``hear`` was given what the program had told until then.
    """
    disk = Disk(start)
    played = list(entries(log))
    moments = sorted(chance.choices(range(len(played)), k=count))
    place = 0
    for number, moment in enumerate(moments):
        while place <= moment:
            hear(disk.play(played[place]))
            place += 1
        left.mkdir()
        disk.after_cut(left, chance.choice(list(Unsynced)), chance)
        yield number
        shutil.rmtree(left)


def preload(source: str) -> Path:
    """A library of this folder to preload, built once for its source."""
    path = HERE / source
    name = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    built = Path(tempfile.gettempdir()) / f"{path.stem}-{os.getuid()}-{name}.so"
    if not built.exists():
        new = built.with_suffix(f".{os.getpid()}")
        subprocess.run(
            ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", new, path, "-ldl", "-pthread"], check=True
        )
        new.rename(built)
    return built

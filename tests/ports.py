"""Ports that nobody else gets: each process of tests has a block of its own below those that the kernel gives out.

A port that was free a moment ago may be another's once a server starts there, seconds later.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST, BLOCK = 10_000, 200


def free_port() -> int:
    """One at which nothing listens, at any address, nor has anything lately."""
    return next(port for port in _ours() if _is_free(port))


def free_ports_in_a_row() -> int:
    """The first of two."""
    return next(port for port in _ours() if _is_free(port) and _is_free(port + 1))


def _ours() -> Iterator[int]:
    """Each in its turn; ends once all were named."""
    turn, first = _block()
    return (first + next(turn) % (BLOCK - 1) for _ in range(BLOCK))


@cache
def _block() -> tuple[Iterator[int], int]:
    below = int(KERNELS.read_text().split()[0]) if KERNELS.exists() else 32_768
    folder = Path(tempfile.gettempdir()) / f"babbitt-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for first in range(FIRST, below - BLOCK, BLOCK):
        # Held for as long as this process lives.
        lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return itertools.count(), first
    raise AssertionError(f"all blocks of ports are taken: {folder}")


def _is_free(port: int) -> bool:
    with ExitStack() as probes:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            probe = probes.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True

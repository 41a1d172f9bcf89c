"""A serial wire between two ptys, run as a process of its own: bytes travel no faster than the baud rate allows.

``python wire.py BAUD BITS`` prints the two devices (master's, slave's), then carries bytes until its standard input is
closed, and prints what it saw of the master: how many frames it sent, and how many began before the line had been
silent for t3.5. Times are this process' own. The last byte handed to the master is stamped before the write: stamped
after it, this process could be put to sleep in between, and a master that did wait would look as if it had not.
"""

from __future__ import annotations

import json
import os
import pty
import select
import sys
import time
import tty
from collections import deque


class Direction:
    """Bytes on their way to ``fd``, each due one character after the one before it."""

    def __init__(self, fd: int, character_s: float) -> None:
        self.fd, self.character_s = fd, character_s
        self.due: deque[tuple[float, bytes]] = deque()
        self.free_at = 0.0

    def take(self, data: bytes, now: float) -> None:
        at = max(now, self.free_at)
        for byte in data:
            at += self.character_s
            self.due.append((at, bytes((byte,))))
        self.free_at = at

    def deliver(self, now: float) -> bool:
        sent = False
        while self.due and self.due[0][0] <= now:
            os.write(self.fd, self.due.popleft()[1])
            sent = True
        return sent


def main(baud: int, bits: int) -> None:
    ends = [pty.openpty() for _ in range(2)]
    for end in ends:
        tty.setraw(end[1])
    (master, master_device), (slave, slave_device) = ends
    print(os.ttyname(master_device), os.ttyname(slave_device), flush=True)
    character_s = bits / baud
    silence_s = 0.00175 if baud > 19200 else 3.5 * character_s
    to_slave, to_master = Direction(slave, character_s), Direction(master, character_s)
    busy_until, frames, violations, shortest_s = 0.0, 0, 0, 1e9
    while True:
        waits = [d.due[0][0] - time.monotonic() for d in (to_slave, to_master) if d.due]
        readable, _, _ = select.select([master, slave, 0], [], [], max(0.0, min(waits)) if waits else None)
        now = time.monotonic()
        if 0 in readable:
            break
        if master in readable:
            data = os.read(master, 4096)
            if now > to_slave.free_at:  # a new frame, not the rest of one
                frames += 1
                shortest_s = min(shortest_s, now - busy_until)
                violations += now - busy_until < silence_s
            to_slave.take(data, now)
            busy_until = to_slave.free_at
        if slave in readable:
            to_master.take(os.read(slave, 4096), now)
        to_slave.deliver(time.monotonic())
        now = time.monotonic()
        if to_master.deliver(now):
            busy_until = now
    print(json.dumps({"frames": frames, "violations": violations, "shortest_s": shortest_s, "silence_s": silence_s}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""A Modbus TCP device that numbers every reading it gives, so that what becomes of each can be told.

Each answer to a read of a whole unit carries the unit's next number in all of its tags, as ``numbered.value_of``. What
was served is remembered with its time at the moment at which the answer leaves.
"""

from __future__ import annotations

import socketserver
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.numbered import value_of
from tests.faults.received import name_of

UNITS = (1, 2)
TAGS_A_UNIT = 8
REGISTERS_A_TAG = 4
PROFILE = "numbered-{unit}"
_HEAD = struct.Struct(">HHHB")
_READ = struct.Struct(">BHH")


def tags_of(unit: int) -> range:
    return range(unit * TAGS_A_UNIT, (unit + 1) * TAGS_A_UNIT)


class Field:
    """Serves on ``port`` until ``close``. ``served``: by unit, the time (wall, ns) of each number.

    ``serves`` is called with the unit of each before the answer leaves.
    """

    def __init__(self) -> None:
        self.served: dict[int, list[int]] = defaultdict(list)
        self.serves: Callable[[int], object] = lambda unit: None
        self._lock = threading.Lock()
        field = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while head := self.rfile.read(_HEAD.size):
                    transaction, _, length, unit = _HEAD.unpack(head)
                    function, address, count = _READ.unpack(self.rfile.read(length - 1))
                    assert (function, address, count) == (3, 0, TAGS_A_UNIT * REGISTERS_A_TAG), "the profile's one read"
                    registers = field.next(unit)
                    pdu = struct.pack(">BB", function, len(registers)) + registers
                    self.wfile.write(_HEAD.pack(transaction, 0, len(pdu) + 1, unit) + pdu)

        self._server = _Server(("127.0.0.1", 0), Connection)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def next(self, unit: int) -> bytes:
        with self._lock:
            number = len(self.served[unit])
            self.served[unit].append(time.time_ns())
        self.serves(unit)
        return b"".join(value_of(tag, number).to_bytes(8, "big") for tag in tags_of(unit))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A gateway that is killed leaves in the midst of an answer."""


def describe(tables: dict[str, Any], folder: Path, port: int, *, period_ms: int) -> None:
    """Make a site's tables those of a gateway that polls a ``Field``; its profiles go into ``folder``."""
    devices = folder / "profiles/devices"
    devices.mkdir(parents=True)
    for unit in UNITS:
        name = PROFILE.format(unit=unit)
        lines = [f'[device]\nid = "{name}"\nproducts = ["numbered"]\nsource = "made for tests"\n']
        lines += [
            f'[[point]]\ntag = "{name_of(tag)}"\nfunction = 3\naddress = {place * REGISTERS_A_TAG}\ntype = "uint64"\n'
            for place, tag in enumerate(tags_of(unit))
        ]
        (devices / f"{name}.toml").write_text("\n".join(lines), encoding="utf-8")
    tables["profiles"] = "profiles"
    tables["gateway"]["inference"] = False
    tables["line"] = [{"kind": "modbus-tcp", "name": "field", "host": "127.0.0.1", "port": port, "timeout_ms": 1000}]
    tables["asset"] = [
        {
            "id": f"machine-{unit}",
            "unit": [{"line": "field", "unit": unit, "profile": PROFILE.format(unit=unit), "period_ms": period_ms}],
        }
        for unit in UNITS
    ]
    del tables["plant"]

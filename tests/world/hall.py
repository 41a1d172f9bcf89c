"""A hall of machines behind real Modbus TCP, whose values are set from outside, and the site of a gateway beside it.

Each machine is one unit with one limit on its first signal, so that it is known which lamp a value must light, and
since when: ``Hall.served`` gives the monotonic time of the first answer that carried what was set last.
"""

from __future__ import annotations

import socketserver
import struct
import threading
import time
from pathlib import Path
from typing import Any

import tomli_w

TAGS = 10
LIMIT = 100.0
CALM, HOT = False, True
"""A calm machine gives anything below the limit, a hot one anything a little above it: no sensor that stands still."""
OF_THE_MACHINE = ["disk_low", "disk_full", "disk_hangs", "board_hot", "memory_low", "clock_stepped"]
"""Alarms about the machine that the tests run on: what else it has to do is none of theirs."""
_HEAD = struct.Struct(">HHHB")
_READ = struct.Struct(">BHH")


class Hall:
    """Serves on ``port`` until ``close``; ``silent`` units do not answer."""

    def __init__(self, port: int = 0) -> None:
        self.silent: set[int] = set()
        self.reads = 0
        self._hot: dict[int, bool] = {}
        self._served: dict[int, int] = {}
        self._lock = threading.Lock()
        hall = self

        class Connection(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                while head := self.rfile.read(_HEAD.size):
                    transaction, _, length, unit = _HEAD.unpack(head)
                    function, address, count = _READ.unpack(self.rfile.read(length - 1))
                    if unit in hall.silent:
                        continue
                    registers = hall.answer(unit, address, count)
                    pdu = struct.pack(">BB", function, len(registers)) + registers
                    self.wfile.write(_HEAD.pack(transaction, 0, len(pdu) + 1, unit) + pdu)

        self._server = _Server(("127.0.0.1", port), Connection)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def set(self, unit: int, hot: bool) -> None:
        """``unit`` is beyond its limit, or within it, from now on."""
        with self._lock:
            self._hot[unit] = hot
            self._served.pop(unit, None)

    def served(self, unit: int) -> int | None:
        """When what was set last was first given out (monotonic, ns); None while it was not."""
        with self._lock:
            return self._served.get(unit)

    def answer(self, unit: int, address: int, count: int) -> bytes:
        with self._lock:
            self.reads += 1
            low, width = (101, 9) if self._hot.get(unit) else (20, 80)
            values = [low + self.reads * 37 % width, *((self.reads + place) % 90 for place in range(1, TAGS))]
            if address == 0:
                self._served.setdefault(unit, time.monotonic_ns())
        return struct.pack(f">{count}H", *values[address : address + count])

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


def machine(line: int, unit: int) -> str:
    return f"machine-{line}-{unit}"


def describe(
    folder: Path, ports: list[int], *, units: int, period_ms: int = 100, gateway: dict[str, Any] | None = None,
    panel: dict[str, Any] | None = None, **tables: Any,
) -> Path:  # fmt: skip
    """The site file of a gateway that polls ``units`` machines on each of ``ports``, with its profile and its class."""
    for kind, text in (("devices", _device()), ("assets", _CLASS)):
        place = folder / "profiles" / kind
        place.mkdir(parents=True, exist_ok=True)
        (place / "hall_machine.toml").write_text(text, encoding="utf-8")
    site = {
        "profiles": "profiles",
        "gateway": {
            "id": "gw-1", "data_dir": "gateway", "commit_interval_ms": 200, "inference": False, **(gateway or {}),
        },
        "alarms": {"chatter_raises": 0, "flood_above": 1000},  # Machines are driven out of their limits all the time.
        "health": {"off": OF_THE_MACHINE},
        "panel": panel or {"kind": "png", "png_path": "panel.png"},
        "line": [
            {"kind": "modbus-tcp", "name": f"line-{line}", "host": "127.0.0.1", "port": port, "timeout_ms": 500}
            for line, port in enumerate(ports)
        ],
        "asset": [
            {
                "id": machine(line, unit), "class": "hall_machine",
                "unit": [{"line": f"line-{line}", "unit": unit, "profile": "hall_machine", "period_ms": period_ms}],
            }
            for line in range(len(ports))
            for unit in range(1, units + 1)
        ],
        **tables,
    }  # fmt: skip
    path = folder / "site.toml"
    path.write_text(tomli_w.dumps(site), encoding="utf-8")
    return path


def _device() -> str:
    points = [
        f'[[point]]\ntag = "signal_{place}"\nfunction = 3\naddress = {place}\ntype = "uint16"\n'
        for place in range(TAGS)
    ]
    head = '[device]\nid = "hall_machine"\nproducts = ["a hall"]\nsource = "made for tests"\n'
    return "\n".join([head, *points])


_CLASS = f"""
id = "hall_machine"
title = "Machine of a hall"
source = "made for tests"
watch = [{", ".join(f'"signal_{place}"' for place in range(TAGS))}]
[[rule]]
id = "hot"
tag = "signal_0"
above = {LIMIT}
priority = "high"
sentence = "is too hot"
cause = "somebody set it"
action = "Set it back."
"""

"""A gateway is broken in every way while its lamps are watched: `python -m tests.faults.lamps --help`.

Real processes: a hall behind Modbus TCP, a gateway, its panel, which writes down each change of its lamps with the
monotonic time. In random order, from one printed seed, the journal's disk hangs or fails, judges hang, the receiver
hangs or is gone, a room's task breaks, gateway and panel are killed or stopped, the cable to the machines is cut. Amid
each a machine leaves its limit: the red lamp must be lit within the fault's deadline of the answer that said so. Green
must never be shown by a panel whose gateway does not watch, whose data are stale, or while the limit is left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edge.errors import BabbittError
from edge.local_socket import ask
from tests.faults.recording import ROOT, preload
from tests.waiting import until
from tests.world.hall import CALM, HOT, Hall, describe
from tests.world.lamps import Lamps

LINES, UNITS = 2, 2
QUICK_S = 1.0
"""Where neither the gateway's process, its poll nor its panel is touched; tests/bench/lamp.py measures how quick."""
RECOVERY_S = 25.0
SILENT_S = 2.0 + 1.0
"""Within so long a panel shows that its gateway does not watch."""
STALE_S = 3.0 + 2.0
OUTLIVED_S = 2.5
ENDED_S = 5.0
HEALTH_OFF = [
    "disk_low", "disk_full", "store_near_cap", "store_thins", "readings_lost", "ledger_unbalanced", "clock_unset",
    "clock_stepped", "backlog_old", "board_hot", "memory_low", "room_restarts", "judges_hang",
    "disk_hangs",
]  # fmt: skip


@dataclass
class Found:
    """What came of some rounds. The last three must be 0."""

    faults: int = 0
    excursions: int = 0
    slowest_ms: float = 0.0
    not_lit: int = 0
    green_unwatched: int = 0
    green_stale: int = 0

    def __add__(self, other: Found) -> Found:
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return Found(**{**sums, "slowest_ms": max(self.slowest_ms, other.slowest_ms)})

    @property
    def caught(self) -> int:
        return self.not_lit + self.green_unwatched + self.green_stale

    def __str__(self) -> str:
        return " ".join(f"{name}={value:g}" for name, value in asdict(self).items())


class Receiver:
    """Takes connections and answers nothing, or is gone."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def gone(self) -> None:
        """Nobody is let in from here on: what is closed is all that there is."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(ENDED_S)
        for connection in [self._listener, *self._open]:
            connection.close()
        self._open.clear()

    def hangs(self) -> None:
        with contextlib.suppress(OSError):
            self._listener = self._listen(self.port)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        self._accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._accepting.start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._open.append(connection)


class Floor:
    """The processes, and what is known of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.faults = folder, folder / "faults"
        self.faults.mkdir()
        self.halls = [Hall() for _ in range(LINES)]
        self.receiver = Receiver()
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text("nobody-asks\n", encoding="ascii")
        self.site = describe(
            folder, [hall.port for hall in self.halls], units=UNITS, period_ms=50,
            gateway={"inference": True, "verdict_interval_ms": 200}, panel={"kind": "png", "png_path": "panel.png"},
            uplink={"url": f"http://127.0.0.1:{self.receiver.port}", "token_file": "token", "backoff_s_max": 1.0},
            health={"off": HEALTH_OFF},
        )  # fmt: skip
        self.lamps = Lamps(folder / "lamps.jsonl")
        self.gateway: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ, "BABBITT_PANEL_TRACE": str(self.folder / "lamps.jsonl"),
            "LD_PRELOAD": str(preload("sync_shim.c")), "SYNC_HANGS": str(self.faults / "disk-hangs"),
            "SYNC_FAILS": str(self.faults / "disk-fails"),
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.faults.breaking", str(self.faults), str(self.site), "info"]
        with (self.folder / "gateway.log").open("ab") as log:
            self.gateway = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def status(self) -> dict[str, Any]:
        with contextlib.suppress(BabbittError):
            return ask(self.folder / "gateway/gateway.sock", "status", within_s=1.0)
        return {}

    def send(self, number: signal.Signals) -> None:
        assert self.gateway is not None
        self.gateway.send_signal(number)
        if number is signal.SIGKILL:
            self.gateway.wait(10)

    def send_panel(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.lamps.now["pid"], number)

    def calm(self) -> None:
        """Nothing stands, and green says so."""

        def is_calm() -> bool:
            for alarm in self.status().get("alarms", []):
                if alarm["state"] in ("unacknowledged", "returned"):
                    with contextlib.suppress(BabbittError):
                        ask(self.folder / "gateway/gateway.sock", "acknowledge", asset=alarm["asset"],
                            rule=alarm["rule"], by="tests", within_s=1.0)  # fmt: skip
            return bool(self.lamps.now["green"] == "on" and self.lamps.now["red"] == "off")

        until(is_calm, within_s=2 * RECOVERY_S, what=self.words)

    def words(self) -> str:
        log = (self.folder / "gateway.log").read_text(encoding="utf-8", errors="replace")
        return f"{self.lamps.now}\n{log[-3000:]}"

    def close(self) -> None:
        for path in self.faults.iterdir():
            path.unlink()
        pids = {view["pid"] for view in self.lamps.look()}
        if self.gateway is not None:
            self.send(signal.SIGCONT)
            self.gateway.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.gateway.wait(15)
            self.send(signal.SIGKILL)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.receiver.gone()
        for hall in self.halls:
            hall.close()


@dataclass(frozen=True)
class Fault:
    """``begin`` and ``end`` it. ``unwatched``: nobody watches meanwhile. ``lit_s``: within so long a lamp must be lit,
    from the answer that left the limit, or from the fault's end where nobody watched."""

    name: str
    begin: Callable[[Floor], Any]
    end: Callable[[Floor], Any] = lambda floor: None
    lit_s: float = QUICK_S
    unwatched: bool = False


def _file(name: str) -> Fault:
    return Fault(name, lambda f: (f.faults / name).touch(), lambda f: (f.faults / name).unlink(missing_ok=True))


def _broken(room: str, lit_s: float) -> Fault:
    return Fault(f"room {room} breaks", lambda f: (f.faults / f"break-{room}").touch(), lit_s=lit_s)


FAULTS = (
    _file("disk-hangs"), _file("disk-fails"), _file("judges-hang"),
    Fault("receiver gone", lambda f: f.receiver.gone(), lambda f: f.receiver.hangs()),
    *(_broken(room, QUICK_S) for room in ("infer", "uplink", "commit", "clock", "bundles", "update")),
    *(_broken(room, RECOVERY_S) for room in ("poll", "alarm", "panel")),
    Fault("gateway killed", lambda f: f.send(signal.SIGKILL), lambda f: f.start(), RECOVERY_S, unwatched=True),
    Fault("gateway stopped", lambda f: f.send(signal.SIGSTOP), lambda f: f.send(signal.SIGCONT), RECOVERY_S,
          unwatched=True),
    Fault("panel killed", lambda f: f.send_panel(signal.SIGKILL), lit_s=RECOVERY_S),
    Fault("panel stopped", lambda f: f.send_panel(signal.SIGSTOP), lit_s=RECOVERY_S),
)  # fmt: skip


def round(  # noqa: A001 - what the others of this folder are called
    seed: int, faults: int = len(FAULTS) + 2, *, tries: int = 1, say: Callable[[str], None] = lambda line: None
) -> Found:
    """So many faults, each of ``FAULTS`` once before any comes again, and each with an excursion amid it.

    The best of ``tries`` counts: where others have the machine, a lamp may be late once for them alone.
    """
    chance, found = random.Random(seed), Found()
    with tempfile.TemporaryDirectory(prefix="lamps-") as name:
        floor = Floor(Path(name))
        try:
            floor.start()
            floor.calm()
            for fault in _order(chance, faults):
                for _ in range(tries):
                    one = _excursion(floor, fault, chance) if fault is not None else _silence(floor, chance)
                    say(f"{fault.name if fault is not None else 'cable cut'}: {found + one}")
                    if one.caught:
                        say(floor.words())
                    floor.calm()
                    if not one.caught:
                        break
                found += one
        finally:
            floor.close()
    return found


def _order(chance: random.Random, count: int) -> Iterator[Fault | None]:
    """None: the cable to a line's machines is cut."""
    while True:
        shuffled: list[Fault | None] = [*FAULTS, None]
        chance.shuffle(shuffled)
        for fault in shuffled:
            if count <= 0:
                return
            count -= 1
            yield fault


def _excursion(floor: Floor, fault: Fault, chance: random.Random) -> Found:
    line, unit = chance.randrange(LINES), chance.randint(1, UNITS)
    hall = floor.halls[line]
    begun_ns = time.monotonic_ns()
    fault.begin(floor)
    green = 0
    if fault.unwatched:
        time.sleep(SILENT_S + chance.random())
        green = _greens(floor, begun_ns + _ns(SILENT_S), time.monotonic_ns())
    time.sleep(chance.random() * 0.5)
    hall.set(unit, HOT)
    if fault.unwatched:
        fault.end(floor)
    until(lambda: hall.served(unit), what=floor.words)
    served_ns = hall.served(unit)
    assert served_ns is not None
    lit_ns = _lit(floor, served_ns, fault.lit_s)
    time.sleep(chance.random() * 0.5)
    stood_ns = time.monotonic_ns()
    if lit_ns is not None:
        # A panel that was started meanwhile begins with what it does not know, and a gateway with what it last knew.
        green += _greens(floor, lit_ns, stood_ns)
    if not fault.unwatched:
        fault.end(floor)
    hall.set(unit, CALM)
    lit_ms = (lit_ns - served_ns) / 1e6 if lit_ns is not None and fault.lit_s == QUICK_S else 0.0
    return Found(faults=1, excursions=1, slowest_ms=lit_ms, not_lit=int(lit_ns is None), green_unwatched=green)


def _silence(floor: Floor, chance: random.Random) -> Found:
    """The machines of one line answer nothing: data are stale, and no other line's make up for it."""
    hall = chance.choice(floor.halls)
    hall.silent.update(range(1, UNITS + 1))
    cut_ns = time.monotonic_ns()
    time.sleep(STALE_S + OUTLIVED_S)
    green = _greens(floor, cut_ns + _ns(STALE_S), time.monotonic_ns())
    double = floor.lamps.now["amber"] == "double"
    hall.silent.clear()
    return Found(faults=1, excursions=1, not_lit=int(not double), green_stale=green)


def _lit(floor: Floor, since_ns: int, within_s: float) -> int | None:
    """When the red lamp was lit for what happened at ``since_ns``; None where it was not in time.

    A gateway that was killed before it could tell that an acknowledged alarm had ended holds that one for still there:
    its lamp is lit, and does not blink.
    """
    deadline_ns = since_ns + _ns(within_s)
    while True:
        late = time.monotonic_ns() > deadline_ns + _ns(0.5)
        lit = next((view["mono_ns"] for view in floor.lamps.since(since_ns) if view["red"] in ("fast", "on")), None)
        if lit is not None:
            return max(lit, since_ns) if lit <= deadline_ns else None
        if late:
            return None
        time.sleep(0.01)


def _greens(floor: Floor, from_ns: int, to_ns: int) -> int:
    """How often green was shown at any moment of this time."""
    return sum(view["green"] == "on" for view in floor.lamps.since(from_ns) if view["mono_ns"] < to_ns)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="each with new processes (default: %(default)s)")
    parser.add_argument("--faults", type=int, default=len(FAULTS) + 2, help="in a round (default: each once, and more)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="default: drawn, and printed")
    parser.add_argument("--json", action="store_true", help="the counts as one JSON object, last")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    chance, found = random.Random(options.seed), Found()
    for _ in range(options.rounds):
        found += round(chance.randrange(2**32), options.faults, say=lambda line: print(line, flush=True))
    print(json.dumps({**asdict(found), "seed": options.seed}) if options.json else found, flush=True)
    return 1 if found.caught else 0


if __name__ == "__main__":
    sys.exit(main())

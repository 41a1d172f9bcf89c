"""What a gateway costs that has nothing to do: a line of every kind that there is, and nobody says anything.

The gateway is the real process with its journal, its desk, its judges and an uplink that finds nobody. Its brokers and
servers are real ones, connected and silent; its buses are silent too, and their units due once an hour. CPU time is
that of the process, all threads, over the time after it has settled. A further kind of line is an entry in ``LINES``.
"""

from __future__ import annotations

import argparse
import os
import pty
import socket
import tempfile
import time
import tty
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from cloud.demo.processes import Child, free_port
from edge.config.lines import Line
from edge.errors import BabbittError
from edge.local_socket import ask
from tests.peers.mosquitto import Mosquitto
from tests.peers.opcua_peers import URI, asyncua_server

CPU_SHARE_GOAL = 0.02
START_S = 30.0
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of line: its table's keys, its unit's, and the one point of its profile, as TOML; or a shipped profile.

    ``protocol`` is that of the point, or the name of the shipped profile where there is no ``point``.
    """

    protocol: str
    line: str
    point: str = ""
    unit: str = "unit = 1"


class Peers:
    """Who is there and says nothing; each is started when it is first asked for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._broker: Mosquitto | None = None

    def port(self) -> int:
        """Of a TCP server that takes connections and never answers."""
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port: int = listener.getsockname()[1]
        return port

    def udp(self) -> int:
        """A UDP port that was free a moment ago."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    def device(self) -> str:
        """A serial device on which nobody speaks."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        self._stack.callback(os.close, master)
        self._stack.callback(os.close, slave)
        return os.ttyname(slave)

    def broker(self, client_id: str) -> str:
        if self._broker is None:
            folder = self._folder / "mosquitto"
            folder.mkdir()
            self._broker = Mosquitto(folder)
            self._broker.start()
            self._stack.callback(self._broker.stop)
        return f'broker = {{ port = {self._broker.port}, client_id = "{client_id}" }}'

    def opcua(self) -> str:
        return self._stack.enter_context(asyncua_server()).url


MODBUS = 'function = 3\naddress = 0\ntype = "uint16"'
LINES: dict[str, Callable[[Peers], Kind]] = {
    "modbus-tcp": lambda peers: Kind("modbus", f"port = {peers.port()}", MODBUS),
    "modbus-rtu-tcp": lambda peers: Kind("modbus", f"port = {peers.port()}", MODBUS),
    "modbus-rtu": lambda peers: Kind("modbus", f'device = "{peers.device()}"', MODBUS),
    "mqtt": lambda peers: Kind("mqtt", peers.broker("mqtt"), 'topic = "{at}/value"', 'at = "press"'),
    "sparkplug": lambda peers: Kind("sparkplug", peers.broker("sparkplug"), 'metric = "value"', 'at = "hall/press"'),
    "opcua": lambda peers: Kind(
        "opcua", f'url = "{peers.opcua()}"\nsecurity = "None"', f'node = "nsu={URI};s=Motor1.Temp"', ""
    ),
    "serial": lambda peers: Kind("mettler-toledo-sics", f'device = "{peers.device()}"'),
    "serial-tcp": lambda peers: Kind("mettler-toledo-sics", f'host = "127.0.0.1"\nport = {peers.port()}'),
    "serial-stream": lambda peers: Kind("airmar-200wx", f'device = "{peers.device()}"'),
    "serial-tcp-stream": lambda peers: Kind("airmar-200wx", f'host = "127.0.0.1"\nport = {peers.port()}'),
    "bacnet": lambda peers: Kind(
        "bacnet", f'interface = "127.0.0.1/8"\nport = {peers.udp()}', 'object = "analog-input"\ninstance = 1'
    ),
}


def site(folder: Path, peers: Peers, kinds: list[str]) -> Path:
    devices = folder / "profiles/devices"
    devices.mkdir(parents=True)
    token = folder / "gateway.token"
    token.touch(mode=0o600)
    token.write_text("nobody-asks\n", encoding="ascii")
    url = f"http://127.0.0.1:{free_port(0)}"
    parts = ['profiles = "profiles"', '[gateway]\nid = "idle"\ndata_dir = "gateway"']
    parts.append(f'[uplink]\nurl = "{url}"\ntoken_file = "gateway.token"')
    for kind in kinds:
        one = LINES[kind](peers)
        profile = kind if one.point else one.protocol
        device = f'[device]\nid = "{kind}"\nproducts = []\nsource = "made here"\nprotocol = "{one.protocol}"\n'
        if one.point:
            told = f'{device}[[point]]\ntag = "value"\n{one.point}\n'
            (devices / f"{kind}.toml").write_text(told, encoding="utf-8")
        parts.append(f'[[line]]\nkind = "{kind}"\nname = "{kind}"\n{one.line}\n[[asset]]\nid = "{kind}"\n')
        unit = f'line = "{kind}"\nprofile = "{profile}"\nperiod_ms = {HOUR_MS}\n{one.unit}\n'
        parts.append(f"[[asset.unit]]\n{unit}")
    path = folder / "site.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def cpu_s(pid: int) -> float:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(kinds: list[str], settle_s: float, seconds: float) -> float:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="babbitt-idle-")))
        path = site(folder, Peers(folder, stack), kinds)
        gateway = Child("gateway", ["gateway", "run", str(path)], folder / "gateway.log")
        stack.callback(gateway.end)
        until(lambda: ask(folder / "gateway/gateway.sock", "status"), gateway)
        time.sleep(settle_s)
        began_s, at_s = cpu_s(gateway.process.pid), time.monotonic()
        time.sleep(seconds)
        gateway.check()
        share = (cpu_s(gateway.process.pid) - began_s) / (time.monotonic() - at_s)
        units = ask(folder / "gateway/gateway.sock", "status")["units"]
        assert {unit["line"] for unit in units} == set(kinds)
        return share


def until(answers: Callable[[], object], child: Child) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        child.check()
        try:
            if answers():
                return
        except BabbittError:
            pass
        time.sleep(0.05)
    raise SystemExit("the gateway did not start in time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settle", type=float, default=10.0, help="seconds before it is measured")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long it is measured")
    parser.add_argument("--apart", action="store_true", help="measure each kind of line by itself too")
    options = parser.parse_args()
    known = [str(kind.__struct_config__.tag) for kind in get_args(Line)]
    kinds = [kind for kind in known if kind in LINES]
    if missing := sorted(set(known) - set(kinds)):
        print(f"not measured, no entry in LINES: {', '.join(missing)}")
    if options.apart:
        for kind in kinds:
            print(f"{kind:16} {measure([kind], options.settle, options.seconds):.2%} of a core")
    share = measure(kinds, options.settle, options.seconds)
    print(f"lines of {len(kinds)} kinds: {', '.join(kinds)}")
    print(f"goal_met={share < CPU_SHARE_GOAL}")
    print(f"idle_cpu_share={share:.4f}")


if __name__ == "__main__":
    main()

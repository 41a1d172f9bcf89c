"""Scans: found are all who are there and nobody else, in the likeliest order, by reading only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
import tomllib
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cli.scan import numbers_of
from edge.commission.scan import NO_PROFILE, Found, proposal
from edge.commission.scan_serial import LIKELY, Setting, settings_of
from edge.commission.scan_tcp import HOSTS_MAX, hosts_of
from edge.config.load import load
from edge.config.profiles import load_profile
from edge.config.profiles.modbus import ModbusProfile
from edge.config.site import profiles_root
from edge.config.tables import SiteFile
from edge.errors import BabbittError, ConfigError
from tests.peers.bacnet_device import OURS, BacnetDevice, udp_port
from tests.peers.hostile import Hostile, over_tcp, slow_crc
from tests.peers.image import Image
from tests.peers.modbus_peers import pymodbus_tcp
from tests.peers.opcua_peers import asyncua_server

DEADLINE_S = 60.0
BAUDS = {19200: termios.B19200, 38400: termios.B38400}


def image() -> Image:
    held = Image()
    held.put(3, 0, bytes(8))
    return held


class Bus:
    """Units on a pty that answer only while the pty is set to their baud rate; ``asked`` is all that came."""

    def __init__(self, units: dict[int, Image], baud: int) -> None:
        self.units, self.baud = units, BAUDS[baud]
        self.asked: list[tuple[int, bytes]] = []
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        os.set_blocking(self.master, False)
        rest = b""
        while not self._end.wait(0.001):
            with contextlib.suppress(BlockingIOError):
                rest += os.read(self.master, 4096)
            length = 7 if rest[1:2] == bytes((43,)) else 8
            if len(rest) < length:
                continue
            frame, rest = rest[:length], rest[length:]
            if termios.tcgetattr(self.slave)[4] != self.baud:
                continue
            assert slow_crc(frame[:-2]) == frame[-2:]
            self.asked.append((frame[0], frame[1:-2]))
            held = self.units.get(frame[0])
            if held is not None:
                body = frame[:1] + _reply(held, frame[1:-2])
                os.write(self.master, body + slow_crc(body))

    def end(self) -> None:
        self._end.set()
        self._thread.join()
        os.close(self.master)
        os.close(self.slave)


def _reply(held: Image, pdu: bytes) -> bytes:
    if pdu[0] not in (3, 4):
        return bytes((pdu[0] | 0x80, 1))
    return held.reply(pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))


@pytest.fixture
def bus() -> Iterator[Bus]:
    proved = load_profile(profiles_root() / "devices/plant-pump.toml")
    assert isinstance(proved, ModbusProfile)
    assert proved.probe is not None
    pump, refusing = image(), Image()
    pump.put(proved.probe.function, proved.probe.address, b"".join(n.to_bytes(2, "big") for n in proved.probe.equals))
    made = Bus({3: pump, 40: refusing}, baud=38400)
    yield made
    made.end()


def scan(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "scan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def test_units_at_an_unusual_baud_rate_are_found_and_nothing_is_written(bus: Bus, tmp_path: Path) -> None:
    out = tmp_path / "found.toml"
    for timeout_ms in ("100", "1000"):  # Longer where the bus had no time to answer.
        arguments = ("--units", "1-4,40", "--parity", "N", "--yes", "--json")
        done = scan("serial", bus.device, "--timeout-ms", timeout_ms, *arguments, "-o", str(out))
        found = json.loads(done.stdout)["found"]
        if len(found) == 2 and found[0]["profiles"]:
            break
        out.unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr
    assert [(one["unit"], one["line"]["baud"], one["answered"][:14], one["profiles"]) for one in found] == [
        (3, 38400, "register 0 = 4", ["plant-pump"]), (40, 38400, "exception 0x02", []),
    ]  # fmt: skip
    assert {pdu[0] for _, pdu in bus.asked} <= {3, 4, 43}
    tables = tomllib.loads(out.read_text())
    [line] = tables["line"]
    assert (line["kind"], line["device"], line["baud"], line["parity"]) == ("modbus-rtu", bus.device, 38400, "N")
    assert [unit["unit"] for asset in tables["asset"] for unit in asset["unit"]] == [3, 40]


def test_ctrl_c_ends_a_scan_with_what_was_found(bus: Bus) -> None:
    command = [sys.executable, "-m", "edge.cli", "scan", "serial", bus.device, "--baud", "38400", "--parity", "N"]
    arguments = ["--units", "3,200-247", "--timeout-ms", "2000", "--yes", "--json"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as scanning:
        deadline = time.monotonic() + DEADLINE_S
        while not any(unit >= 200 for unit, _ in bus.asked):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        scanning.send_signal(signal.SIGINT)
        said, errors = scanning.communicate(timeout=DEADLINE_S)
    assert scanning.returncode == 130, errors
    assert "Traceback" not in errors
    answer = json.loads(said)
    assert answer["stopped"]
    assert [one["unit"] for one in answer["found"]] == [3]


def test_nothing_is_sent_before_a_person_agrees(bus: Bus) -> None:
    command = [sys.executable, "-m", "edge.cli", "scan", "serial", bus.device]
    done = subprocess.run(command, input="n\n", capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 1
    assert "this only reads. It sends" in done.stderr
    assert "function 3, one register from 0, to 247 units" in done.stderr
    assert not bus.asked


@contextmanager
def servers() -> Iterator[tuple[int, Hostile]]:
    """A plant's pump at 127.0.0.2 by pymodbus, and a device of ours at 127.0.0.1 and every other; one port."""
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    peer = Hostile(image())

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with over_tcp(peer):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(DEADLINE_S)
    try:
        yield peer.port, peer
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_S)


def test_a_range_of_hosts_and_the_units_behind_them(tmp_path: Path) -> None:
    with servers() as (port, peer), servers() as (other, _):
        for _ in range(3):  # Once more where the scanner itself stood still while it knocked at a host.
            done = scan(
                "tcp", "127.0.0.0/29", "--port", str(port), "--port", str(other), "--units", "1-3",
                "--timeout-ms", "20000", "--yes", "--json",
            )  # fmt: skip
            found = json.loads(done.stdout)["found"]
            if len(found) == 6:
                break
    assert done.returncode == 0, done.stderr
    assert sorted((one["place"], one["unit"]) for one in found) == sorted(
        (f"127.0.0.1:{p}", unit) for p in (port, other) for unit in (1, 2, 3)
    )
    assert {asked.function for asked in peer.asked} <= {3, 4, 43}


def test_a_server_that_is_none_of_ours_says_who_it_is() -> None:
    held = image()
    held.identity = {0: b"Acme", 1: b"P-100", 2: b"1.7"}

    async def scenario() -> subprocess.CompletedProcess[str]:
        async with pymodbus_tcp(held) as port:
            arguments = ("--port", str(port), "--units", "17", "--timeout-ms", "20000", "--yes", "--json")
            return await asyncio.to_thread(scan, "tcp", "127.0.0.1", *arguments)

    done = asyncio.run(scenario())
    [found] = json.loads(done.stdout)["found"]
    assert (found["unit"], found["identity"]) == (17, {"vendor": "Acme", "product": "P-100", "revision": "1.7"})


def test_bacnet_devices_say_who_they_are(tmp_path: Path) -> None:
    port, out = udp_port(), tmp_path / "found.toml"
    with BacnetDevice("rusty", "127.0.0.2", port, 1234):
        for seconds in ("1", "20"):  # Longer where the device had no time to answer.
            arguments = ("--port", str(port), "--instances", "1000-1999", "--seconds", seconds, "--yes", "--json")
            done = scan("bacnet", OURS, *arguments, "-o", str(out))
            found = json.loads(done.stdout)["found"]
            if found and found[0]["identity"].get("name"):
                break
            out.unlink(missing_ok=True)
    [found] = json.loads(done.stdout)["found"]
    assert (found["unit"], found["identity"]["name"]) == (1234, "rusty-1234")
    assert found["answered"].startswith(f"at 127.0.0.2:{port}, vendor ")
    tables = tomllib.loads(out.read_text())
    assert (tables["line"][0]["kind"], tables["asset"][0]["unit"][0]["unit"]) == ("bacnet", 1234)
    for wrong in ("192.168.1.20", "somewhere"):
        assert scan("bacnet", wrong, "--yes").returncode == 2


def test_opcua_servers_tell_their_endpoints() -> None:
    with asyncua_server() as peer:
        port = str(peer.port)
        done = scan("opcua", "127.0.0.1", "--port", port, "--port", "9", "--timeout-ms", "20000", "--yes", "--json")
    [found] = json.loads(done.stdout)["found"]
    assert found["place"] == f"opc.tcp://127.0.0.1:{port}"
    assert found["identity"]["application"]
    assert "security " in found["answered"]
    assert "users " in found["answered"]


def test_nobody_there_is_said() -> None:
    done = scan("tcp", "127.0.0.1", "--port", "9", "--yes")
    assert (done.returncode, done.stdout) == (1, "nobody answered\n")


def test_only_ranges_that_were_named_and_are_private() -> None:
    assert hosts_of(["127.0.0.0/29"]) == [f"127.0.0.{n}" for n in range(1, 7)]
    assert hosts_of(["plc-1", "10.0.0.7/32", "10.0.0.6/31"]) == ["plc-1", "10.0.0.7", "10.0.0.6"]
    assert hosts_of(["fe80::7", "fd00::/126"])[0] == "fe80::7"
    for with_port in ("127.0.0.1:5020", "plc-1:502", "[fe80::7]:502"):
        with pytest.raises(BabbittError, match="name its port by --port"):
            hosts_of([with_port])
    for wrong, words in (("8.8.8.0/24", "public"), ("10.0.0.0/8", f"at most {HOSTS_MAX}"), ("10.0.0/24", "no range")):
        with pytest.raises(BabbittError, match=words):
            hosts_of([wrong])
    assert scan("tcp").returncode == 2


def test_settings_come_with_the_likeliest_first() -> None:
    assert settings_of([], [])[:3] == [Setting(9600, "N", 1), Setting(9600, "E", 1), Setting(19200, "E", 1)]
    assert settings_of([19200], ["E"]) == [Setting(19200, "E", 1)]
    assert settings_of([7200], []) == [Setting(7200, "N", 1), Setting(7200, "E", 1)]
    assert len(set(LIKELY)) == len(LIKELY)


@pytest.mark.parametrize("wrong", ["", "0", "248", "5-3", "a", "1,,2", "1-"])
def test_wrong_units_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="accepted: 1 to 247"):
        numbers_of(wrong, 1, 247)
    assert numbers_of("1-3,247,2", 1, 247) == [1, 2, 3, 247]


SAID = st.dictionaries(st.sampled_from(["vendor", "product"]), st.text(max_size=40), max_size=2)


@settings(max_examples=40)
@given(SAID, st.text(max_size=30))
def test_whatever_a_device_says_the_proposal_is_a_site_file(identity: dict[str, str], answered: str) -> None:
    lines = [
        {"kind": "modbus-rtu", "device": '/dev/tty\\"S0', "baud": 9600, "parity": "E", "stop_bits": 1},
        {"kind": "modbus-tcp", "host": "10.0.0.7", "port": 502},
    ]  # fmt: skip
    found = [
        Found(line, unit, answered, identity, ("plant-pump",) if unit == 2 else ()) for line in lines for unit in (1, 2)
    ]
    text = proposal([*found, Found(lines[1], None, answered)])
    tables = tomllib.loads(f'[gateway]\nid = "g"\n{text}')
    assert len(tables["line"]) == 2
    assert [asset["unit"][0]["profile"] for asset in tables["asset"]] == [NO_PROFILE, "plant-pump"] * 2


def test_the_proposal_loads_once_profiles_are_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    line = {"kind": "modbus-tcp", "host": "10.0.0.7", "port": 502, "timeout_ms": 200}
    path.write_text('[gateway]\nid = "g"\n' + proposal([Found(line, 1, "register 0 = 1", {}, ("plant-pump",))]))
    assert load(path, SiteFile).asset[0].unit[0].profile == "plant-pump"

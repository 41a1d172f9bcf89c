"""`babbitt decode`: one table or JSON anywhere, the live screen in a terminal, against a foreign peer."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.decode import decode
from edge.cli.terminal import keys_of
from edge.config.profiles import load_profile
from edge.config.profiles.modbus import Point
from edge.errors import ConfigError, LineError
from tests.peers import modbus_peers as peers
from tests.peers.image import Image, wire_bytes
from tests.rooms.commission.site_maker import point, tcp, write_profile, write_site
from tests.rooms.commission.test_check_command import babbitt

DEADLINE_S = 60.0


@pytest.fixture
def port(libmodbus_program: Path) -> Iterator[int]:
    """Holding registers 0 to 9 and 20: a float low word first at 4. The peer's list ends at 1999."""
    held = Image()
    held.put(3, 0, bytes.fromhex("1d2fa9c10b770041") + wire_bytes("float32", "CDAB", 230.4) + b"Meter-1\0")
    held.put(3, 1998, bytes.fromhex("0902") + bytes.fromhex("0001"))
    with peers.libmodbus(libmodbus_program, held, "tcp", "0") as number:
        yield number


def test_offline_registers_need_no_device() -> None:
    done = babbitt("decode", "--registers", "0x4366,0x6666", "--expect", "230.4")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert rows[0] == "function 3, from register 0: 4366 6666   text Cfff"
    assert re.split(r"\s+", rows[2].strip()) == ["0", "float32", "ABCD", "1", "230.4", "exact"]
    assert babbitt("decode", "--registers", "17254 26214", "--expect", "230.4").stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give one of CONFIG, --host"),
        (("--registers", "0x4366,what"), "found 'what'"),
        (("--registers", "70000"), "0 to 65535"),
        (("--host", "a:99999"), "after a colon a port"),
        (("--host", "a", "--unit", "pump"), "unit id from 0 to 255"),
        (("--device", "/dev/ttyNONE9"), "no such device"),
        (("--host", "a", "--registers", "1"), "give one of"),
    ],
)
def test_bad_input_is_one_error_with_a_hint(arguments: tuple[str, ...], said: str) -> None:
    error = CliRunner().invoke(decode, arguments).exception
    assert isinstance(error, ConfigError | LineError)
    assert said in str(error)


def patient(port: int) -> tuple[str, ...]:
    return ("--host", f"127.0.0.1:{port}", "--timeout-ms", "20000")


def test_a_live_device_as_json(port: int) -> None:
    done = babbitt("decode", *patient(port), "--count", "10", "--expect", "230.4", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["registers"][4:6] == [0x6666, 0x4366]
    assert found["candidates"][0]["point"] == {"function": 3, "address": 4, "type": "float32", "order": "CDAB"}
    assert found["candidates"][0]["value"] == pytest.approx(230.4)


def test_a_window_over_the_end_of_a_table_shows_what_there_is(port: int) -> None:
    found = json.loads(babbitt("decode", *patient(port), "--address", "1998", "--count", "4", "--json").stdout)
    assert found["registers"] == [0x0902, 1, None, None]
    assert "illegal data address" in found["trouble"]
    nothing = babbitt("decode", *patient(port), "--address", "6000")
    assert nothing.returncode == 1
    assert "illegal data address" in nothing.stderr


def test_units_of_a_site_are_named_as_everywhere(port: int, tmp_path: Path) -> None:
    write_profile(tmp_path, "meter", [point("a", 0)])
    unit = {"line": "hall", "unit": 1, "profile": "meter"}
    site = str(write_site(tmp_path, [tcp("hall", port)], {"m": unit, "n": unit | {"unit": 2}}))
    for name in ("m", "m/1", "hall/1", "hall/9"):
        assert CliRunner().invoke(decode, [site, "--unit", name, "--count", "2", "--json"]).exit_code == 0, name
    for name, said in (("x", "none of its Modbus devices"), ("x/1", "none of"), ("hall/999", "none of")):
        error = CliRunner().invoke(decode, [site, "--unit", name]).exception
        assert isinstance(error, ConfigError)
        assert said in str(error)
        assert "m/1, n/2" in str(error)
    assert "several devices" in str(CliRunner().invoke(decode, [site]).exception)


class Terminal:
    """A person at a terminal of 30 by 100."""

    def __init__(self, *arguments: str) -> None:
        self._fd, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self._unread, self._decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "decode", *arguments], stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def until(self, wanted: str) -> None:
        """Read on until what matches ``wanted`` was shown; what came behind it is still to be read."""
        end_s = time.monotonic() + DEADLINE_S
        while True:
            # However the system cuts what is written: an escape or a letter is whole once its rest is there.
            self._unread = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self._unread)
            if found := re.search(wanted, self._unread):
                self._unread = self._unread[found.end() :]
                return
            assert time.monotonic() < end_s, f"{wanted!r} never came in {self._unread[-2000:]!r}"
            if select.select([self._fd], [], [], 0.2)[0]:
                self._unread += self._decoder.decode(os.read(self._fd, 65536))

    def end(self) -> int:
        code = self.process.wait(DEADLINE_S)
        assert termios.tcgetattr(self.slave)[3] == self.before[3], "the terminal is as it was"
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)
        os.close(self.slave)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Opens terminals; whatever becomes of the test, nothing stays behind."""
    opened: list[Terminal] = []

    def open_one(*arguments: str) -> Terminal:
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


Opening = Callable[..., Terminal]


def test_a_person_finds_a_value_and_writes_it_into_the_profile(terminal: Opening, port: int, tmp_path: Path) -> None:
    profile = write_profile(tmp_path, "meter", [point("a", 0)])
    profile.write_text(f"# precious\n{profile.read_text(encoding='utf-8')}# last words\n", encoding="utf-8")
    site = write_site(tmp_path, [tcp("hall", port)], {"m": {"line": "hall", "unit": 1, "profile": "meter"}})
    person = terminal(str(site), "--unit", "m", "--count", "10", "--every", "0.2")
    person.until("type what it should read")
    person.type("230,4\r")
    person.until("nearest to 230.4 first")
    person.until(r">\s+4\s+float32\s+CDAB[^\r\n]*exact")
    person.type("\r")
    person.until("tag, and if you like unit and title")
    person.type("Voltage\r")
    person.until("is no tag")
    person.type("\x7f" * 7 + "voltage_v V Voltage at the feeder\r")
    person.until("voltage_v added")
    person.type("q")
    assert person.end() == 0
    text = profile.read_text(encoding="utf-8")
    assert text.startswith("# precious\n")
    assert text.endswith("# last words\n")
    added = load_profile(profile).point[-1]
    assert isinstance(added, Point)
    assert (added.tag, added.unit, added.title) == ("voltage_v", "V", "Voltage at the feeder")
    assert (added.address, added.type, added.order, added.scale) == (4, "float32", "CDAB", 1.0)


def test_a_tag_that_is_there_already_is_refused_and_a_new_file_begun(
    terminal: Opening, port: int, tmp_path: Path
) -> None:
    profile = tmp_path / "new.toml"
    person = terminal(*patient(port), "--count", "2", "--profile", str(profile), "--every", "0.2")
    person.until("type what it should read")
    for said in ("x added", "stands twice"):
        person.type("\r")
        person.until("tag, and if you like")
        person.type("x\r")
        person.until(said)
    person.type("\x1b[B\x1b[C")
    person.until("registers 1 to 2")
    person.process.send_signal(2)  # Ctrl-C
    assert person.end() == 0
    assert [one.tag for one in load_profile(profile).point] == ["x"]


def test_a_device_that_goes_away_is_said_and_comes_back_into_view(
    terminal: Opening, libmodbus_program: Path, free_port: int
) -> None:
    held = Image()
    held.put(3, 0, b"\x09\x00")
    person = terminal("--host", f"127.0.0.1:{free_port}", "--count", "1", "--every", "0.2")
    person.until("no connection")
    with peers.libmodbus(libmodbus_program, held, "tcp", str(free_port)):
        person.until("2304")
    person.type("q")
    assert person.end() == 0


def test_keys_however_they_arrive() -> None:
    assert list(keys_of(b"\x1b[A\x1b[Bq")) == ["up", "down", "q"]
    assert list(keys_of(b"\x1b")) == ["esc"]
    assert list(keys_of("é3\r".encode())) == ["é", "3", "enter"]
    assert list(keys_of(b"\x1b[99~")) == []
    with contextlib.suppress(UnicodeError):
        assert list(keys_of(b"\xff1"))[-1] == "1"

"""The dry run against foreign peers: every tag once, with a verdict that says why; nothing ends it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from edge.clock import SystemClock
from edge.commission.dry_run import Trial, dry_run, place_of
from edge.commission.findings import SiteFound, TagFound
from edge.commission.report import report_html
from edge.commission.show import accepted, as_json_object, table, wrong_devices
from edge.config import lines
from edge.config.broker import Broker
from edge.config.lines import PushedLine
from edge.config.site import Site
from edge.contract.types import Quality
from edge.drivers import make_driver, make_source
from edge.ports import Answer, Heard, Source
from tests.peers import modbus_peers as peers
from tests.peers.image import Image
from tests.rooms.commission.site_maker import point, site_of, tcp, write_profile


def tried(site: Site, **options: Any) -> SiteFound:
    trial = Trial(clock=SystemClock(), make_driver=make_driver, make_source=make_source)
    return asyncio.run(dry_run(site, replace(trial, **options)))


def marks(found: SiteFound) -> dict[str, TagFound]:
    by_tag = {tag.tag: tag for _, _, tag in found.tags()}
    assert len(by_tag) == len(found.tags())
    return by_tag


@pytest.fixture
def meter(libmodbus_program: Path) -> Iterator[int]:
    """A libmodbus server with good values and odd ones; gives its port."""
    image = Image()
    image.put(3, 0, struct.pack(">HhfHHhfff", 2304, 0x7FFF, 50.0, 0, 0xFFFF, 850, 1e-41, 1e30, 230.0))
    with peers.libmodbus(libmodbus_program, image, "tcp", "0") as port:
        yield port


POINTS = [
    point("voltage", 0, scale=0.1, unit="V"),
    point("open_sensor", 1, "int16", scale=0.1, unit="Cel", kind="temperature"),
    point("frequency", 2, "float32", unit="Hz"),
    point("dead_phase", 4, unit="V"),
    point("absent", 5, not_available=[0xFFFF]),
    point("one_wire", 6, "int16", scale=0.1, unit="Cel", kind="temperature"),
    point("swapped", 7, "float32"),
    point("huge", 9, "float32"),
    point("hot", 11, "float32", unit="%"),
    point("refused", 9000),
]


def test_each_tag_once_ok_suspicious_or_bad_and_why(meter: int, tmp_path: Path) -> None:
    write_profile(tmp_path, "meter", POINTS)
    said: list[str] = []
    site = site_of(tmp_path, [tcp("hall", meter)], {"m": {"line": "hall", "unit": 1, "profile": "meter"}})
    found = tried(site, say=said.append)
    tags = marks(found)
    assert list(tags) == [p["tag"] for p in POINTS]
    assert {tag: one.mark for tag, one in tags.items()} == {
        "voltage": "ok", "open_sensor": "suspicious", "frequency": "ok", "dead_phase": "suspicious", "absent": "bad",
        "one_wire": "suspicious", "swapped": "suspicious", "huge": "suspicious", "hot": "ok", "refused": "bad",
    }  # fmt: skip
    assert tags["voltage"].value == pytest.approx(230.4)
    assert "largest signed" in tags["open_sensor"].words
    assert "exactly 0 V" in tags["dead_phase"].words
    assert "DS18B20" in tags["one_wire"].words
    assert "byte order" in tags["swapped"].words
    assert "byte order" in tags["huge"].words
    assert tags["absent"].words == "device: not available"
    assert "illegal data address" in tags["refused"].words
    unit = found.lines[0].units[0]
    assert (unit.reads, len(unit.response_ms), unit.proved) == (1, 1, None)
    assert said == ["line hall: m/1: 10 tags, 2 bad, 5 suspicious"]
    counts = found.lines[0].counts[1]
    assert counts.requests >= counts.replies > 1
    assert not accepted(found)
    shown = "\n".join(table(found))
    assert all(f" {tag} " in shown for tag in tags)
    assert shown.endswith("10 tags: 3 ok, 5 suspicious, 2 bad")


@pytest.mark.parametrize(("equals", "proved"), [((2304, 0x7FFF), True), ((2304, 1), False)])
def test_the_probe_says_whether_it_is_that_device(
    equals: tuple[int, ...], proved: bool, meter: int, tmp_path: Path
) -> None:  # fmt: skip
    write_profile(tmp_path, "meter", POINTS[:1], f"[probe]\nfunction = 3\naddress = 0\nequals = {list(equals)}\n")
    site = site_of(tmp_path, [tcp("hall", meter)], {"m": {"line": "hall", "unit": 1, "profile": "meter"}})
    found = tried(site)
    assert [unit.name for unit in wrong_devices(found)] == ([] if proved else ["m/1"])
    assert accepted(found) == proved
    assert found.lines[0].units[0].proved == proved


def test_a_unit_that_gives_nothing_but_zeros_is_suspicious(libmodbus_program: Path, tmp_path: Path) -> None:
    write_profile(tmp_path, "zeros", [point(f"z{i}", i) for i in range(4)])
    image = Image()
    image.put(3, 0, bytes(8))
    with peers.libmodbus(libmodbus_program, image, "tcp", "0") as port:
        site = site_of(tmp_path, [tcp("hall", port)], {"m": {"line": "hall", "unit": 1, "profile": "zeros"}})
        tags = marks(tried(site))
    assert {one.words for one in tags.values()} == {"every number of this unit is 0"}


def test_dead_lines_are_bad_with_their_cause_and_hold_up_nobody(meter: int, tmp_path: Path) -> None:
    write_profile(tmp_path, "meter", POINTS[:1])
    write_profile(tmp_path, "other", [point("b", 0), point("c", 1)])
    write_profile(tmp_path, "third", [point("d", 0)])
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        lines = [tcp("hall", meter), tcp("roof", silent.getsockname()[1], 200)]
        lines.append({"kind": "modbus-rtu", "name": "silo", "device": "/dev/ttyNONE9"})
        units = {"m": ("hall", "meter"), "n": ("roof", "other"), "o": ("silo", "third")}
        site = site_of(tmp_path, lines, {a: {"line": ln, "unit": 1, "profile": p} for a, (ln, p) in units.items()})
        found = tried(site, reads=2)
    tags = marks(found)
    assert tags["voltage"].mark == "ok"
    assert {tags[tag].words for tag in ("b", "c")} == {"bus: no answer within 200 ms"}
    assert tags["d"].words == "bus: /dev/ttyNONE9: no such device"
    assert [line.trouble for line in found.lines] == ["", "", "/dev/ttyNONE9: no such device"]
    assert [len(line.units[0].response_ms) for line in found.lines] == [2, 0, 0]
    msgspec.json.encode(as_json_object(found))


def test_what_a_device_says_that_it_is_stands_beside_its_profile(tmp_path: Path) -> None:
    write_profile(tmp_path, "meter", [point("a", 0)])
    image = Image(identity={0: b"Babbitt", 1: b"P-1", 2: b"2.11"})
    image.put(3, 0, b"\0\7")

    async def scene() -> SiteFound:
        async with peers.pymodbus_tcp(image) as port:
            unit = {"line": "hall", "unit": peers.UNIT, "profile": "meter"}
            site = site_of(tmp_path, [tcp("hall", port)], {"m": unit})
            trial = Trial(clock=SystemClock(), make_driver=make_driver, make_source=make_source)
            return await dry_run(site, trial)

    found = asyncio.run(scene())
    assert found.lines[0].units[0].identity == {"vendor": "Babbitt", "product": "P-1", "revision": "2.11"}
    assert any("says it is: vendor Babbitt, product P-1" in line for line in table(found))
    assert "Says it is: vendor <b>Babbitt</b>" in report_html(found, version="1")


class Unsteady:
    """A device with a loose contact: its first answer is lost."""

    def __init__(self) -> None:
        self._reads = 0

    async def open(self) -> None: ...

    async def read(self, unit: int, profile: Any) -> list[Answer]:
        self._reads += 1
        lost = Answer(None, Quality.BAD_BUS, "CRC error")
        return [lost if self._reads == 1 else Answer(5, Quality.GOOD) for _ in profile.point]

    async def close(self) -> None: ...


def test_what_failed_once_of_several_reads_is_told(tmp_path: Path) -> None:
    write_profile(tmp_path, "meter", [point("a", 0)])
    unit = {"line": "hall", "unit": 1, "profile": "meter", "period_ms": 10}
    site = site_of(tmp_path, [tcp("hall", 1)], {"m": unit})
    tag = marks(tried(site, make_driver=lambda *_: Unsteady(), reads=3))["a"]
    assert (tag.value, tag.mark, tag.bad_reads) == (5, "suspicious", 1)
    assert tag.words == "bad in 1 of 3 reads: CRC error"


class Pushed(PushedLine, frozen=True, kw_only=True, tag_field="kind", tag="pushed"):
    """A line of devices that speak by themselves, for the port's sake alone."""

    protocol = "modbus"
    host: str = "somewhere"


class Scripted:
    """A source that says what it is told, and then nothing."""

    reports_changes = False

    def __init__(self, said: list[Heard], troubles: dict[int, str]) -> None:
        self._said, self._troubles = said, troubles
        self.closed = False

    async def open(self) -> None: ...

    async def run(self, hear: Callable[[Heard], None]) -> None:
        for heard in self._said:
            hear(heard)
        await asyncio.Event().wait()

    def trouble(self, subject: int) -> str:
        return self._troubles.get(subject, "")

    async def close(self) -> None:
        self.closed = True


def pushed_site(folder: Path) -> Site:
    """Two units of a polled line, which then becomes one that speaks by itself."""
    write_profile(folder, "one", [point("a", 0), point("b", 1)])
    write_profile(folder, "two", [point("c", 0)])
    site = site_of(folder, [tcp("broker", 1)], {
        "x": {"line": "broker", "unit": 1, "profile": "one"}, "y": {"line": "broker", "unit": 2, "profile": "two"},
    })  # fmt: skip
    file = msgspec.structs.replace(site.file, line=(Pushed(name="broker"),))
    return msgspec.structs.replace(site, file=file)


def test_devices_that_speak_by_themselves_are_heard_until_all_have_or_the_time_is_over(tmp_path: Path) -> None:
    clock = SystemClock()
    good = Answer(7, Quality.GOOD)
    source = Scripted(
        [Heard(0, (0,), (good,), (clock.wall_ns() - 60 * 10**9,)), Heard(1, (0,), (good,))], {0: "the broker is away"}
    )

    def make(line: PushedLine, subjects: Any, clock: Any) -> Source:
        assert [(s.unit, s.period_s) for s in subjects] == [(1, 1.0), (2, 1.0)]
        return source

    found = tried(pushed_site(tmp_path), make_source=make, listen_s=0.3)
    tags = marks(found)
    assert tags["a"].words == "60 s old"
    assert tags["a"].age_s == pytest.approx(60, abs=1)
    assert (tags["b"].mark, tags["b"].words) == ("bad", "bus: the broker is away")
    assert tags["c"].mark == "ok"
    assert source.closed

    all_said = Scripted([Heard(0, (1, 0), (good, good)), Heard(1, (0,), (good,))], {})
    found = tried(pushed_site(tmp_path), make_source=lambda *_: all_said, listen_s=60.0)
    assert found.count("ok") == 3
    assert found.lines[0].took_s < 30


KINDS = {
    lines.ModbusTcp: {"host": "plc"}, lines.ModbusRtu: {"device": "/dev/tty1"}, lines.ModbusRtuTcp: {"host": "server"},
    lines.Mqtt: {"broker": Broker(client_id="c", host="broker")}, lines.OpcUa: {"url": "opc.tcp://plc:4840"},
    lines.SparkplugHost: {"broker": Broker(client_id="c", host="broker")}, lines.Serial: {"device": "/dev/tty1"},
    lines.SerialTcp: {"host": "server", "port": 4001}, lines.SerialStream: {"device": "/dev/tty1"},
    lines.SerialTcpStream: {"host": "server", "port": 4001}, lines.Bacnet: {"interface": "10.0.0.2/24"},
}  # fmt: skip


def test_where_a_line_is_stands_in_words_whatever_its_kind() -> None:
    assert set(KINDS) == set(get_args(lines.Line)), "a kind of line that this test does not know"
    for kind, keys in KINDS.items():
        said = place_of(kind(name="l", **keys))  # type: ignore[arg-type]
        assert re.fullmatch(r"/dev/tty1, \d+ baud, 8[NE]1|\w+:\d+|10\.0\.0\.2/24:47808|opc\.tcp://plc:4840", said), said

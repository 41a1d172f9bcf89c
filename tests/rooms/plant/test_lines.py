"""The lines, asked by independent peers: pymodbus' clients over TCP and over the pty, and a bare file descriptor."""

from __future__ import annotations

import asyncio
import os
import socket
import termios
import time
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerRTU

from edge.config.lines import ModbusTcp
from edge.config.profiles.modbus import ModbusProfile
from edge.config.site import Site
from edge.contract.types import Value
from edge.errors import ConfigError, LineError
from edge.plant.machine import COUNTED
from edge.plant.plant import Plant
from edge.plant.unit import Unit
from edge.registers import from_words, unpack

Runner = Callable[[Site], AbstractAsyncContextManager[Plant]]
SiteMaker = Callable[..., Site]
Client = AsyncModbusTcpClient | AsyncModbusSerialClient


@asynccontextmanager
async def tcp_client(site: Site, *, timeout_s: float = 30.0) -> AsyncIterator[AsyncModbusTcpClient]:
    line = site.line("hall")
    assert isinstance(line, ModbusTcp)
    client = AsyncModbusTcpClient(line.host, port=line.port, timeout=timeout_s, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def rtu_client(
    site: Site, baud: int = 115_200, timeout_s: float = 30.0
) -> AsyncIterator[AsyncModbusSerialClient]:
    client = AsyncModbusSerialClient(
        str(site.resolve("bus.tty")), baudrate=baud, parity="N", timeout=timeout_s, retries=0
    )
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


async def read_all(client: Client, site: Site, profile: str, unit: int) -> dict[str, object]:
    """Each point of a profile, read by itself and decoded."""
    values: dict[str, object] = {}
    modbus = site.profiles[profile]
    assert isinstance(modbus, ModbusProfile)
    for point in modbus.point:
        if point.function == 2:
            bits = await client.read_discrete_inputs(point.address, count=1, device_id=unit)
            values[point.tag] = bits.bits[0]
            continue
        read = client.read_holding_registers if point.function == 3 else client.read_input_registers
        answer = await read(point.address, count=point.registers, device_id=unit)
        assert not answer.isError(), (point.tag, answer)
        values[point.tag] = unpack(point, from_words(answer.registers))[0]
    return values


def held_still(plant: Plant, asset: str) -> dict[str, Value]:
    """What the machine says, and goes on saying: every sensor is stuck."""
    for tag, value in plant.source(asset).signals().items():
        if isinstance(value, float) and tag not in COUNTED:
            plant.fault(asset, "stuck_sensor", tag=tag)
    return plant.source(asset).signals()


class TestTcp:
    def test_a_client_reads_what_the_machine_says(self, make_site: SiteMaker, run_site: Runner) -> None:
        site = make_site(speed=1e-6)

        async def story() -> None:
            async with run_site(site) as plant, tcp_client(site) as client:
                for unit, name in ((1, "spindle"), (2, "pump")):
                    said = held_still(plant, f"{name}-1")
                    read = await read_all(client, site, f"plant-{name}", unit)
                    assert read.pop("reading_number") == 1
                    assert read.pop("running") is True
                    assert read.keys() | {"running"} == said.keys()
                    assert read == pytest.approx({tag: said[tag] for tag in read}, rel=1e-6, abs=0.51)
                    for tag in ("vibration_mm_s", "kurtosis", "power_kw"):
                        assert read[tag] == pytest.approx(said[tag], rel=1e-6)
                    assert read["bearing_temperature_c"] == pytest.approx(said["bearing_temperature_c"], abs=0.0501)

        asyncio.run(story())

    def test_refusals_are_modbus_exceptions(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site), tcp_client(site) as client:
                nobody = await client.read_input_registers(0, count=2, device_id=77)
                beyond = await client.read_input_registers(15, count=4, device_id=1)
                beside = await client.write_register(0, 1, device_id=1)
                no_coils = await client.read_coils(0, count=1, device_id=1)
                fine = await client.read_input_registers(0, count=2, device_id=1)
            assert [a.exception_code for a in (nobody, beyond, beside, no_coils)] == [0x0B, 2, 2, 2]
            assert not fine.isError()

        asyncio.run(story())

    def test_counts_out_of_range_are_illegal_values(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site):
                reader, writer = await _connection(site)
                for count in (0, 126):
                    writer.write(bytes.fromhex("0001 0000 0006 01 04 0000") + count.to_bytes(2, "big"))
                    answer = await asyncio.wait_for(reader.readexactly(9), 30.0)
                    assert answer.hex() == "000100000003018403"
                writer.close()

        asyncio.run(story())

    def test_two_requests_in_one_packet_and_one_in_two(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site):
                reader, writer = await _connection(site)
                request = bytes.fromhex("0000 0006 01 03 0000 0003")
                writer.write(b"\0\1" + request + b"\0\2" + request + b"\0\3" + request[:5])
                first = await asyncio.wait_for(reader.readexactly(30), 30.0)
                writer.write(request[5:])
                second = await asyncio.wait_for(reader.readexactly(15), 30.0)
                writer.close()
                body = bytes.fromhex("0000 0009 01 03 06 babb 0001 0001")
                assert first + second == b"\0\1" + body + b"\0\2" + body + b"\0\3" + body

        asyncio.run(story())

    @pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", b"\0\1\0\0\xff\xff" + b"x" * 40, bytes(12)])
    def test_rubbish_ends_its_connection_and_no_other(
        self, make_site: SiteMaker, run_site: Runner, rubbish: bytes
    ) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site), tcp_client(site) as client:
                reader, writer = await _connection(site)
                writer.write(rubbish)
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await asyncio.wait_for(reader.readexactly(1), 30.0)
                writer.close()
                assert not (await client.read_input_registers(0, count=2, device_id=1)).isError()

        asyncio.run(story())

    def test_a_port_in_use_is_a_line_error_with_a_hint(self, make_site: SiteMaker, run_site: Runner) -> None:
        site = make_site()
        line = site.line("hall")
        assert isinstance(line, ModbusTcp)

        async def story() -> None:
            async with run_site(site):
                pass

        with socket.socket() as other:
            other.bind((line.host, line.port))
            other.listen()
            with pytest.raises(LineError, match=r"line hall: 127\.0\.0\.1:\d+ is in use .*port"):
                asyncio.run(story())
        assert not site.resolve("bus.tty").is_symlink()


async def _connection(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    line = site.line("hall")
    assert isinstance(line, ModbusTcp)
    return await asyncio.open_connection(line.host, line.port)


def request(unit: int, function: int, address: int, count: int) -> bytes:
    body = bytes([unit, function]) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


async def exchange(
    site: Site, frame: bytes, *, expect: int, within_s: float, sent: Callable[[], bool] = lambda: False
) -> tuple[bytes, list[float]]:  # fmt: skip
    """Write a frame to the pty; give the bytes that came and, for each chunk, how long after the writing it came.

    Where ``sent`` tells that no more is sent, what is on its way is waited for, and no longer.
    """
    fd = os.open(site.resolve("bus.tty"), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    termios.tcflush(fd, termios.TCIFLUSH)
    loop, data, times = asyncio.get_running_loop(), bytearray(), []
    full = asyncio.Event()
    started = time.monotonic()

    def readable() -> None:
        data.extend(os.read(fd, 256))
        times.append(time.monotonic() - started)
        if len(data) >= expect:
            full.set()

    loop.add_reader(fd, readable)
    os.write(fd, frame)
    try:
        async with asyncio.timeout(within_s):
            while not full.is_set() and not sent():  # noqa: ASYNC110 - counted by the plant
                await asyncio.sleep(0.002)
        async with asyncio.timeout(0.02):
            await full.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return bytes(data), times


class TestRtu:
    def test_a_client_reads_what_the_machine_says(self, make_site: SiteMaker, run_site: Runner) -> None:
        site = make_site(speed=1e-6)

        async def story() -> None:
            async with run_site(site) as plant, rtu_client(site) as client:
                said = held_still(plant, "extruder-1")
                read = await read_all(client, site, "plant-extruder", 3)
                assert read.pop("running") is True
                assert read["melt_pressure_bar"] == pytest.approx(said["melt_pressure_bar"], rel=1e-6)
                assert read["melt_temperature_c"] == pytest.approx(said["melt_temperature_c"], abs=0.0501)

        asyncio.run(story())

    def test_unknown_units_and_broken_requests_meet_silence(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            good = request(3, 4, 0, 2)
            async with run_site(site):
                for frame in (request(9, 4, 0, 2), good[:-1] + bytes([good[-1] ^ 1]), good[:5], b"\x03"):
                    silent, _ = await exchange(site, frame, expect=1, within_s=0.1)
                    assert silent == b"", frame.hex()
                answer, _ = await exchange(site, good, expect=9, within_s=30.0)
                assert answer[:3] == b"\3\4\4"
                assert len(answer) == 9

        asyncio.run(story())

    @pytest.mark.parametrize("baud", [9600, 115_200])
    def test_bytes_arrive_at_the_pace_of_the_wire(self, make_site: SiteMaker, run_site: Runner, baud: int) -> None:
        """10 bits a character at 8N1; the reply ends after both frames and one t3.5, and not much later."""

        async def story() -> None:
            site = make_site(baud=baud)
            frame, length = request(3, 4, 0, 18), 5 + 36
            t35_s, chunks_min = (35 / 9600, 11) if baud == 9600 else (0.001_75, 1)
            wire_s = (len(frame) + length) * 10 / baud + t35_s
            async with run_site(site):
                taken, chunks = [], []
                for i in range(50):  # A machine that is busy with other things delays some, not each.
                    data, times = await exchange(site, frame, expect=length, within_s=30.0)
                    assert len(data) == length
                    taken.append(times[-1])
                    chunks.append(len(times))
                    if i >= 4 and min(taken) <= wire_s + 0.010 and max(chunks) >= chunks_min:
                        break
            assert max(chunks) >= chunks_min, "character by character, not in one lump"
            assert min(taken) >= 0.97 * wire_s
            assert min(taken) <= wire_s + 0.010

        asyncio.run(story())

    def test_a_link_that_an_earlier_plant_left_is_replaced(self, make_site: SiteMaker, run_site: Runner) -> None:
        site = make_site()
        device = site.resolve("bus.tty")
        device.symlink_to("/dev/pts/99999")

        async def story() -> None:
            async with run_site(site):
                assert str(device.readlink()) != "/dev/pts/99999"
                assert device.exists()

        asyncio.run(story())
        assert not device.is_symlink()

    def test_a_path_that_is_somebodys_is_left_alone(self, make_site: SiteMaker, run_site: Runner) -> None:
        site = make_site()
        device = site.resolve("bus.tty")
        device.write_text("mine")

        async def story() -> None:
            async with run_site(site):
                pass

        with pytest.raises(LineError, match=r"line bus: .*exists and is not a link of ours .*device"):
            asyncio.run(story())
        assert device.read_text() == "mine"

    def test_a_path_that_cannot_be_made_is_a_line_error(self, make_site: SiteMaker, run_site: Runner) -> None:
        site = make_site()
        device = site.resolve("bus.tty")
        device.symlink_to("/proc/no_such_place")

        async def story() -> None:
            async with run_site(site):
                pass

        with pytest.raises(LineError, match="line bus"):
            asyncio.run(story())


class TestFaults:
    def test_the_plant_counts_what_it_served_in_good_order(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site) as plant, tcp_client(site) as client:
                for expected in (1, 2, 3):
                    answer = await client.read_holding_registers(16, count=8, device_id=1)
                    assert answer.registers[-1] == expected
                await client.read_holding_registers(18, count=2, device_id=1)
                await client.read_holding_registers(17, count=2, device_id=1)  # halves of two points: no reading
            assert plant.status()["served"]["spindle-1"] == {
                "hour_meter_h": 3, "parts_total": 4, "scrap_total": 3, "reading_number": 3,
            }  # fmt: skip
            assert plant.status()["served"]["pump-1"] == {}

        asyncio.run(story())

    def test_a_dead_unit_is_silent_and_its_neighbour_is_not(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site) as plant, tcp_client(site) as client:
                plant.fault("spindle-1", "dead_unit")
                async with tcp_client(site, timeout_s=0.2) as hasty:
                    with pytest.raises(ModbusIOException):
                        await hasty.read_input_registers(0, count=2, device_id=1)
                assert not (await client.read_input_registers(0, count=2, device_id=2)).isError()
                plant.fault("spindle-1", "repair")
                assert not (await client.read_input_registers(0, count=2, device_id=1)).isError()
                assert plant.status()["served"]["spindle-1"] == {"vibration_mm_s": 1}

        asyncio.run(story())

    def test_on_a_noisy_bus_no_spoilt_frame_is_readable_nor_counted(
        self, make_site: SiteMaker, run_site: Runner
    ) -> None:
        async def story() -> None:
            site = make_site(baud=921_600)
            good = 0
            async with run_site(site) as plant:
                plant.fault("extruder-1", "noisy_line", probability=0.5)

                def sent() -> int:
                    return sum(plant.status()["machines"][2]["replies"].values())

                async def asked(number: int) -> bytes:
                    frame = request(3, 4, 0, 2)
                    return (await exchange(site, frame, expect=9, within_s=30.0, sent=lambda: sent() > number))[0]

                for number in range(60):
                    data = await asked(number)
                    intact = len(data) == 9 and FramerRTU.check_CRC(data[:-2], int.from_bytes(data[-2:], "big"))
                    good += intact
                extruder = plant.status()["machines"][2]
                assert extruder["faults"] == ["noisy_line probability=0.5"]
                assert plant.status()["served"]["extruder-1"]["vibration_mm_s"] == good
                assert extruder["replies"]["corrupted"] + good == 60
                assert 15 < good < 45

        asyncio.run(story())

    def test_on_a_noisy_tcp_line_spoilt_frames_answer_nothing(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site) as plant:
                plant.fault("spindle-1", "noisy_line", probability=1.0)
                reader, writer = await _connection(site)
                for _ in range(20):
                    writer.write(bytes.fromhex("0007 0000 0006 01 03 0000 0003"))
                    answer = await asyncio.wait_for(reader.readexactly(15), 30.0)
                    assert answer[:4] != bytes.fromhex("0007 0000")
                    assert answer[4:] == bytes.fromhex("0009 01 03 06 babb 0001 0001")
                writer.close()
                assert plant.status()["served"]["spindle-1"] == {}

        asyncio.run(story())

    @pytest.mark.parametrize("line", ["hall", "bus"])
    def test_late_replies_come_late(self, make_site: SiteMaker, run_site: Runner, line: str) -> None:
        async def story() -> None:
            site = make_site()
            asset, unit = ("spindle-1", 1) if line == "hall" else ("extruder-1", 3)
            async with run_site(site) as plant, tcp_client(site) as tcp, rtu_client(site) as rtu:
                client: Client = tcp if line == "hall" else rtu
                plant.fault(asset, "late_replies", ms=200)
                took = []
                for _ in range(3):
                    started = time.monotonic()
                    assert not (await client.read_input_registers(0, count=2, device_id=unit)).isError()
                    took.append(time.monotonic() - started)
                assert 0.2 <= min(took) < 1.0
                assert _machine(plant, asset)["replies"] == {"good": 3, "late": 3}

        asyncio.run(story())

    def test_a_late_reply_does_not_hold_up_another_unit(self, make_site: SiteMaker, run_site: Runner) -> None:
        async def story() -> None:
            site = make_site()
            async with run_site(site) as plant:
                plant.fault("spindle-1", "late_replies", ms=300)
                reader, writer = await _connection(site)
                body = bytes.fromhex("0000 0006") + b"%c" + bytes.fromhex("03 0000 0003")
                writer.write(b"\0\1" + body % 1 + b"\0\2" + body % 2)
                answers = await asyncio.wait_for(reader.readexactly(30), 30.0)
                writer.close()
                assert [answers[1], answers[16]] == [2, 1]

        asyncio.run(story())


def _machine(plant: Plant, asset: str) -> dict[str, object]:
    return next(m for m in plant.status()["machines"] if m["asset"] == asset)


class TestSite:
    def test_two_devices_at_one_unit_id_are_refused(self, make_site: SiteMaker) -> None:
        site = make_site(
            more='[[asset]]\nid = "more-1"\nclass = "generic"\n'
            'unit = [{ line = "hall", unit = 2, profile = "plant-pump" }]',
            machine='{ asset = "more-1", model = "pump" },',
        )
        with pytest.raises(ConfigError, match=r"asset\[3\]\.unit\[0\].*unit 2 of line hall is taken"):
            Plant(site)

    def test_a_profile_that_asks_for_what_the_machine_has_not_is_refused(self, make_site: SiteMaker) -> None:
        site = make_site(
            more='[[asset]]\nid = "more-1"\nclass = "generic"\n'
            'unit = [{ line = "hall", unit = 7, profile = "plant-pump" }]',
            machine='{ asset = "more-1", model = "spindle" },',
        )
        with pytest.raises(ConfigError, match=r"plant-pump has 'discharge_pressure_bar', the spindle has not"):
            Plant(site)

    def test_an_asset_without_a_machine_is_not_served(self, make_site: SiteMaker) -> None:
        site = make_site(
            more='[[asset]]\nid = "real-1"\nclass = "generic"\n'
            'unit = [{ line = "hall", unit = 7, profile = "plant-pump" }]'
        )
        assert sorted(Plant(site).units("hall")) == [1, 2]

    def test_a_device_refuses_what_its_profile_says_it_cannot(self, make_site: SiteMaker, tmp_path: Path) -> None:
        devices = tmp_path / "profiles/devices"
        devices.mkdir(parents=True)
        points = "".join(
            f'[[point]]\ntag = "{tag}"\nfunction = 3\naddress = {address}\ntype = "uint16"\n'
            for tag, address in (("speed_rpm", 0), ("kurtosis", 2), ("power_kw", 9))
        )
        (devices / "poor.toml").write_text(
            '[device]\nid = "poor"\nproducts = ["x"]\nsource = "test"\n'
            "[quirks]\nregisters_max = 3\ngap_max = 1\n" + points
        )
        site = make_site(
            more='[[asset]]\nid = "poor-1"\nclass = "generic"\nunit = [{ line = "hall", unit = 7, profile = "poor" }]',
            machine='{ asset = "poor-1", model = "spindle" },',
        )
        unit: Unit = Plant(site).units("hall")[7]
        assert unit.read(3, 0, 3).tags == ("speed_rpm", "kurtosis")
        assert unit.read(3, 0, 3).numbers[1] == 0
        assert unit.read(3, 0, 4).exception == 3
        assert unit.read(3, 2, 2).exception == 2
        assert unit.read(3, 9, 1).tags == ("power_kw",)

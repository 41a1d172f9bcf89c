"""Serial devices that are asked, over ptys and raw sockets: a real profile against a device that misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.config.lines import Serial, SerialTcp
from edge.config.profiles import load_profile
from edge.config.profiles.serial import AskedMessage, Checksum, Field, Frame, Length, SerialPoint, SerialProfile
from edge.config.profiles.signal import Device
from edge.config.site import profiles_root
from edge.contract.types import Quality
from edge.drivers import make_driver
from edge.errors import LineError
from edge.ports import Answer, Driver
from tests.peers.serial_device import Reply, SerialDevice, behind_a_server, plugged_in
from tests.undelayed import undelayed
from tests.waiting import until_async

TIMEOUT_MS = 150
WEIGHT, TARE = b"S S     100.00 g\r\n", b"TA A      10.00 kg\r\n"
GOOD = [Answer(0.1, Quality.GOOD), Answer(True, Quality.GOOD), Answer(10.0, Quality.GOOD)]


def scale() -> SerialProfile:
    profile = load_profile(profiles_root() / "devices/mettler-toledo-sics.toml")
    assert isinstance(profile, SerialProfile)
    return profile


def honest(request: bytes) -> list[tuple[float, bytes]]:
    return [(0.0, {b"SI\r\n": WEIGHT, b"TA\r\n": TARE}[request])]


def weight_is(*acts: tuple[float, bytes]) -> Reply:
    return lambda request: list(acts) if request == b"SI\r\n" else honest(request)


def on_a_pty(folder: Path, reply: Reply, scene: Callable[[SerialDevice, Driver], Awaitable[None]]) -> None:
    async def run() -> None:
        path = folder / "ttyUSB0"
        async with plugged_in(SerialDevice(reply, baud=9600), path) as device:
            driver = make_driver(Serial(name="s", device=str(path), timeout_ms=TIMEOUT_MS), SystemClock())
            await driver.open()
            try:
                await scene(device, driver)
            finally:
                await driver.close()

    asyncio.run(run())


async def until_good(driver: Driver, within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while await driver.read(1, scale()) != GOOD:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_a_scale_on_a_wire_of_9600_baud_is_read(tmp_path: Path) -> None:
    async def scene(device: SerialDevice, driver: Driver) -> None:
        for _ in range(3):
            assert await driver.read(1, scale()) == GOOD
        assert device.asked == 3 * [b"SI\r\n", b"TA\r\n"]
        counts = driver.counts.of(1)  # type: ignore[attr-defined]
        assert (counts.requests, counts.replies, counts.sent_bytes) == (6, 6, 24)
        device.reply = lambda request: [(0.0, b"~" * 9)]
        await driver.read(1, scale())
        device.reply = weight_is((0.0, b"S +\r\n"))
        await driver.read(1, scale())
        assert (counts.requests, counts.replies, counts.timeouts + counts.noise, sum(counts.refusals.values())) == (
            9,
            8,
            1,
            1,
        )

    on_a_pty(tmp_path, honest, scene)


@pytest.mark.parametrize(
    ("said", "weight", "stable"),
    [
        (b"S D     129.07 g\r\n", Answer(0.12907, Quality.UNCERTAIN, "weight in motion"), Answer(False, Quality.GOOD)),
        (b"S +\r\n", Answer(None, Quality.BAD_DEVICE, "overload"), Answer(None, Quality.BAD_DEVICE, "overload")),
        (b"S S  1.2.3 g\r\n", Answer(None, Quality.BAD_DECODE, "'1.2.3' is no number"), Answer(True, Quality.GOOD)),
        (
            b"S S  1.5 stone\r\n",
            Answer(None, Quality.BAD_DECODE, "measure is 'stone', known are kg, g, mg, t, lb, oz"),
            Answer(True, Quality.GOOD),
        ),
    ],
)
def test_what_the_scale_says_of_its_weight_is_kept(tmp_path: Path, said: bytes, weight: Answer, stable: Answer) -> None:
    async def scene(device: SerialDevice, driver: Driver) -> None:
        answers = await driver.read(1, scale())
        assert answers[0].value == pytest.approx(weight.value)
        assert (answers[0].quality, answers[0].detail) == (weight.quality, weight.detail)
        assert answers[1:] == [stable, GOOD[2]]

    on_a_pty(tmp_path, weight_is((0.0, said)), scene)


@pytest.mark.parametrize(
    "acts",
    [
        [(0.0, b"\x00\xff\xfeSI\r\n" + WEIGHT)],  # noise and the echo of a two-wire adapter
        [(0.0, b"S S     1"), (0.0, b"\r\n" + WEIGHT)],  # half a frame
        [(0.0, WEIGHT[:9]), (0.05, WEIGHT[9:])],  # a pause within it
        [(0.0, TARE + WEIGHT + TARE)],  # merged with others
        [(0.0, b"x" * 300 + b"\r\n" + WEIGHT)],
    ],
)
def test_the_answer_is_found_in_what_surrounds_it(tmp_path: Path, acts: list[tuple[float, bytes]]) -> None:
    async def scene(device: SerialDevice, driver: Driver) -> None:
        device.baud = 0
        assert await driver.read(1, scale()) == GOOD
        device.reply = honest
        assert await driver.read(1, scale()) == GOOD

    on_a_pty(tmp_path, weight_is(*acts), scene)


def test_silence_is_said_so_costs_one_deadline_a_poll_and_passes(tmp_path: Path) -> None:
    async def scene(device: SerialDevice, driver: Driver) -> None:
        answers = await driver.read(1, scale())
        assert {a.quality for a in answers} == {Quality.BAD_BUS}
        assert all(a.detail.startswith("no answer within ") for a in answers)
        assert device.asked == [b"SI\r\n"]
        device.reply = weight_is((0.0, b"S S   1" + TARE))
        assert "only 1 cut frames, 1 messages that do not answer it" not in (await driver.read(1, scale()))[0].detail
        device.reply = honest
        await until_good(driver)

    on_a_pty(tmp_path, lambda request: [], scene)


def test_a_late_answer_is_never_taken_for_that_of_the_next_question(tmp_path: Path) -> None:
    async def scene(device: SerialDevice, driver: Driver) -> None:
        assert (await driver.read(1, scale()))[0].quality == Quality.BAD_BUS
        device.reply = weight_is((0.0, b"S S     7.00 kg\r\n"))
        device.write(WEIGHT)
        assert (await driver.read(1, scale()))[0] == Answer(7.0, Quality.GOOD)

    on_a_pty(tmp_path, lambda request: [], scene)


def test_a_late_answer_that_lies_there_since_the_gateway_stood_still_is_none_to_the_next_question(
    tmp_path: Path,
) -> None:
    async def scene(device: SerialDevice, driver: Driver) -> None:
        assert (await driver.read(1, scale()))[0].quality == Quality.BAD_BUS
        device.reply = weight_is((0.0, b"S S     7.00 kg\r\n"))
        device.write(WEIGHT)
        time.sleep(4 * TIMEOUT_MS / 1000)  # noqa: ASYNC251 (the whole process is meant)
        assert (await driver.read(1, scale()))[0] == Answer(7.0, Quality.GOOD)

    on_a_pty(tmp_path, lambda request: [], scene)


def test_a_question_that_was_open_for_longer_since_the_gateway_stood_still_leaves_a_late_answer_its_time(
    tmp_path: Path,
) -> None:
    allowed_s = TIMEOUT_MS / 1000 + 11 * 260 / 9600

    async def scene(device: SerialDevice, driver: Driver) -> None:
        reading = asyncio.create_task(driver.read(1, scale()))
        await until_async(lambda: device.asked)
        time.sleep(2.5 * allowed_s)  # noqa: ASYNC251
        assert (await reading)[0].quality == Quality.BAD_BUS
        device.reply = weight_is((0.0, b"S S     7.00 kg\r\n"))
        saying = asyncio.create_task(device.say(WEIGHT))
        assert (await driver.read(1, scale()))[0] == Answer(7.0, Quality.GOOD)
        await saying

    undelayed(lambda _: on_a_pty(tmp_path, lambda request: [], scene), 3 * allowed_s)


def test_a_device_that_is_unplugged_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "ttyUSB0"

    async def run() -> None:
        driver = make_driver(Serial(name="s", device=str(path), timeout_ms=TIMEOUT_MS), SystemClock())
        with pytest.raises(LineError, match="no such device"):
            await driver.open()
        async with plugged_in(SerialDevice(honest), path):
            await driver.open()
            rival = make_driver(Serial(name="r", device=str(path)), SystemClock())
            with pytest.raises(LineError, match="another program uses it"):
                await rival.open()
            await until_good(driver)
        for _ in range(3):
            answers = await driver.read(1, scale())
            assert {(a.value, a.quality) for a in answers} == {(None, Quality.BAD_BUS)}
            assert "serial device lost" in answers[0].detail
        async with plugged_in(SerialDevice(honest), path):
            await until_good(driver)
        await driver.close()

    asyncio.run(run())


def test_a_device_server_may_come_go_and_come_back(free_port: int) -> None:
    async def run() -> None:
        driver = make_driver(SerialTcp(name="s", host="127.0.0.1", port=free_port, timeout_ms=1000), SystemClock())
        await driver.open()
        assert (await driver.read(1, scale()))[0].detail.startswith("no connection")
        for _ in range(2):
            async with behind_a_server(SerialDevice(honest), free_port):
                await until_good(driver)
            answers = await driver.read(1, scale())
            assert {a.quality for a in answers} == {Quality.BAD_BUS}
            assert "connection" in answers[0].detail
        await driver.close()

    asyncio.run(run())


def drives() -> SerialProfile:
    """Two binary drives on one line: STX, unit, length, data, CRC; each is asked by its number."""
    return SerialProfile(
        device=Device(id="d", products=(), source="", protocol="serial"),
        frame=Frame(
            start="\x02", length=Length(offset=1, adjust=5), bytes_max=32,
            checksum=Checksum(kind="crc16-modbus", order="little", covers_start=True),
        ),
        message=(
            AskedMessage(
                name="state", request="\x02{unit:b}\x01Q{checksum}\n", bytes=8,
                fields=(
                    Field(name="address", offset=0, type="uint8"), Field(name="speed", offset=2, type="int16"),
                    Field(name="total", offset=4, type="bcd", bytes=2),
                    Field(name="mode", offset=6, type="text", bytes=2),
                ),
            ),
        ),
        point=(
            SerialPoint(tag="speed", message="state", field="speed", scale=0.1),
            SerialPoint(tag="total", message="state", field="total", type="integer"),
            SerialPoint(tag="mode", message="state", field="mode", values={"RN": "running", "ST": "stopped"}),
        ),
    )  # fmt: skip


def test_binary_units_of_one_line_are_told_apart_by_their_number(tmp_path: Path) -> None:
    def crc(data: bytes) -> bytes:
        value = 0xFFFF
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        return value.to_bytes(2, "little")

    def frame(unit: int, speed: int) -> bytes:
        body = bytes((2, unit, 6)) + speed.to_bytes(2, "big", signed=True) + b"\x12\x34RN"
        return body + crc(body)

    def reply(request: bytes) -> list[tuple[float, bytes]]:
        head, unit = request[:4], request[1]
        assert request == bytes((2, unit, 1)) + b"Q" + crc(head) + b"\n"
        return [(0.0, frame(9 - unit, 0) + frame(unit, -100 * unit))]

    async def scene(device: SerialDevice, driver: Driver) -> None:
        device.end = b"\n"
        for unit in (3, 4):
            speed, *others = await driver.read(unit, drives())
            assert speed.value == pytest.approx(-10.0 * unit)
            assert others == [Answer(1234, Quality.GOOD), Answer("running", Quality.GOOD)]

    on_a_pty(tmp_path, reply, scene)


@settings(max_examples=25)
@given(acts=st.lists(st.binary(max_size=200), max_size=3))
def test_a_hostile_scale_gives_one_answer_a_point_and_an_honest_one_is_read_after_it(
    tmp_path_factory: pytest.TempPathFactory, acts: list[bytes]
) -> None:
    async def run() -> None:
        path = tmp_path_factory.mktemp("scale") / "tty"
        device = SerialDevice(lambda request: [(0.0, act) for act in acts])
        async with plugged_in(device, path):
            driver = make_driver(Serial(name="s", device=str(path), baud=921_600, timeout_ms=20), SystemClock())
            await driver.open()
            answers = await driver.read(1, scale())
            assert len(answers) == 3
            assert all(
                (a.value is None) == a.quality.is_bad and bool(a.detail) == (a.quality != Quality.GOOD) for a in answers
            )
            device.reply = honest
            await until_good(driver)
            await driver.close()

    asyncio.run(run())

"""Modbus RTU against a device that does everything wrong, and on a paced wire: the silence is kept."""

from __future__ import annotations

import asyncio
import os
import pty
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusSerialClient

from edge.clock import SystemClock
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Quality
from edge.drivers.modbus_rtu import ModbusRtuDriver, character_ns, silence_ns
from edge.errors import LineError
from edge.ports import Answer
from tests.peers.hostile import GIVEN_UP, Asked, Hostile, Misdeed, honest, on_pty, sends, silent
from tests.peers.image import Image, profile_of
from tests.peers.modbus_peers import Hasty, pymodbus_rtu, rtu_line, wire
from tests.waiting import DEADLINE_S, until_async

TIMEOUT_MS = 300
UNIT = 17


def three_blocks() -> tuple[Image, ModbusProfile, list[Answer]]:
    """Three blocks of equal length: a reply of one is well formed for the others."""
    image, points = Image(), []
    for block in range(3):
        for i in range(2):
            address = 100 * block + i
            image.put(3, address, (7000 + address).to_bytes(2, "big"))
            points.append(Point(tag=f"b{block}_{i}", function=3, address=address, type="uint16"))
    return image, profile_of(points), [Answer(7000 + p.address, Quality.GOOD) for p in points]


def scene(play: Callable[[Hostile, ModbusRtuDriver], Awaitable[None]], timeout_ms: int = TIMEOUT_MS) -> None:
    async def run() -> None:
        async with on_pty(Hostile(three_blocks()[0])) as hostile:
            driver = ModbusRtuDriver(rtu_line(hostile.device, 115_200, timeout_ms), Hasty())
            await driver.open()
            try:
                await play(hostile, driver)
            finally:
                await driver.close()

    asyncio.run(run())


def in_block(block: int, misdeed: Misdeed) -> Misdeed:
    return lambda asked: misdeed(asked) if asked.address == 100 * block and asked.count == 2 else honest(asked)


def wrong_unit(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(unit=asked.unit + 1))]


def wrong_function(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(b"\x04" + asked.honest[1:]))]


def too_short(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(asked.honest[:1] + b"\x02" + asked.honest[2:4]))]


def truncated(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame()[:-3])]


def bad_crc(asked: Asked) -> list[tuple[float, bytes]]:
    frame = asked.frame()
    return [(0, frame[:4] + bytes((frame[4] ^ 1,)) + frame[5:])]


def noise(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, b"\xff\x00\xfe")]


def late(asked: Asked) -> list[tuple[float, bytes]]:
    return [(GIVEN_UP, asked.frame())]


def after_noise(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, b"\x00\xff"), (0.002, asked.frame())]


def after_a_foreign_reply(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(unit=3)), (0.003, asked.frame())]


def before_noise(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame() + b"\x55\xaa")]


def in_pieces(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0.001, bytes((byte,))) for byte in asked.frame()]


MISDEEDS: dict[str, tuple[Misdeed, str]] = {
    "wrong unit": (wrong_unit, f"no answer within {TIMEOUT_MS + 2} ms, only a frame of unit 18"),
    "wrong function": (wrong_function, "reply to function 4, asked 3"),
    "too short": (too_short, "reply of 2 bytes of data, asked for 4"),
    "truncated": (truncated, f"CRC error or cut off, 6 of 9 bytes within {TIMEOUT_MS + 2} ms"),
    "bad crc": (bad_crc, "CRC error"),
    "noise": (noise, f"no answer within {TIMEOUT_MS + 2} ms, only noise (3 bytes)"),
    "late": (late, f"no answer within {TIMEOUT_MS + 2} ms"),
    "silent": (silent, f"no answer within {TIMEOUT_MS + 2} ms"),
}
FINE = [after_noise, after_a_foreign_reply, before_noise, in_pieces]


@pytest.mark.parametrize("name", MISDEEDS)
def test_a_block_that_goes_wrong_is_bad_with_its_cause_and_its_neighbours_stay_good(name: str) -> None:
    misdeed, words = MISDEEDS[name]
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        assert await driver.read(UNIT, profile) == truth
        hostile.misdeed = in_block(1, misdeed)
        for _ in range(2):
            answers = await driver.read(UNIT, profile)
            assert answers[:2] == truth[:2]
            assert answers[4:] == truth[4:]
            assert answers[2:4] == [Answer(None, Quality.BAD_BUS, words)] * 2
        hostile.misdeed = honest
        assert await driver.read(UNIT, profile) == truth

    scene(play)


@pytest.mark.parametrize("fine", FINE)
def test_noise_and_foreign_frames_around_a_reply_are_passed_over(fine: Misdeed) -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        hostile.misdeed = fine
        for _ in range(3):
            assert await driver.read(UNIT, profile) == truth

    scene(play, timeout_ms=20_000)


def test_a_late_reply_never_becomes_the_value_of_another_block() -> None:
    """All three replies have one length: only getting back into step keeps them apart."""
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        assert await driver.read(UNIT, profile) == truth
        for block in (0, 1, 2, 0):
            hostile.misdeed = in_block(block, late)
            for _ in range(2):
                never_wrong(await driver.read(UNIT, profile), truth)
        hostile.misdeed = honest
        await until_good(driver, profile, truth)

    scene(play, timeout_ms=100)


def test_a_dead_unit_costs_one_timeout_a_poll_and_takes_no_other_with_it() -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        hostile.misdeed = lambda asked: [] if asked.unit == 9 else honest(asked)
        for _ in range(3):
            before = len(hostile.asked)
            assert {a.quality for a in await driver.read(9, profile)} == {Quality.BAD_BUS}
            assert len(hostile.asked) == before + 1
            assert await driver.read(UNIT, profile) == truth
        hostile.misdeed = honest
        assert await driver.read(9, profile) == truth

    scene(play)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8])
def test_an_exception_is_the_devices_word_and_its_neighbours_stay_good(code: int) -> None:
    _, profile, _ = three_blocks()

    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        def refusing(asked: Asked) -> list[tuple[float, bytes]]:
            return [(0, asked.frame(bytes((0x83, code))))] if asked.address // 100 == 1 else honest(asked)

        hostile.misdeed = refusing
        answers = await driver.read(UNIT, profile)
        assert [a.quality for a in answers] == [Quality.GOOD] * 2 + [Quality.BAD_DEVICE] * 2 + [Quality.GOOD] * 2
        assert answers[2].detail.startswith(f"exception {code:#04x} ")

    scene(play, timeout_ms=20_000)


@settings(max_examples=5)
@given(
    st.lists(st.sampled_from([honest, honest, *FINE, *(m for m, _ in MISDEEDS.values())]), min_size=1, max_size=8),
    st.lists(st.binary(max_size=40), max_size=4),
)
def test_whatever_the_device_does_no_value_is_wrong_and_it_recovers(script: list[Misdeed], noises: list[bytes]) -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        hostile.script = [*script, *map(sends, noises)]
        while hostile.script:
            never_wrong(await driver.read(UNIT, profile), truth)
        await until_good(driver, profile, truth)

    scene(play, timeout_ms=100)


async def until_good(driver: ModbusRtuDriver, profile: ModbusProfile, truth: list[Answer]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while (answers := await driver.read(UNIT, profile)) != truth:
            never_wrong(answers, truth)


def never_wrong(answers: list[Answer], truth: list[Answer]) -> None:
    assert len(answers) == len(truth)
    for answer, true in zip(answers, truth, strict=True):
        assert answer == true or (answer.value is None and answer.quality.is_bad and answer.detail)


@pytest.mark.parametrize("baud", [9_600, 115_200])
def test_the_silence_is_kept_before_every_request_and_the_line_is_used_well(baud: int) -> None:
    """What counts is what the wire saw: from the last byte that it gave to us to the first that we gave to it."""
    image, profile, truth = three_blocks()
    line = rtu_line("x", baud)
    least_s = 3 * (17 * character_ns(line) + silence_ns(line)) / 1e9
    rounds: list[list[float]] = []

    async def run(ends_slave: str, ends_master: str) -> None:
        async with pymodbus_rtu(image, ends_slave, baud):
            driver = ModbusRtuDriver(rtu_line(ends_master, baud, 20_000), Hasty())
            await driver.open()
            # A busy machine delays some polls, and now and then most of a round, but not those of every round.
            while len(rounds) < 10 and not (rounds and statistics.median(rounds[-1]) < 6 * least_s):
                rounds.append([])
                for _ in range(10):
                    started = time.monotonic()
                    assert await driver.read(UNIT, profile) == truth
                    rounds[-1].append(time.monotonic() - started)
            await driver.close()

    with wire(baud) as ends:
        asyncio.run(run(ends.slave, ends.master))
    assert ends.saw["frames"] == 3 * 10 * len(rounds)
    assert ends.saw["violations"] == 0, ends.saw
    assert all(10 * least_s < sum(took_s) for took_s in rounds)
    assert min(statistics.median(took_s) for took_s in rounds) < 6 * least_s


def test_the_wire_sees_a_master_that_breaks_the_silence() -> None:
    """The measurement can fail: pymodbus' asynchronous client is such a master. So slow is the line that also a busy
    machine lets it ask too soon."""
    image, _, _ = three_blocks()
    baud = 1200

    async def run(ends_slave: str, ends_master: str) -> None:
        async with pymodbus_rtu(image, ends_slave, baud):
            client = AsyncModbusSerialClient(ends_master, baudrate=baud, stopbits=2, timeout=DEADLINE_S)
            assert await client.connect()
            for _ in range(10):
                await client.read_holding_registers(0, count=2, device_id=UNIT)
            client.close()

    with wire(baud) as ends:
        asyncio.run(run(ends.slave, ends.master))
    assert ends.saw["violations"] > 5, ends.saw


@pytest.mark.parametrize(
    ("baud", "parity", "stop_bits", "bits", "silence_us"),
    [(9600, "E", 1, 11, 4010), (19200, "N", 1, 10, 1822), (38400, "E", 1, 11, 1750), (115200, "N", 2, 11, 1750)],
)
def test_wire_times_by_hand(baud: int, parity: str, stop_bits: int, bits: int, silence_us: int) -> None:
    line = rtu_line("x", baud).__class__(name="l", device="x", baud=baud, parity=parity, stop_bits=stop_bits)  # type: ignore[arg-type]
    assert character_ns(line) == bits * 10**9 // baud
    assert silence_ns(line) // 1000 == silence_us


def test_a_device_that_is_missing_is_the_operators(tmp_path: Path) -> None:
    async def open_it(device: str) -> None:
        await ModbusRtuDriver(rtu_line(device), SystemClock()).open()

    with pytest.raises(LineError) as missing:
        asyncio.run(open_it(str(tmp_path / "ttyUSB7")))
    assert (missing.value.where, missing.value.problem) == (str(tmp_path / "ttyUSB7"), "no such device")
    assert missing.value.hint
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LineError, match="cannot be opened"):
        asyncio.run(open_it(str(tmp_path / "file")))


def test_a_device_that_another_uses_is_the_operators() -> None:
    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        with pytest.raises(LineError, match="another program uses it"):
            await ModbusRtuDriver(rtu_line(hostile.device), SystemClock()).open()

    scene(play)


def test_a_pty_is_opened_although_it_has_no_parity() -> None:
    _, profile, truth = three_blocks()

    async def run() -> None:
        async with on_pty(Hostile(three_blocks()[0])) as hostile:
            line = rtu_line(hostile.device).__class__(name="l", device=hostile.device, baud=19_200, parity="E")
            driver = ModbusRtuDriver(line, SystemClock())
            await driver.open()
            assert await driver.read(UNIT, profile) == truth
            await driver.close()

    asyncio.run(run())


def test_an_adapter_that_is_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    image, profile, truth = three_blocks()
    device = tmp_path / "ttyUSB0"

    async def run() -> None:
        async with on_pty(Hostile(image)) as hostile:
            device.symlink_to(hostile.device)
            driver = ModbusRtuDriver(rtu_line(str(device), 115_200, TIMEOUT_MS), SystemClock())
            await driver.open()
            assert await driver.read(UNIT, profile) == truth
        device.unlink()
        for _ in range(2):
            answers = await driver.read(UNIT, profile)
            assert {(a.value, a.quality) for a in answers} == {(None, Quality.BAD_BUS)}
            assert "serial device lost" in answers[0].detail
        async with on_pty(Hostile(image)) as hostile:
            device.symlink_to(hostile.device)
            await until_good(driver, profile, truth)
            await driver.close()

    asyncio.run(run())


def test_a_line_that_never_falls_silent_is_trouble_of_the_bus_and_holds_nobody_up_for_long() -> None:
    _, profile, _ = three_blocks()

    async def run() -> None:
        master, slave = pty.openpty()
        driver = ModbusRtuDriver(rtu_line(os.ttyname(slave), 300, TIMEOUT_MS), SystemClock())
        await driver.open()

        async def babble() -> None:
            while True:
                os.write(master, b"\xff")
                await asyncio.sleep(0.001)

        babbling = asyncio.create_task(babble())
        await until_async(lambda: driver._port is not None and len(driver._port.heard) > 5)
        for _ in range(5):  # A machine that stands still for an eighth of a second is a silence.
            answers = await driver.read(UNIT, profile)
            assert {a.quality for a in answers} == {Quality.BAD_BUS}
            if "did not fall silent" in answers[0].detail:
                break
        babbling.cancel()
        await driver.close()
        os.close(master)
        os.close(slave)
        assert "did not fall silent" in answers[0].detail

    asyncio.run(run())


def test_a_cancelled_read_leaves_the_line_in_step() -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusRtuDriver) -> None:
        assert await driver.read(UNIT, profile) == truth
        hostile.script = [lambda asked: [(0.05, asked.frame())]]
        reading = asyncio.create_task(driver.read(UNIT, profile))
        before = len(hostile.asked)
        await until_async(lambda: len(hostile.asked) > before)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        # Block 0's reply is still under way, and as long as block 1's.
        only = profile_of(profile.point[2:4])
        assert await driver.read(UNIT, only) == truth[2:4]

    scene(play, timeout_ms=20_000)

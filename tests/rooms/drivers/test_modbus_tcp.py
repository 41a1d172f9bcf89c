"""Modbus TCP against a device that does everything wrong: bad values with a cause, never wrong ones, no exception."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Quality
from edge.drivers.modbus_dial import SILENCES_MAX
from edge.drivers.modbus_tcp import ModbusTcpDriver
from edge.ports import Answer
from tests.peers.hostile import GIVEN_UP, HANG_UP, Asked, Hostile, Misdeed, honest, over_tcp, sends, silent
from tests.peers.image import Image, profile_of
from tests.peers.modbus_peers import tcp_line
from tests.waiting import DEADLINE_S, until_async

TIMEOUT_MS = 300
BLOCKS = 3
PER_BLOCK = 2


def three_blocks() -> tuple[Image, ModbusProfile, list[Answer]]:
    """Three blocks of equal length: where a reply of one is taken for another's, every value shows it."""
    image, points = Image(), []
    for block in range(BLOCKS):
        for i in range(PER_BLOCK):
            address = 100 * block + i
            image.put(3, address, (7000 + address).to_bytes(2, "big"))
            points.append(Point(tag=f"b{block}_{i}", function=3, address=address, type="uint16"))
    truth = [Answer(7000 + p.address, Quality.GOOD) for p in points]
    return image, profile_of(points), truth


def scene(play: Callable[[Hostile, ModbusTcpDriver], Awaitable[None]], timeout_ms: int = TIMEOUT_MS) -> None:
    async def run() -> None:
        async with over_tcp(Hostile(three_blocks()[0])) as hostile:
            driver = ModbusTcpDriver(tcp_line(hostile.port, timeout_ms), SystemClock())
            await driver.open()
            try:
                await play(hostile, driver)
            finally:
                await driver.close()

    asyncio.run(run())


def in_block(block: int, misdeed: Misdeed) -> Misdeed:
    return lambda asked: misdeed(asked) if asked.address // 100 == block else honest(asked)


def wrong_unit(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(unit=asked.unit + 1))]


def wrong_function(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(b"\x04" + asked.honest[1:]))]


def too_short(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(asked.honest[:1] + b"\x02" + asked.honest[2:4]))]


def lying_count(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(asked.honest[:1] + b"\x08" + asked.honest[2:]))]


def wrong_transaction(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame(transaction=asked.transaction + 1000))]


def truncated(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame()[:-2])]


def foreign_protocol(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, b"HTTP/1.1 400 Bad Request\r\n\r\n")]


def reset(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, HANG_UP)]


def late(asked: Asked) -> list[tuple[float, bytes]]:
    return [(GIVEN_UP, asked.frame())]


def twice(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0, asked.frame() * 2)]


def bytewise(asked: Asked) -> list[tuple[float, bytes]]:
    return [(0.001, bytes((byte,))) for byte in asked.frame()]


MISDEEDS: dict[str, tuple[Misdeed, str]] = {
    "wrong unit": (wrong_unit, "reply of unit 6, asked unit 5"),
    "wrong function": (wrong_function, "reply to function 4, asked 3"),
    "too short": (too_short, "reply of 2 bytes of data, asked for 4"),
    "lying count": (lying_count, "reply of 4 bytes of data, asked for 4"),
    "wrong transaction": (wrong_transaction, f"no answer within {TIMEOUT_MS} ms, only replies to other questions (1)"),
    "truncated": (truncated, f"reply cut off, not complete within {TIMEOUT_MS} ms"),
    "foreign protocol": (foreign_protocol, "connection lost: header 485454502f312e is not modbus tcp"),
    "reset": (reset, "connection lost: connection reset by peer"),
    "late": (late, f"no answer within {TIMEOUT_MS} ms"),
    "silent": (silent, f"no answer within {TIMEOUT_MS} ms"),
}


@pytest.mark.parametrize("name", MISDEEDS)
def test_a_block_that_goes_wrong_is_bad_with_its_cause_and_its_neighbours_stay_good(name: str) -> None:
    misdeed, words = MISDEEDS[name]
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        assert await driver.read(5, profile) == truth
        hostile.misdeed = in_block(1, misdeed)
        for _ in range(2):
            answers = await driver.read(5, profile)
            assert answers[:2] == truth[:2]
            assert answers[4:] == truth[4:]
            assert [(a.value, a.quality) for a in answers[2:4]] == [(None, Quality.BAD_BUS)] * 2
            assert {a.detail for a in answers[2:4]} == {words}
        hostile.misdeed = honest
        await until_async(lambda: not hostile._tasks)
        assert await driver.read(5, profile) == truth

    scene(play)


@pytest.mark.parametrize("fine", [twice, bytewise])
def test_merged_and_split_frames_are_no_trouble(fine: Misdeed) -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        hostile.misdeed = fine
        for _ in range(3):
            assert await driver.read(5, profile) == truth
        assert hostile.connections == 1

    scene(play, timeout_ms=20_000)


def test_a_late_reply_is_known_by_its_transaction_and_costs_no_connection() -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        assert await driver.read(5, profile) == truth
        hostile.script = [late]
        assert (await driver.read(5, profile))[0].quality == Quality.BAD_BUS
        hostile.let_go()
        await until_async(lambda: not hostile._tasks)
        assert await driver.read(5, profile) == truth
        assert (driver.late, hostile.connections) == (1, 1)

    scene(play)


def test_a_dead_unit_costs_one_timeout_a_poll_not_one_a_block() -> None:
    _, profile, _ = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        hostile.misdeed = silent
        answers = await driver.read(5, profile)
        assert len(hostile.asked) == 1
        assert {(a.quality, a.detail) for a in answers} == {(Quality.BAD_BUS, f"no answer within {TIMEOUT_MS} ms")}

    scene(play)


def test_a_connection_on_which_nothing_is_answered_is_made_anew() -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        hostile.misdeed = silent
        for _ in range(SILENCES_MAX):
            await driver.read(5, profile)
        hostile.misdeed = honest
        await until_good(driver, profile, truth)
        assert hostile.connections == 2

    scene(play, timeout_ms=20)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8])
def test_an_exception_is_the_devices_word_and_its_neighbours_stay_good(code: int) -> None:
    _, profile, _ = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        hostile.misdeed = in_block(1, lambda asked: [(0, asked.frame(bytes((0x83, code))))])
        answers = await driver.read(5, profile)
        assert [a.quality for a in answers] == [Quality.GOOD] * 2 + [Quality.BAD_DEVICE] * 2 + [Quality.GOOD] * 2
        assert answers[2].detail.startswith(f"exception {code:#04x} ")

    scene(play, timeout_ms=20_000)


@pytest.mark.parametrize("code", [0x0A, 0x0B])
def test_a_gateway_that_cannot_reach_the_unit_is_trouble_of_the_bus(code: int) -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        hostile.misdeed = lambda asked: [(0, asked.frame(bytes((0x83, code))))] if asked.unit == 9 else honest(asked)
        assert {a.quality for a in await driver.read(9, profile)} == {Quality.BAD_BUS}
        assert len(hostile.asked) == 1
        assert await driver.read(5, profile) == truth

    scene(play, timeout_ms=20_000)


def test_a_plc_that_is_absent_at_start_comes_later_goes_and_comes_again(free_port: int) -> None:
    image, profile, truth = three_blocks()

    async def run() -> None:
        driver = ModbusTcpDriver(tcp_line(free_port, 500), SystemClock())
        await driver.open()
        answers = await driver.read(5, profile)
        assert {(a.value, a.quality) for a in answers} == {(None, Quality.BAD_BUS)}
        assert answers[0].detail == "no connection: connection refused"
        for _ in range(2):
            async with over_tcp(Hostile(image, port=free_port)):
                await until_good(driver, profile, truth)
            assert {a.quality for a in await driver.read(5, profile)} == {Quality.BAD_BUS}
        await driver.close()

    asyncio.run(run())


async def until_good(driver: ModbusTcpDriver, profile: ModbusProfile, truth: list[Answer]) -> None:
    """Read until all is good; each read until then gives an answer for every point, none of them wrong."""
    async with asyncio.timeout(DEADLINE_S):
        while (answers := await driver.read(5, profile)) != truth:
            never_wrong(answers, truth)
            await asyncio.sleep(0.01)


def never_wrong(answers: list[Answer], truth: list[Answer]) -> None:
    assert len(answers) == len(truth)
    for answer, true in zip(answers, truth, strict=True):
        assert answer == true or (answer.value is None and answer.quality.is_bad and answer.detail)


ALL = [honest, honest, twice, bytewise, *(misdeed for misdeed, _ in MISDEEDS.values())]


@settings(max_examples=5)
@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=9), st.lists(st.binary(max_size=40), max_size=4))
def test_whatever_the_device_does_no_value_is_wrong_and_it_recovers(script: list[Misdeed], noise: list[bytes]) -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        hostile.script = [*script, *map(sends, noise)]
        while hostile.script:
            never_wrong(await driver.read(5, profile), truth)
            await asyncio.sleep(0.02)
        await until_good(driver, profile, truth)

    scene(play, timeout_ms=20)


def test_a_cancelled_read_leaves_the_driver_usable() -> None:
    _, profile, truth = three_blocks()

    async def play(hostile: Hostile, driver: ModbusTcpDriver) -> None:
        hostile.misdeed = silent
        reading = asyncio.create_task(driver.read(5, profile))
        await until_async(lambda: hostile.asked)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        hostile.misdeed = honest
        assert await driver.read(5, profile) == truth

    scene(play, timeout_ms=20_000)

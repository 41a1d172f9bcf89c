"""A device that does anything at all to reads, writes and identifications, on every kind of line.

No value is ever wrong, no write is called good that the device did not take, nothing is raised but ``NoAnswer``, and
once the device behaves again all is well again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Quality
from edge.drivers.modbus_driver import ModbusDriver
from edge.drivers.modbus_questions import EXCEPTION_WORDS, Identify, Question, WriteOne, WriteThenRead
from edge.drivers.modbus_rtu import ModbusRtuDriver
from edge.drivers.modbus_rtu_tcp import ModbusRtuTcpDriver
from edge.drivers.modbus_tcp import ModbusTcpDriver
from edge.ports import Answer, NoAnswer
from tests.peers.hostile import (
    GIVEN_UP,
    HANG_UP,
    Act,
    Asked,
    Hostile,
    Misdeed,
    as_device_server,
    honest,
    on_pty,
    over_tcp,
    sends,
    silent,
)
from tests.peers.image import Image, profile_of
from tests.peers.modbus_peers import Hasty, rtu_line, rtu_tcp_line, tcp_line
from tests.waiting import DEADLINE_S, until_async

UNIT = 17
TIMEOUT_MS = 60
Serve = Callable[[Hostile], AbstractAsyncContextManager[Hostile]]
Make = Callable[[Hostile, int], ModbusDriver]
CARRIERS: dict[str, tuple[Serve, Make]] = {
    "tcp": (over_tcp, lambda h, ms: ModbusTcpDriver(tcp_line(h.port, ms), Hasty())),
    "rtu": (on_pty, lambda h, ms: ModbusRtuDriver(rtu_line(h.device, 115_200, ms), Hasty())),
    "rtu over tcp": (as_device_server, lambda h, ms: ModbusRtuTcpDriver(rtu_tcp_line(h.port, ms), Hasty())),
}


def held() -> tuple[Image, ModbusProfile]:
    """Three blocks of equal length, the middle one writable, a writable coil, and an identity in two replies."""
    image, points = Image(identity={0: b"V" * 30, 1: b"P", 2: b"R", 4: b"N"}, objects_max=2), []
    for block in range(3):
        for i in range(2):
            address = 100 * block + i
            image.put(3, address, (7000 + address).to_bytes(2, "big"))
            points.append(Point(tag=f"b{block}_{i}", function=3, address=address, type="uint16", writable=block == 1))
    image.tables[1] = {5: 0}
    points.append(Point(tag="coil", function=1, address=5, type="bool", writable=True))
    return image, profile_of(points)


def holds(image: Image, point: Point) -> Answer:
    number = image.tables[point.function][point.address]
    return Answer(bool(number) if point.function == 1 else number, Quality.GOOD)


def mangled(change: Callable[[bytes], bytes]) -> Misdeed:
    """The honest reply's PDU, changed, in a right frame."""
    return lambda asked: [(0.0, asked.frame(change(asked.honest)))]


def raw(change: Callable[[bytes], bytes]) -> Misdeed:
    """The honest reply's frame, changed."""
    return lambda asked: [(0.0, change(asked.frame()))]


def other_address(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame(asked.honest[:1] + bytes((asked.honest[1] ^ 1,)) + asked.honest[2:]))]


def refuses(code: int) -> Misdeed:
    return lambda asked: [(0.0, asked.frame(bytes((asked.function | 0x80, code))))]


def late(asked: Asked) -> list[Act]:
    return [(GIVEN_UP, asked.frame())]


def bad_crc(asked: Asked) -> list[Act]:
    """TCP's own check sum keeps noise from the data: there it is the header that is no Modbus."""
    frame, at = bytearray(asked.frame()), -1 if asked.serial else 2
    frame[at] ^= 0x40
    return [(0.0, bytes(frame))]


def hangs_up(asked: Asked) -> list[Act]:
    return [] if asked.serial and asked.transaction == 0 else [(0.0, HANG_UP)]


MISDEEDS: dict[str, Misdeed] = {
    "silent": silent,
    "late": late,
    "wrong unit": lambda asked: [(0.0, asked.frame(unit=asked.unit ^ 1))],
    "wrong transaction": lambda asked: [(0.0, asked.frame(transaction=asked.transaction ^ 0x100))],
    "wrong function": mangled(lambda pdu: bytes((pdu[0] ^ 1,)) + pdu[1:]),
    "other address": other_address,
    "too short": mangled(lambda pdu: pdu[:-1]),
    "too long": mangled(lambda pdu: pdu + b"\0"),
    "truncated": raw(lambda frame: frame[:-3]),
    "bad crc": bad_crc,
    "twice": raw(lambda frame: frame * 2),
    "merged with noise": raw(lambda frame: frame + b"\x11\x03\x04\xff"),
    "reset": hangs_up,
    "empty exception": mangled(lambda pdu: bytes((pdu[0] | 0x80,))),
}
# A device that says "illegal address" is believed for a while: see test_modbus_refusals.
EXCEPTIONS = [refuses(code) for code in (1, 4, 5, 6, 8, 10, 11, 99)]
ALL = [honest, honest, *MISDEEDS.values(), *EXCEPTIONS]


async def until_good(driver: ModbusDriver, image: Image, profile: ModbusProfile) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while (answers := await driver.read(UNIT, profile)) != [holds(image, point) for point in profile.point]:
            assert len(answers) == len(profile.point)
            await asyncio.sleep(0.01)


async def until_answered(driver: ModbusDriver, question: Question) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while (await driver.ask(UNIT, question)).quality != Quality.GOOD:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.01)


async def deed(number: int, driver: ModbusDriver, image: Image, profile: ModbusProfile) -> None:
    """One thing that a gateway does; what must hold of it whatever the device does."""
    if number % 4 == 0:
        told: dict[str, str] = {}
        with contextlib.suppress(NoAnswer):
            told = await driver.identify(UNIT)
        identity = dict(zip(("vendor", "product", "revision", "url", "product_name"), "VPR N", strict=True))
        assert all(set(text) == {identity[name]} for name, text in told.items())
    elif number % 4 == 1:
        tag, value = ("coil", bool(number & 8)) if number & 16 else ("b1_1", number)
        answer = await driver.write(UNIT, profile, tag, value)
        point = next(p for p in profile.point if p.tag == tag)
        if answer.quality == Quality.GOOD:
            assert holds(image, point) == answer
        else:
            assert answer.value is None
            assert answer.detail
    else:
        for point, answer in zip(profile.point, await driver.read(UNIT, profile), strict=True):
            assert answer == holds(image, point) or (answer.value is None and answer.quality.is_bad and answer.detail)


@pytest.mark.parametrize("carrier", CARRIERS)
@settings(max_examples=4)
@given(
    script=st.lists(st.sampled_from(ALL), min_size=4, max_size=10),
    noise=st.lists(st.binary(max_size=40), max_size=3),
    deeds=st.lists(st.integers(0, 1000), min_size=4, max_size=10),
)
def test_whatever_the_device_does(carrier: str, script: list[Misdeed], noise: list[bytes], deeds: list[int]) -> None:
    serve, make = CARRIERS[carrier]
    image, profile = held()

    async def scene() -> None:
        async with serve(Hostile(image, script=[*script, *map(sends, noise)])) as hostile:
            driver = make(hostile, TIMEOUT_MS)
            await driver.open()
            try:
                for number in deeds:
                    await deed(number, driver, image, profile)
                hostile.script.clear()
                hostile.let_go()
                await until_async(lambda: not hostile._tasks)
                await until_good(driver, image, profile)
                assert await driver.identify(UNIT) == {
                    "vendor": "V" * 30, "product": "P", "revision": "R", "product_name": "N",
                }  # fmt: skip
            finally:
                await driver.close()

    asyncio.run(scene())


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("question", [WriteOne(6, 100, 5), WriteThenRead(100, 2, 100, b"\0\5"), Identify()])
def test_every_misdeed_to_every_kind_of_question_is_told_and_the_next_is_answered(
    carrier: str, question: Question
) -> None:
    serve, make = CARRIERS[carrier]
    image, _ = held()

    async def scene() -> None:
        async with serve(Hostile(image)) as hostile:
            driver = make(hostile, TIMEOUT_MS)
            await driver.open()
            for name, misdeed in MISDEEDS.items():
                hostile.script = [misdeed]
                reply = await driver.ask(UNIT, question)
                assert (reply.quality == Quality.GOOD) == (not reply.detail), name
                if reply.quality == Quality.GOOD:
                    assert name in ("twice", "merged with noise", "wrong transaction", "other address", "reset"), name
                await until_answered(driver, question)
            await driver.close()

    asyncio.run(scene())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_exceptions_of_every_code_are_told_for_every_kind_of_question(carrier: str) -> None:
    serve, make = CARRIERS[carrier]
    image, profile = held()

    async def scene() -> None:
        async with serve(Hostile(image)) as hostile:
            driver = make(hostile, 20_000)
            await driver.open()
            for code in (*range(1, 12), 0x7F, 0xFF):
                words = f"exception {code:#04x} {EXCEPTION_WORDS.get(code, 'unknown code')}"
                for question in (WriteOne(5, 5, 0xFF00), WriteThenRead(100, 1, 100, b"\0\5"), Identify()):
                    hostile.script = [refuses(code)]
                    assert (await driver.ask(UNIT, question)).detail == words
                hostile.script = [refuses(code)]
                answer = await driver.write(UNIT, profile, "b1_0", 4)
                assert (answer.value, answer.detail) == (None, words)
            await driver.close()

    asyncio.run(scene())

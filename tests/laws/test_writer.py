"""The laws of the ports ``Writer`` and ``Identifier``, for every driver against real peers that are not ours."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import pytest

from edge.config.profiles.modbus import Point
from edge.contract.types import Quality, Value
from edge.drivers import make_driver
from edge.drivers.modbus_driver import ModbusDriver
from edge.drivers.modbus_questions import WriteThenRead
from edge.ports import Answer, GivesWay, Identifier, NoAnswer, Writer
from tests.laws.conftest import Serving
from tests.peers import modbus_peers as peers
from tests.peers.image import Image, profile_of

WRITES: tuple[tuple[dict[str, Any], Value, Value], ...] = (
    ({"type": "uint16"}, 0, 65535),
    ({"type": "int16", "scale": 0.5, "offset": 10.0}, 10.0, -12.5),
    ({"type": "int32", "order": "CDAB"}, 0, -2_000_000_000),
    ({"type": "float32", "order": "DCBA"}, 0.0, 20.5),
    ({"type": "float64", "order": "BADC"}, 0.0, 6.02214076e23),
    ({"type": "bcd32"}, 0, 20261129),
    ({"type": "string", "length": 5}, "", "LINE 3"),
    ({"type": "uint16", "values": {0: "off", 2: "auto"}}, "off", "auto"),
    ({"type": "bool", "function": 1}, False, True),
)


def image_and_points() -> tuple[Image, list[Point]]:
    """Everything is 0 at first."""
    image, points, address = Image(identity={0: b"Babbitt", 1: b"P-1", 2: b"2.11", 4: b"Pump"}), [], 3
    for i, (fields, _, _) in enumerate(WRITES):
        everything: dict[str, Any] = {"tag": f"t{i}", "function": 3, "address": address, "writable": True} | fields
        points.append(Point(**everything))
        address += points[-1].registers
    image.put(3, 0, bytes(2 * (address + 4)))
    image.tables[1] = dict.fromkeys(range(address + 1), 0)
    return image, points


@pytest.mark.parametrize("quirks", [{}, {"write_multiple_only": True}], ids=["one or many", "many only"])
def test_what_is_written_is_read_back_and_its_neighbours_stay(serving: Serving, quirks: dict[str, Any]) -> None:
    image, points = image_and_points()
    profile = profile_of(points, **quirks)

    async def scene() -> None:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            assert isinstance(driver, Writer)
            await driver.open()
            expected = [Answer(before, Quality.GOOD) for _, before, _ in WRITES]
            assert await driver.read(peers.UNIT, profile) == expected
            for i, (_, _, value) in enumerate(WRITES):
                assert await driver.write(peers.UNIT, profile, f"t{i}", value) == Answer(value, Quality.GOOD)
                expected[i] = Answer(value, Quality.GOOD)
                assert await driver.read(peers.UNIT, profile) == expected
            await driver.close()

    asyncio.run(scene())


def test_between_two_questions_of_a_read_a_write_goes_through_and_the_read_goes_on(serving: Serving) -> None:
    image = Image()
    image.put(3, 0, bytes(80))
    points = [Point(tag=f"t{i}", function=3, address=10 * i, type="uint16", writable=True) for i in range(4)]
    profile = profile_of(points, gap_max=0)
    written: list[Answer] = []

    async def scene() -> None:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            assert isinstance(driver, Writer)
            assert isinstance(driver, GivesWay)

            async def write() -> None:
                written.append(await driver.write(peers.UNIT, profile, "t3", len(written) + 1))

            await driver.open()
            driver.give_way = write
            answers = await driver.read(peers.UNIT, profile)
            await driver.close()
        assert written == [Answer(n, Quality.GOOD) for n in (1, 2, 3)]
        assert answers == [Answer(n, Quality.GOOD) for n in (0, 0, 0, 3)]

    asyncio.run(scene())


def test_what_must_not_or_cannot_be_written_is_refused_with_its_reason(serving: Serving) -> None:
    image, points = image_and_points()
    only_read = Point(tag="only_read", function=3, address=0, type="uint16")
    absent = Point(tag="absent", function=3, address=9000, type="uint16", writable=True)
    narrow = Point(tag="narrow", function=3, address=0, type="uint16", writable=True, write_low=10, write_high=20)
    profile = profile_of([*points, only_read, absent, narrow])

    async def scene() -> None:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            assert isinstance(driver, Writer)
            await driver.open()
            before = await driver.read(peers.UNIT, profile)
            wrong: tuple[tuple[str, Value, str], ...] = (
                ("only_read", 1, "only_read is not writable"),
                ("nobody", 1, "nobody is not writable"),
                ("t0", 65536, "does not fit into uint16"),
                ("t0", "1", "is no number"),
                ("t7", "manual", "is none of"),
                ("narrow", 9.9, "below 10"),
                ("narrow", 21, "above 20"),
                ("narrow", math.nan, "below 10"),
            )
            for tag, value, words in wrong:
                answer = await driver.write(peers.UNIT, profile, tag, value)
                assert (answer.value, answer.quality) == (None, Quality.BAD_DECODE)
                assert words in answer.detail
            answer = await driver.write(peers.UNIT, profile, "absent", 1)
            assert answer == Answer(None, Quality.BAD_DEVICE, "exception 0x02 illegal data address")
            assert await driver.read(peers.UNIT, profile) == before
            await driver.close()

    asyncio.run(scene())


def test_registers_are_written_and_read_in_one_go(serving: Serving) -> None:
    image, _ = image_and_points()
    image.put(3, 0, bytes.fromhex("0011 0022 0033"))

    async def scene() -> None:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            assert isinstance(driver, ModbusDriver)
            await driver.open()
            reply = await driver.ask(peers.UNIT, WriteThenRead(0, 3, 1, bytes.fromhex("abcd")))
            assert (reply.quality, reply.data) == (Quality.GOOD, bytes.fromhex("0011 abcd 0033"))
            await driver.close()

    asyncio.run(scene())


def test_a_device_says_what_it_is_or_nothing_or_is_not_there(serving: Serving, request: pytest.FixtureRequest) -> None:
    image, _ = image_and_points()

    async def scene() -> None:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            assert isinstance(driver, Identifier)
            await driver.open()
            if "libmodbus rtu" in request.node.callspec.id:
                # Of a function that it does not know it cannot tell where the frame ends, and stays silent.
                await driver.close()
                driver = make_driver(msgspec.structs.replace(line, timeout_ms=400), peers.Hasty())
                assert isinstance(driver, Identifier)
                await driver.open()
                with pytest.raises(NoAnswer, match="no answer within"):
                    await driver.identify(peers.UNIT)
            elif "libmodbus" in request.node.callspec.id:
                assert await driver.identify(peers.UNIT) == {}
            else:
                told = await driver.identify(peers.UNIT)
                assert {k: v for k, v in told.items() if v} == {
                    "vendor": "Babbitt", "product": "P-1", "revision": "2.11", "product_name": "Pump",
                }  # fmt: skip
        with pytest.raises(NoAnswer):
            await driver.identify(peers.UNIT)
        await driver.close()

    asyncio.run(scene())


def test_an_identification_longer_than_a_reply_is_asked_for_in_parts(
    serving: Serving, request: pytest.FixtureRequest
) -> None:
    if "libmodbus" in request.node.callspec.id:
        return  # it has no function 43
    image, _ = image_and_points()
    image.identity = {0: b"V" * 120, 1: b"P" * 120, 2: b"R" * 120, 3: b"https://example.org"}

    async def scene() -> None:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            assert isinstance(driver, Identifier)
            await driver.open()
            told = await driver.identify(peers.UNIT)
            assert (told["vendor"], told["product"], told["revision"]) == ("V" * 120, "P" * 120, "R" * 120)
            assert told["url"] == "https://example.org"
            await driver.close()

    asyncio.run(scene())

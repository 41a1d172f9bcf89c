"""The laws of the ``Driver`` port, for every driver against real peers that are not ours."""

from __future__ import annotations

import asyncio

from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Quality
from edge.drivers import make_driver
from edge.ports import Answer
from tests.laws.conftest import Serving
from tests.peers import modbus_peers as peers
from tests.peers.image import Image, everything, profile_of


def read(serving: Serving, image: Image, profile: ModbusProfile, times: int = 1) -> list[list[Answer]]:
    async def reading() -> list[list[Answer]]:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            await driver.open()
            try:
                return [await driver.read(peers.UNIT, profile) for _ in range(times)]
            finally:
                await driver.close()

    return asyncio.run(reading())


def test_every_type_in_every_order_arrives_as_the_peer_holds_it_one_answer_a_point_in_order(serving: Serving) -> None:
    image, profile, truth = everything()
    for answers in read(serving, image, profile, times=3):
        assert answers == [Answer(value, Quality.GOOD) for value in truth]


def test_a_refused_block_says_why_and_never_shifts_its_neighbours(serving: Serving) -> None:
    image = Image()
    # The lists of both peers end before 5000.
    addresses = [(0, True), (40, True), (5000, False), (80, True), (6000, False)]
    points, expected = [], []
    for address, held in addresses:
        points += [
            Point(tag=f"p{address + i}", function=3, address=address + i, type="uint16")
            for i in range(10)
        ]  # fmt: skip
        if held:
            image.put(3, address, b"".join((1000 + address + i).to_bytes(2, "big") for i in range(10)))
        refused = Answer(None, Quality.BAD_DEVICE, "exception 0x02 illegal data address")
        expected += [Answer(1000 + address + i, Quality.GOOD) if held else refused for i in range(10)]
    for answers in read(serving, image, profile_of(points, gap_max=0, registers_max=10), times=2):
        assert answers == expected


def test_bus_trouble_is_an_answer_for_every_point_and_passes_with_its_cause(serving: Serving) -> None:
    image, profile, truth = everything()

    async def scene() -> None:
        async with serving(image) as line:
            driver = make_driver(line, peers.Hasty())
            await driver.open()
            assert {a.quality for a in await driver.read(peers.UNIT, profile)} == {Quality.GOOD}
        # The peer is gone, and on a serial line its wire too.
        answers = await driver.read(peers.UNIT, profile)
        assert len(answers) == len(truth)
        assert all(a.quality == Quality.BAD_BUS and a.value is None and a.detail for a in answers)
        await driver.close()
        await driver.close()

    asyncio.run(scene())

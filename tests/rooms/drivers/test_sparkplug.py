"""A host application through a real broker, to an edge node that speaks with Eclipse Tahu's own definition."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sparkplub_b_packets.core import sparkplug_b_pb2 as tahu

from edge.clock import SystemClock
from edge.config.lines import SparkplugHost
from edge.config.profiles.signal import Device
from edge.config.profiles.sparkplug import Point, SparkplugProfile
from edge.contract.types import Quality
from edge.drivers.sparkplug import SparkplugSource
from edge.drivers.sparkplug_session import NodeSession
from edge.ports import Answer, Subject
from edge.sparkplug import Address, Unreadable, decode
from tests.peers.listening import Ear, listening
from tests.peers.mosquitto import Mosquitto, mosquitto
from tests.peers.sparkplug_node import BOOLEAN, DOUBLE, INT32, INT64, STRING, EdgeNode, now_ms

METRICS: dict[str, tuple[int, Any]] = {
    "Motor/Speed": (DOUBLE, 1480.0), "Motor/Running": (BOOLEAN, True), "Offset": (INT32, -7), "Parts": (INT64, 12),
    "State": (STRING, "run"),
}  # fmt: skip
BORN = [1480.0, True, -7, 12, "run"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
def node(broker: Mosquitto) -> Iterator[EdgeNode]:
    made = EdgeNode(broker, {"press": dict(METRICS), "saw": {"Motor/Speed": (DOUBLE, 1.0)}})
    yield made
    made.vanish()


def source_of(
    broker: Mosquitto, places: tuple[str, ...] = ("plant/node/press",), more: tuple[Point, ...] = (), **line: Any
) -> SparkplugSource:
    points = tuple(Point(tag=f"p{i}", metric=name) for i, name in enumerate(METRICS)) + more
    profile = SparkplugProfile(device=Device(id="d", products=(), source="", protocol="sparkplug"), point=points)
    # Where a node is slow to answer a wish it gets no second one, which is a matter of some tests alone.
    settings = SparkplugHost(name="s", broker=broker.broker("host"), **{"rebirth_s": 60.0, **line})
    return SparkplugSource(settings, [Subject(1, at, profile, 1.0) for at in places], SystemClock())


@asynccontextmanager
async def hearing(node: EdgeNode, source: SparkplugSource) -> AsyncIterator[Ear]:
    await asyncio.to_thread(node.start)
    async with listening(source) as ear:
        await ear.well()
        yield ear


def last(ear: Ear, subject: int = 0, places: int = 5) -> list[Any]:
    return [ear.values(subject, place)[-1] if ear.values(subject, place) else None for place in range(places)]


@pytest.mark.parametrize("aliases", [True, False])
def test_births_are_asked_for_and_data_follow(broker: Mosquitto, node: EdgeNode, aliases: bool) -> None:
    node.aliases = aliases

    async def scene() -> None:
        async with hearing(node, source_of(broker)) as ear:
            assert last(ear) == BORN
            for name, value in (("Motor/Speed", 1.5), ("Motor/Running", False), ("Offset", -9), ("State", "idle")):
                await asyncio.to_thread(node.say, "press", name, value)
            await ear.until(lambda: last(ear) == [1.5, False, -9, 12, "idle"])
            assert node.births == 1 + len(node.commands) <= 2
            assert {answer.quality for place in range(5) for answer in ear.answers(0, place)} == {Quality.GOOD}

    asyncio.run(scene())


def test_each_value_keeps_its_time_and_its_quality(broker: Mosquitto, node: EdgeNode) -> None:
    async def scene() -> None:
        async with hearing(node, source_of(broker, more=(Point(tag="x", metric="X"),))) as ear:
            assert ear.answers(0, 5) == [Answer(None, Quality.BAD_DECODE, "its birth certificate has no metric X")]
            await asyncio.to_thread(node.say, "press", "Parts", 1, timestamp=1_700_000_000_000, is_historical=True)
            await asyncio.to_thread(node.say, "press", "Parts", None)
            await asyncio.to_thread(node.say, "press", "Parts", 3, timestamp=now_ms() + 10**8)
            for quality in (500, 192, 0):
                payload = tahu.Payload(timestamp=1_750_000_000_000)
                metric = payload.metrics.add(alias=node.alias("press", "Parts"))
                metric.long_value = quality
                metric.properties.keys.append("Quality")
                metric.properties.values.add(type=3).int_value = quality
                await asyncio.to_thread(node.send, "press", payload)
            await ear.until(lambda: len(ear.values(0, 3)) == 7)
            told = [(h.answers[0], h.source_ns[0], h.past) for h in ear.heard if h.places == (3,)]
            assert told[0] == (Answer(1, Quality.GOOD), 1_700_000_000 * 10**9, True)
            assert told[1][0] == Answer(None, Quality.BAD_DEVICE, "null: it has no value")
            assert (told[2][0].quality, told[2][0].detail[:19]) == (Quality.BAD_DECODE, "dated in the future")
            assert told[3] == (Answer(500, Quality.UNCERTAIN, "stale by its source"), 1_750_000_000 * 10**9, False)
            assert told[4][0] == Answer(192, Quality.GOOD)
            assert told[5][0] == Answer(None, Quality.BAD_DEVICE, "bad by its source: quality 0")

    asyncio.run(scene())


def test_a_gap_makes_one_wish_for_a_rebirth_and_those_that_are_not_heard_grow_rare(
    broker: Mosquitto, node: EdgeNode
) -> None:
    async def scene() -> None:
        async with hearing(node, source_of(broker, rebirth_s=1.0)) as ear:
            asked = len(node.commands)
            node.obeys = False
            node.skip()
            for i in range(100):
                await asyncio.to_thread(node.say, "press", "Parts", i)
                if i % 10 == 0:
                    node.skip()
            await ear.until(lambda: last(ear)[3] == 99)
            await ear.until(lambda: len(node.commands) >= asked + 2)
            pauses_ms = [b - a for a, b in zip(node.commands, node.commands[1:], strict=False)]
            assert min(pauses_ms) > 900, pauses_ms
            assert "does not tell all anew" in await ear.troubled()
            node.obeys = True
            await ear.well()
            assert last(ear)[3] == 99

    asyncio.run(scene())


def test_a_device_that_dies_is_bad_at_once_and_its_neighbour_is_not(broker: Mosquitto, node: EdgeNode) -> None:
    async def scene() -> None:
        places = ("plant/node/press", "plant/node/saw", "plant/node")
        async with hearing(node, source_of(broker, places)) as ear:
            await ear.well(1)
            await asyncio.to_thread(node.device_death, "press")
            assert "device press: it died" in await ear.troubled(0)
            assert ear.answers(0, 0)[-1] == Answer(None, Quality.BAD_BUS, "device press: it died")
            assert not ear.source.trouble(1)
            assert not ear.source.trouble(2)
            await asyncio.to_thread(node.device_birth, "press")
            await ear.well(0)
            assert last(ear) == BORN

    asyncio.run(scene())


def test_a_node_that_vanishes_is_dead_and_the_death_of_a_former_life_is_none(broker: Mosquitto, node: EdgeNode) -> None:
    async def scene() -> None:
        async with hearing(node, source_of(broker)) as ear:
            await asyncio.to_thread(node.publish, "NDEATH", node.death(200))
            await asyncio.to_thread(node.say, "press", "Parts", 77)
            await ear.until(lambda: last(ear)[3] == 77)
            assert not ear.source.trouble(0)
            await asyncio.to_thread(node.vanish)
            assert "edge node: it died" in await ear.troubled()
            assert ear.answers(0, 4)[-1].quality == Quality.BAD_BUS
            await asyncio.to_thread(node.start)
            await ear.well()
            assert last(ear)[3] == 77

    asyncio.run(scene())


def test_a_payload_that_nobody_can_read_makes_its_device_bad_until_all_is_told_anew(
    broker: Mosquitto, node: EdgeNode
) -> None:
    async def scene() -> None:
        places = ("plant/node/press", "plant/node/saw")
        async with hearing(node, source_of(broker, places, rebirth_s=1.0)) as ear:
            await asyncio.to_thread(node.publish, "DDATA", b"\xff" * 9, "press")
            unreadable = Answer(None, Quality.BAD_DECODE, "not a Sparkplug payload")
            await ear.until(lambda: all(unreadable in ear.answers(0, place) for place in range(5)))
            await ear.until(lambda: last(ear) == BORN)
            assert not [answer for answer in ear.answers(1, 0) if answer.quality.is_bad]

    asyncio.run(scene())


def test_nodes_that_wait_for_their_host_are_told_of_it(broker: Mosquitto) -> None:
    topic = "spBv1.0/STATE/babbitt"

    async def scene() -> None:
        with broker.client(topic) as peer:
            async with listening(source_of(broker, host_id="babbitt")):
                ((_, online, _),) = await asyncio.to_thread(peer.take, 1)
                assert json.loads(online)["online"] is True
                # The will of a former connection comes late: it is contradicted.
                await asyncio.to_thread(peer.publish, topic, '{"online": false, "timestamp": 1}', retain=True)
                came = await asyncio.to_thread(peer.take, 3)
                assert came[2][1] == online
            came = await asyncio.to_thread(peer.take, 4)
            assert json.loads(came[3][1]) == {**json.loads(online), "online": False}
        with broker.client(topic) as peer:
            ((_, payload, retained),) = await asyncio.to_thread(peer.take, 1)
            assert (json.loads(payload)["online"], retained) == (False, True)

    asyncio.run(scene())


VERBS = st.sampled_from(["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"])


@settings(deadline=None)
@given(st.lists(st.tuples(VERBS, st.sampled_from(["", "d"]), st.binary(max_size=40)), max_size=12))
def test_whatever_a_node_sends_the_session_stands(messages: list[tuple[str, str, bytes]]) -> None:
    session = NodeSession()
    for verb, device, data in messages:
        try:
            payload = decode(data)
        except Unreadable:
            continue
        for said in session.take(Address("g", verb, "n", device), payload):
            assert session.knows(said.name)
            assert not session.trouble(said.name[0])
            assert (said.answer.value is None) == said.answer.quality.is_bad

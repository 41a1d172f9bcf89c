"""OPC UA in, against asyncua's server: values, status codes, times, arrays, structures, nodes that are not there."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from edge.clock import SystemClock
from edge.config.lines import OpcUa
from edge.config.profiles.opcua import Point
from edge.contract.types import Quality, Value
from edge.drivers import opcua_watch
from edge.drivers.opcua import OpcUaSource
from edge.drivers.opcua_watch import Watch
from edge.errors import ConfigError
from edge.opcua.access import Access
from edge.opcua.session import Session
from edge.ports import Answer, Subject
from tests.peers.listening import Ear, listening
from tests.peers.opcua_listening import line, profile, source
from tests.peers.opcua_peers import Peer

NO_NODE = 0x80340000
YEAR_2040 = "2040-01-01T00:00:00+00:00"


def heard(
    peer: Peer, points: list[dict[str, Any]], scene: Callable[[Ear], Awaitable[None]],
    made: dict[str, Any] | None = None, **named: Any,
) -> None:  # fmt: skip
    """Listen to ``points`` while ``scene`` is played. ``made`` goes to the source, ``named`` to its line."""

    async def played() -> None:
        async with listening(source(line(peer, **named), *points, **(made or {}))) as ear:
            await ear.until(lambda: all(ear.answers(0, place) for place in range(len(points))), "first values")
            await scene(ear)

    asyncio.run(played())


def last(ear: Ear, place: int = 0) -> Answer:
    return ear.answers(0, place)[-1]


async def becomes(ear: Ear, place: int, value: Value) -> None:
    await ear.until(lambda: last(ear, place).value == value, f"point {place} is {value!r}")


def stamped(ear: Ear) -> list[tuple[Value, int | None]]:
    """Values of point 0 with the times that their source gave."""
    return [
        (answer.value, at)
        for one in ear.heard
        for place, answer, at in zip(one.places, one.answers, one.source_ns, strict=False)
        if place == 0
    ]


def test_values_keep_their_types_and_what_they_mean(opcua_server: Peer) -> None:
    points: list[dict[str, Any]] = [
        {"node": "Temp", "scale": 2.0, "offset": 1.0}, {"node": "Count", "type": "integer"},
        {"node": "Run", "type": "bool"}, {"node": "Name", "type": "text"}, {"node": "Big", "type": "integer"},
        {"node": "Count", "type": "text", "values": {"0": "stopped", "7": "running"}},
        {"node": "Run", "type": "number", "values": {"true": 1, "false": 0}},
    ]  # fmt: skip

    async def scene(ear: Ear) -> None:
        opcua_server.tell(set="Temp", value=20.0)
        opcua_server.tell(set="Count", value=7)
        meant: list[Value] = [41.0, 7, True, "pump", 2**40, "running", 1]
        for place, value in enumerate(meant):
            await becomes(ear, place, value)
        assert all(type(last(ear, p).value) is t for p, t in enumerate((float, int, bool, str, int, str, int)))

    opcua_server.tell(set="Count", value=0)
    heard(opcua_server, points, scene)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"node": "Name"}, "'pump' (str) is no number"),
        ({"node": "Temp", "type": "bool"}, "is no bool"),
        ({"node": "Levels"}, "an array of 3: name one `element`"),
        ({"node": "Levels", "element": 3}, "element 3 of an array of 3"),
        ({"node": "Temp", "element": 0}, "no array"),
        ({"node": "State", "field": "Sped"}, "no field 'Sped'; it has Speed, Note, Loads, Extra, Bearing, Bearings"),
        ({"node": "State"}, "is no plain value: name a `field`"),
        ({"node": "State", "field": "Bearings.Wear"}, "name an index"),
        ({"node": "Name", "type": "text", "values": {"fan": "fan"}}, "'pump' is none of `values`"),
    ],
)
def test_what_a_point_cannot_mean_is_its_own_trouble_in_words(
    opcua_server: Peer, point: dict[str, Any], words: str
) -> None:
    async def scene(ear: Ear) -> None:
        assert last(ear).quality == Quality.BAD_DECODE
        assert last(ear).value is None
        assert words in last(ear).detail
        assert last(ear, 1) == Answer(7.0, Quality.GOOD)

    heard(opcua_server, [point, {"node": "Still"}], scene)


def test_elements_of_arrays_and_fields_of_structures(opcua_server: Peer) -> None:
    points: list[dict[str, Any]] = [
        {"node": "Levels", "element": 0}, {"node": "Levels", "element": 2}, {"node": "State", "field": "Speed"},
        {"node": "State", "field": "Note", "type": "text"}, {"node": "State", "field": "Loads.1"},
        {"node": "State", "field": "Bearing.Wear"}, {"node": "State", "field": "Bearings.1.Wear"},
        {"node": "State", "field": "Extra"},
    ]  # fmt: skip

    async def scene(ear: Ear) -> None:
        meant: list[Value] = [1.0, 3.0, 1, "fine", 0.25, 0.125, 2.0]
        for place, value in enumerate(meant):
            await becomes(ear, place, value)
        # An optional field that is not there is the device's way to say that it has none.
        assert last(ear, 7) == Answer(None, Quality.BAD_DEVICE, "the server has no value")
        opcua_server.tell(state=1500)
        await becomes(ear, 2, 1500)
        opcua_server.tell(state=1)

    heard(opcua_server, points, scene)


@pytest.mark.parametrize(
    ("code", "quality", "name"),
    [
        (0x00E00000, Quality.GOOD, ""),  # GoodDependentValueChanged
        (0x40900000, Quality.UNCERTAIN, "UncertainLastUsableValue"),
        (0x40950000, Quality.UNCERTAIN, "UncertainSubNormal"),
        (0x80050000, Quality.BAD_BUS, "BadCommunicationError"),
        (0x80310000, Quality.BAD_BUS, "BadNoCommunication"),
        (0x808C0000, Quality.BAD_DEVICE, "BadSensorFailure"),
        (0x808B0000, Quality.BAD_DEVICE, "BadDeviceFailure"),
        (0x80740000, Quality.BAD_DECODE, "BadTypeMismatch"),
    ],
)
def test_status_codes_are_kept_as_quality_with_their_name(
    opcua_server: Peer, code: int, quality: Quality, name: str
) -> None:
    async def scene(ear: Ear) -> None:
        opcua_server.tell(set="Temp", value=33.5, status=code)
        await ear.until(lambda: len(ear.answers()) > 1)
        answer = last(ear)
        assert (answer.quality, answer.detail) == (quality, name)
        assert answer.value == (None if quality.is_bad else 33.5)
        opcua_server.tell(set="Temp", value=21.5)
        await becomes(ear, 0, 21.5)
        assert last(ear).quality == Quality.GOOD

    opcua_server.tell(set="Temp", value=21.5)
    heard(opcua_server, [{"node": "Temp"}], scene)


def test_time_is_the_sources_own_where_it_can_be_believed(opcua_server: Peer) -> None:
    then = dt.datetime(2026, 3, 4, 5, 6, 7, 891000, tzinfo=dt.UTC)

    async def scene(ear: Ear) -> None:
        for value, at in ((1.0, then.isoformat()), (2.0, YEAR_2040), (3.0, "1601-01-01T00:00:00+00:00"), (4.0, "")):
            opcua_server.tell(set="Temp", value=value, at=at)
            await becomes(ear, 0, value)
        at_of = dict(stamped(ear))
        assert at_of[1.0] == int(then.timestamp()) * 10**9 + 891_000_000
        # Of a wrong clock or none, the server's own time is the next best.
        for value in (2.0, 3.0, 4.0):
            assert abs((at_of[value] or 0) - time.time_ns()) < 60e9

    heard(opcua_server, [{"node": "Temp"}], scene)


def test_the_server_samples_and_queues_what_changes_between_two_publishings(opcua_server: Peer) -> None:
    async def scene(ear: Ear) -> None:
        for value in range(100, 108):
            opcua_server.tell(set="Count", value=value)
        await becomes(ear, 0, 107)
        # A server may sample by itself or take each write; none of what it queued is lost or out of order.
        values = [v for v in ear.values() if isinstance(v, int) and v >= 100]
        assert values == sorted(values)
        assert len(values) == 8

    opcua_server.tell(set="Count", value=0)  # Others may have counted further.
    heard(
        opcua_server, [{"node": "Count", "type": "integer", "sampling_ms": 10, "queue": 50}], scene, publishing_ms=500
    )


def test_a_node_that_is_not_there_is_bad_alone_and_heard_once_it_comes(opcua_server: Peer) -> None:
    async def scene(ear: Ear) -> None:
        assert last(ear, 0).quality == Quality.BAD_DEVICE
        assert "BadNodeIdUnknown" in last(ear, 0).detail
        assert last(ear, 1).value == 7.0
        opcua_server.tell(add="Later")
        await becomes(ear, 0, 0.0)
        opcua_server.tell(set="Later", value=0.0, status=NO_NODE)
        await ear.until(lambda: last(ear, 0).quality == Quality.BAD_DEVICE, "bad again")
        opcua_server.tell(set="Later", value=5.0)
        await becomes(ear, 0, 5.0)
        opcua_server.tell(delete="Later")
        assert last(ear, 1).value == 7.0

    heard(opcua_server, [{"node": "Later"}, {"node": "Still"}], scene, made={"missing_retry_s": 0.2})


def test_a_namespace_that_the_server_does_not_have_is_said_with_those_that_it_has(opcua_server: Peer) -> None:
    async def played() -> None:
        point = Point(tag="t", node="nsu=urn:no:such;s=Temp")
        subject = Subject(1, "", msgspec.structs.replace(profile({"node": "Temp"}), point=(point,)), 1.0)
        async with listening(OpcUaSource(line(opcua_server), [subject], SystemClock())) as ear:
            await ear.until(lambda: bool(ear.answers()))
            assert last(ear).quality == Quality.BAD_DEVICE
            assert "no namespace urn:no:such; it has http://opcfoundation.org/UA/" in last(ear).detail

    asyncio.run(played())


def test_points_of_one_node_are_watched_once(opcua_server: Peer) -> None:
    points = [{"node": "Levels", "element": i, "sampling_ms": 100.0 + i, "queue": 1 + i} for i in range(3)]
    session = Session(Access(opcua_server.url), SystemClock())
    watch = Watch(
        [Subject(1, "Motor1", profile(*points), 1.0)], session, SystemClock(), sampling_ms=500, missing_retry_s=30
    )
    assert [(node.sampling_ms, node.queue, len(node.uses)) for node in watch._nodes] == [(100.0, 3, 3)]


@pytest.mark.parametrize("url", ["opc.tcp://host:99999", "opc.tcp://:4840", "http://host:4840"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    one = source(OpcUa(name="plc", url=url, security="None"), {"node": "Temp"})
    with pytest.raises(ConfigError, match="url"):
        asyncio.run(one.open())


def test_all_that_is_heard_has_as_many_answers_as_places() -> None:
    told = opcua_watch._Told()
    for place, value in ((0, 1.0), (1, 2.0), (0, 3.0), (1, 4.0), (1, 5.0)):
        told.add(0, place, Answer(value, Quality.GOOD), None)
    assert [(h.places, tuple(a.value for a in h.answers)) for h in told.all()] == [
        ((0, 1), (1.0, 2.0)), ((0, 1), (3.0, 4.0)), ((1,), (5.0,)),
    ]  # fmt: skip

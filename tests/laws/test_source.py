"""The laws of the ``Source`` port, for every source against real peers that are not ours.

A further source joins with a ``Stage`` in ``STAGES``: its line, two subjects with two points each, and a peer that can
be started, stopped, made to say a number of each point, and made to say what no point can mean.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from sparkplub_b_packets.core import sparkplug_b_pb2 as tahu

from edge.clock import SystemClock
from edge.config.lines import Bacnet, Mqtt, OpcUa, PushedLine, SerialTcpStream, SparkplugHost
from edge.config.profiles.bacnet import BacnetPoint, BacnetProfile
from edge.config.profiles.mqtt import MqttProfile
from edge.config.profiles.mqtt import Point as MqttPoint
from edge.config.profiles.opcua import OpcUaProfile
from edge.config.profiles.opcua import Point as OpcUaPoint
from edge.config.profiles.serial import Frame, Message, SerialPoint, StreamProfile
from edge.config.profiles.signal import Device
from edge.config.profiles.sparkplug import Point as SparkplugPoint
from edge.config.profiles.sparkplug import SparkplugProfile
from edge.contract.types import Quality
from edge.drivers import make_source
from edge.ports import Heard, Source, Subject
from tests.peers.bacnet_device import OURS, BacnetDevice, udp_port
from tests.peers.listening import DEADLINE_S, Ear, listening
from tests.peers.mosquitto import Mosquitto
from tests.peers.opcua_peers import URI, shared_server
from tests.peers.serial_device import Speaker
from tests.peers.sparkplug_node import DOUBLE, EdgeNode, now_ms


class Stage(Protocol):
    """A peer and how our side is told of it. The peer's calls may block: they run in a thread."""

    @property
    def line(self) -> PushedLine: ...

    subjects: list[Subject]

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def say(self, subject: int, place: int, value: float) -> None:
        """Make it true at the peer, which tells it in its own way."""

    def babble(self) -> None:
        """Say what no point can mean, to the last point of the last subject and to whoever listens."""


class MqttStage:
    def __init__(self, folder: Path, version: str) -> None:
        self._mosquitto = Mosquitto(folder)
        self.line = Mqtt(name="m", broker=self._mosquitto.broker("laws", version=version, keepalive_s=2))
        profile = MqttProfile(
            device=Device(id="d", products=(), source="", protocol="mqtt"),
            point=tuple(MqttPoint(tag=f"p{i}", topic=f"{{at}}/p{i}", pointer="/value") for i in range(2)),
        )
        self.subjects = [Subject(i, f"plant/d{i}", profile, 1.0) for i in range(2)]

    def start(self) -> None:
        self._mosquitto.start()

    def stop(self) -> None:
        self._mosquitto.kill()

    def say(self, subject: int, place: int, value: float) -> None:
        self._mosquitto.publish(f"plant/d{subject}/p{place}", f'{{"value": {value}}}')

    def babble(self) -> None:
        for payload in (b"", b"{", b"\xff\xfe", b'{"value": {}}', b"[" * 50_000, b'{"value": "12 bar"}'):
            self._mosquitto.publish("plant/d1/p1", payload)


class SparkplugStage:
    """A broker and an edge node with two devices."""

    def __init__(self, folder: Path) -> None:
        self._mosquitto = Mosquitto(folder)
        self._node = EdgeNode(self._mosquitto, {f"d{i}": {f"m{j}": (DOUBLE, 0.0) for j in range(2)} for i in range(2)})
        broker = self._mosquitto.broker("laws", keepalive_s=2)
        self.line = SparkplugHost(name="s", broker=broker, rebirth_s=1.0)
        profile = SparkplugProfile(
            device=Device(id="d", products=(), source="", protocol="sparkplug"),
            point=tuple(SparkplugPoint(tag=f"p{i}", metric=f"m{i}") for i in range(2)),
        )
        self.subjects = [Subject(i, f"plant/node/d{i}", profile, 1.0) for i in range(2)]

    def start(self) -> None:
        self._mosquitto.start()
        self._node.start()

    def stop(self) -> None:
        self._node.vanish()
        self._mosquitto.kill()

    def say(self, subject: int, place: int, value: float) -> None:
        self._node.say(f"d{subject}", f"m{place}", value)

    def babble(self) -> None:
        nonsense = tahu.Payload(timestamp=now_ms())
        nonsense.metrics.add(alias=self._node.alias("d1", "m1"), datatype=DOUBLE).string_value = "12 bar"
        self._node.send("d1", nonsense)
        for topic in ("plant/NDATA/other", "plant/XDATA/node/d1", "plant/DDATA/node/d9", "plant"):
            self._mosquitto.publish(f"spBv1.0/{topic}", b"\xff" * 40)


class OpcUaStage:
    """One process serves all of them: an OPC UA server takes seconds to start, so it leaves and returns instead."""

    def __init__(self) -> None:
        self._server = shared_server()
        self._server.tell(leave=True)
        self._there = False
        self.line = OpcUa(name="o", url=self._server.url, security="None", publishing_ms=50, keepalive_s=0.5)
        profile = OpcUaProfile(
            device=Device(id="d", products=(), source="", protocol="opcua"),
            point=tuple(OpcUaPoint(tag=f"p{i}", node=f"nsu={URI};s=Motor1.{{at}}.p{i}") for i in range(2)),
        )
        self.subjects = [Subject(i, f"d{i}", profile, 1.0) for i in range(2)]

    def start(self) -> None:
        self._there = True
        self._server.tell(**{"return": True})

    def stop(self) -> None:
        if self._there:
            self._there = False
            self._server.tell(leave=True)

    def say(self, subject: int, place: int, value: float) -> None:
        self._server.tell(set=f"d{subject}.p{place}", value=value)

    def babble(self) -> None:
        for told in (
            {"value": "12 bar"},
            {"value": [1.0, 2.0]},
            {"value": float("nan")},
            {"value": 1.0, "status": 1 << 31},
        ):
            self._server.tell(set="d1.p1", **told)


class SerialStage:
    """Two units that speak by themselves on one line, behind a serial device server's raw socket."""

    def __init__(self, folder: Path) -> None:
        self._server = Speaker()
        self.line = SerialTcpStream(name="s", host="127.0.0.1", port=self._server.port)
        profile = StreamProfile(
            device=Device(id="d", products=(), source="", protocol="serial-stream"),
            frame=Frame(start="#", end="\n", bytes_max=64),
            message=tuple(Message(name=f"m{i}", pattern=rf"(?P<address>\d+),{i}=(?P<value>.+)") for i in range(2)),
            point=tuple(SerialPoint(tag=f"p{i}", message=f"m{i}", field="value") for i in range(2)),
        )
        self.subjects = [Subject(i, "", profile, 1.0) for i in range(2)]

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def say(self, subject: int, place: int, value: float) -> None:
        self._server.say(f"#{subject},{place}={value}\n".encode())

    def babble(self) -> None:
        for said in (b"", b"#", b"\xff" * 500, b"#1,1=12 bar\n", b"#1,1=\x00\n", b"#1,2=3\n", b"#7,1=3\n", b"\n" * 99):
            self._server.say(said)


class BacnetStage:
    """Two assets that are measured by four objects of one device, a process by bacpypes3."""

    def __init__(self, folder: Path) -> None:
        port = udp_port()
        self._device = BacnetDevice("bacpypes", "127.0.0.7", port + 1, 7)
        self.line = Bacnet(name="b", interface=OURS, port=port, timeout_ms=200, retries=0, check_s=1)
        objects = (("analog-input", 1), ("analog-value", 1)), (("analog-value", 2), ("analog-value", 3))
        self._names = (("ai", "av1"), ("av2", "av3"))
        self.subjects = [
            Subject(
                7, self._device.at,
                BacnetProfile(
                    device=Device(id="d", products=(), source="", protocol="bacnet"),
                    point=tuple(BacnetPoint(tag=f"p{i}", object=one, instance=n) for i, (one, n) in enumerate(two)),
                ),
                0.2,
            )
            for two in objects
        ]  # fmt: skip

    def start(self) -> None:
        self._device.start()

    def stop(self) -> None:
        self._device.stop()

    def say(self, subject: int, place: int, value: float) -> None:
        self._device.tell(f"{self._names[subject][place]} {value}")

    def babble(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            for said in (b"", b"\x81", b"\x81\x0a\x00\x08\x01\x00\x10\x02", b"\xff" * 1500):
                one.sendto(said, ("127.0.0.1", self.line.port))
        self.say(1, 1, math.nan)


STAGES: dict[str, Callable[[Path], Stage]] = {
    "bacnet": BacnetStage,
    "serial": SerialStage,
    "mqtt 5": lambda folder: MqttStage(folder, "5"),
    "mqtt 3.1.1": lambda folder: MqttStage(folder, "3.1.1"),
    "sparkplug": SparkplugStage,
    "opcua": lambda _: OpcUaStage(),
}


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    made = STAGES[request.param](tmp_path)
    yield made
    made.stop()


def source_of(stage: Stage) -> Source:
    return make_source(stage.line, stage.subjects, SystemClock())


async def said(stage: Stage, ear: Ear, subject: int, place: int, value: float) -> None:
    """Say it once, and wait until it is heard as good."""
    await asyncio.to_thread(stage.say, subject, place, value)
    await ear.until(lambda: value in ear.values(subject, place), f"{value} heard")
    assert ear.answers(subject, place)[ear.values(subject, place).index(value)].quality == Quality.GOOD


def test_what_a_device_says_is_heard_of_the_right_point_of_the_right_unit(stage: Stage) -> None:
    async def scene() -> None:
        await asyncio.to_thread(stage.start)
        async with listening(source_of(stage)) as ear:
            await ear.well()
            spoken = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]
            for i, (subject, place) in enumerate(spoken):
                await said(stage, ear, subject, place, 100.5 + i)
            for here in set(spoken):
                others = {100.5 + i for i, there in enumerate(spoken) if there != here}
                assert not others & set(ear.values(*here))

    asyncio.run(scene())


def test_a_peer_that_is_not_there_is_trouble_in_words_and_no_error_and_is_heard_once_it_comes(stage: Stage) -> None:
    async def scene() -> None:
        async with listening(source_of(stage)) as ear:
            words = [ear.source.trouble(subject) for subject in range(len(stage.subjects))]
            assert all(len(some) > 10 for some in words)
            await asyncio.sleep(0)
            assert not [answer for answer in ear.answers() if not answer.quality.is_bad]
            await asyncio.to_thread(stage.start)
            await ear.well()
            await said(stage, ear, 1, 0, 7.5)

    asyncio.run(scene())


def test_a_peer_that_dies_is_trouble_in_words_and_is_heard_again_once_it_is_back(stage: Stage) -> None:
    async def scene() -> None:
        await asyncio.to_thread(stage.start)
        async with listening(source_of(stage)) as ear:
            await ear.well()
            await said(stage, ear, 0, 0, 1.5)
            for value in (2.5, 3.5):
                await asyncio.to_thread(stage.stop)
                assert len(await ear.troubled()) > 10
                await asyncio.to_thread(stage.start)
                await ear.well()
                await said(stage, ear, 0, 0, value)

    asyncio.run(scene())


def test_what_no_point_can_mean_makes_its_own_point_bad_and_no_other(stage: Stage) -> None:
    async def scene() -> None:
        await asyncio.to_thread(stage.start)
        async with listening(source_of(stage)) as ear:
            await ear.well()
            await said(stage, ear, 1, 0, 1.5)
            await asyncio.to_thread(stage.babble)
            await ear.until(lambda: any(a.quality.is_bad for a in ear.answers(1, 1)), "bad")
            assert all(a.value is None and a.detail for a in ear.answers(1, 1) if a.quality.is_bad)
            await said(stage, ear, 1, 1, 2.5)
            await said(stage, ear, 1, 0, 3.5)
            for subject, place in ((0, 0), (0, 1), (1, 0)):
                assert not [a for a in ear.answers(subject, place) if a.quality.is_bad]
            await ear.well(1)

    asyncio.run(scene())


@pytest.mark.parametrize("there", [True, False], ids=["connected", "never connected"])
def test_it_ends_when_it_is_cancelled_says_nothing_after_and_leaves_nothing_behind(stage: Stage, there: bool) -> None:
    async def scene() -> None:
        if there:
            await asyncio.to_thread(stage.start)
        source = source_of(stage)
        ear = Ear(source)
        await source.open()
        running = asyncio.create_task(source.run(ear.hear))
        if there:
            await ear.well()
        else:
            await asyncio.sleep(0.05)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=DEADLINE_S)
        assert done
        assert running.cancelled()
        await source.close()
        await source.close()
        before = len(ear.heard)
        if there:
            await asyncio.to_thread(stage.say, 0, 0, 9.5)
        assert len(ear.heard) == before
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


def test_what_breaks_behind_it_breaks_its_run_and_is_not_swallowed(stage: Stage) -> None:
    class BrokenError(Exception):
        pass

    def broken(heard: Heard) -> None:
        raise BrokenError

    async def scene() -> None:
        await asyncio.to_thread(stage.start)
        source = source_of(stage)
        await source.open()
        running = asyncio.create_task(source.run(broken))
        async with asyncio.timeout(DEADLINE_S):
            while not running.done():
                await asyncio.to_thread(stage.say, 0, 0, 1.5)
                await asyncio.sleep(0.05)
        error: BaseException | None = running.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, BrokenError)
        await source.close()

    asyncio.run(scene())

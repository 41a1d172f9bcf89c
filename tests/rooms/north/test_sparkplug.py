"""The gateway as a Sparkplug edge node: what hosts see through a real broker, one with Tahu's definition, one ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sparkplub_b_packets.core import sparkplug_b_pb2 as tahu

from edge.clock import SystemClock
from edge.config.lines import SparkplugHost
from edge.config.profiles.signal import Device
from edge.config.profiles.sparkplug import Point, SparkplugProfile
from edge.config.site import load_site
from edge.contract.types import Alarm, AlarmState, Batch, Held, Priority, Quality, Reason, Urgency, Value, Verdict
from edge.drivers.sparkplug import SparkplugSource
from edge.errors import ConfigError
from edge.north.sparkplug.room import BIRTHS_APART_S, SparkplugNorth
from edge.ports import Answer, Clock, Subject
from tests.peers.listening import listening
from tests.peers.mosquitto import Mosquitto, PahoClient, mosquitto
from tests.peers.sparkplug_node import parsed
from tests.waiting import until_async

MS = 10**6
NOW_MS = 1_790_000_000_000
TAGS = ("speed", "running", "parts")
SITE = """
profiles = "own"
[gateway]
id = "gw-7"
data_dir = "var"
inference = false
[[line]]
kind = "modbus-tcp"
name = "hall"
[[asset]]
id = "press"
unit = [{{ line = "hall", profile = "press" }}]
[[asset]]
id = "saw"
unit = [{{ line = "hall", unit = 2, profile = "press" }}]
[north.sparkplug]
group = "plant"
interval_ms = 10
{more}
broker = {{ port = {port}, client_id = "gw-7", backoff_s_max = 0.5 }}
"""
PROFILE = """
[device]
id = "press"
products = ["any"]
source = "this test"
[[point]]
tag = "speed"
function = 3
address = 0
type = "float32"
unit = "/min"
title = "Speed of the spindle"
[[point]]
tag = "running"
function = 1
address = 0
type = "bool"
[[point]]
tag = "parts"
function = 3
address = 2
type = "uint32"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as running:
        yield running


def site_file(folder: Path, port: int, more: str = "") -> Path:
    (folder / "own/devices").mkdir(parents=True, exist_ok=True)
    (folder / "var").mkdir(exist_ok=True)
    (folder / "own/devices/press.toml").write_text(PROFILE, encoding="utf-8")
    path = folder / "site.toml"
    path.write_text(SITE.format(port=port, more=more), encoding="utf-8")
    return path


def batch(*values: Value, asset: str = "press", at_ms: int = NOW_MS, quality: Sequence[Quality] = ()) -> Batch:
    return Batch(
        asset=asset, tags=TAGS[: len(values)], values=values, quality=tuple(quality) or (Quality.GOOD,) * len(values),
        source_ns=(at_ms * MS,) * len(values), read_ns=at_ms * MS, mono_ns=0,
    )  # fmt: skip


def nothing(quality: Quality = Quality.BAD_BUS, asset: str = "press") -> Batch:
    return batch(None, None, None, asset=asset, quality=(quality,) * 3)


@asynccontextmanager
async def running(
    broker: Mosquitto, more: str = "", alarms: Callable[[], Sequence[Alarm]] = list, clock: Clock | None = None
) -> AsyncIterator[SparkplugNorth]:
    site = load_site(site_file(broker.folder, broker.port, more))
    north = SparkplugNorth(site, clock=clock or SystemClock(), alarms=alarms, random=Random(1))
    await north.open()
    task = asyncio.create_task(north.run())
    try:
        yield north
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


class PausingClock(SystemClock):
    """Time stands, and the pause between births lasts until ``go`` is set, however long a test takes."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    def mono_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        if seconds == BIRTHS_APART_S:
            await self.go.wait()
        else:
            await super().sleep(seconds)


class Host:
    """What a host that is not ours has seen: verb, device and Tahu's payload of each message."""

    def __init__(self, client: PahoClient) -> None:
        self.client = client

    async def take(self, count: int) -> list[tuple[str, str, Any]]:
        came = await asyncio.to_thread(self.client.take, count)
        parts = [(topic.split("/"), payload) for topic, payload, retained in came if not retained]
        return [(part[2], part[4] if len(part) > 4 else "", parsed(payload)) for part, payload in parts]

    async def birth(self) -> tuple[Any, Any]:
        """The first birth of the node that was told whole, with its device's: one may have begun before we listened."""

        def whole() -> tuple[Any, Any] | None:
            came = [(topic.split("/")[2], payload) for topic, payload, _ in self.client.came]
            node = next((i for i, (verb, _) in enumerate(came) if verb == "NBIRTH"), len(came))
            devices = [payload for verb, payload in came[node:] if verb == "DBIRTH"]
            return (parsed(came[node][1]), parsed(devices[0])) if devices else None

        found: tuple[Any, Any] = await until_async(whole)
        return found

    async def born(self, north: SparkplugNorth) -> None:
        """Wait until ``north`` has told all that it had to tell."""
        await until_async(lambda: north.status()["born"] and not north.status()["waiting"])

    def rebirth(self) -> None:
        payload = tahu.Payload()
        payload.metrics.add(name="Node Control/Rebirth", datatype=11).boolean_value = True
        self.client.publish("spBv1.0/plant/NCMD/gw-7", payload.SerializeToString(), qos=0)


@pytest.fixture
def host(broker: Mosquitto) -> Iterator[Host]:
    with broker.client("spBv1.0/plant/#") as client:
        yield Host(client)


def meaning(metric: Any) -> Any:
    if metric.is_null:
        return None
    value = getattr(metric, metric.WhichOneof("value"))
    return value - 2**64 if metric.datatype == 4 and value >= 2**63 else value


def said(payload: Any, names: dict[int, str] | None = None) -> dict[str, Any]:
    return {metric.name or (names or {})[metric.alias]: meaning(metric) for metric in payload.metrics}


def properties(metric: Any) -> dict[str, Any]:
    return {
        key: value.int_value if value.type == 3 else value.string_value
        for key, value in zip(metric.properties.keys, metric.properties.values, strict=True)
    }


def test_births_data_and_death_as_a_host_reads_them(broker: Mosquitto, host: Host) -> None:
    async def scene() -> None:
        async with running(broker) as north:
            north.deliver(batch(1480.5, True, -7))
            await host.born(north)
            await host.take(2)
            north.deliver(batch(1480.5, True, -7, at_ms=NOW_MS + 1))  # no news
            north.deliver(batch(1490.0, True, -8, at_ms=NOW_MS + 2))
            await host.take(3)
            north.deliver(
                batch(1490.0, None, -8, at_ms=NOW_MS + 3, quality=(Quality.UNCERTAIN, Quality.BAD_DEVICE, Quality.GOOD))
            )
            await host.take(4)
        messages = await host.take(5)
        assert [(verb, device) for verb, device, _ in messages] == [
            ("NBIRTH", ""), ("DBIRTH", "press"), ("DDATA", "press"), ("DDATA", "press"), ("NDEATH", ""),
        ]  # fmt: skip
        assert [payload.seq for _, _, payload in messages[:4]] == [0, 1, 2, 3]
        node, device, data, worse, death = (payload for _, _, payload in messages)
        assert said(node) == {"bdSeq": 0, "Node Control/Rebirth": False}
        assert said(death) == {"bdSeq": 0}
        assert not death.HasField("seq")
        assert said(device) == {"speed": 1480.5, "running": True, "parts": -7}
        assert [metric.datatype for metric in device.metrics] == [10, 11, 4]
        assert {metric.timestamp for metric in device.metrics} == {NOW_MS}
        speed = {"engUnit": "/min", "documentation": "Speed of the spindle", "Quality": 192}
        assert properties(device.metrics[0]) == speed
        names = {metric.alias: metric.name for metric in device.metrics}
        assert len(names) == 3
        assert said(data, names) == {"speed": 1490.0, "parts": -8}
        assert {metric.timestamp for metric in data.metrics} == {NOW_MS + 2}
        assert said(worse, names) == {"speed": 1490.0, "running": None}
        assert [properties(metric)["Quality"] for metric in worse.metrics] == [500, 0]

    asyncio.run(scene())


def test_a_host_that_wishes_for_a_rebirth_gets_one_and_a_storm_of_wishes_one_more(
    broker: Mosquitto, host: Host
) -> None:
    async def scene() -> None:
        clock = PausingClock()
        async with running(broker, clock=clock) as north:
            north.deliver(batch(1.0, True, 1))
            await host.born(north)
            await host.take(2)
            north.deliver(batch(2.0, True, 1, at_ms=NOW_MS + 1))
            await host.take(3)
            for _ in range(20):
                await asyncio.to_thread(host.rebirth)
            await until_async(lambda: north.status()["rebirth_wishes"] == 20)
            assert north.status()["births"] == 1
            clock.go.set()
            messages = [one for one in await host.take(3 + 20 + 2) if one[0] != "NCMD"]
            assert [(verb, device, payload.seq) for verb, device, payload in messages[3:]] == [
                ("NBIRTH", "", 0), ("DBIRTH", "press", 1),
            ]  # fmt: skip
            assert said(messages[4][2]) == {"speed": 2.0, "running": True, "parts": 1}
            assert said(messages[3][2])["bdSeq"] == 0
            north.deliver(batch(3.0, True, 1, at_ms=NOW_MS + 2))
            assert (await host.take(3 + 20 + 3))[-1][0] == "DDATA"
            assert north.status()["births"] == 2

    asyncio.run(scene())


def test_each_session_has_a_number_of_its_own_and_a_killed_broker_gets_births_anew(broker: Mosquitto) -> None:
    async def scene() -> None:
        numbers = []
        for life in range(2):
            async with running(broker) as north:
                north.deliver(batch(1.0 + life, True, 1))
                with broker.client("spBv1.0/plant/#") as client:
                    north._birth_due = True
                    north._news.set()
                    numbers.append(said((await Host(client).birth())[0])["bdSeq"])
                await asyncio.to_thread(broker.kill)
                north.deliver(batch(5.0 + life, True, 1, at_ms=NOW_MS + 1))
                await asyncio.to_thread(broker.start)
                with broker.client("spBv1.0/plant/#") as client:
                    host = Host(client)
                    await until_async(lambda: north.status()["born"] and not north.status()["detail"])
                    await asyncio.to_thread(host.rebirth)
                    node, device = await host.birth()
                    numbers.append(said(node)["bdSeq"])
                    assert said(device)["speed"] == 5.0 + life
        assert numbers == sorted(set(numbers))

    asyncio.run(scene())


def test_when_the_gateway_vanishes_the_broker_tells_its_death(broker: Mosquitto, host: Host) -> None:
    async def scene() -> None:
        async with running(broker) as north:
            north.deliver(batch(1.0, True, 1))
            await host.born(north)
            await host.take(2)
            link = north._connection._link
            assert link is not None
            sock: Any = link._client.socket()
            sock.shutdown(2)
            messages = await host.take(5)
            assert [verb for verb, _, _ in messages] == ["NBIRTH", "DBIRTH", "NDEATH", "NBIRTH", "DBIRTH"]
            assert [said(messages[i][2])["bdSeq"] for i in (0, 2, 3)] == [0, 0, 1]

    asyncio.run(scene())


def test_a_machine_out_of_reach_dies_and_is_born_again(broker: Mosquitto, host: Host) -> None:
    async def scene() -> None:
        async with running(broker) as north:
            north.deliver(nothing(asset="saw"))
            north.deliver(batch(1.0, True, 1))
            await host.born(north)
            await host.take(2)
            north.deliver(nothing())
            await host.take(3)
            north.deliver(nothing())
            north.deliver(batch(2.0, True, 1, at_ms=NOW_MS + 1))
            messages = await host.take(4)
            assert [(verb, device) for verb, device, _ in messages[1:]] == [
                ("DBIRTH", "press"), ("DDEATH", "press"), ("DBIRTH", "press"),
            ]  # fmt: skip
            north.deliver(batch(7.0, True, 1, asset="saw"))
            assert (await host.take(5))[4][:2] == ("DBIRTH", "saw")

    asyncio.run(scene())


def test_another_type_of_value_is_told_by_another_birth(broker: Mosquitto, host: Host) -> None:
    async def scene() -> None:
        async with running(broker) as north:
            north.deliver(batch(1, True, 1))
            await host.born(north)
            await host.take(2)
            north.deliver(batch(1.5, True, 1, at_ms=NOW_MS + 1))
            await host.take(3)
            north.deliver(batch(2, True, 1, at_ms=NOW_MS + 2))
            messages = await host.take(4)
            assert [verb for verb, _, _ in messages[1:]] == ["DBIRTH", "DBIRTH", "DDATA"]
            assert [messages[i][2].metrics[0].datatype for i in (1, 2, 3)] == [4, 10, 10]
            assert messages[3][2].metrics[0].double_value == 2.0

    asyncio.run(scene())


def alarm(state: AlarmState, sentence: str = "Press: too hot") -> Alarm:
    return Alarm(
        asset="press", rule="hot", tag="speed", priority=Priority.HIGH, state=state, since_ns=NOW_MS * MS,
        at_ns=NOW_MS * MS, value=1.0, sentence=sentence,
    )  # fmt: skip


def test_verdicts_and_alarms_are_metrics_of_their_machine(broker: Mosquitto, host: Host) -> None:
    verdict = Verdict(
        asset="press", at_ns=NOW_MS * MS, bundle="b", health=71.5, anomaly=1.25, anomalous=True, rul_h=90.0,
        rul_low_h=40.0, rul_high_h=120.0, urgency=Urgency.CRITICAL, reasons=(Reason("speed", 0.5, "speed is high"),),
        coverage=1.0,
    )  # fmt: skip

    async def scene() -> None:
        async with running(broker, alarms=lambda: [alarm(AlarmState.NORMAL)]) as north:
            north.deliver(batch(1.0, True, 1))
            await host.born(north)
            birth = (await host.take(2))[1][2]
            names = {metric.alias: metric.name for metric in birth.metrics}
            assert said(birth)["Alarms/hot/Active"] is False
            north.announce(alarm(AlarmState.UNACKNOWLEDGED))
            data = (await host.take(3))[2]
            assert data[0] == "DDATA"
            assert said(data[2], names) == {"Alarms/hot/Active": True, "Alarms/hot/State": "unacknowledged"}
            shelved = replace(alarm(AlarmState.UNACKNOWLEDGED), held=Held.SHELVED)
            north.announce(shelved)
            assert said((await host.take(4))[3][2], names) == {"Alarms/hot/Held": "shelved"}
            north.judge(verdict)
            again = (await host.take(5))[4]
            assert again[0] == "DBIRTH"
            found = {name: value for name, value in said(again[2]).items() if name.startswith("Verdict/")}
            assert found == {
                "Verdict/Health": 71.5, "Verdict/Anomaly": 1.25, "Verdict/Anomalous": True, "Verdict/RUL h": 90.0,
                "Verdict/RUL low h": 40.0, "Verdict/RUL high h": 120.0, "Verdict/Urgency": "CRITICAL",
                "Verdict/Coverage": 1.0, "Verdict/Reason": "speed is high",
            }  # fmt: skip

    asyncio.run(scene())


def test_it_waits_for_its_primary_host_and_ends_the_session_with_it(broker: Mosquitto, host: Host) -> None:
    def state(online: bool, at_ms: int) -> None:
        broker.publish(
            "spBv1.0/STATE/scada", json.dumps({"online": online, "timestamp": at_ms}), retain=True
        )  # fmt: skip

    async def scene() -> None:
        async with running(broker, 'host_id = "scada"') as north:
            north.deliver(batch(1.0, True, 1))
            await until_async(lambda: north.status()["detail"] == "waits for host scada")
            assert not host.client.came
            await asyncio.to_thread(state, True, 10)
            await host.take(2)
            await asyncio.to_thread(state, False, 5)  # older than what we know: a will that came late
            north.deliver(batch(2.0, True, 1, at_ms=NOW_MS + 1))
            assert (await host.take(3))[2][0] == "DDATA"
            await asyncio.to_thread(state, False, 10)
            assert (await host.take(4))[3][0] == "NDEATH"
            await asyncio.to_thread(state, True, 20)
            messages = await host.take(6)
            assert [verb for verb, _, _ in messages[4:]] == ["NBIRTH", "DBIRTH"]
            assert said(messages[4][2])["bdSeq"] == said(messages[0][2])["bdSeq"] + 1

    asyncio.run(scene())


def test_what_does_not_fit_into_the_queue_is_counted_and_all_is_told_anew(broker: Mosquitto, host: Host) -> None:
    async def scene() -> None:
        async with running(broker, "queue_max = 100") as north:
            north.deliver(batch(0.0, True, 1))
            await host.born(north)
            await host.take(2)
            for i in range(1, 251):
                north.deliver(batch(float(i), True, 1, at_ms=NOW_MS + i))
            assert north.status()["dropped"] == 150
            messages = await host.take(4)
            assert [verb for verb, _, _ in messages] == ["NBIRTH", "DBIRTH", "NBIRTH", "DBIRTH"]
            assert said(messages[3][2])["speed"] == 250.0

    asyncio.run(scene())


def test_our_own_host_application_hears_our_own_edge_node(broker: Mosquitto) -> None:
    profile = SparkplugProfile(
        device=Device(id="d", products=(), source="", protocol="sparkplug"),
        point=(*(Point(tag=tag, metric=tag) for tag in TAGS), Point(tag="hot", metric="Alarms/hot/Active")),
    )
    line = SparkplugHost(name="s", broker=broker.broker("scada"), host_id="scada", rebirth_s=1.0)
    source = SparkplugSource(line, [Subject(1, "plant/gw-7/press", profile, 1.0)], SystemClock())

    async def scene() -> None:
        async with (
            running(broker, 'host_id = "scada"', alarms=lambda: [alarm(AlarmState.NORMAL)]) as north,
            listening(source) as ear,
        ):
            north.deliver(batch(1.5, True, 1, at_ms=1_700_000_000_000))
            await ear.well()
            await ear.until(lambda: ear.values(0, 3) == [False])
            assert [ear.values(0, place)[-1] for place in range(4)] == [1.5, True, 1, False]
            assert ear.heard[-1].source_ns[0] == 1_700_000_000_000 * MS
            north.announce(alarm(AlarmState.UNACKNOWLEDGED))
            for i in range(600):  # past two turns of the sequence number
                north.deliver(batch(float(i), i % 2 == 0, i, at_ms=1_700_000_000_001 + i))
                await asyncio.sleep(0.001)
            await ear.until(lambda: ear.values(0, 2)[-1] == 599)
            assert ear.values(0, 3)[-1] is True
            north.deliver(batch(1.0, True, None, at_ms=1_700_000_001_000, quality=[
                Quality.GOOD, Quality.UNCERTAIN, Quality.BAD_DECODE,
            ]))  # fmt: skip
            await ear.until(lambda: ear.values(0, 2)[-1] is None)
            assert ear.answers(0, 1)[-1] == Answer(True, Quality.UNCERTAIN, "stale by its source")
            north.deliver(nothing())
            assert "it died" in await ear.troubled()
            assert north.status()["births"] == 1
            assert north.status()["rebirth_wishes"] == 0

    asyncio.run(scene())


def test_a_broker_that_is_away_costs_nothing_but_the_connection(broker: Mosquitto, host: Host) -> None:
    async def scene() -> None:
        broker.kill()
        async with running(broker) as north:
            for i in range(1000):
                north.deliver(batch(float(i), True, i))
            await until_async(lambda: "refused" in north.status()["detail"])
            status = north.status()
            assert (status["waiting"], status["dropped"], status["connected"]) == (0, 0, False)

    asyncio.run(scene())


def test_it_may_not_share_its_name_with_a_line(tmp_path: Path) -> None:
    path = site_file(tmp_path, 1883)
    text = path.read_text(encoding="utf-8").replace("[[asset]]", """[[line]]
kind = "mqtt"
name = "m"
broker = { client_id = "gw-7" }
[[asset]]""", 1)  # fmt: skip
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"north\.sparkplug\.broker\.client_id.*also that of `line\[1\]"):
        load_site(path)

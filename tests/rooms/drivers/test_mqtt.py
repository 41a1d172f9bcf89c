"""MQTT lines against a real Mosquitto: sessions that outlive both sides, retained messages, TLS, refusals, nonsense."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.config.broker import Broker
from edge.config.lines import Mqtt
from edge.config.profiles.mqtt import MqttProfile, Point
from edge.config.profiles.signal import Device
from edge.contract.types import Quality
from edge.drivers.mqtt import MqttSource
from edge.errors import LineError
from edge.mqtt import MqttConnection
from edge.mqtt.link import FAREWELL_S
from edge.ports import Answer, Subject
from tests.peers.listening import Ear, listening
from tests.peers.mosquitto import Certificates, Mosquitto, certificates, mosquitto
from tests.waiting import until, until_async


def source_of(broker: Broker, points: Sequence[Point], places: Sequence[str] = ("a",), **line: Any) -> MqttSource:
    device = Device(id="d", products=(), source="", protocol="mqtt")
    profile = MqttProfile(device=device, point=tuple(points))
    subjects = [Subject(1, at, profile, 1.0) for at in places]
    return MqttSource(Mqtt(name="m", broker=broker, **line), subjects, SystemClock(), random=Random(1))


def point(topic: str = "{at}/t", **more: Any) -> Point:
    return Point(**{"tag": "t", "topic": topic, **more})


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as running:
        yield running


@asynccontextmanager
async def heard(source: MqttSource) -> AsyncIterator[Ear]:
    async with listening(source) as ear:
        for subject in range(len(source._filters)):
            await ear.well(subject)
        yield ear


def test_wildcards_units_and_points_find_each_other(broker: Mosquitto) -> None:
    points = [
        point("{at}/+/temperature"), point("{at}/state/+", payload="level", type="text", tag="state"),
        point("{at}/all", pointer="/x", tag="x"), point("{at}/all", pointer="/y", tag="y"),
        point("common/#", pointer="/v", where={"/id": "{at}"}, tag="common"),
    ]  # fmt: skip

    async def scene() -> None:
        async with heard(source_of(broker.broker(), points, ["plant/a", "plant/b"])) as ear:
            with broker.client() as peer:
                for topic, payload in (
                    ("plant/a/m7/temperature", "1"), ("plant/b/m8/temperature", "2"), ("plant/a/state/run", "-"),
                    ("plant/a/all", '{"x": 3, "y": "four"}'), ("common/x/y", '{"id": "plant/b", "v": 5}'),
                    ("plant/c/m7/temperature", "9"), ("plant/a/temperature", "9"), ("plant/a/m/n/temperature", "9"),
                    ("plant/b/m8/temperature", "6"),
                ):  # fmt: skip
                    await asyncio.to_thread(peer.publish, topic, payload)
            await ear.until(lambda: 6.0 in ear.values(1, 0))
            assert [(h.subject, h.places, h.answers[0].value) for h in ear.heard] == [
                (0, (0,), 1.0), (1, (0,), 2.0), (0, (1,), "run"), (0, (2, 3), 3.0), (1, (4,), 5.0), (1, (0,), 6.0),
            ]  # fmt: skip
            assert ear.answers(0, 3) == [Answer(None, Quality.BAD_DECODE, "'four' is no number")]

    asyncio.run(scene())


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_retained_messages_are_heard_at_the_start_and_dated_rightly(broker: Mosquitto, version: str) -> None:
    points = [point("{at}/plain"), point("{at}/dated", pointer="/v", time="/ts", time_unit="s", tag="dated")]
    broker.publish("a/plain", "1", retain=True)
    broker.publish("a/dated", '{"v": 2, "ts": 1700000000}', retain=True)

    async def scene() -> None:
        async with heard(source_of(broker.broker(version=version), points)) as ear:
            await ear.until(lambda: len(ear.heard) >= 2)
            by_place = {h.places[0]: (h.answers[0], h.source_ns) for h in ear.heard}
            assert by_place[0][0].quality == Quality.UNCERTAIN
            assert by_place[0][1] == (None,)
            assert by_place[1] == (Answer(2.0, Quality.GOOD), (1_700_000_000 * 10**9,))
            await asyncio.to_thread(broker.publish, "a/plain", "3", retain=True)
            await ear.until(lambda: 3.0 in ear.values(0, 0))
            assert ear.answers(0, 0)[-1].quality == Quality.GOOD  # It comes as it is published: it is news.
            # The connection breaks and the session stays: what is retained is no news for a second time.
            await asyncio.to_thread(broker.save)
            await asyncio.to_thread(broker.kill)
            await ear.troubled()
            await asyncio.to_thread(broker.start)
            await ear.well()
            await asyncio.to_thread(broker.publish, "a/plain", "4")
            await ear.until(lambda: 4.0 in ear.values(0, 0))
            # The broker may send the 3 again, if it was killed before it had our acknowledgement.
            assert sorted({value for value in ear.values(0, 0) if isinstance(value, float)}) == [1.0, 3.0, 4.0]
            assert [answer.quality for answer in ear.answers(0, 0)].count(Quality.UNCERTAIN) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_what_is_published_while_we_are_away_arrives_even_through_a_killed_broker(
    broker: Mosquitto, version: str
) -> None:
    async def scene() -> None:
        ours = broker.broker(version=version)
        async with heard(source_of(ours, [point()])) as ear:
            await asyncio.to_thread(broker.publish, "a/t", "0")
            await ear.until(lambda: ear.values() == [0.0])
        with broker.client() as peer:
            for i in range(1, 50):
                await asyncio.to_thread(peer.publish, "a/t", str(i))
        await asyncio.to_thread(broker.save)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        async with heard(source_of(ours, [point()])) as ear:
            await ear.until(lambda: len(ear.values()) >= 49)
            # At least once, and in order.
            assert sorted(set(ear.values()), key=ear.values().index) == [float(i) for i in range(1, 50)]
            assert {answer.quality for answer in ear.answers()} == {Quality.GOOD}

    asyncio.run(scene())


def test_whoever_leaves_in_good_order_acknowledges_what_it_took_and_says_goodbye(tmp_path: Path) -> None:
    async def scene(broker: Mosquitto) -> None:
        for value in (1.0, 2.0, 3.0):
            async with heard(source_of(broker.broker(), [point()])) as ear:
                await asyncio.to_thread(broker.publish, "a/t", str(value))
                await ear.until(lambda: bool(ear.values()))
            assert ear.values() == [value]

    with mosquitto(tmp_path, extra=["log_type all"]) as broker:
        asyncio.run(scene(broker))
        log = tmp_path / "log"
        # A broker that is ended now might not have read the last of it.
        until(lambda: log.read_text(encoding="utf-8").count("Received DISCONNECT from gateway") == 3)
        assert log.read_text(encoding="utf-8").count("Received PUBACK from gateway") == 3


def test_who_stands_still_while_it_leaves_says_goodbye_all_the_same(tmp_path: Path) -> None:
    """Its last words went out meanwhile, and only the timer says that they had no time."""

    async def scene(broker: Mosquitto) -> None:
        connection = MqttConnection(
            broker.broker(), where="here", session_s=0, clock=SystemClock(), hear=lambda _: None,
            connected=lambda _: None, leaving=lambda: last_words(connection),
        )  # fmt: skip
        running = asyncio.create_task(connection.run())
        await until_async(lambda: not connection.trouble)
        running.cancel()
        asyncio.get_running_loop().call_soon(time.sleep, 1.2 * FAREWELL_S)
        await asyncio.wait({running})

    def last_words(connection: MqttConnection) -> None:
        assert connection.publish("last", b"words")

    with mosquitto(tmp_path, extra=["log_type all"]) as broker:
        asyncio.run(scene(broker))
        log = tmp_path / "log"
        ends = re.compile("Received DISCONNECT from gateway|Client gateway closed its connection")
        assert until(lambda: ends.search(log.read_text(encoding="utf-8")))[0].startswith("Received DISCONNECT")


def test_a_session_that_is_not_kept_brings_nothing_of_what_was_missed(broker: Mosquitto) -> None:
    async def scene() -> None:
        for value, missed in ((1.0, "2"), (3.0, "4")):
            async with heard(source_of(broker.broker(), [point()], persistent=False)) as ear:
                await asyncio.to_thread(broker.publish, "a/t", str(value))
                await ear.until(lambda: bool(ear.values()))
                assert ear.values() == [value]
            await asyncio.to_thread(broker.publish, "a/t", missed)

    asyncio.run(scene())


class TestSecured:
    @pytest.fixture(scope="class")
    @staticmethod
    def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
        return certificates(tmp_path_factory.mktemp("tls"))

    @pytest.fixture
    def broker(self, tmp_path: Path, files: Certificates) -> Iterator[Mosquitto]:
        users = tmp_path / "users"
        subprocess.run(["mosquitto_passwd", "-b", "-c", users, "gateway", "right"], check=True, capture_output=True)
        extra = ["allow_anonymous false", f"password_file {users}"]
        with mosquitto(tmp_path, certificates=files, extra=extra) as running:
            yield running

    @pytest.fixture
    def ours(self, broker: Mosquitto, files: Certificates, tmp_path: Path) -> dict[str, Any]:
        password = tmp_path / "password"
        password.write_text("right\n", encoding="utf-8")
        password.chmod(0o600)
        return {
            "tls": True, "ca": str(files.ca), "certificate": str(files.client), "key": str(files.client_key),
            "username": "gateway", "password_file": str(password),
        }  # fmt: skip

    def test_with_certificate_and_password_it_is_heard(self, broker: Mosquitto, ours: dict[str, Any]) -> None:
        async def scene() -> None:
            async with heard(source_of(broker.broker(**ours), [point()])) as ear:
                # Published by ourselves: the peer of the tests has no password. TLS brings many in one record.
                for i in range(200):
                    ear.source._connection.publish("a/t", str(i).encode())  # type: ignore[attr-defined]
                await ear.until(lambda: 199.0 in ear.values())
                assert ear.values() == [float(i) for i in range(200)]

        asyncio.run(scene())

    @pytest.mark.parametrize(("change", "words"), [
        ({"password_file": "wrong"}, "not authorized"), ({"username": "", "password_file": ""}, "not authorized"),
        ({"certificate": "", "key": ""}, ""), ({"ca": "other"}, "certificate is not to be trusted"),
        ({"host": "localhost"}, "certificate is not to be trusted"),
    ])  # fmt: skip
    def test_what_is_wrong_is_said_in_words(
        self, broker: Mosquitto, ours: dict[str, Any], change: dict[str, str], words: str, tmp_path: Path
    ) -> None:
        if change.get("password_file") == "wrong":
            wrong = tmp_path / "wrong"
            wrong.write_text("wrong", encoding="utf-8")
            wrong.chmod(0o600)
            change = {"password_file": str(wrong)}
        if "ca" in change:
            (tmp_path / "other").mkdir()
            change = {"ca": str(certificates(tmp_path / "other").ca)}

        async def scene() -> None:
            async with listening(source_of(broker.broker(**{**ours, **change}), [point()])) as ear:
                await ear.until(lambda: "not connected yet" not in ear.source.trouble(0))
                await ear.until(lambda: words in ear.source.trouble(0), words)
                assert ear.source.trouble(0)
                assert not ear.heard

        asyncio.run(scene())

    def test_files_that_are_missing_or_open_to_others_are_an_error_at_the_start(
        self, broker: Mosquitto, ours: dict[str, Any], tmp_path: Path
    ) -> None:
        loose = tmp_path / "loose"
        loose.write_text("right", encoding="utf-8")
        loose.chmod(0o644)
        empty = tmp_path / "empty"
        empty.touch(0o600)
        for change, words in (
            ({"password_file": str(loose)}, "chmod 600"), ({"password_file": str(tmp_path / "no")}, "cannot be read"),
            ({"password_file": str(empty)}, "holds no password"), ({"ca": str(tmp_path / "no")}, "no such file"),
            ({"ca": str(empty)}, "ca "), ({"key": str(loose)}, "chmod 600"), ({"key": str(empty)}, "PEM"),
        ):  # fmt: skip
            source = source_of(broker.broker(**{**ours, **change}), [point()])
            with pytest.raises(LineError, match=words):
                asyncio.run(source.open())


def test_a_topic_that_the_broker_refuses_is_trouble_of_its_own_unit_alone(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite a/#\n", encoding="utf-8")

    async def scene() -> None:
        with mosquitto(tmp_path, extra=[f"acl_file {rules}"]) as broker:
            async with listening(source_of(broker.broker(), [point()], ["a", "b"])) as ear:
                await ear.well(0)
                # Mosquitto 2 grants the subscription and sends nothing; a stricter broker says so, and so do we.
                await asyncio.to_thread(broker.publish, "a/t", "1")
                await asyncio.to_thread(broker.publish, "b/t", "2")
                await ear.until(lambda: bool(ear.values(0)))
                assert not ear.values(1)
                ear.source._connection.refused["b/t"] = "not authorized"  # type: ignore[attr-defined]
                assert ear.source.trouble(1) == "the broker refuses b/t: not authorized"
                assert not ear.source.trouble(0)

    asyncio.run(scene())


def test_two_clients_of_one_name_are_told_and_make_no_storm(broker: Mosquitto) -> None:
    async def scene() -> None:
        # Both come back patiently: after one second they have met a few times, not hundreds.
        ours = broker.broker("same", backoff_s_max=30.0)
        async with listening(source_of(ours, [point()])) as one, listening(source_of(ours, [point()])) as other:
            # Mosquitto 2.0.11 just hangs up; others say that the session was taken over.
            words = "another client has the same client_id"
            await one.until(lambda: words in one.source.trouble(0) or words in other.source.trouble(0), words)
            await asyncio.sleep(1.0)
            assert one.source._connection.connections + other.source._connection.connections < 12  # type: ignore[attr-defined]

    asyncio.run(scene())


class Impostor:
    """Listens where a broker should; says ``greeting`` to whoever comes, and then nothing, or hangs up."""

    def __init__(self, greeting: bytes, *, hangs_up: bool) -> None:
        self.greeting, self.hangs_up = greeting, hangs_up
        self.visits = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        try:
            writer.write(self.greeting)
            if not self.hangs_up:
                while await reader.read(1000):
                    pass
        except ConnectionError:
            pass
        finally:
            writer.close()


CONNACK = bytes([0x20, 3, 0, 0, 0])


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=40), st.booleans(), st.booleans())
def test_whatever_answers_in_the_broker_s_place_is_trouble_and_no_error(
    nonsense: bytes, accepts: bool, hangs_up: bool
) -> None:
    impostor = Impostor(CONNACK * accepts + nonsense, hangs_up=hangs_up)

    async def scene() -> None:
        async with impostor.listening() as port:
            ours = Broker(port=port, client_id="c", connect_timeout_s=0.1, backoff_s_max=0.1)
            async with listening(source_of(ours, [point()])) as ear:
                await ear.until(lambda: impostor.visits > 0)
                await asyncio.sleep(0.02)
                assert ear.source.trouble(0)
                assert not [a for a in ear.answers() if a.quality == Quality.GOOD and a.value is None]

    asyncio.run(scene())


def test_a_silent_broker_is_given_up_after_the_timeout() -> None:
    async def scene() -> None:
        async with Impostor(b"", hangs_up=False).listening() as port:
            ours = Broker(port=port, client_id="c", connect_timeout_s=0.1, backoff_s_max=0.1)
            async with listening(source_of(ours, [point()])) as ear:
                await ear.until(lambda: "no answer to our greeting within 0.1 s" in ear.source.trouble(0))

    asyncio.run(scene())

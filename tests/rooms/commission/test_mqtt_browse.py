"""`babbitt browse` at a broker: what comes by while it listens, as a tree and as a profile that hears it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cli import babbitt
from edge.clock import SystemClock
from edge.commission.browse import Ask, profile, tree
from edge.commission.mqtt_browse import _Seen, point
from edge.config.lines import Mqtt
from edge.config.profiles import load_profile, parse_profile, problems_of
from edge.config.profiles.mqtt import MqttProfile
from edge.drivers.mqtt import MqttSource
from edge.errors import ConfigError, LineError
from edge.mqtt import Message
from edge.ports import Subject
from tests.peers.listening import listening
from tests.peers.mosquitto import Certificates, Mosquitto, certificates, mosquitto

PUBLISHED = {"plug-1/status/switch:0", "plug-1/status", "plug-1/blob", "plug-1/rssi"}
STATUS = '{"output": true, "apower": 8.5, "t": {"C": 20}, "by/min": [1, 2], "note": "a b", "none": null}'


def browse(*arguments: str, seconds: int = 1, timeout_ms: int = 300) -> Result:
    times = ["--seconds", str(seconds), "--timeout-ms", str(timeout_ms)]
    return CliRunner().invoke(babbitt, ["browse", *arguments, *times])


def found(address: str, wanted: set[str], *arguments: str) -> dict[str, Any]:
    """The entries at a broker; looked at for longer where it had no time to tell of those that are ``wanted``."""
    for seconds in (1, 20):
        result = browse(address, "--json", *arguments, seconds=seconds, timeout_ms=20_000)
        assert result.exit_code == 0, result.output
        entries = {entry["id"]: entry for entry in json.loads(result.stdout)["entries"]}
        if wanted <= set(entries):
            break
    return entries


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as running:
        yield running


@contextmanager
def publishing(broker: Mosquitto) -> Iterator[None]:
    """Retained topics, and one that is published over and over."""
    broker.publish("plug-1/status/switch:0", STATUS, retain=True)
    broker.publish("plug-1/status", "up", retain=True)
    broker.publish("plug-1/blob", b"\xff\x00", retain=True)
    stop = threading.Event()

    def chatter() -> None:
        with broker.client() as client:
            while not stop.wait(0.05):
                client.publish("plug-1/rssi", "-61")

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_topics_and_the_values_in_their_payloads_are_shown_as_a_tree(broker: Mosquitto) -> None:
    with publishing(broker):
        entries = found(f"mqtt://127.0.0.1:{broker.port}", PUBLISHED, "--values")
    switch = "plug-1/status/switch:0"
    assert entries["plug-1/#"]["kind"] == "level"
    assert entries[switch]["kind"] == "object"
    values = {name: (entry["type"], entry["value"]) for name, entry in entries.items() if entry["kind"] == "value"}
    assert values == {
        f"{switch}#/output": ("bool", "true"), f"{switch}#/apower": ("number", "8.5"),
        f"{switch}#/t/C": ("number", "20"), f"{switch}#/by~1min/0": ("number", "1"),
        f"{switch}#/by~1min/1": ("number", "2"), f"{switch}#/note": ("text", "a b"), f"{switch}#/none": ("null", None),
        "plug-1/rssi": ("number", "-61"), "plug-1/blob": ("2 bytes", None),
        "plug-1/status": ("text", "up"),
    }  # fmt: skip


def test_the_profile_that_it_writes_hears_the_device(broker: Mosquitto, tmp_path: Path) -> None:
    out = tmp_path / "plug.toml"
    with publishing(broker):
        address = f"mqtt://127.0.0.1:{broker.port}"
        result = browse(address, "--node", "plug-1/#", "--at", "plug-1", "-o", str(out), seconds=3, timeout_ms=20_000)
        assert result.exit_code == 0, result.output
        made = load_profile(out)
        assert isinstance(made, MqttProfile)
        tags = {p.tag: i for i, p in enumerate(made.point)}
        assert {"output", "apower", "c", "note", "rssi"} <= set(tags)

        async def scene() -> None:
            line = Mqtt(name="m", broker=broker.broker())
            async with listening(MqttSource(line, [Subject(1, "plug-1", made, 1.0)], SystemClock())) as ear:
                await ear.until(lambda: bool(ear.values(0, tags["rssi"])) and bool(ear.values(0, tags["note"])))
                heard = [ear.values(0, tags[tag])[-1] for tag in ("output", "apower", "c", "note", "rssi")]
                assert heard == [True, 8.5, 20.0, "a b", -61.0]

        asyncio.run(scene())
    assert all(p.topic.startswith("{at}") for p in made.point)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["mqtt://127.0.0.1:9"], LineError, "connection refused"),
        (["mqtt://user:secret@127.0.0.1"], ConfigError, "--password-file"),
        (["mqtt://127.0.0.1:x"], ConfigError, "mqtts:// for TLS"),
        (["mqtt://127.0.0.1/topic"], ConfigError, "not the address of a broker"),
        (["mqtt://127.0.0.1:9", "--node", "a/#/b"], ConfigError, "not last"),
        (["mqtt://127.0.0.1:9", "--server-certificate", "x"], ConfigError, "use mqtts://"),
        (["mqtt://127.0.0.1:9", "--password-file", "x"], ConfigError, "username"),
        (["mqtts://127.0.0.1:9", "--server-certificate", "/no"], LineError, "no such file"),
    ],
)
def test_what_cannot_be_browsed_is_said_in_words(arguments: list[str], error: type[Exception], words: str) -> None:
    result = browse(*arguments)
    assert isinstance(result.exception, error), result.output
    assert words in str(result.exception)
    assert "secret" not in str(result.exception)


def test_over_tls(tmp_path: Path) -> None:
    files: Certificates = certificates(tmp_path)
    with mosquitto(tmp_path, certificates=files) as broker:
        broker.publish("a/t", "1", retain=True)
        entries = found(
            f"mqtts://127.0.0.1:{broker.port}", {"a/t"}, "--server-certificate", str(files.ca), "--certificate",
            str(files.client), "--key", str(files.client_key),
        )  # fmt: skip
    assert set(entries) == {"a/#", "a/t"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8,
)  # fmt: skip
TOPICS = st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=4).map("/".join).filter(bool)


@settings(deadline=None)
@given(st.lists(st.tuples(TOPICS, JSON.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=9)), max_size=6))
def test_whatever_is_published_the_tree_is_one_and_its_profile_sound(messages: list[tuple[str, bytes]]) -> None:
    seen = _Seen(Ask("mqtt://x"))
    entries = [entry for topic, payload in messages for entry in seen.take(Message(topic, payload, False))]
    assert len({entry.id for entry in entries}) == len(entries)
    assert len(tree(entries)) == len(entries)

    class Browser:
        PROTOCOL = "mqtt"
        browse: Any = None

        @staticmethod
        def point(entry: Any, at: str) -> dict[str, Any] | None:
            return point(entry, at)

    made = profile(Browser, tree(entries), device="d", source="s", at="")
    if made["point"]:
        assert not list(problems_of(parse_profile(made, where="test")))

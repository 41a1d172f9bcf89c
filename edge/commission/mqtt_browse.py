"""What is published at an MQTT broker while one listens: topics as a tree, and the values that stand in JSON payloads.

``--node`` is a topic filter. Nothing is published, and the session is forgotten at the end. A level's id is the filter
of what is below it, a payload's its topic, a value's inside of it the topic, a # and a JSON pointer: no topic holds #.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from edge.clock import SystemClock
from edge.commission.browse import Ask, Entry
from edge.config.broker import Broker
from edge.config.profiles.mqtt import filter_trouble
from edge.errors import ConfigError, LineError
from edge.mqtt import Message, MqttConnection

PROTOCOL = "mqtt"
WAITING_MAX = 10_000
PAYLOAD_BYTES_MAX = 256 * 1024
SHOWN_CHARS_MAX = 60
JSON_DEPTH_MAX = 8
ELEMENTS_MAX = 16
"""Of an array; what follows is of the same kind."""
MARK = "#"


async def browse(ask: Ask) -> AsyncIterator[Entry]:
    """Listens for ``ask.listen_s`` once connected. Raises ``ConfigError`` or ``LineError``."""
    wanted = ask.start or "#"
    if trouble := filter_trouble(wanted):
        raise ConfigError(ask.address, f"--node {wanted}: {trouble}", "a topic filter, such as plant/+/status")
    arrived: asyncio.Queue[Message] = asyncio.Queue(WAITING_MAX)
    connection = MqttConnection(
        _broker(ask), where="browse", session_s=0, clock=SystemClock(),
        hear=lambda message: None if arrived.full() else arrived.put_nowait(message),
        connected=lambda _: connection.subscribe([wanted], qos=0),
    )  # fmt: skip
    connection.check()
    running = asyncio.create_task(connection.run())
    try:
        await _connected(connection, ask, wanted)
        seen = _Seen(ask)
        loop = asyncio.get_running_loop()
        end = loop.time() + ask.listen_s
        while (left := end - loop.time()) > 0 and len(seen.entries) < ask.entries_max:
            try:
                async with asyncio.timeout(left):
                    message = await arrived.get()
            except TimeoutError:
                break
            for entry in seen.take(message):
                yield entry
            ask.tell(len(seen.entries))
    finally:
        running.cancel()
        await asyncio.wait({running})


def point(entry: Entry, at: str) -> dict[str, Any] | None:
    """Numbers, booleans and texts, alone in their payload or in JSON."""
    if entry.type not in ("number", "bool", "text"):
        return None
    topic, mark, pointer = entry.id.partition(MARK)
    found: dict[str, Any] = {"topic": topic.replace(at, "{at}") if at else topic}
    if mark and pointer:
        found["pointer"] = pointer
    elif entry.type == "text":
        found["payload"] = "raw"
    return found | ({} if entry.type == "number" else {"type": entry.type})


def _broker(ask: Ask) -> Broker:
    """``mqtt://host:port``, or ``mqtts://`` for TLS; ``server_certificate`` is then who signed the broker's own."""
    parts = urlsplit(ask.address)
    hint = "mqtt://HOST, mqtt://HOST:PORT, or mqtts:// for TLS"
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigError(ask.address, str(error), hint) from error
    if parts.username or parts.password:
        raise ConfigError(parts.hostname or "browse", "a user in the address", "use --username and --password-file")
    if not parts.hostname or parts.path not in ("", "/"):
        raise ConfigError(ask.address, "is not the address of a broker", hint)
    tls, options = parts.scheme == "mqtts", ask.options
    named = {key: options.get(key, "") for key in ("username", "password_file", "certificate", "key")}
    broker = Broker(
        host=parts.hostname, port=port or (8883 if tls else 1883), client_id=f"babbitt-browse-{os.getpid()}", tls=tls,
        ca=options.get("server_certificate", ""), connect_timeout_s=min(options.get("timeout_s", 5.0), 60.0), **named,
    )  # fmt: skip
    for key, problem, advice in broker.problems():
        raise ConfigError(ask.address, f"{key}: {problem}", advice if key != "ca" else "use mqtts:// for TLS")
    return broker


async def _connected(connection: MqttConnection, ask: Ask, wanted: str) -> None:
    try:
        async with asyncio.timeout(2 * ask.options.get("timeout_s", 5.0) + 1.0):
            while connection.trouble:  # noqa: ASYNC110  it may be one trouble after the other
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise LineError(ask.address, connection.trouble, "see that it runs and who may connect") from None
    if wanted in connection.refused:
        raise LineError(ask.address, f"it refuses {wanted}: {connection.refused[wanted]}", "name another --node")


class _Seen:
    """What was found so far: each thing once, with what it was when it was first seen."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.entries: dict[str, Entry] = {}

    def take(self, message: Message) -> Iterator[Entry]:
        """What a message adds. Names that a terminal would not print as they are, are passed over."""
        if not message.topic.isprintable():
            return
        levels = message.topic.split("/")
        if len(levels) > self._ask.depth_max:
            levels = levels[: self._ask.depth_max]
            yield from self._levels(levels)
            return
        yield from self._levels(levels[:-1])
        yield from self._payload(levels, message)

    def _levels(self, levels: list[str]) -> Iterator[Entry]:
        for depth, name in enumerate(levels):
            yield from self._add(Entry(_below(levels[: depth + 1]), _below(levels[:depth]), name, "level", depth))

    def _payload(self, levels: list[str], message: Message) -> Iterator[Entry]:
        topic, parent, name, depth = message.topic, _below(levels[:-1]), levels[-1], len(levels) - 1
        document, kind = _opened(message.payload)
        if kind in ("object", "array"):
            yield from self._add(Entry(topic, parent, name, kind, depth, kind))
            yield from self._inside(document, topic + MARK, topic, depth + 1)
        else:
            yield from self._add(_leaf(topic, parent, name, depth, document, kind))

    def _inside(self, document: Any, start: str, parent: str, depth: int) -> Iterator[Entry]:
        pairs = document.items() if isinstance(document, dict) else enumerate(document[:ELEMENTS_MAX])
        for key, value in pairs:
            name = str(key)
            place = f"{start}/{name.replace('~', '~0').replace('/', '~1')}"
            kind = _kind(value)
            if not name.isprintable():
                continue
            if kind not in ("object", "array"):
                yield from self._add(_leaf(place, parent, name, depth, value, kind))
            elif place.count("/") < self._ask.depth_max + JSON_DEPTH_MAX:
                yield from self._add(Entry(place, parent, name, kind, depth, kind))
                yield from self._inside(value, place, place, depth + 1)

    def _add(self, entry: Entry) -> Iterator[Entry]:
        if entry.id not in self.entries and len(self.entries) < self._ask.entries_max:
            self.entries[entry.id] = entry
            yield entry


def _below(levels: list[str]) -> str:
    """The id of a level: the filter of all topics below it. The root's is empty."""
    return "/".join([*levels, MARK]) if levels else ""


def _leaf(place: str, parent: str, name: str, depth: int, value: Any, kind: str) -> Entry:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    shown = text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 1] + "…"
    return Entry(place, parent, name, "value", depth, kind, None if value is None else _printable(shown))


def _opened(payload: bytes) -> tuple[Any, str]:
    """A payload's content and its kind."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return None, f"{len(payload)} bytes"
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    else:
        return document, _kind(document)
    try:
        return payload.decode(), "text"
    except UnicodeDecodeError:
        return None, f"{len(payload)} bytes"


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "text"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return "null"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)

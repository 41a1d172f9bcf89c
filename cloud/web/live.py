"""Server-sent events: what has just been stored goes out at once, to as many pages as look.

A topic is what one page shows. Its fragments are rendered once for all who look at it, at most ``UPDATES_PER_S`` times
a second, and only those that changed are sent. A client that does not keep up loses its queue and is told to load
anew (``resync``), so no page can make the memory grow. ``close`` ends every stream, so that a server can stop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

UPDATES_PER_S = 4
QUEUE_EVENTS_MAX = 256
CLIENTS_MAX = 200
HEARTBEAT_S = 15.0


@dataclass(frozen=True, slots=True)
class Event:
    """``key`` tells whether it says anything new against the event of the same name before; None always does."""

    name: str
    data: str
    key: Hashable = None

    def encode(self) -> bytes:
        lines = "".join(f"data: {line}\n" for line in self.data.split("\n"))
        return f"event: {self.name}\n{lines}\n".encode()


def json_event(name: str, data: Any) -> Event:
    return Event(name, json.dumps(data, separators=(",", ":"), allow_nan=False))


class Client:
    """One open stream."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE_EVENTS_MAX)

    def send(self, event: Event) -> None:
        if self._queue.full():
            self._empty()
            event = Event("resync", "")
        self._queue.put_nowait(event)

    def end(self) -> None:
        self._empty()
        self._queue.put_nowait(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """The bytes of a ``text/event-stream``, with a comment now and then so that a dead peer is found."""
        yield b"retry: 1000\n\n"
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    event = await self._queue.get()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if event is None:
                return
            yield event.encode()

    def _empty(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()


Render = Callable[[], Awaitable[Iterable[Event]]]


@dataclass(eq=False, slots=True)
class Topic:
    """What one page shows; lives as long as somebody looks."""

    render: Render
    clients: set[Client] = field(default_factory=set)
    sent: dict[str, Hashable] = field(default_factory=dict)
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while True:
            await self.dirty.wait()
            self.dirty.clear()
            for event in await self.render():
                if event.key is None or self.sent.get(event.name) != event.key:
                    self.sent[event.name] = event.key
                    self.send(event)
            await asyncio.sleep(1 / UPDATES_PER_S)

    def send(self, event: Event) -> None:
        for client in self.clients:
            client.send(event)


class TooManyClientsError(Exception):
    """Every place is taken."""


class Hub:
    """Topics by name. Belongs to the event loop."""

    def __init__(self) -> None:
        self._topics: dict[Hashable, Topic] = {}
        self._closed = False

    @property
    def clients(self) -> int:
        return sum(len(topic.clients) for topic in self._topics.values())

    def watched(self, name: Hashable) -> Topic | None:
        return self._topics.get(name)

    def touch(self, name: Hashable) -> None:
        """What the topic shows has changed."""
        if topic := self._topics.get(name):
            topic.dirty.set()

    def join(self, name: Hashable, render: Render) -> Client:
        """A new client of a topic; it is sent everything first. Raises ``TooManyClientsError``."""
        if self.clients >= CLIENTS_MAX or self._closed:
            raise TooManyClientsError
        client = Client()
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(render)
            topic.task = asyncio.create_task(topic.run(), name=f"topic {name}")
        topic.clients.add(client)
        topic.sent.clear()
        topic.dirty.set()
        return client

    def leave(self, name: Hashable, client: Client) -> None:
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.clients.discard(client)
        if not topic.clients and topic.task is not None:
            topic.task.cancel()
            del self._topics[name]

    def close(self) -> None:
        """End every stream, and take no more."""
        self._closed = True
        for topic in self._topics.values():
            for client in topic.clients:
                client.end()

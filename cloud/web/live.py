"""Server-sent events: what has just been stored goes out at once, to as many pages as look.

A topic is what one page shows. Its fragments are rendered once for all who look at it, at most ``UPDATES_PER_S`` times
a second and for at most a quarter of the time, and only those that changed are sent. A fragment that still waits when
its successor comes is replaced by it; of all else a client that does not keep up loses what waits, and is told to load
anew (``resync``). So no page can make the memory grow. ``close`` ends every stream, so that a server can stop.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

UPDATES_PER_S = 4
QUEUE_EVENTS_MAX = 256
CLIENTS_MAX = 200
HEARTBEAT_S = 15.0
_IDLE_SHARE = 3
"""For each second that rendering takes, so many pass before the next one: receiving comes first."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """``key`` tells whether it says anything new against the event of the same name before, which it then replaces.

    An event without a key is news: it is sent always, and adds to those before it.
    """

    name: str
    data: str
    key: Hashable = None

    def encode(self) -> bytes:
        # A carriage return ends a line of an event stream as well.
        lines = "".join(f"data: {line}\n" for line in self.data.replace("\r", "\n").split("\n"))
        return f"event: {self.name}\n{lines}\n".encode()


def json_event(name: str, data: Any, key: Hashable = None) -> Event:
    return Event(name, json.dumps(data, separators=(",", ":"), allow_nan=False), key)


class Client:
    """One open stream, and what waits for it: at most one fragment of each name, and ``QUEUE_EVENTS_MAX`` news."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Event] = {}
        self._news = 0
        self._sent = 0
        self._ended = False
        self._wake = asyncio.Event()

    def send(self, event: Event) -> None:
        if self._ended:
            return
        if event.key is None and self._news >= QUEUE_EVENTS_MAX:
            self._empty()
            event = Event("resync", "")
        if event.key is None:
            self._sent += 1
            self._news += 1
            self._waiting[self._sent] = event
        else:
            # To the end: what came in between may be a whole list that the older one was a part of.
            self._waiting.pop(event.name, None)
            self._waiting[event.name] = event
        self._wake.set()

    def end(self) -> None:
        self._empty()
        self._ended = True
        self._wake.set()

    async def stream(self) -> AsyncGenerator[bytes]:
        """The bytes of a ``text/event-stream``, with a comment now and then so that a dead peer is found."""
        yield b"retry: 1000\n\n"
        while not self._ended:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            self._wake.clear()
            while self._waiting:
                event = self._waiting.pop(next(iter(self._waiting)))
                self._news -= event.key is None
                yield event.encode()

    def _empty(self) -> None:
        self._waiting.clear()
        self._news = 0


Render = Callable[[], Awaitable[Iterable[Event]]]


@dataclass(eq=False, slots=True)
class Topic:
    """What one page shows; lives as long as somebody looks. ``fresh`` are clients that have not been sent all yet."""

    render: Render
    clients: set[Client] = field(default_factory=set)
    fresh: set[Client] = field(default_factory=set)
    sent: dict[str, Hashable] = field(default_factory=dict)
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.dirty.wait()
            self.dirty.clear()
            fresh, self.fresh = self.fresh, set()
            began = loop.time()
            for event in await self.render():
                is_news = event.key is None or self.sent.get(event.name) != event.key
                self.sent[event.name] = event.key
                for client in self.clients if is_news else fresh & self.clients:
                    client.send(event)
            await asyncio.sleep(max(1 / UPDATES_PER_S, _IDLE_SHARE * (loop.time() - began)))

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

    def names(self) -> tuple[Hashable, ...]:
        """Of all topics that somebody looks at."""
        return tuple(self._topics)

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
            topic.task.add_done_callback(partial(self._failed, name, topic))
        topic.clients.add(client)
        topic.fresh.add(client)
        topic.dirty.set()
        return client

    def leave(self, name: Hashable, client: Client) -> None:
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.clients.discard(client)
        topic.fresh.discard(client)
        if not topic.clients and topic.task is not None:
            topic.task.cancel()
            del self._topics[name]

    def _failed(self, name: Hashable, topic: Topic, task: asyncio.Task[None]) -> None:
        """Pages that would stand still and say "live" are cut off instead: they say so, and come back."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("what %s shows cannot be rendered: %r", name, error)
        if self._topics.get(name) is topic:
            del self._topics[name]
        for client in topic.clients:
            client.end()

    def close(self) -> None:
        """End every stream, and take no more."""
        self._closed = True
        for topic in self._topics.values():
            for client in topic.clients:
                client.end()

"""The session of the edge node: births, data, deaths and rebirths, at one broker.

What is told by the runtime goes into the devices' models at once, and what of it is news into a bounded queue, which
one task sends. While there is no session nothing waits: the births of the next one tell what stands then, and the
journal keeps the rest. News that a full queue had to let go are counted, and all is told anew after them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from edge.config.north import SparkplugNode
from edge.config.site import Site
from edge.contract.types import Alarm, Batch, Verdict
from edge.mqtt import Message, MqttConnection, Will
from edge.north.sparkplug.model import DeviceModel
from edge.ports import Clock
from edge.sparkplug import (
    BD_SEQ,
    NAMESPACE,
    REBIRTH,
    SEQ_MODULO,
    Address,
    DataType,
    Metric,
    Payload,
    Unreadable,
    decode,
    encode,
)

log = logging.getLogger("babbitt.north.sparkplug")

METRICS_A_MESSAGE = 500
BIRTHS_APART_S = 1.0
"""However often hosts wish for a rebirth."""


class SparkplugNorth:
    """The port ``North`` as a Sparkplug edge node. ``alarms`` gives every alarm that there can be, as it stands."""

    name = "sparkplug"

    def __init__(
        self, site: Site, *, clock: Clock, alarms: Callable[[], Sequence[Alarm]], random: Random | None = None
    ) -> None:
        assert site.file.north.sparkplug is not None
        self._config: SparkplugNode = site.file.north.sparkplug
        self._clock = clock
        self._alarms = alarms
        self._gateway = site.file.gateway.id
        self._group, self._node = self._config.group, self._config.node or self._gateway
        self._memory = site.resolve(site.file.gateway.data_dir) / "sparkplug-bdseq"
        aliases = itertools.count(1)
        self._node_model = DeviceModel("", (), aliases)
        self._models = {
            asset.id: DeviceModel(
                asset.id,
                [(p.tag, p.unit, p.title) for unit in asset.unit for p in site.profiles[unit.profile].point],
                aliases,
            )
            for asset in site.file.asset
        }
        self._queue: deque[tuple[DeviceModel, Metric]] = deque()
        self._news = asyncio.Event()
        self._online = False
        self._birth_due = False
        self._born_ns = 0
        self._bd_seq = 0
        self._seq = 0
        self._host_ms = 0
        self._sent = self._dropped = self._births = self._wishes = 0
        self._connection = MqttConnection(
            self._config.broker, where="north.sparkplug", session_s=0, clock=clock, hear=self._message,
            connected=self._connected, lost=self._end_session, leaving=self._leave, will=self._will, random=random,
        )  # fmt: skip

    # What the runtime tells.

    def deliver(self, batch: Batch) -> None:
        model = self._models[batch.asset]
        self._put(model, model.observe(batch))

    def announce(self, alarm: Alarm) -> None:
        model = self._node_model if alarm.asset == self._gateway else self._models.get(alarm.asset)
        if model is not None:
            self._put(model, model.announce(alarm))

    def judge(self, verdict: Verdict) -> None:
        model = self._models[verdict.asset]
        self._put(model, model.judge(verdict))

    async def open(self) -> None:
        """Raises ``LineError`` where a file that it needs cannot be used."""
        self._connection.check()

    async def run(self) -> None:
        for alarm in self._alarms():
            self.announce(alarm)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            group.create_task(self._send_forever())

    def status(self) -> dict[str, Any]:
        return {
            "node": f"{self._group}/{self._node}", "connected": not self._connection.trouble,
            "detail": self._connection.trouble or ("" if self._online else f"waits for host {self._config.host_id}"),
            "born": self._online and not self._birth_due, "births": self._births, "rebirth_wishes": self._wishes,
            "sent": self._sent, "waiting": len(self._queue), "dropped": self._dropped,
        }  # fmt: skip

    def _put(self, model: DeviceModel, news: Sequence[Metric]) -> None:
        if not self._online or not news:
            return
        self._queue.extend((model, metric) for metric in news)
        over = len(self._queue) - self._config.queue_max
        if over > 0:
            for _ in range(over):
                self._queue.popleft()
            self._dropped += over
            self._birth_due = True  # The host would take what it was not told for unchanged.
        self._news.set()

    # The session.

    def _connected(self, _session_present: bool) -> None:
        self._connection.subscribe([Address(self._group, "NCMD", self._node).topic()], qos=1)
        if self._config.host_id:
            self._connection.subscribe([self._state_topic()], qos=1)
        else:
            self._begin_session()

    def _begin_session(self) -> None:
        self._online = self._birth_due = True
        self._news.set()

    def _end_session(self) -> None:
        self._online = self._birth_due = False
        self._queue.clear()
        for model in (self._node_model, *self._models.values()):
            model.born = False

    def _message(self, message: Message) -> None:
        if message.topic == self._state_topic():
            self._host_says(message.payload)
            return
        try:
            wish = decode(message.payload).named(REBIRTH)
        except Unreadable:
            return
        if wish is not None and wish.raw is True and self._online:
            self._wishes += 1
            self._birth_due = True
            self._news.set()

    def _host_says(self, payload: bytes) -> None:
        """A session lasts as long as the host that it waits for; a word that is older than the last is none."""
        try:
            state = json.loads(payload)
            online, at_ms = state["online"], state["timestamp"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if not isinstance(online, bool) or not isinstance(at_ms, int) or at_ms < self._host_ms:
            return
        self._host_ms = at_ms
        if online and not self._online:
            self._begin_session()
        elif not online and self._online:
            self._connection.drop(f"host {self._config.host_id} went offline")

    def _will(self) -> Will:
        """Each session has a number of its own, through restarts too: a late death is then known to be a former's."""
        stored = -1
        with contextlib.suppress(OSError, ValueError):
            stored = int(self._memory.read_text(encoding="ascii"))
        self._bd_seq = (stored + 1) % SEQ_MODULO
        _write(self._memory, str(self._bd_seq))
        return Will(Address(self._group, "NDEATH", self._node).topic(), self._death(), 1, False)

    def _leave(self) -> None:
        if self._online:
            self._connection.publish(Address(self._group, "NDEATH", self._node).topic(), self._death(), qos=1)

    def _death(self) -> bytes:
        return encode(Payload((self._number(),), self._now_ms()))

    def _number(self) -> Metric:
        return Metric(BD_SEQ, timestamp_ms=self._now_ms(), datatype=DataType.INT64, raw=self._bd_seq)

    # Sending.

    async def _send_forever(self) -> None:
        while True:
            await self._news.wait()
            await self._clock.sleep(self._config.interval_ms / 1000)
            self._news.clear()
            if self._birth_due or (self._node_model.born and not self._node_model.sound):
                await self._bear_all()
            if self._online:
                await self._send_news()

    async def _bear_all(self) -> None:
        pause_s = BIRTHS_APART_S - (self._clock.mono_ns() - self._born_ns) / 1e9
        if self._births and pause_s > 0:
            await self._clock.sleep(pause_s)
        if not self._online:
            return
        self._born_ns = self._clock.mono_ns()
        self._birth_due = False
        self._queue.clear()
        self._births += 1
        self._seq = SEQ_MODULO - 1
        control = Metric(REBIRTH, timestamp_ms=self._now_ms(), datatype=DataType.BOOLEAN, raw=False)
        await self._publish("NBIRTH", (self._number(), control, *self._node_model.birth()))
        for model in self._models.values():
            model.born = False
            if model.alive:
                await self._publish("DBIRTH", model.birth(), model)

    async def _send_news(self) -> None:
        """One message for each device that has any, or what became of the device itself."""
        news: dict[str, list[Metric]] = {}
        while self._queue:
            model, metric = self._queue.popleft()
            news.setdefault(model.asset, []).append(metric)
        for metrics in _portions(news.pop("", [])):
            await self._publish("NDATA", metrics)
        for asset, metrics in news.items():
            model = self._models[asset]
            if not model.alive:
                if model.born:
                    model.born = False
                    await self._publish("DDEATH", (), model)
            elif not model.born or not model.sound:
                await self._publish("DBIRTH", model.birth(), model)
            else:
                for portion in _portions(metrics):
                    await self._publish("DDATA", portion, model)

    async def _publish(self, verb: str, metrics: Sequence[Metric], model: DeviceModel | None = None) -> None:
        """Send one message, and wait until the system took it: what has to wait, waits in our own bounded queue."""
        seq = (self._seq + 1) % SEQ_MODULO
        topic = Address(self._group, verb, self._node, model.asset if model is not None else "").topic()
        if self._online and self._connection.publish(topic, encode(Payload(tuple(metrics), self._now_ms(), seq))):
            self._seq = seq
            self._sent += len(metrics)
            await self._connection.drained()

    def _state_topic(self) -> str:
        return f"{NAMESPACE}/STATE/{self._config.host_id}"

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // 10**6


def _portions(metrics: Sequence[Metric]) -> Iterator[Sequence[Metric]]:
    """As many as go into one message each."""
    for i in range(0, len(metrics), METRICS_A_MESSAGE):
        yield metrics[i : i + METRICS_A_MESSAGE]


def _write(path: Path, text: str) -> None:
    """Whole or not at all. A disk that is full costs the number, not the session."""
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(text, encoding="ascii")
        new.replace(path)
    except OSError as error:
        log.warning("%s: cannot be written: %s", path, error.strerror)

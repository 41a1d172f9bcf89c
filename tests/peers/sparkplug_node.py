"""A Sparkplug edge node that is not ours: Eclipse Tahu's compiled definition over paho's own thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from sparkplub_b_packets.core import sparkplug_b_pb2 as tahu

from tests.peers.mosquitto import DEADLINE_S, Mosquitto, stop

DOUBLE, BOOLEAN, STRING, INT32, INT64 = 10, 11, 12, 3, 4
FIELDS = {3: "int_value", 4: "long_value", 7: "int_value", 9: "float_value", 10: "double_value", 11: "boolean_value",
          12: "string_value"}  # fmt: skip


def parsed(data: bytes) -> Any:
    payload = tahu.Payload()
    payload.ParseFromString(data)
    return payload


def now_ms() -> int:
    return time.time_ns() // 10**6


@dataclass
class EdgeNode:
    """``devices``: of each device the metrics as name, data type and value. Data goes out by alias alone.

    ``commands``: when each wish for a rebirth was made, by its own time stamp in ms.
    """

    mosquitto: Mosquitto
    devices: dict[str, dict[str, tuple[int, Any]]]
    group: str = "plant"
    name: str = "node"
    aliases: bool = True
    obeys: bool = True
    births: int = 0
    bd_seq: int = -1
    commands: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._seq = self._depth = 0
        self._client: paho.Client | None = None
        self._last: paho.MQTTMessageInfo | None = None

    def start(self) -> None:
        self.bd_seq = (self.bd_seq + 1) % 256
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"node-{self.name}", reconnect_on_failure=False)
        client.will_set(self._topic("NDEATH"), self._death(), qos=1)
        ready = threading.Event()
        client.on_connect = lambda *_: self._subscribe(client)
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _c, _d, message: self._command(bytes(message.payload))
        client.connect("127.0.0.1", self.mosquitto.port)
        client.loop_start()
        assert ready.wait(DEADLINE_S)
        self._client = client
        self.birth()

    def _subscribe(self, client: paho.Client) -> None:
        client.subscribe(self._topic("NCMD"), 1)

    def vanish(self) -> None:
        """Its power is cut: the broker publishes its will."""
        if self._client is not None:
            client, self._client = self._client, None
            sock: Any = client.socket()
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
            stop(client)

    def birth(self) -> None:
        with self._sending():
            self.births += 1
            payload = tahu.Payload(timestamp=now_ms())
            metric = payload.metrics.add(name="bdSeq", datatype=INT64, timestamp=now_ms())
            metric.long_value = self.bd_seq
            metric = payload.metrics.add(name="Node Control/Rebirth", datatype=BOOLEAN, timestamp=now_ms())
            metric.boolean_value = False
            self._seq = 255
            self._send("NBIRTH", payload)
            for device in self.devices:
                self.device_birth(device)

    def device_birth(self, device: str) -> None:
        with self._sending():
            payload = tahu.Payload(timestamp=now_ms())
            for name, (datatype, value) in self.devices[device].items():
                metric = payload.metrics.add(name=name, datatype=datatype, timestamp=now_ms())
                if self.aliases:
                    metric.alias = self._alias(device, name)
                put(metric, datatype, value)
            self._send("DBIRTH", payload, device)

    def say(self, device: str, name: str, value: Any, **more: Any) -> None:
        """Make it so, and tell it."""
        with self._sending():
            datatype, _ = self.devices[device][name]
            if not more.get("is_historical"):
                self.devices[device][name] = (datatype, value)
            payload = tahu.Payload(timestamp=now_ms())
            metric = payload.metrics.add(**{"timestamp": now_ms(), **more})
            if self.aliases:
                metric.alias = self._alias(device, name)
            else:
                metric.name, metric.datatype = name, datatype
            put(metric, datatype, value)
            self._send("DDATA", payload, device)

    def send(self, device: str, payload: Any) -> None:
        self._send("DDATA", payload, device)

    def skip(self) -> None:
        """Lose one message."""
        self._seq = (self._seq + 1) % 256

    def device_death(self, device: str) -> None:
        self._send("DDEATH", tahu.Payload(timestamp=now_ms()), device)

    def publish(self, verb: str, payload: bytes, device: str = "") -> None:
        with self._sending():
            assert self._client is not None
            self._last = self._client.publish(self._topic(verb, device), payload, 0)

    def alias(self, device: str, name: str) -> int:
        return self._alias(device, name)

    def death(self, bd_seq: int) -> bytes:
        payload = tahu.Payload(timestamp=now_ms())
        payload.metrics.add(name="bdSeq", datatype=INT64).long_value = bd_seq
        data: bytes = payload.SerializeToString()
        return data

    def _death(self) -> bytes:
        return self.death(self.bd_seq)

    @contextmanager
    def _sending(self) -> Iterator[None]:
        """One at a time, and back once all went out: that is awaited without the lock, since who sends is paho's
        thread, which may itself be about to answer a command."""
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            awaited = self._last if self._depth == 0 else None
            sender = self._client._thread if self._client is not None else None
        if awaited is not None and threading.current_thread() is not sender:
            awaited.wait_for_publish(DEADLINE_S)

    def _send(self, verb: str, payload: Any, device: str = "") -> None:
        with self._sending():
            self._seq = (self._seq + 1) % 256
            payload.seq = self._seq
            self.publish(verb, payload.SerializeToString(), device)

    def _command(self, data: bytes) -> None:
        payload = parsed(data)
        if any(metric.name == "Node Control/Rebirth" and metric.boolean_value for metric in payload.metrics):
            self.commands.append(payload.timestamp)
            if self.obeys and self._client is not None:
                self.birth()

    def _alias(self, device: str, name: str) -> int:
        names = [(one, metric) for one, metrics in self.devices.items() for metric in metrics]
        return 1000 + names.index((device, name))

    def _topic(self, verb: str, device: str = "") -> str:
        return f"spBv1.0/{self.group}/{verb}/{self.name}" + (f"/{device}" if device else "")


def put(metric: Any, datatype: int, value: Any) -> None:
    if value is None:
        metric.is_null = True
    else:
        setattr(metric, FIELDS[datatype], value % 2**32 if datatype == INT32 else value)

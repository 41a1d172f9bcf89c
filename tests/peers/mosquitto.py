"""A real broker: Mosquitto as a process of its own, with its persistence in a folder, and clients that are not ours."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion

from edge.config.broker import Broker
from tests.ports import free_port

DEADLINE_S = 60.0
PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@dataclass(frozen=True)
class Certificates:
    """PEM files: who signs, the broker's pair and a client's pair."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def certificates(folder: Path, host: str = "127.0.0.1") -> Certificates:
    """A fresh authority with a certificate for ``host`` and one for a client."""
    authority = trustme.CA()
    made = Certificates(*(folder / f"{name}.pem" for name in ("ca", "server", "server_key", "client", "client_key")))
    authority.cert_pem.write_to_path(str(made.ca))
    for pair, certificate, key in (
        (authority.issue_cert(host), made.server, made.server_key),
        (authority.issue_cert("gateway@plant.example"), made.client, made.client_key),
    ):
        pair.cert_chain_pems[0].write_to_path(str(certificate))
        pair.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
    return made


@dataclass
class Mosquitto:
    """The broker. ``kill`` takes it without warning; what it had persisted is there after ``start``."""

    folder: Path
    extra: Sequence[str] = ()
    certificates: Certificates | None = None
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not Path(PROGRAM).exists():
            pytest.skip("no mosquitto here: apt install mosquitto")
        self.port = self.port or free_port()

    def start(self) -> None:
        assert self.process is None
        lines = [
            f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self.folder}/",
            "max_queued_messages 100000",
            f"log_dest file {self.folder}/log",
            *(() if any("allow_anonymous" in line for line in self.extra) else ("allow_anonymous true",)), *self.extra,
        ]  # fmt: skip
        if os.geteuid() == 0:
            lines.append("user root")
        if self.certificates is not None:
            lines += [
                f"cafile {self.certificates.ca}", f"certfile {self.certificates.server}",
                f"keyfile {self.certificates.server_key}", "require_certificate true",
            ]  # fmt: skip
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.process = subprocess.Popen([PROGRAM, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._await_port()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def save(self) -> None:
        """Return once all that it holds by now is on its disk."""
        assert self.process is not None
        stored = self.folder / "mosquitto.db"
        before = stored.stat().st_mtime_ns if stored.exists() else 0
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + DEADLINE_S
        while not stored.exists() or stored.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def broker(self, client_id: str = "gateway", **changes: Any) -> Broker:
        """How our side reaches it, impatiently, as a test is."""
        return Broker(**{
            "host": "127.0.0.1", "port": self.port, "client_id": client_id, "backoff_s_max": 0.5, **changes,
        })  # fmt: skip

    @contextmanager
    def client(self, *filters: str, will: tuple[str, bytes] | None = None) -> Iterator[PahoClient]:
        """A client that is not ours, connected and subscribed to ``filters``."""
        client = PahoClient(self, filters, will)
        try:
            yield client
        finally:
            client.leave()

    def publish(self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False) -> None:
        with self.client() as client:
            client.publish(topic, payload, qos=qos, retain=retain)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_S)
            self.process = None

    def _await_port(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                assert self.process is not None
                assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return


class PahoClient:
    """paho's client with its own thread; what came is in ``came``: topic, payload, retained."""

    def __init__(self, mosquitto: Mosquitto, filters: Sequence[str], will: tuple[str, bytes] | None) -> None:
        self.came: list[tuple[str, bytes, bool]] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        if mosquitto.certificates is not None:
            files = mosquitto.certificates
            self._client.tls_set(str(files.ca), str(files.client), str(files.client_key))
        if will is not None:
            self._client.will_set(*will)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        connected = threading.Event()
        self._client.on_connect = lambda *_: connected.set()
        self._client.connect("127.0.0.1", mosquitto.port)
        self._client.loop_start()
        assert connected.wait(DEADLINE_S)
        if filters:
            self._client.subscribe([(one, 1) for one in filters])
            assert self._subscribed.wait(DEADLINE_S)

    def publish(self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos, retain).wait_for_publish(DEADLINE_S)

    def take(self, count: int) -> list[tuple[str, bytes, bool]]:
        """The first ``count`` that came, once they did."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.came) >= count, DEADLINE_S), self.came
            return self.came[:count]

    def vanish(self) -> None:
        """Go without a word: the broker publishes the will."""
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)
        stop(self._client)

    def leave(self) -> None:
        self._client.disconnect()
        stop(self._client)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        with self._news:
            self.came.append((message.topic, bytes(message.payload), message.retain))
            self._news.notify_all()


def stop(client: paho.Client) -> None:
    """End its thread and its part in any cycle of references: it closes its pair of sockets when nothing refers to it.

    In a cycle the sockets may be collected first, and whichever test runs then fails for a warning about them.
    """
    client.loop_stop()
    client.on_connect = client.on_subscribe = client.on_message = None


@contextmanager
def mosquitto(folder: Path, **settings: Any) -> Iterator[Mosquitto]:
    broker = Mosquitto(folder, **settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()

"""One connection: paho's client, its socket watched by the event loop, and how it ends.

paho calls back in the middle of its own work, and the loop calls this in between all else: neither is a place for what
our own code may do wrong. So what came is handed on after paho is done, and what breaks there ends ``run``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

T = TypeVar("T")

PACKETS_AT_ONCE_MAX = 64
"""Read before others have their turn."""
MISC_S = 1.0
FAREWELL_S = 1.0
SESSION_TAKEN_OVER = 0x8E
SHARED_NAME = "; if this goes on, another client has the same client_id"


@dataclass(frozen=True, slots=True)
class Message:
    """What came. ``retained``: the broker had kept it from before our subscription."""

    topic: str
    payload: bytes
    retained: bool


class Owner(Protocol):
    """Who is told what happens: acceptance (with whether our session is still there), messages, and the end.

    ``leave`` is called while an accepted connection is about to be closed in good order.
    """

    refused: dict[str, str]

    def accepted(self, session_present: bool) -> None: ...
    def heard(self, message: Message) -> None: ...
    def leave(self) -> None: ...
    def over(self) -> None: ...


class Link:
    """One connection: paho's client, its socket watched by the loop, and how it ends."""

    def __init__(self, client: paho.Client, owner: Owner) -> None:
        self._client = client
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[bool] = self._loop.create_future()
        self._told = False
        self._broken: Exception | None = None
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._empty = asyncio.Event()
        self._arrived: deque[paho.MQTTMessage] = deque()
        self.asking: dict[int | None, Sequence[str]] = {}
        """Filters that the broker was asked for and has not answered, by the question's number."""
        self._misc: asyncio.TimerHandle | None = None
        client.on_connect, client.on_message = self._on_connect, self._on_message
        client.on_disconnect, client.on_subscribe = self._on_disconnect, self._on_subscribe
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_want_write
        client.on_socket_unregister_write = self._on_no_write
        self._empty.set()

    async def run(self, timeout_s: float) -> str:
        sock = self._client.socket()
        if sock is None:
            return "it closed the connection at once"
        self._loop.add_reader(sock.fileno(), self._readable)
        if self._client.want_write():
            self._on_want_write(self._client, None, sock)
        self._tick()
        either: set[asyncio.Future[Any]] = {self._accepted, self._ended}
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not self._accepted.done() and not self._ended.done():
            return f"no answer to our greeting within {timeout_s:g} s"
        # Whoever is cancelled while it awaits a future cancels that too, and this one still has to tell an end.
        await asyncio.wait({self._ended})
        if self._broken is not None:
            raise self._broken
        return self._ended.result()

    async def close(self) -> None:
        """End it in good order where it still stands, and let go of the socket."""
        try:
            if self._told and not self._ended.done():
                self._owner.leave()
                with suppress(TimeoutError):
                    async with asyncio.timeout(FAREWELL_S):
                        await self.drained()
                if self._empty.is_set():  # Also where it became so while the loop stood still until the timer's end.
                    self._client.disconnect()
                    self._client.loop_write()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._misc is not None:
            self._misc.cancel()
        sock = self._client.socket()
        self._client.on_disconnect = self._client.on_socket_close = self._client.on_socket_unregister_write = None
        if sock is not None:
            self._unwatch(sock)
            sock.close()
        self._empty.set()
        if self._told:
            self._owner.over()
        self._accepted.cancel()
        self._ended.cancel()

    def subscribe(self, filters: Sequence[str], qos: int, with_retained: bool) -> None:
        handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
        if not with_retained:
            handling = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        if self._client.protocol == paho.MQTTv5:
            options = SubscribeOptions(qos=qos, retainHandling=handling)
            _, number = self._client.subscribe([(one, options) for one in filters])
        else:
            _, number = self._client.subscribe([(one, qos) for one in filters])
        self.asking[number] = filters

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> bool:
        return self._client.publish(topic, payload, qos, retain).rc == paho.MQTT_ERR_SUCCESS

    async def drained(self) -> None:
        await self._empty.wait()

    # What the loop tells.

    def _readable(self) -> None:
        for _ in range(PACKETS_AT_ONCE_MAX):
            if self._guarded(self._client.loop_read) or not self._more():
                break
        else:
            self._loop.call_soon(self._readable)  # TLS has read ahead: the socket itself may be silent.
        if self._accepted.done() and not self._told:
            self._told = True
            self._tell(self._owner.accepted, self._accepted.result())
        while self._arrived and self._broken is None:
            self._pass_on(self._arrived.popleft())

    def _more(self) -> bool:
        """Whether TLS has decrypted what was not read yet."""
        sock = self._client.socket()
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def _writable(self) -> None:
        self._guarded(self._client.loop_write)

    def _tick(self) -> None:
        self._misc = self._loop.call_later(MISC_S, self._tick)
        self._guarded(self._client.loop_misc)

    def _guarded(self, call: Callable[[], Any]) -> bool:
        """Call into paho; True where the connection is over. Its parsers raise anything for bytes that are not MQTT."""
        if self._ended.done():
            return True
        try:
            result = call()
        except Exception as error:  # noqa: BLE001
            self.end(f"it does not speak MQTT: {type(error).__name__}: {error}")
            return True
        if result != paho.MQTT_ERR_SUCCESS:
            self.end(paho.error_string(result).rstrip(".").lower())
        return self._ended.done()

    def _pass_on(self, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # No filter of ours can mean it.
        self._tell(self._owner.heard, Message(topic, bytes(message.payload), message.retain))

    def _tell(self, call: Callable[[T], None], what: T) -> None:
        """What breaks in our own hands ends the owner's task, not this callback."""
        try:
            call(what)
        except Exception as error:  # noqa: BLE001
            self._broken = error
            self.end("")

    def end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    # What paho tells.

    def _on_connect(self, _client: Any, _data: Any, flags: paho.ConnectFlags, reason: ReasonCode, _more: Any) -> None:
        if reason.is_failure:
            self.end(f"it refused us: {reason}".lower())
        elif not self._accepted.done():
            self._accepted.set_result(bool(flags.session_present))

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._arrived.append(message)

    def _on_subscribe(self, _client: Any, _data: Any, number: int, reasons: list[ReasonCode], _more: Any) -> None:
        for one, reason in zip(self.asking.pop(number, ()), reasons, strict=False):
            if reason.is_failure:
                self._owner.refused[one] = str(reason).lower()

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, _more: Any) -> None:
        told = flags.is_disconnect_packet_from_server
        words = f"it ended the connection: {reason}".lower() if told else "the connection broke"
        self.end(words + (SHARED_NAME if told and reason.value == SESSION_TAKEN_OVER else ""))

    def _on_socket_close(self, _client: Any, _data: Any, sock: Any) -> None:
        self._unwatch(sock)

    def _unwatch(self, sock: Any) -> None:
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())

    def _on_want_write(self, _client: Any, _data: Any, sock: Any) -> None:
        self._empty.clear()
        self._loop.add_writer(sock.fileno(), self._writable)

    def _on_no_write(self, _client: Any, _data: Any, sock: Any) -> None:
        self._empty.set()
        self._loop.remove_writer(sock.fileno())

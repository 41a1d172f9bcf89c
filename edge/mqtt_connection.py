"""One client of one MQTT broker on the running event loop: it mends its connection by itself, and says what is wrong.

paho-mqtt speaks the protocol and the event loop watches its socket, so all is called in the loop's own thread; only
connecting, which looks up a name and shakes hands, blocks and has a thread for as long as it takes. Every connection
has a client object of its own: nothing of a former one can disturb it, and what was not sent by then is not sent.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.config.broker import Broker
from edge.errors import LineError
from edge.ports import Clock

T = TypeVar("T")

log = logging.getLogger("babbitt.mqtt")

PACKET_BYTES_MAX = 32 * 1024 * 1024
"""What a broker of MQTT 5 is asked never to exceed."""
PACKETS_AT_ONCE_MAX = 64
"""Read before others have their turn."""
PAUSE_S_FIRST = 0.5
CALM_S = 10.0
"""A connection that lasted as long was a sound one: after it the pauses begin anew."""
MISC_S = 1.0
FAREWELL_S = 1.0
SUBSCRIBED_AT_ONCE_MAX = 50
SECRET_BYTES_MAX = 4096
SESSION_TAKEN_OVER = 0x8E
SHARED_NAME = "; if this goes on, another client has the same client_id"


@dataclass(frozen=True, slots=True)
class Message:
    """What came. ``retained``: the broker had kept it from before our subscription."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us when we vanish."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class MqttConnection:
    """A client of ``broker``. Its owner awaits ``run``; everything else is called in between, from the same loop.

    ``hear`` is called with each message. ``connected`` is called at each new connection, with whether the broker still
    has our session, and ``lost`` at its end; ``leaving`` while a connection is about to be closed in good order.
    ``will`` is asked before each connection. The broker keeps our session for ``session_s`` once we are gone; 0: never.
    """

    def __init__(
        self, broker: Broker, *, where: str, session_s: int, clock: Clock, hear: Callable[[Message], None],
        connected: Callable[[bool], None], lost: Callable[[], None] = lambda: None,
        leaving: Callable[[], None] = lambda: None, will: Callable[[], Will | None] = lambda: None,
        random: Random | None = None,
    ) -> None:  # fmt: skip
        self._broker = broker
        self._where = where
        self._session_s = session_s
        self._clock = clock
        self._hear, self._connected, self._lost = hear, connected, lost
        self._leaving, self._will = leaving, will
        self._random = random or SystemRandom()
        self._link: _Link | None = None
        self._trouble = f"broker {broker.host}:{broker.port}: not connected yet"
        self.refused: dict[str, str] = {}
        """Filters that the broker did not let us subscribe to, with its reason."""
        self.connections = 0

    @property
    def trouble(self) -> str:
        """Why nothing can come; empty while it can."""
        if not self._trouble and self._link is not None and self._link.asking:
            return f"broker {self._broker.host}:{self._broker.port}: it has not confirmed our subscriptions yet"
        return self._trouble

    def check(self) -> None:
        """Read the files that connecting needs. Raises ``LineError``."""
        self._password()
        self._tls()

    async def run(self) -> None:
        """Keep connected until cancelled; never raises for trouble of the broker or of the way there."""
        pause_s = 0.0
        short = 0
        while True:
            began_ns, before = self._clock.mono_ns(), self.connections
            trouble = await self._connection()
            calm = self._clock.mono_ns() - began_ns > CALM_S * 1e9
            short = short + 1 if self.connections > before and not calm else 0
            self._say(trouble + (SHARED_NAME if short > 1 else ""))
            pause_s = PAUSE_S_FIRST if calm or not pause_s else min(2 * pause_s, self._broker.backoff_s_max)
            # Many gateways lose one broker at the same moment; they must not come back at the same moment.
            await self._clock.sleep(pause_s * self._random.uniform(0.5, 1.0))

    def subscribe(self, filters: Sequence[str], *, qos: int, with_retained: bool = True) -> None:
        """Ask for ``filters``; without ``with_retained`` what the broker retains comes only for those that are new."""
        if self._link is not None:
            for i in range(0, len(filters), SUBSCRIBED_AT_ONCE_MAX):
                self._link.subscribe(filters[i : i + SUBSCRIBED_AT_ONCE_MAX], qos, with_retained)

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Hand a message to the connection; False where there is none. ``drained`` says when it is out."""
        return self._link is not None and self._link.publish(topic, payload, qos, retain)

    async def drained(self) -> None:
        """Return once all that was published went to the system, or the connection is gone."""
        if self._link is not None:
            await self._link.drained()

    def drop(self, reason: str) -> None:
        """End this connection without a farewell, so that the broker publishes the will, and begin another."""
        if self._link is not None:
            self._link.end(reason)

    def _say(self, trouble: str) -> None:
        """Log trouble once and its end once."""
        trouble = trouble and f"broker {self._broker.host}:{self._broker.port}: {trouble}"
        if trouble and not self._trouble:
            log.warning("%s: %s", self._where, trouble)
        elif not trouble and self.connections:
            log.info("%s: connected to broker %s:%d", self._where, self._broker.host, self._broker.port)
        self._trouble = trouble

    async def _connection(self) -> str:
        """One connection from its beginning to its end; returns why it ended."""
        try:
            link = _Link(await self._open(), self)
        except LineError as error:
            return error.problem
        except (OSError, ValueError) as error:  # A certificate that does not match is a ValueError.
            return _words(error)
        self._link = link
        try:
            return await link.run(self._broker.connect_timeout_s)
        finally:
            self._link = None
            await link.close()

    async def _open(self) -> paho.Client:
        client = self._client()
        options: dict[str, Any] = {}
        if self._broker.version == "5":
            wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            wishes.SessionExpiryInterval = self._session_s
            wishes.MaximumPacketSize = PACKET_BYTES_MAX
            options = {"clean_start": self._session_s == 0, "properties": wishes}
        await asyncio.to_thread(
            client.connect, self._broker.host, self._broker.port, self._broker.keepalive_s, **options
        )
        return client

    def _client(self) -> paho.Client:
        newest = self._broker.version == "5"
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=self._broker.client_id,
            clean_session=None if newest else self._session_s == 0,
            protocol=paho.MQTTv5 if newest else paho.MQTTv311, reconnect_on_failure=False,
        )  # fmt: skip
        client.connect_timeout = self._broker.connect_timeout_s
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._password())
        if (context := self._tls()) is not None:
            client.tls_set_context(context)
        if (will := self._will()) is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        return client

    def _password(self) -> str | None:
        return read_secret(self._broker.password_file, self._where) if self._broker.password_file else None

    def _tls(self) -> ssl.SSLContext | None:
        """Read anew for each connection, so that renewed certificates are taken up."""
        broker = self._broker
        if not broker.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=broker.ca or None)
        except OSError as error:
            raise LineError(self._where, f"ca {broker.ca}: {_words(error)}", "name a PEM file") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _TlsSocket
        if broker.certificate:
            _check_private(Path(broker.key), self._where)
            try:
                context.load_cert_chain(broker.certificate, broker.key, password="")
            except OSError as error:
                raise LineError(
                    self._where, f"certificate {broker.certificate} with key {broker.key}: {_words(error)}",
                    "name PEM files that belong together, the key not encrypted",
                ) from error  # fmt: skip
        return context

    # What the link tells.

    def heard(self, message: Message) -> None:
        self._hear(message)

    def accepted(self, session_present: bool) -> None:
        self.connections += 1
        self.refused.clear()
        self._say("")
        self._connected(session_present)

    def over(self) -> None:
        self._lost()

    def leave(self) -> None:
        self._leaving()


class _Link:
    """One connection: paho's client, its socket watched by the loop, and how it ends."""

    def __init__(self, client: paho.Client, owner: MqttConnection) -> None:
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
        reason = await self._ended
        if self._broken is not None:
            raise self._broken
        return reason

    async def close(self) -> None:
        """End it in good order where it still stands, and let go of the socket."""
        try:
            if self._told and not self._ended.done():
                self._owner.leave()
                async with asyncio.timeout(FAREWELL_S):
                    await self.drained()
                self._client.disconnect()
                self._client.loop_write()
        except TimeoutError:
            pass
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


class _TlsSocket(ssl.SSLSocket):
    """Closed where the handshake fails: paho forgets it there."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def read_secret(path: str, where: str) -> str:
    """The one line of a secret's file. Raises ``LineError`` where it is missing, open to others, or no line."""
    _check_private(Path(path), where)
    try:
        text = Path(path).read_bytes()[: SECRET_BYTES_MAX + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise LineError(where, f"{path}: cannot be read: {error}", "put the password there") from error
    secret = text.rstrip("\r\n")
    if not secret or len(text) > SECRET_BYTES_MAX or "\n" in secret:
        raise LineError(where, f"{path}: holds no password", "one line of UTF-8 text")
    return secret


def _check_private(path: Path, where: str) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise LineError(where, f"{path}: cannot be read: {error.strerror}", "name a file that exists") from error
    if mode & 0o077:
        raise LineError(where, f"{path}: others may read it (mode {mode & 0o777:04o})", f"chmod 600 {path}")


def _words(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not to be trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason or error}"
        case TimeoutError():
            return "no answer"
        case OSError(strerror=str(words)):
            return words.lower()
        case _:
            return str(error) or type(error).__name__

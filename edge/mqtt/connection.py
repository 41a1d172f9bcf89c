"""One client of one MQTT broker on the running event loop: it mends its connection by itself, and says what is wrong.

paho-mqtt speaks the protocol and the event loop watches its socket, so all is called in the loop's own thread; only
connecting, which looks up a name and shakes hands, blocks and has a thread for as long as it takes. Every connection
has a client object of its own: nothing of a former one can disturb it, and what was not sent by then is not sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.config.broker import Broker
from edge.errors import LineError
from edge.mqtt.link import SHARED_NAME, Link, Message
from edge.mqtt.secrets import in_words, password_of, tls_of
from edge.ports import Clock

log = logging.getLogger("babbitt.mqtt")

PACKET_BYTES_MAX = 32 * 1024 * 1024
"""What a broker of MQTT 5 is asked never to exceed."""
PAUSE_S_FIRST = 0.5
CALM_S = 10.0
"""A connection that lasted as long was a sound one: after it the pauses begin anew."""
SUBSCRIBED_AT_ONCE_MAX = 50


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
        self._link: Link | None = None
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
        password_of(self._broker, self._where)
        tls_of(self._broker, self._where)

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
            self.refused = {one: why for one, why in self.refused.items() if one not in filters}
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
            link = Link(await self._open(), self)
        except LineError as error:
            return error.problem
        except (OSError, ValueError) as error:  # A certificate that does not match is a ValueError.
            return in_words(error)
        self._link = link
        try:
            return await link.run(self._broker.connect_timeout_s)
        finally:
            try:
                await link.close()
            finally:
                self._link = None

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
            client.username_pw_set(self._broker.username, password_of(self._broker, self._where))
        if (context := tls_of(self._broker, self._where)) is not None:
            client.tls_set_context(context)
        if (will := self._will()) is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        return client

    # What the link tells.

    def heard(self, message: Message) -> None:
        self._hear(message)

    def accepted(self, session_present: bool) -> None:
        self.connections += 1
        self._say("")
        self._connected(session_present)

    def over(self) -> None:
        self._lost()

    def leave(self) -> None:
        self._leaving()

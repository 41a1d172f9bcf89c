"""Alarms on a broker: every alarm has a retained topic with how it stands, and none once it is over."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from cloud.notify import words
from cloud.notify.channels import NotDeliveredError, context
from cloud.notify.config import Mqtt, Settings
from cloud.notify.incidents import Incident, Kind
from cloud.notify.outbox import Batch

ANSWER_S = 10.0
KEEPALIVE_S = 30


class Topics:
    """One connection, which paho's own thread mends. ``send`` returns once the broker has acknowledged (QoS 1)."""

    gathers = False

    def __init__(self, settings: Settings, mqtt: Mqtt) -> None:
        """Raises ``ConfigError`` for a password or an authority that cannot be read."""
        self._mqtt, self._page = mqtt, settings.file.page
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=mqtt.client_id)
        self._client.max_queued_messages_set(1000)
        self._client.reconnect_delay_set(1, 30)
        if mqtt.user:
            self._client.username_pw_set(mqtt.user, settings.secret(mqtt.password_file))
        if mqtt.tls:
            self._client.tls_set_context(context(settings, mqtt.ca))
        self._begun = False
        self._connected = threading.Event()
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda *_: self._connected.clear()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            self._connected.set()

    async def send(self, batch: Batch) -> None:
        for kind, incident in batch.said:
            await asyncio.to_thread(self._publish, kind, incident)

    def _publish(self, kind: Kind, incident: Incident) -> None:
        if not self._begun:
            self._client.connect_async(self._mqtt.host, self._mqtt.port, KEEPALIVE_S)
            self._client.loop_start()
            self._begun = True
        where = f"{self._mqtt.host}:{self._mqtt.port}"
        if not self._connected.wait(ANSWER_S):
            raise NotDeliveredError(f"{where} is not reached, or takes no such user")
        # An empty retained message takes the topic away.
        payload = "" if kind is Kind.ENDED else json.dumps(words.plain(kind, incident, page=self._page))
        try:
            sent = self._client.publish(topic_of(self._mqtt.topic, incident), payload, qos=1, retain=True)
            sent.wait_for_publish(ANSWER_S)
            is_there = sent.is_published()
        except (RuntimeError, ValueError) as error:
            raise NotDeliveredError(f"{where}: {error}") from error
        if not is_there:
            raise NotDeliveredError(f"{where} has not acknowledged within {ANSWER_S:g} s")

    async def close(self) -> None:
        if self._begun:
            self._client.disconnect()
            await asyncio.to_thread(self._client.loop_stop)
        # It closes its pair of sockets when nothing refers to it, which a cycle would put off.
        self._client.on_connect = self._client.on_disconnect = None


def topic_of(prefix: str, incident: Incident) -> str:
    """``prefix/gateway/asset/rule``; what no topic may hold is replaced by ``_``."""
    parts = (incident.gateway, incident.asset or "-", incident.alarm.rule)
    return "/".join((prefix, *("".join("_" if letter in "+#/\0" else letter for letter in part) for part in parts)))

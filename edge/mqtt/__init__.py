"""A client of an MQTT broker, for drivers and for whatever tells other systems of the gateway."""

from __future__ import annotations

from edge.mqtt.connection import MqttConnection, Will
from edge.mqtt.link import Message

__all__ = ["Message", "MqttConnection", "Will"]

"""Devices that publish to an MQTT broker (port ``Source``): what each message says of which point of which unit.

A message that says something of several points of a unit is heard as one. Silence means that nothing came.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import Random

from paho.mqtt.matcher import MQTTMatcher

from edge.config.lines import Mqtt
from edge.config.profiles.mqtt import MqttProfile
from edge.drivers.mqtt_payload import Arrival, Meaning
from edge.mqtt import Message, MqttConnection
from edge.ports import Clock, Heard, Subject

log = logging.getLogger("babbitt.mqtt")

TOPICS_KNOWN_MAX = 10_000

Reader = tuple[int, int, Meaning]
"""Subject, place and what messages mean there."""


class MqttSource:
    """The ``subjects`` of ``line``, whose profiles are of MQTT."""

    reports_changes = False

    def __init__(self, line: Mqtt, subjects: Sequence[Subject], clock: Clock, *, random: Random | None = None) -> None:
        self._line = line
        self._clock = clock
        self._matcher = MQTTMatcher()  # type: ignore[no-untyped-call]
        self._filters: list[set[str]] = []
        by_filter: dict[str, list[Reader]] = {}
        for i, subject in enumerate(subjects):
            assert isinstance(subject.profile, MqttProfile)
            points = subject.profile.point
            for place, point in enumerate(points):
                by_filter.setdefault(point.filter(subject.at), []).append((i, place, Meaning(point, subject.at)))
            self._filters.append({point.filter(subject.at) for point in points})
        for one, readers in by_filter.items():
            self._matcher[one] = readers
        self._wanted = list(by_filter)
        self._known: dict[str, list[Reader]] = {}
        self._hear: Callable[[Heard], None] = lambda _: None
        self._strangers = 0
        self._connection = MqttConnection(
            line.broker, where=f"line {line.name}", session_s=line.session_s if line.persistent else 0, clock=clock,
            hear=self._message, connected=self._subscribe, random=random,
        )  # fmt: skip

    async def open(self) -> None:
        """Raises ``LineError``."""
        self._connection.check()

    async def run(self, hear: Callable[[Heard], None]) -> None:
        self._hear = hear
        await self._connection.run()

    def trouble(self, subject: int) -> str:
        if self._connection.trouble:
            return self._connection.trouble
        refused = sorted(self._filters[subject] & self._connection.refused.keys())
        if refused:
            return f"the broker refuses {refused[0]}: {self._connection.refused[refused[0]]}"
        return ""

    async def close(self) -> None:
        """Nothing is open beside what ``run`` holds."""

    def _subscribe(self, session_present: bool) -> None:
        """Always anew, since the profiles may have changed; what was retained is only new to a new process."""
        first = self._connection.connections == 1
        if session_present and not first and self._line.broker.version == "3.1.1":
            return  # Subscribing again would bring all that is retained again, as if it were news.
        self._connection.subscribe(self._wanted, qos=self._line.qos, with_retained=first)

    def _message(self, message: Message) -> None:
        readers = self._readers(message.topic)
        arrival = Arrival(
            message.topic, message.payload, message.retained,
            self._clock.wall_ns() if self._clock.trusted() else None, self._line.payload_kb_max * 1024,
        )  # fmt: skip
        told: dict[int, list[tuple[int, Meaning]]] = {}
        for subject, place, meaning in readers:
            told.setdefault(subject, []).append((place, meaning))
        for subject, meanings in told.items():
            readings = [(place, reading) for place, meaning in meanings if (reading := meaning.of(arrival)) is not None]
            if readings:
                self._hear(Heard(
                    subject, tuple(place for place, _ in readings), tuple(answer for _, (answer, _) in readings),
                    tuple(at_ns for _, (_, at_ns) in readings),
                ))  # fmt: skip

    def _readers(self, topic: str) -> list[Reader]:
        readers = self._known.get(topic)
        if readers is None:
            found = self._matcher.iter_match(topic)  # type: ignore[no-untyped-call]
            readers = [reader for some in found for reader in some]
            if len(self._known) >= TOPICS_KNOWN_MAX:
                self._known.clear()
            self._known[topic] = readers
            if not readers:
                self._strange(topic)
        return readers

    def _strange(self, topic: str) -> None:
        """A session of a former configuration still brings what nobody asks for any more."""
        if self._strangers == 0:
            log.info("line %s: %s comes and no point asks for it; it is passed over", self._line.name, topic[:200])
        self._strangers += 1

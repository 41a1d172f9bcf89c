"""Sparkplug B edge nodes (port ``Source``): the gateway is a host application to them.

Nodes report changes: silence of a node that was born and has not died means that nothing changed. Whatever may have
been missed (a gap in the sequence, an unknown alias, a time without connection) makes us wish for a rebirth, at most
one in ``rebirth_s`` and ever more patiently where none comes.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from edge.config.lines import SparkplugHost
from edge.config.profiles.signal import Signal
from edge.config.profiles.sparkplug import SparkplugProfile
from edge.contract.types import Quality
from edge.drivers.source_time import Reading, dated
from edge.drivers.sparkplug_session import Name, NodeSession, Said
from edge.mqtt import Message, MqttConnection, Will
from edge.ports import Answer, Clock, Heard, Subject
from edge.sparkplug import NAMESPACE, Address, Unreadable, decode, parse_topic, rebirth_command

ASK_TICK_S = 0.5
VERBS = frozenset({"NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"})
PATIENCE_MAX = 30
"""How many times ``rebirth_s`` the pause between two wishes grows to."""

Place = tuple[int, int, Signal]
"""Subject, place and point."""


@dataclass(slots=True)
class _Node:
    """One edge node, who listens to which of its metrics, and when it may be asked again."""

    group: str
    name: str
    session: NodeSession = field(default_factory=NodeSession)
    places: dict[Name, list[Place]] = field(default_factory=dict)
    subjects: dict[str, list[int]] = field(default_factory=dict)
    pause_s: float = 0.0
    ask_from_ns: int = 0


class SparkplugSource:
    """The ``subjects`` of ``line``, whose profiles are of Sparkplug."""

    reports_changes = True

    def __init__(
        self, line: SparkplugHost, subjects: Sequence[Subject], clock: Clock, *, random: Random | None = None
    ) -> None:
        self._line = line
        self._clock = clock
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._where: list[tuple[_Node, str]] = []
        self._counts = [len(subject.profile.point) for subject in subjects]
        for i, subject in enumerate(subjects):
            self._place(i, subject)
        self._hear: Callable[[Heard], None] = lambda _: None
        self._since_ms = 0
        self._connection = MqttConnection(
            line.broker, where=f"line {line.name}", session_s=0, clock=clock, hear=self._message,
            connected=self._connected, lost=self._lost, leaving=self._leave, will=self._will, random=random,
        )  # fmt: skip

    def _place(self, i: int, subject: Subject) -> None:
        assert isinstance(subject.profile, SparkplugProfile)
        group, name, device = (*subject.at.split("/"), "")[:3]
        node = self._nodes.setdefault((group, name), _Node(group, name))
        node.subjects.setdefault(device, []).append(i)
        for place, point in enumerate(subject.profile.point):
            node.places.setdefault((device, point.metric), []).append((i, place, point))
        self._where.append((node, device))

    async def open(self) -> None:
        """Raises ``LineError``."""
        self._connection.check()

    async def run(self, hear: Callable[[Heard], None]) -> None:
        self._hear = hear
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            group.create_task(self._ask_forever())

    def trouble(self, subject: int) -> str:
        node, device = self._where[subject]
        words = self._connection.trouble or node.session.trouble(device)
        if not words and node.session.wants_rebirth and node.pause_s > self._line.rebirth_s:
            words = "something of it was missed, and it does not tell all anew though it was asked to"
        return words

    async def close(self) -> None:
        """Nothing is open beside what ``run`` holds."""

    # The connection.

    def _connected(self, _session_present: bool) -> None:
        filters = [f"{NAMESPACE}/{node.group}/+/{node.name}/#" for node in self._nodes.values()]
        if self._line.host_id:
            filters.append(self._state_topic())
        self._connection.subscribe(filters, qos=1)
        self._say_online()
        # What is retained, or told by a node that waits for us, may make the first wish needless.
        for node in self._nodes.values():
            node.pause_s = 0.0
            node.ask_from_ns = self._clock.mono_ns() + int(ASK_TICK_S * 1e9) // 2

    def _lost(self) -> None:
        for node in self._nodes.values():
            node.session.lost()

    def _message(self, message: Message) -> None:
        if message.topic == self._state_topic():
            self._contradict(message.payload)
            return
        address = parse_topic(message.topic)
        node = self._nodes.get((address.group, address.node)) if address is not None else None
        if address is None or node is None or address.verb not in VERBS or message.retained:
            return  # Nothing but STATE is retained; what is, is of unknown age and may be anyone's.
        self._take(node, address, message.payload)

    def _take(self, node: _Node, address: Address, data: bytes) -> None:
        try:
            if len(data) > self._line.payload_kb_max * 1024:
                raise Unreadable(f"a payload of {len(data)} bytes, more than `payload_kb_max`")
            payload = decode(data)
        except Unreadable as error:
            self._undecodable(node, address.device, str(error))
            return
        before = set(node.session.alive)
        said = node.session.take(address, payload)
        self._tell(node, said)
        if address.verb.endswith("BIRTH"):
            self._miss(node, address.device)
        else:
            self._bury(node, before - node.session.alive)
        if not node.session.wants_rebirth:
            node.pause_s = 0.0
        self._ask(node)

    # What is heard.

    def _tell(self, node: _Node, said: Sequence[Said]) -> None:
        """Each subject hears of its own points, in one piece, what one message said of them."""
        now_ns = self._clock.wall_ns() if self._clock.trusted() else None
        told: dict[tuple[int, bool], list[tuple[int, Reading]]] = {}
        for one in said:
            for subject, place, point in node.places.get(one.name, ()):
                answer = _scaled(one.answer, point)
                reading = (answer, None) if one.at_ms is None else dated(answer, one.at_ms * 10**6, now_ns)
                told.setdefault((subject, one.past), []).append((place, reading))
        for (subject, past), readings in told.items():
            self._hear(Heard(
                subject, tuple(place for place, _ in readings), tuple(answer for _, (answer, _) in readings),
                tuple(at_ns for _, (_, at_ns) in readings), past,
            ))  # fmt: skip

    def _bury(self, node: _Node, dead: set[str]) -> None:
        """Who died is bad at once, not at the end of its period."""
        for device in dead:
            self._all_bad(node, device, Answer(None, Quality.BAD_BUS, node.session.trouble(device)))

    def _miss(self, node: _Node, device: str) -> None:
        """A point whose metric was not announced will never be told of."""
        for name, places in node.places.items():
            if name[0] == device and device in node.session.alive and not node.session.knows(name):
                answer = Answer(None, Quality.BAD_DECODE, f"its birth certificate has no metric {name[1]}")
                for subject, place, _ in places:
                    self._hear(Heard(subject, (place,), (answer,)))

    def _undecodable(self, node: _Node, device: str, words: str) -> None:
        node.session.wants_rebirth = True
        self._all_bad(node, device, Answer(None, Quality.BAD_DECODE, words))
        self._ask(node)

    def _all_bad(self, node: _Node, device: str, answer: Answer) -> None:
        for subject in node.subjects.get(device, ()):
            count = self._counts[subject]
            self._hear(Heard(subject, tuple(range(count)), (answer,) * count))

    # Rebirths.

    async def _ask_forever(self) -> None:
        while True:
            await self._clock.sleep(ASK_TICK_S)
            for node in self._nodes.values():
                self._ask(node)

    def _ask(self, node: _Node) -> None:
        if not node.session.wants_rebirth or self._clock.mono_ns() < node.ask_from_ns or self._connection.trouble:
            return
        topic = Address(node.group, "NCMD", node.name).topic()
        if self._connection.publish(topic, rebirth_command(self._now_ms())):
            node.pause_s = min(max(2 * node.pause_s, self._line.rebirth_s), PATIENCE_MAX * self._line.rebirth_s)
            node.ask_from_ns = self._clock.mono_ns() + int(node.pause_s * 1e9)

    # Our own state, for nodes that wait for a host.

    def _state_topic(self) -> str:
        return f"{NAMESPACE}/STATE/{self._line.host_id}"

    def _will(self) -> Will | None:
        self._since_ms = self._now_ms()
        return Will(self._state_topic(), self._state(False), 1, True) if self._line.host_id else None

    def _say_online(self) -> None:
        if self._line.host_id:
            self._connection.publish(self._state_topic(), self._state(True), qos=1, retain=True)

    def _leave(self) -> None:
        if self._line.host_id:
            self._connection.publish(self._state_topic(), self._state(False), qos=1, retain=True)

    def _contradict(self, payload: bytes) -> None:
        """A will of a former connection came late: we are here."""
        try:
            offline = json.loads(payload)["online"] is False
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if offline:
            self._say_online()

    def _state(self, online: bool) -> bytes:
        return json.dumps({"online": online, "timestamp": self._since_ms}).encode()

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // 10**6


def _scaled(answer: Answer, point: Signal) -> Answer:
    value = answer.value
    if (point.scale, point.offset) == (1.0, 0.0) or value is None:
        return answer
    if isinstance(value, bool | str):
        return Answer(None, Quality.BAD_DECODE, f"{value!r} is no number, and the profile scales it")
    scaled = value * point.scale + point.offset
    if not math.isfinite(scaled):
        return Answer(None, Quality.BAD_DECODE, f"{value} leads out of what a number holds")
    return Answer(scaled, answer.quality, answer.detail)

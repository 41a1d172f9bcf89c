"""Which nodes of a server are watched for which points, and what their values mean to those."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from asyncua import ua

from edge.config.profiles.opcua import Point
from edge.contract.types import Quality
from edge.drivers.opcua_subscription import Item, Subscription
from edge.drivers.opcua_values import answer_of, overflowed, quality_of, source_ns
from edge.opcua.nodes import READ_MAX, parse_node, read_namespaces
from edge.opcua.session import Session
from edge.opcua.structures import Structures
from edge.opcua.trouble import Trouble, name_of
from edge.ports import Answer, Clock, Heard, Subject

log = logging.getLogger("babbitt.drivers")

NESTED_MAX = 4
"""Structures within structures whose types are learnt for one value."""

_NO_NODE = {ua.StatusCodes.BadNodeIdUnknown, ua.StatusCodes.BadNodeIdInvalid}

Values = Sequence[tuple[int, ua.DataValue]]


@dataclass(slots=True)
class Node:
    """One node, and what is made of it: subjects' places with the points that they mean. ``missing`` says why none."""

    text: str
    sampling_ms: float
    queue: int
    uses: list[tuple[int, int, Point]] = field(default_factory=list)
    id: ua.NodeId = field(default_factory=ua.NodeId)
    item: int = 0
    missing: str = ""
    overflow_told: bool = False
    clock_told: bool = False


class Watch:
    """All nodes of one line. A node that several points use is watched once."""

    def __init__(
        self, subjects: Sequence[Subject], session: Session, clock: Clock, *, sampling_ms: float,
        missing_retry_s: float,
    ) -> None:  # fmt: skip
        self._missing_retry_s = missing_retry_s
        self._session = session
        self._clock = clock
        self._structures = Structures(session)
        nodes: dict[str, Node] = {}
        for number, subject in enumerate(subjects):
            for place, point in enumerate(subject.profile.point):
                text = point.node_at(subject.at)
                every_ms = sampling_ms if point.sampling_ms is None else point.sampling_ms
                node = nodes.setdefault(text, Node(text, every_ms, point.queue))
                node.sampling_ms = min(node.sampling_ms, every_ms)
                node.queue = max(node.queue, point.queue)
                node.uses.append((number, place, point))
        self._nodes = list(nodes.values())

    def forget_types(self) -> None:
        """Another session may be with another program."""
        self._structures = Structures(self._session)

    async def start(self, subscription: Subscription) -> list[Heard]:
        """Have every node watched; what there is to say of those that cannot be. Raises ``Trouble``."""
        for node in self._nodes:
            node.item = 0
        return await self._start(subscription, range(len(self._nodes)))

    async def start_missing_forever(self, subscription: Subscription) -> AsyncIterator[list[Heard]]:
        while True:
            await self._clock.sleep(self._missing_retry_s)
            missing = [handle for handle, node in enumerate(self._nodes) if node.missing]
            if missing:
                await subscription.leave([self._nodes[handle].item for handle in missing if self._nodes[handle].item])
                yield await self._start(subscription, missing)

    async def _start(self, subscription: Subscription, handles: Sequence[int]) -> list[Heard]:
        nodes = [self._nodes[handle] for handle in handles]
        by_uri = any(node.text.startswith("nsu=") for node in nodes)
        namespaces = await read_namespaces(self._session) if by_uri else ()
        items: list[Item] = []
        for handle, node in zip(handles, nodes, strict=True):
            try:
                node.id, node.missing = parse_node(node.text, namespaces), ""
                items.append(Item(handle, node.id, node.sampling_ms, node.queue))
            except ValueError as error:
                node.missing = str(error)
        for item, (code, number) in zip(items, await subscription.watch(items), strict=True):
            node = self._nodes[item.handle]
            node.item = number
            if quality_of(code).is_bad:
                node.item, node.missing = 0, f"{name_of(code)}: {node.text}"
        return [heard for node in nodes if node.missing for heard in _all(node, Quality.BAD_DEVICE, node.missing)]

    async def heard(self, values: Values) -> list[Heard]:
        """What ``values``, under the handles of their nodes and in order, mean. Raises ``Trouble``."""
        told = _Told()
        now_ns, trusted = self._clock.wall_ns(), self._clock.trusted()
        for handle, value in values:
            if not 0 <= handle < len(self._nodes):
                continue
            node = self._nodes[handle]
            at_ns = source_ns(value, now_ns, trusted=trusted)
            self._doubt(node, value, at_ns)
            if value.StatusCode is not None and value.StatusCode.value in _NO_NODE:
                node.missing = name_of(value.StatusCode.value)
            for subject, place, point in node.uses:
                told.add(subject, place, await self._answer(point, value), at_ns)
        return told.all()

    async def _answer(self, point: Point, value: ua.DataValue) -> Answer:
        answer = answer_of(point, value, self._structures)
        for _ in range(NESTED_MAX):
            if not self._structures.wanted:
                break
            await self._structures.learn()
            answer = answer_of(point, value, self._structures)
        return answer

    async def read_all(self) -> list[Heard]:
        """What every node that is there says now. One whose value cannot be read is bad alone. Raises ``Trouble``."""
        there = [handle for handle, node in enumerate(self._nodes) if not node.missing]
        told: list[Heard] = []
        for start in range(0, len(there), READ_MAX):
            told += await self._read(there[start : start + READ_MAX])
        return told

    async def _read(self, handles: Sequence[int]) -> list[Heard]:
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.NodesToRead = [
            ua.ReadValueId(NodeId=self._nodes[handle].id, AttributeId=ua.AttributeIds.Value) for handle in handles
        ]
        try:
            answer = await self._session.call(request, ua.ReadResponse)
        except Trouble as trouble:
            if not trouble.unread and not trouble.code:
                raise
            if len(handles) == 1:
                return _all(self._nodes[handles[0]], Quality.BAD_DECODE, str(trouble))
            half = len(handles) // 2
            return await self._read(handles[:half]) + await self._read(handles[half:])
        if len(answer.Results) != len(handles):
            raise Trouble("the server answered a read of other nodes")
        return await self.heard(list(zip(handles, answer.Results, strict=True)))

    def _doubt(self, node: Node, value: ua.DataValue, at_ns: int | None) -> None:
        """Tell once of each node what its reader should know."""
        if overflowed(value) and not node.overflow_told:
            node.overflow_told = True
            log.warning("%s: samples were lost in the server's queue: give its point a longer `queue`", node.text)
        if at_ns is None and value.SourceTimestamp is not None and not node.clock_told:
            node.clock_told = True
            log.warning("%s: its time %s cannot be: the arrival is taken instead", node.text, value.SourceTimestamp)


class _Told:
    """Answers gathered into as few ``Heard`` as keep the order: a place that speaks again begins the next."""

    def __init__(self) -> None:
        self._done: list[Heard] = []
        self._open: dict[int, dict[int, tuple[Answer, int | None]]] = {}

    def add(self, subject: int, place: int, answer: Answer, at_ns: int | None) -> None:
        said = self._open.setdefault(subject, {})
        if place in said:
            self._close(subject)
            said = self._open[subject] = {}
        said[place] = (answer, at_ns)

    def _close(self, subject: int) -> None:
        said = self._open.pop(subject)
        self._done.append(
            Heard(subject, tuple(said), tuple(a for a, _ in said.values()), tuple(at for _, at in said.values()))
        )

    def all(self) -> list[Heard]:
        for subject in list(self._open):
            self._close(subject)
        return self._done


def _all(node: Node, quality: Quality, detail: str) -> list[Heard]:
    return [Heard(subject, (place,), (Answer(None, quality, detail),)) for subject, place, _ in node.uses]

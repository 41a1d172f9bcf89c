"""What a host application knows of one Sparkplug edge node: births, aliases, sequence, and who is alive.

Pure: a message goes in, and what it says of which metrics comes out, with whether the node has to tell all anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge.contract.types import Quality, Value
from edge.ports import Answer
from edge.sparkplug import BD_SEQ, Address, Metric, Payload, Unreadable, gap, value_of

METRICS_MAX = 50_000
"""A node that announces more is not believed."""
QUALITY = "Quality"
STALE, GOOD = 500, 192

Name = tuple[str, str]
"""A device (empty for the node itself) and the name of its metric."""


@dataclass(frozen=True, slots=True)
class Said:
    """One metric's value, and the milliseconds at which it was true by the node; None: it has no time.

    ``past``: the node had kept it, and sends it late.
    """

    name: Name
    answer: Answer
    at_ms: int | None
    past: bool = False


class NodeSession:
    """One edge node. ``alive`` holds the devices that were born, with the node itself as the empty name."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.wants_rebirth = True
        """Whether what is known of the node has a hole, which only a rebirth fills."""
        self.words = "no birth certificate came yet"
        """Why nothing of the node can be heard; said of a device where the node is alive."""
        self._types: dict[Name, int] = {}
        self._names: dict[int, Name] = {}
        self._bd_seq: Value = None
        self._seq = 0

    def lost(self) -> None:
        """The way to the node broke: it may have died and been born again meanwhile."""
        self.alive.clear()
        self.wants_rebirth = True
        self.words = "no birth certificate came yet"

    def trouble(self, device: str) -> str:
        """Why nothing can be heard of ``device``; empty where it is alive."""
        if "" not in self.alive:
            return f"edge node: {self.words}"
        return "" if device in self.alive else f"device {device}: {self.words or 'no birth certificate came yet'}"

    def knows(self, name: Name) -> bool:
        """Whether a birth certificate announced that metric."""
        return name in self._types

    def take(self, address: Address, payload: Payload) -> list[Said]:
        """What a message says. A death says nothing; see ``alive``."""
        match address.verb:
            case "NBIRTH":
                return self._node_birth(payload)
            case "NDEATH":
                self._node_death(payload)
            case "DBIRTH" | "DDATA" | "DDEATH" if address.device:
                return self._of_device(address, payload)
            case "NDATA":
                self._follow(payload)
                if "" in self.alive:
                    return list(self._said("", payload))
        return []

    def _of_device(self, address: Address, payload: Payload) -> list[Said]:
        self._follow(payload)
        if "" not in self.alive:
            return []
        device = address.device
        if address.verb == "DDEATH":
            self.alive.discard(device)
            self.words = "it died"
            return []
        if address.verb == "DBIRTH":
            self._announce(device, payload)
        elif device not in self.alive:
            self.wants_rebirth = True
            return []
        return list(self._said(device, payload))

    def _node_birth(self, payload: Payload) -> list[Said]:
        self.alive.clear()
        self._types.clear()
        self._names.clear()
        self.words = ""
        number = payload.named(BD_SEQ)
        self._bd_seq = number.raw if number is not None else None
        self._seq = payload.seq or 0
        self.wants_rebirth = False
        self._announce("", payload)
        return list(self._said("", payload))

    def _node_death(self, payload: Payload) -> None:
        """Only the death that belongs to this birth counts: a broker may deliver a former one late."""
        number = payload.named(BD_SEQ)
        if "" in self.alive and number is not None and number.raw == self._bd_seq:
            self.alive.clear()
            self.words = "it died"

    def _follow(self, payload: Payload) -> None:
        """What is missing in between may have been anything: a birth, a death or the value that stands now."""
        if "" not in self.alive or payload.seq is None or gap(self._seq, payload.seq):
            self.wants_rebirth = True
        self._seq = payload.seq or 0

    def _announce(self, device: str, payload: Payload) -> None:
        self.alive.add(device)
        for metric in payload.metrics:
            if len(self._types) >= METRICS_MAX:
                break
            self._types[device, metric.name] = metric.datatype
            if metric.alias is not None:
                self._names[metric.alias] = (device, metric.name)

    def _said(self, device: str, payload: Payload) -> Iterator[Said]:
        for metric in payload.metrics:
            name = (
                (device, metric.name) if metric.name else self._names.get(-1 if metric.alias is None else metric.alias)
            )
            if name is None or name not in self._types or name[0] != device:
                self.wants_rebirth = True
                continue
            at_ms = metric.timestamp_ms if metric.timestamp_ms is not None else payload.timestamp_ms
            yield Said(name, answer_of(metric, metric.datatype or self._types[name]), at_ms, metric.is_historical)


def answer_of(metric: Metric, datatype: int) -> Answer:
    """Its value with its quality: by its ``Quality`` property (192 good, 500 stale, else bad) where it has one."""
    try:
        value = value_of(metric, datatype)
    except Unreadable as error:
        return Answer(None, Quality.BAD_DECODE, str(error))
    if value is None:
        return Answer(None, Quality.BAD_DEVICE, "null: it has no value")
    quality = metric.properties.get(QUALITY, GOOD)
    if quality == STALE:
        return Answer(value, Quality.UNCERTAIN, "stale by its source")
    if quality != GOOD:
        return Answer(None, Quality.BAD_DEVICE, f"bad by its source: quality {quality}")
    return Answer(value, Quality.GOOD)

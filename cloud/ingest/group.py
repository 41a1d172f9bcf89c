"""Requests on their way through the worker, and the group that is committed together."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cloud.ingest.verify import Part, Sorting
from cloud.store.writer import Delivery, Seen, Writer
from edge.contract.block import Block, Dictionary, open_dictionary
from edge.contract.types import Ack, Key


@dataclass(frozen=True, slots=True)
class Told:
    """What a request's headers say."""

    gateway: str
    epoch: str
    live: bool = True
    oldest: int = 1
    backlog_blocks: int = 0
    backlog_readings: int = 0


@dataclass(frozen=True, slots=True)
class Arrived:
    """Blocks that have just become durable."""

    gateway: str
    at_ns: int
    blocks: tuple[Block, ...]


class RefusedError(Exception):
    """The whole request is refused: ``status``, and ``kind``, one word for counting."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.kind = status, kind


class TooLateError(Exception):
    """It has waited too long for its turn; nothing of it was taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The acknowledgement, and places in the request (from 0) of frames that could not be read."""

    ack: Ack
    unreadable: tuple[tuple[int, str], ...]


@dataclass(slots=True, eq=False)
class Job:
    told: Told
    body: bytes
    answer: asyncio.Future[Answer]
    since_s: float
    blocks_left: int
    readings_left: int
    sorting: Sorting | None = None


@dataclass(slots=True)
class Share:
    """A job's part in a group."""

    job: Job
    part: Part


@dataclass(slots=True)
class Group:
    """What will be in the store once the group is committed, seen together with what is in it already."""

    writer: Writer
    jobs: list[Job] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    coming: dict[Key, tuple[bytes, bool]] = field(default_factory=dict)
    opened: dict[bytes, Dictionary] = field(default_factory=dict)

    @property
    def dictionaries(self) -> Mapping[bytes, Dictionary]:
        return ChainMap(self.opened, self.writer.dictionaries)  # type: ignore[arg-type]  # only read

    def dictionaries_left(self, gateway: str) -> int:
        return self.writer.dictionaries_left(gateway) - len(self.opened)

    def holds(self, key: Key, data: bytes, *, thinned: bool = False) -> Literal["no", "same", "other"]:
        if (coming := self.coming.get(key)) is not None:
            return "same" if coming[0] == data or coming[1] != thinned else "other"
        return self.writer.holds(key, data, thinned=thinned)

    def add(self, share: Share) -> None:
        self.shares.append(share)
        self.coming.update({b.header.key: (data, b.header.thinned) for data, b in share.part.fresh})
        self.opened.update({digest: open_dictionary(data) for digest, data in share.part.dictionaries.items()})


def delivery_of(share: Share, at_ns: int) -> Delivery:
    """What still waits on the gateway once this is acknowledged: it counts what it is sending as well."""
    job, part = share.job, share.part
    job.blocks_left -= len(part.fresh) + len(part.duplicates)
    job.readings_left -= sum(block.header.readings for _, block in part.fresh) + sum(
        d.readings for d in part.duplicates
    )
    seen = Seen(at_ns, max(0, job.blocks_left), max(0, job.readings_left))
    told = job.told
    return Delivery(
        told.gateway, told.epoch, part.fresh, seen, dictionaries=tuple(part.dictionaries.items()),
        oldest=told.oldest, duplicates=part.duplicates, refusals=part.refusals,
    )  # fmt: skip


def answer_to(told: Told, sorting: Sorting, through: int) -> Answer:
    also = tuple(sorted(seq for seq in sorting.held if seq > through))
    wants = tuple(digest.hex() for digest in sorting.wants)
    return Answer(Ack(told.epoch, through, also, tuple(sorting.refused), wants), tuple(sorting.unreadable))

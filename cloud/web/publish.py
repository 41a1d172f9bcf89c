"""From blocks that have just been stored to what live pages are told, without asking the store again."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable
from typing import Any

from cloud.fleet.series import MS_NS, column_of
from cloud.ingest.receive import Arrived
from cloud.web.live import Hub, json_event
from edge.contract.block import Block, Series
from edge.contract.types import ClockSet, Quality, Verdict

POINTS_MAX = 400
"""Polls of one asset in one request beyond which a chart does better to load anew."""


def publish(hub: Hub, arrived: Arrived) -> None:
    """Tell every topic that these blocks concern."""
    by_asset: dict[str, list[Series]] = defaultdict(list)
    verdicts: dict[str, list[Verdict]] = defaultdict(list)
    touched: set[str] = set()
    for block in arrived.blocks:
        for series in block.series:
            by_asset[series.asset].append(series)
        for record in block.records:
            if not isinstance(record, ClockSet):
                touched.add(record.asset)
            if isinstance(record, Verdict):
                verdicts[record.asset].append(record)
        _tell_live(hub, arrived, block)
    hub.touch("fleet")
    for asset in touched | set(by_asset):
        name = ("asset", arrived.gateway, asset)
        hub.touch(name)
        if topic := hub.watched(name):
            topic.send(json_event("points", points(by_asset[asset], verdicts[asset])))


def derived(hub: Hub, gateways: Collection[str]) -> None:
    """What pages show of blocks of these gateways was derived after they were told of them: they look again."""
    hub.touch("fleet")
    for name in hub.names():
        match name:
            case ("asset", gateway, _) if gateway in gateways and (topic := hub.watched(name)):
                topic.dirty.set()
                topic.send(json_event("points", {"reload": True}))


def touch(hub: Hub, gateway: str, asset: str) -> None:
    """What is shown of an asset has changed without a block."""
    hub.touch("fleet")
    hub.touch(("asset", gateway, asset))


async def follow(hub: Hub, trouble: Callable[[], Hashable], *, every_s: float = 1.0) -> None:
    """Have the fleet page drawn anew when what is wrong with the server changes, though nothing arrives."""
    told = trouble()
    while True:
        await asyncio.sleep(every_s)
        told, before = trouble(), told
        if told != before:
            hub.touch("fleet")


def _tell_live(hub: Hub, arrived: Arrived, block: Block) -> None:
    topic = hub.watched("live")
    if topic is None:
        return
    for asset in dict.fromkeys(series.asset for series in block.series):
        series = [s for s in block.series if s.asset == asset]
        event = {
            "gateway": arrived.gateway, "asset": asset, "seq": block.header.key.seq,
            "readings": sum(s.quality.size for s in series),
            "read_ns": max(int(s.read_ns.max()) for s in series),
            "oldest_read_ns": min(int(s.read_ns.min()) for s in series),
            "stored_ns": arrived.at_ns,
        }  # fmt: skip
        topic.send(json_event("stored", event))


def points(series: list[Series], verdicts: list[Verdict]) -> dict[str, Any]:
    """Points for charts: by tag times in ms, values and causes (null where good); ``reload`` where they are many."""
    if sum(len(s.read_ns) for s in series) > POINTS_MAX:
        return {"reload": True}
    tags: dict[str, dict[str, list[Any]]] = {}
    for one in series:
        for tag in one.tags:
            at_ns, numbers, quality = column_of(one, tag)
            found = tags.setdefault(tag, {"t": [], "v": [], "cause": []})
            found["t"] += (at_ns // MS_NS).tolist()
            found["v"] += [v if math.isfinite(v) else None for v in numbers.tolist()]
            found["cause"] += [str(c) if (c := Quality(q).cause) else None for q in quality.tolist()]
    return {"tags": tags, "verdicts": [verdict_point(v) for v in verdicts]}


def verdict_point(verdict: Verdict) -> dict[str, Any]:
    numbers = (*verdict.life_by_condition, verdict.health)
    rul, low, high, health = (v if v is not None and math.isfinite(v) else None for v in numbers)
    return {"t": verdict.at_ns // MS_NS, "rul": rul, "low": low, "high": high, "health": health}

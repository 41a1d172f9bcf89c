"""Live events over real HTTP: at once, bounded, and ended when the server ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.store.lag import Allowance
from cloud.web.live import CLIENTS_MAX, QUEUE_EVENTS_MAX, Client, Event, Hub, TooManyClientsError
from edge.contract.types import LedgerRow, Quality
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, START_NS, Sender, batch, block, cloud, telemetry
from tests.rooms.web.test_pages import verdict
from tests.waiting import DEADLINE_S, until_async

Events = AsyncIterator[tuple[str, str]]


@asynccontextmanager
async def events(url: str) -> AsyncIterator[Events]:
    """Name and data of each event of a stream."""
    async with httpx.AsyncClient(timeout=DEADLINE_S) as client, client.stream("GET", url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield parsed(answer)


async def parsed(answer: httpx.Response) -> Events:
    name, data = "", []
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data.append(line.removeprefix("data: "))
        elif not line and name:
            yield name, "\n".join(data)
            name, data = "", []


async def named(stream: Events, wanted: str) -> str:
    """What the next event says whose name begins so."""
    async with asyncio.timeout(DEADLINE_S):
        async for name, data in stream:
            if name.startswith(wanted):
                return data
    raise AssertionError(f"the stream ended before {wanted}")


def test_each_block_is_told_as_soon_as_it_is_stored(tmp_path: Path) -> None:
    async def story() -> None:
        async with cloud(tmp_path) as sender, events(f"{sender.url}/api/v1/live") as live:
            two = block(1, [batch(1, 1.0), batch(2, 1.0), batch(2.5, 1.0, asset="pump-1")])
            await sender.send(two, telemetry(2))
            told = [json.loads(await named(live, "stored")) for _ in range(3)]
            assert [(one["gateway"], one["asset"], one["readings"]) for one in told] == [
                (GATEWAY, "spindle-1", 6), (GATEWAY, "pump-1", 3), (GATEWAY, "spindle-1", 15),
            ]  # fmt: skip
            assert told[0]["read_ns"] - told[0]["oldest_read_ns"] == 10**9
            took = []
            for seq in (3, 4, 5):
                began = time.monotonic()
                await sender.send(telemetry(2))
                await sender.send(telemetry(seq))
                assert json.loads(await named(live, "stored"))["seq"] == seq
                took.append(time.monotonic() - began)
            assert min(took) < 1

    asyncio.run(story())


def test_a_page_is_sent_its_fragments_and_then_only_what_changed(tmp_path: Path) -> None:
    async def story() -> None:
        async with cloud(tmp_path) as sender:
            await sender.send(block(1, [batch(1, 1.0)], [SPINDLE]))
            async with events(f"{sender.url}/events") as stream:
                assert "Milling spindle 1" in await named(stream, "cards")
                seen = json.loads(await named(stream, "seen"))
                assert set(seen) == {f"{GATEWAY}/spindle-1", GATEWAY}
                await sender.send(telemetry(2))
                names = [(await anext(stream))[0] for _ in range(2)]
                assert names == ["totals", "seen"]

    asyncio.run(story())


def test_an_assets_charts_are_sent_points_with_causes(tmp_path: Path) -> None:
    async def story() -> None:
        async with cloud(tmp_path) as sender:
            await sender.send(block(1, [batch(1, 1.0)], [SPINDLE]))
            async with events(f"{sender.url}/events/{GATEWAY}/spindle-1") as stream:
                await named(stream, "seen")
                await sender.send(block(2, [batch(2, 7.5), batch(3, None, bad=Quality.BAD_BUS)]))
                points = json.loads(await named(stream, "points"))["tags"]["vibration_mm_s"]
                assert points["v"] == [7.5, None]
                assert points["cause"] == [None, "bus"]
                # A drain is not drawn point by point.
                await sender.send(telemetry(3, polls=500))
                assert json.loads(await named(stream, "points")) == {"reload": True}

    asyncio.run(story())


class Busy(Allowance):
    """Of a server that has no time to derive anything until ``is_over``."""

    is_over = False

    def is_left(self) -> bool:
        return self.is_over and super().is_left()


def test_what_is_derived_some_time_after_its_block_came_is_shown_by_itself(tmp_path: Path) -> None:
    async def story() -> None:
        busy = Busy()
        async with cloud(tmp_path, allowance=busy) as sender:
            await sender.send(block(1, records=[SPINDLE]))
            page = f"{sender.url}/events/{GATEWAY}/spindle-1"
            async with events(page) as stream, events(page) as chart:
                await sender.send(block(2, [batch(2, 7.5)], [verdict(rul_h=31.0)]))
                await until(chart, "points", "7.5")
                await until(stream, "judgement", "31 h")
                busy.is_over = True
                await until(stream, "latest", "7.50")
                assert json.loads(await named(chart, "points")) == {"reload": True}

    asyncio.run(story())


def test_a_ledger_that_does_not_hold_is_told_by_itself_and_taken_back_when_it_does(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            cloud(tmp_path, ledger_grace_s=0.0) as sender,
            httpx.AsyncClient(base_url=sender.url, timeout=DEADLINE_S) as client,
        ):
            told = LedgerRow("spindle-1", "vibration_mm_s", START_NS, offered=3, kept=3)
            page = f"events/{GATEWAY}/spindle-1"
            first = block(1, [batch(second, 1.0) for second in range(2)], [SPINDLE])
            await sender.send(first)
            speaking = asyncio.create_task(again_and_again(sender, first))
            async with events(f"{sender.url}/{page}") as stream, events(f"{sender.url}/events") as fleet:
                await sender.send(block(2, records=[told]))
                await until(stream, "alarms", "the ledger does not balance")
                await until(fleet, "card-", "the ledger does not balance")
                asset = (await client.get(f"/api/v1/assets/{GATEWAY}/spindle-1")).json()
                assert [alarm["rule"] for alarm in asset["alarms"]] == ["ledger_mismatch"]
                assert asset["ledger"]["mismatches"][0] | {"hour_s": 0} == {
                    "tag": "vibration_mm_s", "hour_s": 0, "expected": 3, "most": 3, "held": 2,
                }  # fmt: skip
                assert "disagree for 1 signal-hour" in (await client.get(f"/assets/{GATEWAY}/spindle-1")).text
                await sender.send(block(3, records=[replace(told, dropped_power=1)]))
                await until(stream, "alarms", "No standing alarms")
                await until(fleet, "card-", "No standing alarms")
            speaking.cancel()

    asyncio.run(story())


async def again_and_again(sender: Sender, data: bytes) -> None:
    """A gateway that goes on speaking: without it no correction can come, and none is waited for."""
    while True:
        await sender.send(data)
        await asyncio.sleep(0.2)


async def until(stream: Events, wanted: str, said: str) -> None:
    """Read on until an event of this name says it."""
    while said not in await named(stream, wanted):
        pass


async def times_told(stream: Events, name: str, said: str) -> int:
    """How many events of this name come until one says it."""
    count = 1
    while said not in await named(stream, name):
        count += 1
    return count


def test_updates_are_bundled_however_fast_blocks_come(tmp_path: Path) -> None:
    async def story() -> None:
        async with cloud(tmp_path) as sender:
            await sender.send(block(1, [batch(1, 1.0)], [SPINDLE]))
            async with events(f"{sender.url}/events") as stream:
                await named(stream, "seen")
                began = time.monotonic()
                counting = asyncio.create_task(times_told(stream, "totals", "Blocks held</dt><dd>31<"))
                for seq in range(2, 32):
                    await sender.send(telemetry(seq))
                updates = await counting
                assert 1 <= updates <= 4 * (time.monotonic() - began) + 2

    asyncio.run(story())


def test_what_changes_all_the_time_is_drawn_four_times_a_second_at_most() -> None:
    async def story() -> None:
        drawn_s: list[float] = []

        async def render() -> list[Event]:
            drawn_s.append(time.monotonic())
            return []

        hub = Hub()
        client = hub.join("fleet", render)

        def changed() -> bool:
            hub.touch("fleet")
            return len(drawn_s) == 5

        await until_async(changed)
        assert min(after - before for before, after in pairwise(drawn_s)) > 0.249
        hub.leave("fleet", client)

    asyncio.run(story())


def test_an_unknown_asset_has_no_stream(tmp_path: Path) -> None:
    async def story() -> None:
        async with cloud(tmp_path) as sender, httpx.AsyncClient(timeout=DEADLINE_S) as client:
            assert (await client.get(f"{sender.url}/events/nobody/nothing")).status_code == 404

    asyncio.run(story())


async def nothing() -> list[Event]:
    return []


def test_a_client_that_does_not_keep_up_is_told_to_load_anew() -> None:
    async def story() -> None:
        hub = Hub()
        client = hub.join("topic", nothing)
        topic = hub.watched("topic")
        assert topic is not None
        for number in range(QUEUE_EVENTS_MAX + 1):
            topic.send(Event("n", str(number)))
        stream = client.stream()
        assert await anext(stream) == b"retry: 1000\n\n"
        assert await anext(stream) == b"event: resync\ndata: \n\n"
        topic.send(Event("n", "two\nlines"))
        assert await anext(stream) == b"event: n\ndata: two\ndata: lines\n\n"
        hub.close()
        assert [chunk async for chunk in stream] == []
        hub.leave("topic", client)
        assert hub.clients == 0

    asyncio.run(story())


def test_the_number_of_open_pages_has_a_limit() -> None:
    async def story() -> None:
        hub = Hub()
        clients: list[Any] = [hub.join("topic", nothing) for _ in range(CLIENTS_MAX)]
        with pytest.raises(TooManyClientsError):
            hub.join("topic", nothing)
        hub.leave("topic", clients.pop())
        clients.append(hub.join("topic", nothing))
        for client in clients:
            hub.leave("topic", client)

    asyncio.run(story())


def test_a_large_fleet_fits_a_page_that_has_just_been_opened() -> None:
    async def story() -> None:
        fleet = [Event(f"card-{number}", "new", number) for number in range(4 * QUEUE_EVENTS_MAX)]

        async def render() -> list[Event]:
            return fleet

        hub = Hub()
        first = hub.join("fleet", render)
        names = await taken(first, len(fleet))
        assert names == [event.name for event in fleet]
        # Who comes later is sent everything, and nobody else anything again.
        second = hub.join("fleet", render)
        assert await taken(second, len(fleet)) == names
        topic = hub.watched("fleet")
        assert topic is not None
        topic.send(Event("marker", ""))
        assert await taken(first, 1) == ["marker"]
        hub.leave("fleet", first)
        hub.leave("fleet", second)

    asyncio.run(story())


async def taken(client: Client, count: int) -> list[str]:
    """The names of the next ``count`` events."""
    names: list[str] = []
    stream = client.stream()
    async with asyncio.timeout(DEADLINE_S):
        async for chunk in stream:
            names += [line[7:] for line in chunk.decode().splitlines() if line.startswith("event: ")]
            if len(names) == count:
                break
    await stream.aclose()
    return names


def test_of_a_fragment_that_waits_only_the_newest_is_sent() -> None:
    async def story() -> None:
        client = Client()
        for number in range(10_000):
            client.send(Event("card", str(number), number))
        client.send(Event("news", "one"))
        stream = client.stream()
        assert [await anext(stream) for _ in range(3)] == [
            b"retry: 1000\n\n", b"event: card\ndata: 9999\n\n", b"event: news\ndata: one\n\n",
        ]  # fmt: skip

    asyncio.run(story())


def test_a_carriage_return_cannot_begin_an_event_of_its_own() -> None:
    assert Event("n", "a\revent: cards\r\nb").encode() == b"event: n\ndata: a\ndata: event: cards\ndata: \ndata: b\n\n"


def test_a_page_that_cannot_be_drawn_is_cut_off_rather_than_called_live() -> None:
    async def story() -> None:
        async def render() -> list[Event]:
            raise OSError("the disk has gone")

        hub = Hub()
        client = hub.join("fleet", render)
        async with asyncio.timeout(DEADLINE_S):
            assert [chunk async for chunk in client.stream()] == [b"retry: 1000\n\n"]
        hub.leave("fleet", client)
        assert hub.clients == 0

    asyncio.run(story())

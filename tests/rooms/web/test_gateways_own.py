"""Alarms of a gateway itself: an asset without tags, and before anybody has introduced it."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from edge.contract.types import Alarm, AlarmState, Priority
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, Sender
from tests.rooms.web.test_pages import now_block, tell


def own(state: AlarmState, seq: int) -> Alarm:
    now = time.time_ns() + seq
    sentence = f"{GATEWAY} has 10 MB free on its disk, less than 64"
    return Alarm(
        GATEWAY, "disk_full", "", Priority.HIGH, state, now, now, 10.0, sentence, "the disk is full", "make room"
    )


def test_it_stands_on_the_fleet_page_on_its_own_and_in_the_api_and_ends(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        await sender.send(now_block(1, SPINDLE, own(AlarmState.UNACKNOWLEDGED, 1)))
        fleet = (await client.get("/")).text
        assert "has 10 MB free on its disk" in fleet
        page = await client.get(f"/assets/{GATEWAY}/{GATEWAY}")
        assert page.status_code == 200
        for words in ("has 10 MB free on its disk", "the disk is full", "make room"):
            assert words in page.text
        api = (await client.get(f"/api/v1/assets/{GATEWAY}/{GATEWAY}")).json()
        assert [alarm["rule"] for alarm in api["alarms"]] == ["disk_full"]
        await sender.send(now_block(2, own(AlarmState.NORMAL, 2)))
        assert (await client.get(f"/api/v1/assets/{GATEWAY}/{GATEWAY}")).json()["alarms"] == []
        cards = (await client.get("/api/v1/fleet")).json()["assets"]
        assert [card["asset"] for card in cards] == [SPINDLE.asset], "no card of a gateway that is well"

    tell(tmp_path, story)

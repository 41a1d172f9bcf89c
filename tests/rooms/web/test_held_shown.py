"""Alarms that are held back, latched, called again: what the pages and the API say of them, and what they count."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import httpx

from edge.contract.types import AlarmState, Held
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, Sender
from tests.rooms.web.test_pages import alarm, now_block, tell, verdict

HOUR_NS = 3600 * 10**9


def test_what_is_held_is_counted_apart_with_who_and_why(tmp_path: Path) -> None:
    until_ns = time.time_ns() + 2 * HOUR_NS
    shelved = replace(
        alarm("Spindle flow is low"), rule="flow_low", held=Held.SHELVED, until_ns=until_ns, by="lisa", why="<filter>"
    )
    out = replace(
        alarm("", AlarmState.NORMAL), rule="noise", held=Held.OUT_OF_SERVICE, by="tom", why="the sensor is away"
    )
    latched = replace(
        alarm("Spindle: Vibration is back at 2.1 mm/s", AlarmState.ACKNOWLEDGED), latched=True, first=True, repeats=2,
        by="lisa", why="bearing is ordered",
    )  # fmt: skip

    at_rest = replace(alarm("", AlarmState.NORMAL), rule="stopped", held=Held.SUPPRESSED, by="gateway")

    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        await sender.send(now_block(1, SPINDLE, verdict(), shelved, out, latched, at_rest))
        page = (await client.get(f"/assets/{GATEWAY}/spindle-1")).text
        assert "acknowledged, latched until it is reset, the first of its group, called 3 times" in page
        assert "Acknowledged by lisa: bearing is ordered" in page
        assert "Held back: 2" in page, "what is suppressed by design and would not stand is nobody's matter"
        assert "shelved until <time" in page
        assert "by lisa: &lt;filter&gt;" in page
        assert "out of service by tom: the sensor is away" in page
        assert "normal beneath" in page
        assert "2 alarms held back" in (await client.get("/")).text
        told = await sender.get(f"/api/v1/assets/{GATEWAY}/spindle-1")
        assert [one["rule"] for one in told["alarms"]] == ["zone_d"]
        assert {(one["rule"], one["held"], one["by"]) for one in told["held_alarms"]} == {
            ("flow_low", "shelved", "lisa"),
            ("noise", "out of service", "tom"),
        }
        back = replace(out, held=Held.NOT, by="", why="")
        await sender.send(now_block(2, replace(shelved, held=Held.NOT, until_ns=0, at_ns=time.time_ns()), back))
        told = await sender.get(f"/api/v1/assets/{GATEWAY}/spindle-1")
        assert {one["rule"] for one in told["alarms"]} == {"flow_low", "zone_d"}
        assert told["held_alarms"] == []

    tell(tmp_path, story)

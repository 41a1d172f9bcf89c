"""Pages and API as a client sees them: whole without a script, safe whatever a gateway says, JSON beside each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.fleet.overview import Glance
from cloud.web import words
from cloud.web.drawings import curve, life_bar, life_x
from cloud.web.pages import card_name
from edge.contract.types import (
    Alarm,
    AlarmState,
    Asset,
    Priority,
    Quality,
    Reason,
    Record,
    Tag,
    Urgency,
    Verdict,
    urgency_of,
)
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, Sender, batch, block, cloud
from tests.waiting import DEADLINE_S

Story = Callable[[Sender, httpx.AsyncClient], Coroutine[Any, Any, None]]


def tell(tmp_path: Path, story: Story) -> None:
    async def whole() -> None:
        async with cloud(tmp_path) as sender, httpx.AsyncClient(base_url=sender.url, timeout=DEADLINE_S) as client:
            await story(sender, client)

    asyncio.run(whole())


def verdict(asset: str = "spindle-1", rul_h: float | None = 31.0) -> Verdict:
    low, high = (None, None) if rul_h is None else (rul_h * 0.6, rul_h * 1.4)
    return Verdict(
        asset, time.time_ns(), "9f3c" * 16, 34.4, 1.7, True, rul_h, low, high, urgency_of(low),
        (Reason("vibration_mm_s", 0.46, "vibration is 3.1 times what is normal"),), 0.98, "" if rul_h else "42 of 120",
    )  # fmt: skip


def alarm(sentence: str, state: AlarmState = AlarmState.UNACKNOWLEDGED) -> Alarm:
    now = time.time_ns()
    return Alarm(
        "spindle-1", "zone_d", "vibration_mm_s", Priority.HIGH, state, now, now, 4.6, sentence, "wear", "stop it"
    )


def now_block(seq: int, *records: Record, bad: Quality | None = None) -> bytes:
    return block(seq, [batch(0, 4.61, bad=bad, from_ns=time.time_ns())], records)


def test_without_a_gateway_the_page_says_what_to_do(tmp_path: Path) -> None:
    async def story(_: Sender, client: httpx.AsyncClient) -> None:
        page = (await client.get("/")).text
        assert "No gateway has reported yet" in page
        assert "babbitt cloud token" in page

    tell(tmp_path, story)


def test_the_fleet_is_shown_worst_first_in_words(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        pump = Asset("pump-1", "Coolant pump", "centrifugal_pump", SPINDLE.tags, 1000, 1)
        records: list[Record] = [
            pump,
            verdict("pump-1", 700.0),
            SPINDLE,
            verdict(),
            alarm("Milling spindle 1 vibrates at 4.61 mm/s"),
        ]
        await sender.send(now_block(1, *records), Babbitt_Backlog_Readings="1243")  # three of them in this request
        page = (await client.get("/")).text
        assert "1 machine needs a person now" in page
        assert page.index("Milling spindle 1") < page.index("Coolant pump")
        for said in (
            "CRITICAL",
            "NORMAL",
            "31 h (19–43 h)",
            "CNC spindle",
            "vibrates at 4.61",
            "1,240 readings waiting",
        ):
            assert said in page, said
        told = await sender.get("/api/v1/fleet")
        assert [(one["asset"], one["urgency"]) for one in told["assets"]] == [
            ("spindle-1", "CRITICAL"), ("pump-1", "NORMAL"),
        ]  # fmt: skip
        assert told["gateways"][0]["backlog_readings"] == 1240

    tell(tmp_path, story)


def test_an_asset_is_shown_in_full(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        await sender.send(now_block(1, SPINDLE, verdict(), alarm("It vibrates"), bad=Quality.BAD_BUS))
        page = (await client.get(f"/assets/{GATEWAY}/spindle-1")).text
        for said in (
            "31 h", "19 h to 43 h", "34", "46 %", "vibration is 3.1 times", "It vibrates", "stop it", "9f3c9f3c9f3c",
            "98 % of expected data good", "no answer on the bus", "never good", "40.0 °C", "held here, good",
        ):  # fmt: skip
            assert said in page, said
        told = await sender.get(f"/api/v1/assets/{GATEWAY}/spindle-1")
        assert told["latest"][0]["quality"] == Quality.BAD_BUS
        assert [tag["tag"] for tag in told["charts"]] == ["vibration_mm_s", "bearing_temperature_c"]
        assert told["ledger"]["held_bad"] == 1

    tell(tmp_path, story)


def test_too_little_evidence_is_said_and_not_guessed(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        await sender.send(now_block(1, SPINDLE, verdict(rul_h=None)))
        assert "not enough evidence" in (await client.get("/")).text
        page = (await client.get(f"/assets/{GATEWAY}/spindle-1")).text
        assert "Not enough evidence" in page
        assert "42 of 120" in page

    tell(tmp_path, story)


def test_what_a_gateway_says_never_becomes_markup(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        evil = "<script>alert(1)</script>"
        tag = Tag("vibration_mm_s", evil, evil, "vibration", 2)
        await sender.send(now_block(1, Asset("spindle-1", evil, evil, (tag,), 1000, 1), verdict(), alarm(evil)))
        for path in ("/", f"/assets/{GATEWAY}/spindle-1", "/assets/%3Cscript%3E/x"):
            answer = await client.get(path)
            assert "<script>alert" not in answer.text
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy

    tell(tmp_path, story)


def test_every_card_has_a_name_of_its_own() -> None:
    asset = Glance(
        gateway="line", asset="1-pump", name="", asset_class="", period_ms=1, urgency=Urgency.NORMAL, verdict=None,
        alarms=(), last_read_ns=0, backlog_readings=0, healths=(),
    )  # fmt: skip
    other = replace(asset, gateway="line-1", asset="pump")
    odd = replace(asset, asset="a b,c")
    names = {card_name(one) for one in (asset, other, odd)}
    assert len(names) == 3
    assert all(name.replace("-", "").isalnum() for name in names)


def test_series_over_the_api(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        await sender.send(now_block(1, SPINDLE, verdict()))
        query: dict[str, Any] = {
            "gateway": GATEWAY,
            "asset": "spindle-1",
            "tag": ["vibration_mm_s", "running"],
            "range_s": 60,
        }
        told = await sender.get("/api/v1/series", **query)
        assert [(s["tag"], s["resolution"], s["value"]) for s in told["signals"]] == [
            ("vibration_mm_s", "raw", [4.61]), ("running", "raw", [1.0]),
        ]  # fmt: skip
        assert told["verdicts"]["rul"] == [31.0]
        assert await sender.get("/api/v1/series", **{**query, "range_s": 9_000_000_000_000})
        for wrong in ({"from_ms": "yesterday"}, {"from_ms": 9, "to_ms": 3}, {"to_ms": "9" * 30}, {"tag": ["x"] * 40}):
            answer = await client.get("/api/v1/series", params={**query, **wrong})
            assert (answer.status_code, "error" in answer.json()) == (400, True)
        assert (await client.get("/api/v1/series", params={"asset": "x"})).status_code == 404

    tell(tmp_path, story)


def test_what_is_not_there_is_a_404_in_the_askers_language(tmp_path: Path) -> None:
    async def story(_: Sender, client: httpx.AsyncClient) -> None:
        for path in ("/nowhere", "/assets/a/b"):
            answer = await client.get(path)
            assert (answer.status_code, "Back to the fleet" in answer.text) == (404, True)
        for path in ("/api/v1/nowhere", "/api/v1/assets/a/b"):
            answer = await client.get(path)
            assert (answer.status_code, "error" in answer.json()) == (404, True)
        assert (await client.get("/static/../app.py")).status_code == 404

    tell(tmp_path, story)


def test_a_clock_that_is_ahead_is_said_and_its_readings_are_shown(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        ahead_ns = time.time_ns() + 3 * 3600 * 10**9
        await sender.send(block(1, [batch(second, 1.5, from_ns=ahead_ns) for second in range(9)], [SPINDLE]))
        for path in ("/", "/assets/gateway-1/spindle-1"):
            page = (await client.get(path)).text
            assert 'class="seen ahead"' in page
            assert ">3 h ahead</time>" in page
        query = {"gateway": GATEWAY, "asset": "spindle-1", "tag": "vibration_mm_s", "range_s": 60}
        assert (await sender.get("/api/v1/series", **query))["signals"][0]["value"] == [1.5] * 9

    tell(tmp_path, story)


def test_figures_as_people_read_them() -> None:
    assert words.rul(verdict(rul_h=31.0)) == "31 h (19–43 h)"
    assert words.rul(verdict(rul_h=4.0)) == "4.0 h (2.4–5.6 h)"
    assert words.rul(None) == "not enough evidence"
    assert words.class_title("cnc_spindle") == "CNC spindle"
    assert words.value(Tag("t", "mm/s", "", "vibration", 2), 1234.5678) == "1,234.57 mm/s"
    assert words.value(Tag("running", "", "", "state", 0), True) == "yes"
    assert words.quality(Quality.BAD_DEVICE) == "the device has no value"
    assert [words.ago(s) for s in (3, 200, 9000, 400_000)] == ["3 s ago", "3 min ago", "2 h ago", "5 d ago"]
    assert words.freshness(0, 4 * 10**9, 1000) == "fresh"
    assert words.freshness(0, 30 * 10**9, 1000) == "late"
    assert words.freshness(0, 90 * 10**9, 1000) == "gone"
    assert words.freshness(0, 90 * 10**9, 60_000) == "fresh"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((2, 1, 0, 0), "2 machines need a person now"),
        ((0, 1, 5, 0), "1 machine to plan for this week"),
        ((0, 0, 3, 0), "All machines have more than a week to go"),
        ((0, 0, 2, 1), "2 machines with more than a week to go"),
        ((0, 0, 0, 3), "3 machines, still gathering evidence"),
    ],
)
def test_the_fleet_in_one_sentence(counts: tuple[int, int, int, int], said: str) -> None:
    assert words.headline(*counts) == said


def test_the_bar_of_life_gives_each_urgency_a_third() -> None:
    assert [life_x(h) for h in (-5, 0, 48, 168, 672, 10_000)] == [0, 0, 100, 200, 300, 300]
    bar = life_bar(verdict(rul_h=48.0))
    assert bar is not None
    assert bar.low < 100 < bar.low + bar.width
    assert life_bar(verdict(rul_h=None)) is None
    assert urgency_of(47.9) is Urgency.CRITICAL


def test_a_curve_of_health_stays_in_its_box() -> None:
    assert curve([50.0]) == ""
    points = [tuple(map(float, p.split(","))) for p in curve([120.0, 50.0, -20.0]).split()]
    assert points == [(0, 2), (60, 16), (120, 30)]

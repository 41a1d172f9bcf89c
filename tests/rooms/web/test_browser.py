"""A real Chromium looks at the pages: live without a reload, on a phone without scrolling sideways, and no error."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect, sync_playwright

from cloud.cli import cloud
from edge.commission.report import report_html
from edge.contract.types import Cause, Dropped, Quality, Record
from tests.rooms.cloud.sending import SPINDLE, CloudProcess, batch, block, cloud_process
from tests.rooms.commission.test_report import found
from tests.rooms.web.test_pages import alarm, verdict
from tests.waiting import DEADLINE_S

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOURS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(400)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("no Chromium; on Debian: apt install chromium")
    expect.set_options(timeout=DEADLINE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path, free_port: int) -> Iterator[CloudProcess]:
    with cloud_process(tmp_path, free_port) as process:
        yield process


def send(process: CloudProcess, seq: int, *records: Record, bad: Quality | None = None, vibration: float = 4.6) -> None:
    """One poll, read just now."""
    send_block(process, block(seq, [batch(0, vibration, bad=bad, from_ns=time.time_ns())], records))


def send_block(process: CloudProcess, data: bytes) -> None:
    """In a thread, since Playwright's own loop runs in this one."""
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(asyncio.run(process.sender.send(data)).status_code))
    thread.start()
    thread.join(DEADLINE_S)
    assert answers == [200]


def opened(browser: Browser, *, width: int = 1280, height: int = 800, dark: bool = False) -> tuple[Page, list[str]]:
    """A page and what it complains about."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    page.set_default_timeout(DEADLINE_S * 1000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def test_the_fleet_fills_by_itself_and_leads_to_the_asset(browser: Browser, served: CloudProcess) -> None:
    page, complaints = opened(browser)
    page.goto(served.sender.url)
    expect(page.get_by_role("heading", name="No gateway has reported yet")).to_be_visible()
    send(served, 1, SPINDLE, verdict(rul_h=700.0))
    expect(page.locator(".card .badge")).to_have_text("NORMAL")
    send(served, 2, verdict(rul_h=31.0), alarm("Milling spindle 1 vibrates at 4.61 mm/s"))
    expect(page.locator(".card .badge")).to_have_text("CRITICAL")
    expect(page.get_by_role("heading", name="1 machine needs a person now")).to_be_visible()

    page.get_by_role("link", name="Milling spindle 1, details").click()
    expect(page).to_have_url(f"{served.sender.url}/assets/gateway-1/spindle-1")
    expect(page.locator(".asset-badge .badge")).to_have_text("CRITICAL")
    expect(page.locator(".answer b").first).to_have_text("31 h")
    expect(page.locator(".alarms .sentence")).to_have_text("Milling spindle 1 vibrates at 4.61 mm/s")
    send(served, 3, verdict(rul_h=12.0), vibration=7.89)
    expect(page.locator(".answer b").first).to_have_text("12 h")
    expect(page.locator("[data-tag=vibration_mm_s] output")).to_have_text("7.89 mm/s")
    send(served, 4, bad=Quality.BAD_BUS)
    expect(page.locator(".quality.bad")).to_have_text("✕ no answer on the bus")
    assert complaints == []
    page.close()


TELLS_WHEN_CARDS_COME = """() => document.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (event.target.closest(".cards")) document.body.dataset.cards = "came";
}, { capture: true })"""


def test_cards_that_are_renewed_while_one_is_pressed_let_it_take_the_click(
    browser: Browser, served: CloudProcess
) -> None:  # fmt: skip
    send(served, 1, SPINDLE, verdict(rul_h=31.0))
    page, complaints = opened(browser)
    page.goto(served.sender.url)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.evaluate(TELLS_WHEN_CARDS_COME)
    page.get_by_role("link", name="Milling spindle 1, details").hover()
    page.mouse.down()
    send(served, 2, replace(SPINDLE, asset="another", name="Another"))
    expect(page.locator("body")).to_have_attribute("data-cards", "came")
    page.mouse.up()
    expect(page).to_have_url(f"{served.sender.url}/assets/gateway-1/spindle-1")
    assert complaints == []
    page.close()


def test_what_came_while_something_was_pressed_is_shown_afterwards(browser: Browser, served: CloudProcess) -> None:
    send(served, 1, SPINDLE, verdict(rul_h=31.0))
    page, complaints = opened(browser)
    page.goto(served.sender.url)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.evaluate(TELLS_WHEN_CARDS_COME)
    page.mouse.move(2, 2)
    page.mouse.down()
    send(served, 2, verdict(rul_h=12.0))
    expect(page.locator("body")).to_have_attribute("data-cards", "came")
    expect(page.locator(".card")).to_contain_text("31 h")
    page.mouse.up()
    expect(page.locator(".card")).to_contain_text("12 h")
    page.mouse.down(button="right")  # Whose end a menu may keep for itself.
    send(served, 3, verdict(rul_h=5.5))
    expect(page.locator(".card")).to_contain_text("5.5 h")
    assert complaints == []
    page.close()


def test_of_what_came_while_something_was_pressed_the_newest_is_shown_also_where_its_card_is_a_new_one(
    browser: Browser, served: CloudProcess
) -> None:
    send(served, 1, SPINDLE, verdict(rul_h=31.0))
    page, complaints = opened(browser)
    page.goto(served.sender.url)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.evaluate(TELLS_WHEN_CARDS_COME)
    page.mouse.move(2, 2)
    page.mouse.down()
    send(served, 2, replace(SPINDLE, asset="another", name="Another"))
    expect(page.locator("body")).to_have_attribute("data-cards", "came")
    page.evaluate("document.body.dataset.cards = ''")
    send(served, 3, verdict(rul_h=12.0))
    expect(page.locator("body")).to_have_attribute("data-cards", "came")
    page.mouse.up()
    expect(page.locator(".card").first).to_contain_text("12 h")
    assert complaints == []
    page.close()


def test_a_new_card_follows_its_machine_at_once_also_where_the_browsers_timers_are_late(
    browser: Browser, served: CloudProcess
) -> None:
    """As those of a tab in the background are, by up to a minute."""
    send(served, 1, SPINDLE, verdict(rul_h=31.0))
    page, complaints = opened(browser)
    page.clock.install()
    page.goto(served.sender.url)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.clock.pause_at(time.time() + 3600)
    send(served, 2, replace(SPINDLE, asset="another", name="Another"))
    expect(page.locator(".card")).to_have_count(2)
    send(served, 3, verdict(rul_h=12.0))
    expect(page.locator(".card").first).to_contain_text("12 h")
    assert complaints == []
    page.close()


def test_charts_draw_what_was_stored_before(browser: Browser, served: CloudProcess) -> None:
    for seq in range(1, 4):
        send(served, seq, SPINDLE, verdict(), vibration=float(seq))
    page, complaints = opened(browser, dark=True)
    page.goto(f"{served.sender.url}/assets/gateway-1/spindle-1?range=1h")
    expect(page.locator(".chart output").nth(1)).to_have_text("3.00 mm/s")
    expect(page.locator(".chart output").first).to_have_text("31 h (19–43)")
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('.chart canvas')].map(c =>"
        " c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x))"
    )
    assert drawn == [True] * 3
    assert complaints == []
    page.close()


@pytest.mark.parametrize("word", ["above 4.5", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 2])
@pytest.mark.parametrize("width", [320, 360])
def test_nothing_runs_off_a_phone(browser: Browser, served: CloudProcess, width: int, word: str) -> None:
    send(served, 1, replace(SPINDLE, name=word), verdict(), alarm(f"Milling spindle 1 vibrates at 4.61 mm/s, {word}"))
    page, complaints = opened(browser, width=width, height=740)
    for path in ("/", "/assets/gateway-1/spindle-1", "/nowhere-" + "x" * 80):
        page.goto(served.sender.url + path)
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
    assert [c for c in complaints if "404" not in c] == []
    page.close()


@pytest.mark.parametrize("span", ["5m", "1h"])
def test_what_does_not_come_any_more_is_a_gap_to_the_charts_end(
    browser: Browser, served: CloudProcess, span: str
) -> None:
    data = block(1, [batch(second, 2.0, from_ns=time.time_ns() - 200 * 10**9) for second in range(9)], [SPINDLE])
    send_block(served, data)
    page, complaints = opened(browser)
    page.goto(f"{served.sender.url}/assets/gateway-1/spindle-1?range={span}")
    chart = page.locator("[data-tag=vibration_mm_s]")
    expect(chart.locator("output")).to_have_text("2.00 mm/s")
    gap = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--gap').trim()")
    near_the_end = (
        "([canvas, gap]) => { const c = canvas.getContext('2d'), r = devicePixelRatio;"
        " const probe = document.createElement('canvas').getContext('2d');"
        " probe.fillStyle = gap; probe.fillRect(0, 0, 1, 1);"
        " const want = [...probe.getImageData(0, 0, 1, 1).data].join();"
        " const from = canvas.width - 29 * r - 9, at = x => [...c.getImageData(from + x, 40 * r, 1, 1).data].join();"
        " return [[...Array(9).keys()].map(at), want]; }"
    )
    found, wanted = page.evaluate(near_the_end, [chart.locator("canvas").element_handle(), gap])
    # At a round minute a line of the grid is drawn over it.
    assert found.count(wanted) >= 6, found
    assert complaints == []
    page.close()


CAUSES = [Cause.DISK, Cause.POWER, Cause.CAP, Cause.CLOCK]


def test_each_gap_has_its_cause_in_words_and_in_a_colour_of_its_own(browser: Browser, served: CloudProcess) -> None:
    begin_ns = time.time_ns() - 250 * 10**9
    polls = [batch(second, 2.0, from_ns=begin_ns) for at in range(0, 200, 40) for second in range(at, at + 20)]
    lost = [
        Dropped(
            "spindle-1", "vibration_mm_s", cause, 20, begin_ns + (40 * i + 21) * 10**9, begin_ns + (40 * i + 39) * 10**9
        )
        for i, cause in enumerate(CAUSES)
    ]
    send_block(served, block(1, polls, [SPINDLE, *lost]))
    page, complaints = opened(browser)
    page.goto(f"{served.sender.url}/assets/gateway-1/spindle-1")
    chart = page.locator("[data-tag=vibration_mm_s]")
    expect(chart.locator("output")).to_have_text("2.00 mm/s")
    found = page.evaluate(
        "([canvas, causes]) => { const c = canvas.getContext('2d');"
        " const probe = document.createElement('canvas').getContext('2d');"
        " const top = c.getImageData(0, 9 * devicePixelRatio, canvas.width, 1).data, seen = new Set();"
        " for (let x = 0; x < canvas.width; x += 1) seen.add([...top.slice(4 * x, 4 * x + 4)].join());"
        " return causes.map((cause) => { probe.fillStyle = getComputedStyle(document.documentElement)"
        ".getPropertyValue(`--cause-${cause}`); probe.fillRect(0, 0, 1, 1);"
        " return seen.has([...probe.getImageData(0, 0, 1, 1).data].join()); }); }",
        [chart.locator("canvas").element_handle(), [str(cause) for cause in CAUSES]],
    )
    assert found == [True] * len(CAUSES)
    for words in (
        "the gateway's disk",
        "power cut",
        "over the store's cap",
        "the gateway's clock",
        "extremes and events kept",
    ):
        expect(page.locator(".key")).to_contain_text(words)
    chart.scroll_into_view_if_needed()
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    chart.locator(".u-over").hover(position={"x": box["width"] * 30 / 250, "y": 40})
    expect(chart.locator("output")).to_contain_text("lost: the gateway's disk")
    assert complaints == []
    page.close()


def test_a_lost_connection_is_said_and_mended(browser: Browser, served: CloudProcess) -> None:
    send(served, 1, SPINDLE, verdict(rul_h=700.0))
    page, _ = opened(browser)
    page.goto(served.sender.url)
    expect(page.locator("#link-state")).to_have_text("live")
    served.kill()
    expect(page.locator("#link-state")).to_have_text("connection lost, trying again")
    served.start()
    expect(page.locator("#link-state")).to_have_text("live")
    send(served, 2, verdict(rul_h=5.0))
    expect(page.locator(".card .badge")).to_have_text("CRITICAL")
    page.close()


def test_silence_turns_a_last_seen_time_into_a_warning(browser: Browser, served: CloudProcess) -> None:
    page, _ = opened(browser)
    page.clock.set_fixed_time(opened_s := time.time())
    seen = page.locator(".card .seen")
    for seq in count(
        1
    ):  # Until what was sent is shown before it is late, which a busy machine may take some tries for.
        send(served, seq, SPINDLE, verdict())
        page.goto(served.sender.url)
        if "fresh" in (seen.get_attribute("class") or "").split():
            break
    page.clock.set_fixed_time(opened_s + 20)
    expect(seen).to_contain_class("late")
    page.clock.set_fixed_time(opened_s + 110)
    expect(seen).to_contain_class("gone")
    expect(page.get_by_text("1 machine is silent")).to_be_visible()
    page.close()


@pytest.mark.parametrize("width", [320, 360])
def test_a_report_that_is_filed_is_read_on_a_phone_too(browser: Browser, tmp_path: Path, width: int) -> None:
    """Wide tables and pictures scroll in themselves, and not the page."""
    (tmp_path / "pump.csv").write_text(
        "time,vibration_mm_s\n" + "".join(f"{at:%Y-%m-%dT%H:%M},{1 + i % 7 / 50}\n" for i, at in enumerate(HOURS)),
        encoding="utf-8",
    )
    told = CliRunner().invoke(cloud, ["backtest", str(tmp_path / "pump.csv"), "--html", str(tmp_path / "pump.html")])
    assert told.exit_code == 0, told.output
    report = report_html(found(("ok", "suspicious", "bad"), ("bad",) * 70), version="1.2.3")
    page, complaints = opened(browser, width=width, height=740)
    for html in (report, (tmp_path / "pump.html").read_text(encoding="utf-8")):
        page.set_content(html)
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width
    assert complaints == []
    page.close()

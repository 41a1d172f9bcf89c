"""The demo as a visitor meets it: one command, and a real browser on the page that it names."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from cloud.demo.story import OUTAGE_S, tell, tell_recording
from tests.waiting import DEADLINE_S

CHROMIUM = "/usr/bin/chromium"
QUIET_BROWSER = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SECONDS = 70.0
NOTES_WHAT_IT_SHOWS = """
    const shown = new Set();
    new MutationObserver(() => {
        for (const badge of document.querySelectorAll(".badge")) shown.add(badge.textContent.trim());
        document.documentElement.dataset.shown = [...shown].join(", ");
    }).observe(document, { childList: true, subtree: true });
"""


@pytest.mark.parametrize("seconds", [60.0, 90.0, 150.0])
def test_the_story_fits_its_time(seconds: float) -> None:
    story = tell(seconds, None)
    at = [step.at_s for step in story.steps]
    assert at == sorted(at)
    assert at[-1] < seconds - 10, "time is left to see the new bearing"
    assert story.outage[1] - story.outage[0] == pytest.approx(OUTAGE_S)
    assert story.life_h > 168, "a remaining life that starts as NORMAL"
    assert tell_recording(seconds, None).outage[1] < seconds


def first_line_with(stream: IO[str], word: str) -> str:
    for line in stream:
        if word in line:
            return line.strip()
    raise AssertionError(f"the demo ended without saying {word!r}")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge.cli", "demo", "--seconds", str(SECONDS), "--headless", "--json"]
    process = subprocess.Popen(
        [*command, "--keep", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)


def seconds_to_its_page(demo: subprocess.Popen[str]) -> tuple[float, str]:
    assert demo.stderr is not None
    began_s = time.monotonic()
    address = first_line_with(demo.stderr, "open http").split()[-1]
    return time.monotonic() - began_s, address


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with running(tmp_path) as process:
        yield process


@pytest.fixture
def page() -> Iterator[Page]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET_BROWSER)
        yield browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        browser.close()


@pytest.mark.timeout(400)
def test_the_whole_story_in_a_browser(demo: subprocess.Popen[str], page: Page, tmp_path: Path) -> None:
    took_s, address = seconds_to_its_page(demo)
    complaints: list[str] = []
    page.context.add_init_script(NOTES_WHAT_IT_SHOWS)
    fleet, asset = page, page.context.new_page()
    for one in (fleet, asset):
        one.on("pageerror", lambda error: complaints.append(str(error)))
        one.goto(address)
        expect(one.get_by_text("Spindle 1").first).to_be_visible(timeout=30_000)
    asset.get_by_role("link", name="Spindle 1").first.click()
    expect(asset.locator("canvas").first).to_be_visible(timeout=30_000)
    # Nobody reloads: the pages follow the machine by themselves.
    for one in (fleet, asset):
        expect(one.locator("html")).to_have_attribute("data-shown", re.compile("CRITICAL"), timeout=SECONDS * 1000)
    asset.screenshot(path=os.environ.get("BABBITT_SCREENSHOT") or str(tmp_path / "critical.png"), full_page=True)
    assert not complaints

    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])
    counts = summary["readings"]
    assert summary["ledger_balanced"] is True
    assert counts["offered"] == counts["good"] + counts["bad"]
    assert counts["good"] == counts["kept"] == counts["acknowledged"] == counts["received"] > 1000
    assert counts["pending"] == counts["dropped"] == counts["duplicates"] == 0
    assert counts["bad"] > 0, "the extruder's unit was dead for a while"
    assert {"NORMAL", "WARNING", "CRITICAL"} <= set(summary["urgencies_seen"])
    seen = [u for u in summary["urgencies_seen"] if u != "UNKNOWN"]
    assert seen == ["NORMAL", "WARNING", "CRITICAL"], "it gets worse in order"
    assert summary["setpoint"] == {"machine": "pump-1", "steps": ["waiting", "executed", "rolled back"]}
    assert summary["acknowledged"][0] == "spindle-1"
    assert summary["acknowledgement_on_page"] is True
    assert summary["verdicts"] > 0
    assert summary["alarms"] > 0
    assert summary["latency_ms"]["poll_to_alarm_p99"] > 0
    assert summary["latency_ms"]["poll_to_page_p99"] > 0
    assert summary["rss_mb"]["gateway"] > 0
    assert summary["page"] == address
    if took_s >= 60:  # A machine that was busy gets a second chance.
        with running(tmp_path / "again") as second:
            took_s, _ = seconds_to_its_page(second)
    assert took_s < 60, "the first page within a minute"


@pytest.mark.timeout(240)
def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge.cli", "demo", "--headless", "--json", "--keep", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first_line_with(process.stderr, "healthy")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["ledger_balanced"] is True
    assert "Traceback" not in err

"""A real Chromium looks at a real gateway's page with simulated machines behind it, the cable to the cloud cut."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from cloud.demo.processes import Child, write_site
from edge.errors import BabbittError
from edge.local_socket import ask
from edge.page.drawing import STATIC, Drawing
from edge.page.watching import Watching
from tests.ports import free_port
from tests.rooms.page.looks import alarm, look, unit, value, verdict
from tests.rooms.web.test_browser import CHROMIUM, FLAGS
from tests.waiting import DEADLINE_S, until
from tests.world.processes import DEMO, babbitt

PIN = "7351"
RELOADS = '<noscript><meta http-equiv="refresh" content="5"></noscript>'


class Hall:
    """Plant and gateway of the demonstration as processes, without a cloud."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.site = folder / "site.toml"

        def changed(tables: dict[str, Any]) -> None:
            tables["uplink"]["url"] = f"http://127.0.0.1:{free_port()}"
            tables["panel"] = {"kind": "none"}
            tables["line"][0]["port"] = free_port()
            tables["plant"]["speed"] = 1.0
            tables["gateway"]["inference"] = False  # so that it starts in half the time
            tables["page"] = {"port": self.port}

        write_site(DEMO, self.site, changed)
        (folder / "gateway.token").write_text("token")
        (folder / "gateway.token").chmod(0o600)
        (folder / "pin.txt").write_text(f"{PIN}\n")
        babbitt("gateway", "pin", str(self.site), "--pin-file", str(folder / "pin.txt"))
        self.children = [Child("plant", ["plant", "run", str(self.site)], folder / "plant.log")]
        self.until(lambda: ask(folder / "plant/plant.sock", "status"))
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.gateway = Child("gateway", ["gateway", "run", str(self.site)], self.folder / "gateway.log")
        self.children.append(self.gateway)
        self.until(lambda: self.ask("status")["ledger"]["good"] > 100 and self.page_pid())

    def ask(self, question: str) -> dict[str, Any]:
        return ask(self.folder / "gateway/gateway.sock", question, within_s=DEADLINE_S)

    def page_pid(self) -> int:
        return int(ask(self.folder / "gateway/page.sock", "status", within_s=DEADLINE_S)["pid"])

    def fault(self, asset: str, kind: str) -> None:
        ask(self.folder / "plant/plant.sock", "fault", asset=asset, kind=kind, within_s=DEADLINE_S)

    def until(self, holds: Callable[[], Any]) -> None:
        until(holds)

    def end(self) -> None:
        for child in reversed(self.children):
            child.end()
        subprocess.run(["kill", str(self.page_pid())], check=False) if self._is_left_over() else None

    def _is_left_over(self) -> bool:
        try:
            return bool(self.page_pid())
        except BabbittError:
            return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("no Chromium; on Debian: apt install chromium")
    expect.set_options(timeout=DEADLINE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    hall = Hall(tmp_path_factory.mktemp("hall"))
    yield hall
    hall.end()


def opened(
    browser: Browser, hall: Hall, *, width: int = 1280, js: bool = True, dark: bool = False
) -> tuple[Page, list[str]]:
    """A page that reaches nothing but the gateway, and what it complained about or asked of others."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, java_script_enabled=js, color_scheme="dark" if dark else "light"
    )
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(DEADLINE_S * 1000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def only_ours(route: Route) -> None:
        if not route.request.url.startswith(hall.url):
            complaints.append(f"asked for {route.request.url}")
            return route.abort()
        if js or route.request.resource_type != "document":
            return route.continue_()
        answer = route.fetch()
        return route.fulfill(response=answer, body=at_rest(answer.text()))

    page.route("**/*", only_ours)
    return page, complaints


def at_rest(html: str) -> str:
    """A page without scripts loads itself anew, and would do so in the middle of a look."""
    return html.replace(RELOADS, "")


def test_the_overview_lives_without_a_reload_and_asks_nobody_else(browser: Browser, hall: Hall) -> None:
    page, complaints = opened(browser, hall)
    page.goto(hall.url)
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("article.machine")).to_have_count(3)
    speed = page.locator("[data-asset=spindle-1] [data-tag=reading_number] .number")
    first = speed.inner_text()
    expect(speed).not_to_have_text(first)
    expect(page.locator(".house")).to_contain_text("DOWN, nothing is lost")
    expect(page.locator(".house")).to_contain_text("balances")
    expect(page.locator("[data-line=hall]")).to_contain_text("answers")
    page.get_by_role("link", name="Spindle 1").click()
    expect(page.locator("[data-tag=vibration_mm_s] .spark path")).to_be_attached()
    expect(page).to_have_url(f"{hall.url}/machines/spindle-1")
    assert complaints == []
    page.context.close()


COUNTS_ANSWERS = """() => {
    const ask = window.fetch;
    const told = document.body.dataset;
    told.answers = "";
    window.fetch = async (...what) => { const answer = await ask(...what); told.answers += "one "; return answer; };
}"""
SOME_ANSWERS = re.compile("(one ){3}")


def press(page: Page, what: Locator) -> None:
    """The button down on it, though what came above may have moved it away from under the pointer."""

    def is_pressed() -> bool:
        what.hover()
        page.mouse.down()
        if what.evaluate("e => e.matches(':active')"):
            return True
        page.mouse.move(1, 1)
        page.mouse.up()
        return False

    until(is_pressed)


def test_a_link_whose_part_changes_while_it_is_pressed_takes_the_click(browser: Browser, hall: Hall) -> None:
    page, complaints = opened(browser, hall)
    page.goto(hall.url)
    press(page, page.get_by_role("link", name="Spindle 1"))
    page.evaluate(COUNTS_ANSWERS)
    expect(page.locator("body")).to_have_attribute("data-answers", SOME_ANSWERS)
    page.mouse.up()
    expect(page).to_have_url(f"{hall.url}/machines/spindle-1")
    assert complaints == []
    page.context.close()


def test_a_part_that_changed_while_it_was_pressed_is_shown_afterwards(browser: Browser, hall: Hall) -> None:
    page, complaints = opened(browser, hall)
    page.goto(hall.url)
    speed = page.locator("[data-asset=spindle-1] [data-tag=reading_number] .number")
    press(page, speed)
    shown = speed.inner_text()
    page.evaluate(COUNTS_ANSWERS)
    expect(page.locator("body")).to_have_attribute("data-answers", SOME_ANSWERS)
    assert speed.inner_text() == shown
    page.mouse.up()
    expect(speed).not_to_have_text(shown)
    assert complaints == []
    page.context.close()


@pytest.mark.parametrize("width", [320, 390])
def test_it_works_on_a_phone_and_without_scripts(browser: Browser, hall: Hall, width: int) -> None:
    page, complaints = opened(browser, hall, width=width, js=False, dark=True)
    for path in ("/", "/machines/pump-1", "/person", "/nowhere-" + "x" * 80):
        page.goto(hall.url + path)
        expect(page.locator("h1, h2").first).to_be_visible()
        assert page.locator("html").evaluate("e => e.scrollWidth") == width, path
    assert RELOADS in httpx.get(hall.url, timeout=DEADLINE_S).text
    assert [c for c in complaints if "404" not in c] == []
    page.context.close()


def test_names_and_words_of_any_length_stay_within_a_phone(browser: Browser, tmp_path: Path) -> None:
    long = "Hauptspindelantriebsgetriebelagerung_der_Transferstrasse_Nordhalle_Linie_47"
    values = (
        value(title=long), value("flow", title=long, quality="bad", cause="bus"), value("word", "W" * 200, title="W"),
        value("parts", 123_456_789_012_345.678, title="Parts"), value("old", age_s=5000.0),
    )  # fmt: skip
    said = verdict(reasons=[{"tag": "flow", "share": 0.5, "words": long * 2}])
    found = look(*values, verdicts=[said], units=[unit(detail="x" * 120)])
    found.answers["values"]["assets"] = {"pump-1": f"{long} {long}"}
    standing = [alarm(sentence=long, cause=long, action="W" * 100)]
    found.answers["alarms"] = {"standing": standing, "held": [], "kpi": {}}
    drawing = Drawing("gw-1", tmp_path)
    parts = drawing.overview(found, Watching(tmp_path / "gateway.sock"), acts=True, locked=())
    html = at_rest(drawing.page("page.html", parts=parts, address="/", title="Overview", acts=True, session=None))

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2].partition("?")[0]
        route.fulfill(body=drawing.static.get(name, html.encode()), content_type=STATIC.get(name, "text/html"))

    context = browser.new_context(viewport={"width": 320, "height": 844}, java_script_enabled=False)
    page = context.new_page()
    page.route("**/*", answer)
    page.goto("http://gateway.test/")
    assert page.locator("html").evaluate("e => e.scrollWidth") == 320
    for name in page.get_by_role("rowheader").all()[: len(values)]:
        box = name.bounding_box()
        assert box is not None
        assert box["width"] > 60, "a name is read across, not letter by letter downwards"
    expect(page.locator("[data-tag=parts] .number")).to_have_text("123,456,789,012,345.67 mm/s")
    context.close()


@pytest.mark.timeout(300)
def test_a_unit_that_falls_silent_is_seen_acknowledged_by_name_and_seen_to_return(browser: Browser, hall: Hall) -> None:
    page, complaints = opened(browser, hall, width=390)
    page.goto(hall.url)
    hall.fault("extruder-1", "dead_unit")
    row = page.locator("[data-asset=extruder-1] [data-tag=melt_pressure_bar]")
    expect(row).to_contain_text("BAD")
    expect(row.locator(".note")).to_contain_text(re.compile(r"BAD \d+ s"))
    expect(page.locator("[data-asset=extruder-1] .cause")).to_contain_text("values: no answer on the bus")
    silent = page.locator("li.alarm", has_text="Extruder 1 sends no data")
    expect(silent).to_contain_text("not acknowledged")
    expect(silent).to_contain_text("Likely")
    expect(page.locator("h1")).not_to_contain_text("No alarms")
    expect(page.locator("[data-line=extrusion] .finding").first).to_be_visible()

    silent.get_by_role("link", name="Acknowledge …").click()
    page.get_by_label("Your name").fill("Anna Kern")
    page.get_by_label("PIN").fill("7350")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".said")).to_have_text("This is not the PIN")
    page.get_by_label("Your name").fill("Anna Kern")
    page.get_by_label("PIN").fill(PIN)
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".said")).to_have_text("Acknowledged")
    (told,) = [a for a in hall.ask("alarms")["standing"] if a["asset"] == "extruder-1" and a["rule"] == "no_data"]
    assert (told["state"], told["by"]) == ("acknowledged", "Anna Kern")

    page.get_by_text("Hold it back").click()
    page.get_by_label("Why").fill("the fitter is on the way")
    page.get_by_role("button", name="Shelve").click()
    expect(page.locator(".said")).to_have_text("Shelved")
    page.goto(hall.url)
    expect(page.locator("li.alarm.held")).to_contain_text("Anna Kern: the fitter is on the way")
    hall.fault("extruder-1", "repair")
    expect(row).not_to_contain_text("BAD")
    page.get_by_role("button", name="Anna Kern: sign out").click()
    expect(page.get_by_role("link", name="sign in")).to_be_visible()
    assert [c for c in complaints if "403" not in c] == []
    page.context.close()


def test_a_gateway_that_was_killed_and_a_page_that_was_killed_look_so(browser: Browser, hall: Hall) -> None:
    page, complaints = opened(browser, hall)
    page.goto(hall.url)
    expect(page.locator("#link")).to_have_text("live")
    hall.gateway.process.kill()
    hall.gateway.process.wait()
    expect(page.locator("h1")).to_contain_text("The gateway does not answer: this is how it was")
    expect(page.locator(".values tr.late").first).to_contain_text("OLD")
    assert page.locator(".values tr.ok").count() == 0
    expect(page.locator("#link")).to_have_text("no gateway")
    assert page.get_by_role("link", name="Acknowledge …").count() == 0
    expect(page.locator(".lamp").first).to_contain_text("not known")
    assert complaints == []

    os.kill(hall.page_pid(), signal.SIGKILL)
    expect(page.locator("#link")).to_contain_text("nothing here is current")
    assert float(page.locator("main").evaluate("e => getComputedStyle(e).opacity")) < 0.6
    hall.children.remove(hall.gateway)
    hall.start()
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("h1")).not_to_contain_text("does not answer")
    page.context.close()

"""What the page answers to everybody: pages without anything from elsewhere, and a refusal for what is no question."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.page.connections import ALL_MAX, HEAD_TIMEOUT_S, OF_ONE_MAX, CountedProtocol
from edge.page.guards import host_of, is_ours
from edge.page.recent import SLOT_S, SLOTS
from edge.page.watching import FRESH_WITHIN_S, INTERVAL_S
from tests import ports
from tests.rooms.page.looks import alarm, answers, unit, value, verdict
from tests.rooms.page.serving import FakeGateway, Served, served
from tests.waiting import DEADLINE_S, until_async

WEIGHT_KB_MAX = 60
NASTY = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}"


async def until_parts(page: Served, path: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        while not holds(told := json.loads((await page.get(path))[2])):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return told  # type: ignore[no-any-return]


class Tags(HTMLParser):
    """Names of all elements, and of all attributes with their values."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(name, found or "") for name, found in attrs]


def test_every_answer_has_strict_headers_even_a_refusal(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            for path, status in (
                ("/", 200),
                ("/parts", 200),
                ("/api/status", 200),
                ("/nowhere", 404),
                ("/person", 404),
            ):
                found, headers, _ = await page.get(path)
                assert found == status, path
                assert "default-src 'none'" in headers["content-security-policy"]
                assert "unsafe" not in headers["content-security-policy"]
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["cache-control"] == "no-store"
                assert "server" not in headers
            found, headers, _ = await page.request("DELETE", "/")
            assert (found, "content-security-policy" in headers) == (405, True)

    asyncio.run(story())


def test_a_page_with_all_its_files_is_light_and_names_no_other_place(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        gateway = FakeGateway()
        names = [f"tag_{i}" for i in range(48)]
        gateway.answers = answers(*(value(tag=name) for name in names), units=[unit() for _ in range(12)])
        async with served(tmp_path, free_port, gateway=gateway) as page:
            for i in range(SLOTS):  # A curve of six minutes beside each value.
                at_s = time.monotonic() - (SLOTS - i) * SLOT_S
                page.serving._watching.recent.take(at_s, [value(tag=name, found=i * 37 % 101 / 10) for name in names])
            _, _, html = await page.get("/")
            assert html.count("l1") > 48 * (SLOTS - 3)
            files = re.findall(r'(?:src|href)="(/static/[^"]+)"', html)
            weight = len(html) + sum([len((await page.get(file))[2]) for file in sorted(set(files))])
            print(f"the overview of 48 values: {weight / 1000:.1f} kB with its files, {len(html) / 1000:.1f} without")
            assert weight < WEIGHT_KB_MAX * 1000
            assert not re.search(r'(?:src|href|action)="(?:[a-z]+:|//)', html)
            found = Tags(html)
            assert not {"style", "iframe", "object", "base", "form"} & found.names
            assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]

    asyncio.run(story())


def test_nothing_that_a_gateway_says_becomes_an_element(tmp_path: Path, free_port: int) -> None:
    """Names, sentences, units and values are text, in pages and in their parts."""
    gateway = FakeGateway()
    evil = [
        value(tag="x", found=NASTY, title=NASTY, unit=NASTY),
        value(tag=NASTY, quality="bad", cause=NASTY, found=None),
    ]
    reasons = [{"tag": NASTY, "share": 0.5, "words": NASTY}]
    gateway.answers = answers(
        *evil, verdicts=[verdict(urgency=NASTY, note=NASTY, reasons=reasons, sensors=[{"words": NASTY}])],
        units=[unit(detail=NASTY, profile=NASTY, breaker=NASTY, line=NASTY)],
        uplink={"up": False, "detail": NASTY, "backlog_blocks": 0, "backlog_readings": 0},
        panel={"green": NASTY, "amber": "on", "red": "on", "lines": [NASTY], "trouble": [NASTY]},
    )  # fmt: skip
    gateway.answers["values"]["assets"] = {"pump-1": NASTY}
    spoken = dict.fromkeys(("sentence", "cause", "action", "by", "why", "priority", "state"), NASTY)
    gateway.answers["alarms"] = {"standing": [alarm(**spoken)], "held": [], "kpi": {}}

    async def story() -> None:
        async with served(tmp_path, free_port, gateway=gateway) as page:
            _, _, parts = await page.get("/parts?page=/")
            pages = [(await page.get(path))[2] for path in ("/", "/machines/pump-1", "/alarms/pump-1/vibration_high")]
            pages += [part["html"] for part in json.loads(parts).values()]
            assert any("&lt;script&gt;" in html for html in pages)
            for html in pages:
                found = Tags(html)
                assert ("script" in found.names) == ("page.js" in html)
                assert html.count("<script") == html.count("page.js")
                assert not [one for one in found.attributes if one[0].startswith("on")]
                assert ">49<" not in html

    asyncio.run(story())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8580", 200), ("192.168.0.7", 200), ("[fe80::1]:8580", 200), ("localhost", 200),
        ("gateway:8580", 200), ("GATEWAY.", 200), ("gw-1", 200), ("evil.example", 421), ("gateway.evil.example", 421),
        ("", 421), ("gateway:80:80", 421), ("[::1", 421), ("127.0.0.1.evil.example", 421), ("gateway@evil", 421),
    ],
)  # fmt: skip
def test_only_our_own_names_are_answered(tmp_path: Path, free_port: int, host: str, status: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            assert (await page.get("/", Host=host))[0] == status

    asyncio.run(story())


@given(st.text(max_size=80))
def test_any_host_is_ours_or_is_not(host: str) -> None:
    name = host_of(host)
    assert is_ours(host, frozenset()) in (True, False)
    assert name is None or name == name.lower()


def test_there_is_no_way_from_an_address_to_the_disk(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            for path in (
                "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd",
                "/static/page.css/../../app.py", "/static/templates/base.html", "/static/", "//etc/passwd",
            ):  # fmt: skip
                status, _, text = await page.get(path)
                assert status in (404, 307), path
                assert "import" not in text
                assert "root:" not in text

    asyncio.run(story())


def test_what_is_too_much_is_turned_away(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            assert (await page.get("/" + "x" * 2000))[0] == 414
            assert (await page.get("/", **{f"X-{i}": "y" for i in range(80)}))[0] == 431
            assert (await page.get("/", X_Long="y" * 17_000))[0] == 431
            assert (await page.post("/person", "name=" + "x" * 5000))[0] in (404, 413)
            assert (await page.request("POST", "/person", b"{}", headers={"Content-Type": "application/json"}))[
                0
            ] == 415
            assert (await page.post("/person", "a=1&" * 40 + "a=1"))[0] == 400
            assert (await page.post("/person", "name=%ff"))[0] == 400
            assert (await page.get("/"))[0] == 200

    asyncio.run(story())


@settings(max_examples=150)
@given(data=st.data())
def test_no_bytes_bring_it_down(data: st.DataObject, fuzzed: Served, loop: asyncio.AbstractEventLoop) -> None:
    """Whatever is sent gets an answer without a server's error, or none; and the page serves on."""
    line = st.tuples(
        st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"TRACE", b"CONNECT", b"\0"]),
        st.sampled_from(
            [b"/", b"/parts", b"/machines/", b"/alarms/a/", b"/static/", b"/api/status", b"*", b"http://x/"]
        ),
        st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")),
        st.sampled_from([b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n", b" HTTP/9\r\n"]),
    ).map(lambda t: t[0] + b" " + t[1] + t[2] + t[3])
    head = st.lists(st.sampled_from([
        b"Host: 127.0.0.1\r\n", b"Host: gateway\r\n", b"Host: \xff\r\n", b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Cookie: babbitt_operator=\xfe; a=b\r\n", b"Upgrade: websocket\r\n",
        b"Connection: Upgrade\r\n", b"Content-Type: application/x-www-form-urlencoded\r\n", b"Expect: 100-continue\r\n",
        b": \r\n", b"Sec-Fetch-Site: same-origin\r\n", b"Origin: http://[\r\n",
    ]), max_size=6).map(b"".join)  # fmt: skip
    request = data.draw(line) + data.draw(head) + b"Connection: close\r\n\r\n" + data.draw(st.binary(max_size=40))

    async def ask() -> None:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", fuzzed.port)
            with contextlib.closing(writer), contextlib.suppress(ConnectionError):
                writer.write(request)
                writer.write_eof()
                answer = await reader.read()
                assert not re.match(rb"HTTP/1\.1 5", answer), (request, answer[:200])
        assert (await fuzzed.get("/healthy"))[0] == 404

    loop.run_until_complete(ask())


@pytest.fixture(scope="module")
def loop() -> object:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, loop: asyncio.AbstractEventLoop) -> object:
    folder = tmp_path_factory.mktemp("fuzzed")
    serving = served(folder, ports.free_port())
    page = loop.run_until_complete(serving.__aenter__())
    yield page
    loop.run_until_complete(serving.__aexit__(None, None, None))


def test_one_client_holds_some_connections_and_all_hold_a_bounded_number(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            held = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(OF_ONE_MAX)]
            assert await page.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") == b""
            CountedProtocol.open["10.0.0.9"] += ALL_MAX
            for _, writer in held[:6]:
                writer.close()
            await until_async(lambda: CountedProtocol.open["127.0.0.1"] <= OF_ONE_MAX - 6)
            assert await page.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") == b""
            del CountedProtocol.open["10.0.0.9"]
            assert (await page.get("/"))[0] == 200
            for _, writer in held[6:]:
                writer.close()

    asyncio.run(story())


def test_who_sends_nothing_loses_the_connection(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    assert HEAD_TIMEOUT_S <= 10
    monkeypatch.setattr(CountedProtocol, "head_timeout_s", 0.3)

    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            took: list[float] = []
            while not took or (min(took) >= 5 and len(took) < 3):
                began = time.monotonic()
                assert await page.raw(b"GET / HT") == b""
                took.append(time.monotonic() - began)
            assert 0.2 < min(took) < 5

    asyncio.run(story())


def test_all_who_look_together_ask_the_gateway_once_a_second(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            began, before, looks = time.monotonic(), page.gateway.asked, 0
            while page.gateway.asked - before < 3 or looks <= 30:
                await asyncio.gather(*(page.get("/parts?page=/") for _ in range(8)))
                looks += 8
                assert time.monotonic() - began < DEADLINE_S
            assert page.gateway.asked - before <= (time.monotonic() - began) / INTERVAL_S + 2

    asyncio.run(story())


def test_whoever_looks_after_whatever_pause_sees_no_value_as_old(tmp_path: Path, free_port: int) -> None:
    """A fast tag's value is old after 1.3 s, and the gateway is asked less often where nobody looks."""

    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            for address in ("/", "/parts?page=/"):
                html, took_s = await after_a_pause(page, address)
                while took_s >= FRESH_WITHIN_S:  # The machine stood still: then they are old indeed.
                    html, took_s = await after_a_pause(page, address)
                assert "OLD" not in html

    asyncio.run(story())


async def after_a_pause(page: Served, address: str) -> tuple[str, float]:
    """What is answered there after nobody has looked for a while, and within how many seconds."""
    before = page.gateway.asked
    await page.get(address)
    await until_async(lambda: page.gateway.asked > before)
    await asyncio.sleep(1.6)
    began_s = time.monotonic()
    return (await page.get(address))[2], time.monotonic() - began_s


def test_only_what_changed_is_sent_again(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            first = json.loads((await page.get("/parts?page=/"))[2])
            assert {"headline", "alarms", "machines", "lines", "house", "advice"} == set(first)
            have = ".".join(told["is"] for told in first.values())
            page.gateway.answers["status"]["verdicts"][0]["health"] = 12.0
            news = await until_parts(page, f"/parts?page=/&have={have}", lambda told: "12 %" in str(told))
            assert "12 %" in news["machines"]["html"]
            assert "advice" not in news
            assert (await page.get("/parts?page=/machines/nobody"))[0] == 404

    asyncio.run(story())


def test_the_same_is_told_as_json(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            told = json.loads((await page.get("/api/status"))[2])
            assert (told["answers"], told["trouble"], told["gateway"]) == (True, "", "gw-1")
            assert told["values"]["values"][0]["value"] == 4.61
            assert told["lines"][0]["units"][0]["asset"] == "pump-1"
            assert {"Ledger", "Disk", "Clock"} <= {fact["name"] for fact in told["facts"]}

    asyncio.run(story())


def test_a_gateway_that_is_silent_is_shown_so_and_its_values_age(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            assert "The gateway does not answer" not in (await page.get("/"))[2]
            (tmp_path / "gateway.sock").unlink()
            await until_parts(page, "/parts?page=/", lambda told: "The gateway does" in told["headline"]["html"])
            html = (await page.get("/"))[2]
            assert "OLD" in html
            assert 'class="machines stale"' in html
            assert 'class="ok" data-tag' not in html
            told = json.loads((await page.get("/api/status"))[2])
            assert not told["answers"]
            assert told["age_s"] > 0

    asyncio.run(story())

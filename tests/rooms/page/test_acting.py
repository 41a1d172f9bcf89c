"""Who may act on the page, and what is told to the gateway: by name, with a PIN, from our own forms alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.page.acting import acts_for
from edge.page.alarms import alarms
from edge.page.people import IDLE_S, name_of
from edge.page.pin import read_pin, set_pin, trouble_of
from edge.page.tries import (
    ADDRESSES_MAX,
    FORGOTTEN_AFTER_S,
    OF_ALL_FREE,
    OF_ALL_PAUSE_S_MAX,
    OF_ONE_FREE,
    OF_ONE_PAUSE_S,
    OF_ONE_PAUSE_S_MAX,
    LockedError,
    Tries,
)
from tests.rooms.page.looks import AT_NS, alarm, look
from tests.rooms.page.serving import FakeGateway, Served, served
from tests.waiting import until_async

PIN = "7351"
ALARM = "/alarms/pump-1/vibration_high"


class Watch:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def with_pin(
    folder: Path, port: int, story: Callable[[Served], Awaitable[None]], *, gateway: FakeGateway | None = None
) -> None:
    async def run() -> None:
        set_pin(folder / "page.pin", PIN)
        async with served(folder, port, gateway=gateway) as page:
            await story(page)

    asyncio.run(run())


async def acted(
    page: Served, act: str, path: str = ALARM, *, cookie: str = "", **fields: str
) -> tuple[int, dict[str, str], str]:
    return await page.post(path, urlencode({"act": act, **fields}), Cookie=cookie)


async def signed_in(page: Served, name: str = "Anna Kern") -> tuple[str, str]:
    """The cookie and the word."""
    status, headers, _ = await page.post("/person", urlencode({"name": name, "pin": PIN}))
    assert status == 303
    _, _, html = await page.get(ALARM, Cookie=headers["cookie"])
    found = re.search(r'name="word" value="([^"]+)"', html)
    assert found is not None
    return headers["cookie"], found[1]


# The PIN.


@pytest.mark.parametrize(
    "digits",
    ["", "123", "1234567890123", "12a4", " 1234", "１２３４", "1234", "4321", "0000", "8901", "2468", "1212", "123123",
     "1999", "2024", "2580"],
)  # fmt: skip
def test_what_is_tried_first_is_no_pin(digits: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the PIN"):
        set_pin(tmp_path / "pin", digits)
    assert not (tmp_path / "pin").exists()


@given(st.from_regex(r"[0-9]{4,12}", fullmatch=True))
def test_most_digits_are_a_pin(digits: str) -> None:
    assert isinstance(trouble_of(digits), str)


def test_nine_in_ten_of_four_digits_are_left() -> None:
    left = sum(not trouble_of(f"{n:04}") for n in range(10_000))
    print(f"{left} of 10,000 PINs of four digits are taken")
    assert left > 9000


def test_only_its_hash_is_kept_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "pin"
    set_pin(path, PIN)
    assert path.stat().st_mode & 0o777 == 0o600
    assert PIN not in path.read_text()
    first = read_pin(path)
    assert first is not None
    assert first.is_met(PIN)
    assert not first.is_met("7352")
    set_pin(path, PIN)
    assert read_pin(path) != first
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read it"):
        read_pin(path)
    path.chmod(0o600)
    path.write_text("pin:scrypt:00:00")
    with pytest.raises(ConfigError, match="holds no PIN"):
        read_pin(path)
    assert read_pin(tmp_path / "none") is None


# Tries.


def test_an_address_has_some_tries_then_pauses_that_double() -> None:
    watch = Watch()
    tries = Tries(watch)
    for _ in range(OF_ONE_FREE):
        tries.begin("10.0.0.1")
    pauses = []
    for _ in range(9):
        with pytest.raises(LockedError) as locked:
            tries.begin("10.0.0.1")
        pauses.append(locked.value.wait_s)
        assert "10.0.0.1" in " ".join(tries.locked())
        watch.now_s += locked.value.wait_s
        tries.begin("10.0.0.1")
    assert pauses == [min(OF_ONE_PAUSE_S * 2**i, OF_ONE_PAUSE_S_MAX) for i in range(9)]
    watch.now_s += FORGOTTEN_AFTER_S + 1
    assert tries.locked() == ()
    for _ in range(OF_ONE_FREE):
        tries.begin("10.0.0.1")


def test_a_right_one_forgets_what_its_address_did_wrong() -> None:
    tries = Tries(Watch())
    for _ in range(4):
        for _ in range(OF_ONE_FREE):
            tries.begin("10.0.0.1")
        assert "10.0.0.1" in " ".join(tries.locked())
        tries.right("10.0.0.1")
        assert tries.locked() == ()


def test_typing_errors_of_a_day_do_not_add_up() -> None:
    watch = Watch()
    tries = Tries(watch)
    for i in range(200):
        watch.now_s += 1800.0
        tries.begin(f"10.0.0.{i}")
        assert tries.locked() == ()


def test_many_addresses_together_are_held_back_for_a_short_while() -> None:
    watch = Watch()
    tries = Tries(watch)
    for i in range(OF_ALL_FREE):
        tries.begin(f"10.0.0.{i}")
    with pytest.raises(LockedError) as locked:
        tries.begin("10.0.1.1")
    assert locked.value.wait_s <= OF_ALL_PAUSE_S_MAX
    assert "somebody guesses PINs" in tries.locked()[0]
    looked_at = 0
    for i in range(1000):
        watch.now_s += 60.0
        try:
            tries.begin(f"10.1.{i // 200}.{i % 200}")
            looked_at += 1
        except LockedError:
            continue
    print(f"{looked_at} of 1000 tries of as many addresses in 1000 minutes were looked at")
    assert looked_at < 170


def test_an_address_of_ipv4_is_its_own_also_where_the_page_listens_on_ipv6() -> None:
    tries = Tries(lambda: 0.0)
    for _ in range(OF_ONE_FREE):
        tries.begin("::ffff:10.0.0.66")
    with pytest.raises(LockedError):
        tries.begin("10.0.0.66")
    tries.begin("::ffff:10.0.0.1")  # Everybody of IPv4 lies in one network of IPv6.


def test_one_network_of_ipv6_is_one_address_and_memory_is_bounded() -> None:
    tries = Tries(Watch())
    for i in range(OF_ONE_FREE):
        tries.begin(f"2001:db8::{i:x}")
    with pytest.raises(LockedError):
        tries.begin("2001:db8::ffff")
    tries = Tries(Watch())
    for i in range(ADDRESSES_MAX + 100):
        try:
            tries.begin(f"10.{i // 65536}.{i // 256 % 256}.{i % 256}")
        except LockedError:
            pass
    assert len(tries._of_one) <= ADDRESSES_MAX


# Acting.


def test_without_a_pin_the_page_is_read_only(tmp_path: Path, free_port: int) -> None:
    async def story() -> None:
        async with served(tmp_path, free_port) as page:
            html = (await page.get("/"))[2]
            assert "read only" in html
            assert "Acknowledge" not in html
            status, _, html = await acted(page, "acknowledge", name="Anna", pin="0000")
            assert status == 403
            assert "read-only" in html
            assert page.gateway.told == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("act", "fields", "told"),
    [
        ("acknowledge", {}, {}),
        ("reset", {}, {}),
        ("shelve", {"why": "spare part is ordered", "for": "60"}, {"why": "spare part is ordered", "for_s": 3600}),
        ("shelve", {"why": "known", "for": "once"}, {"why": "known", "once": True}),
        ("unshelve", {}, {}),
        ("out_of_service", {"why": "sensor is broken"}, {"why": "sensor is broken"}),
        ("in_service", {}, {}),
    ],
)
def test_what_a_person_does_is_told_with_their_name(
    tmp_path: Path, free_port: int, act: str, fields: dict[str, str], told: dict[str, object]
) -> None:
    async def story(page: Served) -> None:
        status, headers, _ = await acted(page, act, name=" Anna  Kern ", pin=PIN, **fields)
        assert (status, headers["location"]) == (303, f"{ALARM}?done={act}")
        assert page.gateway.told == [(act, {"asset": "pump-1", "rule": "vibration_high", "by": "Anna Kern", **told})]
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie

    with_pin(tmp_path, free_port, story)


def test_a_page_that_does_not_renew_itself_says_when_it_was_made(tmp_path: Path, free_port: int) -> None:
    async def story(page: Served) -> None:
        said = re.compile(r"This page is of [0-9]{2}:[0-9]{2}:[0-9]{2} and does not renew itself")
        assert said.search((await page.get(ALARM))[2])
        assert not said.search((await page.get("/"))[2])

    with_pin(tmp_path, free_port, story)


def test_a_form_acknowledges_the_raising_that_it_showed(tmp_path: Path, free_port: int) -> None:
    async def story(page: Served) -> None:
        _, _, html = await page.get(ALARM)
        [since] = re.findall(r'name="since" value="([0-9]+)"', html)
        await acted(page, "acknowledge", name="Anna", pin=PIN, since=since)
        assert page.gateway.told[0][1]["since_ns"] == int(since) == AT_NS

    with_pin(tmp_path, free_port, story)


@pytest.mark.parametrize(
    ("act", "fields"),
    [("shelve", {"for": "60"}), ("shelve", {"why": "x", "for": "1e9"}), ("shelve", {"why": "x"}),
     ("out_of_service", {"why": "  "})],
)  # fmt: skip
def test_what_is_held_back_wants_a_reason_and_a_time_of_ours(
    tmp_path: Path, free_port: int, act: str, fields: dict[str, str]
) -> None:
    async def story(page: Served) -> None:
        assert (await acted(page, act, name="Anna", pin=PIN, **fields))[0] == 400
        assert (await acted(page, "delete", name="Anna", pin=PIN))[0] == 400
        assert page.gateway.told == []

    with_pin(tmp_path, free_port, story)


def test_the_pin_is_asked_once_and_each_form_carries_its_sessions_word(tmp_path: Path, free_port: int) -> None:
    async def story(page: Served) -> None:
        cookie, word = await signed_in(page)
        other, other_word = await signed_in(page, "Ben")
        for bad in ("", other_word, word[:-1], word + "x"):
            assert (await acted(page, "acknowledge", cookie=cookie, word=bad))[0] in (400, 403)
        assert (await acted(page, "acknowledge", word=word))[0] == 400
        assert page.gateway.told == []
        assert (await acted(page, "acknowledge", cookie=cookie, word=word))[0] == 303
        assert (await acted(page, "acknowledge", cookie=other, word=other_word))[0] == 303
        assert [told[1]["by"] for told in page.gateway.told] == ["Anna Kern", "Ben"]

    with_pin(tmp_path, free_port, story)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"},
     {"Origin": "http://["}],
)  # fmt: skip
def test_a_form_of_another_page_does_nothing(tmp_path: Path, free_port: int, headers: dict[str, str]) -> None:
    async def story(page: Served) -> None:
        cookie, word = await signed_in(page)
        form = urlencode({"act": "acknowledge", "word": word})
        assert (await page.post(ALARM, form, Cookie=cookie, **headers))[0] == 403
        form = urlencode({"act": "acknowledge", "name": "Eve", "pin": PIN})
        assert (await page.post(ALARM, form, **headers))[0] == 403
        assert page.gateway.told == []

    with_pin(tmp_path, free_port, story)


def test_a_session_ends_by_itself_by_signing_out_and_with_its_pin(tmp_path: Path, free_port: int) -> None:
    async def story(page: Served) -> None:
        watch = Watch()
        page.serving._people._monotonic_s = watch
        cookie, word = await signed_in(page)
        for _ in range(3):
            watch.now_s += IDLE_S - 1
            assert "Anna Kern" in (await page.get("/", Cookie=cookie))[2]
        watch.now_s += IDLE_S + 1
        assert "Anna Kern" not in (await page.get("/", Cookie=cookie))[2]
        assert (await acted(page, "acknowledge", cookie=cookie, word=word))[0] == 400

        cookie, word = await signed_in(page)
        assert (await page.post("/out", "word=wrong", Cookie=cookie))[0] == 403
        assert (await page.post("/out", f"word={word}", Cookie=cookie))[0] == 303
        assert "Anna Kern" not in (await page.get("/", Cookie=cookie))[2]

        cookie, word = await signed_in(page)
        set_pin(tmp_path / "page.pin", "8264")
        assert "Anna Kern" not in (await page.get("/", Cookie=cookie))[2]
        (tmp_path / "page.pin").unlink()
        assert "read only" in (await page.get("/", Cookie=cookie))[2]
        assert page.gateway.told == []

    with_pin(tmp_path, free_port, story)


def test_guessing_is_locked_out_and_shown_and_no_lucky_guess_counts_meanwhile(tmp_path: Path, free_port: int) -> None:
    async def story(page: Served) -> None:
        guesses = [f"{n:04}" for n in range(3000, 3040)]
        answers = await asyncio.gather(*(acted(page, "acknowledge", name="Eve", pin=pin) for pin in guesses[:10]))
        answers += [await acted(page, "acknowledge", name="Eve", pin=pin) for pin in guesses[10:]]
        looked_at = [status for status, _, _ in answers if status == 403]
        assert len(looked_at) <= OF_ONE_FREE
        assert {status for status, _, _ in answers} <= {403, 429}
        status, _, html = await acted(page, "acknowledge", name="Eve", pin=PIN)
        assert status == 429
        assert "try again in" in html
        assert page.gateway.told == []

        async def said() -> bool:
            return "wrong PINs from 127.0.0.1: locked" in (await page.get("/"))[2]

        await until_async(said)  # What is drawn is drawn for all who look in half a second.

    with_pin(tmp_path, free_port, story)


def test_what_the_gateway_refuses_is_said_in_its_words(tmp_path: Path, free_port: int) -> None:
    async def story(page: Served) -> None:
        page.gateway.refuses = "its condition <b>still holds</b>"
        status, headers, html = await acted(page, "reset", name="Anna", pin=PIN)
        assert status == 409
        assert "its condition &lt;b&gt;still holds" in html
        assert headers["cookie"].startswith("babbitt_operator=")

    with_pin(tmp_path, free_port, story)


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ({}, {"acknowledge", "shelve", "out_of_service"}),
        ({"state": "returned"}, {"acknowledge", "shelve", "out_of_service"}),
        ({"state": "acknowledged", "latched": True}, {"reset", "shelve", "out_of_service"}),
        ({"held": "shelved"}, {"acknowledge", "unshelve", "out_of_service"}),
        ({"state": "acknowledged", "held": "out of service"}, {"in_service"}),
    ],
)
def test_an_alarm_offers_what_its_state_allows(state: dict[str, object], offered: set[str]) -> None:
    assert set(acts_for(alarms(look(alarms=[alarm(**state)]))[0])) == offered


def test_an_advice_is_shown_and_answered_by_name(tmp_path: Path, free_port: int) -> None:
    told = {
        "id": "ab12" * 16, "asset": "pump-1", "tag": "vibration_mm_s", "value": 3.5, "why": "it saves 4 kW",
        "by": "energy twin", "expires_ns": 1, "step": "advised", "words": "waits for a person", "approvers": ["Ben"],
        "approvals": 2, "contract": "c0ffee",
    }  # fmt: skip
    signed = {
        "id": "speed", "version": 3, "hash": "c0ffee", "why": "", "asset": "pump-1", "tag": "vibration_mm_s",
        "unit": "mm/s", "low": 1.0, "high": 4.0, "step_max": 0.5, "mode": "advise", "approvals": 2,
        "expires_ns": 2 * 10**18,
    }  # fmt: skip
    gateway = FakeGateway()
    gateway.answers["advice"] = {"advice": [told]}
    gateway.answers["contracts"] = {"disabled": "the key switch is off", "contracts": [signed]}

    async def story(page: Served) -> None:
        html = (await page.get("/"))[2]
        for shown in (
            "3.50 mm/s", "4.61 mm/s", "it saves 4 kW", "energy twin", "1 of 2: Ben", "1 to 4 mm/s, at most 0.5",
            "Nothing is written: the key switch is off", "speed 3",
        ):  # fmt: skip
            assert shown in html
        path = f"/advice/{told['id']}"
        assert (await acted(page, "else", path, name="Anna", pin=PIN))[0] == 400
        status, _, _ = await acted(page, "declined", path, name="Anna", pin=PIN, why="the filter is dirty")
        assert status == 303
        sent = {"digest": told["id"], "done": False, "by": "Anna", "why": "the filter is dirty"}
        assert page.gateway.told == [("advised", sent)]

    with_pin(tmp_path, free_port, story, gateway=gateway)


@given(st.text(max_size=300))
def test_a_name_is_one_short_printable_line(text: str) -> None:
    name = name_of(text)
    assert len(name) <= 60
    assert name.isprintable()
    assert name == name.strip()

"""People tell what became of a machine: by form without a script, by JSON, and nobody else can."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from cloud.ingest.tokens import PEOPLE_HINT, Tokens, make
from cloud.web.people import SESSION_S, TRIES_PER_MIN, WRITES_PER_MIN, People
from cloud.web.telling import told_of
from edge.contract.desired import parse_desired
from edge.contract.seal import Link, genesis
from edge.contract.types import Record
from tests.rooms.cloud.sending import EPOCH, GATEWAY, SPINDLE, Sender, cloud
from tests.rooms.cloud.test_chain import verdicts
from tests.rooms.web.test_pages import now_block, verdict
from tests.waiting import DEADLINE_S, until_async

PAGE = f"/assets/{GATEWAY}/spindle-1"
API = f"/api/v1/assets/{GATEWAY}/spindle-1/outcomes"
FAILURE = {
    "kind": "failure",
    "at": "2026-11-01T05:30Z",
    "cost": 8400,
    "downtime_h": 6.5,
    "words": "outer race <spalled>",
}


class Told:
    """A client of a cloud that knows one person."""

    def __init__(self, sender: Sender, client: httpx.AsyncClient, token: str) -> None:
        self.sender, self.client, self.token = sender, client, token

    async def post(self, fields: Any, token: str | None = None, **headers: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {token or self.token}"}
        return await self.client.post(API, json=fields, headers=bearer | headers)

    async def sign_in(self, token: str | None = None) -> httpx.Response:
        return await self.client.post(f"{PAGE}/person", data={"token": token or self.token})

    async def page(self) -> str:
        return (await self.client.get(PAGE)).text

    async def form(self, **fields: str) -> httpx.Response:
        found = re.search(r'name="word" value="([^"]+)"', await self.page())
        word = {"word": found[1]} if found else {}
        typed = {"kind": "failure", "at": "2026-11-01T05:30", **word, **fields}
        return await self.client.post(f"{PAGE}/outcomes", data=typed)


Story = Callable[[Told], Coroutine[Any, Any, None]]


def tell(tmp_path: Path, story: Story, *records: Record, people: bool = True) -> None:
    async def whole() -> None:
        token = make(tmp_path / "people", "ada", what="name of a person")
        settings = {"people": tmp_path / "people"} if people else {}
        async with (
            cloud(tmp_path, **settings) as sender,
            httpx.AsyncClient(base_url=sender.url, timeout=DEADLINE_S) as client,
        ):
            await sender.send(now_block(1, SPINDLE, *(records or [verdict()])))
            await story(Told(sender, client, token))

    asyncio.run(whole())


def test_without_a_file_of_people_nobody_writes_and_the_answer_says_how(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        answer = await told.post(FAILURE)
        assert answer.status_code == 403
        assert "--people FILE" in answer.json()["error"]
        page = await told.page()
        assert "Telling is off here" in page
        assert "<form" not in page
        assert (await told.client.get(API)).json()["outcomes"] == []
        for path in ("outcomes", "person"):
            refused = await told.client.post(f"{PAGE}/{path}", data={"token": told.token})
            assert refused.status_code == 403
            assert "writing is off here" in refused.text

    tell(tmp_path, story, people=False)


def test_by_json_with_the_history_of_corrections(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        made = await told.post(FAILURE)
        assert made.status_code == 201
        first = made.json()
        assert (first["number"], first["revision"], first["by"], first["state"]) == (1, 1, "ada", "confirmed")
        assert first["at_ns"] == 1_793_511_000 * 10**9
        again = {**FAILURE, "number": 1, "revision": 1, "kind": "replaced_healthy", "cost": 900}
        assert (await told.post(again)).json()["state"] == "corrected"
        stale = await told.post(again)
        assert stale.status_code == 409
        assert "corrected it meanwhile" in stale.json()["error"]
        found = (await told.client.get(API)).json()
        assert [(one["kind"], one["cost"]) for one in found["history"]] == [
            ("failure", 8400.0), ("replaced_healthy", 900.0),
        ]  # fmt: skip
        assert [one["revision"] for one in found["outcomes"]] == [2]

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"kind": "exploded"}, 400, "`kind` wants one of failure"),
        ({"at": "yesterday"}, 400, "`at` wants a time"),
        ({"at": "2999-01-01"}, 400, "future"),
        ({"cost": -1}, 400, "cost"),
        ({"cost": "much"}, 400, "`cost` wants a number"),
        ({"cost": True}, 400, "`cost` wants a number"),
        ({"cost": "1,5"}, 400, "`cost` wants a number"),
        ({"cost": "1.234,50"}, 400, "`cost` wants a number"),
        ({"cost": "9" * 41}, 400, "`cost` wants a number"),
        ({"downtime_h": "nan"}, 400, "downtime_h"),
        ({"words": "x" * 2001}, 400, "words"),
        ({"words": "x" * 20_000}, 413, "16 kB"),
        ({"state": "proposed"}, 400, "only an alarm proposes"),
        ({"number": 7, "revision": 1}, 400, "nothing was told under number 7"),
        ({"number": "1; DROP TABLE"}, 400, "`number` wants a whole number"),
        ({"alarm_ns": 10**30}, 400, "whole number"),
        ({"by": "somebody else"}, 400, "knows no field by"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path: Path, change: dict[str, Any], status: int, said: str) -> None:
    async def story(told: Told) -> None:
        answer = await told.post({**FAILURE, **change})
        assert answer.status_code == status
        assert said in answer.json()["error"]
        assert (await told.client.get(API)).json()["history"] == []

    tell(tmp_path, story)


def test_half_of_a_character_is_refused_before_it_reaches_the_file() -> None:
    with pytest.raises(Exception, match="half of a character"):
        told_of({**FAILURE, "words": "\ud83d"})


def test_only_a_persons_token_counts_and_only_as_json(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        assert (await told.post(FAILURE, told.sender.token)).status_code == 401, "a gateway is no person"
        assert (await told.client.post(API, json=FAILURE)).status_code == 401
        await told.sign_in()
        assert (await told.client.post(API, json=FAILURE)).status_code == 401, "a cookie alone writes nothing by JSON"
        plain = {"Authorization": f"Bearer {told.token}", "Content-Type": "text/plain"}
        assert (await told.client.post(API, content="{}", headers=plain)).status_code == 415
        broken = {**plain, "Content-Type": "application/json"}
        for body in ("{", "[]", "null", "[" * 10_000):
            assert (await told.client.post(API, content=body, headers=broken)).status_code == 400, body[:9]
        other = API.replace("spindle-1", "nobody")
        assert (await told.client.post(other, json=FAILURE, headers=plain | broken)).status_code == 404
        assert (await told.client.get(other)).status_code == 404

    tell(tmp_path, story)


def test_by_form_without_a_script(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        assert "Your token" in await told.page()
        signed = await told.sign_in()
        assert (signed.status_code, signed.headers["Location"]) == (303, f"{PAGE}#outcomes")
        cookie = signed.headers["Set-Cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert told.token not in signed.headers["Set-Cookie"]
        assert "You write as <b>ada</b>" in await told.page()
        made = await told.form(cost="8400", downtime_h="6.5", words="outer race <spalled>")
        assert made.status_code == 303
        page = await told.page()
        assert "outer race &lt;spalled&gt;" in page
        assert "cost 8,400" in page
        corrected = await told.form(number="1", revision="1", kind="false_alarm", state="corrected")
        assert corrected.status_code == 303
        page = await told.page()
        assert "1 revision before" in page
        assert "False alarm" in page
        gone = await told.client.post(f"{PAGE}/person/out")
        assert gone.status_code == 303
        assert "Your token" in await told.page()

    tell(tmp_path, story)


def test_what_was_typed_stays_where_it_is_wrong(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        await told.sign_in()
        answer = await told.form(cost="a lot", words="the seal leaked")
        assert answer.status_code == 400
        assert "`cost` wants a number such as 8400 or 6.5, found &#39;a lot&#39;" in answer.text
        assert "the seal leaked" in answer.text
        assert 'value="a lot"' in answer.text

    tell(tmp_path, story)


def test_a_form_from_elsewhere_writes_nothing(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        fields = {"kind": "failure", "at": "2026-11-01T05:30"}
        assert (await told.client.post(f"{PAGE}/outcomes", data=fields)).status_code == 401, "without a session"
        await told.sign_in()
        assert (await told.client.post(f"{PAGE}/outcomes", data=fields)).status_code == 403, "without the form's word"
        assert (await told.form(word="guessed")).status_code == 403
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "http://["}):
            answer = await told.client.post(f"{PAGE}/outcomes", data=fields, headers=headers)
            assert answer.status_code == 403
            assert "another site" in answer.text
        assert (await told.client.get(API)).json()["history"] == []

    tell(tmp_path, story)


def test_wrong_tokens_and_too_many_writes_are_slowed_down(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        full = await too_often(lambda: told.post(FAILURE), 201, WRITES_PER_MIN)
        assert 1 <= int(full.headers["Retry-After"]) <= 60
        await too_often(lambda: told.sign_in("guess"), 403, TRIES_PER_MIN)

        async def has_to_wait() -> bool:
            await told.sign_in("guess")  # On a machine that stood still meanwhile one more is looked at.
            answer = await told.post(FAILURE)
            return answer.status_code == 429 and "wrong tokens" in answer.json()["error"]

        await until_async(has_to_wait, "from there even the right one has to wait")

    tell(tmp_path, story)


async def too_often(ask: Callable[[], Awaitable[httpx.Response]], status: int, per_min: int) -> httpx.Response:
    """The answer to the first question that is one too many: a minute's at once, and one more as each is over."""
    began_s, taken = time.monotonic(), 0
    while (answer := await ask()).status_code == status:
        taken += 1
    assert answer.status_code == 429
    assert per_min <= taken <= per_min + (time.monotonic() - began_s) * per_min / 60 + 1
    return answer


def signed_in(people: People, token: str) -> Request:
    """A later request of whoever signed in with ``token``."""
    answer = Response()
    people.sign_in("ada", token, answer, secure=True)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    assert "Secure" in answer.headers["Set-Cookie"]
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})


def test_a_token_that_is_withdrawn_ends_what_it_had_opened(tmp_path: Path) -> None:
    path = tmp_path / "people"
    token = make(path, "ada")
    people = People(Tokens(path, hint=PEOPLE_HINT))
    request = signed_in(people, token)
    make(path, "bob")
    found = people.session(request)
    assert found is not None
    assert found.person == "ada"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "ada" not in line))
    assert people.session(request) is None
    make(path, "ada")
    assert people.session(request) is None


def test_a_session_ends_after_its_time(tmp_path: Path) -> None:
    now_s = 0.0
    token = make(tmp_path / "people", "ada")
    people = People(Tokens(tmp_path / "people", hint=PEOPLE_HINT), monotonic_s=lambda: now_s)
    request = signed_in(people, token)
    assert people.session(request) is not None
    now_s = SESSION_S + 1
    assert people.session(request) is None


def test_the_record_is_shown_and_told(tmp_path: Path) -> None:
    async def story(told: Told) -> None:
        await told.post(FAILURE)

        async def read() -> dict[str, Any] | None:
            found: dict[str, Any] = await told.sender.get(f"/api/v1/assets/{GATEWAY}/spindle-1/record")
            return found if found["read"] == 1.0 and found["chains"] else None

        found = await until_async(read, "the sealed verdicts are read")
        assert [(one["sealed"], one["whole"]) for one in found["chains"]] == [(5, True)]
        assert found["score"]["unjudged"] == 1
        page = await told.page()
        assert "5 verdicts in a chain, as they were sealed" in page
        assert "Not tried yet" in page
        fleet = await told.sender.get("/api/v1/score")
        assert fleet["assets"][f"{GATEWAY}/spindle-1"]["words"] == "no failure yet to be right about"

    tell(tmp_path, story, *verdicts(5))


def test_the_gateway_is_told_how_often_it_was_right(tmp_path: Path) -> None:
    """For the line on its panel."""
    now_ns = time.time_ns()
    link = Link(0, genesis(GATEWAY, EPOCH, "spindle-1"))
    critical = link.sealed(replace(verdict(), at_ns=now_ns - 7200 * 10**9))

    async def story(told: Told) -> None:
        async def read_in_the_background() -> list[dict[str, Any]]:
            return list((await told.client.get(API)).json()["proposed"])

        proposed = await until_async(read_in_the_background)
        assert [(one["state"], one["worst"]) for one in proposed] == [("proposed", "CRITICAL")]
        answer = {"kind": "failure", "at_ns": now_ns, "alarm_ns": proposed[0]["alarm_ns"]}
        assert (await told.post(answer)).status_code == 201
        assert (await told.client.get(API)).json()["proposed"] == []
        desired = await told.client.get("/api/v1/desired", headers=told.sender.headers())
        (record,) = parse_desired(desired.content).records
        assert (record.asset, record.hits, record.words) == ("spindle-1", 1, "right 1 of 1, none false")
        assert record.median_lead_h == pytest.approx(2.0, abs=0.01)

    tell(tmp_path, story, critical)

"""Commands and acknowledgements over HTTP: who may, what a signature is worth, and what a page says meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from cloud.dispatch.offering import offer_contract
from cloud.ingest.tokens import make
from cloud.store.commands import Commands
from edge.contract.command_file import pack_command, parse_command
from edge.contract.commands import Command, CommandStep, Outcome
from edge.contract.desired import parse_desired
from edge.contract.types import Alarm, AlarmState, Priority
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, Sender, cloud
from tests.rooms.contract.contracts import signed_by
from tests.rooms.dispatch.test_ordering import write_contract
from tests.rooms.web.test_pages import now_block
from tests.waiting import DEADLINE_S

PAGE = f"/assets/{GATEWAY}/spindle-1"
SINCE_NS = time.time_ns()
HOT = Alarm(
    "spindle-1", "hot", "bearing_temperature_c", Priority.HIGH, AlarmState.UNACKNOWLEDGED, SINCE_NS, SINCE_NS, 90.0,
    "the bearing is hot",
)  # fmt: skip
ASKED = "Acknowledgement asked for by ada"


class World:
    def __init__(self, sender: Sender, client: httpx.AsyncClient, token: str) -> None:
        self.sender, self.client = sender, client
        self.bearer = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.token, self.seq = token, 1

    async def draft(self, value: float = 2500.0) -> Command:
        fields = {"gateway": GATEWAY, "contract": "pump-1-speed", "value": value, "why": "less wear"}
        answer = await self.client.post("/api/v1/commands/draft", json=fields, headers=self.bearer)
        assert answer.status_code == 201, answer.text
        return parse_command(answer.content)

    async def submit(self, command: Command) -> httpx.Response:
        return await self.client.post("/api/v1/commands", content=pack_command(command), headers=self.bearer)

    async def desired(self) -> Any:
        answer = await self.client.get("/api/v1/desired", headers=self.sender.headers())
        return parse_desired(answer.content)

    async def tell(self, *records: Any) -> None:
        self.seq += 1
        await self.sender.send(now_block(self.seq, *records))


def told(tmp_path: Path, story: Callable[[World], Coroutine[Any, Any, None]], *, people: bool = True) -> None:
    async def whole() -> None:
        token = make(tmp_path / "people", "ada", what="name of a person")
        settings = {"people": tmp_path / "people"} if people else {}
        async with (
            cloud(tmp_path, **settings) as sender,
            httpx.AsyncClient(base_url=sender.url, timeout=DEADLINE_S) as client,
        ):
            data = tmp_path / "data"
            commands = Commands(data)
            paper = write_contract(
                tmp_path, asset='"spindle-1"', valid_from="2026-01-01T00:00:00Z", expires="2030-01-01T00:00:00Z"
            )
            offer_contract(commands, *paper, by="eva", why="", now_ns=time.time_ns())
            commands.close()
            await sender.send(now_block(1, SPINDLE, HOT))
            await story(World(sender, client, token))

    asyncio.run(whole())


def test_a_command_is_drafted_signed_elsewhere_submitted_followed_and_shown(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        drafted = await world.draft()
        unsigned = await world.submit(drafted)
        assert unsigned.status_code == 201, "it changes nothing"
        assert unsigned.json()["standing"]["state"] == "draft"
        assert (await world.desired()).commands == ()
        answer = await world.submit(replace(drafted, signed=(signed_by(drafted, "ada"),)))
        assert answer.status_code == 201, answer.text
        assert answer.json()["missing"] == "2 more approvals, of bob or carol"
        assert [one.id for one in (await world.desired()).commands] == [drafted.id]
        page = (await world.client.get(PAGE)).text
        assert "waiting for the gateway" in page
        assert "Missing: 2 more approvals, of bob or carol." in page
        await world.tell(Outcome(
            "spindle-1", time.time_ns(), drafted.id, drafted.order, drafted.contract, drafted.tag,
            CommandStep.EXECUTED, 2500.0, 2600.0, 2499.5, "gateway", "reads back",
        ))  # fmt: skip
        page = (await world.client.get(PAGE)).text
        assert '<td class="number">2499.5</td>' in page
        found = (await world.client.get(f"/api/v1/commands/{drafted.id[:12]}")).json()
        assert found["standing"] == {"state": "executed", "words": "reads back", "is_final": False}
        assert found["steps"][0]["read_back"] == 2499.5
        listed = (await world.client.get("/api/v1/commands", params={"gateway": GATEWAY, "asset": "spindle-1"})).json()
        assert [one["id"] for one in listed] == [drafted.id]
        assert (await world.client.get("/api/v1/commands", params={"asset": "other"})).json() == []

    told(tmp_path, story)


def test_a_token_is_no_signature_and_a_signature_needs_a_token(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        drafted = await world.draft()
        signed = replace(drafted, signed=(signed_by(drafted, "ada"),))
        for made, said in (
            (replace(drafted, signed=(signed_by(drafted, "mallory"),)), "does not know"),
            (replace(drafted, signed=(replace(signed_by(drafted, "ada"), signature="A" * 86 + "=="),)), "is false"),
            (replace(signed, value=2600.0), "is no command"),
        ):
            answer = await world.submit(made)
            assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
        without = await world.client.post(
            "/api/v1/commands", content=pack_command(signed), headers={"Content-Type": "application/json"}
        )
        assert without.status_code == 401
        for content in (b"[]", b"{}", b"nonsense"):
            answer = await world.client.post("/api/v1/commands", content=content, headers=world.bearer)
            assert answer.status_code == 400
        large = await world.client.post("/api/v1/commands", content=b" " * 20_000, headers=world.bearer)
        assert large.status_code == 413
        outside = {"gateway": GATEWAY, "contract": "pump-1-speed", "value": 9000, "why": "x"}
        answer = await world.client.post("/api/v1/commands/draft", json=outside, headers=world.bearer)
        assert "outside 2400 to 3000" in answer.json()["error"]
        assert (await world.desired()).commands == ()
        assert (await world.client.get("/api/v1/commands/nothing")).status_code == 404
        for name in ("value", "expires_s"):
            for figure in ("NaN", "Infinity", "1e999", "-5e300", "9" * 400):
                fields = json.dumps(outside | {"value": 1.0, name: "?"}).replace('"?"', figure)
                odd = await world.client.post("/api/v1/commands/draft", content=fields, headers=world.bearer)
                assert odd.status_code == 400, (name, figure)
        for name in ("gateway", "contract", "why", "by"):
            for text in ("", "half \ud800", "x" * 301, 7, None):
                odd = await world.client.post(
                    "/api/v1/commands/draft", content=json.dumps(outside | {name: text}), headers=world.bearer
                )
                assert (odd.status_code, name in odd.json()["error"]) == (400, True), (name, text)

    told(tmp_path, story)


def test_an_alarm_is_acknowledged_by_a_button_and_asked_for_until_its_gateway_says_so(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert 'id="acknowledge"' not in (await world.client.get(PAGE)).text, "nobody is signed in"
        await world.client.post(f"{PAGE}/person", data={"token": world.token})
        page = (await world.client.get(PAGE)).text
        word = re.search(r'id="acknowledge".*?name="word" value="([^"]+)"', page, re.DOTALL)
        button = re.search(r'form="acknowledge" name="alarm" value="([^"]+)"', page)
        assert word is not None
        assert button is not None
        answer = await world.client.post(f"{PAGE}/acknowledge", data={"word": word[1], "alarm": button[1]})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}#alarms")
        page = (await world.client.get(PAGE)).text
        assert ASKED in page
        assert "not acknowledged" in page, "the alarm's own state is its gateway's"
        (seen,) = (await world.desired()).acknowledged
        assert (seen.asset, seen.rule, seen.since_ns, seen.by) == ("spindle-1", "hot", SINCE_NS, "ada")
        await world.tell(replace(HOT, state=AlarmState.ACKNOWLEDGED, at_ns=SINCE_NS + 1, by="ada"))
        assert ASKED not in (await world.client.get(PAGE)).text
        assert (await world.desired()).acknowledged == ()
        again = await world.client.post(f"{PAGE}/acknowledge", data={"word": word[1], "alarm": button[1]})
        assert again.status_code == 409
        assert "is not one that waits to be acknowledged" in again.text

    told(tmp_path, story)


def test_a_latched_alarm_that_is_acknowledged_is_reset_by_a_button_or_as_json(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        url, fields = f"/api/v1{PAGE}/reset", {"rule": "hot", "since_ns": SINCE_NS}
        early = await world.client.post(url, json=fields, headers=world.bearer)
        assert (early.status_code, "waits to be reset" in early.json()["error"]) == (409, True), "not seen yet"
        await world.client.post(f"{PAGE}/person", data={"token": world.token})
        assert 'name="reset"' not in (await world.client.get(PAGE)).text
        await world.tell(replace(HOT, state=AlarmState.ACKNOWLEDGED, latched=True, at_ns=SINCE_NS + 1, by="bob"))
        page = (await world.client.get(PAGE)).text
        word = re.search(r'id="acknowledge".*?name="word" value="([^"]+)"', page, re.DOTALL)
        button = re.search(r'form="acknowledge" name="reset" value="([^"]+)"', page)
        assert word is not None
        assert button is not None
        answer = await world.client.post(f"{PAGE}/acknowledge", data={"word": word[1], "reset": button[1]})
        assert answer.status_code == 303
        assert "Reset asked for by ada" in (await world.client.get(PAGE)).text
        again = await world.client.post(url, json=fields, headers=world.bearer)
        assert (again.status_code, again.json()) == (202, {"asked": True, "new": False})
        (seen,) = (await world.desired()).acknowledged
        assert (seen.rule, seen.by, seen.resets) == ("hot", "ada", True)
        await world.tell(replace(HOT, state=AlarmState.NORMAL, at_ns=SINCE_NS + 2, by="ada"))
        assert (await world.desired()).acknowledged == ()

    told(tmp_path, story)


def test_the_same_as_json_and_nobody_else(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        url, fields = f"/api/v1{PAGE}/acknowledge", {"rule": "hot", "since_ns": SINCE_NS}
        for new in (True, False):
            answer = await world.client.post(url, json=fields, headers=world.bearer)
            assert (answer.status_code, answer.json()) == (202, {"asked": True, "new": new})
        other = await world.client.post(url, json=fields | {"since_ns": SINCE_NS - 1}, headers=world.bearer)
        assert other.status_code == 409
        assert (await world.client.post(url, json=fields)).status_code == 401
        assert (await world.client.post(url, json={"rule": "hot"}, headers=world.bearer)).status_code == 400
        forged = await world.client.post(f"{PAGE}/acknowledge", data={"word": "x", "alarm": f"{SINCE_NS} hot"})
        assert forged.status_code == 401

    told(tmp_path, story)


def test_without_a_file_of_people_nothing_is_asked_of_machines(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for url in (f"/api/v1{PAGE}/acknowledge", "/api/v1/commands", "/api/v1/commands/draft"):
            answer = await world.client.post(url, json={}, headers=world.bearer)
            assert answer.status_code == 403
            assert "--people FILE" in answer.json()["error"]

    told(tmp_path, story, people=False)

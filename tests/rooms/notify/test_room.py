"""Alarms in a store, and a mail server, webhooks and a broker that are real: who is called, once, until one answers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from click.testing import CliRunner

from cloud.notify.channels import NotDeliveredError
from cloud.notify.command import notify
from cloud.notify.config import load_settings
from cloud.notify.outbox import Batch, Outbox
from cloud.notify.room import HOUR_NS, MIN_NS, Notifier
from cloud.store.reader import Reader
from cloud.store.writer import Seen, Writer
from cloud.supervise import Supervisor
from edge.contract.block import decode_block
from edge.contract.downlink import Acknowledged
from edge.contract.types import Alarm, AlarmState, Asset, Held, Priority
from tests.peers.mail import Mail, mail_server
from tests.peers.mosquitto import certificates, mosquitto
from tests.peers.webhooks import verified, webhook_receiver
from tests.rooms.cloud.sending import EPOCH, GATEWAY, SECOND_NS, START_NS, block, cloud
from tests.waiting import DEADLINE_S, until_async

PUMP = Asset("pump-1", "Pump 1", "centrifugal_pump", (), 1000, START_NS)
RAISED = Alarm(
    "pump-1", "flow_low", "flow_m3_h", Priority.HIGH, AlarmState.UNACKNOWLEDGED, START_NS, START_NS, 31.5,
    "Pump 1: flow is 31.5 m3/h, under 40", "a blocked suction filter", "look at the filter",
)  # fmt: skip
TAKEN = replace(RAISED, state=AlarmState.ACKNOWLEDGED, by="ada", at_ns=START_NS + 9 * SECOND_NS)
OVER = replace(
    RAISED, state=AlarmState.NORMAL, at_ns=START_NS + 60 * SECOND_NS, sentence="Pump 1: flow is back at 52 m3/h"
)
PASSWORD = "correct horse"  # noqa: S105 - of a server that lives for a second
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Plant:
    """A cloud's folder that one gateway fills, a notifier on it, and time that a test moves."""

    def __init__(self, folder: Path, **tables: Any) -> None:
        self.folder, self.data, self.now_ns, self.seq = folder, folder / "data", START_NS + SECOND_NS, 0
        self.write(**tables)
        self.tell(PUMP)
        self.reader = Reader(self.data)
        self.open()

    def write(self, **tables: Any) -> None:
        people = [{"name": name, "email": f"{name}@plant.example"} for name in ("ada", "bob", "carol")]
        whole = {"person": people, "route": [{"to": ["ada"]}], "gather_s": 0, "away_min": 0, **tables}
        (self.folder / "notify.toml").write_text(tomli_w.dumps(whole), encoding="utf-8")

    def open(self) -> None:
        self.outbox = Outbox(self.data)
        settings = load_settings(self.folder / "notify.toml")
        self.notifier = Notifier(settings, self.reader, self.outbox, now_ns=lambda: self.now_ns)

    def reopen(self) -> None:
        """As after a crash of the server."""
        self.outbox.close()
        self.open()

    def tell(self, *records: Asset | Alarm) -> None:
        self.seq += 1
        data = block(self.seq, records=records)
        writer = Writer(self.data)
        writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(self.now_ns))
        writer.close()

    def step(self, *records: Alarm, minutes: float = 0.0) -> None:
        """Time passes, something arrives, and the notifier looks."""
        self.now_ns += round(minutes * MIN_NS)
        if records:
            self.tell(*records)
        asyncio.run(self.notifier.step())

    def said(self) -> list[tuple[str, str, str]]:
        return [(line.kind, line.address, line.trouble) for line in reversed(self.outbox.lines(limit=1000))]

    def close(self) -> None:
        self.outbox.close()
        self.reader.close()


@pytest.fixture
def mail() -> Iterator[Mail]:
    with mail_server() as server:
        yield server


def smtp(server: Mail) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": server.port, "sender": "babbitt@plant.example", "security": "none"}


def subjects(server: Mail) -> list[str]:
    return [f"{message['To'].addresses[0].username}: {message['Subject']}" for message in server.came]


def test_one_alarm_is_one_mail_and_its_acknowledgement_and_end_are_told(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail))) as plant:
        plant.step(RAISED)
        for _ in range(3):
            plant.step(replace(RAISED, value=30.0, at_ns=RAISED.at_ns + 1), minutes=1)
        plant.step(TAKEN)
        plant.step(OVER)
        assert subjects(mail) == [
            "ada: [high] Pump 1: flow is 31.5 m3/h, under 40",
            "ada: taken: Pump 1: flow is 31.5 m3/h, under 40",
            "ada: over: Pump 1: flow is 31.5 m3/h, under 40",
        ]
        first = mail.came[0]
        assert first["From"].addresses[0].addr_spec == "babbitt@plant.example"
        assert first["Auto-Submitted"] == "auto-generated"
        assert "What to do: look at the filter" in first.get_content()
        assert "Acknowledged by ada" in mail.came[1].get_content()


def test_nobody_is_called_twice_about_one_raising(tmp_path: Path, mail: Mail) -> None:
    """A backlog that comes late and twice, a server that starts again, a gateway that tells its alarms anew."""
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail))) as plant:
        plant.step(RAISED)
        plant.reopen()
        plant.step(RAISED, minutes=60)
        plant.reopen()
        plant.step(OVER)
        plant.step(replace(OVER, at_ns=OVER.at_ns + 1), minutes=5)
        assert [text.partition(": ")[2][:6] for text in subjects(mail)] == ["[high]", "over: "]
        again = replace(RAISED, since_ns=START_NS + HOUR_NS, at_ns=START_NS + HOUR_NS)
        plant.step(again)
        assert len(mail.came) == 3, "another raising is another alarm"


def test_what_came_and_went_while_the_cable_was_cut_is_told_only_if_nobody_has_seen_it(
    tmp_path: Path, mail: Mail
) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail))) as plant:
        plant.now_ns += 2 * HOUR_NS
        plant.step(RAISED, TAKEN, OVER)
        assert mail.came == [], "ada was there and acknowledged it: it is over"
        returned = replace(RAISED, rule="pressure_high", state=AlarmState.RETURNED, at_ns=START_NS + SECOND_NS)
        plant.step(replace(RAISED, rule="pressure_high"), returned)
        assert len(mail.came) == 1
        text = mail.came[0].get_content()
        assert "told of 2 h 0 min later, as the gateway could not be reached" in text
        assert "It is no longer active, but nobody has acknowledged it." in text


def test_it_escalates_until_somebody_acknowledges_and_over_restarts(tmp_path: Path, mail: Mail) -> None:
    route = {"to": ["ada"], "escalate": [{"after_min": 15, "to": ["bob"]}, {"after_min": 30, "to": ["carol"]}]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[route])) as plant:
        plant.step(RAISED)
        plant.step(minutes=14.9)
        assert [text[:3] for text in subjects(mail)] == ["ada"]
        plant.reopen()
        plant.step(minutes=0.2)
        assert subjects(mail)[1] == "bob: [high] NOT ACKNOWLEDGED: Pump 1: flow is 31.5 m3/h, under 40"
        plant.step(TAKEN, minutes=10)
        plant.step(minutes=60)
        told = sorted(text for text in subjects(mail)[2:])
        assert [text.partition(" Pump")[0] for text in told] == ["ada: taken:", "bob: taken:"], (
            "carol never heard of it"
        )


def test_whoever_acknowledges_here_has_taken_it_also_while_its_gateway_is_away(tmp_path: Path, mail: Mail) -> None:
    route = {"to": ["ada"], "escalate": [{"after_min": 15, "to": ["bob"]}]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[route])) as plant:
        seen: list[Acknowledged] = []
        plant.notifier = Notifier(
            load_settings(tmp_path / "notify.toml"), plant.reader, plant.outbox, now_ns=lambda: plant.now_ns,
            asked=lambda gateway: seen if gateway == GATEWAY else (),
        )  # fmt: skip
        plant.step(RAISED, replace(RAISED, rule="hot"))
        seen.append(Acknowledged("pump-1", RAISED.rule, RAISED.since_ns, "carol", plant.now_ns))
        seen.append(Acknowledged("pump-1", "hot", RAISED.since_ns - 1, "carol", plant.now_ns))
        plant.step(minutes=60)
        assert [(kind, address[:3]) for kind, address, _ in plant.said()] == [
            ("raised", "ada"), ("raised", "ada"), ("acknowledged", "ada"), ("escalated", "bob"),
        ], "what was acknowledged of an earlier raising says nothing of this one"  # fmt: skip
        assert "Acknowledged by carol" in "".join(message.get_content() for message in mail.came)
        seen.clear()
        plant.step(TAKEN)
        plant.step(OVER)
        assert [kind for kind, _, _ in plant.said()[4:]] == ["ended"], "the gateway's word is no news"


def test_an_alarm_that_calls_again_after_it_was_acknowledged_here_asks_again_and_escalates_anew(
    tmp_path: Path, mail: Mail
) -> None:
    """Its gateway was away and never heard of the acknowledgement: what it called for since is another call."""
    route = {"to": ["ada"], "escalate": [{"after_min": 15, "to": ["bob"]}]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[route])) as plant:
        seen: list[Acknowledged] = []

        def notifier() -> Notifier:
            return Notifier(
                load_settings(tmp_path / "notify.toml"), plant.reader, plant.outbox, now_ns=lambda: plant.now_ns,
                asked=lambda gateway: seen if gateway == GATEWAY else (),
            )  # fmt: skip

        plant.notifier = notifier()
        plant.step(RAISED)
        seen.append(Acknowledged("pump-1", RAISED.rule, RAISED.since_ns, "carol", plant.now_ns, repeats=0))
        plant.step(minutes=5)
        plant.step(replace(RAISED, repeats=1, at_ns=RAISED.at_ns + SECOND_NS), minutes=5)
        plant.notifier = notifier()
        plant.step(minutes=1)
        plant.step(minutes=15)
        told = [(kind, address[:3]) for kind, address, _ in plant.said()]
        assert told == [("raised", "ada"), ("acknowledged", "ada"), ("raised", "ada"), ("escalated", "bob")]
        seen[:] = [Acknowledged("pump-1", RAISED.rule, RAISED.since_ns, "carol", plant.now_ns, repeats=1)]
        plant.step(minutes=60)
        assert [kind for kind, _, _ in plant.said()[4:]] == ["acknowledged", "acknowledged"]


def test_a_shelved_alarm_calls_nobody_until_it_is_off_the_shelf(tmp_path: Path, mail: Mail) -> None:
    route = {"to": ["ada"], "escalate": [{"after_min": 15, "to": ["bob"]}]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[route])) as plant:
        shelved = replace(RAISED, held=Held.SHELVED, at_ns=START_NS + SECOND_NS)
        plant.step(shelved)
        plant.step(minutes=60)
        assert mail.came == []
        plant.step(replace(RAISED, at_ns=START_NS + 2 * SECOND_NS))
        plant.step(minutes=16)
        assert [text[:3] for text in subjects(mail)] == ["ada", "bob"]


def test_a_shift_without_anybody_gives_way_to_the_next_call_at_once(tmp_path: Path, mail: Mail) -> None:
    route = {"to": ["shift:noon"], "escalate": [{"after_min": 15, "to": ["bob"]}]}
    shift = {"name": "noon", "begins": "12:00", "ends": "12:01", "people": ["ada"]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[route], shift=[shift])) as plant:
        plant.step(RAISED)
        assert [text[:3] for text in subjects(mail)] == ["bob"]


def test_a_flood_is_one_mail_and_an_hour_has_only_so_many(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), per_hour_max=2)) as plant:
        plant.step(*(replace(RAISED, rule=f"rule_{i}", at_ns=START_NS + i) for i in range(30)))
        assert subjects(mail) == ["ada: [high] Pump 1: flow is 31.5 m3/h, under 40 (and 29 more)"]
        for i in range(30, 40):
            plant.step(replace(RAISED, rule=f"rule_{i}", at_ns=START_NS + i), minutes=1)
        assert len(mail.came) == 2
        plant.step(minutes=55)
        assert len(mail.came) == 3
        assert mail.came[2]["Subject"].endswith("(and 8 more)"), "late, gathered, and none missing"


def test_a_mail_server_that_is_away_is_tried_again_with_the_same_message_and_in_the_end_given_up(
    tmp_path: Path, mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    mail.refusal = "451 busy, try later"
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail))) as plant, caplog.at_level(logging.INFO):
        plant.step(RAISED)
        plant.step()
        assert plant.said() == [("raised", "ada@plant.example", "451 busy, try later")]
        mail.refusal = ""
        plant.step(minutes=0.1)
        assert mail.came == [], "not before the pause is over"
        plant.step(minutes=1)
        assert len(mail.came) == 1
        assert "is reached again" in caplog.text
        mail.refusal = "550 no such user"
        plant.step(replace(RAISED, rule="other"))
        plant.step(minutes=120)
        assert plant.outbox.lines(limit=1)[0].given_up_ns is not None
        assert "given up: 550 no such user" in caplog.text
        mail.refusal = "451 later"
        plant.step(replace(RAISED, rule="third"))
        for _ in range(60):
            plant.step(minutes=31)
        assert plant.outbox.lines(limit=1)[0].given_up_ns is not None, "a day later nobody needs it"


def test_a_call_that_was_acknowledged_before_it_went_out_does_not_go_out(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), gather_s=60)) as plant:
        plant.step(RAISED)
        plant.step(TAKEN, minutes=0.5)
        plant.step(minutes=5)
        assert mail.came == []


def test_starttls_and_a_login(tmp_path: Path) -> None:
    made = certificates(tmp_path)
    (tmp_path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    (tmp_path / "password").chmod(0o600)
    with mail_server((made.server, made.server_key), password=PASSWORD) as server:
        table = {**smtp(server), "security": "starttls", "user": "babbitt", "password_file": "password"}
        with contextlib.closing(Plant(tmp_path, smtp={**table, "ca": "ca.pem"})) as plant:
            plant.step(RAISED)
            assert len(server.came) == 1
            plant.write(smtp=table)
            plant.reopen()
            plant.step(replace(RAISED, rule="other"))
            assert "certificate verify failed" in plant.said()[-1][2], "whoever is not believed gets no password"


def test_a_webhook_is_signed_so_that_its_receiver_can_tell_it_from_another(tmp_path: Path) -> None:
    (tmp_path / "hook.secret").write_text(SECRET + "\n", encoding="utf-8")
    (tmp_path / "hook.secret").chmod(0o600)
    with webhook_receiver() as hooks:
        hook = {"name": "pager", "url": hooks.url, "secret_file": "hook.secret"}
        with contextlib.closing(Plant(tmp_path, webhook=[hook], route=[{"to": ["webhook:pager"]}])) as plant:
            hooks.status = 500
            plant.step(RAISED)
            hooks.status = 302
            plant.step(minutes=1)
            hooks.status = 204
            plant.step(minutes=10)
            came = hooks.take(3)
            assert len({headers["webhook-id"] for headers, _ in came}) == 1, "each try says that it is the same"
            payload = verified(SECRET, *came[2])
            assert payload["type"] == "babbitt.alarms"
            (alarm,) = payload["data"]["alarms"]
            assert (alarm["what"], alarm["gateway"], alarm["asset"], alarm["priority"]) == (
                "raised", GATEWAY, "pump-1", "high",
            )  # fmt: skip
            assert [kind for kind, _, _ in plant.said()] == ["raised"]


def test_every_alarm_has_a_retained_topic_while_it_stands(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        table = {"host": "127.0.0.1", "port": broker.port}
        with contextlib.closing(Plant(tmp_path, mqtt=table, route=[{"to": ["mqtt"]}])) as plant:
            topic = f"babbitt/alarms/{GATEWAY}/pump-1/flow_low"

            async def story() -> None:
                await plant.notifier.step()
                plant.tell(RAISED)
                await plant.notifier.step()
                with broker.client("babbitt/#") as client:
                    ((name, payload, retained),) = client.take(1)
                    assert (name, retained, json.loads(payload)["state"]) == (topic, True, "unacknowledged")
                plant.tell(TAKEN)
                await plant.notifier.step()
                plant.tell(OVER)
                with broker.client("babbitt/#") as client:
                    assert json.loads(client.take(1)[0][1])["state"] == "acknowledged"
                    await plant.notifier.step()
                    assert client.take(2)[1] == (topic, b"", False)
                with broker.client("babbitt/#", "other") as client:
                    broker.publish("other", b"1")
                    assert client.take(1)[0][0] == "other", "nothing is left of it"
                await plant.notifier.ways.close()

            asyncio.run(story())


def test_a_gateway_that_is_silent_is_an_alarm_and_its_return_the_end_of_it(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), away_min=5)) as plant:
        plant.step(minutes=4)
        assert mail.came == []
        plant.step(minutes=2)
        plant.step(minutes=60)
        assert subjects(mail) == [f"ada: [high] gateway {GATEWAY} is not heard of"]
        plant.step(replace(OVER, rule="other"))
        assert subjects(mail)[1] == f"ada: over: gateway {GATEWAY} is not heard of"


def test_a_running_cloud_calls_within_a_second_of_the_alarms_arrival(tmp_path: Path, mail: Mail) -> None:
    people = [{"name": "ada", "email": "ada@plant.example"}]
    whole = {"smtp": smtp(mail), "person": people, "route": [{"to": ["ada"]}], "gather_s": 0}
    (tmp_path / "notify.toml").write_text(tomli_w.dumps(whole), encoding="utf-8")

    async def story() -> None:
        async with cloud(tmp_path, notify=tmp_path / "notify.toml") as sender:
            assert (await sender.send(block(1, records=[PUMP, RAISED]))).status_code == 200
            (message,) = await asyncio.to_thread(mail.take, 1)
            assert message["Subject"] == "[high] Pump 1: flow is 31.5 m3/h, under 40"

    asyncio.run(story())
    listed = CliRunner().invoke(notify, ["list", "--data", str(tmp_path / "data"), "--json"])
    (line,) = json.loads(listed.output)
    assert (line["machine"], line["address"], line["tries"]) == (f"{GATEWAY}/pump-1", "ada@plant.example", 1)


def test_the_commands_try_the_ways_and_say_what_is_wrong(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail))):
        path, run = str(tmp_path / "notify.toml"), CliRunner().invoke
        checked = run(notify, ["check", path])
        assert (checked.exit_code, checked.output.split("now: ")[1]) == (0, "ada\n")
        tried = run(notify, ["test", path, "--to", "bob"])
        assert (tried.exit_code, tried.output) == (0, "email bob@plant.example: taken\n")
        assert "This is a test" in mail.came[0]["Subject"]
        mail.refusal = "550 no"
        assert run(notify, ["test", path, "--to", "bob"]).exit_code == 1
        noon = {"name": "noon", "begins": "12:00", "ends": "12:01", "people": ["ada"], "days": []}
        (tmp_path / "noon.toml").write_text(
            tomli_w.dumps(tomllib.loads(Path(path).read_text()) | {"shift": [noon]}), encoding="utf-8"
        )
        nobody = run(notify, ["test", str(tmp_path / "noon.toml"), "--to", "shift:noon"])
        assert (nobody.exit_code, nobody.output) == (1, "shift:noon: nobody is on duty now\n")
        secret = str(tmp_path / "hook.secret")
        assert run(notify, ["secret", secret]).exit_code == 0
        assert (Path(secret).stat().st_mode & 0o777, Path(secret).read_text()[:6]) == (0o600, "whsec_")
        assert run(notify, ["secret", secret]).exception is not None, "never over another"


def test_a_server_without_starttls_is_told_with_what_to_write_instead(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp={**smtp(mail), "security": "starttls"})):
        tried = CliRunner().invoke(notify, ["test", str(tmp_path / "notify.toml"), "--to", "bob"])
    assert tried.exit_code == 1
    assert 'offers no STARTTLS (`smtp.security` "tls" for port 465, "none"' in tried.output


def test_what_the_help_shows_is_a_file_that_counts(tmp_path: Path) -> None:
    text = notify.help or ""
    first, others = (
        text.partition(f"{title}:\n")[2].partition("\n\n")[0] for title in ("notify.toml", "where it is not")
    )
    for name in ("mail.secret", "pager.secret"):
        (tmp_path / name).write_text("whsec_c2VjcmV0\n", encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    one, two = tomllib.loads(first), tomllib.loads(others)
    for tables in (one, one | two | {"smtp": one["smtp"] | two["smtp"]}):
        (tmp_path / "notify.toml").write_text(tomli_w.dumps(tables), encoding="utf-8")
        load_settings(tmp_path / "notify.toml")


def test_a_gateway_that_is_away_is_not_over_because_the_server_starts_again(tmp_path: Path, mail: Mail) -> None:
    """Nobody has heard of it meanwhile: neither is it over, nor is its alarm forgotten when nobody has answered."""
    route = {"to": ["ada"], "escalate": [{"after_min": 15, "to": ["bob"]}]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), away_min=5, route=[route])) as plant:
        plant.step(minutes=6)
        plant.reopen()
        plant.step(minutes=1)
        plant.step(minutes=10)
        plant.step(minutes=10)
        assert [text.partition(" gateway")[0] for text in subjects(mail)] == [
            "ada: [high]", "bob: [high] NOT ACKNOWLEDGED:",
        ]  # fmt: skip


def test_an_alarm_at_an_hour_without_anybody_calls_whoever_comes_on_duty(tmp_path: Path, mail: Mail) -> None:
    """It is eight o'clock; no later call is configured that could make up for it."""
    day = {"name": "day", "people": ["ada"], "begins": "15:00", "ends": "20:00"}
    route = {"to": ["shift:day"]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), shift=[day], route=[route])) as plant:
        plant.step(RAISED)
        plant.step(minutes=60)
        plant.reopen()
        plant.step(minutes=5 * 60)
        assert mail.came == []
        plant.step(minutes=2 * 60)
        plant.step(minutes=60)
        assert subjects(mail) == ["ada: [high] Pump 1: flow is 31.5 m3/h, under 40"]


def test_an_escalation_at_an_hour_without_anybody_waits_for_whoever_comes_on_duty(tmp_path: Path, mail: Mail) -> None:
    day = {"name": "day", "people": ["bob"], "begins": "15:00", "ends": "20:00"}
    route = {"to": ["ada"], "escalate": [{"after_min": 15, "to": ["shift:day"]}]}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), shift=[day], route=[route])) as plant:
        plant.step(RAISED)
        plant.step(minutes=20)
        plant.step(minutes=60)
        assert [text[:3] for text in subjects(mail)] == ["ada"]
        plant.step(minutes=6 * 60)
        plant.step(minutes=60)
        assert [text.partition(" Pump")[0] for text in subjects(mail)] == [
            "ada: [high]", "bob: [high] NOT ACKNOWLEDGED:",
        ]  # fmt: skip


def test_a_high_alarm_does_not_wait_for_the_next_hour_behind_a_flood_of_others(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), per_hour_max=3)) as plant:
        for number in range(5):
            plant.step(replace(RAISED, rule=f"low_{number}", priority=Priority.LOW), minutes=1)
        assert len(mail.came) == 3
        plant.step(RAISED, minutes=1)
        assert len(mail.came) == 4
        assert mail.came[-1]["Subject"].startswith("[high] Pump 1")


def test_the_secret_in_a_webhooks_address_is_told_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "hook").write_text(SECRET)
    (tmp_path / "hook").chmod(0o600)
    hook = {"name": "pager", "url": "http://user:hunter2@127.0.0.1:9/T0KEN?key=T0KEN", "secret_file": "hook"}
    with contextlib.closing(Plant(tmp_path, webhook=[hook], route=[{"to": ["webhook:pager"]}])) as plant:
        plant.step(RAISED)
        told = caplog.text + json.dumps(plant.said())
        assert "127.0.0.1" in told
        assert "T0KEN" not in told
        assert "hunter2" not in told


def test_what_breaks_on_the_way_to_one_keeps_nobody_else_from_being_called(tmp_path: Path, mail: Mail) -> None:
    """Neither once, nor ever: it is started again and again, and tries what it broke on no sooner than is due."""
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[{"to": ["ada", "mqtt"]}],
                                  mqtt={"host": "127.0.0.1"})) as plant:  # fmt: skip
        broken = Broken()
        plant.notifier.ways.channels["mqtt", ""] = broken
        supervisor = Supervisor()

        async def story() -> None:
            rooms = [asyncio.create_task(supervisor.keep(*room)) for room in plant.notifier.rooms().items()]
            plant.tell(RAISED)
            await asyncio.to_thread(mail.take, 1)
            await until_async(lambda: supervisor.restarts("telling people by mqtt") == 1)
            plant.tell(replace(RAISED, rule="other"))
            await asyncio.to_thread(mail.take, 2)
            await until_async(lambda: supervisor.restarts("telling people by mqtt") == 2)
            plant.now_ns += 2 * HOUR_NS
            await until_async(lambda: supervisor.restarts("telling people by mqtt") == 3)
            assert broken.tried == ["flow_low", "other", "flow_low"]
            for room in rooms:
                room.cancel()
            await asyncio.wait(rooms)

        asyncio.run(story())
        (words,) = supervisor.trouble()
        assert words.startswith("telling people by mqtt broke 3 times (ValueError: a fault of its own)")
        assert ("raised", "", "no answer yet") in plant.said()


class Broken:
    """A way with a fault of a programmer's."""

    gathers = False

    def __init__(self) -> None:
        self.tried: list[str] = []

    async def send(self, batch: Batch) -> None:
        self.tried.append(batch.said[0][1].alarm.rule)
        raise ValueError("a fault of its own")

    async def close(self) -> None: ...


ESCALATES = {"to": ["ada"], "escalate": [{"after_min": 15, "to": ["bob"]}]}


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("550 no such user", True), ("550 5.1.1 user unknown", True), ("551 not here", True), ("553 no mailbox", True),
        ("550 5.2.1 disabled", True), ("556 5.1.10 takes no mail", True),
        ("550 5.7.1 blocked by policy", False), ("554 5.7.1 relay denied", False), ("552 5.2.2 mailbox full", False),
        ("554 no", False), ("530 5.7.0 log in first", False), ("550 5.1.8 bad sender", False), ("450 later", False),
    ],
)  # fmt: skip
def test_a_mailbox_that_is_none_has_the_next_one_called_at_once_and_what_may_be_mended_is_tried_again(
    tmp_path: Path, mail: Mail, answer: str, final: bool
) -> None:
    mail.refused["ada"] = answer
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[ESCALATES])) as plant:
        plant.step(RAISED)
        plant.step()
        assert [text[:3] for text in subjects(mail)] == (["bob"] if final else [])
        assert plant.said()[0] == ("raised", "ada@plant.example", f"refused: {answer}")
        listed = CliRunner().invoke(notify, ["list", "--data", str(plant.data)]).stdout
        assert (f"GIVEN UP: refused: {answer}" in listed) is final
        assert (f"waits, tried 1 times: refused: {answer}" in listed) is not final
        mail.refused.clear()
        plant.step(minutes=1)
        assert [text[:3] for text in subjects(mail)] == (["bob"] if final else ["ada"])
        assert plant.notifier.trouble() == ((f"ada is not told by email: refused: {answer}",) if final else ())


def test_a_login_and_a_sender_that_are_refused_are_for_a_person_to_mend(tmp_path: Path) -> None:
    made = certificates(tmp_path)
    for name, text in (("wrong", "wrong"), ("right", PASSWORD)):
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    with mail_server((made.server, made.server_key), password=PASSWORD) as server:
        table = {**smtp(server), "security": "starttls", "user": "babbitt", "ca": "ca.pem"}
        with contextlib.closing(Plant(tmp_path, smtp={**table, "password_file": "wrong"}, route=[ESCALATES])) as plant:
            plant.step(RAISED)
            assert plant.said()[0][2].startswith("535 5.7.8")
            plant.write(smtp={**table, "password_file": "right"}, route=[ESCALATES])
            plant.reopen()
            server.sender_refused = "550 5.7.1 may not send as babbitt"
            plant.step(minutes=1)
            assert plant.said()[0][2] == "550 5.7.1 may not send as babbitt"
            server.sender_refused = ""
            plant.step(minutes=2)
            assert [text[:3] for text in subjects(server)] == ["ada"], "bob was never needed"


def test_that_nobody_is_reached_is_told_until_somebody_is(tmp_path: Path, mail: Mail) -> None:
    mail.refused |= {"ada": "550 no such user", "bob": "535 5.7.8 log in first"}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), route=[ESCALATES])) as plant:
        plant.step(RAISED)
        plant.step()
        assert not any("Nobody" in words for words in plant.notifier.trouble()), "a way that fails is given a while"
        plant.step(minutes=3)
        plant.step()
        why = "bob by email: refused: 535 5.7.8 log in first"
        assert plant.notifier.trouble()[0] == f"Nobody is reached about {GATEWAY}/pump-1, {RAISED.sentence}: {why}"
        told = CliRunner().invoke(notify, ["list", "--data", str(plant.data)]).stderr
        assert f"NOBODY IS REACHED about {GATEWAY}/pump-1 flow_low: bob by email: refused: 535" in told
        plant.reopen()
        mail.refused.clear()
        plant.step(minutes=30)
        plant.step()
        assert subjects(mail)[0][:3] == "bob"
        assert plant.notifier.trouble() == ("ada is not told by email: refused: 550 no such user",)


def test_an_hour_without_anybody_on_duty_is_told_too(tmp_path: Path, mail: Mail) -> None:
    day = {"name": "day", "people": ["ada"], "begins": "15:00", "ends": "20:00"}
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail), shift=[day], route=[{"to": ["shift:day"]}])) as plant:
        plant.step(RAISED)
        (words,) = plant.notifier.trouble()
        assert words.endswith(": nobody is on duty")
        plant.step(TAKEN)
        assert plant.notifier.trouble() == (), "somebody has taken it without being called"


def test_a_cloud_that_reaches_nobody_says_so_on_its_page_and_is_degraded(tmp_path: Path, mail: Mail) -> None:
    mail.refused["ada"] = "550 no <such> user"
    people = [{"name": "ada", "email": "ada@plant.example"}]
    whole = {"smtp": smtp(mail), "person": people, "route": [{"to": ["ada"]}], "gather_s": 0}
    (tmp_path / "notify.toml").write_text(tomli_w.dumps(whole), encoding="utf-8")

    async def story() -> None:
        async with (
            cloud(tmp_path, notify=tmp_path / "notify.toml") as sender,
            httpx.AsyncClient(base_url=sender.url, timeout=DEADLINE_S) as client,
        ):
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            async with client.stream("GET", "/events") as live:
                assert (await sender.send(block(1, records=[PUMP, RAISED]))).status_code == 200
                lines = live.aiter_lines()
                async with asyncio.timeout(DEADLINE_S):
                    while "Nobody is reached about" not in await anext(lines):
                        pass
            health = (await client.get("/healthz")).json()
            assert health["status"] == "degraded"
            assert health["trouble"][0].startswith(f"Nobody is reached about {GATEWAY}/pump-1, {RAISED.sentence}")
            page = (await client.get("/")).text
            assert "ada by email: refused: 550 no &lt;such&gt; user" in page
            assert (await client.get("/api/v1/fleet")).json()["trouble"] == health["trouble"]

    asyncio.run(story())


def test_an_alarm_that_calls_again_at_the_machine_after_it_was_acknowledged_calls_here_too(
    tmp_path: Path, mail: Mail
) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail))) as plant:
        plant.step(RAISED)
        plant.step(TAKEN, minutes=1)
        plant.step(replace(RAISED, repeats=1, at_ns=TAKEN.at_ns + SECOND_NS), minutes=60)
        plant.step(minutes=60)
        assert [text.partition(" Pump")[0] for text in subjects(mail)] == ["ada: [high]", "ada: taken:", "ada: [high]"]


class Cut:
    """The way to a broker over a line that is cut before (``away``) or after (``mute``) the broker has heard it."""

    gathers = False

    def __init__(self, way: Any) -> None:
        self._way, self.away, self.mute = way, False, False

    async def send(self, batch: Any) -> None:
        if self.away:
            raise NotDeliveredError("it is not reached")
        await self._way.send(batch)
        if self.mute:
            raise NotDeliveredError("it has not acknowledged")

    async def close(self) -> None:
        await self._way.close()


@contextlib.contextmanager
def topics(folder: Path) -> Iterator[tuple[Plant, Cut, Any]]:
    with mosquitto(folder) as broker:
        table = {"host": "127.0.0.1", "port": broker.port}
        with contextlib.closing(Plant(folder, mqtt=table, route=[{"to": ["mqtt"]}])) as plant:
            way = plant.notifier.ways.channels["mqtt", ""] = Cut(plant.notifier.ways.channels["mqtt", ""])
            yield plant, way, broker
            asyncio.run(way.close())


def retained(broker: Any) -> list[str]:
    """What a newcomer is told of alarms: the state of each."""
    with broker.client("babbitt/#", "end") as client:
        broker.publish("end", b"1")
        came, count = client.take(1), 1
        while came[-1][0] != "end":
            count += 1
            came = client.take(count)
        return [json.loads(payload)["what"] for _, payload, _ in came[:-1]]


def test_an_acknowledgement_that_comes_through_late_brings_no_topic_back_whose_alarm_is_over(tmp_path: Path) -> None:
    with topics(tmp_path) as (plant, way, broker):
        plant.step(RAISED)
        way.away = True
        plant.step(TAKEN)
        way.away = False
        plant.step(OVER)
        plant.step(minutes=60)
        assert retained(broker) == []


def test_an_end_that_comes_through_late_takes_no_topic_away_whose_alarm_stands_anew(tmp_path: Path) -> None:
    with topics(tmp_path) as (plant, way, broker):
        plant.step(RAISED)
        way.away = True
        plant.step(OVER)
        way.away = False
        later_ns = OVER.at_ns + SECOND_NS
        plant.step(replace(RAISED, since_ns=later_ns, at_ns=later_ns))
        plant.step(minutes=60)
        assert retained(broker) == ["raised"]


def test_a_topic_that_may_have_come_through_is_taken_away_in_the_end(tmp_path: Path) -> None:
    with topics(tmp_path) as (plant, way, broker):
        way.mute = True
        plant.step(RAISED)
        way.away = True
        plant.step(TAKEN)
        way.away = way.mute = False
        plant.step(OVER)
        plant.step(minutes=60)
        assert retained(broker) == []


def test_an_alarm_that_ends_as_its_call_goes_out_leaves_no_topic(tmp_path: Path) -> None:
    with topics(tmp_path) as (plant, _way, broker):
        take, looking = plant.outbox.take, list[threading.Thread]()

        def amid(address: Any, now_ns: int) -> Any:
            batch = take(address, now_ns)
            if batch is not None and not looking:
                plant.tell(OVER)
                looking.append(threading.Thread(target=plant.notifier.look))
                looking[0].start()
                looking[0].join(0.5)
            return batch

        plant.outbox.take = amid  # type: ignore[method-assign]
        plant.step(RAISED)
        looking[0].join()
        plant.step(minutes=1)
        assert retained(broker) == []


def test_who_hears_that_an_alarm_is_over_hears_nothing_of_it_afterwards(tmp_path: Path, mail: Mail) -> None:
    with contextlib.closing(Plant(tmp_path, smtp=smtp(mail))) as plant:
        plant.step(RAISED)
        mail.refusal = "451 later"
        plant.step(TAKEN)
        mail.refusal = ""
        plant.step(OVER)
        plant.step(minutes=60)
        assert [text.partition(" Pump")[0] for text in subjects(mail)] == ["ada: [high]", "ada: over:"]

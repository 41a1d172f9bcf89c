"""Rollouts in the cloud: promoted once, taken on by what gateways tell, taken back, with who and why in the history."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cloud.dispatch.desk import Desk, wanted
from cloud.dispatch.promote import Plan, promote, roll_back, seconds, shares
from cloud.dispatch.stages import Answers
from cloud.dispatch.watch import RolloutWatch
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from cloud.store.rollouts import FILE, Rollout, Rollouts, State
from cloud.store.rows import MachineRow
from cloud.store.writer import Seen, Writer
from edge.contract import exchange
from edge.contract.block import decode_block
from edge.contract.bundle import MANIFEST
from edge.contract.desired import TrackRecord, parse_desired
from edge.contract.types import Asset, BundleChange, BundleStep, Urgency, Verdict
from edge.errors import BabbittError, BundleError, ConfigError, StoreError
from tests import signed
from tests.rooms.cloud.sending import EPOCH, GATEWAY, block, cloud
from tests.waiting import DEADLINE_S, until_async

NOW_NS = 1_900_000_000 * 10**9
SPINDLES = [Asset(f"spindle-{i}", f"Spindle {i}", "cnc_spindle", (), 1000, 1) for i in range(4)]


class Fleet:
    """A cloud's folder with four spindles that one gateway has told of, and time that a test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.now_ns, self.seq = folder, folder / "data", NOW_NS, 0
        self.key = signed.key(folder)
        self.tell(*SPINDLES)
        self.rollouts, self.reader = Rollouts(self.data), Reader(self.data)
        self.watch = RolloutWatch(self.reader, self.rollouts, now_ns=lambda: self.now_ns)

    def tell(self, *records: Asset | BundleChange | Verdict) -> None:
        """A block of the gateway comes in."""
        self.seq += 1
        data = block(self.seq, records=records)
        writer = Writer(self.data)
        writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(self.now_ns))
        writer.close()

    def bundle(self, name: str) -> str:
        return signed.bundle(self.folder / name, self.key, created_by=name)

    def promote(self, name: str, plan: Plan | None = None, **more: str) -> tuple[Rollout, bool]:
        self.now_ns += 10**9
        return promote(
            self.folder / name, self.data, self.rollouts, plan or Plan(), keys=[self.key.public],
            by=more.get("by", "ada"), why=more.get("why", "retrained"), now_ns=self.now_ns,
        )  # fmt: skip

    def roll_back(self, number: int | None = None) -> tuple[Rollout, bool]:
        self.now_ns += 10**9
        return roll_back("cnc_spindle", self.rollouts, by="bob", why="cries wolf", now_ns=self.now_ns, number=number)

    def look(self) -> Rollout:
        self.now_ns += 10**9
        self.watch.look()
        return self.rollouts.all()[0]

    def change(self, asset: str, step: BundleStep, rollout: Rollout, words: str = "so it is") -> None:
        self.now_ns += 10**9
        self.tell(BundleChange(asset, self.now_ns, rollout.bundle, "", step, rollout.number, 20, words))

    def members(self, rollout: Rollout) -> dict[str, str]:
        return {member.asset: member.step for member in self.rollouts.members(rollout.number)}

    def offered(self) -> dict[str, str]:
        """By asset the name of the bundle that the gateway is offered now."""
        reached = {(m.number, m.gateway, m.asset) for r in self.rollouts.all() for m in self.rollouts.members(r.number)}
        desired = wanted(
            GATEWAY, {asset.asset: "cnc_spindle" for asset in SPINDLES}, self.rollouts.all(),
            lambda number, machine: (number, *machine) in reached, issued_ns=1, now_ns=self.now_ns,
        )  # fmt: skip
        return {asset: offer.bundle for offer in desired.offers for asset in offer.assets}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.reader.close()
    made.rollouts.close()


def test_a_rollout_goes_from_stage_to_stage_by_what_gateways_tell(fleet: Fleet) -> None:
    bundle = fleet.bundle("new")
    rollout, is_new = fleet.promote("new", Plan(stages=(0.25, 0.5, 1.0)))
    assert is_new
    assert fleet.offered() == {}, "nobody is reached before the first look"
    fleet.look()
    (first,) = fleet.offered()
    assert fleet.offered() == {first: bundle}
    fleet.change(first, BundleStep.WATCHED, rollout)
    assert fleet.look().stage == 1
    fleet.change(first, BundleStep.KEPT, rollout)
    assert fleet.look().stage == 2
    fleet.look()
    assert len(fleet.offered()) == 2
    for asset in fleet.offered():
        fleet.change(asset, BundleStep.KEPT, rollout)
    assert fleet.look().stage == 3
    fleet.look()
    for asset in fleet.offered():
        fleet.change(asset, BundleStep.KEPT, rollout)
    assert fleet.look().state == State.DONE
    assert fleet.offered() == {asset.asset: bundle for asset in SPINDLES}
    said = [(line.what, line.by) for line in fleet.rollouts.history()][::-1]
    assert said == [
        ("promoted, stage 1 of 3", "ada"), ("stage 2 of 3", "the cloud"), ("stage 3 of 3", "the cloud"),
        ("done", "the cloud"),
    ]  # fmt: skip


def done(fleet: Fleet, name: str) -> str:
    """A bundle that all have kept."""
    bundle = fleet.bundle(name)
    rollout, _ = fleet.promote(name, Plan(stages=(1.0,)))
    fleet.look()
    for asset in SPINDLES:
        fleet.change(asset.asset, BundleStep.KEPT, rollout)
    assert fleet.look().state == State.DONE
    return bundle


def test_one_that_machines_give_up_is_taken_back_from_all_and_the_one_before_is_in_force_again(fleet: Fleet) -> None:
    before, bad = done(fleet, "before"), fleet.bundle("bad")
    rollout, _ = fleet.promote("bad", Plan(stages=(0.5, 1.0)))
    fleet.look()
    assert sorted(fleet.offered().values()) == sorted([bad, bad, before, before])
    first = next(asset for asset, offered in fleet.offered().items() if offered == bad)
    fleet.change(first, BundleStep.ROLLED_BACK, rollout, "it knew no life 40% of the time, the other 0%")
    after = fleet.look()
    assert after.state == State.ROLLED_BACK
    assert f"1 of 2 machines gave it up: {GATEWAY}/{first}: it knew no life" in after.note
    assert set(fleet.offered().values()) == {before}
    fleet.look()
    assert fleet.members(rollout)[first] == "rolled back"


def verdict(asset: str, at_ns: int, bundle: str, *, rul_h: float | None) -> Verdict:
    return Verdict(asset, at_ns, bundle, 90.0, 0.1, False, rul_h, rul_h, rul_h, Urgency.NORMAL, (), 1.0)


def test_verdicts_that_are_worse_take_it_back_whatever_the_gateway_thinks(fleet: Fleet) -> None:
    bundle = fleet.bundle("new")
    fleet.tell(*(verdict("spindle-0", fleet.now_ns - (40 - i) * 10**9, "cd" * 32, rul_h=100.0) for i in range(30)))
    rollout, _ = fleet.promote("new", Plan(scope=(f"{GATEWAY}/spindle-0",)))
    fleet.look()
    fleet.change("spindle-0", BundleStep.COUNTS, rollout)
    fleet.tell(*(verdict("spindle-0", fleet.now_ns + i, bundle, rul_h=100.0 if i % 5 else None) for i in range(30)))
    after = fleet.look()
    assert after.state == State.ROLLED_BACK
    assert after.note == "its verdicts knew no life 20% of the time, those before 0%"


def test_what_people_found_wrong_takes_it_back(fleet: Fleet) -> None:
    bundle = fleet.bundle("new")
    fleet.promote("new", Plan(scope=(f"{GATEWAY}/spindle-0",)))
    answered = {bundle: Answers(1, 4), "cd" * 32: Answers(18, 2)}
    fleet.watch = RolloutWatch(
        fleet.reader, fleet.rollouts, answered=lambda gateway, asset: answered, now_ns=lambda: fleet.now_ns
    )
    assert fleet.look().state == State.ROLLED_BACK
    assert "people found 4 of 5" in fleet.rollouts.all()[0].note


def test_the_same_is_promoted_once_and_another_waits_its_turn(fleet: Fleet) -> None:
    fleet.bundle("new")
    first, _ = fleet.promote("new")
    again, is_new = fleet.promote("new", by="bob")
    assert (again, is_new) == (first, False)
    fleet.bundle("other")
    with pytest.raises(ConfigError, match=r"rollout 1 .* is under way"):
        fleet.promote("other")
    assert len(fleet.rollouts.history()) == 1


def test_a_rollback_is_done_once_and_an_older_one_is_named_by_number(fleet: Fleet) -> None:
    with pytest.raises(ConfigError, match="was never promoted"):
        fleet.roll_back()
    first = done(fleet, "first")
    fleet.bundle("second")
    fleet.promote("second")
    assert fleet.roll_back()[1]
    assert not fleet.roll_back()[1]
    assert set(fleet.offered().values()) == {first}
    assert fleet.roll_back(1)[1]
    assert fleet.offered() == {}
    line = fleet.rollouts.history()[0]
    assert (line.number, line.what, line.by, line.why) == (1, "rolled back", "bob", "cries wolf")


def test_one_that_was_rolled_back_may_be_promoted_again(fleet: Fleet) -> None:
    bundle = fleet.bundle("new")
    fleet.promote("new")
    fleet.roll_back()
    rollout, is_new = fleet.promote("new", why="the fault was elsewhere")
    assert (rollout.number, is_new) == (2, True)
    fleet.look()
    assert set(fleet.offered().values()) == {bundle}


def test_what_nobody_takes_expires(fleet: Fleet) -> None:
    fleet.bundle("new")
    fleet.promote("new", Plan(expires_s=60.0))
    assert fleet.look().state == State.ROLLING
    assert fleet.offered()
    fleet.now_ns += 61 * 10**9
    assert fleet.offered() == {}
    assert fleet.look().state == State.EXPIRED


def test_what_no_gateway_would_take_is_not_promoted(fleet: Fleet) -> None:
    signed.bundle(fleet.folder / "unsigned", None)
    with pytest.raises(BundleError, match="is not signed"):
        fleet.promote("unsigned")
    signed.bundle(fleet.folder / "foreign", signed.key(fleet.folder, "theirs"))
    with pytest.raises(BundleError, match="not one of yours"):
        fleet.promote("foreign")
    fleet.bundle("altered")
    model = fleet.folder / "altered/life.int8.tflite"
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(BundleError, match="altered"):
        fleet.promote("altered")
    assert fleet.rollouts.all() == []


def test_history_cannot_be_changed(fleet: Fleet) -> None:
    fleet.bundle("new")
    fleet.promote("new")
    with contextlib.closing(sqlite3.connect(fleet.data / FILE)) as file:
        for statement in ("UPDATE history SET why = 'me'", "DELETE FROM history"):
            with pytest.raises(sqlite3.IntegrityError, match="history is never"):
                file.execute(statement)


def test_a_file_that_is_another_programs_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute("PRAGMA application_id = 7")
        file.execute("CREATE TABLE t(x)")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Rollouts(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("stages", [(), (0.5,), (0.5, 0.5, 1.0), (0.0, 1.0), (0.5, 2.0)])
def test_stages_rise_to_all(fleet: Fleet, stages: tuple[float, ...]) -> None:
    fleet.bundle("new")
    with pytest.raises(ConfigError, match="they rise"):
        fleet.promote("new", Plan(stages=stages))


def test_shares_and_spans_as_people_write_them() -> None:
    assert shares("10%, 50,100 %".replace(" %", "%")) == (0.1, 0.5, 1.0)
    assert [seconds(text) for text in ("90s", "15m", "24h", "7d")] == [90.0, 900.0, 86_400.0, 604_800.0]
    for text in ("", "24", "h", "-1h", "1e9d", "nanh"):
        with pytest.raises(BabbittError, match="span of time"):
            seconds(text)
    with pytest.raises(ConfigError, match="percentages"):
        shares("ten")


def test_over_http(tmp_path: Path) -> None:
    asyncio.run(over_http(tmp_path))


async def over_http(tmp_path: Path) -> None:
    key = signed.key(tmp_path)
    bundle = signed.bundle(tmp_path / "new", key)
    async with cloud(tmp_path, rollout_look_s=0.05) as sender, httpx.AsyncClient(timeout=DEADLINE_S) as client:
        await sender.send(block(1, records=SPINDLES))
        with contextlib.closing(Rollouts(tmp_path / "data")) as rollouts:
            promote(tmp_path / "new", tmp_path / "data", rollouts, Plan(stages=(1.0,)), keys=[key.public], by="ada",
                    why="retrained", now_ns=NOW_NS)  # fmt: skip
        headers = {name: value for name, value in sender.headers().items() if name.lower().startswith(("auth", "babb"))}
        url = f"{sender.url}/api/v1"

        async def offered() -> httpx.Response | None:
            said = await client.get(f"{url}/desired", headers=headers)
            return said if parse_desired(said.content).offers else None

        answer: httpx.Response = await until_async(offered)
        desired = parse_desired(answer.content)
        assert desired.gateway == GATEWAY
        assert desired.offers[0].assets == tuple(asset.asset for asset in SPINDLES)
        assert answer.headers[exchange.HEADER] == exchange.digest_of({}, answer.content)
        again = await client.get(f"{url}/desired", headers={**headers, "If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in (MANIFEST, "life.int8.tflite", "signature.json"):
            file = await client.get(f"{url}/bundles/{bundle}/{name}", headers=headers)
            assert file.content == (tmp_path / "new" / name).read_bytes()
            assert file.headers[exchange.HEADER] == exchange.digest_of({}, file.content)
        for path in (
            f"{bundle}/nothing",
            f"{'ab' * 32}/{MANIFEST}",
            f"{bundle}/..%2f..%2ftokens",
            "..%2f..%2ftokens/x",
        ):
            assert (await client.get(f"{url}/bundles/{path}", headers=headers)).status_code == 404
        for path in ("desired", f"bundles/{bundle}/{MANIFEST}"):
            assert (await client.get(f"{url}/{path}")).status_code == 401
            other = {**headers, "Babbitt-Gateway": "somebody-else"}
            assert (await client.get(f"{url}/{path}", headers=other)).status_code == 403


def test_what_is_decided_while_a_gateway_asks_is_newer_than_what_it_is_told(fleet: Fleet) -> None:
    """Else it would take the old word for the newest, and not ask again at once."""
    fleet.bundle("new")
    commands, machines = Commands(fleet.data), fleet.reader.machines

    def meanwhile(gateway: str | None = None) -> list[MachineRow]:
        if not fleet.rollouts.all():
            fleet.promote("new", Plan(stages=(1.0,)))
        return machines(gateway)

    fleet.reader.machines = meanwhile  # type: ignore[method-assign]
    told = Desk(fleet.reader, fleet.rollouts, commands, fleet.data, lambda _: GATEWAY)._desired(GATEWAY)
    assert told.offers == ()
    assert told.issued_ns < fleet.rollouts.changed_ns()
    commands.close()


def test_a_desk_is_handed_what_it_tells_of_track_records(fleet: Fleet) -> None:
    record = TrackRecord("spindle-0", 4, 1, 2, 0.8, 60.5, "foretold 4 of 5")
    commands = Commands(fleet.data)
    desk = Desk(fleet.reader, fleet.rollouts, commands, fleet.data, lambda _: GATEWAY, records=lambda _: [record])
    assert desk._desired(GATEWAY).records == (record,)


@pytest.mark.parametrize("text", ["nan%", "-5%", "101%", "", "10%,", "some", "inf%"])
def test_a_share_is_a_percentage_or_nothing(text: str) -> None:
    with pytest.raises(ConfigError, match="percentages from 0 to 100"):
        shares(text)


@pytest.mark.parametrize(("name", "text"), [("by", "half \udce9"), ("by", ""), ("why", "caf\udce9")])
def test_nobody_promotes_in_words_that_no_file_holds(fleet: Fleet, name: str, text: str) -> None:
    fleet.bundle("new")
    with pytest.raises(ConfigError, match=f"--{name}"):
        fleet.promote("new", None, **{name: text})
    assert fleet.rollouts.all() == []

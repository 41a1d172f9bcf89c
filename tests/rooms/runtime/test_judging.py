"""A judge that hangs, loops, is slow or breaks holds up nobody, is declared, and judges again where it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.config.site import load_site
from edge.contract.types import Batch, Checkpoint, Verdict
from edge.infer import Judge
from edge.journal import open_journal
from edge.ports import JudgeLate
from edge.runtime import Gateway, judging, rounds
from tests.laws.journals import opened_block
from tests.world.hall import HOT, Hall, describe, machine

DEADLINE_S = 60.0
SICK, SOUND = machine(0, 1), machine(0, 2)


class Hangs(Judge):
    """Waits in native code, at the first poll after its first verdict, until it is let go."""

    said = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.go = threading.Event()
        self.hangs = threading.Event()

    def observe(self, batch: Batch) -> None:
        super().observe(batch)
        if self.said and not self.hangs.is_set():
            self.hangs.set()
            self.go.wait()

    def verdict(self, at_ns: int, *, mono_ns: int) -> Verdict | None:
        verdict = super().verdict(at_ns, mono_ns=mono_ns)
        self.said = self.said or verdict is not None
        return verdict


class Loops(Judge):
    """In Python, at its tenth poll, and takes no exception."""

    ended = False

    def observe(self, batch: Batch) -> None:
        super().observe(batch)
        try:
            while self.polls == 10:
                with contextlib.suppress(Exception):
                    self.polls += 0
        finally:
            self.ended = True


class Slow(Judge):
    """Takes a third of a second for each verdict."""

    def verdict(self, at_ns: int, *, mono_ns: int) -> Verdict | None:
        threading.Event().wait(0.3)
        return super().verdict(at_ns, mono_ns=mono_ns)


class Shop:
    """A gateway with two machines, the first of which has a judge of the test's."""

    def __init__(self, folder: Path, hall: Hall) -> None:
        site_file = describe(
            folder, [hall.port], units=2, period_ms=20, panel={"kind": "none"},
            gateway={"inference": True, "verdict_interval_ms": 100, "commit_interval_ms": 50},
        )  # fmt: skip
        self.hall, self.site = hall, load_site(site_file)
        self.gateway = Gateway(self.site)
        self.judging = self.gateway.rooms.judging

    def judged_by(self, kind: type[Judge]) -> Any:
        asset = self.site.file.asset[0]
        judge = kind(asset.id, self.site.classes[asset.class_], None, 20)
        self.judging.judges[asset.id] = judge
        return judge

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            ready, stop = asyncio.Event(), asyncio.Event()
            running = asyncio.create_task(self.gateway.run(ready.set, stop))
            async with asyncio.timeout(DEADLINE_S):
                await ready.wait()
                await scenario()
                stop.set()
                await running
            self.gateway.close()

        asyncio.run(whole())

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)

    async def goes_on(self) -> None:
        """Polls, alarms and the sound machine's verdicts."""
        verdict, reads = self.judging.verdicts[SOUND], self.hall.reads
        await self.until(lambda: self.judging.verdicts[SOUND].number > verdict.number + 2)
        await self.until(lambda: self.hall.reads > reads + 50)
        self.hall.set(1, HOT)
        await self.until(lambda: self.gateway.rooms.desk.standing())
        await self.until(lambda: self.gateway.rooms.proof.trouble() == "")


@pytest.fixture(params=[0.05])
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """At so many looks (s) from each other a judge is late after ten."""
    monkeypatch.setattr(rounds, "LOOK_S", request.param)
    hall = Hall()
    yield Shop(tmp_path, hall)
    hall.close()


def test_a_judge_that_hangs_is_declared_and_judges_again_once_it_comes_back(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    judge = shop.judged_by(Hangs)

    async def scenario() -> None:
        await shop.until(lambda: SICK in shop.judging.verdicts)
        await shop.until(lambda: SICK in shop.judging.late)
        assert SICK not in shop.judging.verdicts, "what it said last says nothing of now"
        await shop.goes_on()
        status = await shop.gateway.rooms.report.status()
        assert list(status["unjudged"]) == [SICK]
        # For the gateway's own health.
        await shop.until(lambda: (shop.judging.silent_s(shop.gateway.rooms.clock.mono_ns()) or 0.0) > 0.3)
        judge.go.set()
        await shop.until(lambda: SICK in shop.judging.verdicts)
        assert not shop.judging.late

    shop.run(scenario)
    assert caplog.text.count("its judge does not come back") == 1
    assert caplog.text.count("its judge has come back") == 1


def test_a_former_judge_that_comes_back_brings_no_later_one_back_that_still_hangs(shop: Shop) -> None:
    former = shop.judged_by(Hangs)
    asset = shop.site.file.asset[0]
    later = Hangs(asset.id, shop.site.classes[asset.class_], None, 20)

    async def scenario() -> None:
        await shop.until(lambda: SICK in shop.judging.late)
        shop.judging.take_over(shop.site, {SICK: later})
        assert not shop.judging.late
        await shop.until(lambda: SICK in shop.judging.late)
        former.go.set()
        await shop.goes_on()
        assert SICK in shop.judging.late, "a judge is never touched by two threads"
        later.go.set()
        await shop.until(lambda: SICK in shop.judging.verdicts)
        assert shop.judging.judges[SICK] is later

    try:
        shop.run(scenario)
    finally:
        former.go.set()
        later.go.set()


def test_what_is_asked_of_a_judge_that_hangs_is_refused_in_time(shop: Shop) -> None:
    judge = shop.judged_by(Hangs)

    async def scenario() -> None:
        assert await shop.judging.between(SOUND, lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await shop.judging.between(SOUND, lambda: 1 // 0)
        await shop.until(judge.hangs.is_set)
        with pytest.raises(JudgeLate):
            await shop.judging.between(SICK, judge.dismiss)
        judge.go.set()
        await shop.goes_on()
        assert SICK in shop.judging.late, "nobody knows how it stands: it stays out"

    shop.run(scenario)


def test_a_judge_that_loops_is_broken_off(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "INTERRUPT_NS", 10**8)
    judge = shop.judged_by(Loops)

    async def scenario() -> None:
        await shop.until(lambda: SICK in shop.judging.late)
        await shop.until(lambda: judge.ended)
        await shop.goes_on()
        assert SICK in shop.judging.late

    shop.run(scenario)


@pytest.mark.parametrize("shop", [rounds.LOOK_S], indirect=True)
def test_a_slow_judge_is_waited_for_by_nobody(shop: Shop) -> None:
    shop.judged_by(Slow)

    async def scenario() -> None:
        await shop.until(lambda: SICK in shop.judging.verdicts)
        await shop.goes_on()
        assert not shop.judging.late

    shop.run(scenario)
    assert shop.gateway.rooms.flow.alarm_ms
    assert sorted(shop.gateway.rooms.flow.alarm_ms)[len(shop.gateway.rooms.flow.alarm_ms) // 2] < 100.0


def test_a_judge_that_hangs_at_the_end_keeps_nobody_from_ending(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "FINISH_S", 0.2)
    judge = shop.judged_by(Hangs)

    async def scenario() -> None:
        await shop.until(judge.hangs.is_set)

    shop.run(scenario)
    judge.go.set()


@pytest.mark.parametrize("shop", [rounds.LOOK_S], indirect=True)
def test_where_a_judge_stands_is_told_before_what_it_says_from_there(shop: Shop) -> None:
    """And a former judge's last polls are its own, whoever takes over meanwhile."""
    former = shop.judged_by(Slow)
    asset = shop.site.file.asset[0]
    later = Judge(asset.id, shop.site.classes[asset.class_], None, 20)

    async def scenario() -> None:
        await shop.until(lambda: SICK in shop.judging.verdicts)
        await shop.until(lambda: shop.judging._unjudged)
        shop.judging.take_over(shop.site, {SICK: later})
        number = shop.judging.verdicts[SICK].number
        await shop.until(lambda: shop.judging.verdicts[SICK].number > number + 2)
        await shop.until(lambda: later.polls and shop.judging.verdicts[SICK].first_ns == later.first_ns)

    shop.run(scenario)
    assert later.polls > 0
    told = [r for r in records(shop) if getattr(r, "asset", "") == SICK and isinstance(r, Verdict | Checkpoint)]
    kinds = [type(record).__name__ for record in told]
    assert kinds[0] == "Checkpoint"
    assert kinds.count("Checkpoint") == 2
    place = kinds.index("Checkpoint", 1)
    before, after = told[place - 1], told[place + 1]
    assert isinstance(before, Verdict)
    assert isinstance(after, Verdict)
    assert (before.polls, after.polls) != (0, 0)
    assert before.polls <= former.polls, "the former saw all that was read before the change"
    # Where nothing was read between the change and what is said then, it is said of no polls.
    seen = next(one for one in told[place + 1 :] if isinstance(one, Verdict) and one.polls)
    assert seen.first_ns >= former.last_ns, "and the later one none of it"
    assert after.number == before.number + 1


def records(shop: Shop) -> list[Any]:
    """What was told, by the numbers of its blocks."""
    journal = open_journal(shop.site.resolve("gateway") / "store.db", shop.site.file.gateway, clock=SystemClock())
    try:
        blocks = sorted(journal.pending(limit_bytes=10**9), key=lambda stored: stored.seq)
        return [record for stored in blocks for record in opened_block(stored).records]
    finally:
        journal.close()

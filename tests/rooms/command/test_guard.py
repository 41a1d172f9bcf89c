"""One command at a real line: every end that it may have, and what reaches the machine on the way there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.command import ByTag, Told
from edge.command.guard import WAITING_MAX
from edge.command.state import DECIDED_MAX
from edge.contract.commands import ORDER_AHEAD_MAX, Signed, order_after
from edge.contract.commands import CommandStep as Step
from edge.contract.downlink import ContractDocument, WithdrawnCommand, WithdrawnContract
from edge.errors import BabbittError
from tests.peers import drive as peers
from tests.rooms.command.rig import (
    ENABLED,
    FLOW,
    PRESSURE,
    RUNNING,
    SETPOINT,
    Rig,
    S,
    Switch,
    contract_of,
    contract_text,
    rig_at,
    signed,
)

Scene = Callable[[Rig], Awaitable[None]]


def play(folder: Path, scene: Scene, *texts: str, **options: Any) -> Rig:
    """The audit's chain holds afterwards, and no command has two ends."""

    async def run() -> Rig:
        async with rig_at(folder, *texts, **options) as rig:
            await scene(rig)
            outcomes = rig.audited()
            ends = [one.command for one in outcomes if one.step.is_end and one.command]
            assert len(ends) == len(set(ends))
            return rig

    return asyncio.run(run())


class TestAtTheMachine:
    def test_it_is_written_read_back_watched_and_kept(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            end = await rig.ended(told)
            assert rig.steps(told) == [Step.WRITING, Step.EXECUTED, Step.KEPT]
            assert (end.value, end.before, end.read_back) == (1250.0, 1200.0, 1250.0)
            assert rig.written == [1250]

        play(tmp_path, scene)

    @pytest.mark.parametrize(
        ("manner", "steps", "written", "stands", "words"),
        [
            (peers.DEAF, [Step.WRITING, Step.FAILED], [1250], 1200, "not taken: it stands at 1200, as before"),
            (peers.REFUSES, [Step.WRITING, Step.FAILED], [1250], 1200, "as before (exception 0x04"),
            (peers.LOSES, [Step.WRITING, Step.FAILED], [1250], 1200, "it stands at 1200, as before (no answer"),
            (peers.MUTE, [Step.WRITING, Step.FAILED], [1250], 1250, "nobody knows whether 1250 stands or still 1200"),
            (peers.LATE, [Step.WRITING, Step.EXECUTED, Step.KEPT], [1250], 1250, "watched"),
            (peers.SLOW, [Step.WRITING, Step.EXECUTED, Step.KEPT], [1250], 1250, "watched"),
            (
                peers.RESETS, [Step.WRITING, Step.EXECUTED, Step.FAILED], [1250], 1200,
                "somebody else, or the device, changed it: it stands at 1200, as before; it is left so",
            ),
        ],
    )  # fmt: skip
    def test_a_device_that_misbehaves(
        self, tmp_path: Path, manner: str, steps: list[Step], written: list[int], stands: int, words: str
    ) -> None:
        async def scene(rig: Rig) -> None:
            rig.drive.manner = manner
            told = rig.give(1250.0)
            end = await rig.ended(told)
            assert rig.steps(told) == steps
            assert rig.written == written, "once, whatever it said"
            assert rig.stands == stands
            assert words in end.words

        play(tmp_path, scene)

    def test_what_takes_another_value_is_put_back(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            rig.drive.manner = peers.OTHER
            rig.drive.heard = lambda written: setattr(
                rig.drive, "manner", peers.OTHER if written.numbers == (1250,) else peers.HONEST
            )
            told = rig.give(1250.0)
            end = await rig.ended(told)
            assert rig.steps(told) == [Step.WRITING, Step.WRITING, Step.FAILED]
            assert rig.written == [1250, 1200]
            assert "read back as 1257; 1200 stands again" in end.words
            assert [round(one.by) for one in rig.audit.kept.changes["pump-1.setpoint"]] == [50, 57], (
                "as it really moved"
            )
            assert end.read_back == 1200.0

        play(tmp_path, scene)

    def test_what_cannot_be_put_back_is_tried_again_and_then_told(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            rig.drive.manner = peers.OTHER
            told = rig.give(1250.0)
            end = await rig.ended(told)
            assert rig.written == [1250, 1200, 1200, 1200]
            assert rig.steps(told) == [Step.WRITING] * 4 + [Step.FAILED], "none of them without a line before it"
            assert "could not be put back: it stands at 1207" in end.words

        play(tmp_path, scene)

    def test_what_was_taken_by_a_machine_that_was_away_then_is_watched_from_its_return(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            rig.drive.heard = lambda _: setattr(rig.drive, "silent", True)
            rig.drive.manner = peers.MUTE
            told = rig.give(1250.0)
            await rig.until(lambda: rig.drive.silent)
            await rig.pass_s(60.0)
            rig.drive.manner, rig.drive.silent, rig.drive.heard = peers.HONEST, False, lambda _: None
            rig.drive.put(1, SETPOINT, 1250)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.put_float(1, PRESSURE, 6.5)
            end = await rig.ended(told)
            assert rig.steps(told) == [Step.WRITING, Step.EXECUTED, Step.WRITING, Step.ROLLED_BACK]
            assert rig.stands == 1200, end.words

        play(tmp_path, scene)

    def test_what_was_put_back_unseen_may_have_moved_by_a_whole_minutes_change(self, tmp_path: Path) -> None:
        switch = Switch()

        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.broken.add((1, SETPOINT))
            rig.drive.put(1, SETPOINT, 1100)
            switch.on = False
            await rig.until(lambda: len(rig.written) > 1)
            rig.drive.broken.clear()
            switch.on = True
            assert (await rig.ended(told)).step is Step.ROLLED_BACK
            await rig.pass_s(25.0)
            soon = await rig.ended(rig.give(1210.0))
            assert "more than 200 a minute" in soon.words
            await rig.pass_s(40.0)
            assert (await rig.ended(rig.give(1210.0))).step is Step.KEPT

        play(tmp_path, scene, enable=switch)

    def test_a_write_that_changes_nothing_is_one_all_the_same(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1200.0)
            assert (await rig.ended(told)).step is Step.KEPT
            assert rig.written == [1200]

        play(tmp_path, scene)

    def test_what_somebody_sets_while_it_waits_for_the_line_is_not_written_over(self, tmp_path: Path) -> None:
        """The step was judged by what stood then; a slow disk or a busy line gives a hand at the machine its time."""

        async def scene(rig: Rig) -> None:
            commit = rig.audit._commit

            async def slowly(name: str) -> bool:
                rig.drive.put(1, SETPOINT, 1450)
                await rig.clock.sleep(2.5)
                return await commit(name)

            rig.audit._commit = slowly
            end = await rig.ended(rig.give(1250.0))
            assert (end.step, rig.written, rig.stands) == (Step.FAILED, [], 1450)
            assert "nothing was written: somebody else, or the device, changed it: it stands at 1450" in end.words

        play(tmp_path, scene)


class TestTakenBack:
    @pytest.mark.parametrize(
        ("found", "step", "stands"),
        [(1250, Step.ROLLED_BACK, 1200), (1200, Step.ROLLED_BACK, 1200), (1300, Step.FAILED, 1300)],
        ids=["as we left it", "gone back by itself", "set by somebody meanwhile"],
    )
    def test_a_machine_that_is_away_is_put_back_once_it_is_there_again(
        self, tmp_path: Path, found: int, step: Step, stands: int
    ) -> None:
        """What aborts was not known as its cable was out: that same cable carries the way back."""

        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.silent = True
            await rig.until(lambda: rig.steps(told)[-1] is Step.WRITING)
            assert "was not known whether" in rig.told[-1].words
            await rig.pass_s(100.0)
            rig.drive.put(1, SETPOINT, found)
            rig.drive.silent = False
            end = await rig.ended(told)
            assert (end.step, rig.stands) == (step, stands), end.words

        play(tmp_path, scene)

    def test_how_far_it_went_back_unseen_counts_as_a_whole_minute(self, tmp_path: Path) -> None:
        """Somebody may have moved the machine while nobody could read it: then nobody knows how far it was moved."""

        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.broken = {(1, SETPOINT)}
            rig.drive.put(1, SETPOINT, 1400)
            await rig.until(lambda: rig.written == [1250, 1200])
            rig.drive.broken = set()
            assert (await rig.ended(told)).step is Step.ROLLED_BACK
            await rig.pass_s(25.0)
            refused = await rig.ended(rig.give(1300.0))
            assert (refused.step, rig.stands) == (Step.REFUSED, 1200)
            assert "in the last minute" in refused.words
            await rig.pass_s(60.0)
            assert (await rig.ended(rig.give(1300.0))).step is Step.KEPT

        play(tmp_path, scene)

    @pytest.mark.parametrize("after_s", [0.5, 29.0])
    def test_an_abort(self, tmp_path: Path, after_s: float) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            await rig.pass_s(after_s)
            rig.drive.put_float(1, PRESSURE, 6.5)
            end = await rig.ended(told)
            assert rig.steps(told) == [Step.WRITING, Step.EXECUTED, Step.WRITING, Step.ROLLED_BACK]
            assert rig.written == [1250, 1200]
            assert "`pressure > 6` aborts; 1200 stands again" in end.words
            assert (end.before, end.read_back) == (1200.0, 1200.0)

        play(tmp_path, scene)

    def test_an_abort_that_cannot_be_told_for_too_long(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.put_float(1, PRESSURE, float("nan"))
            began_ns = rig.clock.mono_ns()
            end = await rig.ended(told)
            assert end.step is Step.ROLLED_BACK
            assert "it was not known whether `pressure > 6` holds: pressure is" in end.words
            assert 4.0 < (rig.clock.mono_ns() - began_ns) / S < 9.0
            assert rig.written == [1250, 1200]

        play(tmp_path, scene, contract_text(blind_s=5.0))

    def test_a_gap_shorter_than_that(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            for _ in range(4):
                rig.drive.put_float(1, PRESSURE, float("nan"))
                await rig.pass_s(3.0)
                rig.drive.put_float(1, PRESSURE, 3.0)
                await rig.pass_s(3.0)
            assert (await rig.ended(told)).step is Step.KEPT

        play(tmp_path, scene, contract_text(blind_s=5.0))

    def test_the_enable_switch(self, tmp_path: Path) -> None:
        switch = Switch()

        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            switch.on = False
            end = await rig.ended(told)
            assert end.step is Step.ROLLED_BACK
            assert "the enable switch is off; 1200 stands again" in end.words
            refused = await rig.ended(rig.give(1210.0))
            assert (refused.step, refused.words) == (Step.REFUSED, "the enable switch is off")
            assert rig.written == [1250, 1200]

        play(tmp_path, scene, enable=switch)

    def test_a_tag_that_enables(self, tmp_path: Path) -> None:
        by_tag = ByTag("fan-2", "enabled")

        async def scene(rig: Rig) -> None:
            rig.drive.put(2, ENABLED, 0)
            await rig.pass_s(2.0)
            refused = await rig.ended(rig.give(1250.0))
            assert (refused.step, refused.words) == (Step.REFUSED, "fan-2.enabled does not enable writes")
            rig.drive.broken.add((2, ENABLED))
            await rig.pass_s(2.0)
            refused = await rig.ended(rig.give(1250.0))
            assert refused.words == "it is not known whether fan-2.enabled enables writes"
            rig.drive.broken.clear()
            rig.drive.put(2, ENABLED, 1)
            await rig.pass_s(2.0)
            assert (await rig.ended(rig.give(1250.0))).step is Step.KEPT

        play(tmp_path, scene, enable=by_tag)

    @pytest.mark.parametrize(("blind_s", "step"), [(8.0, Step.KEPT), (14.0, Step.ROLLED_BACK)])
    def test_a_tag_that_enables_and_cannot_be_read_for_a_while(
        self, tmp_path: Path, blind_s: float, step: Step
    ) -> None:
        """As an abort: one lost poll is no switch that somebody turned, and silence is not the way to go on."""

        async def scene(rig: Rig) -> None:
            rig.drive.put(2, ENABLED, 1)
            await rig.pass_s(2.0)
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.broken.add((2, ENABLED))
            await rig.pass_s(blind_s)
            rig.drive.broken.clear()
            end = await rig.ended(told)
            assert end.step is step, end.words
            assert step is Step.KEPT or "it is not known whether fan-2.enabled enables writes" in end.words

        play(tmp_path, scene, enable=ByTag("fan-2", "enabled"))

    def test_a_tag_that_enables_no_longer(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            rig.drive.put(2, ENABLED, 1)
            await rig.pass_s(2.0)
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.put(2, ENABLED, 0)
            await rig.pass_s(1.5)
            assert "fan-2.enabled does not enable writes; 1200 stands again" in rig.told[-1].words

        play(tmp_path, scene, enable=ByTag("fan-2", "enabled"))

    @pytest.mark.parametrize(("flow", "step"), [(94.0, Step.ROLLED_BACK), (96.0, Step.KEPT), (130.0, Step.KEPT)])
    def test_a_figure_that_is_regretted(self, tmp_path: Path, flow: float, step: Step) -> None:
        regret = [{"tag": "flow", "worse": "down", "percent": 5.0, "over_s": 10.0}]

        async def scene(rig: Rig) -> None:
            await rig.pass_s(12.0)
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.put_float(1, FLOW, flow)
            end = await rig.ended(told)
            assert end.step is step
            if step is Step.ROLLED_BACK:
                assert "flow went down by" in end.words
                assert rig.written == [1250, 1200]

        play(tmp_path, scene, contract_text(regret=regret))

    def test_a_figure_that_was_never_measured_cannot_be_regretted_so_nothing_is_written(self, tmp_path: Path) -> None:
        regret = [{"tag": "flow", "worse": "up", "percent": 5.0, "over_s": 60.0}]

        async def scene(rig: Rig) -> None:
            end = await rig.ended(rig.give(1250.0))
            assert end.step is Step.REFUSED
            assert "flow was not measured well over the last 60 s" in end.words
            assert rig.written == []

        play(tmp_path, scene, contract_text(regret=regret, watch_s=120.0))

    def test_what_a_person_set_meanwhile_is_theirs(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.EXECUTED in rig.steps(told))
            rig.drive.put(1, SETPOINT, 1111)
            rig.drive.put_float(1, PRESSURE, 6.5)
            end = await rig.ended(told)
            assert end.step is Step.FAILED
            assert end.words.endswith("it stands at 1111; it is left so")
            assert rig.written == [1250]

        play(tmp_path, scene)


class TestModes:
    def test_shadow_writes_nothing(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            end = await rig.ended(rig.give(1250.0))
            assert (end.step, end.words) == (Step.SHADOWED, "it would have been written: 1250")
            assert (await rig.ended(rig.give(1310.0))).step is Step.REFUSED, "as it would have been"
            assert rig.written == []

        play(tmp_path, scene, contract_text(mode="shadow"))

    @pytest.mark.parametrize(
        ("by_hand", "done", "step", "words"),
        [
            (1250, True, Step.KEPT, "done by hand. at last"),
            (1249, True, Step.KEPT, "done by hand. at last"),
            (1200, True, Step.FAILED, "done by hand, as Olga says; but it stands at 1200. at last"),
            (1200, False, Step.REFUSED, "at last"),
        ],
    )
    def test_an_advice_is_the_operators(self, tmp_path: Path, by_hand: int, done: bool, step: Step, words: str) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.ADVISED in rig.steps(told))
            assert rig.of(told)[-1].words == "set it to 1250 by hand: less flow at night"
            rig.drive.put(1, SETPOINT, by_hand)
            await rig.guard.answered(told.id, done=done, by="Olga", why="at last")
            end = await rig.ended(told)
            assert (end.step, end.words, end.by) == (step, words, "Olga")
            assert rig.written == []

        play(tmp_path, scene, contract_text(mode="advise"))

    def test_of_two_words_on_one_advice_the_second_is_told_that_it_came_too_late(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.until(lambda: Step.ADVISED in rig.steps(told))
            rig.drive.put(1, SETPOINT, 1250)
            both = asyncio.gather(
                rig.guard.answered(told.id, done=True, by="Olga", why=""),
                rig.guard.answered(told.id, done=False, by="Paul", why="no"), return_exceptions=True,
            )  # fmt: skip
            await rig.until(both.done)
            first, second = both.result()
            assert isinstance(first, Told)
            assert (first.step, rig.of(told)[-1].by) == (Step.KEPT, "Olga")
            assert isinstance(second, BabbittError)
            assert "was kept meanwhile" in str(second)

        play(tmp_path, scene, contract_text(mode="advise"))

    def test_an_advice_that_nobody_answers_expires(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            end = await rig.ended(rig.give(1250.0, expires_ns=rig.clock.wall_ns() + 40 * S))
            assert (end.step, end.words) == (Step.EXPIRED, "nobody acted in time")
            assert rig.written == []

        play(tmp_path, scene, contract_text(mode="advise"))

    def test_approval_is_that_of_others_each_once(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            command = rig.command(1250.0)
            told = rig.guard.receive(command)
            for names, words in (
                (("Ada",), "Ada signed it twice: an approval is another's"),
                (("Dan",), "Dan approved it, who may not"),
                (("Cleo", "Mallory"), "which the contract does not know"),
                (("Ben",), "approved by Ben"),
                (("Ben", "Ben"), "Ben signed it twice"),
            ):
                again = rig.guard.receive(signed(command, *names))
                assert (again.step, words in again.words) == ("waiting", True), again.words
                await rig.pass_s(1.0)
                assert rig.written == [], names
            assert rig.steps(told) == [Step.WAITING, Step.WAITING], "what is false is told to whoever sent it alone"
            assert rig.of(told)[-1].words == "approved by Ben; 1 more approval is wanted"
            assert rig.guard.receive(signed(command, "Ben")).step == "waiting"
            assert rig.guard.receive(signed(command, "Cleo")).step == "", "it waits for nobody any more"
            end = await rig.ended(told)
            assert end.step is Step.KEPT
            again = rig.guard.receive(signed(command, "Cleo"))
            assert (again.step, again.words) == ("kept", end.words)
            assert rig.written == [1250]
            assert "approved by Ben, Cleo" in next(one.words for one in rig.of(told) if one.step is Step.WRITING)

        play(tmp_path, scene, contract_text(mode="approve", approvals=2))

    def test_it_may_come_with_its_approvals(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            assert (await rig.ended(rig.give(1250.0, "Ada", "Ben"))).step is Step.KEPT

        play(tmp_path, scene, contract_text(mode="approve", approvals=1))

    def test_what_nobody_approves_expires(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            command = rig.command(1250.0, expires_ns=rig.clock.wall_ns() + 40 * S)
            told = rig.guard.receive(command)
            end = await rig.ended(told)
            assert (end.step, end.words) == (Step.EXPIRED, "its time is over: 1 more approval is wanted")
            rig.guard.receive(signed(command, "Ben"))
            await rig.pass_s(5.0)
            assert rig.written == []

        play(tmp_path, scene, contract_text(mode="approve", approvals=1))

    @pytest.mark.parametrize("mode", ["approve", "advise"])
    def test_what_waits_expires_by_what_has_surely_passed_where_nobody_knows_the_time(
        self, tmp_path: Path, mode: str
    ) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0, expires_ns=rig.clock.wall_ns() + 40 * S)
            await rig.pass_s(10.0)
            rig.clock.believed = False
            rig.clock.set_wall(0)
            began_ns = rig.clock.mono_ns()
            end = await rig.ended(told)
            assert end.step is Step.EXPIRED
            assert 29.0 < (rig.clock.mono_ns() - began_ns) / S < 32.0
            rig.clock.believed = True
            assert rig.written == []

        play(tmp_path, scene, contract_text(mode=mode, approvals=int(mode == "approve")))

    def test_a_clock_that_was_set_right_says_when_what_waits_expires(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0, expires_ns=rig.clock.wall_ns() + 40 * S)
            rig.clock.set_wall(rig.clock.wall_ns() - 100 * S)
            await rig.pass_s(2.0)
            rig.clock.believed = False
            began_ns = rig.clock.mono_ns()
            assert (await rig.ended(told)).step is Step.EXPIRED
            assert 136.0 < (rig.clock.mono_ns() - began_ns) / S < 140.0

        play(tmp_path, scene, contract_text(mode="approve", approvals=1))

    def test_an_approval_of_what_another_command_has_overtaken_comes_too_late(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            slow = rig.command(1210.0)
            rig.guard.receive(slow)
            quick = rig.give(1250.0, "Ada", "Ben")
            await rig.ended(quick)
            told = rig.guard.receive(signed(slow, "Ben"))
            end = await rig.ended(told)
            assert (end.step, rig.written) == (Step.REFUSED, [1250])
            assert "given later, was carried out meanwhile" in end.words

        play(tmp_path, scene, contract_text(mode="approve", approvals=1))


class TestRefused:
    @pytest.mark.parametrize(
        ("value", "fields", "words"),
        [
            (1250.0, {"gateway": "gw-2"}, "it is for gateway 'gw-2', this is 'gw-1'"),
            (1250.0, {"contract": "ab" * 32}, "no contract here has this hash"),
            (1250.0, {"asset": "fan-2"}, "it is for fan-2.setpoint, its contract for pump-1.setpoint"),
            (1250.0, {"tag": "pressure"}, "it is for pump-1.pressure, its contract for pump-1.setpoint"),
            (999.0, {}, "999 is not within 1000 to 1500 rpm"),
            (1500.0000001, {}, "is not within 1000 to 1500 rpm"),
            (1301.0, {}, "from 1200 it is a step of 101, more than 100"),
            (1e300, {}, "is not within"),
            (-0.0, {}, "is not within"),
        ],
    )
    def test_by_what_it_says(self, tmp_path: Path, value: float, fields: dict[str, Any], words: str) -> None:
        async def scene(rig: Rig) -> None:
            end = await rig.ended(rig.give(value, **fields))
            assert end.step is Step.REFUSED
            assert words in end.words
            assert rig.written == []

        play(tmp_path, scene)

    def test_by_its_times(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            now_ns = rig.clock.wall_ns()
            late = await rig.ended(rig.give(1250.0, expires_ns=now_ns))
            assert (late.step, late.words) == (Step.EXPIRED, "it expired 0 s ago")
            early = await rig.ended(rig.give(1250.0, issued_ns=now_ns + 10 * S))
            assert (early.step, early.words) == (Step.REFUSED, "it was given 10 s from now")
            rig.clock.believed = False
            unknown = await rig.ended(rig.give(1250.0))
            assert "does not know what time it is" in unknown.words
            assert rig.written == []

        play(tmp_path, scene)

    def test_by_its_signatures(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            whole = rig.command(1250.0)
            altered = replace(whole, value=1260.0)
            nobody = replace(whole, signed=())
            stranger = replace(signed(replace(whole, signed=()), "Mallory"))
            approver = signed(replace(whole, signed=()), "Ben")
            other_key = replace(whole, signed=(replace(whole.signed[0], key=approver.signed[0].key),))
            rubbish = replace(whole, signed=(Signed(whole.signed[0].key, 0, "A" * 88),))
            spoiled = replace(whole, signed=(*whole.signed, *rubbish.signed))
            false = {
                altered: "the signature of Ada is false: the command was altered", nobody: "nobody has signed it",
                stranger: "which the contract does not know", approver: "Ben gave it, who may only approve",
                other_key: "the signature of Ben is false", rubbish: "the signature of Ada is false",
                spoiled: "the signature of Ada is false", replace(signed(nobody, "Dan")): "by Ada, and Dan signed it",
            }  # fmt: skip
            for command, words in false.items():
                told = rig.guard.receive(command)
                assert words in told.words
                assert rig.guard.receive(command).step == Step.REFUSED, "and once more, without another line"
            assert len([one for one in rig.told if one.step is Step.REFUSED]) == len(false)
            # None of these stands in the way of the one that was meant.
            told = rig.guard.receive(whole)
            await rig.until(lambda: Step.KEPT in rig.steps(told))
            assert rig.written == [1250]

        asyncio.run(_unchecked(tmp_path, scene))

    def test_what_nobody_signed_fills_no_audit(self, tmp_path: Path) -> None:
        """Who has the cloud and no key: commands, withdrawals and contracts, new ones with every answer."""

        async def scene(rig: Rig) -> None:
            whole = rig.command(1250.0)
            before = len(rig.told)
            for i in range(300):
                forged = replace(whole, value=1200.0 + i / 100, why=f"{i}")
                assert rig.guard.receive(forged).step == Step.REFUSED, "refused all the same"
                await rig.guard.withdraw(WithdrawnCommand(replace(forged, order=0), "Eve", f"{i}"))
                digest = hashlib.sha256(f"{i}".encode()).hexdigest()
                await rig.guard.contracts([], [WithdrawnContract(digest, "Eve", f"{i}")])
            assert len(rig.told) - before <= 70
            await rig.pass_s(90.0)
            rig.guard.receive(replace(whole, why="one more"))
            assert "more like it were not told" in rig.told[-1].words
            assert (await rig.ended(rig.give(1250.0))).step is Step.KEPT

        asyncio.run(_unchecked(tmp_path, scene))

    def test_what_comes_again_changes_nothing(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            command = rig.command(1250.0)
            told = rig.guard.receive(command)
            for _ in range(40):
                again = rig.guard.receive(command)
                await rig.pass_s(1.0)
            assert (again.id, again.step) == (told.id, Step.KEPT)
            assert rig.written == [1250]

        play(tmp_path, scene)

    def test_a_lower_order_that_comes_later(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            early = rig.command(1210.0)
            await rig.ended(rig.give(1250.0))
            await rig.pass_s(30.0)
            end = await rig.ended(rig.guard.receive(early))
            assert end.step is Step.REFUSED
            assert end.words == "its order is 1, and 2 has been here: replayed, or out of order"
            assert rig.written == [1250]

        play(tmp_path, scene)

    @pytest.mark.parametrize("order", [2**62, 2**62 + 1, 2**63 - 1])
    def test_an_order_far_ahead_keeps_no_later_one_out(self, tmp_path: Path, order: int) -> None:
        async def scene(rig: Rig) -> None:
            far = rig.guard.receive(rig.command(1250.0, order=order))
            assert far.step == Step.REFUSED
            limit = rig.clock.wall_ns() // 10**6 + ORDER_AHEAD_MAX
            assert far.words == (
                f"its order is {order}, which would keep later ones out: now it may be {limit} at the most"
            )
            again = rig.guard.receive(rig.command(1250.0, order=limit + 1))
            assert again.step == Step.REFUSED
            ahead = rig.give(1250.0, order=limit)
            assert (await rig.ended(ahead)).step is Step.KEPT, "as far ahead as it may be"
            await rig.pass_s(30.0)
            after = rig.give(1240.0, order=order_after(rig.audit.kept.order, rig.clock.wall_ns()))
            assert (await rig.ended(after)).step is Step.KEPT, "nor does that one"
            assert rig.written == [1250, 1240]

        play(tmp_path, scene)

    def test_one_given_in_the_future_or_at_no_known_time_keeps_no_later_one_out(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            late_ns = rig.clock.wall_ns() + 86_400 * S
            future = {"order": order_after(0, late_ns), "issued_ns": late_ns, "expires_ns": late_ns + 600 * S}
            assert "from now" in rig.give(1250.0, **future).words
            rig.clock.believed = False
            assert "does not know what time it is" in rig.give(1250.0, **future, why="again").words
            rig.clock.believed = True
            assert (await rig.ended(rig.give(1250.0, order=order_after(0, rig.clock.wall_ns())))).step is Step.KEPT

        play(tmp_path, scene)

    def test_one_that_was_refused_stays_so_however_many_come_after_it(self, tmp_path: Path) -> None:
        """Its order is not remembered by that of others, so it is remembered by itself."""

        async def scene(rig: Rig) -> None:
            soon_ns = rig.clock.wall_ns() + 6 * S
            early = rig.command(1250.0, order=order_after(0, soon_ns), issued_ns=soon_ns)
            assert rig.guard.receive(early).step == Step.REFUSED
            for i in range(2 * DECIDED_MAX):
                rig.give(1.0, order=i + 1)
                if i % 8 == 0:
                    await rig.guard.withdraw(WithdrawnCommand(rig.command(1.0, order=2**61 + i), "Eve", ""))
            await rig.pass_s(10.0)
            assert rig.guard.receive(early).words == "it was decided before"
            await rig.pass_s(10.0)
            assert rig.written == []

        play(tmp_path, scene)

    def test_by_dwell_and_rate(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            assert (await rig.ended(rig.give(1290.0))).step is Step.KEPT
            soon = await rig.ended(rig.give(1300.0))
            assert soon.words.startswith("the last write was 5."), soon.words
            await rig.pass_s(15.0)
            assert (await rig.ended(rig.give(1200.0))).step is Step.KEPT
            await rig.pass_s(15.0)
            moved = await rig.ended(rig.give(1250.0))
            assert "with 180 in the last minute it would change by 230, more than 200 a minute" in moved.words
            await rig.pass_s(25.0)
            assert (await rig.ended(rig.give(1250.0))).step is Step.KEPT
            assert rig.written == [1290, 1200, 1250]

        play(tmp_path, scene, contract_text(watch_s=5.0))

    @pytest.mark.parametrize(
        ("harm", "words"),
        [
            (lambda drive: drive.put(1, RUNNING, 0), "`running` does not hold"),
            (lambda drive: drive.put_float(1, PRESSURE, 0.5), "`pressure > 1` does not hold"),
            (
                lambda drive: drive.put_float(1, PRESSURE, float("nan")),
                "it is not known whether `pressure > 1` holds: pressure is 2 s old",
            ),
            (lambda drive: drive.put_float(1, PRESSURE, 7.0), "`pressure > 6`, which aborts, holds or is not known"),
            (lambda drive: drive.broken.add((1, SETPOINT)), "what stands now cannot be read: exception 0x04"),
        ],
    )  # fmt: skip
    def test_by_how_things_are(self, tmp_path: Path, harm: Callable[[peers.Drive], None], words: str) -> None:
        async def scene(rig: Rig) -> None:
            harm(rig.drive)
            await rig.pass_s(2.0)
            end = await rig.ended(rig.give(1250.0))
            assert end.step is Step.REFUSED
            assert words in end.words
            assert rig.written == []

        play(tmp_path, scene)

    def test_a_value_between_what_the_register_holds(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            end = await rig.ended(rig.give(1250.4))
            assert "the device would hold 1250 of it, further off than the tolerance 0.1" in end.words
            end = await rig.ended(rig.give(1500.4))
            assert "1500.4 is not within" in end.words

        play(tmp_path, scene, contract_text(tolerance=0.1))

    def test_a_value_that_the_register_rounds_out_of_bounds(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            end = await rig.ended(rig.give(1250.6))
            assert (end.step, end.words) == (Step.REFUSED, "1251 is not within 1000 to 1250.6 rpm")
            assert rig.written == []

        play(tmp_path, scene, contract_text(high=1250.6))

    def test_more_than_may_wait_are_not_taken(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            for _ in range(WAITING_MAX):
                assert rig.give(1210.0).words == "taken"
            command = rig.command(1210.0)
            told = rig.guard.receive(command)
            assert (told.step, told.words) == ("", "64 commands wait already: give it again later")

        play(tmp_path, scene, contract_text(mode="approve", approvals=1))


class TestAtTheLastMoment:
    def test_nothing_goes_out_that_is_not_on_the_disk(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            rig.journal._connection.execute("PRAGMA query_only = 1")
            told = rig.give(1250.0)
            end = await rig.ended(told)
            assert "the audit could not be put on the disk, so nothing was written" in end.words
            assert rig.written == []
            rig.journal._connection.execute("PRAGMA query_only = 0")
            await rig.pass_s(30.0)
            assert (await rig.ended(rig.give(1250.0))).step is Step.KEPT

        play(tmp_path, scene)

    @pytest.mark.parametrize("what", ["clock", "switch", "contract", "interlock", "expiry"])
    def test_what_changed_while_it_was_put_on_the_disk(self, tmp_path: Path, what: str) -> None:
        switch = Switch()

        async def scene(rig: Rig) -> None:
            commit = rig.audit._commit

            async def meanwhile(name: str) -> bool:
                done = await commit(name)
                if what == "clock":
                    rig.clock.believed = False
                elif what == "switch":
                    switch.on = False
                elif what == "contract":
                    rig.guard._contracts.withdraw(WithdrawnContract(next(iter(rig.guard.in_force)), "Ada", "wrong"))
                elif what == "expiry":
                    rig.clock.set_wall(rig.clock.wall_ns() + 601 * S)
                else:
                    rig.drive.put(1, RUNNING, 0)
                    await rig.clock.sleep(2.0)
                return done

            rig.audit._commit = meanwhile
            told = rig.give(1250.0)
            end = await rig.ended(told)
            assert rig.steps(told) == [Step.WRITING, Step.FAILED]
            assert "nothing was written: " in end.words
            assert rig.written == []

        play(tmp_path, scene, enable=switch)


class TestContracts:
    def test_one_after_the_other_on_one_tag(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            first, second = rig.give(1250.0), rig.give(1240.0)
            await rig.pass_s(5.0)
            assert rig.written == [1250]
            assert rig.of(second)[-1].words == "until the command before it for pump-1.setpoint is decided"
            assert (await rig.ended(second)).step is Step.KEPT
            assert rig.steps(first)[-1] is Step.KEPT
            assert rig.written == [1250, 1240]

        play(tmp_path, scene)

    def test_the_one_that_is_asked_about_does_not_wait_for_itself(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            first = rig.give(1250.0)
            await asyncio.wait_for(rig.poll.asked.wait(), 60.0)
            second = rig.give(1240.0, expires_ns=rig.clock.wall_ns() + 10 * S)
            began_ns = rig.clock.mono_ns()
            assert (await rig.ended(second)).step is Step.EXPIRED
            assert (rig.clock.mono_ns() - began_ns) / S < 12.0, "in its time, whatever it waits for"
            await rig.ended(first)
            assert rig.steps(first) == [Step.WRITING, Step.EXECUTED, Step.KEPT]
            assert rig.steps(second) == [Step.WAITING, Step.EXPIRED]

        play(tmp_path, scene)

    def test_two_tags_side_by_side(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            hashes = {one.asset: one.hash for one in rig.guard.in_force.values()}
            pump = rig.give(1250.0, contract=hashes["pump-1"])
            fan = rig.give(1240.0, contract=hashes["fan-2"], asset="fan-2")
            await rig.pass_s(3.0)
            assert [(one.unit, one.numbers) for one in rig.drive.log] == [(1, (1250,)), (2, (1240,))]
            assert (await rig.ended(pump)).step is (await rig.ended(fan)).step is Step.KEPT

        play(tmp_path, scene, contract_text(), contract_text(id="fan-speed", asset="fan-2"))

    def test_one_that_is_withdrawn_takes_what_waits_with_it(self, tmp_path: Path) -> None:
        text = contract_text(mode="approve", approvals=1)

        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0)
            await rig.pass_s(1.0)
            withdrawn = WithdrawnContract(contract_of(text).hash, "Ada", "the pump is being replaced")
            await rig.guard.contracts([], [withdrawn])
            await rig.guard.contracts([ContractDocument("again", text, "")], [])
            end = await rig.ended(told)
            assert (end.step, end.words) == (Step.WITHDRAWN, "its contract was withdrawn")
            assert not rig.guard.in_force
            assert [one.step for one in rig.told if not one.command] == [Step.ACCEPTED, Step.WITHDRAWN]

        play(tmp_path, scene, text)

    def test_a_higher_version_replaces_and_no_lower_one_comes_back(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            old = rig.command(1250.0)
            texts = [contract_text(version=3, high=1400.0), contract_text(version=2), contract_text(version=3)]
            for text in texts:
                await rig.guard.contracts([ContractDocument("one", text, "")], [])
            assert [one.version for one in rig.guard.in_force.values()] == [3]
            steps = [(one.step, one.words) for one in rig.told if not one.command][1:]
            assert [step for step, _ in steps] == [Step.WITHDRAWN, Step.ACCEPTED, Step.REFUSED, Step.REFUSED]
            assert steps[2][1] == "version 3 of pump-speed has been here"
            assert "a change wants a higher one" in steps[3][1]
            assert rig.guard.receive(old).words == "its contract was withdrawn"

        play(tmp_path, scene)

    def test_one_whose_time_is_over(self, tmp_path: Path) -> None:
        text = contract_text(mode="approve", approvals=1, expires="2026-02-02T03:00:00Z")

        async def scene(rig: Rig) -> None:
            told = rig.give(1250.0, expires_ns=rig.clock.wall_ns() + 86_400 * S)
            await rig.until(lambda: Step.WAITING in rig.steps(told))
            rig.clock.set_wall(contract_of(text).expires_ns)
            assert (await rig.ended(told)).step is Step.WITHDRAWN
            assert not rig.guard.in_force
            assert rig.told[-2].step is Step.EXPIRED

        play(tmp_path, scene, text)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (contract_text(gateway="gw-2"), "it is for gateway 'gw-2'"),
            (contract_text(expires="2025-12-31T00:00:00Z"), "its time is over"),
            ("nonsense = 1", "`id`: is missing"),
        ],
    )
    def test_one_that_does_not_count_is_told_once(self, tmp_path: Path, text: str, words: str) -> None:
        async def scene(rig: Rig) -> None:
            for _ in range(3):
                await rig.guard.contracts([ContractDocument("one", text, "")], [])
            [told] = [one for one in rig.told if not one.command]
            assert told.step is Step.REFUSED
            assert words in told.words

        play(tmp_path, scene, text)

    def test_one_that_is_withdrawn_stays_so_whatever_else_is_withdrawn(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            await rig.stop()  # Hours pass, in which nobody needs to poll.
            text = contract_text()
            await rig.guard.contracts([], [WithdrawnContract(contract_of(text).hash, "Ada", "wrong bounds")])
            for i in range(400):
                digest = hashlib.sha256(f"{i}".encode()).hexdigest()
                await rig.guard.contracts([], [WithdrawnContract(digest, "Eve", "")])
                rig.clock.skip(60.0)
            await rig.guard.contracts([ContractDocument("c0", text, "")], [])
            assert not rig.guard.in_force

        play(tmp_path, scene)

    def test_a_command_that_is_withdrawn(self, tmp_path: Path) -> None:
        async def scene(rig: Rig) -> None:
            waits, never_came = rig.command(1250.0), rig.command(1260.0)
            told = rig.guard.receive(waits)
            for command in (waits, never_came, never_came):
                await rig.guard.withdraw(WithdrawnCommand(command, "Ada", "not today"))
            for command in (waits, never_came):
                assert rig.guard.receive(signed(command, "Ben")).step == Step.WITHDRAWN
            await rig.pass_s(5.0)
            assert rig.steps(told)[-1] is Step.WITHDRAWN
            assert rig.written == []

        play(tmp_path, scene, contract_text(mode="approve", approvals=1))


async def _unchecked(folder: Path, scene: Scene) -> None:
    async with rig_at(folder) as rig:
        await scene(rig)
        rig.audited()

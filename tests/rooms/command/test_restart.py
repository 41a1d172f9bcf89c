"""A gateway that is killed at any instant of a command's way: the next one reads, tells, and writes nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge.command import Answers, ByTag
from edge.contract.commands import CommandStep as Step
from edge.contract.commands import Outcome
from tests.laws.journals import BOOT
from tests.peers.drive import MUTE, OTHER, Drive, Written, over_tcp
from tests.rooms.command.rig import (
    ENABLED,
    FLOW,
    GATEWAY,
    PRESSURE,
    SETPOINT,
    Rig,
    S,
    Steps,
    a_drive,
    contract_text,
    rig_at,
    signed,
)

Act = Callable[[Rig], Awaitable[None]]
OTHER_BOOT = "f" * 32


def two_lives(
    folder: Path,
    first: Act,
    second: Act,
    *texts: str,
    drive: Drive | None = None,
    boot: str = BOOT,
    checked: bool = True,
    clock: Steps | None = None,
    between: Callable[[Path], None] = lambda _: None,
) -> tuple[Drive, Rig]:
    """The first is killed where its scene ends."""

    async def run() -> tuple[Drive, Rig]:
        async with over_tcp(drive or a_drive()) as served:
            rig = Rig(folder, served, documents=texts or [contract_text()])
            async with rig.running():
                await rig.pass_s(1.5)
                await first(rig)
            rig.kill()
            between(folder)
            again = Rig(
                folder, served, documents=texts or [contract_text()], clock=clock or rig.clock, boot=boot
            )  # fmt: skip
            async with again.running():
                await again.pass_s(1.5)
                await second(again)
                assert not checked or again.audited()
            again.close()
            return served, again

    return asyncio.run(run())


async def killed_before_the_write(rig: Rig) -> None:
    """What is about to be written is on the disk, and not yet on the wire."""
    commit, reached = rig.audit._commit, asyncio.Event()

    async def and_no_further(name: str) -> bool:
        assert await commit(name)
        reached.set()
        await asyncio.Event().wait()
        return True

    rig.audit._commit = and_no_further
    rig.give(1250.0)
    await asyncio.wait_for(reached.wait(), 60.0)
    assert rig.written == []


async def killed_at_the_write(rig: Rig) -> None:
    """The machine has heard it, and the gateway has not heard the machine."""
    heard = asyncio.Event()

    def write(_: Written) -> None:
        heard.set()
        for task in rig._tasks:
            task.cancel()

    rig.drive.heard = write
    rig.give(1250.0)
    await asyncio.wait_for(heard.wait(), 60.0)
    rig.drive.heard = lambda _: None


async def killed_while_it_is_watched(rig: Rig) -> None:
    told = rig.give(1250.0)
    await rig.until(lambda: Step.EXECUTED in rig.steps(told))
    await rig.pass_s(5.0)
    rig.journal.commit()


def of_both(rig: Rig) -> list[tuple[Step, float | None]]:
    return [(one.step, one.read_back) for one in rig.audited() if one.command]


@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT], ids=["process", "machine"])
def test_before_the_write_nothing_is_written(tmp_path: Path, boot: str) -> None:
    async def later(rig: Rig) -> None:
        await rig.until(lambda: bool(rig.told) and rig.told[-1].step.is_end)
        assert of_both(rig) == [(Step.WRITING, None), (Step.FAILED, 1200.0)]
        assert (
            "interrupted while it was written, and not written again: it stands at 1200, as before"
            in rig.told[-1].words
        )

    drive, _ = two_lives(tmp_path, killed_before_the_write, later, boot=boot)
    assert drive.log == []


def test_after_the_write_it_is_found_and_watched(tmp_path: Path) -> None:
    async def later(rig: Rig) -> None:
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert of_both(rig) == [(Step.WRITING, None), (Step.EXECUTED, 1250.0), (Step.KEPT, 1250.0)]

    drive, _ = two_lives(tmp_path, killed_at_the_write, later)
    assert [one.numbers for one in drive.log] == [(1250,)]


def test_after_the_write_an_abort_still_puts_it_back(tmp_path: Path) -> None:
    async def killed(rig: Rig) -> None:
        await killed_at_the_write(rig)
        rig.drive.put_float(1, PRESSURE, 6.5)

    async def later(rig: Rig) -> None:
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert [step for step, _ in of_both(rig)] == [Step.WRITING, Step.EXECUTED, Step.WRITING, Step.ROLLED_BACK]

    drive, _ = two_lives(tmp_path, killed, later)
    assert [one.numbers for one in drive.log] == [(1250,), (1200,)]


def test_a_watch_begins_anew(tmp_path: Path) -> None:
    async def later(rig: Rig) -> None:
        began_ns = rig.clock.mono_ns()
        rig.drive.put_float(1, PRESSURE, 3.0)
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert rig.told[-1].step is Step.KEPT
        assert (rig.clock.mono_ns() - began_ns) / 1e9 > 27.0

    drive, _ = two_lives(tmp_path, killed_while_it_is_watched, later)
    assert [one.numbers for one in drive.log] == [(1250,)]


@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT], ids=["process", "machine"])
@pytest.mark.parametrize(("flow", "step"), [(96.0, Step.KEPT), (94.0, Step.ROLLED_BACK)])
def test_a_figure_that_is_regretted_is_judged_over_what_was_read_since(
    tmp_path: Path, flow: float, step: Step, boot: str
) -> None:
    """Of the whole watch, which is the longest that there may be: the means from before the write were kept."""
    text = contract_text(regret=[{"tag": "flow", "worse": "down", "percent": 5.0, "over_s": 30.0}], watch_s=30.0)

    async def killed(rig: Rig) -> None:
        await rig.pass_s(32.0)
        await killed_while_it_is_watched(rig)
        rig.drive.put_float(1, FLOW, flow)

    async def later(rig: Rig) -> None:
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert rig.told[-1].step is step, rig.told[-1].words

    two_lives(tmp_path, killed, later, text, boot=boot)


def test_a_restart_is_no_enable_switch_that_somebody_turned(tmp_path: Path) -> None:
    """What has not been polled yet is not known; it is not off."""

    async def run() -> None:
        async with over_tcp(a_drive()) as served:
            served.put(2, ENABLED, 1)
            rig = Rig(tmp_path, served, documents=[contract_text()], enable=ByTag("fan-2", "enabled"))
            async with rig.running():
                await rig.pass_s(1.5)
                told = rig.give(1250.0)
                await rig.until(lambda: Step.EXECUTED in rig.steps(told))
                rig.journal.commit()
            rig.kill()
            again = Rig(
                tmp_path, served, documents=[contract_text()], enable=ByTag("fan-2", "enabled"), clock=rig.clock
            )  # fmt: skip
            async with again.running():
                await again.until(lambda: any(one.step.is_end for one in again.told))
            assert [one.step for one in again.told] == [Step.KEPT]
            again.close()

    asyncio.run(run())


def test_a_watch_goes_on_under_the_contract_that_was_withdrawn_meanwhile(tmp_path: Path) -> None:
    """It was begun under those terms, and they alone say when to take it back."""

    async def later(rig: Rig) -> None:
        assert not rig.guard.in_force
        rig.drive.put_float(1, PRESSURE, 6.5)
        await rig.until(lambda: any(one.step is Step.ROLLED_BACK for one in rig.told))

    async def killed(rig: Rig) -> None:
        await killed_while_it_is_watched(rig)
        from edge.contract.downlink import WithdrawnContract

        await rig.guard.contracts([], [WithdrawnContract(next(iter(rig.guard.in_force)), "Ada", "wrong")])
        rig.journal.commit()

    drive, _ = two_lives(tmp_path, killed, later)
    assert [one.numbers for one in drive.log] == [(1250,), (1200,)]


def test_what_was_being_put_back_is_put_back(tmp_path: Path) -> None:
    async def killed(rig: Rig) -> None:
        told = rig.give(1250.0)
        await rig.until(lambda: Step.EXECUTED in rig.steps(told))
        rig.drive.put_float(1, PRESSURE, 6.5)
        rig.drive.manner = MUTE
        await rig.until(lambda: len(rig.written) == 2)
        rig.drive.manner, rig.drive.silent = "honest", False
        rig.drive.put(1, SETPOINT, 1250)

    async def later(rig: Rig) -> None:
        rig.drive.put_float(1, PRESSURE, 3.0)
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert rig.told[-1].step is Step.ROLLED_BACK

    drive, _ = two_lives(tmp_path, killed, later)
    assert [one.numbers for one in drive.log] == [(1250,), (1200,), (1200,)]
    assert drive.registers[1, SETPOINT] == 1200


def test_what_nobody_can_explain_is_left_and_told(tmp_path: Path) -> None:
    async def killed(rig: Rig) -> None:
        rig.drive.manner = OTHER
        await killed_at_the_write(rig)

    async def later(rig: Rig) -> None:
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert of_both(rig)[-1] == (Step.FAILED, 1257.0)

    drive, _ = two_lives(tmp_path, killed, later)
    assert len(drive.log) == 1


def test_a_machine_that_is_gone_is_told_after_a_while(tmp_path: Path) -> None:
    async def killed(rig: Rig) -> None:
        await killed_at_the_write(rig)
        rig.drive.silent = True

    async def later(rig: Rig) -> None:
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert "nobody knows whether 1250 stands or still 1200" in rig.told[-1].words

    two_lives(tmp_path, killed, later)


def test_orders_ends_and_approvals_survive(tmp_path: Path) -> None:
    text = contract_text(mode="approve", approvals=2)
    given = []

    async def killed(rig: Rig) -> None:
        ended, waits = rig.command(1250.0, contract=None), rig.command(1240.0)
        given.extend([ended, waits])
        rig.guard.receive(signed(ended, "Ben", "Cleo"))
        await rig.until(lambda: any(one.step is Step.KEPT for one in rig.told))
        rig.guard.receive(signed(waits, "Ben"))
        await rig.pass_s(1.0)
        rig.journal.commit()

    async def later(rig: Rig) -> None:
        ended, waits = given
        told = rig.guard.receive(ended)
        assert (told.step, told.words) == (Step.KEPT, "watched for 30 s")
        listed = Answers(rig.guard).commanded()["commands"]
        assert [(one["value"], one["step"], list(one["approvers"])) for one in listed] == [
            (1240.0, Step.WAITING, ["Ben"]), (1250.0, Step.KEPT, ["Ben", "Cleo"]),
        ]  # fmt: skip
        low = rig.command(1230.0, order=1)
        assert "out of order" in rig.guard.receive(low).words
        told = rig.guard.receive(signed(waits, "Cleo"))
        await rig.until(lambda: Step.KEPT in rig.steps(told))
        assert rig.written == [1250, 1240]

    two_lives(tmp_path, killed, later, text)


def waits_for_approval(*, cleanly: bool) -> Act:
    """For 100 s, of which the last step was told 10 s before the end, or at the end."""

    async def act(rig: Rig) -> None:
        rig.give(1250.0, expires_ns=rig.clock.wall_ns() + 100 * S)
        await rig.pass_s(10.0)
        if cleanly:
            rig.audit.keep(clean=True)
        rig.journal.commit()

    return act


async def expires_at_no_known_time(rig: Rig, within_s: float) -> None:
    rig.clock.believed = False
    rig.clock.set_wall(0)
    await rig.pass_s(within_s - 3.0)
    assert rig.told == []
    await rig.pass_s(3.0)
    assert [one.step for one in rig.told] == [Step.EXPIRED]


NEEDS_ONE = contract_text(mode="approve", approvals=1)


def test_what_waits_expires_in_another_process_at_no_known_time(tmp_path: Path) -> None:
    async def later(rig: Rig) -> None:
        await expires_at_no_known_time(rig, 90.0)

    two_lives(tmp_path, waits_for_approval(cleanly=False), later, NEEDS_ONE)


@pytest.mark.parametrize(("cleanly", "within_s"), [(True, 90.0), (False, 100.0)])
def test_what_waits_expires_in_another_boot_at_no_known_time(tmp_path: Path, cleanly: bool, within_s: float) -> None:
    """How long it was off nobody knows; nor, after a power cut, what passed since the last step."""

    async def later(rig: Rig) -> None:
        await expires_at_no_known_time(rig, within_s)

    clock = Steps(0)
    clock.believed = False
    two_lives(tmp_path, waits_for_approval(cleanly=cleanly), later, NEEDS_ONE, boot=OTHER_BOOT, clock=clock)


@pytest.mark.parametrize(("boot", "passes_s"), [(BOOT, 21.0), (OTHER_BOOT, 24.0)])
def test_the_time_between_two_writes_is_kept_over_a_restart(tmp_path: Path, boot: str, passes_s: float) -> None:
    """In another boot nobody knows how long the machine was off, so it counts from the start."""
    text = contract_text(watch_s=0, abort=[])

    async def killed(rig: Rig) -> None:
        await rig.ended(rig.give(1250.0))
        rig.journal.commit()
        if boot == OTHER_BOOT:
            await rig.pass_s(100.0)

    async def later(rig: Rig) -> None:
        soon = await rig.ended(rig.give(1240.0))
        assert "20 s are wanted between two" in soon.words
        await rig.pass_s(passes_s)
        assert (await rig.ended(rig.give(1240.0))).step is Step.KEPT

    drive, _ = two_lives(tmp_path, killed, later, text, boot=boot)
    assert [one.numbers for one in drive.log] == [(1250,), (1240,)]


def test_an_altered_state_lets_nothing_of_before_happen_again(tmp_path: Path) -> None:
    given = []

    async def killed(rig: Rig) -> None:
        given.append(rig.command(1250.0))
        await rig.ended(rig.guard.receive(given[0]))
        rig.journal.keep("command", b"nonsense")
        rig.journal.commit()

    async def later(rig: Rig) -> None:
        told = rig.guard.receive(given[0])
        assert told.words.startswith("it was given before this gateway began to remember")
        await rig.pass_s(30.0)
        assert len(rig.written) == 1
        assert (await rig.ended(rig.give(1200.0))).words.startswith("what was written in the last 60 s is not known"), (
            "what was written is not known"
        )
        await rig.pass_s(30.0)
        assert (await rig.ended(rig.give(1200.0))).step is Step.KEPT
        assert rig.audit.kept.number < 10, "the chain begins again, which the receiver sees"

    two_lives(tmp_path, killed, later, checked=False)


def test_a_lost_store_is_told_and_nothing_is_written_until_rates_are_known(tmp_path: Path) -> None:
    given = []

    async def killed(rig: Rig) -> None:
        given.append(rig.command(1250.0))
        await rig.ended(rig.guard.receive(given[0]))
        rig.journal.commit()

    def lose(folder: Path) -> None:
        for path in folder.glob("store.db*"):
            if path.suffix != ".recorder":
                path.unlink()

    async def later(rig: Rig) -> None:
        assert rig.told[0].step is Step.REFUSED
        assert rig.told[0].words.startswith("the former store is lost")
        assert rig.guard.receive(given[0]).words.startswith("it was given before this gateway began to remember")
        soon = await rig.ended(rig.give(1300.0))
        assert soon.words.startswith("what was written in the last 60 s is not known, as the store was lost: wait for")
        await rig.pass_s(60.0)
        longer = await rig.ended(rig.give(1300.0))
        assert longer.words.startswith("what was written in the last 90 s is not known, as")
        await rig.pass_s(30.0)
        assert (await rig.ended(rig.give(1300.0))).step is Step.KEPT
        assert rig.written == [1250, 1300]
        assert 120.0 < Answers(rig.guard).status()["lost_s"] < 130.0

    two_lives(tmp_path, killed, later, contract_text(dwell_s=90.0), between=lose)


def test_a_new_gateway_waits_for_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            assert Answers(rig.guard).status()["lost_s"] is None
            assert (await rig.ended(rig.give(1250.0))).step is Step.KEPT

    asyncio.run(scene())


def test_what_another_configuration_has_at_another_register_is_left_alone(tmp_path: Path) -> None:
    """The value before was that of the register that was written to: it means nothing at any other."""

    async def moved(rig: Rig) -> None:
        told = rig.give(1250.0)
        await rig.until(lambda: Step.EXECUTED in rig.steps(told))
        rig.register = "unit 7, register 0"
        rig.drive.put_float(1, PRESSURE, 6.5)
        await rig.until(lambda: rig.told[-1].step.is_end)
        assert rig.told[-1].step is Step.FAILED
        assert "at another register, which is not written to; 1250 was" in rig.told[-1].words
        rig.journal.commit()

    async def later(rig: Rig) -> None:
        await rig.pass_s(2.0)

    drive, _ = two_lives(tmp_path, moved, later)
    assert [one.numbers for one in drive.log] == [(1250,)]


def test_nor_is_it_after_a_restart(tmp_path: Path) -> None:
    async def killed(rig: Rig) -> None:
        rig.register = "unit 7, register 0"
        await killed_at_the_write(rig)

    async def later(rig: Rig) -> None:
        await rig.until(lambda: any(one.step.is_end for one in rig.told))
        assert [step for step, _ in of_both(rig)] == [Step.WRITING, Step.FAILED]

    drive, _ = two_lives(tmp_path, killed, later)
    assert [one.numbers for one in drive.log] == [(1250,)]


def test_an_order_that_no_receiver_takes_keeps_nothing_else_from_being_told(tmp_path: Path) -> None:
    """A configuration that nobody signed may bear any number; its refusal lies in a block with much else."""

    async def story() -> None:
        async with rig_at(tmp_path) as rig:
            told = Outcome(
                GATEWAY, rig.clock.wall_ns(), "ab" * 32, 2**63 - 1, "", "", Step.REFUSED, None, None, None, GATEWAY, ""
            )  # fmt: skip
            rig.guard.note(told)
            assert [one.command for one in rig.audited()][-1] == told.command

    asyncio.run(story())

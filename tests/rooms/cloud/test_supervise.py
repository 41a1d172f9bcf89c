"""The cloud's background rooms: one that breaks ends alone, is told of, and starts again, ever later."""

from __future__ import annotations

import asyncio
import logging

import pytest

from cloud.supervise import CALM_S, Supervisor


def test_what_breaks_is_logged_whole_told_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    now_s, told = 100.0, []

    async def sleep(_pause_s: float) -> None:
        await asyncio.sleep(0)

    supervisor = Supervisor(mono_s=lambda: now_s, sleep=sleep)

    async def room() -> None:
        told.append(supervisor.trouble())
        if len(told) < 3:
            raise ZeroDivisionError("a fault\nof its own")

    async def story() -> None:
        async with asyncio.timeout(20):
            await supervisor.keep("verifying", room)

    asyncio.run(story())
    assert told == [
        (),
        ("verifying broke once (ZeroDivisionError: a fault of its own) and runs again",),
        ("verifying broke 2 times (ZeroDivisionError: a fault of its own) and runs again",),
    ]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info is not None for record in errors] == [True, True]
    now_s += CALM_S
    assert supervisor.trouble() == ()
    assert supervisor.restarts("verifying") == 2


def test_pauses_grow_and_a_room_that_ran_for_long_begins_anew() -> None:
    clock, pauses = 0.0, []

    async def sleep(pause_s: float) -> None:
        nonlocal clock
        pauses.append(pause_s)
        assert "starts anew soon" in supervisor.trouble()[0]
        clock += pause_s

    supervisor, runs = Supervisor(mono_s=lambda: clock, sleep=sleep), 0

    async def room() -> None:
        nonlocal clock, runs
        runs += 1
        clock += 2 * CALM_S if runs == 9 else 0.0
        if runs < 11:
            raise ValueError

    asyncio.run(supervisor.keep("room", room))
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 0.5, 1.0]

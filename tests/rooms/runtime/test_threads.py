"""Name lookups that hang: neither the disk, nor other lookups, nor the end wait for them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from edge.threads import LookupThreads
from tests.waiting import until


def test_the_loop_ends_while_a_lookup_hangs() -> None:
    hangs, come_back = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.wait()
        come_back.set()

    async def look_up() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(LookupThreads())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await loop.run_in_executor(None, hang)
        assert await loop.getaddrinfo("127.0.0.1", 80)
        return "ended"

    assert asyncio.run(look_up()) == "ended"
    assert not come_back.is_set()
    hangs.set()
    assert come_back.wait(60)


def test_hanging_lookups_are_bounded_and_the_next_fails_as_one_that_finds_nothing() -> None:
    hangs = threading.Event()
    threads = LookupThreads(at_once_max=2)
    hanging = [threads.submit(hangs.wait) for _ in range(2)]
    with pytest.raises(OSError, match="too many name lookups hang"):
        threads.submit(int).result(timeout=60)
    hangs.set()
    assert [lookup.result(timeout=60) for lookup in hanging] == [True, True]

    def again() -> Future[int] | None:
        lookup = threads.submit(int, "7")
        return lookup if lookup.exception(timeout=60) is None else None

    assert until(again).result() == 7


def test_what_a_lookup_raises_comes_to_who_asked() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        LookupThreads().submit(int, "seven").result(timeout=60)

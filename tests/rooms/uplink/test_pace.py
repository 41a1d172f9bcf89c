"""How large requests become, how fast they follow each other, and how long a failure is waited out."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from edge.uplink.pace import Pace, TokenBucket
from edge.uplink.standing import pause_s
from tests.laws.journals import BentClock

KB = 1024


def pace() -> Pace:
    return Pace(least_bytes=16 * KB, most_bytes=512 * KB, target_s=0.1)


def settled(speed_bytes_s: float, fixed_s: float = 0.0) -> Pace:
    """A pace after many full requests to a receiver of that speed."""
    found = pace()
    for _ in range(40):
        found.answered(found.limit_bytes, fixed_s + found.limit_bytes / speed_bytes_s)
    return found


def test_requests_grow_until_one_takes_its_time() -> None:
    assert abs(settled(1_000_000).limit_bytes - 100_000) < 1000
    assert settled(100_000_000).limit_bytes == 512 * KB
    assert settled(1000).limit_bytes == 16 * KB


def test_a_link_that_grows_slow_makes_requests_small_at_once() -> None:
    found = settled(5_000_000)
    before = found.limit_bytes
    found.answered(before, 1.0)
    assert found.limit_bytes == before // 2


def test_a_request_that_was_not_full_is_no_reason_to_grow() -> None:
    found = pace()
    found.answered(100, 0.0)
    assert found.limit_bytes == 16 * KB


def test_what_was_refused_comes_as_half_and_then_grows_again() -> None:
    found = pace()
    found.refused(1000)
    assert found.limit_bytes == 500
    found.answered(500, 0.0)
    assert found.limit_bytes == 1000
    found.refused(1)
    assert found.limit_bytes == 1


@given(st.lists(st.tuples(st.sampled_from(["answered", "refused", "unanswered"]), st.floats(0, 1e6))))
def test_no_history_leads_out_of_the_bounds(history: list[tuple[str, float]]) -> None:
    found = pace()
    for what, seconds in history:
        size = found.limit_bytes
        if what == "answered":
            found.answered(size, seconds)
        elif what == "refused":
            found.refused(size)
        else:
            found.unanswered()
        assert 1 <= found.limit_bytes <= 512 * KB
        assert found.limit_bytes <= 2 * size


@given(st.lists(st.integers(1, 50_000), min_size=1, max_size=60), st.integers(1000, 100_000))
def test_the_bucket_keeps_its_rate_and_its_burst(sizes: list[int], rate: int) -> None:
    """In any span no more goes than the rate allows, a second's worth and what one request is larger than that."""

    async def scenario() -> None:
        clock = BentClock()
        bucket = TokenBucket(rate, clock=clock)
        sent: list[tuple[float, int]] = []
        for size in sizes:
            await bucket.room_for(size)
            bucket.spend(size)
            sent.append((clock.mono_ns() / 1e9, size))
        for start in range(len(sent)):
            for end in range(start, len(sent)):
                passed_s = sent[end][0] - sent[start][0]
                total = sum(size for _, size in sent[start : end + 1])
                assert total <= rate * (passed_s + 1) + max(0, sent[end][1] - rate) + len(sent)

    asyncio.run(scenario())


def test_no_limit_waits_for_nothing() -> None:
    async def scenario() -> None:
        clock = BentClock()
        bucket = TokenBucket(0, clock=clock)
        before = clock.mono_ns()
        for _ in range(100):
            await bucket.room_for(10**9)
            bucket.spend(10**9)
        assert clock.mono_ns() == before
        assert bucket.least_of(10**9) == 10**9

    asyncio.run(scenario())


@given(st.integers(1, 200), st.floats(0.1, 3600), st.one_of(st.none(), st.floats(0, 3600)), st.integers())
def test_a_pause_is_never_shorter_than_wished_for_nor_longer_than_its_bound(
    failures: int, longest_s: float, wish_s: float | None, seed: int
) -> None:
    found = pause_s(random.Random(seed), failures, longest_s=longest_s, wish_s=wish_s)
    bound_s = min(longest_s, 0.5 * 2.0 ** min(failures - 1, 30))
    assert (wish_s or 0.0) <= found <= (wish_s or 0.0) + bound_s


def test_the_jitter_is_full() -> None:
    """Spread over the whole of its bound, so that a fleet does not come back all at once."""
    chance = random.Random(7)
    pauses = [pause_s(chance, 5, longest_s=60.0, wish_s=None) for _ in range(400)]
    counts = [sum(quarter * 2.0 <= pause < (quarter + 1) * 2.0 for pause in pauses) for quarter in range(4)]
    assert sum(counts) == 400
    assert min(counts) > 60

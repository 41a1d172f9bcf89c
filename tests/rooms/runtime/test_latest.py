"""What was read last of every tag, whichever poll brought it."""

from __future__ import annotations

from edge.contract.types import Batch, Quality, Value
from edge.latest import Latest, Reading


def poll(tags: tuple[str, ...], values: tuple[Value, ...], mono_ns: int, quality: Quality = Quality.GOOD) -> Batch:
    return Batch("pump-1", tags, values, (quality,) * len(tags), (mono_ns + 1,) * len(tags), mono_ns + 2, mono_ns)


def test_the_newest_reading_of_a_tag_counts_good_or_bad() -> None:
    latest = Latest()
    assert latest.of("pump-1", "flow") is None
    latest.observe(poll(("flow", "speed"), (40.0, 2950), 10))
    latest.observe(poll(("flow",), (41.0,), 20))
    assert latest.of("pump-1", "flow") == Reading(41.0, Quality.GOOD, 21, 22, 20)
    assert latest.of("pump-1", "speed") == Reading(2950, Quality.GOOD, 11, 12, 10)
    latest.observe(poll(("flow", "speed"), (None, None), 30, Quality.BAD_BUS))
    assert latest.of("pump-1", "flow") == Reading(None, Quality.BAD_BUS, 31, 32, 30)
    assert {(asset, tag): reading.mono_ns for asset, tag, reading in latest.every()} == {
        ("pump-1", "flow"): 30,
        ("pump-1", "speed"): 30,
    }


def test_another_site_is_learned_anew() -> None:
    latest = Latest()
    latest.observe(poll(("flow",), (40.0,), 10))
    latest.clear()
    assert latest.of("pump-1", "flow") is None
    assert list(latest.every()) == []


def test_the_age_is_that_of_the_newest_good_reading() -> None:
    latest = Latest()
    latest.observe(poll(("flow",), (40.0,), 1_000_000_000))
    latest.observe(poll(("flow",), (None,), 3_000_000_000, Quality.BAD_BUS))
    assert latest.ages_s(3_500_000_000) == {"pump-1": 2.5}
    latest.clear()
    assert latest.ages_s(4_000_000_000) == {}

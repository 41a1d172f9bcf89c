"""What thinning keeps: minimum, maximum, last and the edges of every event, as they were; all others are counted."""

from __future__ import annotations

import itertools
import math
import random
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contract.block import decode_block, encode_block
from edge.contract.series import Series
from edge.contract.types import Batch, Key, Lane, Quality, Value
from edge.journal.counts import HOUR_NS, hour_of
from edge.journal.thin import STATE_CHANGES_MAX, thin
from tests.rooms.contract.samples import batch_lists

SECOND_NS = 10**9
START_NS = 1_770_000_000 * SECOND_NS
KEY = Key("gw-1", "00112233445566778899aabbccddeeff", 7)


class Reading(NamedTuple):
    """One reading with all that must survive with it; ``value`` spelled to the bit."""

    asset: str
    tag: str
    value: Any
    quality: Quality
    source_ns: int
    read_ns: int
    mono_ns: int
    trusted: bool


def exactly(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else (type(value).__name__, value)


def readings(batches: Iterable[Batch]) -> Iterator[Reading]:
    for b in batches:
        for tag, value, quality, source_ns in zip(b.tags, b.values, b.quality, b.source_ns, strict=True):
            yield Reading(b.asset, tag, value, quality, source_ns, b.read_ns, b.mono_ns, b.trusted)


def to_the_bit(found: Iterable[Reading]) -> Counter[Reading]:
    return Counter(reading._replace(value=exactly(reading.value)) for reading in found)


def sealed(batches: Sequence[Batch]) -> tuple[Series, ...]:
    """Through a block's bytes, as the store has them."""
    data = encode_block(KEY, boot=KEY.epoch, lane=Lane.TELEMETRY, sealed_ns=1, batches=batches, records=())
    return decode_block(data).series


def thinned(blocks: Iterable[Sequence[Batch]], span_s: int) -> list[Batch]:
    return thin([one for batches in blocks for one in sealed(batches)], span_s * SECOND_NS).batches


def by_tag(batches: Iterable[Batch]) -> dict[tuple[str, str], list[Reading]]:
    found: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings(batches):
        found.setdefault((reading.asset, reading.tag), []).append(reading)
    return {name: sorted(inside, key=lambda r: r.mono_ns) for name, inside in found.items()}


TAGS = ("pressure_bar", "parts", "running", "program", "setpoint")
PRESSURES = (-2.5, -1.0, -0.0, 0.0, 1.0, 7.25, math.inf, math.nan, 1e-300)
SETPOINTS: tuple[Value, ...] = (5.0, 5, True, "off")


def run(seed: int) -> list[list[Batch]]:
    """Blocks of one boot: uneven polls, bad readings, now and then a long pause or a wall clock that is set."""
    rng = random.Random(seed)
    read_ns, mono_ns = START_NS + rng.randrange(3600) * SECOND_NS, 10**12
    blocks: list[list[Batch]] = []
    for _ in range(rng.randint(1, 5)):
        batches = []
        for _ in range(rng.randint(1, 40)):
            step_ns = rng.choice((1, 1, 1, 1, 3, 8, 130, 700)) * SECOND_NS // 2
            read_ns += step_ns + rng.choice([0] * 12 + [-7, 40, 3600]) * SECOND_NS
            mono_ns += step_ns
            parts = rng.choice((rng.randrange(4), rng.randrange(-(2**63), 2**63)))
            drawn = (
                rng.choice(PRESSURES),
                parts,
                rng.random() < 0.5,
                rng.choice(("idle", "run")),
                rng.choice(SETPOINTS),
            )
            tags = TAGS if rng.randrange(10) else TAGS[:2]
            quality = tuple(rng.choice([Quality.GOOD] * 6 + list(Quality)) for _ in tags)
            values = tuple(None if q.is_bad else v for v, q in zip(drawn, quality, strict=False))
            source_ns = tuple(read_ns - rng.randrange(999) for _ in tags)
            batches.append(Batch("press-1", tags, values, quality, source_ns, read_ns, mono_ns, rng.random() < 0.9))
        blocks.append(batches)
    return blocks


# A seed says more than its shrinking would: it is printed with the failure.
runs = st.integers(0, 2**32).map(run)


@given(runs, st.sampled_from([10, 60, 600]))
@settings(max_examples=60, deadline=None)
def test_minimum_maximum_and_last_of_every_tag_and_span_stay(blocks: list[list[Batch]], span_s: int) -> None:
    kept = by_tag(thinned(blocks, span_s))

    def spans(found: Iterable[Reading]) -> dict[int, list[Any]]:
        inside: dict[int, list[Any]] = {}
        for reading in found:
            number = isinstance(reading.value, int | float) and not math.isnan(reading.value)
            if number and not reading.quality.is_bad:
                inside.setdefault(reading.read_ns // (span_s * SECOND_NS), []).append(reading.value)
        return inside

    for name, all_of_it in by_tag(b for batches in blocks for b in batches).items():
        before, after = spans(all_of_it), spans(kept[name])
        assert before.keys() == after.keys()
        for span, values in before.items():
            assert (min(after[span]), max(after[span])) == (min(values), max(values))
            assert exactly(after[span][-1]) == exactly(values[-1])


@given(runs, st.sampled_from([10, 60, 600]))
@settings(max_examples=60, deadline=None)
def test_both_edges_of_every_event_stay(blocks: list[list[Batch]], span_s: int) -> None:
    kept = {name: to_the_bit(found) for name, found in by_tag(thinned(blocks, span_s)).items()}
    for name, found in by_tag(b for batches in blocks for b in batches).items():
        edges = {0, len(found) - 1}
        for at, (one, two) in enumerate(itertools.pairwise(found)):
            changed = name[1] in ("running", "program", "setpoint") and exactly(one.value) != exactly(two.value)
            gap = two.mono_ns - one.mono_ns > span_s * SECOND_NS
            if changed or gap or (one.quality, one.trusted) != (two.quality, two.trusted):
                edges |= {at, at + 1}
        assert to_the_bit(found[at] for at in edges) <= kept[name]


@given(runs, st.sampled_from([10, 60, 600]))
@settings(max_examples=60, deadline=None)
def test_what_stays_is_as_it_was_and_what_does_not_is_counted_by_tag_and_hour(
    blocks: list[list[Batch]], span_s: int
) -> None:
    result = thin([one for batches in blocks for one in sealed(batches)], span_s * SECOND_NS)
    before, after = (
        to_the_bit(readings(batches)) for batches in ((b for batches in blocks for b in batches), result.batches)
    )
    assert after <= before
    assert all(len(batch.tags) == 1 for batch in result.batches)
    gone = Counter((r.asset, r.tag, hour_of(r.read_ns)) for r in (before - after).elements() if not r.quality.is_bad)
    assert gone == result.removed
    assert to_the_bit(readings(b for one in sealed(result.batches) for b in one.batches())) == after


@given(runs, st.sampled_from([(10, 60), (60, 600), (10, 600)]))
@settings(max_examples=60, deadline=None)
def test_thinning_again_over_a_longer_span_comes_to_the_same(
    blocks: list[list[Batch]], spans_s: tuple[int, int]
) -> None:
    """But for whole numbers, of which more may stay: what changed often within a short span seems to change less."""
    short, long = spans_s
    at_once = by_tag(thinned(blocks, long))
    for name, found in by_tag(thinned([thinned(blocks, short)], long)).items():
        if name[1] == "parts":
            assert to_the_bit(at_once[name]) <= to_the_bit(found)
        else:
            assert to_the_bit(at_once[name]) == to_the_bit(found)


@given(batch_lists, st.integers(1, 2**62))
@settings(max_examples=60, deadline=None)
def test_whatever_a_block_holds_can_be_thinned(batches: list[Batch], span_ns: int) -> None:
    result = thin(sealed(batches), span_ns)
    before, after = to_the_bit(readings(batches)), to_the_bit(readings(result.batches))
    assert after <= before
    good = sum(not quality.is_bad for batch in batches for quality in batch.quality)
    assert sum(result.removed.values()) + sum(not b.quality[0].is_bad for b in result.batches) == good


def polls(values: Sequence[Any], qualities: Sequence[Quality] | None = None) -> list[Batch]:
    """One tag, ten times a second."""
    found = []
    for number, value in enumerate(values):
        quality = qualities[number] if qualities else Quality.GOOD
        at_ns = START_NS + number * SECOND_NS // 10
        one = None if quality.is_bad else value
        found.append(Batch("press-1", ("signal",), (one,), (quality,), (at_ns,), at_ns, at_ns - START_NS))
    return found


def kept_values(values: Sequence[Any], span_s: int, qualities: Sequence[Quality] | None = None) -> list[Any]:
    return [batch.values[0] for batch in thinned([polls(values, qualities)], span_s)]


def test_a_signal_that_stands_still_is_one_reading_a_span() -> None:
    assert kept_values([21.5] * 600, 10) == [21.5] * 7  # the first of all, and the last of each span


def test_a_wave_is_its_extremes_and_its_last() -> None:
    wave = [math.sin(number / 50) for number in range(300)]
    assert kept_values(wave, 60) == [wave[0], max(wave), min(wave), wave[-1]]


def test_a_state_keeps_its_changes_and_a_measurement_in_whole_numbers_does_not() -> None:
    state = [number // 50 % 3 for number in range(600)]
    assert kept_values(state, 60) == [v for n in range(0, 600, 50) for v in [state[n]] * 2]
    measurement = [number * 7919 % 4096 for number in range(100, 700)]
    extremes = sorted([min(measurement), max(measurement)], key=measurement.index)
    assert kept_values(measurement, 60) == [measurement[0], *extremes, measurement[-1]]
    many = [number // 2 % 2 for number in range(2 * STATE_CHANGES_MAX + 6)]
    assert len(kept_values(many, 60)) < 6


def test_a_run_of_bad_readings_is_its_two_edges_and_none_of_it_is_counted() -> None:
    qualities = [Quality.BAD_BUS if 100 <= n < 500 else Quality.GOOD for n in range(600)]
    result = thin(sealed(polls([1.0] * 600, qualities)), 60 * SECOND_NS)
    assert [(b.read_ns - START_NS) * 10 // SECOND_NS for b in result.batches] == [0, 99, 100, 499, 500, 599]
    assert sum(result.removed.values()) == 200 - 4


def test_each_hour_counts_what_it_lost() -> None:
    at_ns = hour_of(START_NS) + HOUR_NS - 30 * SECOND_NS
    batches = [
        Batch("a", ("t",), (1.5,), (Quality.GOOD,), (at_ns,), at_ns + n * SECOND_NS, n * SECOND_NS) for n in range(60)
    ]
    removed = thin(sealed(batches), 600 * SECOND_NS).removed
    assert removed == {("a", "t", hour_of(at_ns)): 28, ("a", "t", hour_of(at_ns) + HOUR_NS): 29}


def test_there_may_be_nothing_to_thin() -> None:
    assert thin([], SECOND_NS).batches == []

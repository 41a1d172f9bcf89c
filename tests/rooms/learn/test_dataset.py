"""The cloud's data set is what the gateway computed, to the bit; what cannot be used is said with a count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cloud.learn.dataset import DataSet, fleet_of, make
from cloud.learn.fleet import KINDS
from cloud.learn.follow import follow
from cloud.learn.outcomes import Kind, Told, digest_of, read_outcomes
from cloud.store.reader import Reader
from cloud.store.replay import blocks_of, extents, upto
from edge.config.asset_class import load_asset_class
from edge.contract.types import Batch, Quality
from edge.errors import ConfigError, StoreError
from edge.features.tracker import FeatureTracker
from edge.infer.judge import Judge
from tests.rooms.infer.machines import PROFILES, bundle
from tests.rooms.learn.stored import (
    EPOCH,
    GATEWAY,
    HOUR_NS,
    START_NS,
    Pump,
    failed_ns,
    fill,
    introduced,
    polls,
    store_of,
)

SPEC = KINDS["centrifugal_pump"].spec
WORN = Pump("pump-1", seed=4, hours=400.0, onset_h=60.0, life_h=120.0)


def made(folder: Path, outcomes: list[Told] | None = None, asset_class: str = "centrifugal_pump") -> DataSet:
    reader = Reader(folder)
    try:
        return make(reader, asset_class, SPEC, outcomes or [])
    finally:
        reader.close()


def in_parts(batches: list[Batch]) -> list[Batch]:
    """As a gateway polls that reads vibration and the rest at paces of their own, and now and then gets no answer."""
    found = []
    for i, batch in enumerate(batches):
        vibration = batch.tags.index("vibration_mm_s")
        others = [j for j in range(len(batch.tags)) if j != vibration]
        for number, columns in enumerate((others, [vibration] if i % 3 == 0 else [])):
            if not columns:
                continue
            bad = i % 17 == 5 and number == 0
            found.append(
                Batch(
                    batch.asset, tuple(batch.tags[j] for j in columns),
                    tuple(None if bad else batch.values[j] for j in columns),
                    tuple(Quality.BAD_BUS if bad else Quality.GOOD for _ in columns),
                    tuple(batch.source_ns[j] for j in columns), batch.read_ns, batch.mono_ns + number,
                )
            )  # fmt: skip
    return found


def test_features_from_the_store_are_those_of_the_gateways_judge_to_the_bit(tmp_path: Path) -> None:
    batches = in_parts([batch for batch, _ in polls(WORN)])
    judge = Judge(
        "pump-1", load_asset_class(PROFILES / "assets/centrifugal_pump.toml"), bundle("centrifugal_pump"), 1000
    )
    tracker: FeatureTracker = judge._mind._tracker  # type: ignore[attr-defined]
    seen = []
    for batch in batches:
        before = tracker.hour_h
        judge.observe(batch)
        if tracker.ready and tracker.hour_h != before:
            seen.append(tracker.vector())
    fill(tmp_path, batches, [introduced("pump-1")], arrive_backwards=True)
    data = made(tmp_path)
    assert data.excluded == ()
    (life,) = data.lives
    assert len(seen) > 50
    assert life.features.tobytes() == np.stack(seen).tobytes()


def test_a_failure_ends_a_life_and_what_runs_is_censored(tmp_path: Path) -> None:
    healthy = Pump("pump-2", seed=5, hours=200.0)
    store_of(tmp_path, [WORN, healthy])
    at_ns = failed_ns(WORN)
    assert at_ns is not None
    data = made(tmp_path, [Told(GATEWAY, "pump-1", at_ns, Kind.FAILURE, 900.0, "outer race spalled")])
    worn, running = data.lives
    assert (worn.asset, worn.failed, running.asset, running.failed) == ("pump-1", True, "pump-2", False)
    fleet = fleet_of(data, cap_h=1000.0, rows=10_000)
    of_worn = fleet.where(fleet.machine == 0)
    assert of_worn.rul_h[-1] == pytest.approx(0.0, abs=0.2)
    assert not of_worn.censored.any()
    assert of_worn.wear[0] == 0.0
    assert of_worn.wear[-1] > 0.95
    of_running = fleet.where(fleet.machine == 1)
    assert of_running.censored.all()
    assert of_running.rul_h[-1] == 0.0


def test_beyond_the_cap_a_censored_life_is_known_to_be_long(tmp_path: Path) -> None:
    store_of(tmp_path, [Pump("pump-2", seed=5, hours=300.0)])
    fleet = fleet_of(made(tmp_path), cap_h=50.0, rows=10_000)
    assert np.isinf(fleet.rul_h).any()
    assert not (fleet.censored & np.isinf(fleet.rul_h)).any()
    assert fleet.censored.any()


def test_a_replacement_is_no_failure_and_begins_another_life(tmp_path: Path) -> None:
    store_of(tmp_path, [Pump("pump-2", seed=5, hours=300.0)])
    data = made(tmp_path, [Told(GATEWAY, "pump-2", START_NS + 150 * HOUR_NS, Kind.REPLACED_HEALTHY)])
    first, second = data.lives
    assert (first.number, second.number) == (1, 2)
    assert not first.failed
    assert len(first.at_ns) + len(second.at_ns) == len(made(tmp_path).lives[0].at_ns)
    assert first.at_ns[-1] <= START_NS + 150 * HOUR_NS < second.at_ns[0]


def test_a_rejected_alarm_says_that_the_machine_was_healthy(tmp_path: Path) -> None:
    store_of(tmp_path, [Pump("pump-2", seed=5, hours=200.0)])
    data = made(tmp_path, [Told(GATEWAY, "pump-2", START_NS + 150 * HOUR_NS, Kind.FALSE_ALARM)])
    (life,) = data.lives
    hours = (life.at_ns[life.healthy] - START_NS) / HOUR_NS
    assert (hours.min(), hours.max()) == (126.0, 150.0)
    fleet = fleet_of(data, cap_h=1000.0, rows=10_000)
    assert np.isinf(fleet.rul_h).sum() == life.healthy.sum()


def test_what_was_known_then(tmp_path: Path) -> None:
    store_of(tmp_path, [WORN])
    at_ns = failed_ns(WORN)
    assert at_ns is not None
    data = made(tmp_path, [Told(GATEWAY, "pump-1", at_ns, Kind.FAILURE)])
    then = data.before(at_ns - 24 * HOUR_NS)
    assert (then.failures, len(then.lives)) == (0, 1)
    assert then.lives[0].at_ns[-1] < at_ns - 24 * HOUR_NS
    assert data.before(at_ns + 1).failures == 1
    assert data.before(START_NS).lives == ()


def test_the_same_blocks_give_the_same_hash_in_a_store_that_grew(tmp_path: Path) -> None:
    batches = [batch for batch, _ in polls(Pump("pump-2", seed=5, hours=200.0))]
    following = fill(tmp_path, batches[:120], [introduced("pump-2")])
    before = made(tmp_path)
    fill(tmp_path, batches[120:], first_seq=following)
    reader = Reader(tmp_path)
    then = upto(reader, GATEWAY, EPOCH, before.extents[0].last_seq)
    assert then is not None
    assert make(reader, "centrifugal_pump", SPEC, [], within=[then]).sha256 == before.sha256
    assert made(tmp_path).sha256 != before.sha256


# -- bad input -------------------------------------------------------------------------------------------------------


def test_an_outcome_of_nobody_is_refused_and_one_outside_the_readings_is_told(tmp_path: Path) -> None:
    store_of(tmp_path, [Pump("pump-2", seed=5, hours=200.0)])
    with pytest.raises(ConfigError, match="gateway-1/pump-9, which is not in the store") as error:
        made(tmp_path, [Told(GATEWAY, "pump-9", START_NS, Kind.FAILURE)])
    assert "gateway-1/pump-2" in error.value.hint
    early, late = START_NS - HOUR_NS, START_NS + 400 * HOUR_NS
    data = made(tmp_path, [Told(GATEWAY, "pump-2", at, Kind.FAILURE) for at in (early, late)])
    assert data.failures == 0
    words = [one.words for one in data.excluded]
    assert words[0] == "a failure was before its first reading"
    assert words[1].startswith("a failure was more than 24 h after its last reading")


def test_a_unit_that_changes_ends_the_history(tmp_path: Path) -> None:
    batches = [batch for batch, _ in polls(Pump("pump-2", seed=5, hours=200.0))]
    following = fill(tmp_path, batches[:120], [introduced("pump-2")])
    fill(tmp_path, batches[120:], [introduced("pump-2", vibration="in/s")], first_seq=following)
    data = made(tmp_path)
    (excluded,) = data.excluded
    assert excluded.count == len(batches) - 120
    assert "vibration_mm_s changed its unit from mm/s to in/s" in excluded.words
    assert data.lives[0].at_ns[-1] <= batches[119].read_ns


def test_polls_a_second_are_dated_once_a_minute(tmp_path: Path) -> None:
    """A year of them would not fit in memory; what people tell is not known to the second."""
    seconds = [
        replace(batch, read_ns=START_NS + i * 10**9, mono_ns=START_NS + i * 10**9)
        for i, (batch, _) in enumerate(polls(Pump("pump-2", seed=5, hours=150.0)))
    ]
    fill(tmp_path, seconds, [introduced("pump-2")])
    reader = Reader(tmp_path)
    (extent,) = extents(reader)
    found = follow("pump-2", SPEC, [block for _, block in blocks_of(reader, extent) if block])
    assert ((found.clock_ns - START_NS) // 10**9).tolist() == [0, 59, 119, 149]
    assert len(found.features) > 50


def test_signals_that_are_kept_by_exception_are_said(tmp_path: Path) -> None:
    """Of what the gateway held back as unchanged the cloud cannot know how often its judge saw it."""
    told = introduced("pump-2")
    told = replace(told, tags=(replace(told.tags[0], heartbeat_ms=60_000), *told.tags[1:]))
    fill(tmp_path, [batch for batch, _ in polls(Pump("pump-2", seed=5, hours=100.0))], [told])
    (excluded,) = made(tmp_path).excluded
    assert (excluded.count, "vibration_mm_s" in excluded.words) == (1, True)


def test_a_history_too_short_to_learn_from_and_an_empty_one_are_told(tmp_path: Path) -> None:
    batches = [batch for batch, _ in polls(Pump("pump-2", seed=5, hours=10.0))]
    fill(tmp_path, batches, [introduced("pump-2"), introduced("pump-3")])
    data = made(tmp_path, [Told(GATEWAY, "pump-2", batches[-1].read_ns, Kind.FAILURE)])
    assert data.lives == ()
    said = {(one.where, one.words.split(":")[0]) for one in data.excluded}
    assert (f"{GATEWAY}/pump-2", "polls give no features yet") in said
    assert (f"{GATEWAY}/pump-2", "outcomes have no features before them") in said
    assert (f"{GATEWAY}/pump-3", "has not one poll") in said


def test_a_class_that_nobody_introduced_is_refused(tmp_path: Path) -> None:
    store_of(tmp_path, [Pump("pump-2", seed=5, hours=5.0)])
    with pytest.raises(StoreError, match="no asset of class 'cnc_spindle'") as error:
        made(tmp_path, asset_class="cnc_spindle")
    assert "centrifugal_pump" in error.value.hint


def test_outcomes_are_read_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(
        "gateway;asset;at;kind;cost;findings\n"
        "g;pump-1;2026-03-02T08:00:00+01:00;failure;1200;spalled\n"
        "g;pump-1;2026-03-01T08:00:00;replaced;;\n"
    )
    replaced, failure = read_outcomes(path)
    assert (replaced.kind, failure.kind, failure.cost, failure.findings) == (
        Kind.REPLACED_HEALTHY, Kind.FAILURE, 1200.0, "spalled",
    )  # fmt: skip
    assert failure.at_ns - replaced.at_ns == 23 * HOUR_NS
    assert digest_of([failure, replaced]) == digest_of([replaced, failure])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("g,p,2026-03-01,exploded,,", "`kind`: found 'exploded'"),
        ("g,p,yesterday,failure,,", "`at`: found 'yesterday'"),
        ("g,p,2026-03-01,failure,much,", "`cost`: found 'much'"),
        (",p,2026-03-01,failure,,", "names no gateway or no asset"),
    ],
)
def test_a_table_of_outcomes_that_cannot_be_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(f"gateway,asset,at,kind,cost,findings\n{line}\n")
    with pytest.raises(ConfigError) as error:
        read_outcomes(path)
    assert said in error.value.problem
    assert error.value.where.endswith(":2")

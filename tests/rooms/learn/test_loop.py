"""The learning loop: real histories beside a simulated fleet, runs repeated from manifests, champion and challenger."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cloud.cli import cloud
from cloud.learn.command import calibrate, train_again, train_all
from cloud.learn.compare import Judged, _better, _decided, compare
from cloud.learn.dataset import DataSet, make
from cloud.learn.due import due
from cloud.learn.figures import Outcome
from cloud.learn.fleet import KINDS, Fleet
from cloud.learn.job import Job, former, simulated
from cloud.learn.outcomes import Kind, Told, read_outcomes, told_in
from cloud.learn.recalibrate import recalibrate
from cloud.learn.split import FAILURES_MIN, FIRST_STORED, beyond_law, imputed, of_simulated, seen, widening, with_stored
from cloud.learn.tables import compared, plain
from cloud.store.outcomes import Kind as BookKind
from cloud.store.outcomes import Outcomes, State
from cloud.store.outcomes import Told as BookTold
from cloud.store.reader import Reader
from edge.contract.bundle import TrainedBundle, load_trained, save_bundle
from edge.errors import BundleError, StoreError
from tests.rooms.infer.machines import PROFILES
from tests.rooms.learn.stored import GATEWAY, Pump, failed_ns, fill, polls, store_of
from tests.rooms.learn.test_train import SMALL

CLASS = "centrifugal_pump"
PUMPS = [
    Pump(f"pump-{i}", seed=40 + i, hours=420.0, onset_h=100.0, life_h=110.0 + 15.0 * i, pace_h=1.6) for i in range(7)
] + [Pump(f"pump-{i}", seed=40 + i, hours=260.0, pace_h=1.6) for i in range(7, 10)]
FEW = replace(SMALL, rows_per_machine=24)


def bundle(name: str) -> TrainedBundle:
    return load_trained(PROFILES / "bundles" / name, asset_class=name)


def told_of(pumps: list[Pump]) -> list[Told]:
    failed = [(pump, failed_ns(pump)) for pump in pumps]
    return [Told(GATEWAY, pump.asset, at_ns, Kind.FAILURE) for pump, at_ns in failed if at_ns is not None]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of ten pumps, seven of which failed, and ``failed.csv`` beside it."""
    folder = tmp_path_factory.mktemp("store")
    store_of(folder, PUMPS)
    lines = ["gateway,asset,at,kind,cost,findings"]
    for told in told_of(PUMPS):
        at = dt.datetime.fromtimestamp(told.at_ns / 1e9, dt.UTC)
        lines.append(f"{told.gateway},{told.asset},{at.isoformat()},failure,900,spalled")
    (folder / "failed.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def data(store: Path) -> DataSet:
    reader = Reader(store)
    try:
        return make(reader, CLASS, KINDS[CLASS].spec, read_outcomes(store / "failed.csv"))
    finally:
        reader.close()


@pytest.fixture(scope="module")
def learned(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What eighty simulated pumps and the store's ten gave; what was printed lies beside it."""
    folder = tmp_path_factory.mktemp("learned")
    outcomes = store / "failed.csv"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train_all([CLASS], machines=80, seed=1, folder=folder, as_json=False, recipe=FEW, data=store, outcomes=outcomes)
    (folder / "printed.txt").write_text(printed.getvalue())
    return folder / CLASS


def test_the_table_says_what_was_learned_from(learned: Path) -> None:
    printed = (learned.parent / "printed.txt").read_text()
    assert "stored: 10 machines, 10 lives: 7 failed and 3 did not" in printed
    assert "interval stands on simulated machines and 3 real failed ones (19 would do alone)" in printed
    assert load_trained(learned).hash[:16] in printed


# -- training and its manifest ---------------------------------------------------------------------------------------


def test_the_manifest_says_what_was_learned_from_and_what_the_interval_stands_on(learned: Path, data: DataSet) -> None:
    about = load_trained(learned, asset_class=CLASS).manifest["trained_on"]
    assert about["source"] == "simulated fleet of edge.plant and stored histories"
    assert about["stored"] == {
        "assets": 10, "lives": 10, "failures": 7, "censored": 3, "excluded": 0, "exclusions": [],
        "rows": sum(len(life.hour_h) for life in data.lives),
    }  # fmt: skip
    assert about["run"]["stored"]["sha256"] == data.sha256
    assert about["run"]["stored"]["extents"] == [[e.gateway, e.epoch, e.last_seq] for e in data.extents]
    assert set(about["run"]["versions"]) == {
        "ai-edge-litert", "babbitt", "numpy", "python", "scikit-learn", "xgboost-cpu",
    }  # fmt: skip
    assert about["interval"]["basis"] == "simulated machines and 3 real failed ones (19 would do alone)"
    assert min(about["interval"]["widened"]) >= 1.0


def test_run_again_from_its_manifest_it_is_the_same_to_the_byte_though_the_store_grew(
    store: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = tmp_path / "store"
    store_of(grown, PUMPS)
    more = [batch for batch, _ in polls(replace(PUMPS[9], hours=300.0))][-20:]
    fill(grown, more, first_seq=10_000)
    train_again(learned, data=grown, outcomes=store / "failed.csv", folder=tmp_path / "again", as_json=False)
    assert "the same bundle to the byte" in capsys.readouterr().out
    for path in learned.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_run_again_with_other_outcomes_or_without_its_store_it_is_refused(
    store: Path, learned: Path, tmp_path: Path
) -> None:
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("\n".join((store / "failed.csv").read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(BundleError, match="the outcomes are others than then"):
        train_again(learned, data=store, outcomes=fewer, folder=None, as_json=True)
    with pytest.raises(BundleError, match="it learned from a store"):
        train_again(learned, data=None, outcomes=None, folder=None, as_json=True)
    with pytest.raises(StoreError, match="there is no store"):
        train_again(learned, data=tmp_path, outcomes=None, folder=None, as_json=True)


def test_a_manifest_that_does_not_say_how_it_was_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"trained_on": {}}))
    with pytest.raises(BundleError, match="does not say how it was made"):
        former(tmp_path)
    with pytest.raises(BundleError, match="cannot be read"):
        former(tmp_path / "nothing.json")


def test_real_failures_alone_are_refused_while_they_are_too_few(store: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"failed machines to calibrate on, 9 give a 90 % interval") as error:
        train_all([CLASS], machines=0, seed=1, folder=tmp_path, as_json=True, data=store, outcomes=store / "failed.csv")
    assert "--plant" in error.value.hint


def test_outcomes_that_people_told_the_store_are_taken_as_they_stood_then(tmp_path: Path) -> None:
    book = Outcomes(tmp_path)
    first = book.tell("g", "a", BookTold(1000, BookKind.FAILURE), by="Ann", now_ns=2000)
    book.tell("g", "b", BookTold(1500, BookKind.FALSE_ALARM), by="Ann", now_ns=3000)
    book.correct(first, BookTold(1000, BookKind.REPLACED_HEALTHY, State.CORRECTED), by="Ben", now_ns=4000)
    book.close()
    then, _ = told_in(tmp_path, until_ns=3000)
    now, told_ns = told_in(tmp_path)
    assert [one.kind for one in then] == [Kind.FAILURE, Kind.FALSE_ALARM]
    assert [one.kind for one in now] == [Kind.REPLACED_HEALTHY, Kind.FALSE_ALARM]
    assert told_ns == 4000
    assert told_in(tmp_path / "nowhere") == ([], 0)


# -- parts that share no machine -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    made = simulated(Job(CLASS, machines=80, recipe=FEW))
    assert made is not None
    return made


def test_no_machine_is_in_two_parts_and_real_rows_weigh_threefold(data: DataSet, fleet: Fleet) -> None:
    split = with_stored(of_simulated(fleet, 80), data, cap_h=1000.0, rows=24, seed=1)
    machines = [set(np.unique(part.machine).tolist()) for part in (split.fitting, split.calibration, split.test)]
    assert not machines[0] & machines[1]
    assert not machines[0] & machines[2]
    assert not machines[1] & machines[2]
    real = {machine for part in machines for machine in part if machine >= FIRST_STORED}
    assert len(real) == 10
    one = split.fitting.machine[split.fitting.machine >= FIRST_STORED]
    assert (np.unique(one, return_counts=True)[1] % 3 == 0).all()


def test_a_machine_that_was_taken_out_is_expected_to_have_run_on(data: DataSet, fleet: Fleet) -> None:
    split = with_stored(of_simulated(fleet, 80), data, cap_h=1000.0, rows=24, seed=1)
    censored = split.fitting.censored
    assert censored.any()
    told = imputed(split.fitting, lambda known_h: known_h + 50.0)
    assert not told.censored.any()
    assert told.rul_h[censored] == pytest.approx(2.0 * split.fitting.rul_h[censored] + 50.0)
    assert np.array_equal(told.rul_h[~censored], split.fitting.rul_h[~censored])
    assert len(seen(split.fitting).rul_h) == (~censored).sum()


def test_with_one_failure_or_none_a_machine_taken_out_has_the_simulated_mean_life_ahead(
    data: DataSet, fleet: Fleet
) -> None:
    one = replace(data, lives=tuple(life for life in data.lives if not life.failed or life.asset == "pump-0"))
    begun = np.isfinite(fleet.rul_h)
    mean_h = float(np.minimum(fleet.rul_h, 1000.0)[begun].mean())
    law = beyond_law(one, fleet, cap_h=1000.0)
    assert law is not None
    assert law(np.array([0.0]))[0] == pytest.approx(mean_h * (1.0 - np.exp(-1000.0 / mean_h)))
    assert law(np.array([1000.0]))[0] == 0.0
    assert beyond_law(one, None, cap_h=1000.0) is None
    several = beyond_law(data, fleet, cap_h=1000.0)
    assert several is not None
    assert 0.0 < several(np.array([100.0]))[0] < 900.0


def test_an_interval_is_widened_as_far_as_nine_rows_in_ten_of_the_worst_machine_ask() -> None:
    machine = np.repeat([FIRST_STORED, FIRST_STORED + 1, 0], 10)
    part = Fleet(np.zeros((30, 1), np.float32), np.ones(30), np.zeros(30), machine, np.zeros(30, bool))
    score, ends = np.full(30, 0.5), np.tile([0.4, 0.6], (30, 1))
    # The first machine is inside, the second off by twice the margin; the simulated one does not count.
    actual = np.repeat([0.55, 0.3, 0.0], 10)
    assert widening(score, ends, actual, part) == pytest.approx(2.0)
    assert widening(score, ends, np.full(30, 0.5), part) == 1.0


# -- calibrating -----------------------------------------------------------------------------------------------------


def test_few_failures_widen_and_never_narrow_and_the_models_stay(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = bundle(CLASS)
    path = tmp_path / "old"
    save_bundle(path, {k: v for k, v in old.manifest.items() if k not in ("hash", "files", "format")}, old.files)
    calibrate(path, data=store, outcomes=store / "failed.csv", folder=tmp_path / "new", as_json=True)
    said = json.loads(capsys.readouterr().out)
    new = load_trained(tmp_path / "new")
    assert new.hash == said["hash"] != said["from"] == old.hash
    assert new.files == dict(old.files)
    for before, after in ((old.early, new.early), (old.established, new.established)):
        assert (after.low >= before.low).all()
        assert (after.high >= before.high).all()
    assert said["coverage_after"] >= said["coverage_before"]
    assert any("7 failed machines ask" in words for words in said["words"])
    assert new.manifest["recalibrated"]["from"] == old.hash


def test_enough_failures_replace_the_interval_and_it_covers_what_it_says(data: DataSet) -> None:
    """Each failed pump stands for four, as machines of their own."""
    lives = tuple(replace(life, asset=f"{life.asset}-{i}") for life in data.lives if life.failed for i in range(4))
    many = replace(data, lives=lives)
    assert many.failures >= FAILURES_MIN
    found = recalibrate(bundle(CLASS), many)
    assert any("interval set on 28 machines" in words for words in found.words)
    assert found.coverage_after is not None
    assert found.coverage_after >= 0.88


def test_too_little_to_move_anything_is_refused_with_its_count(data: DataSet) -> None:
    worn = max((life for life in data.lives if life.failed), key=lambda life: life.end_h)
    near = worn.hour_h >= worn.hour_h[-1] - 20.0
    short = replace(
        worn, features=worn.features[near], hour_h=worn.hour_h[near], risen_h=worn.risen_h[near],
        at_ns=worn.at_ns[near], healthy=worn.healthy[near], failed=False,
    )  # fmt: skip
    with pytest.raises(BundleError, match="0 failed machines and 0 healthy ones are too few"):
        recalibrate(bundle(CLASS), replace(data, lives=(short,)))


# -- champion and challenger -----------------------------------------------------------------------------------------


def judged(loss: list[float], *, coverage: float = 0.9, false_alarms: float = 0.0) -> Judged:
    return Judged({"coverage_all": coverage}, dict(enumerate(loss)), false_alarms)


FORWARD = {"champion": 0.5, "challenger": 0.4}


@pytest.mark.parametrize(
    ("challenger", "failed", "forward", "promoted", "said"),
    [
        (
            judged([0.2, 0.3, 0.25]),
            3,
            FORWARD,
            True,
            "challenger is better: interval score 0.250, the champion's 0.500",
        ),
        (judged([0.2, 0.3]), 2, FORWARD, False, "2 failed machines cannot tell them apart"),
        (judged([0.1, 0.3, 0.9]), 3, FORWARD, False, "challenger is not surely better"),
        (judged([0.2, 0.3, 0.25], coverage=0.6), 3, FORWARD, False, "covers 60 % of what was held out"),
        (judged([0.2, 0.3, 0.25], false_alarms=0.1), 3, FORWARD, False, "calls 10.0 % of healthy rows anomalous"),
        (judged([0.2, 0.3, 0.25]), 3, {"champion": 0.3, "challenger": 0.4}, False, "forward in time it is worse"),
    ],
)
def test_a_challenger_is_promoted_for_a_reason_or_not(
    challenger: Judged, failed: int, forward: dict[str, float], promoted: bool, said: str
) -> None:
    champion = judged([0.5, 0.5, 0.5])
    better = _better([0.5] * len(challenger.loss), list(challenger.loss.values()), 1)
    promote, reason = _decided(champion, challenger, failed, better, forward)
    assert (promote, said in reason) == (promoted, True), reason


def test_the_loss_is_the_width_and_twenty_times_what_is_missed() -> None:
    from cloud.learn.compare import _loss

    rul_h = np.array([np.expm1(0.5 * np.log1p(1000.0))] * 2)  # a life score of one half
    outcome = Outcome(
        np.array([0.5, 0.2]), np.array([[0.4, 0.7], [0.1, 0.4]]), rul_h, np.array([0, 1]), np.ones(2), np.zeros(2)
    )
    assert _loss(outcome) == pytest.approx({0: 0.3, 1: 0.3 + 20.0 * 0.1})


def test_champion_and_challenger_on_the_whole_past(data: DataSet, learned: Path) -> None:
    champion = bundle(CLASS)
    found = compare(champion, former(learned).job, data)
    assert found.failed == 7
    assert set(found.champion.loss) == set(found.challenger.loss) == set(range(7))
    assert found.forward["failed_before"] + found.forward["failed_after"] == 7
    printed = compared(plain(found))
    assert ("PROMOTE: " if found.promote else "KEEP: ") + found.reason in printed
    assert "(mean life)" in printed
    assert found.promote == ("keep the champion" not in found.reason)
    # int8 and float are told apart, and are near each other.
    assert found.challenger.figures != found.challenger_float.figures
    assert found.challenger.figures["rmse_h"] == pytest.approx(found.challenger_float.figures["rmse_h"], rel=0.2)


def test_bundles_of_two_classes_are_not_compared(data: DataSet) -> None:
    with pytest.raises(BundleError, match="compare bundles of one class"):
        compare(bundle("cnc_spindle"), Job(CLASS, 80), data)


# -- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now_days", "last_days", "failures", "why"),
    [
        (100, None, 0, "nothing was trained yet"),
        (100, 100, 5, "5 failures were confirmed since the last training"),
        (191, 100, 0, "91 days have passed since the last training"),
        (190, 100, 4, None),
        (50, 100, 0, None),
    ],
)
def test_training_is_due_after_a_quarter_or_enough_failures(
    now_days: int, last_days: int | None, failures: int, why: str | None
) -> None:
    day_ns = 86_400 * 10**9
    assert due(now_days * day_ns, None if last_days is None else last_days * day_ns, failures) == why


def test_the_command_trains_only_what_is_due(
    store: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained_ns = told_of(PUMPS)[-1].at_ns + 10**9
    folder = tmp_path / CLASS
    folder.mkdir()
    for path in learned.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    os.utime(folder / "manifest.json", ns=(trained_ns, trained_ns))
    train_all(
        [CLASS], machines=80, seed=1, folder=tmp_path, as_json=False, recipe=FEW, data=store,
        outcomes=store / "failed.csv", if_due=True, now_ns=trained_ns + 10**9,
    )  # fmt: skip
    assert capsys.readouterr().out.endswith("nothing is due\n")


def test_what_to_learn_from_and_where_to_has_to_be_said(tmp_path: Path) -> None:
    for args, said in (
        (["-o", str(tmp_path)], "learn from what?"),
        (["--plant"], "where to?"),
        (["--plant", "-o", str(tmp_path), "--champions", str(tmp_path)], "are about stored histories"),
    ):
        result = CliRunner().invoke(cloud, ["train", *args])
        assert result.exit_code == 2
        assert said in result.output

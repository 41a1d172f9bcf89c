"""What people tell of machines: append-only, with the whole history of corrections, and no two lost updates."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.store.outcomes import Kind, NotTakenError, Outcomes, State, Told
from edge.errors import StoreError

NOW_NS = 1_800_000_000 * 10**9
FAILED = Told(NOW_NS - 3600 * 10**9, Kind.FAILURE, cost=8400.0, downtime_h=6.5, words="outer race spalled")


@pytest.fixture
def outcomes(tmp_path: Path) -> Outcomes:
    return Outcomes(tmp_path)


def test_a_failure_is_kept_as_it_was_told(outcomes: Outcomes, tmp_path: Path) -> None:
    made = outcomes.tell("gw", "pump-1", FAILED, by="ada", now_ns=NOW_NS)
    outcomes.close()
    assert Outcomes(tmp_path).newest("gw", "pump-1") == [made]
    assert (made.number, made.revision, made.by, made.state, made.cost) == (1, 1, "ada", State.CONFIRMED, 8400.0)


def test_a_correction_is_added_and_nothing_is_overwritten(outcomes: Outcomes) -> None:
    first = outcomes.tell("gw", "pump-1", FAILED, by="ada", now_ns=NOW_NS)
    told = replace(FAILED, kind=Kind.REPLACED_HEALTHY, state=State.CORRECTED, words="the bearing was sound after all")
    second = outcomes.correct(first, told, by="bob", now_ns=NOW_NS + 1)
    third = outcomes.correct(second, replace(told, state=State.REJECTED), by="ada", now_ns=NOW_NS + 2)
    assert outcomes.newest() == [third]
    assert outcomes.history("gw", "pump-1") == [first, second, third]
    assert [one.state.counts for one in (first, second, third)] == [True, True, False]


def test_two_who_correct_the_same_do_not_overwrite_each_other(outcomes: Outcomes) -> None:
    first = outcomes.tell("gw", "pump-1", FAILED, by="ada", now_ns=NOW_NS)
    outcomes.correct(first, replace(FAILED, state=State.CORRECTED, cost=1.0), by="ada", now_ns=NOW_NS)
    with pytest.raises(NotTakenError, match="corrected it meanwhile"):
        outcomes.correct(first, replace(FAILED, state=State.CORRECTED, cost=2.0), by="bob", now_ns=NOW_NS)
    assert [one.cost for one in outcomes.newest()] == [1.0]


@pytest.mark.parametrize("statement", ["UPDATE outcome SET cost = 0", "DELETE FROM outcome"])
def test_the_file_itself_refuses_to_forget(outcomes: Outcomes, tmp_path: Path, statement: str) -> None:
    outcomes.tell("gw", "pump-1", FAILED, by="ada", now_ns=NOW_NS)
    with sqlite3.connect(tmp_path / "outcomes.sqlite3") as other, pytest.raises(sqlite3.IntegrityError, match="never"):
        other.execute(statement)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (replace(FAILED, at_ns=NOW_NS + 2 * 86_400 * 10**9), "future"),
        (replace(FAILED, at_ns=0), "1970"),
        (replace(FAILED, cost=-1.0), "cost"),
        (replace(FAILED, cost=float("nan")), "cost"),
        (replace(FAILED, downtime_h=float("inf")), "downtime_h"),
        (replace(FAILED, words="x" * 2001), "words"),
        (replace(FAILED, state=State.PROPOSED), "proposes"),
    ],
)
def test_what_cannot_be_is_refused_in_words(outcomes: Outcomes, told: Told, problem: str) -> None:
    with pytest.raises(NotTakenError, match=problem):
        outcomes.tell("gw", "pump-1", told, by="ada", now_ns=NOW_NS)
    with pytest.raises(NotTakenError, match="nobody"):
        outcomes.tell("gw", "pump-1", FAILED, by="", now_ns=NOW_NS)
    assert outcomes.newest() == []


def test_newest_of_all_assets_and_of_one(outcomes: Outcomes) -> None:
    a = outcomes.tell("gw", "pump-1", FAILED, by="ada", now_ns=NOW_NS)
    later = replace(FAILED, at_ns=FAILED.at_ns + 1, kind=Kind.INSPECTED_OK, cost=None, downtime_h=None)
    b = outcomes.tell("gw", "fan-1", later, by="ada", now_ns=NOW_NS)
    assert outcomes.newest() == [b, a]
    assert outcomes.newest("gw", "pump-1") == [a]
    assert outcomes.newest("other") == []


def test_another_programs_file_is_left_untouched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "outcomes.sqlite3") as other:
        other.execute("CREATE TABLE theirs(x)")
    with pytest.raises(StoreError, match="another program"):
        Outcomes(tmp_path)

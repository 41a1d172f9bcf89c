"""How far a rollout may go: who is reached first, what lets it go on, what takes it back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.dispatch.stages import Answers, decide, reached
from cloud.store.rollouts import Member, Rollout, State

ROLLOUT = Rollout(
    number=3, asset_class="cnc_spindle", bundle="ab" * 32, size=1, stages=(0.1, 0.5, 1.0), scope=(), watch_s=86_400.0,
    tolerate=0.1, by="ada", why="retrained", at_ns=0, expires_ns=10, stage=1, stage_ns=0, state=State.ROLLING, note="",
)  # fmt: skip
MACHINES = [(f"gw-{i % 4}", f"spindle-{i}") for i in range(20)]


@pytest.mark.parametrize(("stage", "machines", "count"), [(1, 20, 2), (2, 20, 10), (3, 20, 20), (1, 1, 1), (2, 3, 2)])
def test_each_stage_reaches_its_share_and_at_least_one(stage: int, machines: int, count: int) -> None:
    assert len(reached(replace(ROLLOUT, stage=stage), MACHINES[:machines])) == count


@given(st.lists(st.sampled_from(MACHINES), unique=True), st.integers(1, 2))
def test_who_was_reached_stays_reached(machines: list[tuple[str, str]], stage: int) -> None:
    before = reached(replace(ROLLOUT, stage=stage), machines)
    assert set(before) <= set(reached(replace(ROLLOUT, stage=stage + 1), machines))
    assert before == reached(replace(ROLLOUT, stage=stage), machines[::-1])


def test_another_rollout_begins_elsewhere() -> None:
    firsts = {reached(replace(ROLLOUT, number=number), MACHINES)[0] for number in range(30)}
    assert len(firsts) > 5


def member(asset: int, step: str = "", *, stage: int = 1, **more: int) -> Member:
    return Member(3, MACHINES[asset][0], MACHINES[asset][1], stage, step, words=f"words of {asset}", **more)


def here(_gateway: str) -> bool:
    return True


def away(gateway: str) -> bool:
    return gateway != "gw-1"


@pytest.mark.parametrize(
    ("steps", "what", "said"),
    [
        ([], "wait", "no machine"),
        ([""], "wait", "1 machine on trial"),
        (["watched", "counts"], "wait", "2 machines on trial"),
        (["kept", "counts"], "wait", "1 machine on trial"),
        (["kept", "kept"], "advance", "kept by 2 of 2 machines"),
        (["kept", "rolled back"], "roll back", "1 of 2 machines gave it up: gw-1/spindle-1: words of 1"),
        (["watched", "refused"], "roll back", "1 of 2"),
        (["kept"] * 9 + ["rolled back"], "advance", "kept by 9 of 10"),
        (["kept"] * 8 + ["rolled back", "refused"], "roll back", "2 of 10"),
        (["kept", "withdrawn"], "wait", "on trial"),
    ],
)
def test_a_stage_ends_once_all_who_are_here_have_kept_it(steps: list[str], what: str, said: str) -> None:
    decision = decide(ROLLOUT, [member(i, step) for i, step in enumerate(steps)], here)
    assert decision.what == what
    assert said in decision.words


def test_the_last_stage_finishes() -> None:
    members = [member(0, "kept"), member(1, "kept", stage=3)]
    assert decide(replace(ROLLOUT, stage=3), members, here).what == "finish"


def test_a_gateway_that_is_away_holds_nobody_up_but_itself() -> None:
    assert decide(ROLLOUT, [member(0, "kept"), member(1, "watched")], away).what == "advance"
    assert "1 machine away" in decide(ROLLOUT, [member(0, "kept"), member(1)], away).words
    assert decide(ROLLOUT, [member(1, "watched")], away).what == "wait"
    alone = [member(0, "kept"), member(1, stage=2)]
    assert decide(replace(ROLLOUT, stage=2), alone, away).what == "wait", "nobody of this stage was heard of"


def test_a_machine_that_judges_with_it_already_has_kept_it() -> None:
    assert decide(ROLLOUT, [member(0, new_verdicts=5)], here).what == "advance"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"new_verdicts": 100, "new_unknown": 21, "old_verdicts": 100, "old_unknown": 10}, "knew no life 21%"),
        ({"new_verdicts": 100, "new_unknown": 19, "old_verdicts": 100, "old_unknown": 10}, ""),
        ({"new_verdicts": 19, "new_unknown": 19, "old_verdicts": 100}, ""),
        ({"new_verdicts": 100, "new_anomalous": 11, "old_verdicts": 20}, "found machines anomalous 11% of the time"),
    ],
)  # fmt: skip
def test_verdicts_that_are_worse_take_it_back(counts: dict[str, int], said: str) -> None:
    decision = decide(ROLLOUT, [member(0, "counts", **counts)], here)
    assert (decision.what == "roll back") == bool(said)
    assert said in decision.words


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        ((0, 0), (0, 0), ""),
        ((5, 0), (5, 5), ""),
        ((1, 1), (18, 2), ""),
        ((0, 1), (0, 0), ""),
        ((1, 4), (18, 2), "people found 4 of 5 that it foretold wrong, 2 of 20 of those before"),
        ((1, 4), (2, 18), ""),
    ],
)
def test_foretelling_wrong_takes_it_back_where_it_is_not_chance(
    new: tuple[int, int], old: tuple[int, int], said: str
) -> None:
    """2 x 2 by Fisher: [[4, 1], [2, 18]] has p = 0.0055, [[1, 1], [2, 18]] has p = 0.2597."""
    decision = decide(ROLLOUT, [member(0, "counts")], here, Answers(*new), Answers(*old))
    assert (decision.what == "roll back") == bool(said)
    assert said in decision.words

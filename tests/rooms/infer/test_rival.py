"""A bundle on trial beside the one that counts: what is compared, who counts when, and what a break or a cut leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from edge.contract.bundle import Ages, Bundle
from edge.infer import Judge
from edge.infer.opinion import Life, Opinion
from edge.infer.rival import Rival
from edge.infer.tally import PATIENCE, VERDICTS_MIN, Tally
from tests.rooms.infer.machines import PERIOD_MS, Watched, asset_class, bundle, watched

CLASS = "cnc_spindle"
SURE = Opinion(anomaly=0.2, life=Life(300.0, 200.0, 400.0))
CRYING = replace(SURE, anomaly=1.4, anomalous=True)
IGNORANT = Opinion(anomaly=0.2, note="not enough evidence")
LEARNING = Opinion(note="not enough evidence: learning the healthy baseline, 10 % done")
WATCH_S = 100.0


def other() -> Bundle:
    """The shipped bundle under another name: what it thinks is the same to the bit."""
    return replace(bundle(CLASS), hash="ab" * 32)


def counted(pairs: list[tuple[Opinion, Opinion]], every_s: float = 5.0) -> Tally:
    tally = Tally()
    for new, old in pairs:
        tally.count(new, old, every_s)
    return tally


def test_one_that_thinks_the_same_is_clean_once_it_was_watched_for_long_enough() -> None:
    same = [(SURE, SURE)] * VERDICTS_MIN
    assert counted(same[:-1]).standing(WATCH_S).done is False
    standing = counted(same).standing(WATCH_S)
    assert (standing.done, standing.words, standing.verdicts) == (True, "", VERDICTS_MIN)
    assert counted(same, every_s=4.9).standing(WATCH_S).done is False


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([(IGNORANT, SURE)] * 3 + [(SURE, SURE)] * 17, "it knew no life 15% of the time, the other 0%"),
        ([(CRYING, SURE)] * 3 + [(SURE, SURE)] * 17, "anomalous 15% of the time"),
        (([(CRYING, SURE)] + [(SURE, SURE)] * 9) * 2, ""),
        ([(SURE, SURE), (CRYING, SURE)] * 2, "would have raised 2 anomalies, the other 0"),
        ([(replace(SURE, life=Life(20.0, 10.0, 30.0)), SURE)] * 20, "outside the other's 100% of the time"),
        ([(SURE, IGNORANT)] * 20, ""),
        ([(SURE, CRYING)] * 20, ""),
        ([(IGNORANT, IGNORANT)] * 20, ""),
    ],
)
def test_what_is_worse_is_said(pairs: list[tuple[Opinion, Opinion]], said: str) -> None:
    words = counted(pairs).standing(WATCH_S).words
    assert said in words
    assert bool(said) == bool(words)


def test_crying_wolf_ends_a_trial_early() -> None:
    standing = counted([(SURE, SURE), (CRYING, SURE)] * 2).standing(WATCH_S)
    assert not standing.done
    assert standing.words


def test_one_that_learns_is_waited_for_but_not_for_ever() -> None:
    learning = [(LEARNING, SURE)] * 20
    assert counted(learning).standing(WATCH_S).words == ""
    assert counted([*learning, *[(SURE, SURE)] * 20]).standing(WATCH_S).done
    standing = counted(learning * 5).standing(WATCH_S)
    assert PATIENCE * WATCH_S < 500
    assert standing.done
    assert "had not learned enough" in standing.words


def test_a_long_silence_counts_as_little() -> None:
    assert counted([(SURE, SURE)] * 2, every_s=1e6).standing(WATCH_S).watched_s == 120.0


def facing(new: Bundle, polls: int = 600) -> Watched:
    asset = watched(CLASS, 42, pace_h=0.5)
    for _ in range(polls):
        asset.poll()
    asset.judge.face(asset.judge.rival(new))
    return asset


def test_the_one_on_trial_changes_nothing_of_what_counts() -> None:
    alone, beside = watched(CLASS, 42, pace_h=0.5), facing(other())
    for _ in range(600):
        alone.poll()
    for _ in range(200):
        alone.poll(), beside.poll()
        assert alone.verdict() == beside.verdict()
    standing = beside.judge.standing(10.0)
    assert standing is not None
    assert (standing.done, standing.words) == (True, "")


def test_once_it_counts_verdicts_bear_its_name_and_the_former_judges_beside() -> None:
    asset = facing(other())
    before = asset.verdict()
    assert before.rul_h is not None
    asset.judge.swap()
    asset.poll()
    after = asset.verdict()
    assert (before.bundle, after.bundle) == (bundle(CLASS).hash, other().hash)
    assert after.rul_h == pytest.approx(before.rul_h, rel=0.3), "it began with what the former had learned"
    asset.judge.swap()
    assert asset.judge.bundle == bundle(CLASS).hash
    asset.judge.dismiss()
    assert asset.judge.standing(1.0) is None


class Breaks:
    """A mind that breaks at the ``at``-th thing that it is asked for."""

    tags: tuple[str, ...] = ("vibration_mm_s",)
    ages: Ages | None = None
    learning = False

    def __init__(self, at: int) -> None:
        self.left = at

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("a model that nobody meant")

    def doubt(self, tags: frozenset[str]) -> None:
        pass

    def opine(self) -> Opinion:
        self.observe({}, 0, 0)
        return SURE

    def kept(self) -> dict[str, Any]:
        return {}

    def restore(self, kept: dict[str, Any]) -> bool:
        return True


@pytest.mark.parametrize("at", [0, 1, 5])
def test_one_that_breaks_on_trial_takes_nobody_along(at: int) -> None:
    asset = facing(other())
    asset.judge.face(Rival("cd" * 32, lambda: Breaks(at)))
    for _ in range(6):
        asset.poll()
        assert asset.verdict().bundle == bundle(CLASS).hash
    standing = asset.judge.standing(1e9)
    assert standing is not None
    assert standing.words == "it broke: RuntimeError: a model that nobody meant"
    assert standing.done


@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_that_breaks_once_it_counts_gives_way_to_the_former_at_once(at: int) -> None:
    asset = facing(other())
    asset.judge.face(Rival("cd" * 32, lambda: Breaks(at)))
    asset.judge.swap()
    asset.poll()
    asset.verdict()
    asset.poll()
    verdict = asset.verdict()
    assert verdict.bundle == asset.judge.bundle == bundle(CLASS).hash
    assert verdict.rul_h is not None
    standing = asset.judge.standing(1e9)
    assert standing is not None
    assert "it broke" in standing.words


def test_the_one_that_everybody_trusts_may_still_break_the_room() -> None:
    """Where nobody is left to give way to, the supervisor starts the room again, as ever."""
    asset = facing(other())
    asset.judge.face(Rival("cd" * 32, lambda: Breaks(0)))
    asset.judge.swap()
    asset.judge.dismiss()
    with pytest.raises(RuntimeError, match="nobody meant"):
        asset.poll()


def judge_of(new: Bundle) -> Judge:
    return Judge("asset-1", asset_class(CLASS), new, PERIOD_MS)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_restart_amid_a_trial_goes_on_to_the_bit(swapped: bool) -> None:
    asset = facing(other())
    if swapped:
        asset.judge.swap()
    for _ in range(20):
        asset.poll()
        asset.verdict()
    again = judge_of(other() if swapped else bundle(CLASS))
    again.face(again.rival(bundle(CLASS) if swapped else other(), newcomer=not swapped))
    assert again.restore(asset.judge.state())
    twin = Watched(asset.machine, again, asset.pace_h, polls=asset.polls)
    for _ in range(30):
        taken = asset.poll()
        again.observe(taken)
        twin.polls = asset.polls
        assert twin.verdict() == asset.verdict()
    told, expected = json.loads(again.state()), json.loads(asset.judge.state())
    # No clock tells how long it was away, so that one gap is missing from what was watched.
    assert told["rival"]["tally"].pop("watched_s") == expected["rival"]["tally"].pop("watched_s") - 0.2
    assert told == expected


def test_a_cut_between_the_word_and_the_state_lets_each_find_its_own() -> None:
    """It was written down that the new one counts; what was kept is from before. And the other way round."""
    asset = facing(other())
    for _ in range(20):
        asset.poll()
        asset.verdict()
    before = asset.judge.state()
    promoted = judge_of(other())
    promoted.face(promoted.rival(bundle(CLASS), newcomer=False))
    assert promoted.restore(before)
    asset.judge.swap()
    told, expected = json.loads(promoted.state()), json.loads(asset.judge.state())
    assert told["mind"] == expected["mind"]
    assert told["rival"]["mind"] == expected["rival"]["mind"]
    back = judge_of(bundle(CLASS))
    assert back.restore(asset.judge.state())
    assert json.loads(back.state())["mind"] == json.loads(before)["mind"]

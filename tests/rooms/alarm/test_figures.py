"""The figures of alarms over time: what the windows hold, over restarts, and that memory stays bounded."""

from __future__ import annotations

import pytest

from edge.alarm import Moment
from edge.alarm.figures import WINDOWS, Figures
from edge.contract.types import Priority

S = 10**9
H = 3600
WALL_S = 1_800_000_000


def moment(at_s: float, *, mono_s: float | None = None, boot: str = "a", trusted: bool = True) -> Moment:
    return Moment(round((WALL_S + at_s) * S), round((at_s if mono_s is None else mono_s) * S), trusted, boot)


def raised(figures: Figures, at_s: float, rule: str = "r", *, held: bool = False) -> None:
    figures.pass_time(round(at_s * S), flood=False)
    figures.raised("m", rule, Priority.LOW, held=held)


def test_each_window_holds_what_was_raised_in_it() -> None:
    figures = Figures()
    figures.pass_time(0, flood=False)
    for at_s in (10, 5 * H, 5 * H + 600, 40 * H, 40 * H + 60):
        raised(figures, at_s)
    report = figures.report()
    assert report["alarms"] == {"hour": 2, "day": 2, "week": 5}
    assert report["watched_h"]["week"] == round(40 + 60 / H, 3)
    assert report["most_in_10_min"] == {"hour": 2, "day": 2, "week": 2}


def test_what_was_held_is_counted_apart_and_is_a_bad_actor_all_the_same() -> None:
    figures = Figures()
    figures.pass_time(0, flood=False)
    for at_s in range(1, 10):
        raised(figures, at_s, "noisy", held=True)
    raised(figures, 10, "other")
    report = figures.report()
    assert (report["alarms"]["week"], report["held_back"]["week"]) == (1, 9)
    assert report["bad_actors"][0] == {"asset": "m", "rule": "noisy", "raised": 9, "percent": 90.0}


@pytest.mark.parametrize(
    ("after", "hour"),
    [
        (moment(3 * H, boot="a"), 0),
        (moment(3 * H, mono_s=5, boot="b"), 0),
        (moment(3 * H, mono_s=5, boot="b", trusted=False), 1),
    ],
    ids=["same boot", "reboot", "nobody knows how long"],
)
def test_time_in_which_it_did_not_run_passes_where_a_clock_knows_it(after: Moment, hour: int) -> None:
    before = Figures()
    before.pass_time(0, flood=False)
    raised(before, 60)
    state = before.state(moment(120))
    figures = Figures()
    figures.restore(state, (), after)
    figures.pass_time(after.mono_ns + 30 * S, flood=False)
    report = figures.report()
    assert report["alarms"] == {"hour": hour, "day": 1, "week": 1}
    assert report["watched_h"]["week"] == round(90 / H, 3), "the time between is not watched"
    figures.raised("m", "r", Priority.LOW, held=False)
    assert figures.report()["alarms"]["week"] == 2


def test_a_flood_is_a_share_of_what_was_watched() -> None:
    figures = Figures()
    figures.pass_time(0, flood=False)
    figures.pass_time(900 * S, flood=False)
    figures.pass_time(1000 * S, flood=True)
    assert figures.report()["flood_percent"]["day"] == 10.0


def test_a_month_takes_no_more_memory_than_a_week() -> None:
    figures = Figures()
    figures.pass_time(0, flood=False)
    for span in range(30 * 144):
        raised(figures, span * 600 + 1, f"r{span % 7}")
    assert len(figures._spans) <= WINDOWS["week"] + 1
    assert max(len(days) for days in figures._actors.values()) <= 8
    assert figures.report()["alarms"]["week"] == WINDOWS["week"] + 1
    assert len(figures.state(moment(0))) < 40_000


@pytest.mark.parametrize("spoilt", [b"{", b"[]", b'{"version": 1}', b"\xff"])
def test_spoilt_figures_begin_anew(spoilt: bytes) -> None:
    figures = Figures()
    figures.restore(spoilt, (), moment(0))
    raised(figures, 1)
    assert figures.report()["alarms"]["week"] == 1

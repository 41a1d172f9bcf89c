"""Times of every kind that historians write come out as the same moments; what is ambiguous is asked, not guessed."""

from __future__ import annotations

import datetime as dt

import pytest

from cloud.backtest.stamps import NONE, read_times
from edge.errors import ConfigError

MOMENT = dt.datetime(2026, 3, 28, 14, 5, 30, tzinfo=dt.UTC)
NS = int(MOMENT.timestamp()) * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-28T14:05:30Z", "2026-03-28 14:05:30", "2026-03-28T15:05:30+01:00", "2026-03-28 14:05:30,000",
        "28.03.2026 14:05:30", "28/03/2026 14:05:30", "03/28/2026 2:05:30 PM", "28-03-26 14:05:30",
        f"{NS // 10**9}", f"{NS // 10**6}", f"{NS // 10**3}", f"{NS}", f"{NS // 10**9}.000",
    ],
)  # fmt: skip
def test_one_moment_in_every_dress(text: str) -> None:
    assert read_times([text], "x")[0].tolist() == [NS]


def test_a_form_of_ones_own() -> None:
    assert read_times(["28-Mar-2026 14h05m30"], "x", form="%d-%b-%Y %Hh%Mm%S")[0].tolist() == [NS]


def test_day_or_month_is_told_by_any_row_or_asked() -> None:
    at_ns, _ = read_times(["03/04/2026 00:00", "03/28/2026 00:00"], "x")
    assert [dt.datetime.fromtimestamp(ns / 1e9, dt.UTC).month for ns in at_ns.tolist()] == [3, 3]
    with pytest.raises(ConfigError, match="day or month first") as error:
        read_times(["03/04/2026 00:00"], "x")
    assert "--day-first" in error.value.hint
    assert (
        read_times(["03/04/2026 00:00"], "x", day_first=True)[0] != read_times(["03/04/2026"], "x", day_first=False)[0]
    )


def test_the_hour_that_autumn_repeats_runs_on() -> None:
    texts = ["2026-10-25 01:30", "2026-10-25 02:00", "2026-10-25 02:30", "2026-10-25 02:00", "2026-10-25 02:30",
             "2026-10-25 03:00"]  # fmt: skip
    at_ns, notes = read_times(texts, "x", zone="Europe/Berlin")
    assert [int(step) // (60 * 10**9) for step in at_ns[1:] - at_ns[:-1]] == [30] * 5
    assert any("times in the hour that daylight saving repeats: 2" in note for note in notes)


def test_the_hour_that_spring_leaves_out_is_noticed() -> None:
    _, notes = read_times(["2026-03-29 02:30"], "x", zone="Europe/Berlin")
    assert any("leaves out" in note for note in notes)


def test_without_a_zone_it_is_utc_and_says_so() -> None:
    _, notes = read_times(["2026-03-28 14:05:30"], "x")
    assert notes == ["times carry no zone and are taken as UTC; name it with --zone, such as Europe/Berlin"]


def test_what_is_no_time_is_none_and_an_unknown_zone_an_error() -> None:
    assert read_times(["2026-03-28", "never"], "x")[0].tolist()[1] == NONE
    with pytest.raises(ConfigError, match="no time can be read"):
        read_times(["never", ""], "x")
    with pytest.raises(ConfigError, match="there is no zone 'Mars/Base'"):
        read_times(["2026-03-28"], "x", zone="Mars/Base")

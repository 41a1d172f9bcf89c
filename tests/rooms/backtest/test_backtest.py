"""A history with a known truth is told as it was: what is caught, late, missed, cried wolf about, and the money."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloud.backtest.failures import Failure
from cloud.backtest.money import Prices, saved_by, time_based
from cloud.backtest.replay import Alarmed
from cloud.backtest.score import HOUR_NS, Terms, by_chance, tally
from cloud.cli import cloud
from tests.rooms.backtest.exports import START, humming, pump_to_failure, stamps, wide

TERMS = Terms(lead_h=24.0, horizon_h=336.0, together_h=24.0)


def h(hours: float) -> int:
    return round(hours * HOUR_NS)


def alarm(since_h: float, until_h: float | None = None, rule: str = "anomaly") -> Alarmed:
    return Alarmed(rule, h(since_h), None if until_h is None else h(until_h), rule)


def asked(*args: str | Path) -> dict[str, Any]:
    result = CliRunner().invoke(cloud, ["backtest", *map(str, args), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


# -- scoring ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since_h", "how"),
    [(999.0, "missed"), (976.1, "late"), (976.0, "caught"), (664.0, "caught"), (663.9, "missed"), (1001.0, "missed")],
)
def test_an_event_counts_by_its_beginning(since_h: float, how: str) -> None:
    failed = [Failure("a", h(1000.0), h(1000.0))]
    expected = "late" if since_h == 999.0 else how
    found = tally([alarm(since_h)], failed, TERMS, from_ns=0, to_ns=h(1100.0))
    assert [fate.how for fate in found.fates] == [expected]
    # What cried wolf is what announced nothing; after a failure it belongs to the repair.
    assert len(found.wolf) == (since_h == 663.9)


def test_an_alarm_that_always_stands_announces_nothing() -> None:
    found = tally([alarm(10.0)], [Failure("a", h(1000.0), h(1000.0))], TERMS, from_ns=0, to_ns=h(1100.0))
    assert (found.count("missed"), len(found.wolf)) == (1, 1)


def test_a_failure_that_the_export_does_not_reach_is_neither_missed_nor_are_its_alarms_wolves() -> None:
    failed = [Failure("a", h(1000.0), h(1000.0))]
    for end_h, how in ((975.0, "unjudged"), (977.0, "missed")):
        found = tally([], failed, TERMS, from_ns=0, to_ns=h(end_h))
        assert [fate.how for fate in found.fates] == [how]
    found = tally([alarm(700.0)], failed, TERMS, from_ns=0, to_ns=h(800.0))
    assert (found.judged, len(found.wolf)) == (0, 0)


def test_alarms_near_each_other_are_one_event_and_a_failure_ends_it() -> None:
    alarms = [alarm(800.0, 810.0), alarm(820.0, 990.0, "rul_warning"), alarm(995.0, 1002.0), alarm(1030.0, 1031.0)]
    found = tally(alarms, [Failure("a", h(1000.0), h(1000.0))], TERMS, from_ns=0, to_ns=h(1100.0))
    assert [(event.since_ns, event.rules) for event in found.events] == [
        (h(800.0), ("anomaly", "rul_warning")), (h(1030.0), ("anomaly",)),
    ]  # fmt: skip
    assert found.fates[0].lead_h == 200.0
    assert len(found.wolf) == 1


def test_a_life_that_runs_short_is_news_where_an_anomaly_has_stood_for_long() -> None:
    alarms = [alarm(300.0, 1000.0), alarm(900.0, 1000.0, "rul_warning"), alarm(910.0, 1000.0, "rul_critical")]
    found = tally(alarms, [Failure("a", h(1000.0), h(1000.0))], TERMS, from_ns=0, to_ns=h(1100.0))
    assert [event.rules for event in found.events] == [("anomaly",), ("rul_warning", "rul_critical")]
    assert (found.fates[0].how, found.fates[0].lead_h, len(found.wolf)) == ("caught", 100.0, 1)


def test_a_failure_while_it_learns_is_not_judged() -> None:
    failures = [Failure("a", h(5.0), h(5.0)), Failure("a", h(500.0), h(500.0))]
    found = tally([], failures, TERMS, from_ns=h(10.0), to_ns=h(600.0))
    assert [fate.how for fate in found.fates] == ["unjudged", "missed"]
    assert found.judged == 1
    assert tally([], failures, TERMS, from_ns=None, to_ns=h(600.0)).judged == 0


def test_chance_catches_as_often_as_its_alarms_fall_in_the_time() -> None:
    # One event in 26 days, 13 of which are in time: one half. Two: three quarters.
    failed = [Failure("a", h(600.0), h(600.0))]
    one = tally([alarm(10.0, 11.0)], failed, TERMS, from_ns=0, to_ns=h(624.0))
    two = tally([alarm(10.0, 11.0), alarm(100.0, 101.0)], failed, TERMS, from_ns=0, to_ns=h(624.0))
    assert by_chance([one], TERMS) == pytest.approx(0.5)
    assert by_chance([two], TERMS) == pytest.approx(0.75)


# -- money -----------------------------------------------------------------------------------------------------------


def test_money_by_hand_and_its_range_narrows_with_failures() -> None:
    prices = Prices(downtime=1000.0, false_alarm=200.0, unplanned_h=8.0, planned_h=2.0)

    def of(times: int) -> Any:
        failures = [Failure("a", h(1000.0 * i), h(1000.0 * i)) for i in range(1, 4 * times + 1)]
        alarms = [alarm(f.at_ns / HOUR_NS - 100.0, f.at_ns / HOUR_NS) for i, f in enumerate(failures) if i % 4]
        alarms += [alarm(1000.0 * i + 200.0, 1000.0 * i + 201.0) for i in range(times)]
        return saved_by(tally(alarms, failures, TERMS, from_ns=0, to_ns=h(5000.0 * times)), prices)

    one, ten = of(1), of(10)
    # Three of four caught: 3 x (8 - 2) h x 1000, less one look at 200.
    assert one.amount == 17_800.0
    assert ten.amount == 178_000.0
    assert one.low < one.amount < one.high
    assert (ten.high - ten.low) / ten.amount < 0.5 * (one.high - one.low) / one.amount


def test_replacing_by_the_calendar_with_the_best_interval_in_hindsight() -> None:
    prices = Prices(downtime=1000.0, unplanned_h=8.0, planned_h=2.0)
    assert time_based([], [500.0], prices) is None
    alike = time_based([100.0, 100.0], [50.0], prices)
    assert alike is not None
    # Just before 100 h: both prevented by one replacement each.
    assert (alike.caught, alike.missed, alike.replaced, alike.saved) == (2, 0, 2, 12_000.0)


# -- the whole -------------------------------------------------------------------------------------------------------


def test_a_history_with_a_known_truth(tmp_path: Path) -> None:
    """A departure ends in none, a failure comes from nothing, and two are announced; far enough apart for an alarm
    that outlives its cause by days to have cleared."""
    rows = 4400  # every 10 min: 30.6 days
    table = humming(rows, [(1000, 1100), (2400, 2800), (3900, 4300)])
    export = wide(tmp_path / "pump-7.csv.gz", stamps(rows), table)
    failures = tmp_path / "failed.csv"
    at = [START + dt.timedelta(minutes=10 * row) for row in (2000, 2800, 4300)]
    failures.write_text("at\n" + "\n".join(f"{when:%Y-%m-%d %H:%M}" for when in at) + "\n")
    page = tmp_path / "out.html"
    found = asked(export, "--failures", failures, "--horizon-h", "96", "--html", page)
    ours = found["babbitt"]
    assert (ours["caught"], ours["late"], ours["missed"]) == (2, 0, 1)
    assert 24.0 < ours["lead_h_median"] < 400 / 6
    asset = found["assets"]["pump-7"]
    wolves = [(event["since_ns"] // 10**9 - START.timestamp()) / 600.0 for event in asset["cried_wolf"]]
    assert sum(1000 < row < 1100 for row in wolves) == 1
    # Its budget of alarms is spent in four weeks, but hardly more.
    assert ours["cried_wolf"] == len(wolves) <= 4
    assert ours["saved"] == 2 * 6000 - 200 * len(wolves)
    assert [one["how"] for one in asset["failures"]] == ["missed", "caught", "caught"]
    assert asset["signals"]["VIB DE [mm/s]"] == {"tag": "vibration_mm_s", "how": "guessed", "words": ""}
    assert found["run_to_failure"] == {"caught": 0, "missed": 3, "saved": 0.0}
    html = page.read_text()
    assert html.count('class="failure"') == 3
    assert 'class="good"' in html
    assert 'class="wolf"' in html
    assert "Of 3 failures 2 would have been caught in time, 0 late, 1 missed;" in html
    assert "http" not in html, "the page needs nothing else"


def test_a_pump_is_judged_with_its_bundle_and_told_its_end(tmp_path: Path) -> None:
    export = tmp_path / "pump-7.csv"
    failed = pump_to_failure(export)
    failures = tmp_path / "failed.csv"
    failures.write_text(f"at\n{failed:%Y-%m-%d %H:%M:%S}\n")
    found = asked(export, "--class", "centrifugal_pump", "--failures", failures)
    asset = found["assets"]["pump-7"]
    assert asset["mind"].startswith("the bundle")
    assert found["babbitt"]["caught"] == 1
    assert found["babbitt"]["cried_wolf"] == 0
    without = asked(export, "--class", "centrifugal_pump", "--failures", failures, "--map", "load_percent=")
    assert without["assets"]["pump-7"]["mind"].endswith("also needs load_percent")


def test_no_known_failure_is_said_and_nothing_is_counted_as_caught(tmp_path: Path) -> None:
    export = wide(tmp_path / "pump-7.csv", stamps(600), humming(600))
    result = CliRunner().invoke(cloud, ["backtest", str(export)], catch_exceptions=False)
    assert "no failure is known" in result.stdout
    found = asked(export)
    assert (found["babbitt"]["caught"], found["babbitt"]["missed"], found["time_based"]) == (0, 0, None)


def test_a_history_too_short_to_learn_from_is_said(tmp_path: Path) -> None:
    export = wide(tmp_path / "pump-7.csv", stamps(50), humming(50))
    result = CliRunner().invoke(cloud, ["backtest", str(export)], catch_exceptions=False)
    assert "never: not enough evidence: learning what is normal" in result.stdout


def test_the_same_export_gives_the_same_answer(tmp_path: Path) -> None:
    export = wide(tmp_path / "pump-7.csv", stamps(600), humming(600, [(400, 600)]))
    assert asked(export) == asked(export)


def test_a_budget_of_alarms_is_handed_to_the_judge(tmp_path: Path) -> None:
    export = wide(tmp_path / "pump-7.csv", stamps(3000, every_min=60.0), humming(3000))
    few, many = (asked(export, "--alarms-per-week", budget) for budget in ("0.05", "20"))
    assert (few["alarms_per_week"], many["alarms_per_week"]) == (0.05, 20.0)
    assert few["babbitt"]["cried_wolf"] < many["babbitt"]["cried_wolf"]


def test_an_unknown_class_and_a_machine_that_stands_twice_are_refused(tmp_path: Path) -> None:
    export = wide(tmp_path / "pump-7.csv", stamps(50), humming(50))
    unknown = CliRunner().invoke(cloud, ["backtest", str(export), "--class", "toaster"])
    assert "there is no such class" in str(unknown.exception)
    twice = CliRunner().invoke(cloud, ["backtest", str(export), str(export)])
    assert "is in two exports" in str(twice.exception)

"""How the benches of anomalies count, by cases that were worked out by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.bench import anomaly_nab as nab
from tests.bench import anomaly_skab as skab

ROWS = 2000
WINDOW = nab.Window(1000, 1099)


def score(*detections: int) -> float:
    return nab.normalised(detections, [WINDOW], ROWS)


def test_nothing_said_is_worth_0_and_all_at_once_100() -> None:
    assert score() == 0.0
    assert score(1000) == pytest.approx(100.0)


def test_the_earlier_the_better() -> None:
    """At the last row of 100: (2 / (1 + e^-0.05) - 1) / (2 / (1 + e^-5) - 1) = 0.02533, of -1 to 1."""
    assert score(1099) == pytest.approx(100.0 * (0.02533 + 1.0) / 2.0, abs=0.01)


def test_the_first_in_a_window_counts_alone() -> None:
    assert score(1000, 1050, 1099) == score(1000)


def test_a_false_alarm_costs_11_hundredths_of_a_window_and_less_just_after_one() -> None:
    assert score(500) == pytest.approx(100.0 * -0.11 / 2.0)
    # A width after: 0.11 x (2 / (1 + e^5) - 1) = -0.10853.
    assert score(1000, 1099 + 99) == pytest.approx(100.0 * (1.0 - 0.10853 + 1.0) / 2.0, abs=0.01)
    assert score(1000, 1100) > score(1000, 1120) > score(1000, 1198)


def test_what_is_said_during_probation_does_not_count() -> None:
    assert nab.probation(ROWS) == 300
    assert nab.probation(22695) == 750
    assert score(10, 299) == 0.0


def test_pooled_counts() -> None:
    """3 hits, 1 false alarm, 2 missed, 4 quiet: F1 6/9, FAR 1/5, MAR 2/5."""
    said = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    true = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0], dtype=bool)
    parts = skab.counted(said[:4], true[:4]) + skab.counted(said[4:], true[4:])
    assert parts == skab.Counts(tp=3, fp=1, fn=2, tn=4)
    assert parts.figures == pytest.approx({"f1": 6 / 9, "far_percent": 20.0, "mar_percent": 40.0})


def test_a_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "a.csv"
    other.write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match="no column `datetime`"):
        skab.read(other)
    short = tmp_path / "b.csv.gz"
    short.write_bytes(gzip.compress(b"datetime;Flow;anomaly\n" + b"2020-01-01;1.0;0\n" * 400))
    with pytest.raises(ValueError, match="nothing to test"):
        skab.read(short)


def test_both_benches_count_what_the_gateways_own_mind_says(data_dir: Path) -> None:
    file = skab.read(data_dir / "skab/valve1/15.csv.gz")
    assert file.anomaly is not None
    assert np.array_equal(skab.ours(file), skab.at_limit(file, 1.0))
    figures = skab.counted(skab.ours(file), file.anomaly[skab.FIT_ROWS :]).figures
    assert figures["f1"] > 0.85
    values, windows = nab.read(data_dir / "nab_machine_temperature")
    assert [window.first for window in windows] == [2126, 3703, 16057, 19232]
    early = nab.ours(values[:5000])
    assert any(windows[0].first <= row <= windows[0].last for row in early)

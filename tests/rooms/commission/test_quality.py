"""The score of a signal and what an asset's sensors are good enough for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.commission.findings import Grade, LineFound, Maturity, SiteFound, TagFound, UnitFound
from edge.commission.maturity import FAILURES_MIN, maturities
from edge.commission.quality import JUDGE_BY, PREDICT_FROM, grade
from edge.commission.report import report_html
from edge.commission.show import maturity_words
from edge.config.profiles import Profile
from edge.config.site import Site, load_site
from edge.contract.types import Quality, Value

DEMO = Path(__file__).resolve().parents[3] / "firmware_profiles" / "sites" / "demo.toml"
DRAW = np.random.default_rng(1)
GOOD = tuple(60.0 + 0.3 * DRAW.standard_normal() for _ in range(30))


@dataclass(frozen=True)
class Point:
    kind: str = "temperature"
    type: str = "float32"
    scale: float = 1.0


def points(reads: tuple[Value, ...], point: Point = Point(), *, period_s: float = 1.0) -> Grade:
    found = grade(point, reads, "ok", period_s=period_s)
    assert found is not None
    return found


def test_a_good_signal_loses_only_for_standing_alone() -> None:
    assert points(GOOD) == Grade(95, ("no redundant sensor",))
    checked = grade(Point(), GOOD, "ok", period_s=1.0, checked_by=("other_c",))
    assert checked == Grade(100)


@pytest.mark.parametrize(
    ("reads", "point", "period_s", "words"),
    [
        ((*GOOD[:24], *(None,) * 6), Point(), 1.0, "6 of 30 reads gave no value"),
        (GOOD, Point("vibration"), 60.0, "read every 60 s, wanted every 10 s"),
        ((60.0,) * 30, Point(), 1.0, "the same value in all 30 reads"),
        ((60, 61, 62, 60, 61), Point(type="int16", scale=1.0), 1.0, "in steps of 1.6 % of itself"),
        (tuple(5.0 * round(x / 5.0) for x in np.linspace(30, 60, 30)), Point(), 1.0, "in steps of 11.1 % of itself"),
        (tuple(60.0 + 9.0 * ((-1) ** i) for i in range(30)), Point(), 1.0, "scatters by 21 %"),
    ],
)
def test_every_lack_costs_points_and_is_said_first(
    reads: tuple[Value, ...], point: Point, period_s: float, words: str
) -> None:
    found = points(reads, point, period_s=period_s)
    assert found.points < points(GOOD).points
    assert words in found.reasons


def test_worse_is_never_better() -> None:
    missing = [points((*GOOD[: 30 - n], *(None,) * n)).points for n in range(0, 31, 3)]
    slower = [points(GOOD, period_s=period).points for period in (1.0, 60.0, 120.0, 600.0, 3600.0)]
    assert missing == sorted(missing, reverse=True)
    assert slower == sorted(slower, reverse=True)
    assert missing[-1] == 0


def test_few_reads_say_what_they_cannot_know() -> None:
    assert "scatter unknown after 2 reads" in points(GOOD[:2]).reasons


def test_what_is_counted_switched_or_text_has_no_sensor() -> None:
    assert grade(Point("counter"), (1, 2, 3), "ok", period_s=1.0) is None
    assert grade(Point("other"), (True, False), "ok", period_s=1.0) is None
    assert grade(Point("other"), ("auto",), "ok", period_s=1.0) is None


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DEMO)


def tried(site: Site, **grades: int | None) -> tuple[LineFound, ...]:
    """The demo's site with every signal good, but for the pump's ``grades``; None is a signal that gave nothing."""

    def tag(name: str, kind: str, asset: str) -> TagFound:
        own = grades.get(name, 95) if asset == "pump-1" else 95
        sensor = kind not in ("counter", "hours", "state", "setpoint")
        return TagFound(
            name, name, 1.0, "", 1, Quality.GOOD, 0, 0.0, "bad" if own is None else "ok",
            grade=Grade(own or 0) if sensor else None,
        )  # fmt: skip

    def unit(asset: str, profile: Profile) -> UnitFound:
        tags = tuple(tag(p.tag, p.kind, asset) for p in profile.point)
        return UnitFound(asset, 1, "", profile.device.id, ("x",), tags)

    units = [unit(a.id, site.profiles[u.profile]) for a in site.file.asset for u in a.unit]
    return (LineFound("hall", "modbus-tcp", "x", tuple(units), 1.0),)


def test_good_sensors_with_a_bundle_are_good_enough_for_prediction_and_it_says_by_whose_word(site: Site) -> None:
    for found in maturities(site, tried(site)):
        assert (found.reached, found.next, found.lacks) == (Maturity.PREDICTION, None, ())
        assert f"{FAILURES_MIN} confirmed failures" in found.first


def test_each_level_says_what_it_lacks(site: Site) -> None:
    def pump(**grades: int | None) -> tuple[Maturity, str]:
        found = maturities(site, tried(site, **grades))[1]
        return found.reached, "; ".join(found.lacks)

    assert pump(kurtosis=PREDICT_FROM - 1) == (Maturity.ANOMALY, "75 points for kurtosis")
    reached, lacks = pump(hour_meter_h=None)
    assert (reached, lacks) == (Maturity.ANOMALY, "a reading of hour_meter_h")
    watched = site.classes["centrifugal_pump"].watch
    reached, lacks = pump(**dict.fromkeys(watched[:-2], JUDGE_BY - 1))
    assert reached is Maturity.MONITORING
    assert lacks.startswith("3 signals with 60 points or more, there are 2 (vibration_mm_s")
    reached, lacks = pump(**{p.tag: None for u in site.file.asset[1].unit for p in site.profiles[u.profile].point})
    assert (reached, lacks) == (Maturity.NONE, "a signal that gives a value")


def test_a_class_without_a_bundle_predicts_nothing(site: Site) -> None:
    without = {name: msgspec.structs.replace(c, bundle="") for name, c in site.classes.items()}
    found = maturities(msgspec.structs.replace(site, classes=without), tried(site))
    assert all(one.reached is Maturity.ANOMALY and "a bundle for class" in one.lacks[0] for one in found)


def test_report_and_table_show_levels_and_scores(site: Site) -> None:
    lines = tried(site, kurtosis=40)
    found = SiteFound("s", "g", 0, lines, maturities(site, lines))
    page = report_html(found, version="1")
    assert "What the sensors are good for" in page
    assert "75 points for kurtosis" in page
    assert "<b>40</b>" in page
    words = list(maturity_words(found))
    assert "Pump 1: good enough for anomaly detection (after 6 days of learning what is healthy)" in words

"""The shipped zones, whom they cover, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.severity import Severity, Support, load_severity
from edge.errors import ConfigError
from edge.features.severity import Boundaries

SHIPPED = Path(__file__).resolve().parents[3] / "firmware_profiles/severity/iso_20816_3.toml"


@pytest.fixture(scope="module")
def iso() -> Severity:
    return load_severity(SHIPPED)


@pytest.mark.parametrize(
    ("power_kw", "height_mm", "support", "expected"),
    [
        (400.0, None, "rigid", (2.3, 4.5, 7.1)), (400.0, None, "flexible", (3.5, 7.1, 11.0)),
        (300.0, None, "rigid", (1.4, 2.8, 4.5)), (45.0, None, "flexible", (2.3, 4.5, 7.1)),
        (250.0, 315.0, "rigid", (2.3, 4.5, 7.1)), (250.0, 314.0, "rigid", (1.4, 2.8, 4.5)),
    ],
)  # fmt: skip
def test_the_group_follows_power_or_shaft_height(
    iso: Severity, power_kw: float, height_mm: float | None, support: Support, expected: tuple[float, float, float]
) -> None:
    found = iso.boundaries(power_kw=power_kw, support=support, shaft_height_mm=height_mm)
    assert found == Boundaries(*expected)


@pytest.mark.parametrize("power_kw", [14.9, 1.0, 0.0, float("nan")])
def test_small_machines_are_refused_not_extrapolated(iso: Severity, power_kw: float) -> None:
    with pytest.raises(ConfigError, match=r"covers machines above 15 kW alone \(judge it by its own baseline"):
        iso.boundaries(power_kw=power_kw, support="rigid")


@pytest.mark.parametrize("speed_rpm", [119.0, 30_001.0])
def test_speeds_that_the_standard_does_not_cover_are_refused(iso: Severity, speed_rpm: float) -> None:
    assert iso.boundaries(power_kw=20.0, support="rigid", speed_rpm=120.0)
    with pytest.raises(ConfigError, match="covers 120 to 30000 1/min alone"):
        iso.boundaries(power_kw=20.0, support="rigid", speed_rpm=speed_rpm)


def test_numbers_come_with_their_edition(iso: Severity) -> None:
    assert "10816-3:2009" in iso.edition
    assert "2022" in iso.edition


def test_boundaries_that_fall_are_refused_at_load(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SHIPPED.read_text(encoding="utf-8").replace("[1.4, 2.8, 4.5]", "[2.8, 1.4, 4.5]"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"`group\[1\].rigid`: boundaries that do not rise"):
        load_severity(path)

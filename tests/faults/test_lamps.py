"""Lamps are right whatever else breaks; `python -m tests.faults.lamps` and `make soak` go on for longer."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import lamps
from tests.seeds import fresh_seed
from tests.world.lamps import Lamps

SECOND = 10**9


@pytest.mark.timeout(180)
def test_each_excursion_lights_its_lamp_and_nobody_sees_green_that_is_not_true() -> None:
    found = lamps.round(fresh_seed(), faults=3, tries=3, say=print)
    print(found)
    assert found.excursions == 3
    assert found.caught == 0


@pytest.fixture
def floor(tmp_path: Path) -> Any:
    """What a panel wrote down that stayed green for half a second after its gateway was gone, and then said so."""
    views = [(1.0, "on", "off"), (2.0, "off", "fast"), (3.0, "on", "off"), (5.5, "off", "double")]
    told = [{"mono_ns": int(at * SECOND), "green": green, "red": red, "pid": 0} for at, green, red in views]
    path = tmp_path / "lamps.jsonl"
    path.write_text("".join(json.dumps(view) + "\n" for view in told))
    return SimpleNamespace(lamps=Lamps(path))


@pytest.mark.parametrize(
    ("from_s", "to_s", "greens"), [(5.0, 9.0, 1), (5.5, 9.0, 0), (0.5, 0.9, 0), (0.5, 2.5, 1), (2.1, 2.9, 0)]
)
def test_green_that_is_shown_from_before_counts(floor: Any, from_s: float, to_s: float, greens: int) -> None:
    assert lamps._greens(floor, int(from_s * SECOND), int(to_s * SECOND)) == greens


@pytest.mark.parametrize(
    ("since_s", "within_s", "lit_s"), [(1.5, 1.0, 2.0), (1.5, 0.4, None), (2.5, 0.1, 2.5), (3.5, 0.1, None)]
)
def test_a_lamp_that_is_late_is_none(floor: Any, since_s: float, within_s: float, lit_s: float | None) -> None:
    lit_ns = lamps._lit(floor, int(since_s * SECOND), within_s)
    assert lit_ns == (None if lit_s is None else int(lit_s * SECOND))

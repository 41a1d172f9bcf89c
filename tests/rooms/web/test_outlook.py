"""The chance of a failure before the planned stop, as an asset's page says and draws it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from cloud.web.drawings import survival_line
from cloud.web.publish import verdict_point
from edge.contract.types import SurvivalPoint, Urgency, Verdict, failure_chance
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, Sender
from tests.rooms.web.test_pages import now_block, tell, verdict

CURVE = tuple(SurvivalPoint(at_h, survives) for at_h, survives in ((0.0, 1.0), (19.0, 0.95), (31.0, 0.5), (43.0, 0.05)))


def with_stop(stop_h: float | None, failure_p: float | None, *, basis: str = "bundle") -> Verdict:
    return replace(verdict(), survival=CURVE, stop_h=stop_h, failure_p=failure_p, basis=basis)


@pytest.mark.parametrize(
    ("failure_p", "basis", "words"),
    [
        (0.124, "bundle", "12 %"), (0.02, "bundle", "under 5 %"), (0.97, "bundle", "over 95 %"),
        (0.02, "prior", "2 %"), (0.001, "prior", "under 1 %"), (0.999, "prior", "over 99 %"), (None, "bundle", ""),
    ],
)  # fmt: skip
def test_a_chance_is_no_finer_than_what_it_rests_on(failure_p: float | None, basis: str, words: str) -> None:
    assert failure_chance(with_stop(10.0, failure_p, basis=basis)) == words


def test_the_page_says_the_chance_and_draws_the_curve(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        await sender.send(now_block(1, SPINDLE, with_stop(25.0, 0.28)))
        page = (await client.get(f"/assets/{GATEWAY}/spindle-1")).text
        assert "<b>28 %</b> to fail before the planned stop in 25 h" in page
        assert 'class="survival"' in page
        assert "5 % in 43 h" in page

    tell(tmp_path, story)


def test_a_life_by_papers_is_told_as_one(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        told = replace(
            with_stop(None, None, basis="prior"), bundle="", urgency=Urgency.UNKNOWN, note="by physics alone"
        )
        await sender.send(now_block(1, SPINDLE, told))
        page = (await client.get(f"/assets/{GATEWAY}/spindle-1")).text
        assert "this life is one by its age and papers alone" in page
        assert "judged on the interval" not in page
        assert "planned stop" not in page

    tell(tmp_path, story)


def test_a_stop_beyond_what_is_known_is_said(tmp_path: Path) -> None:
    async def story(sender: Sender, client: httpx.AsyncClient) -> None:
        await sender.send(now_block(1, SPINDLE, with_stop(5000.0, None)))
        page = (await client.get(f"/assets/{GATEWAY}/spindle-1")).text
        assert "Planned stop in 5,000 h: beyond what is known of its life" in page

    tell(tmp_path, story)


def test_the_line_falls_from_the_top_and_marks_a_stop_within_reach() -> None:
    line = survival_line(with_stop(21.5, 0.1))
    assert line is not None
    assert line.points.startswith("0.0,1.0 ")
    assert (line.end_x, line.stop_x, line.last) == (300.0, 150.0, 0.05)
    far = survival_line(with_stop(5000.0, None))
    assert far is not None
    assert far.stop_x is None
    near = survival_line(with_stop(5.0, 0.01))
    assert near is not None
    assert (near.end_h, near.stop_x) == (20.0, 75.0)
    assert near.last == pytest.approx(0.95 - 0.45 / 12.0)
    assert survival_line(verdict()) is None
    assert survival_line(None) is None


def test_a_life_by_age_alone_is_not_drawn_beside_those_by_condition() -> None:
    told = verdict()
    assert verdict_point(told)["rul"] == told.rul_h
    assert verdict_point(replace(told, basis="bundle"))["low"] == told.rul_low_h
    aged = verdict_point(replace(told, basis="prior"))
    assert (aged["rul"], aged["low"], aged["high"]) == (None, None, None)
    assert aged["health"] == told.health

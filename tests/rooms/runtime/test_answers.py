"""What a gateway answers about its newest readings: every tag of the site, with quality, cause and age."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge.config.site import Site, load_site
from edge.contract.types import Batch, Quality
from edge.errors import BabbittError
from edge.latest import Latest
from edge.runtime import answers
from edge.runtime.answers import Answers, due_s
from tests.laws.journals import BentClock
from tests.rooms.runtime.test_gateway import lonely_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return load_site(lonely_site(tmp_path))


def answering(site: Site, latest: Latest) -> tuple[Answers, BentClock]:
    clock = BentClock()
    return Answers(lambda: site, latest, clock), clock


def told(answers: Answers, **arguments: str) -> dict[str, Any]:
    return asyncio.run(answers.values(**arguments))


def by_tag(answers: Answers) -> dict[str, dict[str, Any]]:
    return {one["tag"]: one for one in told(answers)["values"]}


def test_every_tag_is_told_before_any_was_read(site: Site) -> None:
    found = by_tag(answering(site, Latest())[0])
    assert set(found) == {point.tag for point in site.profiles["plant-pump"].point}
    assert {(one["quality"], one["value"], one["age_s"]) for one in found.values()} == {("none", None, None)}
    assert {one["due_s"] for one in found.values()} == {due_s(20)}
    assert all(one["asset"] == "pump-1" and one["title"] for one in found.values())


@pytest.mark.parametrize(
    ("quality", "value", "word", "cause"),
    [
        (Quality.GOOD, 41.5, "good", ""),
        (Quality.UNCERTAIN, 41.5, "uncertain", ""),
        (Quality.BAD_BUS, None, "bad", "bus"),
        (Quality.BAD_DEVICE, None, "bad", "device"),
        (Quality.BAD_DECODE, None, "bad", "decode"),
    ],
)
def test_a_reading_has_its_quality_in_a_word_its_cause_and_its_age(
    site: Site, quality: Quality, value: float | None, word: str, cause: str
) -> None:
    latest = Latest()
    answer, clock = answering(site, latest)
    tag = next(iter(by_tag(answer)))
    latest.observe(Batch("pump-1", (tag,), (value,), (quality,), (77,), clock.wall_ns(), clock.mono_ns()))
    clock.pass_s(2.5)
    found = by_tag(answer)[tag]
    assert (found["value"], found["quality"], found["cause"]) == (value, word, cause)
    assert (found["source_ns"], found["age_s"]) == (77, 2.5)


def test_an_answer_is_bounded_and_says_what_it_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "VALUES_MAX", 2)
    answer = told(answering(site, Latest())[0])
    assert len(answer["values"]) == 2
    assert answer["left_out"] == len(site.profiles["plant-pump"].point) - 2
    assert told(answering(site, Latest())[0], asset="nobody") == {
        "assets": {"pump-1": "pump-1"}, "values": [], "left_out": 0,
    }  # fmt: skip


def test_several_are_answered_at_once_and_one_that_refuses_takes_none_with_it(site: Site) -> None:
    def refuses() -> dict[str, Any]:
        raise BabbittError("here", "not now")

    async def later() -> dict[str, Any]:
        return {"later": True}

    def wants(asset: str) -> dict[str, Any]:
        return {"asset": asset}

    handlers = answering(site, Latest())[0].over({"refuses": refuses, "later": later, "wants": wants})
    several = handlers["several"]
    found = asyncio.run(_awaited(several(of=["later", "refuses", "wants", "unknown", "values"])))
    assert found["later"] == {"later": True}
    assert found["refuses"] == {"error": "here: not now"}
    assert "asset" in found["wants"]["error"]
    assert len(found["values"]["values"]) > 3
    assert "unknown" not in found
    for wrong in ("values", ["values"] * 11):
        with pytest.raises(ValueError, match="at most 10"):
            asyncio.run(_awaited(several(of=wrong)))


async def _awaited(answer: Any) -> dict[str, Any]:
    found = await answer
    assert isinstance(found, dict)
    return found


def test_who_looks_on_holds_up_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "AT_A_TIME", 3)

    async def story() -> None:
        turns, done = 0, asyncio.ensure_future(answering(site, Latest())[0].values())
        while not done.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns >= len((await done)["values"]) // 3

    asyncio.run(story())

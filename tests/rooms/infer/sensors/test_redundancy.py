"""Three that measure the same: one of them drifts, all move together, one is missing, one comes back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge.infer.sensors.redundancy import LEARN_BLOCKS, Group

TAGS = ("a_c", "b_c", "c_c")
PLACES = dict(zip(TAGS, (0.4, -0.3, 0.1), strict=True))


def means(draw: np.random.Generator, level: float = 90.0, **off: float) -> dict[str, float]:
    """A block: one true level, each sensor's own place and scatter, and what some are ``off`` by."""
    return {tag: level + PLACES[tag] + 0.1 * draw.standard_normal() + off.get(tag, 0.0) for tag in TAGS}


def learned(draw: np.random.Generator) -> Group:
    group = Group(TAGS)
    for _ in range(LEARN_BLOCKS):
        group.update(means(draw, 90.0 + 3.0 * draw.standard_normal()))
    assert group.is_learned
    return group


@pytest.mark.parametrize("drifts", TAGS)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_five_degrees_in_six_months_are_found_below_one_and_a_half(drifts: str, sign: float) -> None:
    """The issue's case: 90 true reads 85 after 6 months. Four blocks a day."""
    draw = np.random.default_rng(11)
    group = learned(draw)
    for block in range(730):
        offset = sign * 5.0 * block / 730.0
        group.update(means(draw, 90.0 + 3.0 * draw.standard_normal(), **{drifts: offset}))
        if group.off:
            break
    assert group.off == (drifts,)
    assert abs(offset) <= 1.5
    assert group.bias(drifts) == pytest.approx(offset, abs=0.35)
    assert 0 < group.since(drifts) <= block + LEARN_BLOCKS


def test_what_all_three_see_is_the_process() -> None:
    draw = np.random.default_rng(12)
    group = learned(draw)
    for block in range(400):
        group.update(means(draw, 90.0 + 0.1 * block))
        assert group.off == ()


def test_a_year_without_a_drift_raises_nothing() -> None:
    draw = np.random.default_rng(13)
    group = learned(draw)
    for _ in range(4 * 365):
        group.update(means(draw))
        assert group.off == ()


def test_the_vote_stands_in_and_a_recalibrated_sensor_is_believed_again() -> None:
    draw = np.random.default_rng(14)
    group = learned(draw)
    for _ in range(40):
        group.update(means(draw, a_c=4.0))
    assert list(group.off) == ["a_c"]
    assert group.vote("a_c", {"b_c": 89.7, "c_c": 90.1}) == pytest.approx(90.4, abs=0.15)
    for _ in range(40):
        group.update(means(draw))
    assert group.off == ()


def test_two_that_are_left_do_not_vote_each_other_out() -> None:
    draw = np.random.default_rng(15)
    group = learned(draw)
    for block in range(200):
        group.update(means(draw, a_c=4.0, b_c=0.01 * block))
    assert group.off == ("a_c",)


def test_a_missing_member_is_no_witness_and_a_vote_needs_two() -> None:
    draw = np.random.default_rng(16)
    group = learned(draw)
    for _ in range(100):
        block = means(draw, a_c=4.0)
        del block["c_c"]
        group.update(block)
    assert not group.off
    assert group.vote("a_c", {"b_c": 90.0}) is None


def test_what_moves_while_it_is_learned_is_learned_anew() -> None:
    draw = np.random.default_rng(17)
    group = Group(TAGS)
    for block in range(LEARN_BLOCKS):
        group.update(means(draw, a_c=3.0 if block >= 12 else 0.0))
    assert not group.is_learned


def test_after_a_restart_it_goes_on_to_the_bit() -> None:
    draw = np.random.default_rng(18)
    one, other = learned(draw), Group(TAGS)
    other.restore(json.loads(json.dumps(one.kept())))
    for block in range(60):
        taken = means(draw, b_c=0.1 * block)
        one.update(taken)
        other.update(taken)
    assert json.dumps(one.kept()) == json.dumps(other.kept())
    assert one.off == other.off == ("b_c",)

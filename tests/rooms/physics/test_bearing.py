"""Rating life: the standard's own numbers, its scaling laws, and what it does not answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import PhysicsError
from edge.physics.bearing import (
    Duty,
    Kind,
    a1,
    equivalent_load_kn,
    l10_h,
    l10_mrev,
    life_factor,
    modified_life_h,
)

LOADS = st.floats(0.1, 50.0)


@pytest.mark.parametrize(("kind", "mrev", "hours"), [("ball", 216.0, 2400.0), ("roller", 392.5, 4361.0)])
def test_30_kn_under_5_kn_at_1500(kind: Kind, mrev: float, hours: float) -> None:
    assert l10_mrev(30.0, 5.0, kind).value == pytest.approx(mrev, abs=0.05)
    assert l10_h(30.0, 5.0, 1500.0, kind).value == pytest.approx(hours, abs=0.5)
    assert l10_h(30.0, 5.0, 1500.0, kind).doubts == ()


@pytest.mark.parametrize(
    ("reliability", "factor"),
    [(0.90, 1.0), (0.95, 0.64), (0.96, 0.55), (0.97, 0.47), (0.98, 0.37), (0.99, 0.25)],
)
def test_a1_is_the_table_of_2007(reliability: float, factor: float) -> None:
    assert round(a1(reliability), 2) == factor


def test_modified_life_multiplies() -> None:
    found = modified_life_h(30.0, 5.0, 1500.0, "ball", reliability=0.99, a_iso=4.0)
    assert found.value == pytest.approx(2400.0 * a1(0.99) * 4.0)
    assert modified_life_h(30.0, 5.0, 1500.0, "ball", a_iso=0.05).doubts != ()


def test_what_if_15_percent_more_speed_or_load() -> None:
    assert life_factor(speed=1.15, kind="ball").value == pytest.approx(0.8696, abs=5e-5)
    assert life_factor(load=1.15, kind="ball").value == pytest.approx(0.6575, abs=5e-5)
    assert life_factor(load=1.15, kind="roller").value == pytest.approx(0.6276, abs=5e-5)


def test_more_speed_alone_is_optimistic_where_unbalance_is_the_load() -> None:
    plain, unbalanced = life_factor(speed=1.15, kind="ball"), life_factor(speed=1.15, kind="ball", unbalance=True)
    assert unbalanced.value == pytest.approx(1.15 ** -(1 + 2 * 3))
    assert plain.doubts
    assert not unbalanced.doubts


@given(load=LOADS, rpm=st.floats(10.0, 30_000.0), share=st.floats(0.01, 1e4))
def test_a_duty_of_one_block_is_its_load(load: float, rpm: float, share: float) -> None:
    assert equivalent_load_kn([Duty(load, rpm, share)], "ball").value == pytest.approx(load)


@given(st.lists(st.tuples(LOADS, st.floats(10.0, 5000.0), st.floats(0.01, 1.0)), min_size=1, max_size=6))
def test_miner_adds_the_damage_of_each_block(blocks: list[tuple[float, float, float]]) -> None:
    """The life under the equivalent load is that at which the blocks' shares of their own lives sum to one."""
    duties = [Duty(*block) for block in blocks]
    equivalent = equivalent_load_kn(duties, "roller").value
    turns = [d.rpm * d.share for d in duties]
    life = l10_mrev(60.0, equivalent, "roller").value
    own = [l10_mrev(60.0, duty.p_kn, "roller").value for duty in duties]
    damage = sum(life * turn / sum(turns) / lasts for turn, lasts in zip(turns, own, strict=True))
    assert damage == pytest.approx(1.0)
    assert min(d.p_kn for d in duties) * 0.999999 <= equivalent <= max(d.p_kn for d in duties) * 1.000001


def test_loads_outside_the_validity_are_flagged() -> None:
    assert "plastic" in l10_mrev(30.0, 20.0, "ball").doubts[0]
    assert "skid" in l10_mrev(30.0, 0.1, "ball").doubts[0]
    assert "10 1/min" in l10_h(30.0, 5.0, 2.0, "ball").doubts[0]


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_what_cannot_be_is_refused(bad: float) -> None:
    with pytest.raises(PhysicsError, match="p_kn"):
        l10_mrev(30.0, bad, "ball")
    with pytest.raises(PhysicsError, match="rpm"):
        l10_h(30.0, 5.0, bad, "ball")
    with pytest.raises(PhysicsError):
        equivalent_load_kn([], "ball")


@pytest.mark.parametrize("reliability", [0.5, 0.89, 1.0, float("nan")])
def test_reliabilities_that_the_standard_does_not_give_are_refused(reliability: float) -> None:
    with pytest.raises(PhysicsError, match="reliability"):
        a1(reliability)

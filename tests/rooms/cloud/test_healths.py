"""The curve on an asset's card: its newest figures, whatever the order in which they came."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from cloud.store.healths import KEPT, add, healths
from cloud.store.schema import make_derived

FIGURES = st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.floats(0, 100), max_size=2 * KEPT)


@given(FIGURES, st.randoms(use_true_random=False))
def test_the_newest_figures_stay_in_order_of_time(figures: dict[int, float], chance: object) -> None:
    connection = sqlite3.connect(":memory:")
    make_derived(connection)
    entries = list(figures.items())
    chance.shuffle(entries)  # type: ignore[attr-defined]
    for at_ns, health in entries:
        add(connection, 1, at_ns, health)
    row = connection.execute("SELECT healths FROM glance").fetchone()
    assert healths(row and row[0]) == tuple(health for _, health in sorted(figures.items())[-KEPT:])
    connection.close()


def test_a_figure_of_the_same_time_replaces_the_one_before() -> None:
    connection = sqlite3.connect(":memory:")
    make_derived(connection)
    for at_ns, health in ((5, 50.0), (9, 90.0), (5, 55.0)):
        add(connection, 1, at_ns, health)
    assert healths(connection.execute("SELECT healths FROM glance").fetchone()[0]) == (55.0, 90.0)
    connection.close()

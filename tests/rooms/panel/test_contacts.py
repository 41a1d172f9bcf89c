"""Contacts that bounce, are held, leaned upon or welded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.panel.contacts import DEBOUNCE_S, HOLD_S, STUCK_S, Contact, Contacts
from edge.ports import Button, Hold, Press
from tests.waiting import until

ACK = Button.ACKNOWLEDGE


Told = list[tuple[str, float]]


def told(edges: Sequence[tuple[float, bool]], *, until_s: float = 60.0, closed: bool = False) -> Told:
    """What a contact tells, asked whenever it wants to be, with the time."""
    contact = Contact(ACK, closed=closed, now_s=0.0)
    waiting = list(edges)
    presses: Told = []
    while True:
        due_s = contact.due_s()
        next_s = min(waiting[0][0] if waiting else until_s, due_s if due_s is not None else until_s)
        if next_s >= until_s:
            return presses
        while waiting and waiting[0][0] <= next_s:
            contact.edge(waiting.pop(0)[1], next_s)
        press = contact.tick(next_s)
        if press is not None:
            presses.append((press.hold.value, round(next_s, 3)))


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(1.0, True), (1.2, False)], [("short", 1.23)]),
        ([(1.0, True), (3.5, False)], [("down", 3.0), ("long", 3.53)]),
        ([(1.0, True), (1.001, False), (1.004, True), (1.2, False), (1.203, True), (1.21, False)], [("short", 1.24)]),
        ([(1.0, True), (1.005, False)], []),
        ([(1.0, True)], [("down", 3.0)]),
        ([(1.0, True), (12.0, False)], [("down", 3.0)]),
        ([(1.0, True), (12.0, False), (13.0, True), (13.1, False)], [("down", 3.0), ("short", 13.13)]),
    ],
    ids=["short", "long", "bounces", "a spike", "stuck", "stuck and freed", "stuck, freed and pressed"],
)
def test_presses(edges: list[tuple[float, bool]], expected: list[tuple[str, float]]) -> None:
    assert told(edges) == expected


def test_one_that_is_closed_at_the_start_presses_nothing_until_it_has_opened() -> None:
    assert told([(1.0, False)], closed=True) == []
    assert told([(1.0, False), (2.0, True), (2.1, False)], closed=True) == [("short", 2.13)]


def test_one_that_stays_closed_is_stuck_until_it_opens() -> None:
    contact = Contact(ACK, closed=False, now_s=0.0)
    contact.edge(True, 1.0)
    contact.tick(1.0 + DEBOUNCE_S)
    assert not contact.stuck(STUCK_S)
    assert contact.stuck(1.0 + STUCK_S)
    contact.edge(False, 20.0)
    contact.tick(20.0 + DEBOUNCE_S)
    assert not contact.stuck(20.1)


Times = st.lists(st.floats(0.0, 0.02, exclude_min=True), min_size=1, max_size=12)


@given(Times, Times, st.floats(0.1, HOLD_S - 0.6))
def test_however_a_contact_bounces_one_press_is_one_press(closing: list[float], opening: list[float], s: float) -> None:
    at_s, edges, closed = 1.0, [], False
    for gaps, end in ((closing, True), (opening, False)):
        for gap_s in gaps:
            closed = not closed
            edges.append((at_s, closed))
            at_s += gap_s
        if closed is not end:
            closed = end
            edges.append((at_s, closed))
        at_s += s
    assert [hold for hold, _ in told(edges)] == ["short"]


@given(st.lists(st.tuples(st.floats(0.001, 15.0), st.booleans()), max_size=30))
@example([(1.0, True), (1.5, False), (0.001, True), (1.5, False), (1.0, True), (0.5, False)])
def test_whatever_a_contact_does_a_stuck_one_presses_nothing(steps: list[tuple[float, bool]]) -> None:
    at_s, edges = 0.0, []
    for gap_s, closed in steps:
        at_s += gap_s
        edges.append((at_s, closed))
    holds = told(edges, until_s=at_s + 60.0)
    opened = sum(a and not b for (_, a), (_, b) in itertools.pairwise(edges))
    assert sum(hold != "down" for hold, _ in holds) <= opened
    if not any(s > HOLD_S - 0.1 for s in _runs(edges)):
        assert all(hold == "short" for hold, _ in holds[:-1])


def _runs(edges: list[tuple[float, bool]]) -> list[float]:
    """For how long it was closed, each time; one that opened for no longer than it bounces was closed meanwhile."""
    spans: list[list[float]] = []
    since: float | None = None
    for at_s, closed in [*edges, (1e9, False)]:
        if closed and since is None:
            since = at_s
        elif not closed and since is not None:
            if spans and since - spans[-1][1] < DEBOUNCE_S + 1e-6:
                spans[-1][1] = at_s
            else:
                spans.append([since, at_s])
            since = None
    return [end_s - begin_s for begin_s, end_s in spans]


def test_an_edge_that_got_lost_is_made_up_for() -> None:
    closed, presses = {Button.PAGE: False}, list[Press]()
    contacts = Contacts({Button.PAGE: lambda: closed[Button.PAGE]}, presses.append)
    closed[Button.PAGE] = True
    contacts.moved(Button.PAGE)
    until(lambda: contacts._contacts[Button.PAGE]._closed)
    closed[Button.PAGE] = False
    until(lambda: bool(presses))
    contacts.close()
    assert presses == [Press(Button.PAGE, Hold.LONG)], "it was seen open when it would have counted as held"

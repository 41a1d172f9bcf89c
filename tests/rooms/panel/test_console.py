"""What an operator does at the panel: pages that turn, presses, silence and the lamp test; time is handed in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.types import Held, Priority
from edge.panel import Console, PanelState, stopped
from edge.panel.asked import Asked
from edge.panel.console import GLANCE_S, NOTE_S, PAGE_S, STAY_S, TEST_S
from edge.panel.contacts import Contact
from edge.panel.displays import characters
from edge.panel.faces import BLOCK
from edge.panel.keys import pressed
from edge.ports import Button, Hold, PanelView, Pattern, Press
from tests.rooms.panel.situations import ACK, ALL_FINE, CRITICAL, LIFE, LIMIT, MEDIUM, UNACK, alarm, state
from tests.rooms.panel.test_lamps import States

PUMP = alarm("seal", Priority.HIGH, UNACK, "Pump 1 leaks", asset="p", ago_ns=0)
LOUD = state([LIMIT, PUMP], ALL_FINE)
ACKNOWLEDGE, PAGE, SILENCE = Press(Button.ACKNOWLEDGE), Press(Button.PAGE), Press(Button.SILENCE)
LAMP_TEST = Press(Button.TEST)


def long(press: Press) -> Press:
    return replace(press, hold=Hold.LONG)


def down(press: Press) -> Press:
    return replace(press, hold=Hold.DOWN)


class Operator:
    """At a console of 20x4, whose clock it moves."""

    def __init__(self, situation: PanelState | None, *, sounds: bool = True) -> None:
        self.console = Console("20x4", sounds=sounds)
        self.situation = situation
        self.now_s = 1000.0
        self.see()

    def see(self) -> PanelView:
        return self.console.view(self.situation, self.now_s)

    def press(self, press: Press) -> tuple[tuple[str, str], ...]:
        """The alarms that are acknowledged by it."""
        asked = self.ask(press)
        assert not any(one.reset for one in asked)
        return tuple((one.asset, one.rule) for one in asked)

    def ask(self, press: Press) -> tuple[Asked, ...]:
        self.see()
        return self.console.press(press, self.now_s)

    def wait(self, seconds: float, *, step_s: float = 0.1) -> list[tuple[str, ...]]:
        """The different pages that came by."""
        seen = [self.see().lines]
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += step_s
            lines = self.see().lines
            if lines != seen[-1]:
                seen.append(lines)
        return seen

    def heading(self) -> str:
        return self.see().lines[0].split("  ")[0].strip()


def test_pages_take_turns_the_worst_first() -> None:
    operator = Operator(LOUD)
    seen = operator.wait(6 * PAGE_S + 1)
    assert [lines[0].split("  ")[0] for lines in seen] == ["SPINDLE 1"] * 3 + ["PUMP 1"] * 3 + ["SPINDLE 1"]


def test_what_has_just_come_up_is_shown_at_once() -> None:
    operator = Operator(state([LIMIT], ALL_FINE))
    operator.wait(PAGE_S + 1)
    operator.situation = LOUD
    assert operator.heading() == "PUMP 1"


def test_a_page_that_somebody_turned_to_stays_for_a_while() -> None:
    operator = Operator(state((), ALL_FINE))
    operator.press(PAGE)
    assert operator.heading() == "SPINDLE 1"
    operator.situation = LOUD
    assert {lines[0] for lines in operator.wait(STAY_S - 1)} == {"SPINDLE 1      ALARM"}
    operator.wait(1.5)
    assert operator.heading() == "SPINDLE 1"
    assert "vibrates" in operator.see().lines[1], "then the alarms come up"


def test_the_page_button_goes_through_all_pages_and_around() -> None:
    operator = Operator(LOUD)
    seen = []
    for _ in range(11):
        seen.append(operator.see().lines)
        operator.press(PAGE)
        operator.now_s += 0.1
    assert [lines[0] for lines in seen] == [
        *["SPINDLE 1   CRITICAL"] * 3, *["PUMP 1      CRITICAL"] * 3, "2 ALARMS   on 2 of 3", "SPINDLE 1      ALARM",
        "PUMP 1         ALARM", "EXTRUDER DRIVE 2  OK", "GATEWAY     ALL WELL",
    ]  # fmt: skip
    assert operator.see().lines == seen[0]
    operator.press(PAGE)
    operator.press(long(PAGE))
    assert operator.heading() == "2 ALARMS", "held, it goes to the overview"


def test_an_acknowledgement_is_for_what_is_on_the_display() -> None:
    operator = Operator(LOUD)
    operator.now_s += 1
    assert operator.press(ACKNOWLEDGE) == (("s", "zone_d"),)
    assert operator.see().lines[-1] == "ACKNOWLEDGED".ljust(20)
    operator.now_s += NOTE_S
    assert operator.see().lines[-1] != "ACKNOWLEDGED".ljust(20)


def test_a_press_just_after_a_page_turned_by_itself_means_the_page_that_was_read() -> None:
    operator = Operator(LOUD)
    while operator.heading() != "PUMP 1":
        operator.now_s += 0.05
    operator.now_s += GLANCE_S / 2
    assert operator.press(ACKNOWLEDGE) == (("s", "zone_d"),)
    operator.now_s += GLANCE_S
    assert operator.press(ACKNOWLEDGE) == (("p", "seal"),)


def test_held_for_two_seconds_it_is_for_all_of_that_machine() -> None:
    second = alarm("zone_c", Priority.MEDIUM, UNACK, "Spindle 1 hums")
    held = replace(second, rule="held", held=Held.SHELVED)
    operator = Operator(state([LIMIT, second, held, PUMP], ALL_FINE))
    operator.now_s += 1
    assert operator.press(down(ACKNOWLEDGE)) == ()
    assert operator.see().lines[-1] == "LET GO: ACK 2".ljust(20)
    assert set(operator.press(long(ACKNOWLEDGE))) == {("s", "zone_d"), ("s", "zone_c")}


def test_nothing_is_acknowledged_that_was_not_on_the_display() -> None:
    operator = Operator(LOUD)
    operator.press(long(PAGE))
    assert operator.press(ACKNOWLEDGE) == ()
    assert operator.heading() == "SPINDLE 1", "the first press shows what waits"
    assert operator.press(ACKNOWLEDGE) == (("s", "zone_d"),)


def test_with_nothing_to_acknowledge_it_says_so() -> None:
    operator = Operator(state([replace(LIMIT, state=ACK)], ALL_FINE))
    assert operator.press(ACKNOWLEDGE) == ()
    assert operator.see().lines[-1].strip() == "NOTHING TO ACK"


LATCHED = replace(LIMIT, state=ACK, latched=True)
RESET = Asked("s", "zone_d", reset=True)


def test_a_latched_alarm_is_reset_by_holding_acknowledge_on_its_page() -> None:
    operator = Operator(state([LATCHED], ALL_FINE))
    seen = operator.wait(3 * PAGE_S)
    assert seen[0][0] == "SPINDLE 1    LATCHED"
    assert any("hold ACK to reset   " in lines for lines in seen)
    assert operator.press(ACKNOWLEDGE) == ()
    assert operator.see().lines[-1].strip() == "HOLD TO RESET"
    assert operator.ask(down(ACKNOWLEDGE)) == ()
    assert operator.see().lines[-1].strip() == "LET GO: RESET"
    assert operator.ask(long(ACKNOWLEDGE)) == (RESET,)
    assert operator.see().lines[-1].strip() == "RESET"


def test_no_press_both_acknowledges_and_resets() -> None:
    operator = Operator(state([replace(LATCHED, state=UNACK)], ALL_FINE))
    operator.ask(down(ACKNOWLEDGE))
    assert operator.see().lines[-1].strip() == "LET GO: ACK 1"
    # It was acknowledged on the gateway's page meanwhile: what is promised, an acknowledgement, is there no more.
    operator.situation = state([LATCHED], ALL_FINE)
    assert operator.ask(long(ACKNOWLEDGE)) == ()
    assert operator.ask(down(ACKNOWLEDGE)) == ()
    assert operator.ask(long(ACKNOWLEDGE)) == (RESET,)


def test_what_is_raised_again_while_the_button_is_held_is_not_reset() -> None:
    operator = Operator(state([LATCHED], ALL_FINE))
    operator.ask(down(ACKNOWLEDGE))
    operator.situation = state([LIMIT], ALL_FINE)
    assert operator.ask(long(ACKNOWLEDGE)) == ()


def test_a_reset_is_for_the_page_on_which_the_button_went_down() -> None:
    other = replace(LATCHED, asset="p", rule="seal", sentence="Pump 1 leaks")
    operator = Operator(state([LATCHED, other], ALL_FINE))
    while operator.heading() != "PUMP 1":
        operator.now_s += 0.05
    operator.now_s += 1.0  # It went down a second before the page turned by itself.
    operator.ask(down(ACKNOWLEDGE))
    assert operator.heading() == "SPINDLE 1", "and it is shown again what is meant"
    operator.now_s += 8.0
    assert operator.heading() == "SPINDLE 1", "for as long as it is held"
    assert operator.ask(long(ACKNOWLEDGE)) == (RESET,)


def test_holding_acknowledges_what_was_told_and_nothing_that_came_since() -> None:
    operator = Operator(LOUD)
    operator.press(down(ACKNOWLEDGE))
    later = alarm("zone_c", Priority.HIGH, UNACK, "Spindle 1 hums")
    operator.situation = state([LIMIT, later, PUMP], ALL_FINE)
    operator.now_s += 3.0
    assert operator.press(long(ACKNOWLEDGE)) == (("s", "zone_d"),)


def test_where_nothing_waits_the_first_press_shows_what_is_to_be_reset() -> None:
    operator = Operator(state([LATCHED], ALL_FINE))
    operator.press(long(PAGE))
    assert operator.heading() == "1 ALARM"
    assert operator.ask(ACKNOWLEDGE) == ()
    assert operator.heading() == "SPINDLE 1"


def test_keys_of_a_terminal_are_not_held_and_reset_too() -> None:
    assert Operator(state([LATCHED], ALL_FINE)).ask(pressed("A")[0]) == (RESET,)


def test_a_contact_that_bounces_resets_once() -> None:
    """The edges of a worn button: it bounces for 20 ms as it closes and as it opens, and once amid being held."""
    operator, contact = Operator(state([LATCHED], ALL_FINE)), Contact(Button.ACKNOWLEDGE, closed=False, now_s=0.0)
    closes, slips, opens = 0.1, 1.2, 2.6
    edges = [(closes + i * 0.004, i % 2 == 0) for i in range(5)]
    edges += [(slips, False), (slips + 0.01, True)]
    edges += [(opens + i * 0.004, i % 2 == 1) for i in range(5)]
    asked: list[Asked] = []
    notes: list[str] = []
    begun_s = operator.now_s
    for tick in range(4000):
        now_s = tick / 1000
        while edges and edges[0][0] <= now_s:
            contact.edge(edges.pop(0)[1], now_s)
        operator.now_s = begun_s + now_s
        if (press := contact.tick(now_s)) is not None:
            asked += operator.ask(press)
            notes.append(operator.see().lines[-1].strip())
    assert asked == [RESET]
    assert notes == ["LET GO: RESET", "RESET"]


def test_silence_lasts_until_a_new_alarm() -> None:
    operator = Operator(state([LIMIT], ALL_FINE))
    assert operator.see().buzzer is Pattern.DOUBLE
    operator.press(SILENCE)
    assert operator.see().buzzer is Pattern.OFF
    assert operator.see().red is Pattern.FAST, "the lamp goes on"
    operator.now_s += 3600
    assert operator.see().buzzer is Pattern.OFF
    operator.situation = LOUD
    assert operator.see().buzzer is Pattern.DOUBLE
    operator.press(SILENCE)
    operator.situation = state([replace(LIMIT, state=ACK), PUMP], ALL_FINE)
    assert operator.see().buzzer is Pattern.OFF


def test_an_alarm_that_comes_back_or_is_announced_again_sounds_again() -> None:
    operator = Operator(state([LIMIT], ALL_FINE))
    operator.press(SILENCE)
    operator.situation = state([replace(LIMIT, repeats=1)], ALL_FINE)
    assert operator.see().buzzer is Pattern.DOUBLE
    operator.press(SILENCE)
    operator.situation = state([], ALL_FINE)
    operator.see()
    operator.situation = state([LIMIT], ALL_FINE)
    assert operator.see().buzzer is Pattern.DOUBLE


def test_shelving_ends_the_noise_and_a_site_may_do_without() -> None:
    assert Operator(state([replace(LIMIT, held=Held.SHELVED)])).see().buzzer is Pattern.OFF
    assert Operator(LOUD, sounds=False).see().buzzer is Pattern.OFF


def test_the_lamp_test_lights_all_and_ends_by_itself() -> None:
    operator = Operator(LOUD)
    before = operator.see()
    operator.press(LAMP_TEST)
    view = operator.see()
    assert {view.green, view.amber, view.red, view.blue, view.buzzer} == {Pattern.ON}
    assert view.lines == (BLOCK * 20,) * 4
    operator.now_s += TEST_S
    assert replace(operator.see(), lines=()) == replace(before, lines=())


def test_a_press_during_the_lamp_test_only_ends_it() -> None:
    operator = Operator(LOUD)
    operator.press(LAMP_TEST)
    assert operator.press(ACKNOWLEDGE) == ()
    assert operator.heading() == "SPINDLE 1"


def test_a_silent_gateway_is_shown_as_such_and_takes_no_press_but_the_lamp_test() -> None:
    operator = Operator(LOUD)
    operator.situation = None
    for display in ("16x2", "20x4"):
        view = Console(display).view(None, 0.0, silent_s=12.4)
        assert (view.green, view.red, view.amber, view.blue) == (Pattern.OFF, *[Pattern.DOUBLE] * 3)
        assert "SILENT" in view.lines[0]
        assert "12 s" in view.lines[1]
    operator.see()
    assert operator.press(ACKNOWLEDGE) == ()
    assert operator.see().lines[-1].strip() == "GATEWAY SILENT"
    operator.press(LAMP_TEST)
    assert operator.see().green is Pattern.ON
    operator.now_s += TEST_S
    operator.situation = LOUD
    assert operator.heading() == "SPINDLE 1"


@pytest.mark.parametrize("display", ["16x2", "20x4", "none"])
def test_a_stopped_gateway_shows_no_light(display: str) -> None:
    view = stopped(display)
    assert {view.green, view.amber, view.red, view.blue, view.buzzer} == {Pattern.OFF}
    assert view.lines[0].strip() == "GATEWAY STOPPED"


def test_a_panel_that_is_ill_says_so() -> None:
    console = Console("20x4")
    views = [console.view(state((), ALL_FINE), s, trouble=("ack button stuck",)) for s in (0.0, 0.1)]
    assert views[0].amber is Pattern.FLASH
    assert views[0].lines[:2] == ("GATEWAY      TROUBLE", "ack button stuck    ")


Presses = st.builds(Press, st.sampled_from(list(Button)), st.sampled_from(list(Hold)))


@given(st.lists(st.tuples(States | st.none(), st.floats(0.0, 4.0), Presses | st.none()), max_size=12),
       st.sampled_from(["16x2", "20x4"]))  # fmt: skip
def test_whatever_is_pressed_nothing_is_acknowledged_unseen(
    steps: list[tuple[PanelState | None, float, Press | None]], display: str
) -> None:
    console, now_s, shown = Console(display), 0.0, ""
    columns, rows = characters(display)
    for situation, wait_s, press in steps:
        now_s += wait_s
        view = console.view(situation, now_s)
        assert [len(line) for line in view.lines] == [columns] * rows
        shown = view.lines[0]
        if press is None:
            continue
        done = console.press(press, now_s)
        if done:
            assert situation is not None
            assert press.button is Button.ACKNOWLEDGE
            assert press.hold is not Hold.DOWN
            assert BLOCK not in shown
            shown_alarms = [a for a in situation.alarms if a.held is Held.NOT]
            waiting = {Asked(a.asset, a.rule) for a in shown_alarms if a.state is not ACK}
            latched = {Asked(a.asset, a.rule, reset=True) for a in shown_alarms if a.latched and a.state is ACK}
            assert set(done) <= waiting | latched
            assert len({one.asset for one in done}) == 1
            assert press.hold is Hold.LONG or len(done) == 1
            assert not any(one.reset for one in done) or (press.hold is Hold.LONG and len(done) == 1)


def test_the_page_of_a_machine_near_its_end_is_shown_beside_its_alarm() -> None:
    operator = Operator(state([LIFE], {"s": CRITICAL}))
    assert any("RUL 31h" in lines[1] for lines in operator.wait(4 * PAGE_S + 0.5))


def test_medium_alarms_make_no_noise() -> None:
    assert Operator(state([replace(LIMIT, priority=MEDIUM)])).see().buzzer is Pattern.OFF

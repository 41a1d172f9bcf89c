"""The key switch in the cabinet, by gpiozero on mock pins: off, on, a broken wire, and a pin that somebody else has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gpiozero import LED
from gpiozero.pins.mock import MockFactory

from edge.clock import SystemClock
from edge.command import Always, Both, ByPin, ByTag
from edge.contract.terms import Seen, TagRef
from edge.contract.types import Value
from tests.laws.journals import BentClock


@pytest.fixture
def pins() -> Iterator[Any]:
    factory = MockFactory()
    yield factory
    factory.reset()


def looks(value: Value) -> Any:
    return lambda tag: Seen(value, 0.0) if tag == TagRef("remote", "pump-1") else Seen()


def test_the_switch_allows_while_it_is_high(pins: Any) -> None:
    switch = ByPin(5, clock=SystemClock(), pin_factory=pins)
    assert switch.why_not(looks(None)) == "the enable switch (pin 5) is off", "a broken wire forbids: it is pulled down"
    pins.pin(5).drive_high()
    assert switch.why_not(looks(None)) == ""
    pins.pin(5).drive_low()
    assert switch.why_not(looks(None)) != ""
    switch.close()


def test_a_pin_that_is_taken_forbids_with_the_reason_until_it_is_free(
    pins: Any, caplog: pytest.LogCaptureFixture
) -> None:
    clock, lamp = BentClock(), LED(5, pin_factory=pins)
    switch = ByPin(5, clock=clock, pin_factory=pins)
    told = "pin 5: the enable input cannot be read: "
    assert told in caplog.text
    assert switch.why_not(looks(None)).startswith(told)
    assert "`command.enable_gpio`" in switch.why_not(looks(None))
    lamp.close()
    assert switch.why_not(looks(None)).startswith(told), "it is not asked for at every look"
    clock.pass_s(60.0)
    assert switch.why_not(looks(None)) == "the enable switch (pin 5) is off"
    pins.pin(5).drive_high()
    assert switch.why_not(looks(None)) == ""
    switch.close()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, ""), (1, ""), (0.5, ""), (False, "pump-1.remote does not enable writes"), (0, "pump-1.remote does not"),
        (None, "it is not known whether pump-1.remote enables writes"), ("remote", "does not enable writes"),
    ],
)  # fmt: skip
def test_a_tag_allows_while_it_is_true(value: Value, words: str) -> None:
    found = ByTag("pump-1", "remote").why_not(looks(value))
    assert words in found
    assert bool(words) == bool(found)


def test_both_want_both(pins: Any) -> None:
    both = Both(ByTag("pump-1", "remote"), ByPin(5, clock=SystemClock(), pin_factory=pins))
    assert both.tags == {TagRef("remote", "pump-1")}
    assert "pin 5" in both.why_not(looks(True))
    pins.pin(5).drive_high()
    assert both.why_not(looks(True)) == ""
    assert "pump-1.remote" in both.why_not(looks(False))
    both.close()
    assert Always().why_not(looks(None)) == ""

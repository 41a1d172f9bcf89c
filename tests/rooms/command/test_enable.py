"""The key switch in the cabinet, by gpiozero on mock pins: off, on, a broken wire, and a pin that somebody else has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gpiozero import LED
from gpiozero.pins.mock import MockFactory

from edge.command import Always, Both, ByPin, ByTag
from edge.contract.terms import Seen, TagRef
from edge.contract.types import Value
from edge.errors import LineError


@pytest.fixture
def pins() -> Iterator[Any]:
    factory = MockFactory()
    yield factory
    factory.reset()


def looks(value: Value) -> Any:
    return lambda tag: Seen(value, 0.0) if tag == TagRef("remote", "pump-1") else Seen()


def test_the_switch_allows_while_it_is_high(pins: Any) -> None:
    switch = ByPin(5, pin_factory=pins)
    assert switch.why_not(looks(None)) == "the enable switch (pin 5) is off", "a broken wire forbids: it is pulled down"
    pins.pin(5).drive_high()
    assert switch.why_not(looks(None)) == ""
    pins.pin(5).drive_low()
    assert switch.why_not(looks(None)) != ""
    switch.close()


def test_a_pin_that_is_taken_is_said_at_the_start(pins: Any) -> None:
    lamp = LED(5, pin_factory=pins)
    with pytest.raises(LineError, match=r"pin 5: the enable input cannot be read: .*command\.enable_gpio"):
        ByPin(5, pin_factory=pins)
    lamp.close()


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
    both = Both(ByTag("pump-1", "remote"), ByPin(5, pin_factory=pins))
    assert both.tags == {TagRef("remote", "pump-1")}
    assert "pin 5" in both.why_not(looks(True))
    pins.pin(5).drive_high()
    assert both.why_not(looks(True)) == ""
    assert "pump-1.remote" in both.why_not(looks(False))
    both.close()
    assert Always().why_not(looks(None)) == ""

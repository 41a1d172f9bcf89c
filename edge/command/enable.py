"""The enable input: a switch in the machine's cabinet without which nothing is written, whoever signed it."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from typing import Any, Protocol

from edge.contract.terms import Look, TagRef
from edge.errors import ConfigError
from edge.ports import Clock

AGAIN_NS = 30_000_000_000
"""Between two tries for a pin: a library that is asked in vain takes a while to say so."""

log = logging.getLogger("babbitt.command")


class Enable(Protocol):
    """``tags`` are those that it looks at."""

    tags: frozenset[TagRef]

    def why_not(self, look: Look) -> str:
        """Why nothing may be written now; empty where it may."""

    def close(self) -> None: ...


class Always:
    """No switch was wired."""

    tags: frozenset[TagRef] = frozenset()

    def why_not(self, look: Look) -> str:  # noqa: ARG002
        return ""

    def close(self) -> None: ...


class ByTag:
    """It is on while a tag is read well, and is true or not zero."""

    def __init__(self, asset: str, tag: str) -> None:
        self.tag = TagRef(tag, asset)
        self.tags = frozenset([self.tag])

    def why_not(self, look: Look) -> str:
        value = look(self.tag).value
        if value is None:
            return f"it is not known whether {self.tag} enables writes"
        return "" if not isinstance(value, str) and bool(value) else f"{self.tag} does not enable writes"

    def close(self) -> None: ...


class ByPin:
    """It is on while a pin of the gateway is high; pulled down, so that a broken wire forbids.

    So does a pin that cannot be had, since another program has it: it is tried again every ``AGAIN_NS``. Raises
    ``ConfigError`` where gpiozero is missing.
    """

    tags: frozenset[TagRef] = frozenset()

    def __init__(self, pin: int, *, clock: Clock, pin_factory: Any = None) -> None:
        if find_spec("gpiozero") is None:
            raise ConfigError("command.enable_gpio", "gpiozero is not installed", "pip install gpiozero lgpio")
        self._pin, self._clock, self._factory = pin, clock, pin_factory
        self._input: Any = None
        self._trouble = ""
        self._claim()
        if self._trouble:
            log.warning("nothing is written: %s; it is tried again, and all else goes on", self._trouble)

    def why_not(self, look: Look) -> str:  # noqa: ARG002
        if self._input is None and self._clock.mono_ns() >= self._again_ns:
            self._claim()
        if self._input is None:
            return self._trouble
        return "" if self._input.value else f"the enable switch (pin {self._pin}) is off"

    def close(self) -> None:
        if self._input is not None:
            self._input.close()

    def _claim(self) -> None:
        from gpiozero import DigitalInputDevice
        from gpiozero.exc import GPIOZeroError, PinFactoryFallback

        self._again_ns = self._clock.mono_ns() + AGAIN_NS
        try:
            with warnings.catch_warnings():
                # It tells of each library that it tries; the last one's error says it all.
                warnings.simplefilter("ignore", PinFactoryFallback)
                self._input = DigitalInputDevice(self._pin, pull_up=False, pin_factory=self._factory)
        except (GPIOZeroError, OSError, ImportError) as error:
            hint = "free the pin, or name another as `command.enable_gpio`"
            self._trouble = f"pin {self._pin}: the enable input cannot be read: {error} ({hint})"


class Both:
    """It is on while all of them are."""

    def __init__(self, *parts: Enable) -> None:
        self._parts = parts
        self.tags = frozenset(tag for part in parts for tag in part.tags)

    def why_not(self, look: Look) -> str:
        return next((words for part in self._parts if (words := part.why_not(look))), "")

    def close(self) -> None:
        for part in self._parts:
            part.close()

"""The enable input: a switch in the machine's cabinet without which nothing is written, whoever signed it."""

from __future__ import annotations

from typing import Any, Protocol

from edge.contract.terms import Look, TagRef
from edge.errors import LineError


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
    """It is on while a pin of the gateway is high; pulled down, so that a broken wire forbids. Raises ``LineError``."""

    tags: frozenset[TagRef] = frozenset()

    def __init__(self, pin: int, *, pin_factory: Any = None) -> None:
        from gpiozero import DigitalInputDevice
        from gpiozero.exc import GPIOZeroError

        self._pin = pin
        try:
            self._input = DigitalInputDevice(pin, pull_up=False, pin_factory=pin_factory)
        except (GPIOZeroError, OSError, ImportError) as error:
            raise LineError(
                f"pin {pin}",
                f"the enable input cannot be read: {error}",
                "free the pin, or name another as `command.enable_gpio`",
            ) from error

    def why_not(self, look: Look) -> str:  # noqa: ARG002
        return "" if self._input.value else f"the enable switch (pin {self._pin}) is off"

    def close(self) -> None:
        self._input.close()


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

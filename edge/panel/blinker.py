"""Drives lamps and buzzer by their patterns, on a thread of its own that sleeps while nothing changes.

A new pattern takes effect within the call that sets it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from edge.panel.patterns import change_in, is_lit
from edge.ports import Pattern

CLOSE_S_MAX = 1.0

log = logging.getLogger(__name__)


class Blinker:
    """``outputs`` switch one lamp each, and may raise any of ``trouble``, which is logged once."""

    def __init__(
        self, outputs: Sequence[Callable[[bool], None]], *, trouble: tuple[type[Exception], ...] = (OSError,)
    ) -> None:
        self._outputs, self._trouble = outputs, trouble
        self._patterns: tuple[Pattern, ...] = (Pattern.OFF,) * len(outputs)
        self._lit: list[bool | None] = [None] * len(outputs)
        self._began_s = time.monotonic()
        self._closing = False
        self.failing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="babbitt.panel.lamps", daemon=True)
        self._thread.start()

    def show(self, patterns: tuple[Pattern, ...]) -> None:
        """One for each output. Those that blink begin with light; what is the same goes on undisturbed."""
        if patterns == self._patterns and not self.failing:
            return
        with self._changed:
            if patterns != self._patterns:
                self._patterns, self._began_s = patterns, time.monotonic()
            self._switch(time.monotonic() - self._began_s)
            self._changed.notify()

    def close(self) -> None:
        """All off, and end."""
        self.show((Pattern.OFF,) * len(self._outputs))
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        with self._changed:
            while not self._closing:
                at_s = time.monotonic() - self._began_s
                self._switch(at_s)
                waits = [wait for pattern in self._patterns if (wait := change_in(pattern, at_s)) is not None]
                self._changed.wait(min(waits, default=None))

    def _switch(self, at_s: float) -> None:
        """Each by itself: one that cannot be switched keeps no other dark."""
        trouble: Exception | None = None
        for i, (output, pattern) in enumerate(zip(self._outputs, self._patterns, strict=True)):
            wanted = is_lit(pattern, at_s)
            if wanted == self._lit[i]:
                continue
            try:
                output(wanted)
                self._lit[i] = wanted
            except self._trouble as error:
                trouble = trouble or error
        if trouble is not None and not self.failing:
            log.error("panel: a lamp cannot be switched: %s", trouble)
        elif trouble is None and self.failing:
            log.info("panel: lamps can be switched again")
        self.failing = trouble is not None

"""Paints views on a thread of its own: a slow display, a hung bus or a stopped terminal never holds up the caller.

There is one place for one view, and a newer one takes it: nobody wants to see what was. Trouble with the display is
logged once, and its recovery once.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from edge.ports import PanelView

CLOSE_S_MAX = 2.0
HANGS_S = 5.0
"""A painting that takes longer does not come to an end: what is shown is of no time that is known."""

log = logging.getLogger(__name__)


class Painter:
    """``paint`` draws one view and may raise any of ``trouble``; ``what`` names the display in the log.

    Between two paintings at least ``pause_s`` pass, so that a count that runs does not cost a core. Where ``again_s``
    is given, what is shown is painted again so often, and a display that lost it by itself has it back.
    """

    def __init__(
        self,
        paint: Callable[[PanelView], None],
        *,
        what: str,
        pause_s: float,
        again_s: float | None = None,
        trouble: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._paint, self._what, self._pause_s, self._trouble = paint, what, pause_s, trouble
        self._again_s = again_s
        self._painted: PanelView | None = None
        self._wanted: PanelView | None = None
        self._shown: PanelView | None = None
        self._closing = False
        self._failing = False
        self._began_s = math.inf
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"babbitt.panel.{what}", daemon=True)
        self._thread.start()

    def show(self, view: PanelView) -> None:
        """Have ``view`` painted next, in place of one that still waits. Returns at once.

        The view that was shown last is not painted again, unless its painting failed: then it is worth another try.
        """
        if view == self._shown and not self._failing:
            return
        self._shown = view
        with self._changed:
            self._wanted = view
            self._changed.notify()

    def trouble(self) -> tuple[str, ...]:
        """That nothing can be shown, or that it shows what was, while that is so."""
        if time.monotonic() - self._began_s > HANGS_S:
            return (f"{self._what.split()[0]} hangs",)
        gone = self._failing or not (self._thread.is_alive() or self._closing)
        return (f"{self._what.split()[0]} missing",) if gone else ()

    def close(self, last: PanelView) -> None:
        """Paint ``last``, even if it is shown, and end; give up after ``CLOSE_S_MAX`` s (the thread is a daemon)."""
        with self._changed:
            self._wanted, self._closing = last, True
            self._changed.notify()
        self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        while (view := self._next()) is not None:
            self._began_s = time.monotonic()
            try:
                self._paint(view)
            except self._trouble as error:
                if not self._failing:
                    log.warning("panel: the %s cannot show anything: %s; lamps and alarms go on", self._what, error)
                self._failing = True
            else:
                if self._failing:
                    log.info("panel: the %s shows again", self._what)
                self._failing = False
            self._began_s = math.inf
            with self._changed:
                self._changed.wait_for(lambda: self._closing, self._pause_s)

    def _next(self) -> PanelView | None:
        """Wait for a view, or for the time to paint the last one again; None at the end, after the last one."""
        with self._changed:
            while self._wanted is None and not self._closing:
                if not self._changed.wait(self._again_s if self._painted is not None else None):
                    return self._painted
            view, self._wanted = self._wanted, None
            self._painted = view
            return view

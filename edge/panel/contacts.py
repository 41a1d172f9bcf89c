"""Buttons: from contacts that bounce and stick to presses.

A press is told when the button is let go, so that one that is leaned upon, or whose contact is welded, presses nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from edge.ports import Button, Hold, Press

DEBOUNCE_S = 0.03
"""A contact has closed or opened once it has been so for this long."""
HOLD_S = 2.0
STUCK_S = 10.0
"""One that stays closed for longer is stuck, and is not believed until it opens."""
CLOSE_S_MAX = 1.0

log = logging.getLogger(__name__)


class Contact:
    """One button's contact. Pure: it is told of edges, and asked at times. One that begins closed counts as held."""

    def __init__(self, button: Button, *, closed: bool, now_s: float) -> None:
        self._button = button
        self._raw = self._closed = closed
        self._raw_s = self._closed_s = now_s
        self._told = self._ignored = closed

    def edge(self, closed: bool, now_s: float) -> None:
        """What the contact is now."""
        if closed != self._raw:
            self._raw, self._raw_s = closed, now_s

    def stuck(self, now_s: float) -> bool:
        return self._closed and now_s >= self._closed_s + STUCK_S

    def due_s(self) -> float | None:
        """When it is to be asked next; None where nothing happens without an edge."""
        if self._raw != self._closed:
            return self._raw_s + DEBOUNCE_S
        return self._closed_s + HOLD_S if self._closed and not self._told else None

    def tick(self, now_s: float) -> Press | None:
        """What was pressed, if anything; at times that go on."""
        due_s = self.due_s()
        if due_s is None or now_s < due_s:
            return None
        if self._raw == self._closed:
            self._told = True
            return Press(self._button, Hold.DOWN)
        self._closed = self._raw
        if not self._closed:
            return self._released(self._raw_s - self._closed_s)
        self._closed_s, self._told, self._ignored = self._raw_s, False, False
        return None

    def _released(self, held_s: float) -> Press | None:
        if self._ignored or held_s >= STUCK_S:
            return None
        return Press(self._button, Hold.LONG if held_s >= HOLD_S else Hold.SHORT)


class Contacts:
    """Watches contacts on a thread that sleeps while none moves.

    ``is_closed`` reads each; whoever sees an edge calls ``moved``, on any thread.
    """

    def __init__(self, is_closed: Mapping[Button, Callable[[], bool]], tell: Callable[[Press], None]) -> None:
        self._is_closed, self._tell = is_closed, tell
        now_s = time.monotonic()
        self._contacts = {button: Contact(button, closed=read(), now_s=now_s) for button, read in is_closed.items()}
        self._closing = False
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="babbitt.panel.buttons", daemon=True)
        self._thread.start()

    def moved(self, button: Button) -> None:
        """The contact of ``button`` has closed or opened."""
        with self._moved:
            self._contacts[button].edge(self._is_closed[button](), time.monotonic())
            self._moved.notify()

    def stuck(self) -> tuple[Button, ...]:
        now_s = time.monotonic()
        return tuple(button for button, contact in self._contacts.items() if contact.stuck(now_s))

    def close(self) -> None:
        with self._moved:
            self._closing = True
            self._moved.notify()
        self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        while True:
            with self._moved:
                due = [due_s for contact in self._contacts.values() if (due_s := contact.due_s()) is not None]
                wait_s = max(0.0, min(due) - time.monotonic()) if due else None
                if wait_s != 0.0:
                    self._moved.wait(wait_s)
                if self._closing:
                    return
                pressed = self._pressed(time.monotonic())
            for press in pressed:
                log.info("panel: %s pressed (%s)", press.button, press.hold)
                self._tell(press)

    def _pressed(self, now_s: float) -> list[Press]:
        """An edge that got lost is made up for: a contact that is about to count is read once more."""
        pressed = []
        for button, contact in self._contacts.items():
            due_s = contact.due_s()
            if due_s is not None and due_s <= now_s:
                contact.edge(self._is_closed[button](), now_s)
                press = contact.tick(now_s)
                pressed += [press] if press is not None else []
        return pressed

"""What an operator does at the panel, and what it then shows: pages that turn, presses, the buzzer's silence.

The worst comes first and matters take turns; a page that somebody turned to stays for a while. An acknowledgement goes
for what was read: a press just after a page turned by itself means the page before it. What is held says what it will
do before it does it, and does that alone. Nothing here waits or looks at a clock: times are monotonic seconds that are
handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from edge.contract.types import Alarm
from edge.panel.asked import Asked, done, held_on, pressed_on, promise, still_meant
from edge.panel.contacts import HOLD_S
from edge.panel.faces import Screen, face_of
from edge.panel.lamps import DARK, LOST, TEST, Lamps, buzzing, lamps, resettable, shown_alarms, waits
from edge.panel.matters import Kind, Matter, matters
from edge.panel.state import PanelState
from edge.panel.text import ago
from edge.ports import Button, Hold, PanelView, Pattern, Press

PAGE_S = 2.5
"""How long one screen stays by itself."""
STAY_S = 15.0
"""How long one stays that somebody turned to."""
GLANCE_S = 0.5
"""A press in so short a time after a page turned by itself is meant for the page before."""
NOTE_S = 2.0
TEST_S = 5.0

Named = tuple[str, str]
"""An alarm by its asset and rule."""


class Console:
    """For a display of one kind. ``sounds`` says whether there is to be a buzzer at all."""

    def __init__(self, display: str, *, sounds: bool = True) -> None:
        self._face, self._sounds = face_of(display), sounds
        self._state: PanelState | None = None
        self._trouble: tuple[str, ...] = ()
        self._matters: tuple[Matter, ...] = ()
        self._at: tuple[str, ...] = ()
        self._screen = 0
        self._turned_s = 0.0
        self._stays_until_s = 0.0
        self._before: Matter | None = None
        self._called: frozenset[tuple[str, ...]] = frozenset()
        self._silenced: frozenset[tuple[object, ...]] = frozenset()
        self._promised: tuple[Asked, ...] | None = None
        self._note, self._note_until_s = "", 0.0
        self._test_until_s = 0.0

    def view(
        self, state: PanelState | None, now_s: float, *, trouble: Collection[str] = (), silent_s: float = 0.0
    ) -> PanelView:
        """What is shown at this moment. None: the gateway has not answered for ``silent_s``; ``trouble``: the panel's.

        A panel whose gateway is silent shows lamps that nothing else lights so, and never a green one.
        """
        if now_s < self._test_until_s:
            return self._tested()
        self._state, self._trouble = state, tuple(trouble)
        if state is None:
            silence = ago(int(silent_s * 1e9), 0, least="1 s")
            words = ("GATEWAY SILENT", f"for {silence}" if silence else "", "no alarm is seen", "check gateway")
            return self._framed(self._face.words(*words), LOST, now_s)
        self._matters = matters(state, self._trouble)
        self._turn(now_s)
        sounding = self._sounds and any(_sound(a) not in self._silenced for a in buzzing(state))
        self._silenced &= {_sound(a) for a in buzzing(state)}
        lit = lamps(state, trouble=self._trouble)
        screens = self._screens(self._matter())
        return self._framed(screens[min(self._screen, len(screens) - 1)], lit, now_s, sounding=sounding)

    @property
    def kind(self) -> Kind:
        """What the page that is shown is about."""
        return self._matter().kind

    def press(self, press: Press, now_s: float) -> tuple[Asked, ...]:
        """Take a press; gives what the operator wants of alarms, for whoever can ask the gateway.

        During a lamp test no page can be read: a press only ends it.
        """
        if now_s < self._test_until_s:
            self._test_until_s = now_s if press.hold is not Hold.DOWN else self._test_until_s
            return ()
        if press.button is Button.TEST and press.hold is not Hold.DOWN:
            self._test_until_s = now_s + TEST_S
        elif self._state is None:
            if press.hold is not Hold.DOWN:
                self.say("gateway silent", now_s)
        elif press.button is Button.SILENCE:
            self._silence(self._state, now_s)
        elif press.button is Button.PAGE and press.hold is not Hold.DOWN:
            self._page(home=press.hold is Hold.LONG, now_s=now_s)
        elif press.button is Button.ACKNOWLEDGE:
            held = press.hold is not Hold.SHORT
            return self._held(self._state, press.hold, now_s) if held else self._acknowledge(self._state, now_s)
        return ()

    def say(self, words: str, now_s: float) -> None:
        """Put ``words`` in the place of the last line for a moment."""
        self._note, self._note_until_s = words, now_s + NOTE_S

    def _turn(self, now_s: float) -> None:
        """To what has just come up, else to what is next, once the page has been there long enough."""
        called = frozenset(m.key for m in self._matters if m.alarm is not None and waits(m.alarm))
        new = [m for m in self._matters if m.auto and m.key in called - self._called]
        self._called = called
        here = self._matter()
        if now_s < self._stays_until_s and here.key == self._at:
            return
        turns = [m for m in self._matters if m.auto]
        if new:
            self._go(new[0], 0, now_s)
        elif here not in turns:
            self._go(turns[0], 0, now_s)
        elif here.key != self._at:
            self._go(here, 0, now_s)
        elif now_s - self._turned_s >= PAGE_S:
            self._forward(turns, now_s)

    def _forward(self, ring: Sequence[Matter], now_s: float) -> None:
        """To the next screen of this matter, or to the next matter in ``ring``."""
        here = self._matter()
        if self._screen + 1 < len(self._screens(here)):
            self._go(here, self._screen + 1, now_s)
        else:
            self._go(ring[(ring.index(here) + 1) % len(ring)] if here in ring else ring[0], 0, now_s)

    def _go(self, matter: Matter, screen: int, now_s: float) -> None:
        self._before = self._matter() if self._at else None
        self._at, self._screen, self._turned_s = matter.key, screen, now_s

    def _matter(self) -> Matter:
        """The one that is shown; the worst where it is no more."""
        return next((m for m in self._matters if m.key == self._at), next(m for m in self._matters if m.auto))

    def _screens(self, matter: Matter) -> list[Screen]:
        assert self._state is not None
        return self._face.screens(matter, self._state, self._trouble)

    def _page(self, *, home: bool, now_s: float) -> None:
        if home:
            self._go(next(m for m in self._matters if m.kind is Kind.OVERVIEW), 0, now_s)
        else:
            self._forward(self._matters, now_s)
        self._stay(now_s)

    def _stay(self, now_s: float) -> None:
        """Here until nobody has pressed for a while; what is pressed next is meant for what is seen."""
        self._stays_until_s = now_s + STAY_S
        self._before = None

    def _silence(self, state: PanelState, now_s: float) -> None:
        sounds = {_sound(a) for a in buzzing(state)}
        self.say("buzzer silenced" if sounds - self._silenced and self._sounds else "nothing sounds", now_s)
        self._silenced = frozenset(sounds)

    def _acknowledge(self, state: PanelState, now_s: float) -> tuple[Asked, ...]:
        """The alarm on the display. Where it does not wait, but another does, that is shown first."""
        read, shown = self._read(now_s, GLANCE_S), shown_alarms(state)
        meant = pressed_on(read, state)
        if meant:
            self.say(done(meant), now_s)
        elif any(map(waits, shown)):
            self._show_first(waits, now_s)
        elif read.alarm is not None and resettable(read.alarm):
            self.say("hold to reset", now_s)
        elif any(map(resettable, shown)):
            self._show_first(resettable, now_s)
        else:
            self.say(done(()), now_s)
        return meant

    def _held(self, state: PanelState, hold: Hold, now_s: float) -> tuple[Asked, ...]:
        """Say what will be done once it is let go, and stay with that page; then do that, as far as it still can be."""
        if hold is Hold.DOWN:
            read = self._read(now_s, GLANCE_S + HOLD_S)
            self._promised = held_on(read, state)
            self.say(promise(self._promised), now_s)
            if read.key != self._at:
                self._go(read, 0, now_s)
            self._stay(now_s)
            return ()
        promised, self._promised = self._promised, None
        # Keys of a terminal are not held, so that nothing was promised.
        meant = held_on(self._read(now_s, GLANCE_S), state) if promised is None else still_meant(promised, state)
        self.say(done(meant), now_s)
        return meant

    def _read(self, now_s: float, glance_s: float) -> Matter:
        """What was on the display when somebody decided to press."""
        glance = self._before is not None and now_s - self._turned_s < glance_s
        return self._before if glance and self._before is not None else self._matter()

    def _show_first(self, wanted: Callable[[Alarm], bool], now_s: float) -> None:
        """Nothing is acknowledged, and nothing reset, that was not read."""
        self._go(next(m for m in self._matters if m.alarm is not None and wanted(m.alarm)), 0, now_s)
        self._stay(now_s)

    def _tested(self) -> PanelView:
        lines, pixels = self._face.lit()
        sound = Pattern.ON if self._sounds else Pattern.OFF
        return PanelView(TEST.green, TEST.amber, TEST.red, lines, TEST.blue, sound, pixels)

    def _framed(self, screen: Screen, lit: Lamps, now_s: float, *, sounding: bool = False) -> PanelView:
        lines, pixels = self._face.draw(screen, self._note if now_s < self._note_until_s else "")
        sound = Pattern.DOUBLE if sounding else Pattern.OFF
        return PanelView(lit.green, lit.amber, lit.red, lines, lit.blue, sound, pixels)


def stopped(display: str) -> PanelView:
    """What is left when the gateway ends: a panel that no longer watches never shows green."""
    face = face_of(display)
    lines, pixels = face.draw(face.words("GATEWAY STOPPED", "not watching"))
    return PanelView(DARK.green, DARK.amber, DARK.red, lines, pixels=pixels)


def _name(alarm: Alarm) -> Named:
    return alarm.asset, alarm.rule


def _sound(alarm: Alarm) -> tuple[object, ...]:
    """What a silence is for: an alarm that is raised, or announced, again sounds again."""
    return (*_name(alarm), alarm.since_ns, alarm.repeats)

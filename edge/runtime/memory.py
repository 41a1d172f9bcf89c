"""What the rooms remember through a restart and a power cut: kept in the store, and given back at the start."""

from __future__ import annotations

from collections.abc import Callable

from edge.alarm import AlarmDesk, Moment
from edge.clock_watch import ClockWatch
from edge.ports import Journal
from edge.runtime.judging import Judging


class Memory:
    """Nothing here waits for the disk once polls have begun: the next commit takes it there."""

    def __init__(
        self, journal: Journal, desk: AlarmDesk, watch: ClockWatch, judging: Judging, moment: Callable[[], Moment]
    ) -> None:
        self._journal, self._desk, self._watch, self._judging, self._moment = journal, desk, watch, judging, moment

    def keep(self, *, ending: bool = False) -> None:
        if ending or self._desk.figures.due():
            # Before the state, which then holds nothing that they know.
            self._journal.keep("alarm_figures", self._desk.figures.state(self._moment()))
        self._journal.keep_together(self._desk.changed_state(self._moment()))
        self._journal.keep("rules", self._desk.learned())
        self.keep_clock()
        self._judging.keep()

    def keep_clock(self) -> None:
        self._journal.keep("clock", self._watch.state())

    def restore(self) -> None:
        self._watch.restore(self._journal.kept("clock") or b"")
        self.keep_clock()
        figures = self._journal.kept("alarm_figures") or b""
        self._desk.restore(self._journal.kept, self._moment(), figures=figures)
        self._desk.restore_learned(self._journal.kept("rules") or b"{}")
        self._judging.restore()

"""A display that is painted on a thread of its own, and what is said of it where that does not go on."""

from __future__ import annotations

import threading
import time

import pytest

from edge.panel import painter
from edge.panel.console import stopped
from edge.panel.painter import Painter

VIEW = stopped("16x2")


def until(painter: Painter, trouble: tuple[str, ...]) -> None:
    deadline = time.monotonic() + 60.0
    while painter.trouble() != trouble:
        assert time.monotonic() < deadline, painter.trouble()
        time.sleep(0.01)


def test_a_display_whose_bus_hangs_is_said_to_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painter, "HANGS_S", 0.1)
    free = threading.Event()

    def hung(_: object) -> None:
        free.wait(60)

    painted = Painter(hung, what="display", pause_s=0.0)
    assert painted.trouble() == ()
    painted.show(VIEW)
    until(painted, ("display hangs",))
    free.set()
    until(painted, ())
    painted.close(VIEW)
    assert painted.trouble() == ()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_display_that_nobody_paints_any_more_is_missing() -> None:
    def broken(_: object) -> None:
        raise TypeError("the library closed the bus under it")

    painted = Painter(broken, what="display", pause_s=0.0)
    painted.show(VIEW)
    until(painted, ("display missing",))
    painted.close(VIEW)

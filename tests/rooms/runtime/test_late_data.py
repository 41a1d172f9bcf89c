"""What a device had kept and sends late is stored: it raises nothing, clears nothing, and is no reading of now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge.config.site import load_site
from edge.contract.types import Batch, Quality
from edge.runtime import Gateway
from tests.rooms.runtime.test_gateway import lonely_site

S = 10**9
VIBRATION = "vibration_mm_s"


def test_what_was_once_is_kept_and_nothing_of_now(tmp_path: Path) -> None:
    path = lonely_site(tmp_path)
    path.write_text(path.read_text().replace("generic", "centrifugal_pump"))
    gateway = Gateway(load_site(path))
    rooms = gateway.rooms
    try:
        now = Batch("pump-1", (VIBRATION,), (9.9,), (Quality.GOOD,), (0,), rooms.clock.wall_ns(), rooms.clock.mono_ns())

        def deliver(value: float, after_s: float, *, past: bool) -> None:
            rooms.journal.offer("pump-1", now.tags)
            at_ns = round(after_s * S)
            rooms.flow.deliver(
                replace(now, values=(value,), read_ns=now.read_ns + at_ns, mono_ns=now.mono_ns + at_ns, past=past)
            )

        for second in range(60):
            deliver(9.9, second, past=True)
        assert rooms.desk.standing() == [], "an hour ago it shook: nobody need run"
        assert rooms.latest.of("pump-1", VIBRATION) is None
        assert rooms.journal.totals()["good"] == 60, "and all of it is kept"
        for second in range(60, 120):
            deliver(9.9, second, past=False)
        raised = {alarm.rule for alarm in rooms.desk.standing()}
        assert raised
        for second in range(120, 240):
            deliver(0.1, second, past=True)
        assert {alarm.rule for alarm in rooms.desk.standing() if alarm.state.is_active} == raised
    finally:
        gateway.close()

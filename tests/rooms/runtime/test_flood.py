"""A flood of alarms at a whole gateway that is killed amid it: what it holds back does not call at the start."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from cloud.demo.processes import Child
from edge.local_socket import ask
from tests.waiting import until
from tests.world.hall import HOT, Hall, describe

UNITS, ABOVE = 8, 3


def is_durable(path: Path) -> bool:
    """Whether a start would find the flood, and each machine's alarm."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        rows = b"".join(row for (row,) in store.execute("SELECT data FROM state WHERE name LIKE 'alarm.%'"))
    return rows.count(b'"rule":"hot"') == UNITS and b'"rule":"flood"' in rows


def test_a_gateway_that_is_killed_amid_a_flood_goes_on_holding_back(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        hall = Hall()
        stack.callback(hall.close)
        alarms = {"chatter_raises": 0, "flood_above": ABOVE, "flood_below": 2}
        site = describe(tmp_path, [hall.port], units=UNITS, period_ms=50, alarms=alarms)
        rules = tmp_path / "profiles/assets/hall_machine.toml"
        rules.write_text(rules.read_text().replace('priority = "high"', 'priority = "low"'))

        def start(name: str) -> Child:
            child = Child("gateway", ["gateway", "run", str(site)], tmp_path / f"{name}.log")
            stack.callback(child.end)
            return child

        def alarms_now() -> dict[str, Any]:
            return ask(tmp_path / "gateway/gateway.sock", "alarms")

        first = start("first")
        for unit in range(1, UNITS + 1):
            hall.set(unit, HOT)
        until(lambda: len(alarms_now()["held"]) == UNITS - ABOVE)
        before = until(alarms_now)
        until(lambda: is_durable(tmp_path / "gateway/store.db"))
        since_ns = {alarm["rule"]: alarm["since_ns"] for alarm in before["standing"]}
        assert len(before["standing"]) == ABOVE + 1
        first.process.kill()
        first.process.wait()

        start("second")
        until(lambda: alarms_now()["standing"], what=(tmp_path / "second.log").read_text)
        reads = hall.reads
        until(lambda: hall.reads > reads + 10 * UNITS)
        after = until(alarms_now)
        assert after["kpi"]["flood"]
        assert {(a["asset"], a["rule"]) for a in after["held"]} == {(a["asset"], a["rule"]) for a in before["held"]}
        assert {a["rule"]: a["since_ns"] for a in after["standing"]}["flood"] == since_ns["flood"]
        said = (tmp_path / "second.log").read_text()
        assert "is over" not in said
        # One that was raised as the gateway was killed may be raised again, held back.
        assert "alarm unacknowledged machine" not in said

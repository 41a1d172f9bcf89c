"""How a running gateway is, for whoever asks: the panel, a person, other systems. Nothing here decides anything."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge import status
from edge.panel import Condition, Console, PanelState
from edge.runtime.alarms import TOLD_MAX

if TYPE_CHECKING:
    from edge.config.site import Site
    from edge.runtime.rooms import Rooms

SHOWN_MAX = 200
"""Of a flood of alarms so many go to the panel; nobody pages through more."""


class Report:
    """Of ``rooms``, which are built for ``site``. Belongs to the event loop."""

    def __init__(self, rooms: Rooms, site: Site) -> None:
        self._rooms, self._gateway = rooms, site.file.gateway.id
        # In words, for a gateway need not carry what dots are drawn with.
        display = site.file.panel.display
        self._console = Console("20x4" if display == "128x64" else display, sounds=False)
        self.started_ns = rooms.clock.mono_ns()

    def panel_state(self) -> PanelState:
        """All that lamps and displays show."""
        rooms = self._rooms
        now_ns, clock = rooms.clock.mono_ns(), rooms.watch.now
        told = "set" if clock.trusted else "not set yet"
        own = rooms.desk.own()
        return PanelState(
            alarms=[*rooms.desk.standing(SHOWN_MAX), *rooms.desk.held(SHOWN_MAX)], alarms_of=rooms.desk.sizes()[0],
            verdicts=rooms.judging.verdicts,
            names=rooms.desk.names(), stale=rooms.desk.stale(),
            uplink_up=rooms.uplink.state.up if rooms.uplink is not None else None,
            backlog_readings=rooms.journal.backlog()[1], elapsed_s=(now_ns - self.started_ns) / 1e9,
            records=rooms.records.by_asset(rooms.asker.desired), at_ns=rooms.clock.wall_ns(),
            age_s=rooms.latest.ages_s(now_ns), gateway=self._gateway, advice=rooms.commanding.advice(),
            health=(
                Condition("clock", told, clock.trusted),
                *(Condition(what, told, own.isdisjoint(rules)) for what, told, rules in rooms.looking.figures()),
                *([Condition("store", "NOTHING IS KEPT", ok=False)] if rooms.journal.trouble else []),
                *rooms.disk.hangs(),
                *(Condition(f"line {name}", why.problem, ok=False) for name, why in rooms.poller.shut().items()),
                *(Condition(what, "not served", ok=False) for what in self._unserved()),
                *(Condition("judge", f"{asset} is not judged", ok=False) for asset in rooms.judging.late),
            ),
        )  # fmt: skip

    def _unserved(self) -> list[str]:
        """Other systems' ways and the page, where they cannot be served; the status says why."""
        page = ["page"] if self._rooms.page is not None and self._rooms.page.trouble else []
        return [*(name for name, way in self._rooms.norths.troubles.items() if way), *page]

    async def status(self) -> dict[str, Any]:
        """What a person or the demo asks a running gateway: plain data."""
        rooms = self._rooms
        blocks, readings = rooms.journal.backlog()
        state = rooms.uplink.state if rooms.uplink is not None else None
        stands, panel = self.panel_state(), rooms.panel.status() if rooms.panel is not None else {}
        view = self._console.view(stands, stands.elapsed_s, trouble=panel.get("trouble", ()))
        return {
            "gateway": self._gateway,
            "degraded": rooms.journal.trouble,
            "uptime_s": self._uptime_s(),
            "rss_mb": status.rss_mb(),
            "cpu_s": time.process_time(),
            "panel": {
                "green": view.green, "amber": view.amber, "red": view.red, "blue": view.blue,
                "lines": list(view.lines), **panel,
            },
            "uplink": {
                "up": state is not None and state.up, "detail": state.detail if state is not None else "not configured",
                "backlog_blocks": blocks, "backlog_readings": readings,
            },
            "clock": status.of_clock(rooms.watch.now),
            "units": [status.of_unit(unit) for unit in rooms.poller.status()],
            "verdicts": [status.of_verdict(verdict) for verdict in rooms.judging.verdicts.values()],
            "unjudged": dict(rooms.judging.late),
            "worked": rooms.judging.worked(),
            "alarms": [status.of_alarm(alarm) for alarm in rooms.desk.standing(TOLD_MAX)],
            "alarms_of": rooms.desk.sizes()[0],
            "held_alarms": rooms.desk.sizes()[1],
            "ledger": await rooms.disk.totals(),
            "losses": asdict(rooms.journal.losses()),
            "latency_ms": {"poll_to_alarm_p99": status.percentile(rooms.flow.alarm_ms, 0.99)},
            "north": rooms.norths.status(),
            "page": rooms.page.status() if rooms.page is not None else None,
            "restarts": dict(rooms.restarts),
            "configuration": rooms.trials.brief(),
            "bundles": rooms.bundles.status(),
            "commands": rooms.commanding.status(),
            "audit": rooms.commanding.audited(),
            "downlink": {"detail": rooms.asker.detail if rooms.link is not None else ""},
        }  # fmt: skip

    def counts(self) -> dict[str, Any]:
        """What the drivers counted since they were made, for the doctor."""
        shut = self._rooms.poller.shut()
        lines = [status.of_line(*line, shut.get(line[0].name)) for line in self._rooms.poller.counts()]
        return {
            "uptime_s": self._uptime_s(), "stood_still_s": self._rooms.pulse.stood_still_s, "lines": lines,
            "store_lost_s": self._store_lost_s(), "degraded": self._rooms.journal.trouble,
        }  # fmt: skip

    def _store_lost_s(self) -> float | None:
        """How long ago it was found that the former store is lost; None where none is."""
        commands = self._rooms.commanding.status()
        if commands is not None and commands["lost_s"] is not None:
            return float(commands["lost_s"])
        return self._uptime_s() if self._rooms.journal.replaced else None

    async def figures(self) -> dict[str, Any]:
        """What other systems are told of the gateway itself."""
        rooms = self._rooms
        up, ledger = rooms.uplink.state if rooms.uplink is not None else None, await rooms.disk.totals()
        return status.figures(up, rooms.journal.backlog(), rooms.watch.now, rooms.journal.losses(), ledger)

    def way_up(self) -> tuple[bool, str] | None:
        """Whether the way up is open, and why not; None where there is none."""
        uplink = self._rooms.uplink
        return (uplink.state.up, uplink.state.detail) if uplink is not None else None

    def brief(self) -> str:
        """For the service manager, in a line."""
        way = self.way_up()
        uplink = "" if way is None else f", uplink {'up' if way[0] else 'down'}"
        degraded = "DEGRADED, nothing is kept: " if self._rooms.journal.trouble else ""
        return f"{degraded}{len(self._rooms.site.file.asset)} machines, {self._rooms.desk.sizes()[0]} alarms{uplink}"

    def _uptime_s(self) -> float:
        return (self._rooms.clock.mono_ns() - self.started_ns) / 1e9

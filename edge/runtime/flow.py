"""Where each thing goes that was read, judged, found or done.

One reading's way is ``Flow.deliver``: alarm and lamp first (no disk and no network between a fault and the lamp), then
the journal, less what is unchanged, then what the judges will see. What the uplink sends is already durable, since it
reads the journal alone.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from edge.alarm import Moment
from edge.clock_watch import Step
from edge.contract.commands import Outcome
from edge.contract.downlink import Acknowledged
from edge.contract.types import Alarm, AlarmState, Batch, ClockSet, Lane, Priority, Verdict
from edge.ports import Finding
from edge.runtime.alarms import record_alarms

if TYPE_CHECKING:
    from edge.runtime.rooms import Rooms

log = logging.getLogger("babbitt.gateway")

TICK_S = 0.1
LATENCIES_KEPT = 2_000


class Flow:
    """Between ``rooms``, by plain calls on the event loop. ``alarm_ms``: from the poll's end to the lamp's news."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.alarm_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def deliver(self, batch: Batch) -> None:
        """A poll that was answered, or was not; what was true once is only kept."""
        rooms = self._rooms
        if batch.past:
            rooms.kept.append(batch)
            return
        try:
            self.announce(rooms.desk.observe(batch))
            self.alarm_ms.append((rooms.clock.mono_ns() - batch.mono_ns) / 1e6)
        finally:
            # Whatever breaks before it: what was read is kept.
            rooms.kept.append(batch)
        rooms.latest.observe(batch)
        rooms.commanding.observe(batch)
        rooms.trials.observe(batch)
        rooms.judging.observe(batch)
        rooms.norths.deliver(batch)

    def announce(self, alarms: list[Alarm]) -> None:
        """A changed alarm goes to the lamp at once, and into the journal's urgent lane."""
        rooms = self._rooms
        if alarms and rooms.panel is not None:
            rooms.panel.changed()
        record_alarms(rooms.journal, rooms.desk, alarms, self.moment())
        for alarm in alarms:
            state = f"{alarm.state}, {alarm.held}" if alarm.held else alarm.state.value
            log.info("alarm %s %s: %s", state, alarm.asset, alarm.sentence)
            rooms.norths.announce(alarm)
        if alarms:
            rooms.disk.hurry()

    async def tick(self) -> None:
        """Delays elapse and data grow stale without any reading coming in. Until cancelled."""
        rooms, clock = self._rooms, self._rooms.clock
        while True:
            await rooms.pulse.sleep(TICK_S)
            self.announce(rooms.desk.tick(clock.wall_ns(), mono_ns=clock.mono_ns()))
            rooms.proof.ticked()

    def judged(self, verdict: Verdict) -> None:
        self.announce(self._rooms.desk.judge(verdict, mono_ns=self._rooms.clock.mono_ns()))
        self._rooms.norths.judge(verdict)

    def found(self, findings: list[Finding]) -> None:
        """What the gateway has found about itself."""
        clock = self._rooms.clock
        self.announce(self._rooms.desk.report_self(findings, clock.wall_ns(), mono_ns=clock.mono_ns()))

    def ordered(self, outcome: Outcome) -> None:
        """A step with a command, as it was entered into the audit."""
        kind = "command" if outcome.tag else "configuration"
        what = f"{kind} {outcome.order}" if outcome.command else "contract"
        place = f"{outcome.asset}.{outcome.tag}" if outcome.tag else outcome.asset
        log.info("%s %s for %s: %s", what, outcome.step.value, place, outcome.words)
        self._rooms.disk.hurry()
        if self._rooms.panel is not None:
            self._rooms.panel.changed()

    def acknowledged_above(self, seen: Acknowledged) -> None:
        """Somebody acknowledged or reset it in the cloud: the very raising that they saw, and no call of it since."""
        alarm = self._rooms.desk.find(seen.asset, seen.rule)
        if alarm is not None and seen.is_awaited(alarm):
            do = self._rooms.alarms.reset if seen.resets else self._rooms.alarms.acknowledge
            do(seen.asset, seen.rule, by=seen.by, why="from the cloud")

    def acknowledged_at_the_panel(self, asset: str, rule: str) -> None:
        self._rooms.alarms.acknowledge(asset, rule, by="panel")

    def reset_at_the_panel(self, asset: str, rule: str) -> None:
        self._rooms.alarms.reset(asset, rule, by="panel")

    async def acknowledged_by(self, asset: str, rule: str, user: str) -> bool:
        """Somebody of another system. Whether there was anything to acknowledge."""
        return bool(self._rooms.alarms.acknowledge(asset, rule, by=user)["acknowledged"])

    def clock_set(self, found: ClockSet) -> None:
        """The receiver corrects what this boot read before; a gateway that dies at once has still told it."""
        rooms = self._rooms
        rooms.memory.keep_clock()
        rooms.journal.record(found, lane=Lane.URGENT)
        rooms.desk.clock_set(self.moment())
        rooms.disk.hurry()

    def clock_stepped(self, step: Step) -> None:
        """A trusted clock that jumped is told with each machine: whoever compares times there must know of it."""
        if not step.trusted:
            return
        for asset, name in self._rooms.desk.names().items():
            self._rooms.journal.record(Alarm(
                asset=asset, rule="clock_step", tag="", priority=Priority.LOW, state=AlarmState.NORMAL,
                since_ns=step.at_ns, at_ns=step.at_ns, value=step.by_ns / 1e9,
                sentence=f"{name}: {step.words}; times before and after it do not compare",
            ))  # fmt: skip

    def moment(self) -> Moment:
        clock = self._rooms.clock
        return Moment(clock.wall_ns(), clock.mono_ns(), clock.trusted(), self._rooms.boot)

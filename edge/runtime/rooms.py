"""Every room of one gateway, built and wired to the others; none of them runs yet (see ``gateway``).

They are built in this order: first what may refuse (a configuration, a key, a model, a pin), then the store, so that
nothing that refuses leaves one open; then what lives on the store; last what was remembered is given back.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from edge.alarm import AlarmDesk
from edge.clock import SystemClock, boot_id
from edge.clock_watch import ClockWatch
from edge.config.site import Site
from edge.described import deadbands_of, signals, watched
from edge.drivers import make_driver, make_source
from edge.errors import BabbittError, UnwritableStoreError
from edge.health import concerns
from edge.journal import ByException
from edge.latest import Latest
from edge.local_socket import Handler
from edge.poll import Poller
from edge.ports import Journal
from edge.runtime.alarms import AlarmAnswers
from edge.runtime.answers import Answers
from edge.runtime.commanding import Commanding, prepare
from edge.runtime.disk import Disk
from edge.runtime.flow import Flow
from edge.runtime.heartbeat import Heartbeat
from edge.runtime.judging import Judging
from edge.runtime.looking import Looking
from edge.runtime.making import data_folder, make_asker, make_link, make_norths, make_page, make_uplink
from edge.runtime.memory import Memory
from edge.runtime.norths import Norths
from edge.runtime.panel import PanelProcess
from edge.runtime.proof import Proof
from edge.runtime.pulse import Pulse
from edge.runtime.report import Report
from edge.runtime.store import Store
from edge.runtime.succession import Succession
from edge.trust import configuration_trust_of, trust_of
from edge.update import (
    BUNDLES,
    Bundles,
    Configured,
    Downlink,
    Refusing,
    Seats,
    Shelf,
    TrackRecords,
    Trials,
    config_folder,
    user,
)  # fmt: skip


class Rooms:
    """For ``site``, which is the one that runs now. ``panel_apart``: somebody else runs the panel's process.

    Raises ``BabbittError`` for what a person must mend first.
    """

    def __init__(self, site: Site, *, panel_apart: bool) -> None:
        file = site.file
        gateway = file.gateway
        self.site = site
        self.boot = boot_id()
        self.restarts: Counter[str] = Counter()
        self.clock = clock = SystemClock(gateway.clock)
        self.latest = Latest()

        # What passes between rooms is told to these, which find the rooms here once something happens.
        self.flow = flow = Flow(self)
        self.report = report = Report(self, site)
        self.succession = Succession(self)

        # What may refuse.
        self.page = make_page(site, clock=clock, died=lambda: self.restarts.update(page=1))
        folder = site.resolve(gateway.data_dir)
        with contextlib.suppress(UnwritableStoreError):  # That is the store's to go on without.
            data_folder(site)
        self.seats = Seats(site, Shelf(folder / BUNDLES, trust_of(site).check))
        self.judging = Judging(site, self.seats, clock=clock, tell=flow.judged)
        self.link = make_link(site)
        self.desk = AlarmDesk(
            [watched(site, asset) for asset in file.asset], config=file.alarms, gateway=gateway.id,
            concerns=concerns(file.health, gateway.id),
        )  # fmt: skip
        self.alarms = AlarmAnswers(self.desk, clock, flow.announce)
        self.norths = Norths(lambda: make_norths(self), clock)
        prepared = prepare(site, clock)

        # The store, and what lives on it.
        self.store = Store(site, clock=clock)
        self.journal: Journal = self.store.journal
        if not self.store.is_kept and prepared is not None:
            # What is not on the disk before a write may come twice: none is made.
            prepared.enable.close()
            prepared = None
        self.judging.keep_in(self.journal, gateway.id)
        self.watch = ClockWatch(clock, boot=self.boot, on_set=flow.clock_set, on_step=flow.clock_stepped)
        self.memory = Memory(self.journal, self.desk, self.watch, self.judging, flow.moment)
        self.disk = disk = Disk(
            self.journal, clock=clock, interval_s=gateway.commit_interval_ms / 1000, keep=self.memory.keep,
            committed=self._nudge,
        )  # fmt: skip
        self.records = TrackRecords(self.journal)
        self.uplink = make_uplink(site, self.link, self.journal, clock=clock, workers=disk.workers)
        self.kept = ByException(self.journal, {asset.id: deadbands_of(site, asset) for asset in file.asset})

        # What reads the machines, and proves that it does.
        self.poller = Poller(
            site, clock=clock, offer=self.journal.offer, deliver=flow.deliver, make_driver=make_driver,
            make_source=make_source,
        )  # fmt: skip
        self.proof = Proof(clock, self.poller.overdue)
        self.pulse = Pulse(clock)
        self.heartbeat = Heartbeat(clock, trouble=self.proof.trouble, brief=report.brief)
        self.panel = None if file.panel.kind == "none" else PanelProcess(
            site, clock=clock, state=report.panel_state, trouble=self.proof.trouble,
            acknowledge=flow.acknowledged_at_the_panel, reset=flow.reset_at_the_panel, apart=panel_apart,
        )  # fmt: skip

        # What comes down: models, configurations, commands.
        self.asker = make_asker(site, self.seats, self.link, clock=clock, workers=disk.workers)
        self.bundles = Bundles(
            self.seats, self.asker, clock=clock, workers=disk.workers, judges=lambda: self.judging.judges,
            classes=lambda: {asset.id: asset.class_ for asset in self.site.file.asset},
            signals=lambda asset: signals(self.site, asset), tell=self.journal.record, between=self.judging.between,
        )  # fmt: skip
        self.trials = Trials(site, clock=clock, switch=self.succession.switch, workers=disk.workers, user=user())
        self.commanding = Commanding(
            lambda: self.site, prepared, self.journal, self.poller, clock=clock, boot=self.boot, commit=disk.durably,
            told=flow.ordered,
        )  # fmt: skip
        self.downlink = Downlink(
            self.asker, self.commanding.guard or self._refusing(), clock=clock, acknowledge=flow.acknowledged_above,
            configured=self._configured(),
        )  # fmt: skip

        # What looks at the gateway itself.
        self.looking = Looking(
            site, clock=clock, journal=self.journal, watch=self.watch, judging=self.judging, restarts=self.restarts,
            uplink=report.way_up, on_disk=disk.call, tell=flow.found,
        )  # fmt: skip

        self.bundles.resume()
        self.memory.restore()

    def commands(self) -> dict[str, Handler]:
        """What may be asked through the gateway's socket."""
        own: dict[str, Handler] = {
            "status": self.report.status, "counts": self.report.counts, "health": self.looking.health,
            **self.alarms.commands(), **self.commanding.commands(), **self.trials.commands(),
            **({} if self.store.is_kept else dict.fromkeys(("command", "commanded", "contracts"), self._unkept)),
        }  # fmt: skip
        return Answers(lambda: self.site, self.latest, self.clock).over(own)

    def _nudge(self) -> None:
        if self.uplink is not None:
            self.uplink.nudge()

    def _unkept(self, **_: object) -> dict[str, Any]:
        """In the stead of what commands are asked by: one that is done and forgotten may be done twice."""
        why = f"nothing is kept now, so nothing is written ({self.journal.trouble})"
        raise BabbittError("commands", why, "give the disk of its store room, or what else it lacks")

    def _refusing(self) -> Refusing:
        """Takes every command, and does none: there is no table ``[command]``."""
        return Refusing(
            self.site.file.gateway.id, lambda: {asset.id for asset in self.site.file.asset}, self.commanding.note,
            self.clock,
        )  # fmt: skip

    def _configured(self) -> Configured:
        return Configured(
            self.trials, config_folder(self.site), gateway=self.site.file.gateway.id, clock=self.clock,
            minutes=self.site.file.update.configuration_minutes, workers=self.disk.workers, note=self.commanding.note,
            trusted=lambda one: configuration_trust_of(self.site).why_not_configured(one), commit=self.disk.commit,
        )  # fmt: skip

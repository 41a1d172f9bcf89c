"""The rooms of one running gateway.

One reading's way is in ``Gateway._deliver``: alarm and lamp first (no disk and no network between a fault and the
lamp), then the journal, less what is unchanged, then what the judges will see. What the uplink sends is already
durable, since it reads the journal alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge import status
from edge.alarm import AlarmDesk, Moment
from edge.clock import SystemClock, boot_id
from edge.clock_watch import ClockWatch, Step
from edge.config.site import Site
from edge.contract.commands import Outcome
from edge.contract.downlink import Acknowledged
from edge.contract.types import Alarm, AlarmState, Asset, Batch, ClockSet, Lane, Priority, Verdict
from edge.described import deadbands_of, introduction, shown, signals, watched
from edge.drivers import make_driver, make_source
from edge.errors import StoreError
from edge.health import concerns
from edge.journal import ByException, open_journal
from edge.latest import Latest
from edge.local_socket import Handler
from edge.panel import Condition, Console, PanelState
from edge.poll import Poller
from edge.ports import Finding, Journal, Link, North, Orders
from edge.runtime.alarms import AlarmAnswers, record_alarms
from edge.runtime.answers import Answers
from edge.runtime.commanding import Commanding, prepare
from edge.runtime.judging import Judging
from edge.runtime.looking import Looking
from edge.runtime.norths import Norths
from edge.runtime.page_child import PageChild
from edge.runtime.panel import PanelProcess
from edge.runtime.proof import Proof
from edge.supervise import supervised
from edge.threads import LookupThreads
from edge.trust import configuration_trust_of, trust_of
from edge.update import (
    BUNDLES,
    Asker,
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
)
from edge.watchdog import Watchdog

if TYPE_CHECKING:
    from edge.infer import Judge
    from edge.uplink import HttpLink, Uplink

log = logging.getLogger("babbitt.gateway")

T = TypeVar("T")

ALARM_TICK_S = 0.1
STATE_INTERVAL_S = 10.0
DRAIN_AT_END_S = 3.0
DISK_HANGS_NS = 10_000_000_000
TOTALS_S = 1.0
LATENCIES_KEPT = 20_000
COMMITS_MAX = 3
"""What must be durable is committed again where something else was kept under its name meanwhile."""
DISK_WORKERS = 2
"""One commits while one reads what to send. Each costs an arena of memory."""


class Gateway:
    """The rooms of one running gateway. ``panel_apart``: somebody else runs the panel's process."""

    def __init__(self, site: Site, *, panel_apart: bool = False) -> None:
        file = site.file
        self._site = site
        self._clock = SystemClock(file.gateway.clock)
        self._boot = boot_id()
        self._started_ns = self._clock.mono_ns()
        self._restarts: Counter[str] = Counter()
        self._alarm_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self.latest = Latest()
        self._answers = Answers(lambda: self._site, self.latest, self._clock)
        self._page = self._make_page()
        self._urgent = asyncio.Event()
        self._committing_ns: int | None = None
        folder = _folder(site)
        self._seats = Seats(site, Shelf(folder / BUNDLES, trust_of(site).check))
        self.judging = Judging(site, self._seats, clock=self._clock, tell=self._judged)
        # For whoever asks; in words, for a gateway need not carry what dots are drawn with.
        self._console = Console("20x4" if file.panel.display == "128x64" else file.panel.display, sounds=False)
        self._link = _link(site) if file.uplink is not None else None
        self._desk = AlarmDesk(
            [watched(site, asset) for asset in file.asset], config=file.alarms, gateway=file.gateway.id,
            concerns=concerns(file.health, file.gateway.id),
        )  # fmt: skip
        self._alarms = AlarmAnswers(self._desk, self._clock, self._announce)
        self._norths = Norths(self._make_norths)
        self._serving: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._prepared = prepare(site)
        # Last of what can refuse: nothing after it leaves an open store behind.
        self._journal: Journal = open_journal(folder / "store.db", file.gateway, clock=self._clock)
        self.judging.keep_in(self._journal, file.gateway.id)
        self._records = TrackRecords(self._journal)
        # The disk has threads of its own: a name lookup that hangs, as all do with the cable cut, delays no commit.
        self._disk = ThreadPoolExecutor(DISK_WORKERS, thread_name_prefix="babbitt.disk")
        self._uplink = self._make_uplink(self._link) if self._link is not None else None
        self._asker = self._make_asker()
        self._bundles = self._make_bundles()
        self._kept = ByException(self._journal, {asset.id: deadbands_of(site, asset) for asset in file.asset})
        self._poller = Poller(
            site, clock=self._clock, offer=self._journal.offer, deliver=self._deliver, make_driver=make_driver,
            make_source=make_source,
        )  # fmt: skip
        self._ledger = self._journal.totals()
        self.proof = Proof(self._clock, self._poller.overdue)
        self._watchdog = Watchdog()
        self._panel = self._make_panel(apart=panel_apart) if file.panel.kind != "none" else None
        self.trials = Trials(
            site, clock=self._clock, switch=self._switch, workers=self._disk, user=user(),
        )  # fmt: skip
        self._commanding = self._make_commanding()
        self._downlink = Downlink(
            self._asker,
            self._make_orders(),
            clock=self._clock,
            acknowledge=self._acknowledged,
            configured=self._make_configured(),
        )
        self._watch = ClockWatch(self._clock, boot=self._boot, on_set=self._clock_set, on_step=self._clock_stepped)
        self._looking = Looking(
            site, clock=self._clock, journal=self._journal, watch=self._watch, judging=self.judging,
            restarts=self._restarts, uplink=self._way_up, on_disk=self._on_disk, tell=self._found,
        )  # fmt: skip
        self._bundles.resume()
        self._restore()

    async def run(self, ready: Callable[[], None] | None, stop: asyncio.Event) -> None:
        """Poll until ``stop``, then commit, give the uplink a moment, and end."""
        asyncio.get_running_loop().set_default_executor(LookupThreads())
        self._introduce(self._site, known={})
        self.judging.mark(self.judging.judges)
        if self._panel is not None:
            await self._panel.open()
        await self._norths.open()
        async with asyncio.TaskGroup() as group:
            watching = [
                self._room(group, name, task)
                for name, task in (
                    ("clock", self._watch.run), ("poll", self._poller.run), ("alarm", self._tick_forever),
                    ("update", self.trials.run), ("health", self._looking.room.run),
                    *([("panel", self._panel.run)] if self._panel is not None else []),
                    *([("watchdog", self._beat_forever)] if self._watchdog.listens else []),
                    *([("command", self._commanding.run)] if self._commanding.guard is not None else []),
                    *([("downlink", self._downlink.run)] if self._link is not None else []),
                    *([("infer", self.judging.run), ("bundles", self._bundles.run)] if self.judging.judges else []),
                )
            ]  # fmt: skip
            self._group = group
            for north in self._norths.all:
                self._serve(north)
            keeping = [self._room(group, "commit", self._commit_forever)]
            if self._uplink is not None:
                keeping.append(self._room(group, "uplink", self._uplink.run))
            if self._page is not None:
                keeping.append(self._room(group, "page", self._page.run))
            await _first_of(stop.wait(), self._poller.opened.wait())
            if self._poller.opened.is_set():
                self._watchdog.ready()
                if ready is not None:
                    ready()
            await stop.wait()
            self._watchdog.stopping()
            log.info("stopping")
            await _ended([*watching, *self._serving])
            self._keep(ending=True)
            self._commanding.close()
            await self.judging.finish()
            await self._on_disk(self._journal.report)
            await self._commit()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_AT_END_S):
                    await self._drained()
            await _ended(keeping)
        if self._link is not None:
            await self._link.close()

    def _room(self, group: asyncio.TaskGroup, name: str, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        return group.create_task(supervised(name, run, self._clock, self._restarts), name=f"babbitt.{name}")

    def close(self) -> None:
        """The panel was told by then that nobody watches any more."""
        try:
            self._journal.close()
        finally:
            if self._panel is not None:
                self._panel.close()
            self._watchdog.close()
            self._disk.shutdown()

    def commands(self) -> dict[str, Handler]:
        own: dict[str, Handler] = {
            "status": self.status, "counts": self.counts, "health": self._looking.health, **self._alarms.commands(),
            **self._commanding.commands(),
        }  # fmt: skip
        return self._answers.over({**own, **self.trials.commands()})

    async def _switch(self, site: Site) -> None:
        """Run ``site`` from now on; what is the same in it goes on undisturbed.

        Raises ``BabbittError``, and then no part of it runs.
        """
        # Loading a model takes a while, in which the lines are polled.
        judges = await self._on_disk(partial(self.judging.made_for, self._site, site))
        renews = bool(self._norths.all) and shown(site) != shown(self._site)
        await self._poller.change(site, lambda: self._take_over(site, judges, renews=renews))
        if renews:
            # Before it returns, so that whoever judges what follows does not judge this.
            await _ended(self._serving)
            self._serving = []
            await self._norths.renew(self._serve)

    def _serve(self, north: North) -> None:
        assert self._group is not None
        self._serving.append(self._room(self._group, north.name, north.run))

    def _take_over(self, site: Site, judges: dict[str, Judge], *, renews: bool) -> None:
        """Between the last reading of the old and the first of the new: everyone else learns of it.

        What other systems see is built for one site: where that ``renews``, their servers start anew afterwards.
        """
        before = {asset.id: introduction(self._site, asset) for asset in self._site.file.asset}
        self._keep()
        self.judging.take_over(site, judges)
        self._site = site
        self._seats.change(site)
        self.latest.clear()
        self._desk.change([watched(site, asset) for asset in site.file.asset])
        self._kept.change({asset.id: deadbands_of(site, asset) for asset in site.file.asset})
        self._norths.all = [] if renews else self._norths.all
        self._commanding.change(site)
        self._introduce(site, known=before)

    def _deliver(self, batch: Batch) -> None:
        try:
            self._announce(self._desk.observe(batch))
            self._alarm_ms.append((self._clock.mono_ns() - batch.mono_ns) / 1e6)
        finally:
            # Whatever breaks before it: what was read is kept.
            self._kept.append(batch)
        self.latest.observe(batch)
        self._commanding.observe(batch)
        self.trials.observe(batch)
        self.judging.observe(batch)
        self._norths.deliver(batch)

    def _announce(self, alarms: list[Alarm]) -> None:
        """A changed alarm goes to the lamp at once, and into the journal's urgent lane."""
        if alarms and self._panel is not None:
            self._panel.changed()
        record_alarms(self._journal, self._desk, alarms, self._moment())
        for alarm in alarms:
            state = f"{alarm.state}, {alarm.held}" if alarm.held else alarm.state.value
            log.info("alarm %s %s: %s", state, alarm.asset, alarm.sentence)
            self._norths.announce(alarm)
        if alarms:
            self._urgent.set()

    def _moment(self) -> Moment:
        clock = self._clock
        return Moment(clock.wall_ns(), clock.mono_ns(), clock.trusted(), self._boot)

    def _clock_set(self, found: ClockSet) -> None:
        """The receiver corrects what this boot read before; a gateway that dies at once has still told it."""
        self._journal.keep("clock", self._watch.state())
        self._journal.record(found, lane=Lane.URGENT)
        self._desk.clock_set(self._moment())
        self._urgent.set()

    def _clock_stepped(self, step: Step) -> None:
        """A trusted clock that jumped is told with each machine: whoever compares times there must know of it."""
        if not step.trusted:
            return
        for asset, name in self._desk.names().items():
            self._journal.record(Alarm(
                asset=asset, rule="clock_step", tag="", priority=Priority.LOW, state=AlarmState.NORMAL,
                since_ns=step.at_ns, at_ns=step.at_ns, value=step.by_ns / 1e9,
                sentence=f"{name}: {step.words}; times before and after it do not compare",
            ))  # fmt: skip

    async def _commit_forever(self) -> None:
        """One commit an interval, and one at once for each alarm."""
        interval_s = self._site.file.gateway.commit_interval_ms / 1000
        kept_ns = self._clock.mono_ns()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), interval_s)
            self._urgent.clear()
            if self._clock.mono_ns() - kept_ns > STATE_INTERVAL_S * 1e9:
                kept_ns = self._clock.mono_ns()
                self._keep()
            await self._commit()

    async def _commit(self) -> None:
        self._committing_ns = self._clock.mono_ns()
        try:
            await self._on_disk(self._journal.commit)
        finally:
            self._committing_ns = None
        if self._uplink is not None:
            self._uplink.nudge()

    async def _durably(self, name: str) -> bool:
        """Commit; whether what is kept as ``name`` is on the disk then."""

        def commit() -> bool:
            for _ in range(COMMITS_MAX):
                self._journal.commit()
                if self._journal.is_durable(name):
                    return True
            return False

        done = await self._on_disk(commit)
        if self._uplink is not None:
            self._uplink.nudge()
        return done

    def _judged(self, verdict: Verdict) -> None:
        self._announce(self._desk.judge(verdict, mono_ns=self._clock.mono_ns()))
        self._norths.judge(verdict)

    def _found(self, findings: list[Finding]) -> None:
        """What the gateway has found about itself."""
        now_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        self._announce(self._desk.report_self(findings, now_ns, mono_ns=mono_ns))

    def _way_up(self) -> tuple[bool, str] | None:
        return (self._uplink.state.up, self._uplink.state.detail) if self._uplink is not None else None

    async def _tick_forever(self) -> None:
        """Delays elapse and data grow stale without any reading coming in."""
        while True:
            await self._clock.sleep(ALARM_TICK_S)
            self._announce(self._desk.tick(self._clock.wall_ns(), mono_ns=self._clock.mono_ns()))
            self.proof.ticked()

    async def _beat_forever(self) -> None:
        """The service manager hears of the gateway only while what was read becomes alarms."""
        while True:
            trouble = self.proof.trouble()
            if not trouble:
                self._watchdog.beat()
            self._watchdog.say(trouble or self._brief())
            await self._clock.sleep(min(1.0, self._watchdog.interval_s or 1.0))

    def _brief(self) -> str:
        uplink = "" if self._uplink is None else f", uplink {'up' if self._uplink.state.up else 'down'}"
        return f"{len(self._site.file.asset)} machines, {len(self._desk.standing())} alarms{uplink}"

    async def _drained(self) -> None:
        while self._uplink is not None and self._journal.backlog()[0]:
            await self._clock.sleep(0.05)

    def _introduce(self, site: Site, *, known: Mapping[str, Asset]) -> None:
        """Tell the receiver what each asset and tag means, but those that are ``known`` to be the same."""
        for asset in site.file.asset:
            told = introduction(site, asset)
            if known.get(asset.id) != told:
                self._journal.record(replace(told, at_ns=self._clock.wall_ns()))

    def _keep(self, *, ending: bool = False) -> None:
        if ending or self._desk.figures.due():
            # Before the state, which then holds nothing that they know.
            self._journal.keep("alarm_figures", self._desk.figures.state(self._moment()))
        self._journal.keep("alarm", self._desk.state(self._moment()))
        self._journal.keep("rules", self._desk.learned())
        self._journal.keep("clock", self._watch.state())
        self.judging.keep()

    def _restore(self) -> None:
        self._watch.restore(self._journal.kept("clock") or b"")
        self._journal.keep("clock", self._watch.state())
        figures = self._journal.kept("alarm_figures") or b""
        self._desk.restore(self._journal.kept("alarm") or b"", self._moment(), figures=figures)
        self._desk.restore_learned(self._journal.kept("rules") or b"{}")
        self.judging.restore()

    def _make_uplink(self, link: Link) -> Uplink:
        from edge.uplink import Uplink

        config = self._site.file.uplink
        assert config is not None
        return Uplink(self._journal, link, config, clock=self._clock, random=random.SystemRandom(), workers=self._disk)

    def _make_asker(self) -> Asker:
        uplink = self._site.file.uplink
        return Asker(
            self._seats, self._link.desk() if self._link is not None else None, clock=self._clock, workers=self._disk,
            interval_s=uplink.ask_interval_s if uplink is not None else 0.0,
        )  # fmt: skip

    def _make_configured(self) -> Configured:
        return Configured(
            self.trials, config_folder(self._site), gateway=self._site.file.gateway.id, clock=self._clock,
            minutes=self._site.file.update.configuration_minutes, workers=self._disk, note=self._commanding.note,
            trusted=lambda one: configuration_trust_of(self._site).why_not_configured(one), commit=self._commit,
        )  # fmt: skip

    def _make_orders(self) -> Orders:
        return self._commanding.guard or Refusing(
            self._site.file.gateway.id, lambda: {asset.id for asset in self._site.file.asset}, self._commanding.note,
            self._clock,
        )  # fmt: skip

    def _make_commanding(self) -> Commanding:
        return Commanding(
            lambda: self._site, self._prepared, self._journal, self._poller, clock=self._clock, boot=self._boot,
            commit=self._durably, told=self._outcome,
        )  # fmt: skip

    def _outcome(self, outcome: Outcome) -> None:
        """A step with a command, as it was entered into the audit."""
        what = f"command {outcome.order}" if outcome.command else "contract"
        log.info("%s %s for %s.%s: %s", what, outcome.step.value, outcome.asset, outcome.tag, outcome.words)
        self._urgent.set()
        if self._panel is not None:
            self._panel.changed()

    def _make_bundles(self) -> Bundles:
        return Bundles(
            self._seats, self._asker, clock=self._clock, workers=self._disk, judges=lambda: self.judging.judges,
            classes=lambda: {asset.id: asset.class_ for asset in self._site.file.asset},
            signals=lambda asset: signals(self._site, asset), tell=self._journal.record, between=self.judging.between,
        )  # fmt: skip

    def _make_page(self) -> PageChild | None:
        page = self._site.file.page
        if page is None:
            return None
        return PageChild(self._site.path, page.url, clock=self._clock, died=lambda: self._restarts.update(page=1))

    def _make_norths(self) -> list[North]:
        """How other systems read this gateway. Their libraries are loaded only where they are configured."""
        norths: list[North] = []
        if self._site.file.north.opcua is not None:
            from edge.north.opcua.room import OpcUaNorth

            norths.append(OpcUaNorth(
                self._site, clock=self._clock, alarms=lambda: self._desk.every(), figures=self._figures,
                acknowledge=self._acknowledge_by, hands=self._alarms,
            ))  # fmt: skip
        if self._site.file.north.sparkplug is not None:
            from edge.north.sparkplug.room import SparkplugNorth

            norths.append(SparkplugNorth(self._site, clock=self._clock, alarms=lambda: self._desk.every()))
        return norths

    async def _figures(self) -> dict[str, Any]:
        """What other systems are told of the gateway itself."""
        up = self._uplink.state if self._uplink is not None else None
        ledger = await self._totals()
        return status.figures(up, self._journal.backlog(), self._watch.now, self._journal.losses(), ledger)

    async def _totals(self) -> dict[str, int]:
        """The ledger's sums; where the disk does not answer, the last ones that it gave."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOTALS_S):
                self._ledger = await self._on_disk(self._journal.totals)
        return self._ledger

    async def _acknowledge_by(self, asset: str, rule: str, user: str) -> bool:
        return bool(self._alarms.acknowledge(asset, rule, by=user)["acknowledged"])

    def _acknowledged(self, seen: Acknowledged) -> None:
        """Somebody acknowledged elsewhere: the very raising that they saw, and no other."""
        alarm = self._desk.find(seen.asset, seen.rule)
        if alarm is not None and alarm.since_ns == seen.since_ns:
            self._alarms.acknowledge(seen.asset, seen.rule, by=seen.by, why="from the cloud")

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, call)

    def _make_panel(self, *, apart: bool) -> PanelProcess:
        return PanelProcess(
            self._site, clock=self._clock, state=self._stands, trouble=self.proof.trouble,
            acknowledge=self._seen_at_the_panel, apart=apart,
        )  # fmt: skip

    def _stands(self) -> PanelState:
        now_ns, clock = self._clock.mono_ns(), self._watch.now
        told = "set" if clock.trusted else "not set yet"
        standing, gateway = self._desk.standing(), self._site.file.gateway.id
        own = {alarm.rule for alarm in standing if alarm.asset == gateway and alarm.state.is_active}
        return PanelState(
            alarms=[*standing, *self._desk.held()], verdicts=self.judging.verdicts,
            names=self._desk.names(), stale=self._desk.stale(),
            uplink_up=self._uplink.state.up if self._uplink is not None else None,
            backlog_readings=self._journal.backlog()[1], elapsed_s=(now_ns - self._started_ns) / 1e9,
            records=self._records.by_asset(self._asker.desired), at_ns=self._clock.wall_ns(),
            age_s=self.latest.ages_s(now_ns), gateway=gateway, advice=self._commanding.advice(),
            health=(
                Condition("clock", told, clock.trusted),
                *(Condition(what, told, own.isdisjoint(rules)) for what, told, rules in self._looking.figures()),
                *self._disk_hangs(now_ns),
                *(Condition("judge", f"{asset} is not judged", ok=False) for asset in self.judging.late),
            ),
        )  # fmt: skip

    def _disk_hangs(self, now_ns: int) -> list[Condition]:
        """A disk that fails says so; one that hangs says nothing at all."""
        if self._committing_ns is None or now_ns - self._committing_ns < DISK_HANGS_NS:
            return []
        return [Condition("disk", f"no answer for {(now_ns - self._committing_ns) / 1e9:.0f} s", ok=False)]

    def _seen_at_the_panel(self, asset: str, rule: str) -> None:
        self._alarms.acknowledge(asset, rule, by="panel")

    async def status(self) -> dict[str, Any]:
        """What a person or the demo asks a running gateway: plain data."""
        blocks, readings = self._journal.backlog()
        state = self._uplink.state if self._uplink is not None else None
        stands, panel = self._stands(), self._panel.status() if self._panel is not None else {}
        view = self._console.view(stands, stands.elapsed_s, trouble=panel.get("trouble", ()))
        return {
            "gateway": self._site.file.gateway.id,
            "uptime_s": (self._clock.mono_ns() - self._started_ns) / 1e9,
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
            "clock": status.of_clock(self._watch.now),
            "units": [status.of_unit(unit) for unit in self._poller.status()],
            "verdicts": [status.of_verdict(verdict) for verdict in self.judging.verdicts.values()],
            "unjudged": dict(self.judging.late),
            "worked": self.judging.worked(),
            "alarms": [status.of_alarm(alarm) for alarm in self._desk.standing()],
            "held_alarms": len(self._desk.held()),
            "ledger": await self._totals(),
            "losses": asdict(self._journal.losses()),
            "latency_ms": {"poll_to_alarm_p99": status.percentile(self._alarm_ms, 0.99)},
            "north": {north.name: north.status() for north in self._norths.all},
            "page": self._page.status() if self._page is not None else None,
            "restarts": dict(self._restarts),
            "configuration": self.trials.brief(),
            "bundles": self._bundles.status(),
            "commands": self._commanding.status(),
            "audit": self._commanding.audited(),
            "downlink": {"detail": self._asker.detail if self._link is not None else ""},
        }  # fmt: skip

    def counts(self) -> dict[str, Any]:
        """What the drivers counted since they were made, for the doctor."""
        uptime_s = (self._clock.mono_ns() - self._started_ns) / 1e9
        return {"uptime_s": uptime_s, "lines": [status.of_line(*line) for line in self._poller.counts()]}


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _folder(site: Site) -> Path:
    folder = site.resolve(site.file.gateway.data_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "name a folder as `gateway.data_dir` that may be written to"
        raise StoreError(str(folder), f"cannot be made: {error.strerror}", hint) from error
    return folder


def _link(site: Site) -> HttpLink:
    """The way up. Its HTTP client is loaded only where there is one."""
    from edge.uplink import HttpLink

    assert site.file.uplink is not None
    token_file = site.resolve(site.file.uplink.token_file)
    return HttpLink(site.file.uplink, token_file=token_file, gateway=site.file.gateway.id)

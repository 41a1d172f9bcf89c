"""Builds every room and hands each what it needs. The only module that knows them all; it decides nothing.

One reading's way is in ``Gateway._deliver``: alarm and lamp first (no disk and no network between a fault and the
lamp), then the journal, less what is unchanged, then what the judges will see. What the uplink sends is already
durable, since it reads the journal alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge import status
from edge.alarm import AlarmDesk
from edge.clock import SystemClock, boot_id
from edge.clock_watch import ClockWatch, Step
from edge.config.site import Site
from edge.contract.types import Alarm, AlarmState, Asset, Batch, ClockSet, Lane, Priority, Verdict
from edge.described import deadbands_of, introduction, judged_by, shown, signals, watched
from edge.drivers import make_driver, make_source
from edge.errors import BabbittError, BrokenStoreError, StoreError
from edge.journal import ByException, open_journal
from edge.local_socket import Handler, answering
from edge.panel import PanelState, compose, make_panel, stopped
from edge.poll import Poller
from edge.ports import Journal, Link, North
from edge.supervise import supervised
from edge.threads import LookupThreads
from edge.trust import trust_of
from edge.update import BUNDLES, Bundles, Seats, Shelf, TrackRecords, Trials, user

if TYPE_CHECKING:
    from edge.infer import Judge
    from edge.infer.book import Book
    from edge.uplink import HttpLink, Uplink

log = logging.getLogger("babbitt.gateway")

T = TypeVar("T")

PANEL_TICK_S = 0.1
STATE_INTERVAL_S = 10.0
JUDGE_TICK_S = 0.1
CHECKPOINT_EVERY_S = 86_400.0
UNJUDGED_MAX = 10_000
"""Polls that wait for the judges while their room starts again; the oldest then count as missing."""
DRAIN_AT_END_S = 3.0
LATENCIES_KEPT = 20_000
BREAKS_APART_S_MIN = 60.0
"""Stores that break in shorter time than that are the disk's: a person must act."""
DISK_WORKERS = 2
"""One commits while one reads what to send. Each costs an arena of memory."""


async def run(site: Site, *, ready: Callable[[], None] | None = None) -> None:
    """Run the gateway of ``site`` until SIGINT or SIGTERM. Raises ``BabbittError`` where a person must act first.

    A store that breaks on the way was set aside: the gateway starts anew by itself, unless it was to end, or its disk
    breaks every one.
    """
    broken_s = -math.inf
    stop = _stopped_by_signal()
    running = [site]
    while True:
        try:
            return await _run_once(running, ready, stop)
        except BrokenStoreError as error:
            now_s = time.monotonic()
            if stop.is_set() or now_s - broken_s < BREAKS_APART_S_MIN:
                raise
            broken_s = now_s
            log.error("starting again with a new store: %s", error)


def _stopped_by_signal() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM, whichever store is open by then, or none."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _run_once(running: list[Site], ready: Callable[[], None] | None, stop: asyncio.Event) -> None:
    """Run the last of ``running``; what is kept while it runs follows it there."""
    site = running[-1]
    gateway = Gateway(site)
    try:
        async with answering(site.resolve(site.file.gateway.data_dir) / "gateway.sock", gateway.commands()):
            await gateway.run(ready, stop)
    except* BabbittError as errors:
        raise _first(errors) from None
    finally:
        running.append(gateway.trials.kept)
        gateway.close()


def _first(errors: BaseExceptionGroup[BabbittError]) -> BabbittError:
    """Of errors that came up through task groups the first: a person mends one at a time."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


class Gateway:
    """The rooms of one running gateway."""

    def __init__(self, site: Site) -> None:
        file = site.file
        self._site = site
        self._clock = SystemClock(file.gateway.clock)
        self._started_ns = self._clock.mono_ns()
        self._restarts: Counter[str] = Counter()
        self._alarm_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._verdicts: dict[str, Verdict] = {}
        self._unjudged: deque[Batch] = deque(maxlen=UNJUDGED_MAX)
        self._lamp = asyncio.Event()
        self._urgent = asyncio.Event()
        folder = _folder(site)
        self._seats = Seats(site, Shelf(folder / BUNDLES, trust_of(site).check))
        self._judges = self._make_judges(site) if file.gateway.inference else {}
        self._panel = make_panel(file.panel, png_path=site.resolve(file.panel.png_path))
        self._link = _link(site) if file.uplink is not None else None
        self._norths = self._make_norths()
        self._serving: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None
        # Last of what can refuse: nothing after it leaves an open store behind.
        self._journal: Journal = open_journal(folder / "store.db", file.gateway, clock=self._clock)
        self._book = _book(self._journal, file.gateway.id) if self._judges else None
        self._records = TrackRecords(self._journal)
        self._desk = AlarmDesk([watched(site, asset) for asset in file.asset])
        # The disk has threads of its own: a name lookup that hangs, as all do with the cable cut, delays no commit.
        self._disk = ThreadPoolExecutor(DISK_WORKERS, thread_name_prefix="babbitt.disk")
        self._uplink = self._make_uplink(self._link) if self._link is not None else None
        self._bundles = self._make_bundles()
        self._kept = ByException(self._journal, {asset.id: deadbands_of(site, asset) for asset in file.asset})
        self._poller = Poller(
            site, clock=self._clock, offer=self._journal.offer, deliver=self._deliver, make_driver=make_driver,
            make_source=make_source,
        )  # fmt: skip
        self.trials = Trials(
            site, clock=self._clock, switch=self._switch, workers=self._disk, user=user(),
        )  # fmt: skip
        self._watch = ClockWatch(self._clock, boot=boot_id(), on_set=self._clock_set, on_step=self._clock_stepped)
        self._bundles.resume()
        self._restore()

    async def run(self, ready: Callable[[], None] | None, stop: asyncio.Event) -> None:
        """Poll until ``stop``, then commit, give the uplink a moment, and end."""
        asyncio.get_running_loop().set_default_executor(LookupThreads())
        self._introduce(self._site, known={})
        self._mark(self._judges)
        for north in self._norths:
            await north.open()
        async with asyncio.TaskGroup() as group:
            watching = [
                self._room(group, name, task)
                for name, task in (
                    ("clock", self._watch.run), ("poll", self._poller.run), ("alarm", self._tick_forever),
                    ("panel", self._show_forever), ("update", self.trials.run),
                    *([("infer", self._judge_forever), ("bundles", self._bundles.run)] if self._judges else []),
                )
            ]  # fmt: skip
            self._serving = [self._room(group, north.name, north.run) for north in self._norths]
            self._group = group
            keeping = [self._room(group, "commit", self._commit_forever)]
            if self._uplink is not None:
                keeping.append(self._room(group, "uplink", self._uplink.run))
            await _first_of(stop.wait(), self._poller.opened.wait())
            if ready is not None and self._poller.opened.is_set():
                ready()
            await stop.wait()
            log.info("stopping")
            await _ended([*watching, *self._serving])
            self._keep()
            if self._book is not None:
                self._book.close()
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
        """A gateway that no longer watches says so, and shows no green."""
        try:
            self._journal.close()
        finally:
            self._panel.show(stopped(self._panel.columns, self._panel.rows))
            self._panel.close()
            self._disk.shutdown()

    def commands(self) -> dict[str, Handler]:
        return {"status": self.status, "acknowledge": self.acknowledge, "counts": self.counts, **self.trials.commands()}

    async def _switch(self, site: Site) -> None:
        """Run ``site`` from now on; what is the same in it goes on undisturbed.

        Raises ``BabbittError``, and then no part of it runs.
        """
        judges: dict[str, Judge] = {}
        if self._judges:
            # Loading a model takes a while, in which the lines are polled.
            judges = await self._on_disk(partial(self._make_judges, site, but=self._judged_the_same(site)))
        renews = bool(self._norths) and shown(site) != shown(self._site)
        await self._poller.change(site, lambda: self._take_over(site, judges, renews=renews))
        if renews:
            await self._renew_norths()

    async def _renew_norths(self) -> None:
        """Before it returns, so that whoever judges what follows does not judge this."""
        assert self._group is not None
        await _ended(self._serving)
        self._serving = []
        for north in self._make_norths():
            try:
                await north.open()
            except BabbittError as error:
                log.error("%s is not served until the gateway is started again: %s", north.name, error)
                continue
            self._norths.append(north)
            self._serving.append(self._room(self._group, north.name, north.run))

    def _judged_the_same(self, site: Site) -> set[str]:
        """Machines whose judge may stay."""
        before = {asset.id: judged_by(self._site, asset) for asset in self._site.file.asset}
        return {asset.id for asset in site.file.asset if before.get(asset.id) == judged_by(site, asset)}

    def _take_over(self, site: Site, judges: dict[str, Judge], *, renews: bool) -> None:
        """Between the last reading of the old and the first of the new: everyone else learns of it.

        What other systems see is built for one site: where that ``renews``, their servers start anew afterwards.
        """
        before = {asset.id: introduction(self._site, asset) for asset in self._site.file.asset}
        stays = {asset.id for asset in site.file.asset}
        self._keep()
        for name, judge in judges.items():
            state = self._journal.kept(f"judge/{name}")
            if state is not None:
                judge.restore(state)
        self._mark(judges)
        self._site = site
        self._seats.change(site)
        self._desk.change([watched(site, asset) for asset in site.file.asset])
        self._kept.change({asset.id: deadbands_of(site, asset) for asset in site.file.asset})
        self._judges = {**{asset: judge for asset, judge in self._judges.items() if asset in stays}, **judges}
        self._verdicts = {asset: verdict for asset, verdict in self._verdicts.items() if asset in stays}
        self._norths = [] if renews else self._norths
        self._introduce(site, known=before)

    def _deliver(self, batch: Batch) -> None:
        try:
            self._announce(self._desk.observe(batch))
            self._alarm_ms.append((self._clock.mono_ns() - batch.mono_ns) / 1e6)
        finally:
            # Whatever breaks before it: what was read is kept.
            self._kept.append(batch)
        self.trials.observe(batch)
        if batch.asset in self._judges:
            self._unjudged.append(batch)
        for north in self._norths:
            north.deliver(batch)

    def _announce(self, alarms: list[Alarm]) -> None:
        """A changed alarm goes to the lamp at once, and into the journal's urgent lane."""
        for alarm in alarms:
            log.info("alarm %s %s: %s", alarm.state.value, alarm.asset, alarm.sentence)
            self._journal.record(alarm, lane=Lane.URGENT)
            for north in self._norths:
                north.announce(alarm)
        if alarms:
            self._lamp.set()
            self._urgent.set()

    def _clock_set(self, found: ClockSet) -> None:
        """The receiver corrects what this boot read before; a gateway that dies at once has still told it."""
        self._journal.keep("clock", self._watch.state())
        self._journal.record(found, lane=Lane.URGENT)
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
        await self._on_disk(self._journal.commit)
        if self._uplink is not None:
            self._uplink.nudge()

    async def _judge_forever(self) -> None:
        """Hand the judges what was read and ask for verdicts. A judge that breaks stops neither polls nor lamps."""
        interval_ns = self._site.file.gateway.verdict_interval_ms * 1_000_000
        due_ns = self._clock.mono_ns() + interval_ns
        marked_ns = self._clock.mono_ns()
        while True:
            await self._clock.sleep(JUDGE_TICK_S)
            while self._unjudged:
                batch = self._unjudged.popleft()
                if batch.asset in self._judges:
                    self._judges[batch.asset].observe(batch)
            if self._clock.mono_ns() >= due_ns:
                due_ns += interval_ns * (1 + (self._clock.mono_ns() - due_ns) // interval_ns)
                self._ask_judges()
            if self._clock.mono_ns() - marked_ns > CHECKPOINT_EVERY_S * 1e9:
                marked_ns = self._clock.mono_ns()
                self._mark(self._judges)

    def _mark(self, judges: Mapping[str, Judge]) -> None:
        """Whoever replays the verdicts begins where a judge stands now."""
        if self._book is not None:
            for asset, judge in judges.items():
                self._book.mark(asset, self._clock.wall_ns(), judge.checkpoint())

    def _ask_judges(self) -> None:
        for asset, judge in self._judges.items():
            if asset in self._verdicts and self._verdicts[asset].bundle != judge.bundle:
                self._mark({asset: judge})
            mono_ns, bundle = self._clock.mono_ns(), judge.bundle
            judged = judge.verdict(self._clock.wall_ns(), mono_ns=mono_ns)
            if judged is not None and self._book is not None:
                seen = replace(judged, mono_ns=mono_ns, first_ns=judge.first_ns, polls=judge.polls)
                verdict = self._verdicts[judged.asset] = self._book.enter(seen)
                self._announce(self._desk.judge(verdict, mono_ns=self._clock.mono_ns()))
                for north in self._norths:
                    north.judge(verdict)
            if judge.bundle != bundle:  # It broke while it was asked, and the one before it counts again.
                self._mark({asset: judge})

    async def _tick_forever(self) -> None:
        """Delays elapse and data grow stale without any reading coming in."""
        while True:
            await self._clock.sleep(PANEL_TICK_S)
            self._announce(self._desk.tick(self._clock.wall_ns(), mono_ns=self._clock.mono_ns()))

    async def _show_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lamp.wait(), PANEL_TICK_S)
            self._lamp.clear()
            self._panel.show(self._view())

    async def _drained(self) -> None:
        while self._uplink is not None and self._journal.backlog()[0]:
            await self._clock.sleep(0.05)

    def _introduce(self, site: Site, *, known: Mapping[str, Asset]) -> None:
        """Tell the receiver what each asset and tag means, but those that are ``known`` to be the same."""
        for asset in site.file.asset:
            told = introduction(site, asset)
            if known.get(asset.id) != told:
                self._journal.record(replace(told, at_ns=self._clock.wall_ns()))

    def _keep(self) -> None:
        self._journal.keep("alarm", self._desk.state())
        self._journal.keep("clock", self._watch.state())
        for asset, judge in self._judges.items():
            self._journal.keep(f"judge/{asset}", judge.state())

    def _restore(self) -> None:
        self._watch.restore(self._journal.kept("clock") or b"")
        self._journal.keep("clock", self._watch.state())
        state = self._journal.kept("alarm")
        if state is not None:
            self._desk.restore(state)
        for asset, judge in self._judges.items():
            state = self._journal.kept(f"judge/{asset}")
            if state is not None:
                judge.restore(state)

    def _make_judges(self, site: Site, but: Collection[str] = ()) -> dict[str, Judge]:
        """A judge for each asset ``but`` some. Models and their runtime are loaded only where there is judging."""
        from edge.infer import load_judges

        return load_judges(site, partial(self._seats.bundle_for, site=site), but)

    def _make_uplink(self, link: Link) -> Uplink:
        from edge.uplink import Uplink

        config = self._site.file.uplink
        assert config is not None
        return Uplink(self._journal, link, config, clock=self._clock, random=random.SystemRandom(), workers=self._disk)

    def _make_bundles(self) -> Bundles:
        uplink = self._site.file.uplink
        return Bundles(
            self._seats, self._link.desk() if self._link is not None else None, clock=self._clock, workers=self._disk,
            interval_s=uplink.ask_interval_s if uplink is not None else 0.0, judges=lambda: self._judges,
            classes=lambda: {asset.id: asset.class_ for asset in self._site.file.asset},
            signals=lambda asset: signals(self._site, asset), tell=self._journal.record,
        )  # fmt: skip

    def _make_norths(self) -> list[North]:
        """How other systems read this gateway. Their libraries are loaded only where they are configured."""
        norths: list[North] = []
        if self._site.file.north.opcua is not None:
            from edge.north.opcua.room import OpcUaNorth

            norths.append(OpcUaNorth(
                self._site, clock=self._clock, alarms=lambda: self._desk.every(), figures=self._figures,
                acknowledge=self._acknowledge_by,
            ))  # fmt: skip
        if self._site.file.north.sparkplug is not None:
            from edge.north.sparkplug.room import SparkplugNorth

            norths.append(SparkplugNorth(self._site, clock=self._clock, alarms=lambda: self._desk.every()))
        return norths

    async def _figures(self) -> dict[str, Any]:
        """What other systems are told of the gateway itself."""
        up = self._uplink.state if self._uplink is not None else None
        ledger = await self._on_disk(self._journal.totals)
        return status.figures(up, self._journal.backlog(), self._watch.now, self._journal.losses(), ledger)

    async def _acknowledge_by(self, asset: str, rule: str, user: str) -> bool:
        log.info("%s acknowledges %s %s", user, asset, rule)
        return bool(self.acknowledge(asset, rule)["acknowledged"])

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, call)

    def _view(self) -> Any:
        return compose(
            PanelState(
                alarms=self._desk.standing(), verdicts=self._verdicts, names=self._desk.names(),
                stale=self._desk.stale(), uplink_up=self._uplink.state.up if self._uplink is not None else None,
                backlog_readings=self._journal.backlog()[1], elapsed_s=(self._clock.mono_ns() - self._started_ns) / 1e9,
                records=self._records.by_asset(self._bundles.desired),
            ),
            columns=self._panel.columns, rows=self._panel.rows,
        )  # fmt: skip

    def acknowledge(self, asset: str, rule: str) -> dict[str, Any]:
        alarms = self._desk.acknowledge(asset, rule, self._clock.wall_ns())
        self._announce(alarms)
        return {"acknowledged": len(alarms)}

    async def status(self) -> dict[str, Any]:
        """What a person or the demo asks a running gateway: plain data."""
        blocks, readings = self._journal.backlog()
        state = self._uplink.state if self._uplink is not None else None
        view = self._view()
        return {
            "gateway": self._site.file.gateway.id,
            "uptime_s": (self._clock.mono_ns() - self._started_ns) / 1e9,
            "rss_mb": status.rss_mb(),
            "cpu_s": time.process_time(),
            "panel": {"green": view.green, "amber": view.amber, "red": view.red, "lines": list(view.lines)},
            "uplink": {
                "up": state is not None and state.up, "detail": state.detail if state is not None else "not configured",
                "backlog_blocks": blocks, "backlog_readings": readings,
            },
            "clock": status.of_clock(self._watch.now),
            "units": [status.of_unit(unit) for unit in self._poller.status()],
            "verdicts": [status.of_verdict(verdict) for verdict in self._verdicts.values()],
            "worked": {asset: judge.worked for asset, judge in self._judges.items()},
            "alarms": [status.of_alarm(alarm) for alarm in self._desk.standing()],
            "ledger": await self._on_disk(self._journal.totals),
            "losses": asdict(self._journal.losses()),
            "latency_ms": {"poll_to_alarm_p99": status.percentile(self._alarm_ms, 0.99)},
            "north": {north.name: north.status() for north in self._norths},
            "restarts": dict(self._restarts),
            "configuration": self.trials.brief(),
            "bundles": self._bundles.status(),
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


def _book(journal: Journal, gateway: str) -> Book:
    from edge.infer.book import Book

    return Book(journal, gateway)

"""Runs the story: starts the three processes, makes things happen to them, watches, and counts at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.live import Live

from cloud.demo import tally
from cloud.demo.processes import Child, free_port
from cloud.demo.relay import Relay
from cloud.demo.screen import draw
from cloud.demo.setpoint import MACHINE as SET
from cloud.demo.setpoint import Setpoint
from cloud.demo.sites import make_profile, own_page, write_machines, write_recording
from cloud.demo.story import OUTAGE_S, Step, Story, tell, tell_recording
from edge.errors import BabbittError
from edge.local_socket import ask

DEFAULT_STORY_S = 150.0
READY_WITHIN_S = 120.0
DRAINED_WITHIN_S = 60.0
ANSWERS_WITHIN_S = 30.0
FRAME_S = 0.25
WORN = "spindle-1"
SILENCED = "extruder-1"
ASKED_WITHIN_S = 10.0
"""So long approvers wait to see that the gateway asks for them."""
SEEN_AFTER_S = 4.0
"""How long an alarm of the worn machine stands before somebody acknowledges it."""
OPERATOR = "dora"


def run(
    *, seconds: float | None, headless: bool, speed: float | None, recording: Path | None, as_json: bool,
    keep: Path | None,
) -> None:  # fmt: skip
    """Run the demo in a folder of its own; exits with 1 if the ledger does not balance at the end."""
    story_s = seconds or DEFAULT_STORY_S
    story = tell(story_s, speed) if recording is None else tell_recording(story_s, speed)
    with _folder(keep) as folder:
        demo = Demo(folder=folder, story=story, recording=recording, seconds=seconds, headless=headless, quiet=as_json)
        summary = asyncio.run(demo.run())
    if as_json:
        click.echo(json.dumps(summary))
    else:
        if not headless:
            # The live view is gone with its screen; what happened stays to be read.
            _print_story(demo.told)
        _print_summary(summary)
    sys.exit(0 if summary["ledger_balanced"] else 1)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="babbitt-demo-") as folder:
        yield Path(folder)


@dataclass
class Demo:
    """One run. ``status``, ``truth`` and ``stats`` are the last that gateway, plant and cloud said of themselves."""

    folder: Path
    story: Story
    recording: Path | None
    seconds: float | None
    headless: bool
    quiet: bool
    status: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    told: list[tuple[float, str]] = field(default_factory=list)
    urgencies: list[str] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    cut_ns: tuple[int, int] | None = None
    kept_at_mend: int | None = None
    raised_s: dict[tuple[str, str], float] = field(default_factory=dict)
    acknowledged: tuple[str, str] | None = None
    acknowledgement_shown: bool = False
    repaired: bool = False

    async def run(self) -> dict[str, Any]:
        """The whole story; returns the summary. Whatever happens, no process is left behind."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await self._start(stop)
            clock = tally.PageClock(self.page)
            listening = asyncio.create_task(clock.listen())
            try:
                await self._play(stop)
            finally:
                listening.cancel()
            return await self._end(clock)
        finally:
            for child in reversed(self.children):
                child.end()
            await self.relay.stop()

    async def _start(self, stop: asyncio.Event) -> None:
        port = free_port(8555)
        self.page = f"http://127.0.0.1:{port}"
        self.relay = Relay(port)
        await self.relay.start()
        self.site = self.folder / "site.toml"
        tokens = self.folder / "cloud.tokens"
        await self._quick(
            "cloud", "token", "demo-gateway", "--tokens", str(tokens), "--out", str(self.folder / "gateway.token")
        )
        self.setpoint = Setpoint(self.folder / "people", self.folder / "cloud", self._quick)
        if self.recording is None:
            key = await self.setpoint.prepare()
            write_machines(self.site, self.story, uplink_port=self.relay.port, contract_key=key)
        else:
            made = make_profile(self.recording, self.folder, follows_clock=self.story.speed is not None)
            await self._quick(*made)
            write_recording(self.site, self.story, self.recording, uplink_port=self.relay.port)
        self.cloud = self._spawn(
            "cloud", "serve", "--port", str(port), "--data", str(self.folder / "cloud"), "--tokens", str(tokens)
        )
        self._spawn("plant", "run", str(self.site))
        await self._until(stop, "the plant", lambda: _asked(self.folder / "plant/plant.sock", "status"))
        await self._until(stop, "the cloud", self._ask_cloud)
        self.gateway = self._spawn("gateway", "run", str(self.site), "--log-level", "info")
        await self._until(stop, "the gateway", self._ask_gateway)
        await self._until(stop, "the first reading", self._first_reading)
        if self.recording is None:
            await self.setpoint.offer(self.site)
        click.secho(f"open {self.page}", fg="cyan", bold=True, err=self.quiet)
        click.secho(f"the gateway's own page: {own_page(self.site)}", fg="cyan", err=self.quiet)

    async def _play(self, stop: asyncio.Event) -> None:
        """Until the seconds are over or a signal comes: do the steps when they are due, look at everything, draw."""
        started = time.monotonic()
        steps = list(self.story.steps)
        console = Console(stderr=self.quiet)
        live = None if self.headless else Live(console=console, refresh_per_second=8, screen=console.is_terminal)
        with live or contextlib.nullcontext():
            tick = 0
            while not stop.is_set():
                elapsed_s = time.monotonic() - started
                if self.seconds is not None and elapsed_s >= self.seconds:
                    break
                while steps and self._is_due(steps[0], elapsed_s):
                    await self._do(steps.pop(0), elapsed_s)
                    elapsed_s = time.monotonic() - started
                await self._look(elapsed_s)
                if live is not None:
                    live.update(draw(
                        page=self.page, elapsed_s=elapsed_s, seconds=self.seconds, pace=self.story.pace,
                        status=self.status, truth=self.truth, stats=self.stats, told=self.told,
                        cable_whole=self.relay.whole, tick=tick,
                    ))  # fmt: skip
                tick += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FRAME_S):
                        await stop.wait()

    def _is_due(self, step: Step, elapsed_s: float) -> bool:
        is_asked = step.action != "approve" or "waiting" in self.setpoint.seen
        return elapsed_s >= step.at_s + (0.0 if is_asked else ASKED_WITHIN_S)

    async def _do(self, step: Step, elapsed_s: float) -> None:
        self._tell(elapsed_s, step.words)
        if step.action == "cut":
            self.relay.cut()
            self.cut_ns = (time.time_ns(), time.time_ns() + int(2 * OUTAGE_S * 1e9))
        elif step.action == "mend":
            self.relay.mend()
            self.kept_at_mend = self.status["ledger"]["kept"]
        elif step.action == "wear":
            await self._fault(WORN, "wear", life_h=self.story.life_h)
        elif step.action == "advise":
            await self.setpoint.advise()
        elif step.action == "approve":
            await self.setpoint.approve()
        elif step.action == "silence":
            await self._fault(SILENCED, "dead_unit")
        elif step.action == "speak":
            await self._fault(SILENCED, "repair")
        elif step.action == "repair":
            await self._fault(WORN, "repair")
            self.repaired = True

    async def _look(self, elapsed_s: float) -> None:
        """Ask gateway and cloud how they are; say what changed."""
        for child in self.children:
            child.check()
            child.sample_rss()
        known = {a["rule"] + a["asset"] for a in self.status.get("alarms", [])}
        await asyncio.to_thread(self._ask_gateway)
        plant = await asyncio.to_thread(_asked, self.folder / "plant/plant.sock", "status")
        self.truth = {machine["asset"]: machine for machine in plant["machines"]}
        for alarm in self.status["alarms"]:
            if alarm["rule"] + alarm["asset"] not in known:
                self._tell(elapsed_s, f"alarm ({alarm['priority']}): {alarm['sentence']}")
        await self._see(elapsed_s)
        if self.kept_at_mend is not None and self.status["ledger"]["acknowledged"] >= self.kept_at_mend:
            self.kept_at_mend = None
            if self.cut_ns is not None:
                self.cut_ns = (self.cut_ns[0], time.time_ns())
            self._tell(elapsed_s, "the backlog is through: nothing is missing")
        await asyncio.to_thread(self._ask_cloud)
        for urgency in self._shown_urgencies():
            if urgency not in self.urgencies:
                self.urgencies.append(urgency)
                self._tell(elapsed_s, f"the fleet page shows {urgency}")
        if self.repaired and set(self._shown_urgencies()) == {"NORMAL"}:
            self.repaired = False
            self._tell(elapsed_s, "the fleet page shows NORMAL for all again: that is the whole story")

    async def _see(self, elapsed_s: float) -> None:
        """An operator acknowledges the worn machine's first alarm at the gateway, and the fleet page comes to show it;
        say what came of the command."""
        waiting = [a for a in self.status["alarms"] if a["asset"] == WORN and a["state"] == "unacknowledged"]
        for alarm in waiting if self.acknowledged is None else []:
            name = (alarm["asset"], alarm["rule"])
            if elapsed_s - self.raised_s.setdefault(name, elapsed_s) >= SEEN_AFTER_S:
                asked = {"asset": name[0], "rule": name[1], "by": OPERATOR}
                await asyncio.to_thread(_asked, self.folder / "gateway/gateway.sock", "acknowledge", **asked)
                self.acknowledged = name
                self._tell(elapsed_s, f"{OPERATOR} acknowledges at the gateway: {alarm['sentence']}")
                break
        if self.acknowledged is not None and not self.acknowledgement_shown and self._fleet_knows(self.acknowledged):
            self.acknowledgement_shown = True
            self._tell(elapsed_s, f"the fleet page shows that {OPERATOR} has acknowledged it")
        if self.setpoint.command:
            for words in self.setpoint.news(await asyncio.to_thread(self._command)):
                self._tell(elapsed_s, words)

    def _fleet_knows(self, name: tuple[str, str]) -> bool:
        """Whether the cloud shows the alarm as acknowledged."""
        assets = [one for one in self.fleet.get("assets", []) if one["asset"] == name[0]]
        alarms = [alarm for one in assets for alarm in one["alarms"]]
        return any((a["rule"], a["state"], a["by"]) == (name[1], "acknowledged", OPERATOR) for a in alarms)

    def _command(self) -> dict[str, Any]:
        """How the cloud says that the command stands."""
        found = self._json(f"/api/v1/commands/{self.setpoint.command}")
        assert isinstance(found, dict)
        return found

    def _shown_urgencies(self) -> list[str]:
        return [asset["urgency"] for asset in self.fleet.get("assets", []) if asset.get("urgency")]

    async def _end(self, clock: tally.PageClock) -> dict[str, Any]:
        """Stop the gateway like anybody would, then compare its ledger with what the cloud holds."""
        self.relay.mend()
        deadline = time.monotonic() + DRAINED_WITHIN_S
        while self.status["uplink"]["backlog_readings"] > 500 and time.monotonic() < deadline:
            await asyncio.sleep(FRAME_S)
            await asyncio.to_thread(self._ask_gateway)
        code = await asyncio.to_thread(self.gateway.end)
        self.children.remove(self.gateway)
        if code != 0:
            raise BabbittError("gateway", f"ended with {code} on SIGTERM", f"see {self.gateway.log}")
        served = await asyncio.to_thread(_asked, self.folder / "plant/plant.sock", "status")
        ledger = json.loads(await self._quick("gateway", "ledger", str(self.site), "--json", may_fail=True))
        await asyncio.to_thread(self._ask_cloud)
        counts = tally.readings(ledger, self.stats)
        return {
            "readings": counts,
            "ledger_balanced": tally.balanced(ledger, counts),
            "served_by_plant": sum(n for tags in served["served"].values() for n in tags.values()),
            "verdicts": self.stats["verdicts"],
            "alarms": self.stats["alarms"],
            "urgencies_seen": self.urgencies,
            "acknowledged": list(self.acknowledged) if self.acknowledged is not None else [],
            "acknowledgement_on_page": self.acknowledgement_shown,
            "setpoint": {"machine": SET, "steps": self.setpoint.seen},
            "latency_ms": {
                "poll_to_alarm_p99": _rounded(self.status["latency_ms"]["poll_to_alarm_p99"]),
                "poll_to_page_p99": _rounded(clock.p99_ms(exclude=self.cut_ns)),
            },
            "rss_mb": {"gateway": round(self.gateway.rss_mb_max, 1), "cloud": round(self.cloud.rss_mb_max, 1)},
            "page": self.page,
        }  # fmt: skip

    async def _fault(self, asset: str, kind: str, **arguments: float) -> None:
        await asyncio.to_thread(_asked, self.folder / "plant/plant.sock", "fault", asset=asset, kind=kind, **arguments)

    def _tell(self, elapsed_s: float, words: str) -> None:
        self.told.append((elapsed_s, words))
        if self.headless:
            click.echo(f"{elapsed_s:6.1f} s  {words}", err=self.quiet)

    def _ask_gateway(self) -> None:
        self.status = _asked(self.folder / "gateway/gateway.sock", "status")

    def _ask_cloud(self) -> None:
        self.stats = self._json("/api/v1/stats")
        self.fleet: dict[str, Any] = self._json("/api/v1/fleet")

    def _json(self, path: str) -> Any:
        try:
            return httpx.get(f"{self.page}{path}", timeout=ANSWERS_WITHIN_S).raise_for_status().json()
        except httpx.HTTPError as error:
            raise BabbittError(self.page, f"the cloud does not answer: {error}") from error

    def _first_reading(self) -> None:
        self._ask_cloud()
        if not self.stats["received_good"]:
            raise BabbittError(self.page, "no reading has come yet")

    def _spawn(self, *arguments: str) -> Child:
        child = Child(arguments[0], list(arguments), self.folder / f"{arguments[0]}.log")
        self.children.append(child)
        return child

    async def _until(self, stop: asyncio.Event, what: str, attempt: Any) -> None:
        """Call ``attempt`` until it raises no ``BabbittError``; a process that ends, or the deadline, ends the wait."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not stop.is_set():
            for child in self.children:
                child.check()
            try:
                await asyncio.to_thread(attempt)
                return
            except BabbittError as error:
                if time.monotonic() > deadline:
                    raise BabbittError(what, f"not there after {READY_WITHIN_S:.0f} s: {error}") from error
            await asyncio.sleep(0.1)
        raise BabbittError("demo", "stopped before it had begun")

    async def _quick(self, *arguments: str, may_fail: bool = False) -> str:
        """Run a ``babbitt`` command to its end and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "edge.cli",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(READY_WITHIN_S):
            out, err = await process.communicate()
        if process.returncode != 0 and not may_fail:
            raise BabbittError(
                "babbitt " + " ".join(arguments[:2]), err.decode().strip().removeprefix("babbitt: ") or "failed"
            )
        return out.decode()


def _asked(socket: Path, command: str, **arguments: Any) -> dict[str, Any]:
    return ask(socket, command, within_s=ANSWERS_WITHIN_S, **arguments)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _print_story(told: list[tuple[float, str]]) -> None:
    for at_s, words in told:
        click.echo(f"{at_s:6.1f} s  {words}")


def _print_summary(summary: dict[str, Any]) -> None:
    click.echo()
    for name, count in summary["readings"].items():
        click.echo(f"{name:14}{count:>12,}")
    click.echo(f"{'balanced':14}{'yes' if summary['ledger_balanced'] else 'NO':>12}")
    latency = summary["latency_ms"]
    click.echo(
        f"poll to alarm p99 {latency['poll_to_alarm_p99']} ms, poll to page p99 {latency['poll_to_page_p99']} ms"
    )
    if summary["setpoint"]["steps"]:
        click.echo(f"setpoint of {summary['setpoint']['machine']}: {', '.join(summary['setpoint']['steps'])}")
    click.echo(f"urgencies shown: {', '.join(summary['urgencies_seen']) or 'none'}")

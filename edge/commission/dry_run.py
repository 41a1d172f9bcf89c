"""The dry run of a site: every unit of every line asked or heard, every tag judged once. It only reads.

Lines are worked side by side and the units of a line one after the other, as the gateway does. Trouble is never an
exception: a line that cannot be opened makes its tags bad, with the reason and, where it can be told, who holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge.commission.findings import LineFound, Mark, SiteFound, TagFound, UnitFound
from edge.commission.holder import held_words
from edge.commission.identify import identity_of, probed
from edge.commission.maturity import maturities
from edge.commission.plausible import all_zero, suspicion
from edge.commission.quality import grade
from edge.config.broker import Broker
from edge.config.lines import AnyLine, PolledLine, PushedLine
from edge.config.site import Site
from edge.config.tables import Asset, Unit
from edge.contract.types import Quality
from edge.errors import LineError
from edge.line_counts import LineCounts, UnitCounts
from edge.ports import Answer, Clock, Driver, Heard, Source, Subject

LISTEN_S_MIN, LISTEN_S_MAX = 5.0, 120.0
FUTURE_S = 2.0
LATE_PERIODS = 10

Say = Callable[[str], None]
Entries = Sequence[tuple[Asset, Unit]]
Twins = Mapping[str, Sequence[str]]


def _nothing(words: str) -> None:
    """Whoever does not look on is told nothing."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How to try: ``reads`` of each polled unit, of which the last counts; ``listen_s`` to a pushed line, by default
    twice its longest period within limits. ``say`` takes a line of progress."""

    clock: Clock
    make_driver: Callable[[PolledLine, Clock], Driver]
    make_source: Callable[[PushedLine, Sequence[Subject], Clock], Source]
    reads: int = 1
    listen_s: float | None = None
    say: Say = _nothing


async def dry_run(site: Site, trial: Trial) -> SiteFound:
    """Try every line of ``site`` on which a unit hangs."""
    at_ns = trial.clock.wall_ns()
    work = []
    for line in site.file.line:
        entries = [(asset, unit) for asset in site.file.asset for unit in asset.unit if unit.line == line.name]
        if entries:
            work.append(_timed(site, line, entries, trial))
    lines = await asyncio.gather(*work)
    return SiteFound(
        site=str(site.path), gateway=site.file.gateway.id, at_ns=at_ns, lines=tuple(lines),
        assets=maturities(site, tuple(lines)),
    )  # fmt: skip


async def _timed(site: Site, line: AnyLine, entries: Entries, trial: Trial) -> LineFound:
    began_ns = trial.clock.mono_ns()
    trouble = ""
    counts: dict[int, UnitCounts] = {}
    try:
        if isinstance(line, PolledLine):
            units, counts = await _polled(site, line, entries, trial)
        else:
            assert isinstance(line, PushedLine)
            units = await _pushed(site, _beside(line), entries, trial)
    except LineError as error:
        trouble = f"{error.where}: {held_words(line, error)}"
        trial.say(f"line {line.name}: {trouble}")
        units = [_silent(site, asset, unit, trouble, trial.clock.wall_ns()) for asset, unit in entries]
    took_s = (trial.clock.mono_ns() - began_ns) / 1e9
    return LineFound(line.name, _kind(line), place_of(line), tuple(units), took_s, trouble, counts)


async def _polled(
    site: Site, line: PolledLine, entries: Entries, trial: Trial
) -> tuple[list[UnitFound], dict[int, UnitCounts]]:  # fmt: skip
    """Raises ``LineError``."""
    driver = trial.make_driver(line, trial.clock)
    await driver.open()
    try:
        units = [await _asked(site, line, asset, unit, driver, trial) for asset, unit in entries]
    finally:
        await driver.close()
    counted = getattr(driver, "counts", None)
    return units, dict(counted.units) if isinstance(counted, LineCounts) else {}


async def _asked(
    site: Site, line: PolledLine, asset: Asset, unit: Unit, driver: Driver, trial: Trial
) -> UnitFound:  # fmt: skip
    profile = site.profiles[unit.profile]
    reads: list[list[Answer]] = []
    response_ms = []
    for n in range(trial.reads):
        if n:
            await trial.clock.sleep(unit.period_ms / 1000)
        asked_ns = trial.clock.mono_ns()
        reads.append(await driver.read(unit.unit, profile))
        if any(answer.quality != Quality.BAD_BUS for answer in reads[-1]):
            response_ms.append((trial.clock.mono_ns() - asked_ns) / 1e6)
    read_ns = trial.clock.wall_ns()
    proof = await probed(driver, unit.unit, profile) if response_ms else None
    identity = await identity_of(driver, unit.unit) if response_ms else {}
    count = len(profile.point)
    tags = _judged(profile.point, reads, [read_ns] * count, [0.0] * count, unit.period_ms / 1000, _twins(site, asset))
    found = UnitFound(
        asset=asset.id, unit=unit.unit, at=unit.at, profile=unit.profile, products=profile.device.products, tags=tags,
        reads=trial.reads, response_ms=tuple(response_ms), identity=identity,
        proved=proof.proved if proof else None, probe_words=proof.words if proof else "",
    )  # fmt: skip
    trial.say(_progress(line, found))
    return found


def _beside(line: PushedLine) -> PushedLine:
    """The same line as a second program may use it: a client name of its own, so that the gateway's session lives on
    and nothing is taken out of it; and no claim to be the host that devices wait for."""
    changes: dict[str, Any] = {}
    broker = getattr(line, "broker", None)
    if isinstance(broker, Broker):
        changes["broker"] = msgspec.structs.replace(broker, client_id=f"{broker.client_id[:56]}-check")
    changes |= {name: off for name, off in (("persistent", False), ("host_id", "")) if hasattr(line, name)}
    return msgspec.structs.replace(line, **changes)


@dataclass(slots=True)
class _Ear:
    """What has been heard of each subject: by the point's place the answer, when it was true, and when it came."""

    sizes: list[int]
    clock: Clock
    heard: list[dict[int, tuple[Answer, int, int]]] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.heard = [{} for _ in self.sizes]

    def hear(self, heard: Heard) -> None:
        now_ns = self.clock.wall_ns()
        times = heard.source_ns or (None,) * len(heard.places)
        for place, answer, at_ns in zip(heard.places, heard.answers, times, strict=True):
            self.heard[heard.subject][place] = (answer, now_ns if at_ns is None else at_ns, now_ns)
        if all(len(found) == size for found, size in zip(self.heard, self.sizes, strict=True)):
            self.complete.set()


async def _pushed(site: Site, line: PushedLine, entries: Entries, trial: Trial) -> list[UnitFound]:
    """Listen until every point of every unit has spoken, or the time is over. Raises ``LineError``."""
    profiles = [site.profiles[unit.profile] for _, unit in entries]
    subjects = [
        Subject(unit.unit, unit.at, profile, unit.period_ms / 1000)
        for (_, unit), profile in zip(entries, profiles, strict=True)
    ]
    source = trial.make_source(line, subjects, trial.clock)
    patience_s = trial.listen_s or min(
        max(LISTEN_S_MIN, 2 * max(subject.period_s for subject in subjects)), LISTEN_S_MAX
    )
    ear = _Ear([len(profile.point) for profile in profiles], trial.clock)
    trial.say(f"line {line.name}: listening for {patience_s:g} s at most")
    await source.open()
    running = asyncio.ensure_future(source.run(ear.hear))
    complete = asyncio.ensure_future(ear.complete.wait())
    try:
        await asyncio.wait({running, complete}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # A source lasts until it is cancelled: whatever ended it is a fault of ours.
        units = [
            _overheard(
                site, asset, unit, profile, ear.heard[i], _why_silent(source, i, patience_s), trial.clock.wall_ns()
            )
            for i, ((asset, unit), profile) in enumerate(zip(entries, profiles, strict=True))
        ]
    finally:
        running.cancel()
        complete.cancel()
        await asyncio.wait({running, complete})
        await source.close()
    for found in units:
        trial.say(_progress(line, found))
    return units


def _why_silent(source: Source, subject: int, patience_s: float) -> str:
    return source.trouble(subject) or f"nothing came within {patience_s:g} s; make the device speak, or listen longer"


def _twins(site: Site, asset: Asset) -> Twins:
    """For each redundant sensor those that measure the same."""
    groups = [group.tags for group in (*site.classes[asset.class_].redundant, *asset.redundant)]
    return {tag: tuple(other for other in group if other != tag) for group in groups for tag in group}


def _overheard(
    site: Site, asset: Asset, unit: Unit, profile: Any, heard: dict[int, tuple[Answer, int, int]], silent: str,
    now_ns: int,
) -> UnitFound:  # fmt: skip
    missing = (Answer(None, Quality.BAD_BUS, silent), now_ns, now_ns)
    rows = [heard.get(place, missing) for place in range(len(profile.point))]
    answers = [answer for answer, _, _ in rows]
    ages_s = [(came_ns - at_ns) / 1e9 for _, at_ns, came_ns in rows]
    return UnitFound(
        asset=asset.id, unit=unit.unit, at=unit.at, profile=unit.profile, products=profile.device.products,
        tags=_judged(
            profile.point, [answers], [at_ns for _, at_ns, _ in rows], ages_s, unit.period_ms / 1000,
            _twins(site, asset),
        ),
    )  # fmt: skip


def _silent(site: Site, asset: Asset, unit: Unit, words: str, now_ns: int) -> UnitFound:
    return _overheard(site, asset, unit, site.profiles[unit.profile], {}, words, now_ns)


def _judged(
    points: Sequence[Any], reads: Sequence[Sequence[Answer]], at_ns: Sequence[int], age_s: Sequence[float],
    period_s: float, twins: Twins,
) -> tuple[TagFound, ...]:  # fmt: skip
    """Each of ``points`` by the last of its ``reads``; what failed only before is told too."""
    last = reads[-1]
    zeros = all_zero([answer.value for answer in last if not answer.quality.is_bad])
    found = []
    for i, (point, answer) in enumerate(zip(points, last, strict=True)):
        bad = [read[i] for read in reads if read[i].quality.is_bad]
        mark, words = _mark(point, answer, age_s[i], period_s, zeros)
        if bad and mark != "bad":
            unsteady = f"bad in {len(bad)} of {len(reads)} reads: {bad[-1].detail}"
            mark, words = "suspicious", f"{unsteady}; {words}" if words else unsteady
        found.append(TagFound(
            tag=point.tag, title=point.title, value=answer.value, unit=point.unit, decimals=point.decimals,
            quality=answer.quality, at_ns=at_ns[i], age_s=age_s[i], mark=mark, words=words, bad_reads=len(bad),
            grade=grade(
                point, [None if read[i].quality.is_bad else read[i].value for read in reads], mark,
                period_s=period_s, checked_by=twins.get(point.tag, ()),
            ),
        ))  # fmt: skip
    return tuple(found)


def _mark(point: Any, answer: Answer, age_s: float, period_s: float, zeros: bool) -> tuple[Mark, str]:
    if answer.quality.is_bad:
        cause = answer.quality.cause
        return "bad", f"{cause}: {answer.detail}" if answer.detail else str(cause)
    words = [suspicion(point, answer.value)]
    if zeros and isinstance(answer.value, int | float) and not isinstance(answer.value, bool):
        words.append("every number of this unit is 0")
    if answer.quality == Quality.UNCERTAIN:
        words.append(f"uncertain, says the device{': ' + answer.detail if answer.detail else ''}")
    if age_s < -FUTURE_S:
        words.append(f"from the future by {-age_s:.0f} s: compare the clocks")
    elif age_s > max(LATE_PERIODS * period_s, FUTURE_S):
        words.append(f"{age_s:.0f} s old")
    said = "; ".join(word for word in words if word)
    return ("suspicious", said) if said else ("ok", "")


def _progress(line: AnyLine, found: UnitFound) -> str:
    bad = sum(tag.mark == "bad" for tag in found.tags)
    odd = sum(tag.mark == "suspicious" for tag in found.tags)
    marks = ", ".join(f"{count} {mark}" for count, mark in ((bad, "bad"), (odd, "suspicious")) if count)
    return f"line {line.name}: {found.name}: {len(found.tags)} tags, {marks or 'all ok'}"


def _kind(line: AnyLine) -> str:
    return str(type(line).__struct_config__.tag)


def place_of(line: AnyLine | Broker) -> str:
    """Where the line is, in words: whatever of device and speed, host and port, broker or address it has."""

    def key(name: str) -> str:
        return str(getattr(line, name, ""))

    broker = getattr(line, "broker", None)
    if isinstance(broker, Broker):
        return place_of(broker)
    if key("device"):
        return f"{key('device')}, {key('baud')} baud, {key('bits') or 8}{key('parity')}{key('stop_bits')}"
    if key("host") or key("interface"):
        return f"{key('host') or key('interface')}:{key('port')}"
    return key("url")

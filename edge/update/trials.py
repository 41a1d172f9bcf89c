"""A configuration as a trial: the gateway runs it for some minutes and keeps it if coverage holds, else goes back.

The room ``run`` is the only one that changes what runs. Commands leave it an order and look at what came of it, so that
a terminal that goes away leaves a trial that ends by itself. What is on disk says at every instant which configuration
a restart takes: the last that was kept (see ``versions``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from edge.config.site import Site, load_site
from edge.contract.types import Batch
from edge.errors import BabbittError, ConfigError, StoreError
from edge.ports import Clock
from edge.update.coverage import Coverage, Look, Standing, judged, since
from edge.update.difference import Difference, difference
from edge.update.versions import Index, Versions, config_folder, contents_of, digest_of

LOOKS_EVERY_S = 60.0
LOOKS_KEPT = 10
"""So many looks make the ten minutes that a trial is compared with."""
JUDGED_EVERY_S = 0.5
RETRY_S = 5.0
MINUTES_MAX = 24 * 60

log = logging.getLogger("babbitt.update")

T = TypeVar("T")
State = Literal["none", "switching", "on trial", "kept", "rolled back"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the newest trial, or how it stands."""

    state: State = "none"
    number: int = 0
    former: int = 0
    left_s: float = 0.0
    reason: str = ""
    units: tuple[Standing, ...] = ()


@dataclass(slots=True)
class _Trial:
    """``before`` is what was counted in the minutes before, ``start`` the look at its beginning."""

    site: Site
    number: int
    length_ns: int
    margin: float
    before: Look
    start: Look
    start_ns: int = 0


class Trials:
    """``switch`` makes the gateway run a site, or raises ``BabbittError`` and leaves all as it was."""

    def __init__(
        self, site: Site, *, clock: Clock, switch: Callable[[Site], Awaitable[None]], workers: Any, user: str
    ) -> None:
        self.kept = site
        self.coverage = Coverage(site)
        self._versions = Versions(config_folder(site), site.path)
        self._clock, self._switch, self._workers, self._user = clock, switch, workers, user
        self._looks: deque[Look] = deque([self.coverage.look()], maxlen=LOOKS_KEPT)
        self._looked_ns = clock.mono_ns()
        self._trial: _Trial | None = None
        self._outcome = Outcome()
        self._aborted = ""
        self._stirred = asyncio.Event()
        self._ordering = asyncio.Lock()
        # What the start writes down is there before anybody asks for versions or changes them.
        self._remembered = asyncio.Event()

    def observe(self, batch: Batch) -> None:
        self.coverage.observe(batch)

    def commands(self) -> dict[str, Callable[..., Awaitable[dict[str, Any]]]]:
        """What may be asked for over the gateway's socket."""
        return {
            "difference": self.difference, "apply": self.apply, "trial": self.trial, "abort": self.abort,
            "versions": self.versions, "rollback": self.rollback,
        }  # fmt: skip

    # Commands.

    async def difference(self, file: str) -> dict[str, Any]:
        """What ``file`` would change, and its ``digest``: by it ``apply`` knows that it is the same."""
        site, contents = await self._on_disk(partial(self._read, file))
        return {"digest": digest_of(contents), **plain_difference(difference(self.kept, site))}

    async def apply(self, file: str, digest: str, minutes: float, margin: float, who: str, why: str) -> dict[str, Any]:
        """Let ``file`` go on trial. Raises ``BabbittError`` where that cannot be."""
        if not 0 < minutes <= MINUTES_MAX or not 0 <= margin <= 1:
            raise BabbittError("trial", f"{minutes:g} minutes with a margin of {margin:g}", "up to 1440, and 0 to 1")
        async with self._ordering:
            await self._remembered.wait()
            self._check_idle("wait for its end, or abort it")
            site, contents = await self._on_disk(partial(self._read, file))
            if digest_of(contents) != digest:
                raise BabbittError(file, "it was changed since its difference was shown", "look at it again")
            _check_live(self.kept, site)
            number = await self._on_disk(partial(self._versions.begin, contents, who=who, why=why))
            site = await self._on_disk(partial(self._versions.load, number))
            now = self.coverage.look()
            self._aborted = ""
            self._trial = _Trial(site, number, round(minutes * 60e9), margin, since(self._looks[0], now), now)
            self._outcome = Outcome("switching", number, (await self._index()).current, minutes * 60)
            self._stirred.set()
            return {"number": number}

    async def trial(self) -> dict[str, Any]:
        """How the trial stands, or how the last one ended."""
        outcome = self._outcome
        if self._trial is not None and outcome.state == "on trial":
            left_s = (self._trial.start_ns + self._trial.length_ns - self._clock.mono_ns()) / 1e9
            outcome = replace(outcome, left_s=max(0.0, left_s), units=tuple(self._standing(self._trial)))
        return {**_plain(outcome), "units": [_plain_unit(standing) for standing in outcome.units]}

    def brief(self) -> dict[str, Any]:
        """For the status: whether something is on trial, and for how long still."""
        trial = self._trial
        if trial is None:
            return {"on_trial": None}
        ends_ns = (trial.start_ns or self._clock.mono_ns()) + trial.length_ns
        return {"on_trial": trial.number, "left_s": max(0.0, (ends_ns - self._clock.mono_ns()) / 1e9)}

    async def abort(self) -> dict[str, Any]:
        """Go back at once."""
        if self._trial is None:
            raise BabbittError("trial", "nothing is on trial", "`babbitt gateway versions` lists what ran")
        self._aborted = "aborted"
        self._stirred.set()
        return {"number": self._trial.number}

    async def versions(self) -> dict[str, Any]:
        return _plain(await self._index())

    async def rollback(self, number: int | None, who: str) -> dict[str, Any]:
        """Go back to a version that was kept: ``number``, or the last before the current one."""
        async with self._ordering:
            self._check_idle("abort it: that goes back")
            index = await self._index()
            wanted = former(index) if number is None else number
            site = await self._on_disk(partial(self._versions.load, wanted))
            _check_live(self.kept, site)
            changes = plain_difference(difference(self.kept, site))
            await self._switch(site)
            try:
                await self._on_disk(partial(self._versions.keep, wanted))
            except BabbittError:
                # What runs is what the next start takes: a disk that takes nothing changes nothing.
                await self._switch(self.kept)
                raise
            self._take(site)
            log.warning("configuration: back to version %d, asked for by %s", wanted, who)
            return {"number": wanted, "former": index.current, **changes}

    def _check_idle(self, hint: str) -> None:
        if self._trial is not None:
            raise BabbittError("trial", f"version {self._trial.number} is on trial", hint)

    # The room.

    async def run(self) -> None:
        """Carry out orders, judge what is on trial, look now and then, until cancelled."""
        await self._remember()
        self._remembered.set()
        if self._trial is not None and self._trial.start_ns:
            await self._go_back("the gateway had to start a part of itself again")
        while True:
            self._look()
            trial = self._trial
            if trial is None:
                await self._stir(LOOKS_EVERY_S)
            elif self._outcome.state == "switching":
                await self._begin(trial)
            else:
                await self._judge(trial)

    async def _remember(self) -> None:
        """What runs is a version. A disk that takes none keeps no gateway from running."""
        try:
            if self._trial is None:
                await self._on_disk(partial(self._versions.roll_back, "the gateway ended amid the trial"))
            await self._on_disk(partial(self._versions.started, self.kept, self._user))
        except BabbittError as error:
            log.warning("this configuration is not kept as a version: %s", error)

    async def _begin(self, trial: _Trial) -> None:
        trial.start_ns = self._clock.mono_ns()
        try:
            await self._switch(trial.site)
        except BabbittError as error:
            await self._end("rolled back", f"it cannot run: {error}")
            return
        self.coverage.change(trial.site)
        trial.start, trial.start_ns = self.coverage.look(), self._clock.mono_ns()
        self._outcome = replace(self._outcome, state="on trial")
        log.warning("configuration: version %d on trial for %.1f min", trial.number, trial.length_ns / 60e9)

    async def _judge(self, trial: _Trial) -> None:
        standing = self._standing(trial)
        lost = [s for s in standing if s.words]
        if self._aborted:
            await self._go_back(self._aborted)
        elif lost:
            await self._go_back("; ".join(f"{s.key}: {s.words}" for s in lost[:5]))
        elif self._clock.mono_ns() >= trial.start_ns + trial.length_ns:
            await self._keep(trial)
        else:
            await self._stir(JUDGED_EVERY_S)

    async def _keep(self, trial: _Trial) -> None:
        try:
            await self._on_disk(partial(self._versions.keep, trial.number))
        except BabbittError as error:
            await self._go_back(f"coverage holds, but it cannot be kept: {error}")
            return
        standing = tuple(self._standing(trial))
        self.kept = trial.site
        self._end_with("kept", "coverage holds", standing)

    async def _go_back(self, reason: str) -> None:
        """First on disk: a power cut in between starts what is gone back to."""
        assert self._trial is not None
        standing = tuple(self._standing(self._trial))
        await self._settle(reason)
        while True:
            try:
                await self._switch(self.kept)
                break
            except BabbittError as error:
                log.error("configuration: the last good one cannot run: %s; trying again", error)
                await self._clock.sleep(RETRY_S)
        self.coverage.change(self.kept)
        self._end_with("rolled back", reason, standing)

    async def _end(self, state: State, reason: str) -> None:
        await self._settle(reason)
        self._end_with(state, reason, ())

    async def _settle(self, reason: str) -> None:
        try:
            await self._on_disk(partial(self._versions.roll_back, reason))
        except BabbittError as error:
            log.error("configuration: the next start will say that this trial was cut short: %s", error)

    def _end_with(self, state: State, reason: str, standing: tuple[Standing, ...]) -> None:
        self._outcome = replace(self._outcome, state=state, reason=reason, left_s=0.0, units=standing)
        self._trial = None
        self._looks.clear()
        self._looks.append(self.coverage.look())
        log.warning("configuration: version %d %s: %s", self._outcome.number, state, reason)

    def _take(self, site: Site) -> None:
        self.kept = site
        self.coverage.change(site)

    def _look(self) -> None:
        now_ns = self._clock.mono_ns()
        if self._trial is None and now_ns - self._looked_ns >= LOOKS_EVERY_S * 1e9:
            self._looked_ns = now_ns
            self._looks.append(self.coverage.look())

    def _standing(self, trial: _Trial) -> list[Standing]:
        done = min(1.0, max(1e-6, (self._clock.mono_ns() - trial.start_ns) / trial.length_ns))
        return judged(trial.before, since(trial.start, self.coverage.look()), done=done, margin=trial.margin)

    async def _stir(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._stirred.wait()
        except TimeoutError:
            return
        self._stirred.clear()

    def _read(self, file: str) -> tuple[Site, dict[str, bytes]]:
        source = Path(file)
        site = load_site(self.kept.path, source=source)
        return site, contents_of(site, source)

    async def _index(self) -> Index:
        """Of the versions, once the start is among them."""
        await self._remembered.wait()
        return await self._on_disk(self._versions.index)

    async def _on_disk(self, call: Callable[[], T]) -> T:
        """Raises ``BabbittError`` for whatever goes wrong there."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, call)
        except OSError as error:
            raise StoreError(str(error.filename or config_folder(self.kept)), error.strerror or str(error)) from error


def former(index: Index) -> int:
    """The version that was kept before the current one. Raises ``ConfigError`` where there is none."""
    kept = [version.number for version in index.versions if version.state == "kept" and version.number != index.current]
    older = [number for number in kept if number < index.current] or kept
    if not older:
        raise ConfigError("versions", "there is none but the one that runs", "`babbitt gateway versions` lists them")
    return max(older)


def plain_difference(found: Difference) -> dict[str, Any]:
    """As JSON has it, each change with its ``words`` for a person."""
    return {
        "changes": [{**asdict(change), "words": str(change)} for change in found.changes],
        "refused": [{**asdict(change), "words": str(change)} for change in found.refused],
        "anew": list(found.anew),
        "undisturbed": list(found.undisturbed),
    }


def _check_live(old: Site, new: Site) -> None:
    refused = difference(old, new).refused
    if refused:
        keys = ", ".join(f"`{change.key or change.name}`" for change in refused)
        raise ConfigError(
            str(new.path), f"{keys}: changes only with a restart", "edit the site file, then stop and start the gateway"
        )


def _plain(value: Any) -> dict[str, Any]:
    plain = msgspec.to_builtins(value)
    assert isinstance(plain, dict)
    return plain


def _plain_unit(standing: Standing) -> dict[str, Any]:
    return {
        **standing.key._asdict(), "before": standing.before, "share": standing.during.share,
        "due": standing.during.due, "good": standing.during.good, "words": standing.words,
    }  # fmt: skip

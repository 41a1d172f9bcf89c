"""A configuration that the cloud sent, as a trial: whose it is, tried once, and told how it ended.

A small file says which one was taken last, so that it is tried once however often it comes, also over restarts. What
became of it is told as ``Outcome``s under its id, in the same audit as commands: ``accepted`` (on trial), then
``kept``, ``rolled back``, ``refused`` or ``expired``; each end is durable before it counts as told.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edge.contract.commands import CommandStep, Outcome
from edge.contract.downlink import Configuration
from edge.errors import BabbittError
from edge.ports import Clock
from edge.sparing import Sparing
from edge.update.trials import Trials
from edge.update.versions import replace_file

FILE, TEXT = "offered.json", "offered.toml"
MARGIN = 0.05
"""Of coverage, as for a trial that somebody begins beside the gateway."""
WORDS_MAX = 300
STRANGE_MAX = 16
"""So many that nobody signed are remembered, so that each is told once; so many are told at once, and then"""
STRANGE_EVERY_S = 600.0
"""one in so long: whoever has the cloud and no key fills no audit."""

log = logging.getLogger("babbitt.update")

T = TypeVar("T")


class Taken(msgspec.Struct, frozen=True):
    """The configuration that was taken last: ``hash`` is that of its version. ``begun``: its end is not told yet.

    ``after`` is the newest version that was there before: a former one may have the same contents.
    ``strange`` are those that nobody signed, which keep no later one out, by ``_print_of``.
    """

    number: int = 0
    id: str = ""
    hash: str = ""
    begun: bool = False
    after: int = 0
    strange: tuple[str, ...] = ()


class Configured:
    """``step`` takes what is wanted and follows what is on trial.

    ``trusted`` says why a configuration's signature does not count, and is empty where it does; it may touch the disk.
    ``note`` enters an outcome into the audit, ``commit`` makes it durable.
    """

    def __init__(
        self, trials: Trials, folder: Path, *, gateway: str, minutes: float, clock: Clock, workers: Any,
        trusted: Callable[[Configuration], str], note: Callable[[Outcome], None], commit: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._trials, self._folder, self._gateway, self._minutes = trials, folder, gateway, minutes
        self._clock, self._workers = clock, workers
        self._trusted, self._note, self._commit = trusted, note, commit
        self._taken: Taken | None = None
        self._waits = ""
        self._false = ""
        self._sparing = Sparing(STRANGE_MAX, STRANGE_EVERY_S)

    async def step(self, wanted: Configuration | None) -> None:
        """One round. What the disk does not take now is tried again in the next."""
        try:
            if self._taken is None:
                self._taken = await self._on_disk(self._read)
            if self._trials.brief()["on_trial"] is not None:
                return
            if self._taken.begun:
                await self._follow(self._taken, wanted)
            elif wanted is not None and wanted.id != self._taken.id:
                await self._take(self._taken, wanted)
        except OSError as error:
            self._say_waits(str(error))

    def _say_waits(self, why: str) -> None:
        """Once for each reason in a row."""
        if why != self._waits:
            self._waits = why
            log.error("a configuration from the cloud waits: %s", why)

    async def _take(self, taken: Taken, wanted: Configuration) -> None:
        print_ = _print_of(wanted)
        if print_ == self._false or print_ in taken.strange:
            return
        is_old = wanted.number <= taken.number
        if words := await self._why_not(wanted):
            self._false = print_
            if not is_old:
                await self._refuse_stranger(taken, wanted, words)
        elif is_old:
            self._false = print_
            await self._refuse_stranger(taken, wanted, f"its number is {wanted.number}, and {taken.number} was here")
        elif not self._clock.trusted():
            self._say_waits("nobody knows here what time it is, so it may be too late for it")
        elif self._clock.wall_ns() >= wanted.expires_ns:
            await self._end(wanted, CommandStep.EXPIRED, "its time was over when it came")
        else:
            await self._begin(wanted)

    async def _why_not(self, wanted: Configuration) -> str:
        if wanted.gateway != self._gateway:
            return f"it is for gateway {wanted.gateway[:60]!r}"
        return await self._on_disk(partial(self._trusted, wanted))

    async def _refuse_stranger(self, taken: Taken, wanted: Configuration, words: str) -> None:
        """Nobody vouches for its number, or an old one was handed on again: no later one is kept out by that."""
        if self._sparing.takes(self._clock.mono_ns()):
            self._say(wanted, CommandStep.REFUSED, words + self._sparing.words())
            await self._commit()
            strange = (*taken.strange, _print_of(wanted))[-STRANGE_MAX:]
            await self._keep(msgspec.structs.replace(taken, strange=strange))

    async def _begin(self, wanted: Configuration) -> None:
        text = self._folder / TEXT
        await self._on_disk(partial(replace_file, text, wanted.text.encode()))
        try:
            found = await self._trials.difference(str(text))
            if not found["changes"] and not found["refused"]:
                await self._end(wanted, CommandStep.KEPT, "it is what runs already")
                return
            after = max((one["number"] for one in await self._versions()), default=0)
            await self._keep(Taken(
                wanted.number, wanted.id, found["digest"], begun=True, after=after, strange=self._strange
            ))  # fmt: skip
            await self._trials.apply(
                str(text), found["digest"], self._minutes, MARGIN, f"{wanted.by} (from the cloud)", wanted.why
            )
        except BabbittError as error:
            await self._end(wanted, CommandStep.REFUSED, str(error))
            return
        self._say(wanted, CommandStep.ACCEPTED, f"on trial for {self._minutes:g} min: {wanted.why}")

    async def _follow(self, taken: Taken, wanted: Configuration | None) -> None:
        """Nothing is on trial: what became of the one that was?"""
        try:
            versions = await self._versions()
        except BabbittError as error:
            log.error("what became of configuration %d is not known: %s", taken.number, error)
            return
        found = [one for one in versions if one["hash"] == taken.hash and one["number"] > taken.after]
        if found:
            kept = found[-1]["state"] == "kept"
            words = "coverage held" if kept else found[-1]["note"]
            await self._ended(taken, CommandStep.KEPT if kept else CommandStep.ROLLED_BACK, words)
        elif wanted is not None and wanted.id == taken.id:
            await self._begin(wanted)  # The gateway ended before it began.
        else:
            await self._ended(taken, CommandStep.ROLLED_BACK, "the gateway ended before it was begun")

    async def _versions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._trials.versions())["versions"]
        return found

    async def _end(self, wanted: Configuration, step: CommandStep, words: str) -> None:
        await self._ended(Taken(wanted.number, wanted.id), step, words)

    async def _ended(self, taken: Taken, step: CommandStep, words: str) -> None:
        """Told first, durably: a cut in between tells it twice, and never not at all."""
        self._say(taken, step, words)
        await self._commit()
        await self._keep(Taken(taken.number, taken.id, strange=self._strange))

    def _say(self, one: Configuration | Taken, step: CommandStep, words: str) -> None:
        log.warning("configuration %d from the cloud: %s: %s", one.number, step.value, words)
        self._note(Outcome(
            asset=self._gateway, at_ns=self._clock.wall_ns(), command=one.id, order=one.number, contract="", tag="",
            step=step, value=None, before=None, read_back=None, by="gateway", words=words[:WORDS_MAX],
        ))  # fmt: skip

    @property
    def _strange(self) -> tuple[str, ...]:
        return self._taken.strange if self._taken is not None else ()

    async def _keep(self, taken: Taken) -> None:
        await self._on_disk(partial(replace_file, self._folder / FILE, msgspec.json.encode(taken)))
        self._taken, self._waits = taken, ""

    def _read(self) -> Taken:
        path = self._folder / FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=Taken)
        except FileNotFoundError:
            return Taken()
        except msgspec.DecodeError as error:
            log.error("%s cannot be read: %s", path, error)
            return Taken()

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, call)


def _print_of(one: Configuration) -> str:
    """Of a configuration with its signature: one that nobody signed does not stand for the same that somebody did."""
    return hashlib.sha256(f"{one.id} {one.key} {one.signature}".encode()).hexdigest()[:16]

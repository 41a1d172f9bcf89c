"""Bundles as a trial: what the cloud offers judges beside what counts, counts once it is no worse, else is given up.

The new one sees the same readings at the same time while the old one's verdicts count: nobody is warned, or not warned,
by something untried, and the comparison is of like with like. Once it counts the old one goes on beside for as long
again, warm, so that going back takes no learning. After that a bundle that the cloud withdraws is gone back from to the
one before, which lies on the shelf.

What is on disk says first what is to be; a cut at any instant starts with one or the other, whole. Nothing is ever
pushed in: the gateway asks, over its own connection, and what it cannot use it refuses in words that the cloud is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from edge.contract.desired import Desired, Offer
from edge.contract.types import BundleChange, BundleStep
from edge.errors import BundleError, StoreError
from edge.ports import Clock, Judged, JudgeLate, LinkDown, Standing
from edge.update.asking import Asker
from edge.update.fetch import fetch
from edge.update.orders import Back, Begin, End, orders
from edge.update.seats import ENDED_MAX, FORMER_MAX, Ended, Judging, Seat, Seats, Trial
from edge.update.telling import WORDS_MAX, as_it_stands, changed, status_of

TICK_S = 0.5
TRIALS_MAX = 32
"""At a time: each takes a quarter of a megabyte beside what counts. The others wait for their turn."""

log = logging.getLogger("babbitt.update")

T = TypeVar("T")


class Between(Protocol):
    """Makes a call that touches the judge of ``asset`` between two polls. Raises ``JudgeLate``."""

    async def __call__(self, asset: str, call: Callable[[], T], /) -> T: ...


class Bundles:
    """``judges`` and ``classes`` are of now, by asset; ``signals`` are an asset's tags; ``tell`` has the cloud told.

    ``between(asset, call)`` makes a call that touches the asset's judge between two polls.
    """

    def __init__(
        self, seats: Seats, asker: Asker, *, clock: Clock, workers: Executor,
        judges: Callable[[], Mapping[str, Judged]], classes: Callable[[], Mapping[str, str]],
        signals: Callable[[str], Collection[str]], tell: Callable[[BundleChange], None], between: Between,
    ) -> None:  # fmt: skip
        self._seats, self._asker, self._clock, self._workers = seats, asker, clock, workers
        self._judges, self._classes, self._signals, self._tell = judges, classes, signals, tell
        self._between = between
        self._standings: dict[str, Standing | None] = {}
        self._turn = 0
        self._detail = ""

    def resume(self) -> None:
        """Go on with the trials that were under way at the last end; before anything is judged. Touches the disk.

        What was told last may have gone with the power before it was durable: how things stand is told again.
        """
        running = {asset: judge.bundle for asset, judge in self._judges().items()}
        for change in as_it_stands(self._seats.judging, self._seats.trouble, running, self._clock.wall_ns()):
            self._tell(change)
        for asset, seat in self._seats.judging.seats.items():
            if seat.trial is not None and asset in self._judges():
                try:
                    self._judges()[asset].face(self._beside(asset, seat.trial))
                except BundleError as error:
                    log.error("%s: the trial of %s cannot go on: %s", asset, seat.trial.bundle[:12], error)

    async def run(self) -> None:
        """Carry out what is wanted, watch what is on trial, until cancelled."""
        while True:
            await self.step()
            await self._clock.sleep(TICK_S)

    async def step(self) -> None:
        """One round of it."""
        if self._asker.turn != self._turn:
            self._turn, self._detail = self._asker.turn, ""
            if self._asker.desired is not None:
                await self._carry_out(self._asker.desired)
        for asset, seat in self._seats.judging.seats.items():
            if seat.trial is not None and asset in self._judges():
                with contextlib.suppress(JudgeLate):
                    await self._watch(asset, seat, seat.trial)

    def status(self) -> dict[str, Any]:
        """For a person who asks the gateway."""
        seats = self._seats
        assets = {
            asset: status_of(judge, seats.judging.seat(asset), seats.trouble.get(asset, ""), self._standings.get(asset))
            for asset, judge in self._judges().items()
        }
        given_up = [{"asset": e.asset, "bundle": e.bundle, "at": e.at, "why": e.why} for e in seats.judging.ended[-3:]]
        return {"detail": self._detail or self._asker.detail, "assets": assets, "given_up": given_up}

    def _judge(self, asset: str) -> Judged:
        judge = self._judges().get(asset)
        if judge is None:
            raise JudgeLate(asset)
        return judge

    async def _standing(self, asset: str, trial: Trial) -> Standing | None:
        standing = await self._between(asset, partial(self._judge(asset).standing, trial.watch_s))
        self._standings[asset] = standing
        return standing

    # What is wanted.

    async def _carry_out(self, desired: Desired) -> None:
        running = {asset: judge.bundle for asset, judge in self._judges().items()}
        classes = {asset: name for asset, name in self._classes().items() if asset in running}
        now_ns = self._clock.wall_ns() if self._clock.trusted() else None
        for order in orders(self._seats.judging, desired, classes, running, now_ns):
            with contextlib.suppress(JudgeLate):
                match order:
                    case Begin() if self._trials() < TRIALS_MAX:
                        await self._begin(order.asset, order.offer)
                    case End():
                        await self._end(order.asset, BundleStep.WITHDRAWN, order.words)
                    case Back():
                        await self._go_back(order.asset, order.to, BundleStep.WITHDRAWN, order.words)

    def _trials(self) -> int:
        return sum(seat.trial is not None for seat in self._seats.judging.seats.values())

    async def _begin(self, asset: str, offer: Offer) -> None:
        judge = self._judge(asset)
        trial = Trial(
            bundle=offer.bundle, former=self._seats.judging.seat(asset).bundle, number=offer.number, phase="watched",
            watch_s=offer.watch_s, by=offer.by, why=offer.why, stage=offer.stage, stages=offer.stages,
        )  # fmt: skip
        try:
            if self._asker.desk is not None:
                await fetch(offer, self._seats.shelf, self._asker.desk, self._on_disk)
            rival = await self._on_disk(partial(self._beside, asset, trial))
        except LinkDown as down:
            self._detail = f"bundle {offer.bundle[:12]} has not come: {down}"
            return
        except BundleError as error:
            await self._give_up(asset, trial, BundleStep.REFUSED, str(error))
            return
        except StoreError as error:
            self._detail = str(error)
            return
        seat = self._seats.judging.seat(asset)
        if await self._note(lambda judging: judging.seated(asset, replace(seat, trial=trial))):
            self._standings.pop(asset, None)
            await self._between(asset, partial(judge.face, rival))
            self._say(asset, BundleStep.WATCHED, trial, 0, f"rollout {offer.number} by {offer.by}: {offer.why}")

    def _beside(self, asset: str, trial: Trial) -> Any:
        """What judges beside in a trial as it stands. Raises ``BundleError``. Touches the disk."""
        newcomer = trial.phase == "watched"
        bundle = self._seats.named(trial.bundle if newcomer else trial.former, asset)
        rival = self._judge(asset).rival(bundle, newcomer=newcomer)
        missing = sorted(set(rival.tags) - set(self._signals(asset)))
        if missing and newcomer:
            raise BundleError(trial.bundle[:16], f"{asset} has no {', '.join(missing[:5])}", "it is for other machines")
        return rival

    # What is on trial.

    async def _watch(self, asset: str, seat: Seat, trial: Trial) -> None:
        judge, standing = self._judge(asset), await self._standing(asset, trial)
        if standing is None:
            await self._take_up(asset, trial)
        elif standing.words and trial.phase == "watched":
            await self._end(asset, BundleStep.ROLLED_BACK, standing.words)
        elif standing.words:
            await self._go_back(asset, trial.former, BundleStep.ROLLED_BACK, standing.words)
        elif standing.done and trial.phase == "watched":
            words = f"no worse than the one before in {standing.verdicts} verdicts"
            counts = Seat(
                bundle=trial.bundle, why=f"rollout {trial.number} by {trial.by}: {trial.why}", at=self._now(),
                number=trial.number, former=(*seat.former, seat.bundle)[-FORMER_MAX:],
                trial=replace(trial, phase="guarded"),
            )  # fmt: skip
            if await self._note(lambda judging: judging.seated(asset, counts)):
                await self._between(asset, judge.swap)
                self._say(asset, BundleStep.COUNTS, trial, standing.verdicts, words)
        elif standing.done and await self._note(lambda judging: judging.seated(asset, replace(seat, trial=None))):
            await self._between(asset, judge.dismiss)
            self._say(asset, BundleStep.KEPT, trial, standing.verdicts, "the trial ended well")
            await self._sweep()

    async def _take_up(self, asset: str, trial: Trial) -> None:
        """The judge was made anew, by another configuration: the trial begins anew beside it."""
        try:
            rival = await self._on_disk(partial(self._beside, asset, trial))
        except BundleError as error:
            seat = self._seats.judging.seat(asset)
            if trial.phase == "watched":
                await self._end(asset, BundleStep.ROLLED_BACK, f"it cannot be run: {error}")
            elif await self._note(lambda judging: judging.seated(asset, replace(seat, trial=None))):
                self._say(asset, BundleStep.KEPT, trial, 0, f"what was before it is lost: {error}")
            return
        await self._between(asset, partial(self._judge(asset).face, rival))

    async def _end(self, asset: str, step: BundleStep, words: str) -> None:
        """Give up what does not count yet, or stop watching what does."""
        seat = self._seats.judging.seat(asset)
        assert seat.trial is not None
        judge, trial = self._judge(asset), seat.trial
        standing = await self._standing(asset, trial)
        verdicts = standing.verdicts if standing else 0
        if await self._give_up(asset, trial, step, words, replace(seat, trial=None), verdicts=verdicts):
            await self._between(asset, judge.dismiss)
            await self._sweep()

    async def _go_back(self, asset: str, to: str, step: BundleStep, words: str) -> None:
        """From what counts to what counted before it: on disk first, then here."""
        judge, seat = self._judge(asset), self._seats.judging.seat(asset)
        trial = seat.trial or Trial(seat.bundle, to, seat.number, "guarded", 0.0, "", "")
        standing = await self._standing(asset, trial)
        is_warm = seat.trial is not None and seat.trial.former == to and standing is not None
        if not is_warm:
            try:
                rival = await self._on_disk(partial(self._beside, asset, replace(trial, former=to, phase="guarded")))
            except BundleError as error:
                self._seats.trouble[asset] = f"{words}, but what was before cannot be used: {error}"
                return
            await self._between(asset, partial(judge.face, rival))
        former = seat.former[: seat.former.index(to)] if to in seat.former else ()
        before = Seat(bundle=to, why=words, at=self._now(), former=former)
        verdicts = standing.verdicts if standing else 0
        if await self._give_up(asset, replace(trial, former=to), step, words, before, verdicts=verdicts):
            await self._between(asset, partial(_give_way, judge, seat.bundle))
            await self._sweep()

    async def _give_up(
        self, asset: str, trial: Trial, step: BundleStep, words: str, seat: Seat | None = None, *, verdicts: int = 0
    ) -> bool:
        """The bundle is not tried again in this rollout. ``seat`` is who judges now, where that changes.

        False as ``_note``.
        """
        ended = Ended(asset, trial.bundle, trial.number, step, words[:WORDS_MAX], self._now())

        def given_up(judging: Judging) -> Judging:
            after = judging if seat is None else judging.seated(asset, seat)
            return replace(after, ended=(*after.ended, ended)[-ENDED_MAX:])

        if not await self._note(given_up):
            return False
        self._say(asset, step, trial, verdicts, words)
        return True

    async def _note(self, change: Callable[[Judging], Judging]) -> bool:
        """Write it down; False where the disk takes it not: then it is tried again."""
        try:
            await self._on_disk(partial(self._seats.update, change))
        except StoreError as error:
            self._detail = str(error)
            log.error("bundles: %s", error)
            return False
        return True

    async def _sweep(self) -> None:
        await self._on_disk(self._seats.sweep)

    def _say(self, asset: str, step: BundleStep, trial: Trial, verdicts: int, words: str) -> None:
        log.warning("%s: bundle %s %s: %s", asset, trial.bundle[:12], step.value, words)
        self._tell(changed(
            asset, self._clock.wall_ns(), step, trial.bundle, trial.former, trial.number, words, verdicts=verdicts
        ))  # fmt: skip

    def _now(self) -> str:
        at = dt.datetime.fromtimestamp(self._clock.wall_ns() / 1e9, dt.UTC)
        return at.isoformat(timespec="seconds").replace("+00:00", "Z")

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, call)


def _give_way(judge: Judged, bundle: str) -> None:
    """From ``bundle`` to what judges beside it. One that broke has given way already."""
    if judge.bundle == bundle:
        judge.swap()
    judge.dismiss()

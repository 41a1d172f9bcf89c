"""The judges of all machines, and what they said last. A judge that breaks, hangs or takes its time holds up nothing.

Whatever touches a judge once polls have begun is a step on the judges' thread, in one order: polls as they came, then
verdicts, marks, states and what the bundles' room wants of them. What comes of the steps is told on the event loop, in
the same order. So a replay of the stored readings, in the order in which they were judged, gives the same bits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from edge.config.site import Site
from edge.contract.types import Batch, Checkpoint, Verdict
from edge.described import judged_by
from edge.ports import Clock, Journal, JudgeLate
from edge.runtime.judges_thread import JudgesThread, Step
from edge.runtime.rounds import Rounds
from edge.update import Seats

if TYPE_CHECKING:
    from edge.infer import Judge
    from edge.infer.book import Book

TICK_S = 0.1
CHECKPOINT_EVERY_S = 86_400.0
UNJUDGED_MAX = 10_000
"""Polls that wait for the judges while they are busy, or start again; the oldest then count as missing."""
FINISH_S = 3.0

log = logging.getLogger("babbitt.infer")

T = TypeVar("T")

_Telling = Verdict | Checkpoint | tuple[str, dict[str, float]]
"""What comes of a step: the last is what the machine did since it is watched."""


class Judging:
    """``judges`` and ``verdicts``, the last ones, are by asset; ``tell`` is given each verdict that was sealed.

    ``late`` says, by asset, whose judge has not come back; nobody judges these. Where the site wants none, no model and
    no runtime of models is loaded.
    """

    def __init__(self, site: Site, seats: Seats, *, clock: Clock, tell: Callable[[Verdict], None]) -> None:
        self._clock, self._seats, self._tell = clock, seats, tell
        self._interval_ns = site.file.gateway.verdict_interval_ms * 1_000_000
        self._round_ns = clock.mono_ns()
        self._late_ns: dict[str, int] = {}
        self._unjudged: deque[Batch] = deque(maxlen=UNJUDGED_MAX)
        self._rounds = Rounds(clock, left=self._left, back=self._came_back)
        self._book: Book | None = None
        self._journal: Journal | None = None
        self._away: dict[str, tuple[Judge, JudgesThread]] = {}
        self._bundles: dict[str, str] = {}
        self._worked: dict[str, dict[str, float]] = {}
        self.late: dict[str, str] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.judges: dict[str, Judge] = self.make(site) if site.file.gateway.inference else {}

    def make(self, site: Site, but: Collection[str] = ()) -> dict[str, Judge]:
        """A judge for each asset of ``site`` ``but`` some. Takes long; may be called in any thread."""
        from edge.infer import load_judges

        return load_judges(site, partial(self._seats.bundle_for, site=site), but)

    def keep_in(self, journal: Journal, gateway: str) -> None:
        """Where verdicts are sealed and states are kept from now on."""
        self._journal = journal
        if self.judges:
            from edge.infer.book import Book

            self._book = Book(journal, gateway)

    def observe(self, batch: Batch) -> None:
        if batch.asset in self.judges:
            self._unjudged.append(batch)

    async def run(self) -> None:
        """Hand the judges what was read and ask for verdicts."""
        due_ns = self._clock.mono_ns() + self._interval_ns
        marked_ns = self._clock.mono_ns()
        while True:
            await self._clock.sleep(TICK_S)
            self._gather()
            if self._clock.mono_ns() >= due_ns:
                due_ns += self._interval_ns * (1 + (self._clock.mono_ns() - due_ns) // self._interval_ns)
                self._rounds.add(Step(a, partial(self._ask, a, judge), self._told) for a, judge in self.judges.items())
            if self._clock.mono_ns() - marked_ns > CHECKPOINT_EVERY_S * 1e9:
                marked_ns = self._clock.mono_ns()
                self.mark(self.judges)
            await self._rounds.work()
            self._round_ns = self._clock.mono_ns()

    def mark(self, judges: Mapping[str, Judge]) -> None:
        """Whoever replays the verdicts begins where a judge stands after what it was handed until now."""
        self._rounds.add(Step(asset, partial(self._stand, asset, judge), self._told) for asset, judge in judges.items())

    async def between(self, asset: str, call: Callable[[], T]) -> T:
        """Make ``call``, which touches the judge of ``asset``, between two polls. Raises ``JudgeLate``."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def run() -> tuple[Any, Exception | None]:
            try:
                return call(), None
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                return None, error

        def then(outcome: tuple[Any, Exception | None]) -> None:
            result, error = outcome
            if not done.done():
                done.set_result(result) if error is None else done.set_exception(error)

        def lost() -> None:
            if not done.done():
                done.set_exception(JudgeLate(asset))

        self._rounds.add([Step(asset, run, then, lost)])
        return await done

    def silent_s(self, now_ns: int) -> float | None:
        """How long ago the judges last came round, all of them; None where nobody judges."""
        if self._late_ns:
            return (now_ns - min(self._late_ns.values())) / 1e9
        return (now_ns - self._round_ns) / 1e9 if self.judges else None

    def worked(self) -> dict[str, Any]:
        """What each machine did since it is watched, by asset, as of its last verdict."""
        return {asset: self._worked.get(asset, {}) for asset in self.judges}

    def made_for(self, before: Site, site: Site) -> dict[str, Judge]:
        """The judges that ``site`` wants and ``before`` had not. As ``make``."""
        if not self.judges:
            return {}
        old = {asset.id: judged_by(before, asset) for asset in before.file.asset}
        same = {asset.id for asset in site.file.asset if old.get(asset.id) == judged_by(site, asset)}
        return self.make(site, but=same)

    def take_over(self, site: Site, judges: dict[str, Judge]) -> None:
        """Judge the machines of ``site``: those in ``judges`` by these, which go on from where the former ones stand.

        What was read until now is the former ones' still.
        """
        self._gather()
        stays = {asset.id for asset in site.file.asset}
        for asset, judge in judges.items():
            kept = self._journal.kept(_name(asset)) if self._journal is not None else None
            self._rounds.add([Step(asset, partial(_hand_over, self.judges.get(asset), judge, kept))])
        self.mark(judges)
        self.judges = {**{asset: judge for asset, judge in self.judges.items() if asset in stays}, **judges}
        self.verdicts = {asset: verdict for asset, verdict in self.verdicts.items() if asset in stays}
        self.late = {asset: words for asset, words in self.late.items() if asset in stays and asset not in judges}
        self._late_ns = {asset: self._late_ns[asset] for asset in self.late}
        self._away = {asset: self._away[asset] for asset in self.late}

    def keep(self) -> None:
        """Have the judges' states kept, soon."""
        self._rounds.add(Step(asset, judge.state, partial(self._keep, asset)) for asset, judge in self.judges.items())

    def restore(self) -> None:
        """Before the first poll: go on from what is kept."""
        assert self._journal is not None
        for asset, judge in self.judges.items():
            _hand_over(None, judge, self._journal.kept(_name(asset)))

    async def finish(self) -> None:
        """Once ``run`` has ended: have done what is to be done, within bounds."""
        try:
            async with asyncio.timeout(FINISH_S):
                while self._rounds.waits:
                    try:
                        await self._rounds.work()
                    except Exception:
                        log.exception("a judge broke at the end; the others go on to theirs")
        except TimeoutError:
            log.warning("the judges are busy: they go on from an older state at the next start")
        if self._book is not None:
            self._book.close()

    def close(self) -> None:
        """End the judges' thread, after what it is in the midst of."""
        self._rounds.close()

    # On the event loop.

    def _gather(self) -> None:
        """Put what was read behind what is to be done already."""
        while self._unjudged:
            batch = self._unjudged.popleft()
            judge = self.judges.get(batch.asset)
            if judge is not None:
                self._rounds.add([Step(batch.asset, partial(judge.observe, batch))])

    def _left(self, asset: str, thread: JudgesThread) -> None:
        judge = self.judges.pop(asset, None)
        self.verdicts.pop(asset, None)
        if judge is not None:
            self._away[asset] = judge, thread
            self._late_ns[asset] = self._clock.mono_ns()
            self.late[asset] = "its judge does not come back, nobody judges it"
            log.error("%s: %s; polls, alarms and the other judges go on", asset, self.late[asset])

    def _came_back(self, asset: str, thread: JudgesThread) -> None:
        """A judge that was left has returned: it is whole, and only missed some polls."""
        judge, left_on = self._away.get(asset, (None, None))
        if judge is None or left_on is not thread or asset not in self.late:
            return
        log.warning("%s: its judge has come back and judges again", asset)
        del self.late[asset], self._late_ns[asset], self._away[asset]
        self.judges[asset] = judge
        self.mark({asset: judge})

    def _told(self, told: list[_Telling]) -> None:
        for one in told:
            match one:
                case Verdict() if self._book is not None and one.asset in self.judges:
                    verdict = self.verdicts[one.asset] = self._book.enter(one)
                    self._tell(verdict)
                case Checkpoint() if self._book is not None:
                    self._book.mark(one.asset, one.at_ns, one.state)
                case (str(asset), dict(worked)):
                    self._worked[asset] = worked

    def _keep(self, asset: str, state: bytes) -> None:
        assert self._journal is not None
        self._journal.keep(_name(asset), state)

    # On the judges' thread.

    def _stand(self, asset: str, judge: Judge) -> list[_Telling]:
        return [Checkpoint(asset, self._clock.wall_ns(), judge.checkpoint())]

    def _ask(self, asset: str, judge: Judge) -> list[_Telling]:
        """Its verdict, and where it stands before and after it where another bundle judges from there on."""
        told: list[_Telling] = []
        if self._bundles.get(asset, judge.bundle) != judge.bundle:
            told += self._stand(asset, judge)
        mono_ns, bundle = self._clock.mono_ns(), judge.bundle
        judged = judge.verdict(self._clock.wall_ns(), mono_ns=mono_ns)
        if judged is not None:
            self._bundles[asset] = judged.bundle
            told += [replace(judged, mono_ns=mono_ns, first_ns=judge.first_ns, polls=judge.polls)]
            told += [(asset, judge.worked)]
        if judge.bundle != bundle:  # It broke while it was asked, and the one before it counts again.
            told += self._stand(asset, judge)
        return told


def _hand_over(former: Judge | None, judge: Judge, kept: bytes | None) -> None:
    state = former.state() if former is not None else kept
    if state is not None:
        judge.restore(state)


def _name(asset: str) -> str:
    return f"judge/{asset}"

"""The judges of all machines, and what they said last. A judge that breaks stops neither polls nor lamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from edge.config.site import Site
from edge.contract.types import Batch, Verdict
from edge.described import judged_by
from edge.ports import Clock, Journal
from edge.update import Seats

if TYPE_CHECKING:
    from edge.infer import Judge
    from edge.infer.book import Book

TICK_S = 0.1
CHECKPOINT_EVERY_S = 86_400.0
UNJUDGED_MAX = 10_000
"""Polls that wait for the judges while their room starts again; the oldest then count as missing."""


class Judging:
    """``judges`` and ``verdicts``, the last ones, are by asset; ``tell`` is given each verdict that was sealed.

    Where the site wants none, no model and no runtime of models is loaded.
    """

    def __init__(self, site: Site, seats: Seats, *, clock: Clock, tell: Callable[[Verdict], None]) -> None:
        self._clock, self._seats, self._tell = clock, seats, tell
        self._interval_ns = site.file.gateway.verdict_interval_ms * 1_000_000
        self._round_ns = clock.mono_ns()
        self._unjudged: deque[Batch] = deque(maxlen=UNJUDGED_MAX)
        self._book: Book | None = None
        self._journal: Journal | None = None
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
            while self._unjudged:
                batch = self._unjudged.popleft()
                if batch.asset in self.judges:
                    self.judges[batch.asset].observe(batch)
            if self._clock.mono_ns() >= due_ns:
                due_ns += self._interval_ns * (1 + (self._clock.mono_ns() - due_ns) // self._interval_ns)
                self._ask()
                self._round_ns = self._clock.mono_ns()
            if self._clock.mono_ns() - marked_ns > CHECKPOINT_EVERY_S * 1e9:
                marked_ns = self._clock.mono_ns()
                self.mark(self.judges)

    def mark(self, judges: Mapping[str, Judge]) -> None:
        """Whoever replays the verdicts begins where a judge stands now."""
        if self._book is not None:
            for asset, judge in judges.items():
                self._book.mark(asset, self._clock.wall_ns(), judge.checkpoint())

    def silent_s(self, now_ns: int) -> float | None:
        """How long ago the judges last came round; None where nobody judges."""
        return (now_ns - self._round_ns) / 1e9 if self.judges else None

    def _ask(self) -> None:
        for asset, judge in self.judges.items():
            if asset in self.verdicts and self.verdicts[asset].bundle != judge.bundle:
                self.mark({asset: judge})
            mono_ns, bundle = self._clock.mono_ns(), judge.bundle
            judged = judge.verdict(self._clock.wall_ns(), mono_ns=mono_ns)
            if judged is not None and self._book is not None:
                seen = replace(judged, mono_ns=mono_ns, first_ns=judge.first_ns, polls=judge.polls)
                verdict = self.verdicts[judged.asset] = self._book.enter(seen)
                self._tell(verdict)
            if judge.bundle != bundle:  # It broke while it was asked, and the one before it counts again.
                self.mark({asset: judge})

    def worked(self) -> dict[str, Any]:
        """What each machine did since it is watched, by asset."""
        return {asset: judge.worked for asset, judge in self.judges.items()}

    def made_for(self, before: Site, site: Site) -> dict[str, Judge]:
        """The judges that ``site`` wants and ``before`` had not. As ``make``."""
        if not self.judges:
            return {}
        old = {asset.id: judged_by(before, asset) for asset in before.file.asset}
        same = {asset.id for asset in site.file.asset if old.get(asset.id) == judged_by(site, asset)}
        return self.make(site, but=same)

    def take_over(self, site: Site, judges: dict[str, Judge]) -> None:
        """Judge the machines of ``site``: those in ``judges`` by these, which go on from what is kept."""
        stays = {asset.id for asset in site.file.asset}
        self._restore(judges)
        self.mark(judges)
        self.judges = {**{asset: judge for asset, judge in self.judges.items() if asset in stays}, **judges}
        self.verdicts = {asset: verdict for asset, verdict in self.verdicts.items() if asset in stays}

    def keep(self) -> None:
        assert self._journal is not None
        for asset, judge in self.judges.items():
            self._journal.keep(f"judge/{asset}", judge.state())

    def restore(self) -> None:
        self._restore(self.judges)

    def _restore(self, judges: Mapping[str, Judge]) -> None:
        assert self._journal is not None
        for asset, judge in judges.items():
            state = self._journal.kept(f"judge/{asset}")
            if state is not None:
                judge.restore(state)

    def close(self) -> None:
        if self._book is not None:
            self._book.close()

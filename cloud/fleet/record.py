"""The record of an asset: what its gateway had sealed, what people told of it, and how often the one was right."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloud.fleet.chain import Chain
from cloud.fleet.predictions import Predictions
from cloud.fleet.score import Scored, score
from cloud.fleet.track import Episode
from cloud.store.outcomes import Outcome, Outcomes
from cloud.store.reader import Reader
from edge.contract.desired import TrackRecord

READ_EVERY_S = 1.0
READ_S_MAX = 0.1
"""At once: what there is to read comes in by and by, and pages are served meanwhile."""
SAVE_EVERY_S = 600.0
SCORED_FOR_S = 10.0
"""Of a fleet of a thousand all at once takes a while, and nobody waits for the very last word on it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """``outcomes`` are the newest revisions, newest first; ``history`` has every one, oldest first.

    ``read`` is the share (0..1) of its gateway's blocks that were read for it.
    """

    gateway: str
    asset: str
    now_ns: int
    chains: tuple[Chain, ...]
    read: float
    episodes: tuple[Episode, ...]
    gaps: tuple[tuple[int, int], ...]
    scored: Scored
    outcomes: tuple[Outcome, ...]
    history: tuple[Outcome, ...]

    @property
    def first_ns(self) -> int:
        """When its first verdict was made, 0 where there is none."""
        return min((chain.first_ns for chain in self.chains), default=0)

    @property
    def sealed(self) -> int:
        return sum(chain.sealed for chain in self.chains)

    @property
    def declared(self) -> int:
        return sum(chain.declared for chain in self.chains)

    @property
    def broken(self) -> int:
        return sum(chain.broken for chain in self.chains)

    def before(self, outcome: Outcome) -> list[Outcome]:
        """The revisions that an outcome replaced, oldest first."""
        return [one for one in self.history if one.number == outcome.number and one.revision < outcome.revision]


class Records:
    """May be asked from any thread; ``run`` reads on in the background."""

    def __init__(
        self, reader: Reader, predictions: Predictions, outcomes: Outcomes, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._reader, self._predictions, self._now_ns = reader, predictions, now_ns
        self.outcomes = outcomes
        self._scored: dict[tuple[str, str], Scored] = {}
        self._scored_s = -SCORED_FOR_S

    @property
    def read(self) -> float:
        """The share (0..1) of all blocks that were read."""
        done, total = self._predictions.progress()
        return min(done / total, 1.0) if total else 1.0

    def of(self, gateway: str, asset: str) -> AssetRecord:
        now_ns = self._now_ns()
        foretold = self._predictions.of(gateway, asset)
        track = foretold.track
        newest = self.outcomes.newest(gateway, asset)
        return AssetRecord(
            gateway=gateway, asset=asset, now_ns=now_ns, chains=foretold.chains, read=foretold.read,
            episodes=tuple(track.episodes), gaps=tuple(track.gaps), scored=score(track, newest, now_ns),
            outcomes=tuple(newest), history=tuple(self.outcomes.history(gateway, asset)),
        )  # fmt: skip

    def scores(self) -> dict[tuple[str, str], Scored]:
        """By gateway and asset, of every one that was judged; counted again now and then."""
        if time.monotonic() - self._scored_s < SCORED_FOR_S:
            return self._scored
        now_ns = self._now_ns()
        told: dict[tuple[str, str], list[Outcome]] = {}
        for one in self.outcomes.newest():
            told.setdefault((one.gateway, one.asset), []).append(one)
        self._scored = {
            key: score(self._predictions.of(*key).track, told.get(key, ()), now_ns)
            for key in self._predictions.assets()
        }
        self._scored_s = time.monotonic()
        return self._scored

    def recount(self) -> None:
        """Somebody has told something: scores are counted again when they are next asked for."""
        self._scored_s = -SCORED_FOR_S

    def track_records(self, gateway: str) -> list[TrackRecord]:
        """What a gateway's panel shows of how often it was right, of the assets of which there is something to say."""
        found = []
        for (owner, asset), scored in self.scores().items():
            if owner == gateway:
                one = scored.score
                if one.failures or one.false_alarms:
                    found.append(TrackRecord(
                        asset=asset, hits=one.hits, misses=one.misses, false_alarms=one.false_alarms,
                        coverage=one.coverage, median_lead_h=one.median_lead_h, words=one.words,
                    ))  # fmt: skip
        return found

    def save(self, folder: Path) -> None:
        """Keep how far it has read, for the next start."""
        try:
            self._predictions.save(folder)
        except OSError as error:
            log.warning("how far the sealed verdicts were read is not kept: %s", error)

    async def run(self, folder: Path, *, every_s: float = READ_EVERY_S) -> None:
        """Read on until cancelled, from where the last run came to, which is kept in ``folder``."""
        await asyncio.to_thread(self._predictions.resume, self._reader, folder)
        saved_s = time.monotonic()
        while True:
            more = await asyncio.to_thread(self._predictions.advance, self._reader, for_s=READ_S_MAX)
            if time.monotonic() - saved_s > SAVE_EVERY_S:
                saved_s = time.monotonic()
                await asyncio.to_thread(self.save, folder)
            await asyncio.sleep(every_s / 4 if more else every_s)

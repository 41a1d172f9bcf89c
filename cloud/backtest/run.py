"""The whole of a back-test: every asset of every export replayed, held against what failed, and against the rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.backtest.export import Export, Track
from cloud.backtest.failures import Failure
from cloud.backtest.mapping import Mapped, apply, mapping_of
from cloud.backtest.money import Prices, Saved, TimeBased, saved_by, time_based
from cloud.backtest.replay import Replayed, replay, thinned
from cloud.backtest.rivals import fixed_threshold
from cloud.backtest.score import HOUR_NS, Tally, Terms, by_chance, joined, tally
from edge.config.asset_class import AssetClass
from edge.contract.bundle import Bundle
from edge.errors import ConfigError


@dataclass(frozen=True)
class Tested:
    """One asset: what of it is which signal, what was raised, and what that was worth; ``rival`` is the threshold's."""

    track: Track
    tags: Mapping[str, NDArray[np.float64]]
    mapping: tuple[Mapped, ...]
    replayed: Replayed
    failures: tuple[Failure, ...]
    tally: Tally
    rival: Tally


@dataclass(frozen=True)
class Backtest:
    """All assets together, with what it would have saved; ``chance`` is how many failures as many alarms at random
    would have announced."""

    assets: tuple[Tested, ...]
    notes: tuple[str, ...]
    terms: Terms
    prices: Prices
    alarms_per_week: float
    tally: Tally
    rival: Tally
    saved: Saved
    rival_saved: Saved
    time_based: TimeBased | None
    chance: float


def run(
    exports: Sequence[Export],
    failures: Sequence[Failure],
    asset_class: AssetClass,
    bundle: Bundle | None,
    *,
    maps: Mapping[str, str],
    terms: Terms,
    prices: Prices,
    each: Callable[[int], object] = lambda _: None,
) -> Backtest:
    """Raises ``ConfigError`` where two exports hold one asset, or a column is mapped that is nowhere."""
    tracks = [track for export in exports for track in export.tracks]
    _check(tracks, maps)
    tested = []
    for track in tracks:
        columns = list(track.columns)
        mapping = mapping_of(columns, {column: tag for column, tag in maps.items() if column in columns})
        tags, said = apply(track, mapping)
        if not tags:
            raise ConfigError(track.asset, "no column is left of it", "leave fewer out by --map")
        mine = tuple(failure for failure in failures if failure.asset == track.asset)
        tested.append(_tested(track, tags, said, mine, asset_class, bundle, terms, each))
    every, rival = joined([one.tally for one in tested]), joined([one.rival for one in tested])
    return Backtest(
        tuple(tested), tuple(note for export in exports for note in export.notes), terms, prices,
        asset_class.anomaly_alarms_per_week, every, rival,
        saved_by(every, prices), saved_by(rival, prices), _time_based(tested, prices),
        by_chance([one.tally for one in tested], terms),
    )  # fmt: skip


def _check(tracks: Sequence[Track], maps: Mapping[str, str]) -> None:
    names = [track.asset for track in tracks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(twice, "is in two exports", "put them in one file, or name the files differently")
    columns = list(dict.fromkeys(column for track in tracks for column in track.columns))
    mapping_of(columns, dict.fromkeys(maps, ""))


def _tested(
    track: Track,
    tags: Mapping[str, NDArray[np.float64]],
    mapping: Sequence[Mapped],
    failures: tuple[Failure, ...],
    asset_class: AssetClass,
    bundle: Bundle | None,
    terms: Terms,
    each: Callable[[int], object],
) -> Tested:
    replayed = replay(track, tags, asset_class, bundle, each=each)
    fewer, thin, _ = thinned(track, tags)
    from_ns, to_ns = replayed.judged_from_ns, int(track.at_ns[-1])
    learned = len(fewer.at_ns) if from_ns is None else int(np.searchsorted(fewer.at_ns, from_ns))
    rival = fixed_threshold(fewer.at_ns, thin, max(learned, 2))
    return Tested(
        fewer, thin, tuple(mapping), replayed, failures,
        tally(replayed.alarms, failures, terms, from_ns=from_ns, to_ns=to_ns),
        tally(rival, failures, terms, from_ns=from_ns, to_ns=to_ns),
    )  # fmt: skip


def _time_based(tested: Sequence[Tested], prices: Prices) -> TimeBased | None:
    """Lives in hours of the calendar, of the failures that could be judged."""
    lives, running = [], []
    for one in tested:
        begin_ns = int(one.track.at_ns[0])
        for fate in one.tally.fates:
            if fate.how != "unjudged":
                lives.append((fate.failure.at_ns - begin_ns) / HOUR_NS)
            if fate.how != "unjudged" or fate.failure.at_ns <= int(one.track.at_ns[-1]):
                begin_ns = fate.failure.end_ns
        running.append(max(int(one.track.at_ns[-1]) - begin_ns, 0) / HOUR_NS)
    return time_based(lives, running, prices)

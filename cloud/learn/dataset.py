"""The data set of one asset class: every stored history cut into lives, each with how it ended.

Nothing is left out in silence: what cannot be used (a history that never learned its baseline, an outcome outside the
readings, a unit that changed) is an ``Exclusion`` with a count and its reason in words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.learn.fleet import Fleet, thinned
from cloud.learn.follow import Follower
from cloud.learn.lives import HEALTHY_BEFORE_H, Exclusion, Life, cut
from cloud.learn.outcomes import Told, digest_of
from cloud.store.reader import Reader
from cloud.store.replay import Extent, blocks_of, extents
from edge.errors import ConfigError, StoreError
from edge.features.tracker import FeatureSpec

__all__ = ["DataSet", "Exclusion", "Life", "fleet_of", "make", "summary"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DataSet:
    """``extents`` are the blocks that it is made from, so that the same can be made again from a store that grew."""

    asset_class: str
    lives: tuple[Life, ...]
    excluded: tuple[Exclusion, ...]
    extents: tuple[Extent, ...]
    outcomes_sha256: str

    @property
    def failures(self) -> int:
        return sum(life.failed for life in self.lives)

    @property
    def assets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(life.name for life in self.lives))

    @property
    def sha256(self) -> str:
        """Over every number and name of the lives."""
        digest = hashlib.sha256()
        for life in self.lives:
            digest.update(f"{life.name}\0{life.number}\0{life.end_h!r}\0{life.failed}".encode())
            for column in (life.features, life.hour_h, life.at_ns, life.healthy):
                digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def only(self, assets: Sequence[str]) -> DataSet:
        """The lives of these assets."""
        return replace(self, lives=tuple(life for life in self.lives if life.name in assets))

    def before(self, at_ns: int) -> DataSet:
        """What was known at ``at_ns``."""
        return replace(self, lives=tuple(cut for life in self.lives if (cut := life.before(at_ns)) is not None))


def make(
    reader: Reader,
    asset_class: str,
    spec: FeatureSpec,
    outcomes: Sequence[Told],
    *,
    within: Sequence[Extent] | None = None,
    each: Callable[[int], object] = lambda _: None,
) -> DataSet:
    """Replay every asset of ``asset_class``. ``within`` limits it to the blocks of an earlier run; ``each`` is told
    how many blocks have been read since it was last called.

    Raises ``ConfigError`` for an outcome of an asset that nobody has heard of, and ``StoreError`` where no asset of the
    class has given a reading.
    """
    known = {f"{row.gateway}/{row.asset}": row.record.asset_class if row.record else "" for row in reader.assets()}
    for told in outcomes:
        if f"{told.gateway}/{told.asset}" not in known:
            names = ", ".join(sorted(known)[:8]) or "none"
            problem = f"an outcome names {told.gateway}/{told.asset}, which is not in the store"
            raise ConfigError("outcomes", problem, f"known: {names}")
    wanted = sorted(name for name, its_class in known.items() if its_class == asset_class)
    if not wanted:
        classes = ", ".join(sorted({c for c in known.values() if c})) or "none"
        raise StoreError("store", f"no asset of class {asset_class!r} has been introduced", f"classes: {classes}")
    chosen = tuple(extents(reader) if within is None else within)
    gateways = {name.split("/", 1)[0] for name in wanted}
    chosen = tuple(extent for extent in chosen if extent.gateway in gateways)
    excluded: list[Exclusion] = []
    followers = {name: Follower(name.split("/", 1)[1], spec) for name in wanted}
    for extent in chosen:
        mine = [follower for name, follower in followers.items() if name.split("/", 1)[0] == extent.gateway]
        excluded += _read(reader, extent, mine, each)
    lives: list[Life] = []
    for name, follower in followers.items():
        told_of = [told for told in outcomes if f"{told.gateway}/{told.asset}" == name]
        found, without = cut(name, follower.result(), told_of)
        lives += found
        excluded += without
    of_class = [told for told in outcomes if known[f"{told.gateway}/{told.asset}"] == asset_class]
    if len(of_class) < len(outcomes):
        excluded.append(Exclusion("outcomes", len(outcomes) - len(of_class), "are of assets of other classes"))
    return DataSet(asset_class, tuple(lives), tuple(excluded), chosen, digest_of(of_class))


def _read(
    reader: Reader, extent: Extent, followers: Sequence[Follower], each: Callable[[int], object]
) -> list[Exclusion]:
    where = f"{extent.gateway}, journal {extent.epoch[:8]}"
    altered = thinned_blocks = 0
    for _, block in blocks_of(reader, extent):
        each(1)
        if block is None:
            altered += 1
            continue
        thinned_blocks += block.header.thinned
        for follower in followers:
            follower.take(block)
    found = (
        (altered, "blocks were altered in the store and are left out"),
        (thinned_blocks, "blocks were thinned by the gateway: features from them are not quite what its judge saw"),
        (extent.missing, f"blocks are not held ({extent.removed} of them were removed by policy): gaps in its history"),
    )
    return [Exclusion(where, count, words) for count, words in found if count]


def fleet_of(data: DataSet, *, cap_h: float, rows: int, first: int = 0, features: int = 0) -> Fleet:
    """The rows of ``data`` as a fleet that models learn from; machines are assets, numbered from ``first`` on.

    ``rul_h`` is the time to failure; in a life that did not fail it is the least that it can be, and ``censored`` says
    so, or infinite where that least is beyond ``cap_h`` or a person has said that the machine was healthy. Wear is not
    measured on real machines: it is taken as the share of life consumed since the signals left their baseline.
    """
    number = {name: first + i for i, name in enumerate(data.assets)}
    parts = []
    for life in data.lives:
        keep = thinned(len(life.hour_h), rows)
        rul_h = np.maximum(life.end_h - life.hour_h, 0.0)
        censored = np.full(len(rul_h), not life.failed)
        if not life.failed:
            rul_h = np.where(rul_h >= cap_h, np.inf, rul_h)
        healthy = life.healthy & (censored | (rul_h >= HEALTHY_BEFORE_H))
        rul_h = np.where(healthy, np.inf, rul_h)
        censored &= np.isfinite(rul_h)
        parts.append((
            life.features[keep], rul_h[keep], life.wear[keep],
            np.full(len(keep), number[life.name], np.int64), censored[keep],
        ))  # fmt: skip
    if not parts:
        empty = np.empty(0)
        return Fleet(np.empty((0, features), np.float32), empty, empty, empty.astype(np.int64), empty.astype(bool))
    return Fleet(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def summary(data: DataSet) -> Mapping[str, int]:
    """Counts for people and manifests."""
    return {
        "assets": len(data.assets),
        "lives": len(data.lives),
        "failures": data.failures,
        "censored": len(data.lives) - data.failures,
        "rows": sum(len(life.hour_h) for life in data.lives),
        "excluded": sum(one.count for one in data.excluded),
    }

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
from cloud.learn.follow import Followed, Follower
from cloud.learn.outcomes import Kind, Told, digest_of
from cloud.store.reader import Reader
from cloud.store.replay import Extent, blocks_of, extents
from edge.errors import ConfigError, StoreError
from edge.features.tracker import FeatureSpec

HOUR_NS = 3600 * 10**9
UNSEEN_MAX_H = 24.0
"""A failure that the last reading precedes by more happened unseen: how many hours the machine ran is not known."""
HEALTHY_BEFORE_H = 24.0
"""So far back from an alarm that a person called false the asset counts as healthy."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What was left out: ``count`` rows, blocks or outcomes of ``where``, and why."""

    where: str
    count: int
    words: str


@dataclass(frozen=True)
class Life:
    """One life of one asset: ``features`` [rows, features], ``hour_h`` [rows] on the asset's own operating hours,
    ``risen_h`` [rows] for how long its signals have stood off their baseline, ``at_ns`` [rows]. It ended at ``end_h``,
    by failure or (``failed`` False) with the machine still healthy: replaced, or running on. ``healthy`` [rows]: a
    person has said so.
    """

    gateway: str
    asset: str
    number: int
    features: NDArray[np.float32]
    hour_h: Array
    risen_h: Array
    at_ns: NDArray[np.int64]
    end_h: float
    end_ns: int
    failed: bool
    healthy: NDArray[np.bool_]

    @property
    def name(self) -> str:
        return f"{self.gateway}/{self.asset}"

    def before(self, at_ns: int) -> Life | None:
        """What was known of it at ``at_ns``: a life that had not ended by then was still running; None before it."""
        known = self.at_ns < at_ns
        if not known.any():
            return None
        cut = replace(
            self, features=self.features[known], hour_h=self.hour_h[known], risen_h=self.risen_h[known],
            at_ns=self.at_ns[known], healthy=self.healthy[known],
        )  # fmt: skip
        if self.end_ns < at_ns:
            return cut
        return replace(cut, end_h=float(cut.hour_h[-1]), end_ns=int(cut.at_ns[-1]), failed=False)


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


def cut(name: str, followed: Followed, outcomes: Sequence[Told]) -> tuple[list[Life], list[Exclusion]]:
    """The lives of one asset, and what of it cannot be used. Where nothing ended the last one, it is still running."""
    gateway, asset = name.split("/", 1)
    excluded = _unusable(name, followed)
    if not len(followed.at_ns):
        count = len(outcomes)
        if count:
            excluded.append(Exclusion(name, count, "outcomes have no features before them"))
        return [], excluded
    ends, without = _ends(name, followed, outcomes)
    excluded += without
    healthy = _said_healthy(followed, outcomes)
    lives = []
    begin = 0
    for number, (row_end, end_h, end_ns, failed) in enumerate(ends, 1):
        rows = slice(begin, row_end)
        if row_end == begin:
            kind = "a failure" if failed else "an end without failure"
            excluded.append(Exclusion(name, 1, f"{kind} has no features before it"))
            continue
        lives.append(
            Life(
                gateway, asset, number, followed.features[rows], followed.hour_h[rows], followed.risen_h[rows],
                followed.at_ns[rows], end_h, end_ns, failed, healthy[rows],
            )
        )  # fmt: skip
        begin = row_end
    return lives, excluded


End = tuple[int, float, int, bool]
"""Rows up to here (exclusive), operating hours and wall time of the end, and whether it was a failure."""


def _ends(name: str, followed: Followed, outcomes: Sequence[Told]) -> tuple[list[End], list[Exclusion]]:
    ends: list[End] = []
    excluded = []
    # A wall clock may have been set back; operating hours were not.
    clock_ns, row_ns = (np.maximum.accumulate(at_ns) for at_ns in (followed.clock_ns, followed.at_ns))
    first_ns, last_ns = int(clock_ns[0]), int(clock_ns[-1])
    unseen_ns = round(UNSEEN_MAX_H * HOUR_NS)
    for told in sorted(outcomes):
        if not told.kind.ends_life:
            continue
        at = int(np.searchsorted(clock_ns, told.at_ns, "right")) - 1
        failed = told.kind is Kind.FAILURE
        if told.at_ns < first_ns:
            excluded.append(Exclusion(name, 1, f"{_said(told)} was before its first reading"))
            continue
        if told.at_ns - clock_ns[at] > unseen_ns:
            after = "after its last reading" if at == len(clock_ns) - 1 else "in a gap of its readings"
            words = (
                f"{_said(told)} was more than {UNSEEN_MAX_H:.0f} h {after}: it counts as running until then, no more"
            )
            excluded.append(Exclusion(name, 1, words))
            failed = False
        row_end = int(np.searchsorted(row_ns, told.at_ns, "right"))
        ends.append((row_end, float(followed.clock_h[at]), told.at_ns, failed))
    if not ends or ends[-1][0] < len(followed.at_ns):
        ends.append((len(followed.at_ns), float(followed.hour_h[-1]), last_ns, False))
    return ends, excluded


def _said(told: Told) -> str:
    return {Kind.FAILURE: "a failure"}.get(told.kind, "a replacement")


def _unusable(name: str, followed: Followed) -> list[Exclusion]:
    found = []
    if followed.ended:
        words = f"polls are after {followed.ended}: numbers before and after are not of one kind"
        found.append(Exclusion(name, followed.after_end, words))
    if followed.by_exception:
        words = f"signals are kept by exception ({', '.join(followed.by_exception)}): what was unchanged weighs nothing"
        found.append(Exclusion(name, len(followed.by_exception), words))
    if followed.polls == 0:
        found.append(Exclusion(name, 0, "has not one poll: an empty history"))
    elif followed.learned < 1.0:
        done = f"{100.0 * followed.learned:.0f} % of its healthy baseline is learned"
        found.append(Exclusion(name, followed.polls, f"polls give no features yet: {done}"))
    return found


def _said_healthy(followed: Followed, outcomes: Sequence[Told]) -> NDArray[np.bool_]:
    healthy = np.zeros(len(followed.at_ns), bool)
    for told in outcomes:
        if told.kind in (Kind.FALSE_ALARM, Kind.INSPECTED_OK):
            since_ns = told.at_ns - round(HEALTHY_BEFORE_H * HOUR_NS)
            healthy |= (followed.at_ns >= since_ns) & (followed.at_ns <= told.at_ns)
    return healthy


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
            life.features[keep], rul_h[keep], _wear(life)[keep],
            np.full(len(keep), number[life.name], np.int64), censored[keep],
        ))  # fmt: skip
    if not parts:
        empty = np.empty(0)
        return Fleet(np.empty((0, features), np.float32), empty, empty, empty.astype(np.int64), empty.astype(bool))
    return Fleet(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _wear(life: Life) -> Array:
    """Share consumed since the onset, by the newest row's ``risen_h``; 0 before it and in a
    life that did not fail."""
    if not life.failed:
        return np.zeros(len(life.hour_h))
    onset_h = float(life.hour_h[-1] - life.risen_h[-1])
    return np.clip((life.hour_h - onset_h) / max(life.end_h - onset_h, 1e-9), 0.0, 1.0)


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

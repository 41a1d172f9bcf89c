"""Reads what gateways have sealed, in the order in which they did: chains are verified, and what was foretold is kept.

It reads blocks, which are the truth, once each, a part at a time; where it is can be kept in a file.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cloud.fleet import kept
from cloud.fleet.chain import Chain
from cloud.fleet.track import Track
from cloud.store.reader import Reader
from cloud.store.sequence import Hole, Journal, in_order, journals
from edge.contract.block import Block
from edge.contract.series import Series
from edge.contract.types import Asset, Quality, Verdict


@dataclass(slots=True)
class _Meter:
    """An asset's hour meter: its tag, and what it showed last."""

    tag: str = ""
    hours: float = math.nan


@dataclass(slots=True)
class _Read:
    """How far a journal was read, and the causes of blocks of it that are not there."""

    seq: int = 0
    holes: set[Hole] = field(default_factory=set)
    chains: dict[str, Chain] = field(default_factory=dict)
    meters: dict[str, _Meter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Foretold:
    """An asset's chains, the newest last, and its track; ``read`` is the share (0..1) of its gateway's blocks read."""

    chains: tuple[Chain, ...]
    track: Track
    read: float


class Predictions:
    """May be asked from any thread; ``advance`` belongs to one at a time."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._reading: dict[int, _Read] = {}
        self._tracks: dict[tuple[str, str], Track] = {}
        self._journals: list[Journal] = []

    def advance(self, reader: Reader, *, for_s: float = math.inf) -> bool:
        """Read on for about ``for_s``; False where everything was read that has come in its turn."""
        began_s = self._monotonic_s()
        self._journals = journals(reader)
        for journal in self._journals:
            read = self._reading.setdefault(journal.stream, _Read())
            for step in in_order(reader, journal, read.seq):
                with self._lock:
                    if step.hole is not None:
                        read.holes.add(step.hole)
                        for chain in read.chains.values():
                            chain.holes.add(step.hole)
                    elif step.block is not None:
                        self._take(journal, read, step.block)
                    read.seq = step.seq
                if self._monotonic_s() - began_s > for_s:
                    return True
        return False

    def save(self, folder: Path) -> None:
        """Keep how far it is in the store's folder. Raises ``OSError``."""
        with self._lock:
            epochs = {journal.stream: journal for journal in self._journals}
            data = {
                "journals": [
                    {
                        "stream": stream, "gateway": epochs[stream].gateway, "epoch": epochs[stream].epoch,
                        "seq": read.seq, "holes": sorted(read.holes),
                        "chains": [kept.plain_chain(chain) for chain in read.chains.values()],
                        "meters": {asset: [meter.tag, meter.hours] for asset, meter in read.meters.items()},
                    }
                    for stream, read in self._reading.items()
                    if stream in epochs
                ],
                "tracks": [[*key, kept.plain_track(track)] for key, track in self._tracks.items()],
            }  # fmt: skip
        kept.save(folder / kept.FILE, data)

    def resume(self, reader: Reader, folder: Path) -> bool:
        """Go on where ``save`` left it; False, and anew, where that is not of this store as it is now."""
        found = kept.load(folder / kept.FILE)
        here = {(one.stream, one.gateway, one.epoch): one for one in journals(reader)}
        try:
            if found is None:
                return False
            reading = {}
            for one in found["journals"]:
                if one["seq"] > here[one["stream"], one["gateway"], one["epoch"]].through:
                    return False  # The store is an older copy.
                chains = {chain["asset"]: kept.chain_of(chain) for chain in one["chains"]}
                meters = {asset: _Meter(*meter) for asset, meter in one["meters"].items()}
                reading[one["stream"]] = _Read(one["seq"], set(one["holes"]), chains, meters)
            tracks = {(gateway, asset): kept.track_of(track) for gateway, asset, track in found["tracks"]}
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return False
        with self._lock:
            self._reading, self._tracks, self._journals = reading, tracks, list(here.values())
        return True

    def progress(self) -> tuple[int, int]:
        """How many blocks were read, or are not there, and of how many."""
        with self._lock:
            return sum(read.seq for read in self._reading.values()), sum(one.through for one in self._journals)

    def chains(self) -> list[Chain]:
        """Every chain, by gateway and asset, the newest journal's last."""
        with self._lock:
            found = [chain for read in self._reading.values() for chain in read.chains.values()]
        return sorted(found, key=lambda chain: (chain.gateway, chain.asset))

    def of(self, gateway: str, asset: str) -> Foretold:
        with self._lock:
            mine = [journal for journal in self._journals if journal.gateway == gateway]
            reads = [self._reading[journal.stream] for journal in mine if journal.stream in self._reading]
            total = sum(journal.through for journal in mine)
            share = min(sum(read.seq for read in reads) / total, 1.0) if total else 1.0
            chains = tuple(read.chains[asset] for read in reads if asset in read.chains)
            return Foretold(chains, self._tracks.get((gateway, asset), Track()), share)

    def assets(self) -> list[tuple[str, str]]:
        """Gateway and asset of every one that was judged."""
        with self._lock:
            return sorted(self._tracks)

    def _take(self, journal: Journal, read: _Read, block: Block) -> None:
        judged: dict[str, list[Verdict]] = {}
        for record in block.records:
            if isinstance(record, Asset):
                tag = next((tag.tag for tag in record.tags if tag.kind == "hours"), "")
                read.meters.setdefault(record.asset, _Meter()).tag = tag
            elif isinstance(record, Verdict):
                judged.setdefault(record.asset, []).append(record)
        for asset, verdicts in judged.items():
            chain = read.chains.get(asset)
            if chain is None:
                chain = read.chains[asset] = Chain(journal.gateway, journal.epoch, asset, holes=set(read.holes))
            track = self._tracks.setdefault((journal.gateway, asset), Track())
            meter = read.meters.setdefault(asset, _Meter())
            times, hours = _meter_in(block, asset, meter.tag)
            for verdict in verdicts:
                chain.take(verdict)
                place = int(times.searchsorted(verdict.mono_ns or verdict.at_ns, "right"))
                track.take(verdict, float(hours[place - 1]) if place else meter.hours)
            if len(hours):
                meter.hours = float(hours[-1])


def _meter_in(block: Block, asset: str, tag: str) -> tuple[np.ndarray, np.ndarray]:
    """The monotonic times and figures of the meter's good readings in a block."""
    mine = [series for series in block.series if series.asset == asset and tag in series.tags]
    parts = [_good(series, series.tags.index(tag)) for series in mine]
    if not parts:
        return np.empty(0, np.int64), np.empty(0)
    times, hours = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    order = times.argsort(kind="stable")
    return times[order], hours[order]


def _good(series: Series, place: int) -> tuple[np.ndarray, np.ndarray]:
    column = series.columns[place]
    if isinstance(column, list):
        return np.empty(0, np.int64), np.empty(0)
    good = series.quality[:, place] == int(Quality.GOOD)
    return series.mono_ns[good], column[good].astype(np.float64)

"""The watch over one asset's sensors: polls in, and which sensors are not believed out.

Readings are averaged over an hour of running, the first six days are learned, and from then on blocks of six hours are
held against the learned model. A sensor that is called off stays a free parameter of the model, so that its offset goes
on being estimated and it is believed again when it is gone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.types import SensorFault, SensorState
from edge.features.tracker import number
from edge.infer.sensors import words
from edge.infer.sensors.clock import RunningHours
from edge.infer.sensors.follow import Follower
from edge.infer.sensors.model import learn, row_of
from edge.infer.sensors.singles import Singles
from edge.infer.sensors.spec import SensorSpec
from edge.infer.sensors.votes import Votes

Array = NDArray[np.float64]
Rows = NDArray[np.float32]
"""What is kept of an hour: sensors are no finer than single precision."""

STEP_H = 1.0
BLOCK_STEPS = 6
LEARN_STEPS = 144
STATE_VERSION = 1
_TIMES_MAX = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """One sensor that is off, as it was first said."""

    fault: str
    since_ns: int
    offset: float | None
    words: str


class SensorWatch:
    """``observe`` takes each poll; ``states`` are the sensors that are not believed, ``quarantined`` their tags."""

    def __init__(self, spec: SensorSpec, hour_meter: str = "") -> None:
        self.spec = spec
        self._hours = RunningHours(hour_meter, spec.conditions)
        self._singles = Singles(spec.tags)
        self._votes = Votes(spec.groups)
        self._standing: dict[str, Standing] = {}
        self._rows: list[Rows] = []
        self._levels, self._levels_count = np.zeros(len(spec.tags)), np.zeros(len(spec.tags))
        self._follower: Follower | None = None
        self._times_ns: list[int] = []
        self._opened_h = 0.0
        width = len(spec.signals) + len(spec.balances) + len(spec.conditions)
        self._sum, self._count = np.zeros(width), np.zeros(width)
        self._raw_sum, self._raw_count = np.zeros(len(spec.tags)), np.zeros(len(spec.tags))
        self._block: list[tuple[Array, Array]] = []

    # -- what is thought -------------------------------------------------------------------------------------------

    @property
    def states(self) -> tuple[SensorState, ...]:
        return tuple(
            SensorState(tag, SensorFault(s.fault), s.since_ns, s.offset, quarantined=True, words=s.words)
            for tag, s in sorted(self._standing.items())
        )

    @property
    def quarantined(self) -> frozenset[str]:
        return frozenset(self._standing)

    @property
    def learned(self) -> float:
        """Share (0..1) of the healthy model that has been learned."""
        return 1.0 if self._follower is not None else min(len(self._rows) / LEARN_STEPS, 1.0)

    @property
    def machine(self) -> str:
        """Why it is the machine and no sensor, in words; empty where nothing stands off."""
        said = self._follower.suspicion if self._follower is not None else None
        return words.together(said.together, said.coupling) if said is not None and said.machine else ""

    @property
    def doubted(self) -> frozenset[str]:
        """Of these the ones that no vote of redundant sensors stands in for."""
        return self.quarantined - self._votes.speaks_for(self.quarantined)

    def believed(self, values: Mapping[str, object]) -> dict[str, object]:
        """``values`` without what is not believed; a redundant sensor is spoken for by the vote of the others."""
        kept = {tag: value for tag, value in values.items() if tag not in self._standing}
        self._votes.stand_in(kept, self.quarantined)
        return kept

    # -- following -------------------------------------------------------------------------------------------------

    def observe(self, fresh: Mapping[str, object], held: Mapping[str, object], mono_ns: int, read_ns: int) -> None:
        """Take one poll: ``fresh`` are its good values, ``held`` with what other polls of the asset said last."""
        if not self.spec.signals or not self._hours.update(held, mono_ns):
            return
        self._singles.observe(fresh, read_ns)
        self._settle_singles()
        usable = {tag: value for tag, value in held.items() if not self._is_wild(tag)} if self._standing else held
        row = row_of(self.spec, usable)
        raw = np.array([np.nan if (x := number(usable.get(t))) is None else x for t in self.spec.tags])
        for values, total, count in ((row, self._sum, self._count), (raw, self._raw_sum, self._raw_count)):
            given = np.isfinite(values)
            np.add(total, values, out=total, where=given)
            count += given
        if self._hours.at - self._opened_h >= STEP_H:
            self._close_step(read_ns)

    def _is_wild(self, tag: str) -> bool:
        """Whether single readings of ``tag`` mean nothing; a drifting sensor's still do, for its offset."""
        standing = self._standing.get(tag)
        return standing is not None and standing.fault not in (SensorFault.DRIFTING, SensorFault.SWAPPED)

    def _close_step(self, read_ns: int) -> None:
        self._opened_h = self._hours.at
        with np.errstate(invalid="ignore", divide="ignore"):
            row, raw = self._sum / self._count, self._raw_sum / self._raw_count
        for numbers in (self._sum, self._count, self._raw_sum, self._raw_count):
            numbers[:] = 0.0
        self._block.append((row, raw))
        if self._follower is None:
            self._rows.append(row.astype(np.float32))
            self._levels += np.nan_to_num(raw)
            self._levels_count += np.isfinite(raw)
            if len(self._rows) >= LEARN_STEPS:
                self._learn()
        if len(self._block) >= BLOCK_STEPS:
            self._close_block(read_ns)

    def _learn(self) -> None:
        given = zip(self.spec.tags, self._levels, self._levels_count, strict=True)
        levels = {tag: float(total / count) for tag, total, count in given if count}
        model = learn(self.spec, np.array(self._rows, dtype=np.float64), levels, BLOCK_STEPS)
        self._rows = []
        self._levels[:] = self._levels_count[:] = 0.0
        if model is not None:
            self._follower = Follower(self.spec, model)

    def _close_block(self, read_ns: int) -> None:
        rows, raws = (np.array(part) for part in zip(*self._block, strict=True))
        self._block = []
        self._times_ns = [*self._times_ns, read_ns][-_TIMES_MAX:]
        means = _mean_of(raws)
        self._vote({t: float(m) for t, m in zip(self.spec.tags, means, strict=True) if np.isfinite(m)})
        if self._follower is not None:
            self._hold(self._follower, rows, means)

    def _hold(self, follower: Follower, rows: Array, means: Array) -> None:
        for call in follower.update(rows, means, self._drifting()):
            if call.tag not in self._standing or call.fault is SensorFault.SWAPPED:
                self._standing[call.tag] = Standing(call.fault, self._ago(call.blocks), call.offset, call.words)
        outvoted = self._votes.off
        for tag, call in follower.reblamed():
            if tag not in outvoted and call.tag not in self._standing:
                since_ns = self._standing.pop(tag).since_ns
                self._standing[call.tag] = Standing(call.fault, since_ns, call.offset, call.words)
        known = self._drifting()
        for tag in follower.believed_again(known):
            if tag not in outvoted:
                self._standing.pop(tag, None)
        for tag in self.spec.tags:
            if self._is(tag, SensorFault.SWAPPED) and tag not in follower.exchanged:
                del self._standing[tag]
        for tag in (self.spec.tags[i] for i in known):
            if self._is(tag, SensorFault.DRIFTING) and tag not in outvoted:
                offset, said = follower.offset(self.spec.tags.index(tag))
                self._standing[tag] = Standing(SensorFault.DRIFTING, self._standing[tag].since_ns, offset, said)

    def _drifting(self) -> tuple[int, ...]:
        return tuple(i for i, t in enumerate(self.spec.tags) if self._is(t, SensorFault.DRIFTING))

    def _vote(self, means: Mapping[str, float]) -> None:
        again = self._votes.update(means, frozenset(t for t in self._standing if self._is_wild(t)))
        for tag in again:
            if self._is(tag, SensorFault.DRIFTING):
                del self._standing[tag]
                if self._follower is not None:
                    self._follower.forget((self.spec.tags.index(tag),))
        for tag, group in self._votes.off.items():
            known = self._is(tag, SensorFault.DRIFTING)
            since_ns = self._standing[tag].since_ns if known else self._ago(group.since(tag))
            because, bias = f"the vote of {len(group.tags)} sensors", group.bias(tag)
            said = words.drifting(tag, self.spec.unit(tag), bias, means.get(tag, 0.0), because)
            if not self._is_wild(tag):
                self._standing[tag] = Standing(SensorFault.DRIFTING, since_ns, bias, said)

    def _is(self, tag: str, fault: SensorFault) -> bool:
        standing = self._standing.get(tag)
        return standing is not None and standing.fault == fault

    def _ago(self, blocks: int) -> int:
        """The wall time so many blocks ago, as far back as is remembered."""
        return self._times_ns[-min(max(blocks, 1), len(self._times_ns))] if self._times_ns else 0

    def _settle_singles(self) -> None:
        found = {tag: (fault, since_ns) for tag, fault, since_ns in self._singles.faults()}
        for tag in [t for t in self._standing if self._is_wild(t) and t not in found]:
            del self._standing[tag]
        for tag, (fault, since_ns) in found.items():
            if not self._is(tag, fault):
                self._standing[tag] = Standing(fault, since_ns, None, words.plain(tag, fault))

    # -- keeping ---------------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """Plain JSON data; a few tens of kilobytes while it learns, a few afterwards."""
        return {
            "version": STATE_VERSION,
            "tags": list(self.spec.tags),
            "hours": self._hours.kept(),
            "singles": self._singles.kept(),
            "opened": self._opened_h,
            "votes": self._votes.kept(),
            "standing": {tag: asdict(standing) for tag, standing in self._standing.items()},
            "rows": base64.b64encode(np.array(self._rows, dtype="<f4").tobytes()).decode(),
            "levels": [self._levels.tolist(), self._levels_count.tolist()],
            "open": [a.tolist() for a in (self._sum, self._count, self._raw_sum, self._raw_count)],
            "block": [[row.tolist(), raw.tolist()] for row, raw in self._block],
            "times": self._times_ns,
            "follower": self._follower.kept() if self._follower is not None else None,
        }

    def restore(self, kept: Mapping[str, Any]) -> bool:
        """Continue; False, and a watch that learns anew is to be made, where ``kept`` is of other sensors.

        Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what is no such state.
        """
        if kept["version"] != STATE_VERSION or kept["tags"] != list(self.spec.tags):
            return False
        self._hours.restore(kept["hours"])
        self._singles.restore(kept["singles"])
        self._opened_h = kept["opened"]
        self._votes.restore(kept["votes"])
        self._standing = {tag: Standing(**standing) for tag, standing in kept["standing"].items()}
        rows = np.frombuffer(base64.b64decode(kept["rows"]), dtype="<f4").astype(np.float32)
        self._rows = list(rows.reshape(-1, max(len(self._sum), 1)))
        self._levels, self._levels_count = (np.array(a) for a in kept["levels"])
        self._sum, self._count, self._raw_sum, self._raw_count = (np.array(a) for a in kept["open"])
        self._block = [(np.array(row), np.array(raw)) for row, raw in kept["block"]]
        self._times_ns = list(kept["times"])
        self._follower = Follower.of(self.spec, kept["follower"]) if kept["follower"] is not None else None
        return True


def _mean_of(rows: Array) -> Array:
    count = np.isfinite(rows).sum(axis=0)
    return np.where(count > 0, np.nansum(rows, axis=0) / np.maximum(count, 1), np.nan)

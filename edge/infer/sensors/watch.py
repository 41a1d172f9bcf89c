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
from edge.infer.sensors.redundancy import Group
from edge.infer.sensors.signs import Signs
from edge.infer.sensors.spec import SensorSpec

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
        self._signs = {tag: Signs() for tag in spec.tags}
        self._moved_at: dict[str, int] = {}
        self._suspect_ns: dict[str, int] = {}
        self._polls = 0
        self._groups = [Group(tags) for tags in spec.groups if len(tags) >= 3]
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
        """Of these the ones that no vote of a group stands in for."""
        spoken_for = {tag for group in self._groups for tag in group.tags if len(group.tags) - len(group.off) >= 2}
        return self.quarantined - spoken_for

    def believed(self, values: Mapping[str, object]) -> dict[str, object]:
        """``values`` without what is not believed; a redundant sensor is spoken for by the vote of its group."""
        kept = {tag: value for tag, value in values.items() if tag not in self._standing}
        for group in self._groups:
            numbers = {t: x for t in group.tags if t in kept and (x := number(kept[t])) is not None}
            for tag in group.tags:
                if tag in self._standing and (vote := group.vote(tag, numbers)) is not None:
                    kept[tag] = vote
        return kept

    # -- following -------------------------------------------------------------------------------------------------

    def observe(self, fresh: Mapping[str, object], held: Mapping[str, object], mono_ns: int, read_ns: int) -> None:
        """Take one poll: ``fresh`` are its good values, ``held`` with what other polls of the asset said last."""
        if not self.spec.signals or not self._hours.update(held, mono_ns):
            return
        self._watch_signs(fresh, read_ns)
        usable = {tag: value for tag, value in held.items() if not self._is_wild(tag)}
        row = row_of(self.spec, usable)
        raw = np.array([np.nan if (x := number(usable.get(t))) is None else x for t in self.spec.tags])
        for values, total, count in ((row, self._sum, self._count), (raw, self._raw_sum, self._raw_count)):
            given = np.isfinite(values)
            total[given] += values[given]
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
        known = tuple(i for i, t in enumerate(self.spec.tags) if self._is(t, SensorFault.DRIFTING))
        called = follower.update(rows, means, known)
        for call in called:
            if call.tag not in self._standing:
                self._standing[call.tag] = Standing(call.fault, self._ago(call.blocks), call.offset, call.words)
        for tag in follower.believed_again(known):
            if not any(tag in group.off for group in self._groups):
                self._standing.pop(tag, None)
        for tag in follower.exchanged_back():
            if self._is(tag, SensorFault.SWAPPED):
                self._standing.pop(tag, None)
        for i in known:
            self._say_offset(self.spec.tags[i], follower.offset(i))

    def _say_offset(self, tag: str, offset: tuple[float, str]) -> None:
        standing = self._standing.get(tag)
        if standing is not None and not any(tag in group.off for group in self._groups):
            self._standing[tag] = Standing(standing.fault, standing.since_ns, *offset)

    def _vote(self, means: Mapping[str, float]) -> None:
        wild = frozenset(t for t in self._standing if self._is_wild(t))
        for group in self._groups:
            before = group.off
            group.update(means, wild)
            for tag in group.off:
                since = (
                    self._standing[tag].since_ns if self._is(tag, SensorFault.DRIFTING) else self._ago(group.since(tag))
                )
                said = words.drifting(
                    tag,
                    self.spec.unit(tag),
                    group.bias(tag),
                    means.get(tag, 0.0),
                    f"the vote of {len(group.tags)} sensors",
                )
                self._standing[tag] = Standing(SensorFault.DRIFTING, since, group.bias(tag), said)
            for tag in before:
                if tag not in group.off and self._is(tag, SensorFault.DRIFTING):
                    self._standing.pop(tag)
                    if self._follower is not None:
                        self._follower.forget((self.spec.tags.index(tag),))

    def _is(self, tag: str, fault: SensorFault) -> bool:
        standing = self._standing.get(tag)
        return standing is not None and standing.fault == fault

    def _ago(self, blocks: int) -> int:
        """The wall time so many blocks ago, as far back as is remembered."""
        return self._times_ns[-min(max(blocks, 1), len(self._times_ns))] if self._times_ns else 0

    def _watch_signs(self, fresh: Mapping[str, object], read_ns: int) -> None:
        self._polls += 1
        given = [(tag, x) for tag, signs in self._signs.items() if (x := number(fresh.get(tag))) is not None]
        for tag, value in given:
            if value != self._signs[tag].last:
                self._moved_at[tag] = self._polls
        half = (len(self._moved_at) - 1) / 2.0
        for tag, value in given:
            signs, at = self._signs[tag], self._moved_at.get(tag, 0)
            others = value != signs.last or sum(moved > at for moved in self._moved_at.values()) >= max(half, 1.0)
            signs.update(value, others_move=others)
            self._settle_sign(tag, signs, read_ns)

    def _settle_sign(self, tag: str, signs: Signs, read_ns: int) -> None:
        if not signs.suspect:
            self._suspect_ns.pop(tag, None)
        else:
            self._suspect_ns.setdefault(tag, read_ns)
        standing = self._standing.get(tag)
        if signs.fault and (standing is None or standing.fault != signs.fault):
            fault = SensorFault(signs.fault)
            self._standing[tag] = Standing(fault, self._suspect_ns.get(tag, read_ns), None, words.plain(tag, fault))
        elif not signs.fault and standing is not None and self._is_wild(tag):
            del self._standing[tag]

    # -- keeping ---------------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """Plain JSON data; a few tens of kilobytes while it learns, a few afterwards."""
        return {
            "version": STATE_VERSION,
            "tags": list(self.spec.tags),
            "hours": self._hours.kept(),
            "signs": {tag: signs.kept() for tag, signs in self._signs.items()},
            "moved": self._moved_at,
            "suspect": self._suspect_ns,
            "polls": self._polls,
            "opened": self._opened_h,
            "groups": [group.kept() for group in self._groups],
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
        self._signs = {tag: Signs(**kept["signs"][tag]) for tag in self.spec.tags}
        self._moved_at, self._suspect_ns = dict(kept["moved"]), dict(kept["suspect"])
        self._polls, self._opened_h = kept["polls"], kept["opened"]
        for group, state in zip(self._groups, kept["groups"], strict=True):
            group.restore(state)
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

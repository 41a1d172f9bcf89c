"""What to hold against what: an asset's sensors, the conditions that they depend on, and how its faults show.

Everything is data of the asset class and of the site; what they leave out is told by the kinds of the tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.config.asset_class import AssetClass
from edge.config.sensors import Balance
from edge.contract.types import Tag
from edge.features.tracker import Signal
from edge.infer.words import spoken

SENSORS_MAX = 32
_RATIO = frozenset({"vibration", "power", "flow"})
"""Kinds whose scatter grows with their level, so that ratios count."""
_UNMEASURED = frozenset({"counter", "hours", "state", "setpoint"})
_CONDITION = frozenset({"speed", "load"})
_SUFFIXES = {
    "mm_s": "vibration", "_g": "vibration", "kurtosis": "vibration", "crest_factor": "vibration", "_c": "temperature",
    "_rpm": "speed", "load_percent": "load", "_kw": "power", "_nm": "power", "torque_percent": "power",
    "_bar": "pressure", "_m3_h": "flow", "_total": "counter", "_total_m3": "counter", "meter_h": "hours",
    "running": "state",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Coupling:
    """How one fault of the machine shows: by tag +1 where it rises, -1 where it falls."""

    title: str
    moves: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """``signals`` are what is watched, ``conditions`` what they are compared under; both are sensors that may be bad.

    ``ambient`` is the tag that temperatures are taken above, ``early`` are tags in which a fault of the machine shows
    before it shows anywhere else, so that they are called bad late.
    """

    signals: tuple[Signal, ...]
    conditions: tuple[str, ...]
    ambient: str = ""
    couplings: tuple[Coupling, ...] = ()
    early: frozenset[str] = frozenset()
    groups: tuple[tuple[str, ...], ...] = ()
    balances: tuple[Balance, ...] = ()
    units: tuple[tuple[str, str], ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """Every sensor, signals first."""
        return (*(s.tag for s in self.signals), *self.conditions)

    def unit(self, tag: str) -> str:
        """As its profile says, else by its name; empty where it has none."""
        return dict(self.units).get(tag, "") or spoken(tag)[1]


def kind_of(tag: str, tags: Sequence[Tag] = ()) -> str:
    """The kind of ``tag`` by what the profile says of it, else by its name."""
    for one in tags:
        if one.tag == tag:
            # Torque, crest factor and the like are "other" in some profiles; their names know better.
            return one.kind if one.kind != "other" else _by_name(tag)
    return _by_name(tag)


def _by_name(tag: str) -> str:
    return next((kind for suffix, kind in _SUFFIXES.items() if tag.endswith(suffix)), "other")


def spec_of(
    asset_class: AssetClass,
    tags: Sequence[Tag] = (),
    *,
    groups: Sequence[Sequence[str]] = (),
    balances: Sequence[Balance] = (),
) -> SensorSpec:
    """The sensors of an asset: all measured ``tags``, or those that its class watches where none are told.

    ``groups`` and ``balances`` are the site's own, beside those of the class.
    """
    everything = [*(g.tags for g in asset_class.redundant), *groups]
    # Two sensors cannot vote: that they agree is a balance.
    twins = [g for g in everything if len(g) == 2]
    parities = (
        *asset_class.balance,
        *balances,
        *(Balance(id=f"{a}-{b}", terms={a: 1.0, b: -1.0}) for a, b in twins),
    )
    named = [t.tag for t in tags] or [
        *asset_class.watch, *asset_class.conditions, asset_class.ambient, asset_class.speed,
        *(tag for group in everything for tag in group), *(tag for b in parities for tag in b.tags),
    ]  # fmt: skip
    measured = [t for t in dict.fromkeys(named) if t and kind_of(t, tags) not in _UNMEASURED][:SENSORS_MAX]
    conditions = tuple(t for t in asset_class.conditions if t in measured) or tuple(
        t for t in measured if kind_of(t, tags) in _CONDITION
    )
    ambient = asset_class.ambient if asset_class.ambient in measured else ""
    signals = tuple(_signal(t, tags, ambient) for t in measured if t not in conditions)
    couplings = tuple(
        Coupling(f.title, tuple((tag, 1 if way == "up" else -1) for tag, way in f.moves.items() if tag in measured))
        for f in asset_class.fault
    ) or _by_kind(measured, conditions, ambient, tags)
    return SensorSpec(
        signals=signals,
        conditions=conditions,
        ambient=ambient,
        couplings=couplings,
        early=frozenset(t for t in measured if kind_of(t, tags) == "vibration"),
        groups=tuple(tuple(g) for g in everything if len(g) > 2),
        balances=parities,
        units=tuple((t.tag, t.unit) for t in tags),
    )


def _signal(tag: str, tags: Sequence[Tag], ambient: str) -> Signal:
    kind = kind_of(tag, tags)
    return Signal(tag, log=kind in _RATIO, minus=ambient if kind == "temperature" and tag != ambient else "")


def _by_kind(measured: Sequence[str], conditions: Sequence[str], ambient: str, tags: Sequence[Tag]) -> tuple[Coupling]:
    """What holds for any machine: worn, unbalanced or dry it shakes, warms up and takes more power."""
    moving = [
        t for t in measured
        if t not in conditions and t != ambient and kind_of(t, tags) in ("vibration", "temperature", "power")
    ]  # fmt: skip
    return (Coupling("a fault of the machine", tuple((t, 1) for t in moving)),)

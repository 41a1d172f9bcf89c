"""What the profiles of every protocol have in common: which device it is, and what each of its signals means."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SignalKind = Literal[
    "vibration",
    "temperature",
    "speed",
    "load",
    "power",
    "pressure",
    "flow",
    "level",
    "counter",
    "hours",
    "state",
    "setpoint",
    "other",
]

Plain = float | int | bool | str
ValueType = Literal["number", "integer", "bool", "text"]


def is_of(value: Plain, kind: ValueType) -> bool:
    """Whether ``value`` may stand for one of that type: a whole number is a number too, a bool is neither."""
    match kind:
        case "text":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every table is frozen, and a key that it does not know is an error."""


class AnyProfile(Strict, frozen=True, kw_only=True):
    """What profiles of every protocol have in common."""

    @property
    def needs_place(self) -> bool:
        """Whether an address in it holds ``{at}``: then a unit must say what stands for it."""
        return False


class Device(Strict, frozen=True, kw_only=True):
    """``source`` says where the facts come from; ``products`` which devices they are true of."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    products: tuple[str, ...]
    source: str
    protocol: str = "modbus"


class Signal(Strict, frozen=True, kw_only=True):
    """What one value means; where it lives is the protocol's. ``value = raw * scale + offset``.

    ``range`` is what its sensor can measure, from the lowest to the highest, in its unit: limits are laid within it.
    With a deadband (absolute, or in percent of the last kept value) changes alone are kept, and one value at least in
    ``heartbeat_s``; see ``edge.config.scans``.
    """

    tag: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    title: str = ""
    kind: SignalKind = "other"
    decimals: Annotated[int, Meta(ge=0, le=9)] = 2
    range: tuple[float, float] | None = None
    deadband: Annotated[float, Meta(ge=0)] | None = None
    deadband_percent: Annotated[float, Meta(gt=0, le=100)] | None = None
    heartbeat_s: Annotated[float, Meta(gt=0, le=86_400)] = 60.0

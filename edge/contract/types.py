"""The few types that travel between rooms, and between edge and cloud.

All are frozen and slotted; units stand last in names (``rul_h``, ``read_ns``). Times are integers of nanoseconds: wall
times since the Unix epoch (UTC), monotonic times since an arbitrary start that is the same within one boot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from edge.contract.commands import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = float | int | bool | str | None
"""One reading's value. None where, and only where, the quality is bad."""


class Quality(IntEnum):
    """How far a value may be believed; one byte, status in the top two bits, cause below.

    A failed read is a value with a bad quality, never a missing row. The causes of the bad ones are the ledger's:
    ``bus`` (no answer, CRC error, foreign or late reply, line down), ``device`` (it answered with an exception, or says
    that it has no value), ``decode`` (the reply cannot mean what the profile says).
    """

    GOOD = 0x00
    UNCERTAIN = 0x40
    BAD_BUS = 0x80
    BAD_DEVICE = 0x81
    BAD_DECODE = 0x82

    @property
    def is_bad(self) -> bool:
        return self >= Quality.BAD_BUS

    @property
    def cause(self) -> Cause | None:
        """The ledger's word for a bad quality, else None."""
        return _CAUSE_OF_QUALITY.get(self)


class Cause(StrEnum):
    """Why a reading is bad (the first three) or was dropped (the rest, and decode where a block is corrupt)."""

    BUS = "bus"
    DEVICE = "device"
    DECODE = "decode"
    DISK = "disk"
    CLOCK = "clock"
    POWER = "power"
    CAP = "cap"


_CAUSE_OF_QUALITY = {
    Quality.BAD_BUS: Cause.BUS,
    Quality.BAD_DEVICE: Cause.DEVICE,
    Quality.BAD_DECODE: Cause.DECODE,
}


class Lane(IntEnum):
    """What goes up first. A block belongs to one lane."""

    URGENT = 0
    TELEMETRY = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """One poll of one asset, as columns: ``tags``, ``values``, ``quality`` and ``source_ns`` have equal length.

    ``source_ns`` is when each value was true at its source, by the device's own time stamp where it has one, else the
    arrival of the reply; ``read_ns`` and ``mono_ns`` are the gateway's wall and monotonic clocks at the poll's end;
    ``trusted`` says whether the wall clock was known to be right then. ``past``: the device had kept it and sends it
    late, so that it is stored and says nothing of what stands now; that is not part of what is sent.
    """

    asset: str
    tags: tuple[str, ...]
    values: tuple[Value, ...]
    quality: tuple[Quality, ...]
    source_ns: tuple[int, ...]
    read_ns: int
    mono_ns: int
    trusted: bool = True
    past: bool = False

    def __post_init__(self) -> None:
        assert len(self.tags) == len(self.values) == len(self.quality) == len(self.source_ns)

    def good(self) -> dict[str, Value]:
        """Values of good quality by tag."""
        return {t: v for t, v, q in zip(self.tags, self.values, self.quality, strict=True) if q == Quality.GOOD}


class Urgency(StrEnum):
    """What the remaining useful life asks for, judged on the lower end of its interval as far as evidence has it: where
    the interval shown is wider only because readings came too rarely, this is judged without that."""

    UNKNOWN = "UNKNOWN"
    NORMAL = "NORMAL"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        return list(Urgency).index(self)


URGENCY_CRITICAL_BELOW_H = 48.0
URGENCY_WARNING_BELOW_H = 168.0


def urgency_of(rul_low_h: float | None) -> Urgency:
    """CRITICAL under 48 h, WARNING under a week, NORMAL above, UNKNOWN without an interval."""
    if rul_low_h is None:
        return Urgency.UNKNOWN
    if rul_low_h < URGENCY_CRITICAL_BELOW_H:
        return Urgency.CRITICAL
    return Urgency.WARNING if rul_low_h < URGENCY_WARNING_BELOW_H else Urgency.NORMAL


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal's share (0..1) in a verdict, in a sentence that an operator understands.

    ``since_ns`` is since when it stands off, 0 where that is not known.
    """

    tag: str
    share: float
    words: str
    since_ns: int = field(default=0, repr=False)


class SensorFault(StrEnum):
    """What is wrong with a sensor, as against with the machine that it watches."""

    DRIFTING = "drifting"
    STUCK = "stuck"
    NOISY = "noisy"
    CLIPPED = "clipped"
    SPIKING = "spiking"
    SWAPPED = "swapped"


@dataclass(frozen=True, slots=True)
class SensorState:
    """A sensor that is not believed since ``since_ns``; ``offset`` is its estimated error in the tag's unit.

    ``offset`` is None where none can be told. ``quarantined`` sensors are no evidence in the judgement.
    """

    tag: str
    fault: SensorFault
    since_ns: int
    offset: float | None
    quarantined: bool
    words: str


@dataclass(frozen=True, slots=True)
class SurvivalPoint:
    """The asset still runs ``at_h`` hours from now with the probability ``survives`` (0..1)."""

    at_h: float
    survives: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gateway judges of one asset; never a bare number.

    ``health`` runs from 100 (as new) to 0 (failed); ``anomaly`` is the score over its threshold (1.0 is the threshold).
    The remaining useful life, in hours of the machine's own hour meter, comes with a calibrated interval, or all three
    are None and ``note`` says why there is not enough evidence. ``coverage`` is the share (0..1) of the expected
    readings in the window that were good. ``bundle`` is the hash of the bundle that judged, empty where none did.

    The rest came later, and is left out where it is as by default. ``anomaly_p`` is the conformal p-value of the
    anomaly among healthy ones. ``failure_p`` is the probability of a failure within ``stop_h`` hours, when the next
    planned stop is; ``survival`` never rises. ``sensors`` are those that are not believed. ``basis`` says what the life
    rests on: ``bundle``, ``prior`` (physics alone), or nothing. Verdicts of one asset are numbered from 1 on, and
    ``seal`` chains each to the one before. It was asked for at ``mono_ns``, of a judge that had then observed ``polls``
    polls since ``first_ns``, the monotonic time of the first: with these whoever has the readings can judge again.
    """

    asset: str
    at_ns: int
    bundle: str
    health: float | None
    anomaly: float | None
    anomalous: bool
    rul_h: float | None
    rul_low_h: float | None
    rul_high_h: float | None
    urgency: Urgency
    reasons: tuple[Reason, ...]
    coverage: float
    note: str = ""
    anomaly_p: float | None = field(default=None, repr=False)
    failure_p: float | None = field(default=None, repr=False)
    stop_h: float | None = field(default=None, repr=False)
    survival: tuple[SurvivalPoint, ...] = field(default=(), repr=False)
    sensors: tuple[SensorState, ...] = field(default=(), repr=False)
    basis: str = field(default="", repr=False)
    number: int = field(default=0, repr=False)
    seal: str = field(default="", repr=False)
    mono_ns: int = field(default=0, repr=False)
    first_ns: int = field(default=0, repr=False)
    polls: int = field(default=0, repr=False)

    @property
    def life_by_condition(self) -> tuple[float | None, float | None, float | None]:
        """Life and its ends in hours where they rest on the machine's condition: what a chart of it draws.

        A life by age and papers alone stands on another scale, a hundred times as long, and moves by the clock only.
        """
        return (None,) * 3 if self.basis == "prior" else (self.rul_h, self.rul_low_h, self.rul_high_h)


def failure_chance(verdict: Verdict) -> str:
    """The chance of a failure before the next planned stop: "12 %", or "" where none is known.

    A calibrated interval of 90 % resolves nothing beyond its ends, and no law of ageing the last per cent: there it is
    "under 5 %" or "over 95 %", and not a number.
    """
    if verdict.failure_p is None:
        return ""
    least = 0.01 if verdict.basis == "prior" else 0.05
    if verdict.failure_p < least:
        return f"under {100 * least:.0f} %"
    if verdict.failure_p >= 1.0 - least:
        return f"over {100 * (1.0 - least):.0f} %"
    return f"{100 * verdict.failure_p:.0f} %"


class Priority(StrEnum):
    """How fast an operator must answer."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class AlarmState(StrEnum):
    """States of IEC 62682: active or not, acknowledged or not. ``NORMAL`` is neither."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"

    @property
    def is_active(self) -> bool:
        return self in (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)

    @property
    def awaits_a_person(self) -> bool:
        """Whether somebody is to acknowledge it still."""
        return self in (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED)


class Held(StrEnum):
    """Why an alarm is kept from people although it may be active: a state of its own beside ``AlarmState``.

    Shelved by an operator, for a time or once; suppressed by design, as its process is in a state in which it means
    nothing; out of service, until somebody puts it back (ISA-18.2 states G, H and I).
    """

    NOT = ""
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out of service"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm after one change of its state. ``asset`` and ``rule`` together name it; ``since_ns`` is its raising.

    The rest came later, and is left out where it is as by default. A ``latched`` one stays, although its condition is
    gone, until somebody resets it. ``held``, until ``until_ns`` where that is not 0: it calls nobody, and its state
    goes on beneath. ``by`` and ``why``: who acknowledged, shelved or reset it last, in what words. ``group`` is that of
    alarms with one likely cause, of which the ``first`` is marked. ``repeats`` counts how often it was announced again
    because nobody had acknowledged it.
    """

    asset: str
    rule: str
    tag: str
    priority: Priority
    state: AlarmState
    since_ns: int
    at_ns: int
    value: float | None
    sentence: str
    cause: str = ""
    action: str = ""
    latched: bool = field(default=False, repr=False)
    held: Held = field(default=Held.NOT, repr=False)
    until_ns: int = field(default=0, repr=False)
    by: str = field(default="", repr=False)
    why: str = field(default="", repr=False)
    group: str = field(default="", repr=False)
    first: bool = field(default=False, repr=False)
    repeats: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A declared loss: ``count`` good readings of one tag that were taken and will never arrive."""

    asset: str
    tag: str
    cause: Cause
    count: int
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What became of one tag's readings in one hour (``hour_ns`` is its start). See ``balanced``.

    ``acknowledged`` and ``pending`` are filled where the row is printed, from the cursor; on the wire ``kept`` stands
    for their sum with ``thinned`` and ``dropped``.
    """

    asset: str
    tag: str
    hour_ns: int
    offered: int = 0
    bad_bus: int = 0
    bad_device: int = 0
    bad_decode: int = 0
    unchanged: int = 0
    kept: int = 0
    acknowledged: int = 0
    pending: int = 0
    thinned: int = 0
    dropped_disk: int = 0
    dropped_clock: int = 0
    dropped_power: int = 0
    dropped_cap: int = 0
    dropped_decode: int = 0

    @property
    def bad(self) -> int:
        return self.bad_bus + self.bad_device + self.bad_decode

    @property
    def good(self) -> int:
        return self.offered - self.bad

    @property
    def dropped(self) -> int:
        return self.dropped_disk + self.dropped_clock + self.dropped_power + self.dropped_cap + self.dropped_decode

    @property
    def balanced(self) -> bool:
        """``good = kept + unchanged`` and ``kept = acknowledged + pending + thinned + dropped``."""
        return (
            self.good == self.kept + self.unchanged
            and self.kept == self.acknowledged + self.pending + self.thinned + self.dropped
        )


@dataclass(frozen=True, slots=True)
class Tag:
    """What one signal means: its unit (UCUM-like, empty for none), a title for people, its kind and decimals to show.

    ``kind`` is one of vibration, temperature, speed, load, power, pressure, flow, level, counter, hours, state,
    setpoint (what is asked of the machine, not measured), other. It is read every ``period_ms`` (0: as its asset);
    where ``heartbeat_ms`` is not 0 changes alone are kept, and one value at least in so long. Both are younger than
    the rest and are left out where they are 0.
    """

    tag: str
    unit: str
    title: str
    kind: str
    decimals: int
    period_ms: int = field(default=0, repr=False)
    heartbeat_ms: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """One machine as the gateway knows it; sent at every start so that the cloud can name what it shows."""

    asset: str
    name: str
    asset_class: str
    tags: tuple[Tag, ...]
    period_ms: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class ClockSet:
    """In this boot (32 hex digits) the wall clock became trusted, at monotonic ``mono_ns`` and wall time ``at_ns``.

    The true wall time of every reading of this boot that was stamped while the clock was not trusted is its own
    ``mono_ns + offset_ns``.
    """

    boot: str
    offset_ns: int
    mono_ns: int
    at_ns: int


if TYPE_CHECKING:
    Samples = NDArray[np.int16] | NDArray[np.int32] | NDArray[np.float32] | NDArray[np.float64]
else:

    class Samples:
        """Stands for numpy's arrays: a process that only shows alarms need not have the 16 MB of that library."""


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """A snapshot of one signal: ``samples`` (one dimension) at ``rate_hz``, the first of them at ``at_ns``.

    ``unit`` is that of a sample. Two are equal where every bit of them is.
    """

    asset: str
    tag: str
    unit: str
    at_ns: int
    mono_ns: int
    trusted: bool
    rate_hz: float
    samples: Samples

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Waveform) and self._exact() == other._exact()

    def __hash__(self) -> int:
        return hash(self._exact())

    def _exact(self) -> tuple[object, ...]:
        named = (self.asset, self.tag, self.unit, self.at_ns, self.mono_ns, self.trusted, self.rate_hz)
        return (*named, self.samples.dtype.str, self.samples.tobytes())


CHECKPOINT_CHARS_MAX = 256 * 1024
"""A longer one is not told: a machine of hundreds of signals without a bundle; its verdicts cannot be made again."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the judge of an asset stood, and what it is made of, as JSON: from here on its verdicts can be made again.

    It comes before the verdicts of each judge that begins or goes on after a start, and once a day.
    """

    asset: str
    at_ns: int
    state: str


class BundleStep(StrEnum):
    """What became of a bundle at one asset. The last four are ends."""

    WATCHED = "watched"
    COUNTS = "counts"
    KEPT = "kept"
    ROLLED_BACK = "rolled back"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class BundleChange:
    """A step of the ``bundle`` with this hash at an asset, in rollout ``number``; told again at each start.

    Number 0 and no hash: it is about the configured one, which was refused at a start.

    ``watched``: it judges beside ``former``, which is the configured bundle where that is empty. ``counts``: its
    verdicts are the asset's. ``kept``: its trial ended well. ``rolled back``, ``withdrawn`` (by the cloud) and
    ``refused``: ``former`` judges. ``words`` say why, ``verdicts`` how many were compared.
    """

    asset: str
    at_ns: int
    bundle: str
    former: str
    step: BundleStep
    number: int
    verdicts: int
    words: str


Record = Asset | Verdict | Alarm | Dropped | LedgerRow | ClockSet | Waveform | Checkpoint | BundleChange | Outcome
"""What travels in a block beside readings."""


@dataclass(frozen=True, slots=True)
class Key:
    """The name of a block: ``epoch`` (32 hex digits) is made when a store is created, ``seq`` counts from 1 in it."""

    gateway: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Ack:
    """What the receiver holds durably: every ``seq`` up to ``through``, and those in ``also`` beyond it.

    ``refused`` names blocks that it will never take, with the reason: they are declared lost by the gateway. ``wants``
    are the digests, in hex, of dictionaries that it does not have: the blocks that need them are neither held nor
    refused.
    """

    epoch: str
    through: int
    also: tuple[int, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    wants: tuple[str, ...] = ()

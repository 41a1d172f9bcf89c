"""What the panel is told: plain data, which travels to the panel's own process as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from edge.contract.desired import TrackRecord
from edge.contract.types import Alarm, Verdict


@dataclass(frozen=True, slots=True)
class Advice:
    """A setpoint that waits for people: ``words`` such as "speed 2700 rpm", why, and how many approvals are missing."""

    asset: str
    words: str
    why: str = ""
    approvals_needed: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing about the gateway itself, such as ``what`` "disk" and ``words`` "71 % full"; ``ok``: nothing to do."""

    what: str
    words: str
    ok: bool


@dataclass(frozen=True, slots=True)
class PanelState:
    """All that the panel tells of. ``names`` gives every asset by id, in the order to page through.

    ``alarms`` are those that stand, those that are held too; ``alarms_of`` is how many stand, where not all are told.
    ``stale`` holds the assets of which nothing current is known; ``uplink_up`` is None where no uplink is configured;
    ``elapsed_s`` runs on the monotonic clock. ``records`` tell how often the verdicts were right. ``at_ns`` is the wall
    time of all this (0: not known, and no ages are told), ``age_s`` how old the newest good reading of each asset is.
    ``advice`` waits for people; ``health`` is the gateway's own. ``gateway`` is its id.
    """

    alarms: Sequence[Alarm]
    verdicts: Mapping[str, Verdict]
    names: Mapping[str, str]
    stale: Collection[str]
    uplink_up: bool | None
    backlog_readings: int
    elapsed_s: float
    records: Mapping[str, TrackRecord] = field(default_factory=dict)
    at_ns: int = 0
    age_s: Mapping[str, float] = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()
    health: tuple[Condition, ...] = ()
    gateway: str = ""
    alarms_of: int = 0

    def name(self, asset: str) -> str:
        """What people call it; a matter of the gateway itself is about none that it names."""
        return self.names.get(asset) or asset

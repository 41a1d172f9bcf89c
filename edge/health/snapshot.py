"""What the gateway sees of itself at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """None stands for what cannot be seen here. ``mono_ns`` is its monotonic time.

    ``counts`` only grow: ``thinned`` and ``lost`` readings (not those that a cut of the power took, which nobody could
    help), ``lost_records``, ``altered_blocks``, ``clock_steps`` of a trusted clock; ``restarts`` by room.
    ``waiting_s`` is for how long at least the oldest of the ``waiting`` readings has waited for the way up; None
    without an uplink. ``judged_s``: how long ago the judges last came round, None where nobody judges;
    ``late`` are the machines whose judge does not come back. ``disk_waits_s``: for how long the disk was asked without
    an answer; what it tells is then as it was, and what is free on it is not known. ``unkept``: why nothing is kept.
    """

    mono_ns: int
    free_mb: float | None = None
    store_mb: float = 0.0
    balanced: bool = True
    clock_trusted: bool = True
    clock_words: str = ""
    waiting: int = 0
    waiting_s: float | None = None
    uplink_words: str = ""
    board_c: float | None = None
    memory_percent: float | None = None
    judged_s: float | None = None
    late: tuple[str, ...] = ()
    disk_waits_s: float = 0.0
    unkept: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)

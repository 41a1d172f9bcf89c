"""When the gateway raises alarms about itself: the table ``[health]`` of the site file."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.config.profiles.signal import Strict

HealthRule = Literal[
    "disk_low", "disk_full", "store_near_cap", "store_thins", "readings_lost", "ledger_unbalanced", "clock_unset",
    "clock_stepped", "backlog_old", "board_hot", "memory_low", "room_restarts", "judges_hang",
    "disk_hangs",
    "nothing_kept",
]  # fmt: skip


class Health(Strict, frozen=True, kw_only=True):
    """When the gateway raises alarms about itself. They are alarms of an asset with the gateway's id."""

    interval_s: Annotated[float, Meta(ge=0.1, le=3600, description="How often it looks at itself.")] = 5.0
    disk_free_mb: Annotated[
        float, Meta(ge=0, description="Less free on the store's disk is `disk_low`; `free_mb_min` is `disk_full`.")
    ] = 256.0
    store_percent: Annotated[
        float, Meta(gt=0, le=100, description="Of `store_mb_max`; a larger store is `store_near_cap`.")
    ] = 80.0
    clock_unset_s: Annotated[
        float, Meta(ge=0, description="A wall clock that nobody has set for so long is `clock_unset`.")
    ] = 300.0
    backlog_h: Annotated[float, Meta(gt=0, description="Readings that wait to go up for longer are `backlog_old`.")] = (
        1.0
    )
    board_c: Annotated[float, Meta(ge=0, le=150, description="A hotter board is `board_hot`.")] = 80.0
    board_path: Annotated[str, Meta(description="Where the kernel tells of its temperatures.")] = "/sys/class/thermal"
    memory_percent: Annotated[
        float, Meta(ge=0, le=100, description="Less of the machine's memory to be had is `memory_low`.")
    ] = 5.0
    restarts_an_hour: Annotated[
        int, Meta(ge=1, description="So many restarts of one room within an hour are `room_restarts`.")
    ] = 3
    judges_s: Annotated[
        float, Meta(gt=0, description="Judges that have said nothing for longer are `judges_hang`.")
    ] = 60.0
    off: Annotated[tuple[HealthRule, ...], Meta(description="Those that are never raised.")] = ()

"""How the gateway calls people to its alarms: the table ``[alarms]`` of the site file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge.config.profiles.signal import Strict


class Alarms(Strict, frozen=True, kw_only=True):
    """When alarms call again, for how long they may be shelved, and what a flood of them is."""

    shelve_h_max: Annotated[
        float, Meta(gt=0, le=168, description="The longest that an alarm may be shelved, until it returns or by time.")
    ] = 8.0
    re_alarm_s: Annotated[
        float,
        Meta(
            ge=0, le=86_400,
            description="So long after it called an active alarm calls again if nobody has acknowledged it; 0: never."
            " A rule may have its own.",
        ),
    ] = 0.0  # fmt: skip
    re_alarm_acknowledged_s: Annotated[
        float,
        Meta(
            ge=0, le=604_800,
            description="So long after it called an acknowledged alarm that stands wants to be acknowledged again;"
            " 0: never.",
        ),
    ] = 0.0  # fmt: skip
    first_in_group_s: Annotated[
        float,
        Meta(gt=0, le=3600, description="Of one group's alarms that are raised within this time the first is marked."),
    ] = 30.0
    flood_above: Annotated[
        int,
        Meta(
            ge=1, le=1000, description="More new alarms in ten minutes than this are a flood: low ones are held back."
        ),
    ] = 10
    flood_below: Annotated[
        int, Meta(ge=1, le=1000, description="Fewer new alarms in ten minutes than this end it; at most `flood_above`.")
    ] = 5
    chatter_raises: Annotated[
        int,
        Meta(
            ge=0, le=100,
            description="An alarm raised so often within a minute chatters: told once, then held until it is calm for a"
            " minute; 0: never.",
        ),
    ] = 3  # fmt: skip

    def __post_init__(self) -> None:
        if self.flood_below > self.flood_above:
            raise ValueError(f"`flood_below` is {self.flood_below}, more than `flood_above`, {self.flood_above}")

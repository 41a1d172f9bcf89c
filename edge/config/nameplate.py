"""What is written on a machine or in its papers, and when it stops next: what a life can be told from on day one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from edge.config.profiles.signal import Strict

Positive = Annotated[float, Meta(gt=0)]
Fitted = Annotated[
    float, Meta(ge=0, description="What the hour meter read when it was fitted; 0: it is as old as the meter.")
]


class Geometry(Strict, frozen=True, kw_only=True):
    """How a rolling bearing is built, from the maker's catalogue: snapshots of vibration then tell which part is
    damaged."""

    balls: Annotated[int, Meta(ge=3, le=200, description="How many rolling elements it has in a row.")]
    ball_mm: Annotated[float, Meta(gt=0, description="Their diameter.")]
    pitch_mm: Annotated[float, Meta(gt=0, description="The diameter of the circle through their middles.")]
    contact_angle_deg: Annotated[float, Meta(ge=0, lt=90, description="Contact angle; 0 of a deep groove bearing.")] = (
        0.0
    )


class Bearing(Strict, frozen=True, kw_only=True):
    """The rolling bearing that ends the machine's life first: its life follows ISO 281."""

    kind: Annotated[Literal["ball", "roller"], Meta(description="What rolls in it.")] = "ball"
    c_kn: Annotated[float, Meta(gt=0, description="Basic dynamic load rating, of the maker's catalogue.")]
    p_kn: Annotated[
        Positive | None,
        Meta(description="Dynamic equivalent load. Not known: a tenth of the rating is taken, with a wide margin."),
    ] = None
    rpm: Annotated[float, Meta(gt=0, le=500_000, description="Usual speed in 1/min.")]
    a_iso: Annotated[
        Annotated[float, Meta(gt=0, le=50)] | None,
        Meta(description="Factor for lubrication and cleanness of ISO 281; not known: 1, with a wide margin."),
    ] = None
    fitted_at_h: Fitted = 0.0
    geometry: Annotated[Geometry | None, Meta(description="Its measures.")] = None


class Tool(Strict, frozen=True, kw_only=True):
    """A cutting tool: its life follows Taylor's law V T^n = C."""

    v_m_min: Annotated[float, Meta(gt=0, description="Usual cutting speed.")]
    n: Annotated[float, Meta(ge=0.05, le=0.9, description="Taylor's exponent of this tool and work.")]
    c_m_min: Annotated[float, Meta(gt=0, description="The cutting speed at which it would last a minute.")]
    cutting_share: Annotated[float, Meta(gt=0, le=1, description="Share of the meter's hours in which it cuts.")] = 1.0
    fitted_at_h: Fitted = 0.0


class Winding(Strict, frozen=True, kw_only=True):
    """A motor's winding: its insulation ages by heat."""

    insulation: Annotated[Literal["A", "E", "B", "F", "H"], Meta(description="Thermal class of IEC 60085.")]
    hot_spot_c: Annotated[float, Meta(gt=-50, le=400, description="Usual temperature of its hottest place.")]
    activation_ev: Annotated[
        Annotated[float, Meta(ge=0.3, le=2.0)] | None,
        Meta(description="Activation energy of its ageing, from the maker; not known: the 10 °C rule."),
    ] = None
    fitted_at_h: Fitted = 0.0


class Vibration(Strict, frozen=True, kw_only=True):
    """Which zone of severity the machine is in: zones C and D shorten what its papers promise."""

    tag: Annotated[str, Meta(description="The signal of vibration velocity in mm/s RMS, 10 to 1000 Hz.")]
    standard: Annotated[str, Meta(description="A file of firmware_profiles/severity.")] = "iso_20816_3"
    power_kw: Annotated[float, Meta(gt=0, description="Rated power.")]
    support: Annotated[Literal["rigid", "flexible"], Meta(description="How it stands.")] = "rigid"
    shaft_height_mm: Annotated[Positive | None, Meta(description="Height of its shaft, where it is known.")] = None


class Nameplate(Strict, frozen=True, kw_only=True):
    """What a life can be told from before any model knows the machine. Parts that are given compete: the first ends it.

    Hours are the hour meter's, which the asset's class must name where a part is given.
    """

    bearing: Annotated[Bearing | None, Meta(description="Its bearing.")] = None
    tool: Annotated[Tool | None, Meta(description="Its tool.")] = None
    winding: Annotated[Winding | None, Meta(description="Its winding.")] = None
    vibration: Annotated[Vibration | None, Meta(description="Its zones of severity.")] = None

    @property
    def ages(self) -> bool:
        """Whether it names a part whose life can be told: by the hour meter."""
        return self.bearing is not None or self.tool is not None or self.winding is not None


class PlannedStop(Strict, frozen=True, kw_only=True):
    """When the machine stops next for maintenance, for the chance of a failure before then: one of the three."""

    at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(description="A date with time and zone, as 2027-03-01T06:00:00Z. The machine is taken to run until then."),
    ] = None
    at_h: Annotated[Positive | None, Meta(description="A reading of the hour meter.")] = None
    every_h: Annotated[Positive | None, Meta(description="Every so many hours of the hour meter, counted from 0.")] = (
        None
    )


def problems(nameplate: Nameplate | None, stop: PlannedStop | None, hour_meter: str) -> Iterator[tuple[str, str, str]]:
    """What is wrong with them beyond their types: key, problem, hint."""
    if nameplate is not None:
        if not nameplate.ages and nameplate.vibration is None:
            yield "nameplate", "names no part", "give bearing, tool, winding or vibration"
        if nameplate.ages and not hour_meter:
            yield "nameplate", "the asset's class names no hour meter", "give the class an `hour_meter`"
        bearing = nameplate.bearing
        if bearing is not None and bearing.p_kn is not None and bearing.p_kn >= bearing.c_kn:
            problem = f"a load of {bearing.p_kn:g} kN on a rating of {bearing.c_kn:g} kN"
            yield "nameplate.bearing.p_kn", problem, "the load is well below the rating"
        geometry = bearing.geometry if bearing is not None else None
        if geometry is not None and geometry.ball_mm >= geometry.pitch_mm:
            problem = f"balls of {geometry.ball_mm:g} mm on a circle of {geometry.pitch_mm:g} mm"
            yield "nameplate.bearing.geometry", problem, "the circle through the balls' middles is the larger"
        tool = nameplate.tool
        if tool is not None and tool.v_m_min >= tool.c_m_min:
            yield "nameplate.tool.v_m_min", "a tool life under a minute", "c_m_min is the speed of one minute's life"
    if stop is not None:
        given = [name for name in ("at", "at_h", "every_h") if getattr(stop, name) is not None]
        if len(given) != 1:
            yield "stop", f"found {' and '.join(given) or 'nothing'}", "give one of at, at_h and every_h"
        if given and given != ["at"] and not hour_meter:
            yield "stop", "the asset's class names no hour meter", "give the class an `hour_meter`, or a date"


class Service(Strict, frozen=True, kw_only=True):
    """What the judge of a machine is told of it beside its class; ``zones`` are the boundaries A/B, B/C and C/D of its
    severity in mm/s, resolved from its standard."""

    nameplate: Nameplate | None = None
    stop: PlannedStop | None = None
    zones: tuple[float, float, float] | None = None

"""A machine's parts as laws of life: what is written on it, through physics, to how its remaining hours scatter.

How far a law is off for a single machine is in its spread, the standard deviation of the logarithm of its life; what
the papers do not say makes it wide. These widths are judgement where no standard gives a number, and are meant to err
on the wide side: 0.7 is a factor of two either way, 1.1 one of three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from edge.config.nameplate import Bearing, Nameplate, Tool, Winding
from edge.contract.bundle import Ages
from edge.physics.bearing import EXPONENT, WEIBULL_SLOPE, l10_h
from edge.physics.lifetime import Lifetime
from edge.physics.motor import insulation_life_h
from edge.physics.tool import tool_life_min

LOAD_SHARE_GUESSED = 0.1
"""Of the rating, where the load is not known: machines are built for some 1000 million revolutions (C/P of 10)."""
_LOAD_KNOWN, _LOAD_GUESSED = 0.1, 0.45
_LUBRICATION_KNOWN, _LUBRICATION_GUESSED = 0.3, 1.1
_MODEL = 0.5
"""What remains between a law and a machine when all that it asks for is known."""
_TOOL_SHAPE, _TOOL_CONSTANTS = 3.5, 0.3
"""Tool lives scatter with a coefficient of variation of about 0.3 (Wager & Barash 1971, high-speed steel)."""
_WINDING_SHAPE, _HOT_SPOT_K, _RULE_OF_THUMB = 2.0, 5.0, 0.6
_APART = 0.4
"""Single machines of a fleet differ from its mean by load and care: a factor of one and a half either way."""


@dataclass(frozen=True, slots=True)
class AgeingPart:
    """One part: its law, the meter's reading at its fitting, what it rests on and what was not known, in words."""

    name: str
    law: Lifetime
    fitted_at_h: float
    rests_on: str
    unknown: tuple[str, ...]


def parts_of(nameplate: Nameplate) -> tuple[AgeingPart, ...]:
    """The parts that the nameplate names. Raises ``PhysicsError`` for what cannot be."""
    given = (
        _bearing(nameplate.bearing) if nameplate.bearing is not None else None,
        _tool(nameplate.tool) if nameplate.tool is not None else None,
        _winding(nameplate.winding) if nameplate.winding is not None else None,
    )
    return tuple(part for part in given if part is not None)


def with_fleet(parts: tuple[AgeingPart, ...], ages: Ages) -> tuple[AgeingPart, ...]:
    """``parts`` with the one that fails first drawn toward what the fleet showed: its failures are taken to be those.

    Laws of different shapes meet at their medians.
    """
    if not parts:
        return parts
    first = min(parts, key=lambda part: part.law.scale_h)
    half = -math.log(0.5)
    log_scale = math.log(ages.scale_h) + math.log(half) * (1.0 / ages.shape - 1.0 / first.law.shape)
    drawn = replace(
        first,
        law=first.law.drawn_together(log_scale, ages.spread, apart=_APART),
        rests_on=f"{first.rests_on} and {ages.failures} failures among {ages.lives} lives of its fleet",
    )
    return tuple(drawn if part is first else part for part in parts)


def _bearing(plate: Bearing) -> AgeingPart:
    load_kn = plate.p_kn if plate.p_kn is not None else LOAD_SHARE_GUESSED * plate.c_kn
    basic = l10_h(plate.c_kn, load_kn, plate.rpm, plate.kind)
    load = EXPONENT[plate.kind] * (_LOAD_KNOWN if plate.p_kn is not None else _LOAD_GUESSED)
    lubrication = _LUBRICATION_KNOWN if plate.a_iso is not None else _LUBRICATION_GUESSED
    unknown = (("load",) if plate.p_kn is None else ()) + (("lubrication",) if plate.a_iso is None else ())
    law = Lifetime.of_quantile(WEIBULL_SLOPE, 0.1, basic.value * (plate.a_iso or 1.0), math.hypot(load, lubrication))
    return AgeingPart("bearing", law, plate.fitted_at_h, "ISO 281 bearing life", unknown + basic.doubts)


def _tool(plate: Tool) -> AgeingPart:
    life = tool_life_min(plate.v_m_min, n=plate.n, c_m_min=plate.c_m_min)
    hours = life.value / 60.0 / plate.cutting_share
    # Taylor's life is the mean one: of a Weibull it is scale x gamma(1 + 1 / shape).
    scale_h = hours / math.gamma(1.0 + 1.0 / _TOOL_SHAPE)
    law = Lifetime(_TOOL_SHAPE, scale_h, math.hypot(_TOOL_CONSTANTS, _MODEL))
    return AgeingPart("tool", law, plate.fitted_at_h, "Taylor tool life", life.doubts)


def _winding(plate: Winding) -> AgeingPart:
    life = insulation_life_h(plate.insulation, plate.hot_spot_c, activation_ev=plate.activation_ev)
    temperature = math.log(2.0) * _HOT_SPOT_K / 10.0
    model = _MODEL if plate.activation_ev is not None else math.hypot(_MODEL, _RULE_OF_THUMB)
    unknown = () if plate.activation_ev is not None else ("activation energy",)
    # IEC 60216 calls the life that at which half of the specimens have failed.
    law = Lifetime.of_quantile(_WINDING_SHAPE, 0.5, life.value, math.hypot(temperature, model))
    return AgeingPart("winding", law, plate.fitted_at_h, "insulation ageing", unknown + life.doubts)

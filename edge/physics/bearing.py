"""Rolling bearings: basic and modified rating life.

Source: ISO 281:2007, clauses 5 (basic rating life) and 9 (modified rating life). The life is that of subsurface fatigue
with clean lubricant: nothing here knows of wear, current, corrosion or false brinelling. ``c_kn`` is the basic dynamic
load rating of the maker's catalogue, ``p_kn`` the dynamic equivalent load, both in kN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edge.errors import PhysicsError
from edge.physics.estimate import Estimate, positive

Kind = Literal["ball", "roller"]

EXPONENT: dict[str, float] = {"ball": 3.0, "roller": 10.0 / 3.0}
"""Life falls with this power of the load (ISO 281:2007, 5.2 and 5.3)."""
WEIBULL_SLOPE = 1.5
"""Slope of the scatter of lives from which ISO 281 derives a1 (ISO/TR 1281-2:2008): ten per cent fail by L10."""
A_ISO_MAX = 50.0
"""ISO 281:2007, 9.3.3.1: a_ISO is cut off there."""
_MINIMUM_LIFE = 0.05
_LAW = "ISO 281:2007 rating life"


def exponent(kind: Kind) -> float:
    """The load exponent p. Raises ``PhysicsError`` for another ``kind``."""
    if kind not in EXPONENT:
        raise PhysicsError("kind", f"found {kind!r}", f"accepted: {', '.join(EXPONENT)}")
    return EXPONENT[kind]


def l10_mrev(c_kn: float, p_kn: float, kind: Kind) -> Estimate:
    """Basic rating life L10 = (C / P)^p in million revolutions: 90 % reach it. Raises ``PhysicsError``."""
    positive(c_kn=c_kn, p_kn=p_kn)
    doubts = []
    if p_kn > 0.5 * c_kn:
        doubts.append("the load is over half of the rating: plastic deformation sets in (ISO 281, scope)")
    # Catalogues (SKF, Schaeffler) ask for a least load, below which rolling elements skid instead of tiring.
    if p_kn < (0.01 if kind == "ball" else 0.02) * c_kn:
        doubts.append("the load is so low that rolling elements may skid before they tire")
    return Estimate((c_kn / p_kn) ** exponent(kind), _LAW, tuple(doubts))


def l10_h(c_kn: float, p_kn: float, rpm: float, kind: Kind) -> Estimate:
    """Basic rating life in hours at ``rpm``: 10^6 / (60 n) x L10. Raises ``PhysicsError``."""
    positive(rpm=rpm)
    revolutions = l10_mrev(c_kn, p_kn, kind)
    slow = ("below 10 1/min the film is too thin for fatigue to come first",) if rpm < 10.0 else ()
    return Estimate(1e6 / (60.0 * rpm) * revolutions.value, _LAW, revolutions.doubts + slow)


def a1(reliability: float) -> float:
    """Life factor for ``reliability`` (share of bearings that reach the life), 1 at 0.90.

    The three-parameter Weibull of ISO/TR 1281-2:2008 behind table 12 of ISO 281:2007: slope 1.5, least life 0.05 L10;
    0.95 gives 0.64, 0.99 gives 0.25. Raises ``PhysicsError`` outside 0.90 to 0.9995, where the standard stops.
    """
    if not 0.90 <= reliability <= 0.9995:
        raise PhysicsError("reliability", f"found {reliability!r}", "ISO 281 gives a1 for 0.90 to 0.9995")
    ratio = math.log(reliability) / math.log(0.9)
    return float((1.0 - _MINIMUM_LIFE) * ratio ** (1.0 / WEIBULL_SLOPE) + _MINIMUM_LIFE)


def modified_life_h(
    c_kn: float, p_kn: float, rpm: float, kind: Kind, *, reliability: float = 0.9, a_iso: float = 1.0
) -> Estimate:
    """L_nm = a1 x a_ISO x L10 in hours; ``a_iso`` is read off the standard's charts from lubrication and cleanness.

    Raises ``PhysicsError``, also for an ``a_iso`` over 50.
    """
    positive(a_iso=a_iso)
    if a_iso > A_ISO_MAX:
        raise PhysicsError("a_iso", f"found {a_iso:g}", "ISO 281 cuts it off at 50")
    basic = l10_h(c_kn, p_kn, rpm, kind)
    dirty = ("contaminated or badly lubricated: wear may end it before fatigue does",) if a_iso < 0.1 else ()
    return Estimate(a1(reliability) * a_iso * basic.value, "ISO 281:2007 modified rating life", basic.doubts + dirty)


@dataclass(frozen=True, slots=True)
class Duty:
    """One part of a duty cycle: ``p_kn`` at ``rpm`` for ``share`` of the time (any unit that is the same for all)."""

    p_kn: float
    rpm: float
    share: float


def equivalent_load_kn(duties: Sequence[Duty], kind: Kind) -> Estimate:
    """The constant load that tires as ``duties`` do: (sum P^p n t / sum n t)^(1/p), linear damage (Palmgren-Miner).

    The order of loads is taken to be of no account. Raises ``PhysicsError`` for no duties at all.
    """
    if not duties:
        raise PhysicsError("duties", "there are none", "give one at least")
    for duty in duties:
        positive(p_kn=duty.p_kn, rpm=duty.rpm, share=duty.share)
    p = exponent(kind)
    turns = [duty.rpm * duty.share for duty in duties]
    damage = sum(duty.p_kn**p * turn for duty, turn in zip(duties, turns, strict=True))
    return Estimate((damage / sum(turns)) ** (1.0 / p), "Palmgren-Miner linear damage")


def life_factor(*, speed: float = 1.0, load: float = 1.0, kind: Kind, unbalance: bool = False) -> Estimate:
    """Times how many hours a bearing lasts where speed and load are multiplied so: hours go with 1/n and P^-p.

    With ``unbalance`` the load is one of unbalance and goes with the speed squared on its own; without, a change of
    speed alone is answered with that doubt. Raises ``PhysicsError``.
    """
    positive(speed=speed, load=load)
    whole = load * speed**2 if unbalance else load
    doubts: tuple[str, ...] = ()
    if speed != 1.0 and not unbalance:
        doubts = ("at constant load: forces of unbalance grow with the speed squared and shorten it further",)
    return Estimate(1.0 / speed * whole ** -exponent(kind), _LAW, doubts)

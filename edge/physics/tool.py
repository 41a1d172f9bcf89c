"""Cutting tools: how long an edge lasts at a cutting speed.

Source: F. W. Taylor, On the Art of Cutting Metals (1907); tests after ISO 3685:1993 (end of life at a flank wear VB of
0.3 mm). The constants belong to one pair of tool and work and to one criterion of wear. Built-up edges (low speeds),
chatter and chipping follow other laws.
"""

from __future__ import annotations

from edge.physics.estimate import Estimate, positive

EXPONENT_RANGE = {"hss": (0.08, 0.15), "carbide": (0.2, 0.3), "ceramic": (0.4, 0.7)}
"""Usual exponents n by tool material (textbooks; ceramics scatter)."""
_LAW = "Taylor tool life V T^n = C"
_TRUSTED_SPEED_RANGE = (0.5, 2.0)


def tool_life_min(v_m_min: float, *, n: float, c_m_min: float) -> Estimate:
    """Minutes of cutting at ``v_m_min``: (C / V)^(1/n); ``c_m_min`` is the speed of a tool life of one minute.

    Raises ``PhysicsError``.
    """
    positive(v_m_min=v_m_min, n=n, c_m_min=c_m_min)
    life = (c_m_min / v_m_min) ** (1.0 / n)
    doubts = [] if 0.05 <= n <= 0.9 else [f"exponent {n:g} is none of a known tool material"]
    if life < 1.0:
        doubts.append("under a minute: heat ends the edge before wear does")
    if life > 600.0:
        doubts.append("over ten hours: so low a speed invites a built-up edge, for which the law does not hold")
    return Estimate(life, _LAW, tuple(doubts))


def extended_tool_life_min(
    v_m_min: float, feed_mm: float, depth_mm: float, *, n: float, a: float, b: float, c: float
) -> Estimate:
    """Minutes of cutting by V T^n f^a d^b = C, with feed a revolution and depth of cut in mm. Raises ``PhysicsError``.

    Speed counts most, then feed, then depth: exponents that say otherwise are answered with that doubt.
    """
    positive(feed_mm=feed_mm, depth_mm=depth_mm, a=a, b=b)
    plain = tool_life_min(v_m_min, n=n, c_m_min=c / (feed_mm**a * depth_mm**b))
    odd = () if a < 1.0 and b <= a else ("exponents of feed and depth in an unusual order",)
    return Estimate(plain.value, "extended Taylor tool life V T^n f^a d^b = C", plain.doubts + odd)


def life_factor(*, speed: float, n: float) -> Estimate:
    """Times how many minutes an edge lasts at ``speed`` times the old: speed^(-1/n). Raises ``PhysicsError``."""
    positive(speed=speed, n=n)
    low, high = _TRUSTED_SPEED_RANGE
    far = () if low <= speed <= high else ("far from the speed at which the constants were found",)
    return Estimate(speed ** (-1.0 / n), _LAW, far)

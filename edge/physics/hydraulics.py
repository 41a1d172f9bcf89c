"""Pumps and fans at another speed: the affinity laws, and where the system curve lets them stand.

Source of the laws and of the warning on static head: United States Department of Energy, Improving Pumping System
Performance. They hold for the same impeller at nearly constant efficiency. With static head the operating point is
where H = Hs + k Q^2 meets the pump's curve: savings by the cube of the speed are then wrong, and at too low a speed
nothing flows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.errors import PhysicsError
from edge.physics.estimate import positive

_SPEED_TRUSTED = (0.5, 1.2)
_GRAVITY_M_S2 = 9.80665


@dataclass(frozen=True, slots=True)
class Scaled:
    """Flow, head and power over what they were, with ``doubts`` where the laws do not reach."""

    flow: float
    head: float
    power: float
    doubts: tuple[str, ...] = ()


def affinity(speed: float) -> Scaled:
    """At ``speed`` over the old: Q goes with N, H with N^2, P with N^3 along a system curve without static head.

    Raises ``PhysicsError``.
    """
    positive(speed=speed)
    low, high = _SPEED_TRUSTED
    far = () if low <= speed <= high else ("so far from the old speed the efficiency is another",)
    return Scaled(speed, speed**2, speed**3, far)


@dataclass(frozen=True, slots=True)
class System:
    """A pipe system: ``static_m`` of head to lift, and ``k_s2_m5`` for friction: H = static + k Q^2 (Q in m3/s)."""

    static_m: float
    k_s2_m5: float

    @staticmethod
    def of_point(static_m: float, friction_m: float, flow_m3_s: float) -> System:
        """The system whose friction is ``friction_m`` at ``flow_m3_s``. Raises ``PhysicsError``."""
        positive(friction_m=friction_m, flow_m3_s=flow_m3_s)
        if not 0.0 <= static_m < math.inf:
            raise PhysicsError("static_m", f"found {static_m!r}", "give 0 where nothing is lifted")
        return System(static_m, friction_m / flow_m3_s**2)

    def head_m(self, flow_m3_s: float) -> float:
        return self.static_m + self.k_s2_m5 * flow_m3_s**2


@dataclass(frozen=True, slots=True)
class Pump:
    """A pump's curve at its rated speed: H = shutoff - a Q^2 (m, m3/s), and its ``efficiency`` (0..1)."""

    shutoff_m: float
    a_s2_m5: float
    efficiency: float = 0.75


@dataclass(frozen=True, slots=True)
class Point:
    """Where pump and system meet. All 0 where the pump does not overcome the static head."""

    flow_m3_s: float
    head_m: float
    power_kw: float
    doubts: tuple[str, ...] = ()


def operating_point(pump: Pump, system: System, speed: float = 1.0, *, density_kg_m3: float = 1000.0) -> Point:
    """Flow, head and shaft power at ``speed`` over the rated one, by the pump's scaled curve and the system's.

    The scaled curve is shutoff N^2 - a Q^2: every point of it moved by the affinity laws. Raises ``PhysicsError``.
    """
    positive(shutoff_m=pump.shutoff_m, speed=speed, density_kg_m3=density_kg_m3, slope=pump.a_s2_m5 + system.k_s2_m5)
    if not 0.0 < pump.efficiency <= 1.0:
        raise PhysicsError("efficiency", f"found {pump.efficiency!r}", "give a share between 0 and 1")
    doubts = affinity(speed).doubts
    spare_m = pump.shutoff_m * speed**2 - system.static_m
    if spare_m <= 0.0:
        return Point(0.0, 0.0, 0.0, (*doubts, "too slow to overcome the static head: nothing flows, the pump heats"))
    flow = math.sqrt(spare_m / (pump.a_s2_m5 + system.k_s2_m5))
    head = system.head_m(flow)
    power_kw = density_kg_m3 * _GRAVITY_M_S2 * flow * head / pump.efficiency / 1000.0
    return Point(flow, head, power_kw, doubts)

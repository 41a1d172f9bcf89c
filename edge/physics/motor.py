"""Motors: warming up to a trip, and the thermal ageing of winding insulation.

Sources: IEC 60255-149:2013 (was 60255-8) for the thermal relay; IEC 60085:2007 and IEC 60216 for insulation. The model
of warming has one time constant: cooling at standstill is three to five times slower, and unbalanced phases and a fan
that turns slowly on an inverter are not in it. Thermal ageing is taken to be the dominant one (IEC 60085, clause 1):
vibration, moisture and partial discharge end windings too.
"""

from __future__ import annotations

import math

from edge.errors import PhysicsError
from edge.physics.estimate import Estimate, positive

CLASS_C: dict[str, float] = {"A": 105.0, "E": 120.0, "B": 130.0, "F": 155.0, "H": 180.0}
"""Thermal class (IEC 60085) to the temperature in C at which insulation is rated for ``REFERENCE_LIFE_H``."""
REFERENCE_LIFE_H = 20_000.0
BOLTZMANN_EV_K = 8.617333262e-5
_KELVIN = 273.15
_NEAR_K = 30.0
_RELAY = "thermal relay, IEC 60255-149"


def trip_s(current: float, *, tau_s: float, k: float = 1.05, before: float = 0.0) -> Estimate:
    """Seconds to the trip at ``current`` after long running at ``before``, both over the rated current.

    tau ln((I^2 - Ip^2) / (I^2 - k^2)); infinite where ``current`` is k or less, 0 where it was already over.
    Raises ``PhysicsError``.
    """
    positive(tau_s=tau_s, k=k)
    if not (current >= 0.0 and 0.0 <= before < math.inf and math.isfinite(current)):
        raise PhysicsError("current", f"found {current!r} after {before!r}", "give currents over the rated one")
    if before >= k:
        return Estimate(0.0, _RELAY, ("it should have tripped before",))
    if current <= k:
        return Estimate(math.inf, _RELAY)
    time_s = tau_s * math.log((current**2 - before**2) / (current**2 - k**2))
    locked = ("near the locked rotor's current the winding heats faster than one time constant says",)
    return Estimate(time_s, _RELAY, locked if current > 5.0 else ())


def temperature_share(current: float, seconds: float, *, tau_s: float, start: float = 0.0) -> float:
    """The winding's rise over the rated one after ``seconds`` at ``current`` over rated: tau dx/dt = I^2 - x.

    Raises ``PhysicsError``.
    """
    positive(tau_s=tau_s)
    if not (math.isfinite(current) and seconds >= 0.0 and math.isfinite(start)):
        raise PhysicsError("current", f"found {current!r} for {seconds!r} s", "give finite numbers")
    return current**2 + (start - current**2) * math.exp(-seconds / tau_s)


def ageing_factor(from_c: float, to_c: float, *, activation_ev: float) -> Estimate:
    """Times how long insulation lasts at ``to_c`` as against ``from_c``: exp(Ea / k (1/T2 - 1/T1)) (Arrhenius).

    Raises ``PhysicsError`` for temperatures that cannot be.
    """
    positive(activation_ev=activation_ev, from_k=from_c + _KELVIN, to_k=to_c + _KELVIN)
    inverse = 1.0 / (to_c + _KELVIN) - 1.0 / (from_c + _KELVIN)
    doubts = []
    if abs(to_c - from_c) > _NEAR_K:
        doubts.append(f"over {_NEAR_K:.0f} K apart: one activation energy seldom holds so far")
    if not 0.6 <= activation_ev <= 1.5:
        doubts.append(f"an activation energy of {activation_ev:g} eV is none of a usual insulation")
    return Estimate(math.exp(activation_ev / BOLTZMANN_EV_K * inverse), "Arrhenius, IEC 60216", tuple(doubts))


def halving_factor(from_c: float, to_c: float, *, halving_k: float = 10.0) -> Estimate:
    """The 10 C rule: life halves for each ``halving_k``, near one temperature only. Raises ``PhysicsError``."""
    positive(halving_k=halving_k)
    if not (math.isfinite(from_c) and math.isfinite(to_c)):
        raise PhysicsError("temperature", f"found {from_c!r} to {to_c!r}", "give finite temperatures")
    far = (f"over {_NEAR_K:.0f} K from the rated temperature the 10 C rule overstates",)
    doubts = far if abs(to_c - from_c) > _NEAR_K else ()
    return Estimate(2.0 ** ((from_c - to_c) / halving_k), "10 C rule (Montsinger)", doubts)


def activation_of_halving_ev(from_c: float, halving_k: float = 10.0) -> float:
    """The activation energy at which life halves from ``from_c`` to ``halving_k`` above. Raises ``PhysicsError``."""
    positive(halving_k=halving_k, from_k=from_c + _KELVIN)
    return BOLTZMANN_EV_K * math.log(2.0) / (1.0 / (from_c + _KELVIN) - 1.0 / (from_c + halving_k + _KELVIN))


def insulation_life_h(insulation: str, winding_c: float, *, activation_ev: float | None = None) -> Estimate:
    """Hours that insulation of a thermal class lasts at ``winding_c`` (the hot spot): 20,000 h at the class' own.

    By Arrhenius where ``activation_ev`` is known, else by the 10 C rule. Raises ``PhysicsError`` for an unknown class.
    """
    if insulation not in CLASS_C:
        raise PhysicsError("insulation", f"found {insulation!r}", f"accepted: {', '.join(CLASS_C)}")
    rated_c = CLASS_C[insulation]
    if activation_ev is not None:
        factor = ageing_factor(rated_c, winding_c, activation_ev=activation_ev)
    else:
        factor = halving_factor(rated_c, winding_c)
    hot = ("hotter than its class allows",) if winding_c > rated_c else ()
    return Estimate(
        REFERENCE_LIFE_H * factor.value, f"{factor.law}, class {insulation} of IEC 60085", factor.doubts + hot
    )

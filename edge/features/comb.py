"""How far the lines of one bearing part stand out of an envelope spectrum, beside orders that mean nothing.

A fault draws a comb: lines at multiples of its order, carried by sidebands. A comb's height is the mean logarithm of
its lines over their local background. Noise has combs too, and the best of some neighbours is always above the mean:
so a height is given over those of all other combs of the same spectrum, in their own spread. Balls slip and wander,
which blurs their lines: a second height takes each line as the power in a narrow band around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge.features.bearing import Bearing, Place
from edge.features.envelope import EnvelopeSpectrum
from edge.features.spectrum import Array

SLIP = 0.025
"""Rolling elements slip: lines are sought this far on either side of their order."""
HARMONICS = 4
_MULTIPLES = np.arange(1.0, HARMONICS + 1.0)
_BLUR = 0.006
"""Half the width of a blurred line, as a share of its order."""
_FOUND = math.log(4.0)
"""A line at four times its background is there: of 1,000 lines of noise some three are as high."""
_BLOCK_ORDERS = 0.5
"""The background is the median over so much of the spectrum."""
_SHAFT_ORDERS = 0.04
"""Lines this close to a multiple of the shaft's speed are unbalance, misalignment and gears, and are passed over."""
_REFERENCE = np.linspace(1.3, 7.0, 400)
"""Orders whose combs tell what chance gives."""
ORDERS_MIN = HARMONICS * 7.0
"""An envelope spectrum reaches this far at least, for the reference's sake."""
_SPREAD_MIN = 0.02
_CLIP = 8.0
"""Beyond this a line is a numeral, not a measurement."""
_POWER_OVER_MEDIAN = math.log(2.0)
"""The squared median of noise's lines is this share of their mean power (Rayleigh)."""


@dataclass(frozen=True, slots=True)
class Comb:
    """``height`` of sharp and ``blurred`` of wandering lines, in spreads of the spectrum's other combs.

    ``order`` is where the sharp comb was found, slip included; ``harmonics`` counts those of its first four lines that
    stand out. ``line`` is the first of them and ``sidebands`` the mean of those beside them, as natural logarithms over
    the background; None where there are none to look for.
    """

    place: Place
    height: float
    blurred: float
    order: float
    harmonics: int
    line: float
    sidebands: float | None


class OrderSpectrum:
    """An envelope spectrum by multiples of the shaft's speed, over its local background."""

    def __init__(self, envelope: EnvelopeSpectrum, shaft_hz: float) -> None:
        assert shaft_hz > 0.0
        self.lines_an_order = shaft_hz / envelope.step_hz
        self._log = _over_background(envelope.lines, max(8, round(_BLOCK_ORDERS * self.lines_an_order)))
        power = _POWER_OVER_MEDIAN * np.exp(2.0 * self._log)
        orders = np.arange(len(self._log)) / self.lines_an_order
        shaft = np.abs(orders - np.round(orders)) <= max(_SHAFT_ORDERS, 1.01 / self.lines_an_order)
        self._log[shaft], power[shaft] = 0.0, 1.0
        # A line between two bins shows in both, the higher one speaks.
        self._near = np.maximum(self._log[:-1], self._log[1:])
        self._total = np.concatenate([[0.0], np.cumsum(power)])

    @property
    def orders(self) -> float:
        """The highest order that the spectrum reaches."""
        return (len(self._near) - 1) / self.lines_an_order

    def at(self, orders: Array) -> Array:
        """Logarithm of the line at each order over its background, same shape; 0 past the end."""
        index = (orders * self.lines_an_order).astype(np.int64)
        return np.where(index < len(self._near), self._near[np.minimum(index, len(self._near) - 1)], 0.0)

    def sharp(self, orders: Array) -> Array:
        """Mean logarithm of the first lines of each comb: array [orders]."""
        return np.asarray(self.at(orders[:, None] * _MULTIPLES).mean(axis=1))

    def blurred(self, orders: Array) -> Array:
        """The same of the mean power around each line."""
        middle = orders[:, None] * (_MULTIPLES * self.lines_an_order)
        half = np.maximum(_BLUR * middle, 0.5)
        last = len(self._total) - 1
        low, high = (middle - half + 0.5).astype(np.int64), (middle + half + 1.5).astype(np.int64)
        inside = high <= last
        low, high = np.where(inside, low, 0), np.where(inside, high, 1)
        logs = np.log((self._total[high] - self._total[low]) / (high - low))
        return np.asarray(np.where(inside, logs, 0.0).mean(axis=1))

    def around(self, order: float) -> Array:
        """Orders within slip of ``order``, so dense that no line of the highest harmonic lies between two."""
        steps = math.ceil(2.0 * SLIP * order * HARMONICS * self.lines_an_order)
        return np.asarray(order * np.linspace(1.0 - SLIP, 1.0 + SLIP, steps + 1), dtype=np.float64)


def combs(spectrum: OrderSpectrum, bearing: Bearing) -> dict[Place, Comb]:
    """The comb of each place that the spectrum reaches."""
    places = [place for place in Place if bearing.order(place) * (1.0 + SLIP) <= spectrum.orders]
    around = [spectrum.around(bearing.order(place)) for place in places]
    ends = np.cumsum([len(_REFERENCE), *map(len, around)])[:-1]
    everywhere = np.concatenate([_REFERENCE, *around])
    chance, *sharp = np.split(spectrum.sharp(everywhere), ends)
    chance_blurred, *blurred = np.split(spectrum.blurred(everywhere), ends)
    found = [float(orders[np.argmax(heights)]) for orders, heights in zip(around, sharp, strict=True)]
    heights = _over_chance(chance, sharp)
    blurs = _over_chance(chance_blurred, blurred)
    return {
        place: _comb(spectrum, place, found[i], heights[i], blurs[i], bearing.modulation(place))
        for i, place in enumerate(places)
    }


def _over_chance(chance: Array, heights: list[Array]) -> list[float]:
    middle = float(np.median(chance))
    spread = max(1.4826 * float(np.median(np.abs(chance - middle))), _SPREAD_MIN)
    return [(float(h.max()) - middle) / spread for h in heights]


def _comb(spectrum: OrderSpectrum, place: Place, order: float, height: float, blurred: float, spacing: float) -> Comb:
    lines = spectrum.at(order * _MULTIPLES)
    beside = (order * _MULTIPLES)[:, None] + spacing * np.array([-1.0, 1.0])
    return Comb(
        place=place,
        height=height,
        blurred=blurred,
        order=order,
        harmonics=int((lines > _FOUND).sum()),
        line=float(lines[0]),
        sidebands=float(spectrum.at(beside).mean()) if spacing else None,
    )


def _over_background(lines: Array, block: int) -> Array:
    """log(lines / median of their neighbourhood), block by block and linear between; 0 in a silent spectrum."""
    blocks = len(lines) // block
    if blocks == 0 or not lines.any():
        return np.zeros(max(len(lines), 2))
    medians = np.median(lines[: blocks * block].reshape(blocks, block), axis=1)
    middles = (np.arange(blocks) + 0.5) * block
    background = np.interp(np.arange(len(lines)), middles, medians)
    floor = max(float(lines.max()) * 1e-9, np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(lines, floor) / np.maximum(background, floor))
    return np.clip(logs, -_CLIP, _CLIP)

"""How far the lines of one bearing part stand out of an envelope spectrum, beside orders that mean nothing.

A fault draws a comb: lines at multiples of its order, carried by sidebands. A comb's height is the mean logarithm of
its lines over their local background. Noise has combs too, and the best of some neighbours is always above the mean:
so the height is given over that of all other combs of the same spectrum, in their own spread.
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
_FOUND = math.log(4.0)
"""A line at four times its background is there: of 1,000 lines of noise some three are as high."""
_BLOCK_ORDERS = 0.5
"""The background is the median over so much of the spectrum."""
_SHAFT_ORDERS = 0.04
"""Lines this close to a multiple of the shaft's speed are unbalance, misalignment and gears, and are passed over."""
_REFERENCE = (1.3, 7.0)
"""Orders whose combs tell what chance gives."""


@dataclass(frozen=True, slots=True)
class Comb:
    """``height`` in spreads of the spectrum's other combs; ``order`` where it was found, slip included.

    ``harmonics`` counts those of the first four that stand out; ``line`` is the first one over its background.
    ``sidebands`` is the mean height of the lines beside them, natural logarithm over the background; 0 where there are
    none to look for.
    """

    place: Place
    height: float
    order: float
    harmonics: int
    line: float
    sidebands: float


class OrderSpectrum:
    """An envelope spectrum by multiples of the shaft's speed, as logarithms over its local background."""

    def __init__(self, envelope: EnvelopeSpectrum, shaft_hz: float) -> None:
        assert shaft_hz > 0.0
        self.lines_an_order = shaft_hz / envelope.step_hz
        self._log = _over_background(envelope.lines, max(8, round(_BLOCK_ORDERS * self.lines_an_order)))
        orders = np.arange(len(self._log)) / self.lines_an_order
        reach = max(_SHAFT_ORDERS, 1.01 / self.lines_an_order)
        self._log[np.abs(orders - np.round(orders)) <= reach] = 0.0
        # A line between two bins shows in both, the higher one speaks.
        self._near = np.maximum(self._log[:-1], self._log[1:])

    @property
    def orders(self) -> float:
        """The highest order that the spectrum reaches."""
        return (len(self._near) - 1) / self.lines_an_order

    def at(self, orders: Array) -> Array:
        """Logarithm of the line at each order over its background, same shape; 0 past the end."""
        index = np.floor(orders * self.lines_an_order).astype(np.int64)
        inside = index < len(self._near)
        return np.where(inside, self._near[np.where(inside, index, 0)], 0.0)

    def grid(self, low: float, high: float) -> Array:
        """Orders from ``low`` to ``high`` so dense that no line of the highest harmonic lies between two."""
        steps = max(1, math.ceil(HARMONICS * (high - low) * self.lines_an_order))
        return np.asarray(np.linspace(low, high, steps + 1), dtype=np.float64)

    def heights(self, orders: Array) -> Array:
        """Mean logarithm over the first harmonics of each of ``orders`` [n]: array [n]."""
        return np.asarray(self.at(orders[:, None] * _MULTIPLES).mean(axis=1))


def combs(spectrum: OrderSpectrum, bearing: Bearing) -> dict[Place, Comb]:
    """The comb of each place that the spectrum reaches."""
    reference = spectrum.heights(spectrum.grid(*_REFERENCE))
    return {
        place: _comb(spectrum, bearing, place, reference)
        for place in Place
        if bearing.order(place) * (1.0 + SLIP) <= spectrum.orders
    }


def _comb(spectrum: OrderSpectrum, bearing: Bearing, place: Place, reference: Array) -> Comb:
    order = bearing.order(place)
    orders = spectrum.grid(order * (1.0 - SLIP), order * (1.0 + SLIP))
    heights = spectrum.heights(orders)
    top = int(np.argmax(heights))
    middle = float(np.median(reference))
    spread = max(1.4826 * float(np.median(np.abs(reference - middle))), 0.02)
    found = float(orders[top])
    lines = spectrum.at(found * _MULTIPLES)
    return Comb(
        place=place,
        height=(float(heights[top]) - middle) / spread,
        order=found,
        harmonics=int((lines > _FOUND).sum()),
        line=math.exp(float(lines[0])),
        sidebands=_sidebands(spectrum, found, bearing.modulation(place)),
    )


def _sidebands(spectrum: OrderSpectrum, order: float, spacing: float) -> float:
    if spacing == 0.0:
        return 0.0
    beside = _MULTIPLES[:, None] * order + spacing * np.array([-1.0, 1.0])
    return float(spectrum.at(beside).mean())


def _over_background(lines: Array, block: int) -> Array:
    """log(lines / median of their neighbourhood), block by block and linear between; 0 in a silent spectrum."""
    blocks = len(lines) // block
    if blocks == 0 or not lines.any():
        return np.zeros(max(len(lines), 2))
    medians = np.median(lines[: blocks * block].reshape(blocks, block), axis=1)
    middles = (np.arange(blocks) + 0.5) * block
    background = np.interp(np.arange(len(lines)), middles, medians)
    floor = max(float(lines.max()) * 1e-9, np.finfo(np.float64).tiny)
    return np.asarray(np.log(np.maximum(lines, floor) / np.maximum(background, floor)))

"""How far the lines of a bearing's parts stand out of envelope spectra, beside orders that mean nothing.

A fault draws a comb: lines at multiples of its order, carried by sidebands. A comb's height is the mean logarithm of
its lines over their local background. Noise has combs too, and the best of some neighbours is always above the mean:
so a height is given over those of all other combs of the same spectrum, in their own spread. Balls slip and wander,
which blurs their lines: a second height takes each line as the power in a narrow band around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
_REFERENCE = np.linspace(1.3, 7.0, 401)
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


Views = Mapping[str, Mapping[Place, Comb]]
"""By the envelope's name, the comb of each place that it reaches."""


class OrderSpectra:
    """Envelope spectra of one snapshot by multiples of the shaft's speed, each over its local background.

    All are handled at once, as rows of [envelopes, lines]: on a small machine a call costs more than its numbers.
    """

    def __init__(self, envelopes: Sequence[EnvelopeSpectrum], shaft_hz: float) -> None:
        assert shaft_hz > 0.0
        self.lines_an_order = shaft_hz / envelopes[0].step_hz
        lines = np.stack([envelope.lines for envelope in envelopes])
        self._log = _over_background(lines, max(8, round(_BLOCK_ORDERS * self.lines_an_order)))
        power = _POWER_OVER_MEDIAN * np.exp(2.0 * self._log)
        orders = np.arange(lines.shape[1]) / self.lines_an_order
        shaft = np.abs(orders - np.round(orders)) <= max(_SHAFT_ORDERS, 1.01 / self.lines_an_order)
        self._log[:, shaft], power[:, shaft] = 0.0, 1.0
        # A line between two bins shows in both, the higher one speaks.
        self._near = np.maximum(self._log[:, :-1], self._log[:, 1:])
        self._total = np.zeros((len(lines), lines.shape[1] + 1))
        np.cumsum(power, axis=1, out=self._total[:, 1:])

    @property
    def orders(self) -> float:
        """The highest order that the spectra reach."""
        return float(self._near.shape[1] - 1) / self.lines_an_order

    def at(self, orders: Array) -> Array:
        """Logarithms of the lines at ``orders`` over their background, [envelopes, *orders]; 0 past the end."""
        index = (orders * self.lines_an_order).astype(np.int64)
        last = self._near.shape[1] - 1
        return np.where(index <= last, self._near[:, np.minimum(index, last)], 0.0)

    def sharp(self, orders: Array) -> Array:
        """Mean logarithm of the first lines of each comb: array [envelopes, orders]."""
        return _mean(self.at(_MULTIPLES[:, None] * orders))

    def blurred(self, orders: Array) -> Array:
        """The same of the mean power around each line."""
        middle = _MULTIPLES[:, None] * (orders * self.lines_an_order)
        half = np.maximum(_BLUR * middle, 0.5)
        low, high = (middle - half + 0.5).astype(np.int64), (middle + half + 1.5).astype(np.int64)
        inside = high < self._total.shape[1]
        low, high = np.where(inside, low, 0), np.where(inside, high, 1)
        logs = np.log((self._total[:, high] - self._total[:, low]) / (high - low))
        return _mean(np.where(inside, logs, 0.0))

    def around(self, order: float) -> Array:
        """Orders within slip of ``order``, so dense that no line of the highest harmonic lies between two."""
        steps = math.ceil(2.0 * SLIP * order * HARMONICS * self.lines_an_order)
        return np.asarray(order * np.linspace(1.0 - SLIP, 1.0 + SLIP, steps + 1), dtype=np.float64)


def combs(envelopes: Mapping[str, EnvelopeSpectrum], shaft_hz: float, bearing: Bearing) -> Views:
    """The combs of every place in each of ``envelopes``, which have the same lines."""
    spectra = OrderSpectra(list(envelopes.values()), shaft_hz)
    places = [place for place in Place if bearing.order(place) * (1.0 + SLIP) <= spectra.orders]
    around = [spectra.around(bearing.order(place)) for place in places]
    everywhere = np.concatenate([_REFERENCE, *around])
    sharp, blurred = _over_chance(spectra.sharp(everywhere)), _over_chance(spectra.blurred(everywhere))
    views: dict[str, dict[Place, Comb]] = {name: {} for name in envelopes}
    start = len(_REFERENCE)
    for place, orders in zip(places, around, strict=True):
        here = slice(start, start + len(orders))
        start = here.stop
        tops = sharp[:, here].argmax(axis=1)
        found = orders[tops]
        lines = spectra.at(found[:, None] * _MULTIPLES)
        beside = _sidebands(spectra, found, bearing.modulation(place))
        for i, name in enumerate(envelopes):
            views[name][place] = Comb(
                place=place,
                height=float(sharp[i, here][tops[i]]),
                blurred=float(blurred[i, here].max()),
                order=float(found[i]),
                harmonics=int((lines[i, i] > _FOUND).sum()),
                line=float(lines[i, i, 0]),
                sidebands=None if beside is None else beside[i],
            )
    return views


def _over_chance(heights: Array) -> Array:
    """Heights [envelopes, orders] in spreads of the reference's, which come first."""
    chance = heights[:, : len(_REFERENCE)]
    middle = _median(chance)
    spread = np.maximum(1.4826 * _median(np.abs(chance - middle)), _SPREAD_MIN)
    return np.asarray((heights - middle) / spread)


def _sidebands(spectra: OrderSpectra, found: Array, spacing: float) -> list[float] | None:
    if spacing == 0.0:
        return None
    beside = (found[:, None] * _MULTIPLES)[:, :, None] + spacing * np.array([-1.0, 1.0])
    logs = spectra.at(beside)
    return [float(logs[i, i].mean()) for i in range(len(found))]


def _over_background(lines: Array, block: int) -> Array:
    """log(lines / median of their neighbourhood) [envelopes, lines], block by block and linear between.

    0 in a silent spectrum.
    """
    blocks = lines.shape[1] // block
    if blocks == 0:
        return np.zeros(lines.shape)
    medians = _median(lines[:, : blocks * block].reshape(len(lines), blocks, block))[:, :, 0]
    middles = (np.arange(blocks) + 0.5) * block
    at = np.arange(lines.shape[1])
    background = np.stack([np.interp(at, middles, row) for row in medians])
    floor = np.maximum(lines.max(axis=1, keepdims=True) * 1e-9, np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(lines, floor) / np.maximum(background, floor))
    return np.asarray(np.clip(logs, -_CLIP, _CLIP))


def _median(x: Array) -> Array:
    """Of the last axis, which stays with length 1; of an even number the upper one: cheaper, and enough here."""
    middle = x.shape[-1] // 2
    return np.partition(x, middle, axis=-1)[..., middle : middle + 1]


def _mean(x: Array) -> Array:
    """Over the harmonics, the axis before the last."""
    return np.asarray(x.sum(axis=-2) * (1.0 / HARMONICS))

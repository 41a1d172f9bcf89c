"""What is looked at of an asset's signals: their levels, how well they keep their relations, how noisy they are.

Every signal gives its level and its spread; one that the others explain well gives also what they leave unexplained,
so that a pressure that no longer fits its current is seen though both are usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.infer.wander import noise, smoothed, wander
from edge.infer.words import Kind

Array = NDArray[np.float64]

SHORT_TAU = 3.5
"""Time constant, in polls, of the shortest average."""
WANDERS = 3.0
"""A signal whose healthy wander is so many times its noise does not hold a level."""
_SPREAD_FLOOR = 1e-3
_EXPLAINED = 0.3
_STILL = 0.3
_RIDGE = 0.1
_DETREND_TAU = 150.0
_Z_MAX = 1e4


@dataclass(frozen=True)
class Channels:
    """``centre`` and ``scale`` [signals]; ``relations`` [relations, signals] of scaled signals; ``owner`` [channels] is
    the signal that each channel speaks of. Channels: levels, relations, spreads."""

    centre: Array
    scale: Array
    relations: Array
    owner: NDArray[np.intp]

    @property
    def size(self) -> int:
        return len(self.owner)

    def kind(self, channel: int) -> Kind:
        """What ``channel`` tells of its signal."""
        signals = len(self.centre)
        return "level" if channel < signals else "spread" if channel >= self.size - signals else "relation"

    def scaled(self, row: Array) -> Array:
        """``row`` [..., signals] in standard deviations of its noise about its healthy centre; gaps stay gaps."""
        return np.asarray(np.clip((row - self.centre) / self.scale, -_Z_MAX, _Z_MAX))

    def of(self, z: Array, deviation: Array) -> Array:
        """Channels of scaled signals ``z`` and the average size of their ``deviation``, [..., signals]."""
        spread = 3.0 * np.log(deviation + _STILL)
        return np.concatenate([z, z @ self.relations.T, spread], axis=-1)


def learn(rows: Array) -> tuple[Channels, Array, Array, Array]:
    """From healthy ``rows`` [polls, signals] without gaps: the channels, their values [polls, channels] while learning,
    and the last short average and deviation [signals]."""
    centre = np.median(rows, axis=0)
    scale = np.maximum(noise(rows), _SPREAD_FLOOR * np.maximum(np.abs(centre), _SPREAD_FLOOR))
    z = np.clip((rows - centre) / scale, -_Z_MAX, _Z_MAX)
    relations, explained = _relations(z)
    signals = np.arange(rows.shape[1])
    channels = Channels(centre, scale, relations, np.concatenate([signals, explained, signals]))
    short = smoothed(z, SHORT_TAU)
    deviation = smoothed(np.abs(z - short), SHORT_TAU)
    return channels, channels.of(z, deviation), short[-1], deviation[-1]


def _relations(z: Array) -> tuple[Array, NDArray[np.intp]]:
    """One row for each signal that the others explain: what of it they do not, in standard deviations of its noise.

    Slow movement is taken out first: two temperatures that rise in the same hour are no relation.
    """
    levels = smoothed(z, SHORT_TAU)
    held = np.flatnonzero(wander(levels, np.full(z.shape[1], (2.0 * SHORT_TAU - 1.0) ** -0.5)) < WANDERS)
    none = np.zeros((0, z.shape[1])), np.zeros(0, dtype=np.intp)
    if len(held) < 2:
        return none
    moves = (z - smoothed(z, _DETREND_TAU))[len(z) // 10 :, held]
    size = np.maximum(moves.std(axis=0), 1e-9)
    alone = np.eye(len(held))
    with np.errstate(invalid="ignore", divide="ignore"):
        moving = np.corrcoef((moves / size).T)
    # What did not move at all has no correlation, not even with itself: it stands alone.
    precision = np.linalg.inv((1.0 - _RIDGE) * np.where(np.isnan(moving), alone, moving) + _RIDGE * alone)
    explained = np.flatnonzero(1.0 - 1.0 / np.diag(precision) > _EXPLAINED)
    if explained.size == 0:
        return none
    rows = np.zeros((len(explained), z.shape[1]))
    rows[:, held] = (precision / np.diag(precision)[:, None])[explained] / size
    rows /= np.maximum(noise(z @ rows.T), 0.05)[:, None]
    return rows, held[explained]

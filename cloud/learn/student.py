"""The student: a few small dense networks that learn from labels and from a teacher, joined into one chain of layers.

Members start from seeds of their own and see the rows in orders of their own; their mean errs less than any of them.
Joined, they are one wide network with block-diagonal inner layers, so that the gateway runs one model. Inputs are
rounded as the int8 model will round them, so the student learns from what it will be given.

Plain numpy in float32 on one thread: Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019) and
a cosine schedule over a fixed number of epochs. The same input gives the same weights on the same machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.teacher import Teacher
from cloud.learn.tflite import Dense

F32 = NDArray[np.float32]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Schooling:
    """How a student is made. ``trust``: the teacher's share of the target, the labels have the rest. ``limit``: inputs
    are scaled to within +-limit, which int8 divides into 255 steps; ``noise`` [sd of scaled inputs] is added anew in
    each epoch. ``rows_per_epoch``: a random part of the rows in each epoch, all where None."""

    hidden: tuple[int, ...] = (32, 16)
    members: int = 3
    epochs: int = 40
    batch: int = 256
    rate: float = 3e-3
    decay: float = 1e-3
    trust: float = 0.5
    limit: float = 4.0
    noise: float = 0.05
    rows_per_epoch: int | None = None


def distil(
    teacher: Teacher | None,
    rows: NDArray[np.floating[Any]],
    target: NDArray[np.floating[Any]],
    weight: NDArray[np.floating[Any]] | None = None,
    seed: int = 0,
    *,
    schooling: Schooling | None = None,
) -> list[Dense]:
    """Layers that map scaled ``rows`` [rows, in] to ``target`` [rows] or [rows, outputs].

    ``teacher`` was fitted to the same rows in the same order (its ``lesson`` is used), or is None for labels alone.
    Outputs are standardised while learning, so targets may be in any unit.
    """
    schooling = schooling or Schooling()
    labels = np.asarray(target, dtype=np.float64).reshape(len(rows), -1)
    if teacher is not None:
        assert teacher.lesson.shape == labels.shape, "a teacher of other rows"
        labels = schooling.trust * teacher.lesson + (1.0 - schooling.trust) * labels
    centre, spread = labels.mean(axis=0), np.maximum(labels.std(axis=0), 1e-9)
    step = 2.0 * schooling.limit / 255.0
    given = (np.round(np.asarray(rows, dtype=np.float64) / step) * step).astype(np.float32)
    wanted = ((labels - centre) / spread).astype(np.float32)
    share = np.ones(len(rows)) if weight is None else np.asarray(weight, dtype=np.float64)
    share = (share / share.mean()).astype(np.float32)
    members = [
        _learn(given, wanted, share, schooling, np.random.default_rng([seed, member]))
        for member in range(schooling.members)
    ]
    layers = joined(members)
    last = layers[-1]
    layers[-1] = Dense(last.weights * spread[:, None], last.bias * spread + centre, relu=False)
    return layers


def joined(members: Sequence[Sequence[Dense]]) -> list[Dense]:
    """One chain that computes the mean of ``members``, which are chains of the same shape: the first layer stacked, the
    inner ones block-diagonal, the last one the mean."""
    layers = []
    last = len(members[0]) - 1
    for i, of_members in enumerate(zip(*members, strict=True)):
        biases = [layer.bias for layer in of_members]
        weights = [layer.weights for layer in of_members]
        if i == last:
            inner = np.hstack(weights) if i else np.sum(weights, axis=0)
            layers.append(Dense(inner / len(members), np.mean(biases, axis=0), relu=of_members[0].relu))
        elif i == 0:
            layers.append(Dense(np.vstack(weights), np.concatenate(biases), relu=of_members[0].relu))
        else:
            layers.append(Dense(_block_diagonal(weights), np.concatenate(biases), relu=of_members[0].relu))
    return layers


def _block_diagonal(blocks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    rows, columns = (sum(block.shape[axis] for block in blocks) for axis in (0, 1))
    whole = np.zeros((rows, columns))
    row = column = 0
    for block in blocks:
        whole[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return whole


class _Adam:
    """Parameters in place, one step a call."""

    def __init__(self, parameters: Sequence[F32], decay: Sequence[float]) -> None:
        self._parameters, self._decay = parameters, decay
        self._first = [np.zeros_like(p) for p in parameters]
        self._second = [np.zeros_like(p) for p in parameters]
        self._steps = 0

    def step(self, gradients: Sequence[F32], rate: float) -> None:
        self._steps += 1
        tall = rate * float(np.sqrt(1.0 - _BETA_2**self._steps)) / (1.0 - _BETA_1**self._steps)
        for p, g, m, v, decay in zip(self._parameters, gradients, self._first, self._second, self._decay, strict=True):
            m += (1.0 - _BETA_1) * (g - m)
            v += (1.0 - _BETA_2) * (g * g - v)
            p -= tall * m / (np.sqrt(v) + _EPSILON) + (rate * decay) * p


def _learn(rows: F32, wanted: F32, share: F32, schooling: Schooling, rng: np.random.Generator) -> list[Dense]:
    sizes = (rows.shape[1], *schooling.hidden, wanted.shape[1])
    # He et al. 2015: the variance that ReLU layers keep.
    weights = [
        (rng.standard_normal((i, o)) * np.sqrt(2.0 / i)).astype(np.float32) for i, o in itertools.pairwise(sizes)
    ]
    weights[-1] *= np.float32(0.1)
    biases = [np.zeros(o, dtype=np.float32) for o in sizes[1:]]
    adam = _Adam([*weights, *biases], [schooling.decay] * len(weights) + [0.0] * len(biases))
    seen = min(schooling.rows_per_epoch or len(rows), len(rows))
    batches = max(1, round(seen / schooling.batch))
    total, done = schooling.epochs * batches, 0
    for _ in range(schooling.epochs):
        order = rng.permutation(len(rows))[:seen]
        for part in np.array_split(order, batches):
            x = rows[part]
            if schooling.noise > 0.0:
                x = x + np.float32(schooling.noise) * rng.standard_normal(x.shape, dtype=np.float32)
            rate = 0.5 * schooling.rate * (1.0 + float(np.cos(np.pi * done / total)))
            adam.step(_gradients(weights, biases, x, wanted[part], share[part]), rate)
            done += 1
    last = len(weights) - 1
    return [
        Dense(w.T.astype(np.float64), b.astype(np.float64), relu=i < last)
        for i, (w, b) in enumerate(zip(weights, biases, strict=True))
    ]


def _gradients(weights: Sequence[F32], biases: Sequence[F32], x: F32, wanted: F32, share: F32) -> list[F32]:
    """Of half the weighted mean squared error, for all weights and then all biases."""
    values = [x]
    last = len(weights) - 1
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        y = values[-1] @ w + b
        values.append(np.maximum(y, np.float32(0.0)) if i < last else y)
    error = (values[-1] - wanted) * (share / np.float32(len(x)))[:, None]
    of_weights: list[F32] = []
    of_biases: list[F32] = []
    for i in range(last, -1, -1):
        of_weights.insert(0, values[i].T @ error)
        of_biases.insert(0, error.sum(axis=0))
        if i:
            error = (error @ weights[i].T) * (values[i] > 0.0)
    return [*of_weights, *of_biases]

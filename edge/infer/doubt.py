"""Judging on without some sensors: what is told by them is filled in from the others, and the answer widens.

The autoencoder of everything that the training saw, healthy and worn, knows what features go together. A doubted
feature starts as healthy and is drawn to what the autoencoder makes of the others (imputation by an autoencoder, a few
rounds; as in J. Yoon's and others' use of denoising ones).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle import Scaling
from edge.features.tracker import FeatureSpec, FeatureTracker
from edge.infer.words import listed

_ROUNDS = 4
_BELIEVED_MIN = 0.5
"""With fewer of the signals believed than this share there is nothing left to judge by."""


@dataclass(frozen=True)
class Doubt:
    """``tags`` that are not believed, as they concern ``spec``; empty where none is."""

    spec: FeatureSpec
    tags: frozenset[str] = frozenset()

    @property
    def signals(self) -> tuple[int, ...]:
        """Positions of the signals that rest on a doubted sensor."""
        return tuple(i for i, s in enumerate(self.spec.signals) if s.tag in self.tags or s.minus in self.tags)

    @property
    def too_much(self) -> str:
        """Why nothing can be judged, in words; empty where it can."""
        conditions = [tag for tag in self.spec.conditions if tag in self.tags]
        if conditions:
            return f"{listed(conditions)} {'is' if len(conditions) == 1 else 'are'} not believed"
        count = len(self.spec.signals)
        if count - len(self.signals) < _BELIEVED_MIN * count:
            return f"{len(self.signals)} of {count} signals are not believed"
        return ""

    @property
    def words(self) -> str:
        """What a verdict adds where it was judged without some signals."""
        if not self.signals:
            return ""
        names = listed([self.spec.signals[i].tag for i in self.signals])
        return (
            f"judged without {names}, which {'is' if len(self.signals) == 1 else 'are'} not believed: interval widened"
        )

    def filled(
        self, tracker: FeatureTracker, scaling: Scaling, familiar: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:  # fmt: skip
        """The features of ``tracker`` with what is doubted as the others have it; ``familiar`` reproduces a row."""
        features = tracker.vector()
        if not self.signals:
            return features
        n, averages = len(self.spec.signals), len(self.spec.signals) * len(self.spec.taus_h)
        doubted = [i for i in range(averages) if i % n in self.signals]
        features[doubted] = 0.0
        features[averages] = np.log1p(np.delete(tracker.risen_h(), self.signals).max())
        for _ in range(_ROUNDS):
            made = familiar(scaling.apply(features)).astype(np.float64)
            features[doubted] = (made * scaling.spread + scaling.centre)[doubted]
        return features

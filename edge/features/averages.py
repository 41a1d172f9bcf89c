"""Plain averages of a few signals, for models that were trained on signals as they are.

Each is an exponential mean over hours of its own, or the last reading. A gap counts as time that nothing is known of:
the reading after it counts for the whole gap, at most for one time constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.tracker import number

Array = NDArray[np.float64]


class Averages:
    """``tags`` with ``over_h``, the time constant of each in hours (0: the last reading)."""

    def __init__(self, tags: Sequence[str], over_h: Sequence[float]) -> None:
        assert len(tags) == len(over_h) > 0
        self.tags = tuple(tags)
        self.over_h = np.asarray(over_h, dtype=np.float64)
        self._value = np.zeros(len(tags))
        self._followed_h = np.zeros(len(tags))
        self._silent_h = np.full(len(tags), math.inf)

    @property
    def followed_h(self) -> Array:
        """For how long each has been followed, [tags]."""
        return self._followed_h.copy()

    @property
    def silent_h(self) -> Array:
        """How long ago each gave its last usable reading, infinite where it never has, [tags]."""
        return self._silent_h.copy()

    def update(self, values: Mapping[str, object], passed_h: float) -> None:
        """Take one poll's good values, ``passed_h`` hours (0 or more) after the one before."""
        for i, tag in enumerate(self.tags):
            reading = number(values.get(tag))
            if reading is None:
                self._silent_h[i] += passed_h
                continue
            first = math.isinf(self._silent_h[i])
            since_h = 0.0 if first else self._silent_h[i] + passed_h
            tau_h = self.over_h[i]
            share = 1.0 if first or tau_h == 0.0 else -math.expm1(-min(since_h, tau_h) / tau_h)
            self._value[i] += (reading - self._value[i]) * share
            self._followed_h[i] += min(since_h, tau_h)
            self._silent_h[i] = 0.0

    def vector(self) -> Array:
        """The averages [tags]; 0 of a tag that has never given a reading."""
        return self._value.copy()

    def kept(self) -> dict[str, Any]:
        silent = [None if math.isinf(h) else h for h in self._silent_h.tolist()]
        return {"value": self._value.tolist(), "followed_h": self._followed_h.tolist(), "silent_h": silent}

    def restore(self, kept: Mapping[str, Any]) -> bool:
        """Continue, bit-equal; False, with nothing changed, where ``kept`` is of other tags."""
        try:
            silent = [math.inf if h is None else float(h) for h in kept["silent_h"]]
            parts = [np.asarray(kept[key], dtype=np.float64) for key in ("value", "followed_h")]
        except (KeyError, TypeError, ValueError):
            return False
        if any(p.shape != self._value.shape or not np.isfinite(p).all() for p in parts):
            return False
        if len(silent) != len(self.tags):
            return False
        self._value, self._followed_h = parts
        self._silent_h = np.array(silent)
        return True

"""Where a bearing is damaged, by its orders alone: no model, no training, words that a mechanic can check."""

from __future__ import annotations

from dataclasses import dataclass

from edge.features.bearing import PLACE_WORDS, Place
from edge.features.comb import Comb, Views

FOUND_HEIGHT = 4.5
"""Mean height over all views that makes a finding: of 1,000 snapshots of noise hardly one has so much anywhere."""
_HARMONICS_MIN = {Place.CAGE: 3}
"""The cage's few low lines stand close together: chance finds one of them often."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``strength`` is over the threshold, 1 or more; ``order`` and ``harmonics`` are those of the clearest view."""

    place: Place
    strength: float
    order: float
    harmonics: int
    words: str


def strengths(views: Views) -> dict[Place, float]:
    """How far each place stands out, over what makes a finding: the mean over all views of the envelope.

    Races are told by sharp lines; balls and the cage wander, and are told by blurred ones.
    """
    found: dict[Place, float] = {}
    for place in Place:
        seen = [by_place[place] for by_place in views.values() if place in by_place]
        if seen:
            heights = [c.height if place in (Place.OUTER, Place.INNER) else c.blurred for c in seen]
            found[place] = sum(heights) / len(heights) / FOUND_HEIGHT
    return found


def find(views: Views) -> Finding | None:
    """The place that stands out most, if any does."""
    by_place = strengths(views)
    if not by_place:
        return None
    place = max(by_place, key=lambda p: by_place[p])
    clearest = max((by[place] for by in views.values() if place in by), key=lambda comb: comb.height)
    if by_place[place] < 1.0 or clearest.harmonics < _HARMONICS_MIN.get(place, 1):
        return None
    return Finding(place, by_place[place], clearest.order, clearest.harmonics, _words(place, clearest))


def _words(place: Place, comb: Comb) -> str:
    count = f"{comb.harmonics} harmonic{'s' if comb.harmonics != 1 else ''}"
    return f"{PLACE_WORDS[place]} of the bearing: envelope peak at {comb.order:.2f} x speed with {count}"

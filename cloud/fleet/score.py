"""How often it was right: what people say became of a machine, set against what its gateway had sealed before.

Definitions. An *alarm episode* is as ``cloud.fleet.track`` has it. A *failure* is one that a person stands by. It is a
**hit** where it answers an episode by name, or where one that began before it was still open, or had its last alarm at
most ``HORIZON_H`` (a week, what WARNING means) before it; its *lead time* is from the episode's beginning, or from the
end of the life before where the episode is older than that. It is a **miss** where the machine was judged in that week
and no such episode was there, and counts for nothing where it was not judged at all.

An episode without a failure is a **false alarm** where a person said so (a false alarm, or inspected and found sound),
or where nobody told of anything within ``HORIZON_H`` after it had ended. It counts for nothing (*open*) while it lasts,
until that week is over, and for good where the machine was replaced while still healthy: nobody will ever know.

*Interval coverage* is the share of the sampled verdicts of lives that ended in a failure whose interval held the time
that was really left, by the hour meter, or by the clock where there is none. Verdicts of one life are much alike: it
is the number of failures, not of verdicts, that says how much the share is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from cloud.fleet.track import QUIET_NS, Episode, Track
from cloud.store.outcomes import Kind, Outcome

HORIZON_H = 168.0
CONFIDENCE = 0.9
_Z = 1.6448536269514722
"""The standard normal's 95 % point: nine in ten lie between it and its negative."""
_HOUR_NS = 3600 * 10**9
_MINUTE_NS = 60 * 10**9
_HORIZON_NS = int(HORIZON_H * _HOUR_NS)
_SOUND = (Kind.FALSE_ALARM, Kind.INSPECTED_OK)


@dataclass(frozen=True, slots=True)
class Proposal:
    """An episode that nobody has answered: did the machine fail?"""

    episode: Episode

    @property
    def at_ns(self) -> int:
        return self.episode.from_ns


@dataclass(slots=True)
class Score:
    """Sums; those of several assets, or of one bundle, add up.

    ``lead_h`` are the lead times of the hits, by the hour meter where there is one, else by the clock. ``judged``
    counts sampled verdicts with an interval in lives that ended, of which ``covered`` held what came.
    """

    hits: int = 0
    misses: int = 0
    false_alarms: int = 0
    open: int = 0
    unjudged: int = 0
    lead_h: list[float] = field(default_factory=list)
    judged: int = 0
    covered: int = 0
    lives: int = 0

    @property
    def failures(self) -> int:
        """Those that count."""
        return self.hits + self.misses

    @property
    def coverage(self) -> float | None:
        return self.covered / self.judged if self.judged else None

    @property
    def median_lead_h(self) -> float | None:
        return median(self.lead_h) if self.lead_h else None

    @property
    def sensitivity(self) -> tuple[float, float] | None:
        """The 90 % interval of the share of failures that are foretold; None without a failure."""
        return wilson(self.hits, self.failures) if self.failures else None

    @property
    def precision(self) -> tuple[float, float] | None:
        """The 90 % interval of the share of alarms that are right; None without an alarm that counts."""
        alarms = self.hits + self.false_alarms
        return wilson(self.hits, alarms) if alarms else None

    @property
    def words(self) -> str:
        """As a line for an operator."""
        if not self.failures and not self.false_alarms:
            return "no failure yet to be right about"
        false = f"{self.false_alarms} false" if self.false_alarms else "none false"
        return f"right {self.hits} of {self.failures}, {false}" if self.failures else f"no failure yet, {false}"

    def add(self, other: Score) -> None:
        for name in ("hits", "misses", "false_alarms", "open", "unjudged", "judged", "covered", "lives"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lead_h.extend(other.lead_h)


@dataclass(frozen=True, slots=True)
class Scored:
    """An asset's score as a whole and by bundle (the hash, empty for none), and what waits for a person's word."""

    score: Score
    by_bundle: dict[str, Score]
    proposals: tuple[Proposal, ...]


def wilson(right: int, of: int, z: float = _Z) -> tuple[float, float]:
    """The interval of a share of which ``right`` of ``of`` were seen (Wilson 1927); 0..1."""
    share, spread = right / of, z * z / of
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def score(track: Track, told: Sequence[Outcome], now_ns: int) -> Scored:
    """Set one asset's track against the newest revisions of its outcomes."""
    stands = sorted((one for one in told if one.state.counts), key=lambda one: one.at_ns)
    board = _Board(track)
    taken: set[int] = set()
    life_from_ns = 0
    for outcome in stands:
        if outcome.kind is Kind.FAILURE:
            place = _answered(track.episodes, outcome)
            if place is None:
                place = _foretold(track.episodes, outcome.at_ns, life_from_ns)
            board.failed(outcome.at_ns, life_from_ns, track.episodes[place] if place is not None else None)
            taken |= {place} if place is not None else set()
        if outcome.kind in (Kind.FAILURE, Kind.REPLACED_HEALTHY):
            life_from_ns = outcome.at_ns
    unanswered = []
    for place, episode in enumerate(track.episodes):
        if place not in taken:
            answer = next((one for one in stands if _answers(one, episode)), None)
            board.alarmed(episode, answer, now_ns)
            if answer is None:
                unanswered.append(Proposal(episode))
    return Scored(board.whole, board.by_bundle, tuple(reversed(unanswered)))


class _Board:
    """Counts for the whole and for the bundle that it concerns."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self.whole = Score()
        self.by_bundle: dict[str, Score] = {bundle: Score() for bundle in track.bundles}

    def failed(self, at_ns: int, life_from_ns: int, episode: Episode | None) -> None:
        samples = self._track.samples
        before = samples.between(max(at_ns - _HORIZON_NS, life_from_ns), at_ns)
        if episode is not None:
            for one in self._both(episode.bundle):
                one.hits += 1
                one.lead_h.append(_lead_h(self._track, episode, at_ns, life_from_ns))
        elif before:
            for one in self._both(self._track.bundles[samples.bundle[before[-1]]]):
                one.misses += 1
        else:
            self.whole.unjudged += 1
        self._cover(at_ns, samples.between(life_from_ns, at_ns))

    def _cover(self, at_ns: int, life: Iterable[int]) -> None:
        samples, end_h = self._track.samples, self._track.samples.meter_at(at_ns)
        concerned = set()
        for i in life:
            if math.isnan(samples.low_h[i]):
                continue
            left_h = end_h - samples.meter_h[i]
            if math.isnan(left_h):
                left_h = (at_ns - samples.at_ns[i]) / _HOUR_NS
            bundle = self._track.bundles[samples.bundle[i]]
            concerned.add(bundle)
            for one in self._both(bundle):
                one.judged += 1
                one.covered += samples.low_h[i] <= left_h <= samples.high_h[i]
        for one in [self.whole, *(self._of(bundle) for bundle in concerned)] if concerned else []:
            one.lives += 1

    def alarmed(self, episode: Episode, answer: Outcome | None, now_ns: int) -> None:
        """An episode that no failure followed."""
        if answer is not None:
            is_false = answer.kind in _SOUND
        else:
            is_false = not episode.is_open and now_ns - episode.to_ns > _HORIZON_NS
        for one in self._both(episode.bundle):
            one.false_alarms += is_false
            one.open += not is_false

    def _both(self, bundle: str) -> tuple[Score, Score]:
        return self.whole, self._of(bundle)

    def _of(self, bundle: str) -> Score:
        return self.by_bundle.setdefault(bundle, Score())


def _answered(episodes: Sequence[Episode], outcome: Outcome) -> int | None:
    """The episode that a person names as the one which the failure followed; a time is told to the minute."""
    for place, episode in enumerate(episodes):
        if outcome.alarm_ns == episode.from_ns and episode.from_ns < outcome.at_ns + _MINUTE_NS:
            return place
    return None


def _foretold(episodes: Sequence[Episode], at_ns: int, life_from_ns: int) -> int | None:
    """The first episode of this life that began before a failure and was not over by a week."""
    for place, episode in enumerate(episodes):
        # One of the life before foretells nothing of this one, unless it still goes on.
        until_ns = _HORIZON_NS if episode.from_ns >= life_from_ns else QUIET_NS
        is_over = not episode.is_open and episode.to_ns + until_ns < at_ns
        if episode.from_ns <= at_ns and not is_over and episode.to_ns > life_from_ns:
            return place
    return None


def _lead_h(track: Track, episode: Episode, at_ns: int, life_from_ns: int) -> float:
    if episode.from_ns < life_from_ns:
        from_ns, from_h = life_from_ns, track.samples.meter_at(life_from_ns)
    else:
        from_ns, from_h = min(episode.from_ns, at_ns), episode.from_h
    lead_h = track.samples.meter_at(at_ns) - from_h
    return (at_ns - from_ns) / _HOUR_NS if math.isnan(lead_h) else max(lead_h, 0.0)


def _answers(outcome: Outcome, episode: Episode) -> bool:
    """Whether a person spoke of this episode: by name, or of something in it or within a week after it."""
    if outcome.alarm_ns is not None:
        return outcome.alarm_ns == episode.from_ns
    return episode.from_ns <= outcome.at_ns <= episode.to_ns + max(_HORIZON_NS, QUIET_NS)

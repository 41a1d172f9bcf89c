"""A history of signals of which it is known, by how it is made, what alarms it holds: the desk must count the same.

Time goes in whole seconds, each signal is read once a second, and episodes lie so far apart that none reaches into the
next. What is known: true excursions past the limit that last longer than the delay, spikes that do not, wavering
within the deadband, chatter beyond it, and floods of many signals at once. Nothing here is asked of the desk.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge.alarm import Watched
from edge.config.asset_class import AssetClass, Rule
from edge.contract.types import Batch, Priority, Quality, Tag

S = 10**9
START_S = 1_800_000_000
LIMIT, DEADBAND, DELAY_S = 10.0, 1.0, 5
CALM, PAST = 5.0, 12.0
APART_S = 700
"""More than the ten minutes over which a flood is counted."""
FLOOD_AFTER, FLOOD_ENDS_BELOW, FLOOD_WINDOW_S = 10, 5, 600
CHATTER_CALLS = 2
"""Of one that chatters the raisings before the one by which it does."""

ASSET = "rig"
LOW, MEDIUM, HIGH = Priority.LOW, Priority.MEDIUM, Priority.HIGH


@dataclass
class Known:
    """What the history holds: ``raised`` by rule, of these ``held`` by rule; ``called`` by priority; floods in s."""

    raised: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    called: Counter[Priority] = field(default_factory=Counter)
    chattering: Counter[str] = field(default_factory=Counter)
    floods: int = 0
    flood_s: int = 0

    def note(self, rule: str, priority: Priority, *, held: bool = False) -> None:
        self.raised[rule] += 1
        if held:
            self.held[rule] += 1
        else:
            self.called[priority] += 1


class History:
    """``excursions`` and ``spikes`` are of the signal "delayed", ``chatters`` of "bare", ``floods`` of all the others.

    ``values`` are the changes of each signal by second; ``known`` is what there is to find.
    """

    def __init__(self, seed: int, *, crowd: int = 40) -> None:
        self._chance = random.Random(seed)
        self.crowd = {f"crowd-{i}": HIGH if i % 10 == 0 else MEDIUM if i % 10 == 1 else LOW for i in range(crowd)}
        self.values: dict[str, dict[int, float]] = {}
        self.known = Known()
        self.end_s = 10

    @property
    def watched(self) -> Watched:
        """The machine with a rule for each signal of the history."""
        every = {"delayed": MEDIUM, "bare": MEDIUM, **self.crowd}
        rules = {rule: priority for rule, priority in every.items() if rule in self.values}
        return Watched(
            ASSET, "Rig",
            AssetClass(
                id="rig", title="Rig", source="test",
                rule=tuple(
                    Rule(
                        id=rule, tag=rule, priority=priority, above=LIMIT, deadband=DEADBAND, sentence="{name} {value}",
                        on_delay_s=DELAY_S if rule == "delayed" else 0.0,
                    )
                    for rule, priority in rules.items()
                ),
            ),
            1000, tuple(Tag(rule, "", rule, "other", 1) for rule in rules),
        )  # fmt: skip

    def excursions(self, count: int) -> History:
        """True ones: each is an alarm. So far apart that they are neither a flood nor chatter."""
        for _ in range(count):
            self._set("delayed", PAST)
            self.end_s += self._chance.randint(DELAY_S + 1, 60)
            self._set("delayed", CALM)
            self.end_s += self._chance.randint(70, 200)
            self.known.note("delayed", MEDIUM)
        return self._apart()

    def spikes(self, count: int) -> History:
        """Past the limit for no longer than the delay: none is an alarm."""
        for _ in range(count):
            self._set("delayed", PAST)
            self.end_s += self._chance.randint(1, DELAY_S)
            self._set("delayed", CALM)
            self.end_s += self._chance.randint(1, 20)
        return self._apart()

    def wavering(self, seconds: int) -> History:
        """About the limit within the deadband: one alarm, however often the limit is crossed."""
        self._set("bare", PAST)
        for _ in range(seconds):
            self.end_s += 1
            self._set("bare", self._chance.uniform(LIMIT - DEADBAND, LIMIT + DEADBAND))
        self.end_s += 1
        self._set("bare", CALM)
        self.known.note("bare", MEDIUM)
        return self._apart()

    def chatter(self, cycles: int) -> History:
        """Beyond the deadband, some times a minute: all are raised, the first ones call."""
        for cycle in range(cycles):
            self._set("bare", PAST)
            self.end_s += self._chance.randint(1, 8)
            self._set("bare", CALM)
            self.end_s += self._chance.randint(1, 8)
            self.known.note("bare", MEDIUM, held=cycle >= CHATTER_CALLS)
        self.known.chattering["bare"] += cycles > CHATTER_CALLS
        return self._apart()

    def flood(self, count: int) -> History:
        """So many different signals past their limits, one after the other, of all priorities."""
        raised_s = []
        rules = self._chance.sample(list(self.crowd), count)
        for number, rule in enumerate(rules):
            self._set(rule, PAST)
            raised_s.append(self.end_s)
            self.end_s += self._chance.randint(1, 10)
            self.known.note(rule, self.crowd[rule], held=number >= FLOOD_AFTER and self.crowd[rule] is LOW)
        if count > FLOOD_AFTER:
            self.known.floods += 1
            self.known.flood_s += raised_s[-FLOOD_ENDS_BELOW] + FLOOD_WINDOW_S - raised_s[FLOOD_AFTER]
        self._apart()
        for rule in rules:
            self._set(rule, CALM)
        return self._apart()

    def batches(self, from_s: int = 0) -> Iterator[tuple[int, Batch]]:
        """Each second and what is read in it, from ``from_s`` on."""
        rules = list(self.values)
        now = dict.fromkeys(rules, CALM)
        for at_s in range(self.end_s + 1):
            for rule in rules:
                now[rule] = self.values[rule].get(at_s, now[rule])
            if at_s >= from_s:
                yield at_s, batch_of(at_s, now)

    def _set(self, rule: str, value: float) -> None:
        self.values.setdefault(rule, {})[self.end_s] = value

    def _apart(self) -> History:
        self.end_s += APART_S
        return self


def batch_of(at_s: int, values: dict[str, float]) -> Batch:
    wall_ns, count = (START_S + at_s) * S, len(values)
    return Batch(
        ASSET, tuple(values), tuple(values.values()), (Quality.GOOD,) * count, (wall_ns,) * count, wall_ns, at_s * S
    )

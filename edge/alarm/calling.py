"""Whether an alarm calls somebody when it is raised, and when it does so later, or again.

One that chatters, and of low priority in a flood, is held back; the first of a group is marked. What is held calls
once nothing holds it any more, if it still stands; what nobody answers calls again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from edge.alarm import states
from edge.alarm.entry import Entry
from edge.alarm.figures import Figures
from edge.alarm.flood import Flood
from edge.alarm.holding import FREE, Holding, Suppression
from edge.alarm.memory import Chattered, Counted
from edge.alarm.place import Place
from edge.alarm.standing import Standing
from edge.config.alarms import Alarms
from edge.contract.types import Alarm

FLOOD_TOLD_NS = 10 * 10**9
"""How often a flood that goes on tells how much it holds back."""
CHATTER_KEPT_MAX = 100
"""Of how many alarms, the latest, a restart knows how often they were raised: each change is kept with all of it."""


class Calling:
    """Each call gives the alarms that are to be told by it. ``flood`` is the gateway's."""

    def __init__(self, gateway: str, config: Alarms, standing: Standing, figures: Figures) -> None:
        self._config, self._standing, self._figures = config, standing, figures
        self.flood = Flood(gateway, config)
        self._flood_told_ns = 0
        self._raised: dict[tuple[str, str], Place] = {}
        """By asset and rule what was raised of late, the latest last."""

    def pass_time(self, mono_ns: int) -> None:
        """What the figures are to know of the time until now, before anything else happens."""
        self._figures.pass_time(mono_ns, flood=self.flood.active)

    def restore(self, flood: Counted, later_ns: int, mono_ns: int) -> None:
        """Go on from a restart."""
        self.flood.restore(flood, later_ns)
        self._flood_told_ns = mono_ns

    def counted(self, mono_ns: int = 0) -> list[Chattered]:
        """What a restart needs of those that chatter, or soon may; without the time also of those that no longer do."""
        counted: list[Chattered] = []
        for key in list(reversed(self._raised)):
            one = self._raised[key].chatter.counted(key[1], mono_ns) if len(counted) < CHATTER_KEPT_MAX else None
            if one is None:
                del self._raised[key]  # Nor does any that was raised before it count any more.
            else:
                counted.append(one)
        return counted[::-1]

    def count_on(self, counted: Iterable[Chattered], places: Mapping[str, Place], later_ns: int) -> None:
        """Go on from a restart: times of ``counted`` are ``later_ns`` more now."""
        for one in counted:
            place = places.get(one.asset)
            entry = place.entry(one.rule) if place is not None else None
            if place is not None and entry is not None:
                place.chatter.restore(entry, one, later_ns)
                self._was_raised(place, entry)

    def _was_raised(self, place: Place, entry: Entry) -> None:
        key = entry.asset, entry.id
        self._raised.pop(key, None)
        self._raised[key] = place

    def turned(self, place: Place, entry: Entry, at_ns: int, mono_ns: int) -> list[Alarm]:
        """An alarm of a machine whose life has changed, and what follows from it."""
        if not entry.raised:
            return [self._standing.tell(entry, entry.changed(at_ns))]
        self.pass_time(mono_ns)
        others: list[Alarm] = []
        free = entry.holding is FREE
        calls = free or place.chatter.holds(entry)
        if calls:  # What people or its design hold back would be a first that nobody sees.
            place.mark_first(entry, mono_ns, within_ns=round(self._config.first_in_group_s * 1e9))
            self._was_raised(place, entry)
        if calls and place.chatter.begins(entry, mono_ns):
            # What stands for it must call: held back itself, it would keep the chattering one silent.
            entry.suppress(not place.chatter.entry.is_held, Suppression.CHATTER)
            others += self._raised_anew(place.chatter.entry, at_ns, mono_ns)
        elif free and self.flood.takes(entry, mono_ns):
            entry.suppress(True, Suppression.FLOOD)
        self._figures.raised(entry.asset, entry.id, entry.priority, held=entry.is_held)
        return [self._standing.tell(entry, entry.changed(at_ns)), *others, *self._flood_turned(at_ns, mono_ns)]

    def turned_own(self, entry: Entry, at_ns: int, mono_ns: int) -> Alarm:
        """An alarm of the gateway itself whose life has changed: no flood and no chatter holds it back."""
        if entry.raised:
            self.pass_time(mono_ns)
            self._figures.raised(entry.asset, entry.id, entry.priority, held=entry.is_held)
        return self._standing.tell(entry, entry.changed(at_ns))

    def released(self, places: Mapping[str, Place], now_ns: int, mono_ns: int) -> Iterator[Alarm]:
        """What is held no longer: a shelf's time is over, a flood has passed, what chattered is calm."""
        self.flood.pass_time(mono_ns)
        for place in places.values():
            told = place.chatter.entry
            others = place.chatter.pass_time(mono_ns)
            if told.step(bool(place.chatter.names()), mono_ns):
                yield self._standing.tell(told, told.changed(now_ns))
            elif others:
                yield self._standing.tell(told, told.alarm(now_ns))
        for entry in [entry for entry in self._standing if entry.is_held]:
            before = entry.holding.told
            if entry.hold(self._still(entry, places.get(entry.asset), mono_ns)):
                entry.called_mono_ns = mono_ns
                alarm = self._standing.tell(entry, entry.alarm(now_ns))
                if before != entry.holding.told:
                    yield alarm
        yield from self._flood_turned(now_ns, mono_ns)
        if not self.flood.active:
            self.flood.held = 0

    def called_again(self, now_ns: int, mono_ns: int) -> Iterator[Alarm]:
        """What nobody has answered, or has answered long ago."""
        for entry in self._standing:
            if entry.is_active and not entry.is_held:
                after_s = self._again_s(entry)
                if after_s and mono_ns - entry.called_mono_ns >= after_s * 1e9:
                    entry.repeat(mono_ns)
                    yield self._standing.tell(entry, entry.alarm(now_ns))

    def may_call_again(self, places: Mapping[str, Place]) -> bool:
        """Whether anything ever does."""
        rules = (entry.rule for place in places.values() for entry in place.limits if entry.rule is not None)
        config = self._config
        return bool(config.re_alarm_s or config.re_alarm_acknowledged_s or any(rule.re_alarm_s for rule in rules))

    def _still(self, entry: Entry, place: Place | None, mono_ns: int) -> Holding:
        """What holds ``entry`` now, of all that did."""
        held = entry.holding.elapsed(mono_ns)
        if not self.flood.active:
            held = held.suppressed(Suppression.FLOOD, holds=False)
        if place is None or not place.chatter.holds(entry) or place.chatter.entry.is_held:
            held = held.suppressed(Suppression.CHATTER, holds=False)
        if place is None or entry.id not in place.suppressions:
            held = held.suppressed(Suppression.DESIGN, holds=False)
        return held

    def _again_s(self, entry: Entry) -> float:
        if entry.phase.life is states.Life.ACKNOWLEDGED:
            return self._config.re_alarm_acknowledged_s
        own = entry.rule.re_alarm_s if entry.rule is not None else None
        return self._config.re_alarm_s if own is None else own

    def _raised_anew(self, entry: Entry, at_ns: int, mono_ns: int) -> list[Alarm]:
        """An alarm about alarms has something new to say."""
        if not entry.step(True, mono_ns):
            entry.repeat(mono_ns)  # A buzzer that was silenced for the former sounds again.
            return [self._standing.tell(entry, entry.alarm(at_ns))]
        return [self._standing.tell(entry, entry.changed(at_ns))]

    def _flood_turned(self, at_ns: int, mono_ns: int) -> list[Alarm]:
        flood, entry = self.flood, self.flood.entry
        turned = flood.active is not entry.is_active and entry.step(flood.active, mono_ns)
        told = entry.value == flood.held or mono_ns - self._flood_told_ns < FLOOD_TOLD_NS
        if not turned and (told or not flood.active):
            return []
        self._flood_told_ns = mono_ns
        flood.tell()
        return [self._standing.tell(entry, entry.changed(at_ns) if turned else entry.alarm(at_ns))]

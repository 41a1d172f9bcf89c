"""The alarm desk: readings and verdicts go in, changes of alarms come out.

It promises: a fault is an alarm within the call that hands in its reading (plus the rule's delay); bad readings neither
raise nor clear a limit; silence becomes an alarm of its own; a corrected wall clock changes nothing, for delays run on
the monotonic clock; a restart neither loses an alarm nor raises it twice (``state`` and ``restore``); whatever holds
an alarm back, its life goes on beneath and is told. It touches no disk and no network, so that nothing stands between
a fault and the lamp.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from edge.alarm import judgement, memory
from edge.alarm.calling import Calling
from edge.alarm.entry import Entry
from edge.alarm.figures import Figures
from edge.alarm.flood import FLOOD_RULE
from edge.alarm.gauges import measured
from edge.alarm.holding import OutOfService, Shelf, Suppression
from edge.alarm.memory import Kept, Moment, Saved, Unsure
from edge.alarm.place import Place, Watched
from edge.alarm.rules import holds, usable
from edge.alarm.standing import Standing
from edge.config.alarms import Alarms
from edge.contract.types import Alarm, AlarmState, Batch, Held, Verdict
from edge.ports import Concern, Finding

STALE_NS = 24 * 3600 * 10**9
"""What is in alarm for a day is stale (ISA-18.2, EEMUA 191)."""


class AlarmDesk:
    """Keeps every alarm of every asset. Not thread-safe: the runtime calls it from one task.

    ``gateway`` names the asset of the alarms that are nobody else's.
    """

    def __init__(
        self, assets: Sequence[Watched], *, config: Alarms | None = None, gateway: str = "gateway",
        concerns: Sequence[Concern] = (),
    ) -> None:  # fmt: skip
        self.config = config or Alarms()
        self._places = {watched.asset: Place(watched, self.config) for watched in assets}
        self._standing = Standing()
        self.figures = Figures()
        self._calling = Calling(gateway, self.config, self._standing, self.figures)
        self._own = {
            FLOOD_RULE: self._calling.flood.entry,
            **{one.rule: Entry.of_concern(gateway, one) for one in concerns},
        }
        self._gateway = gateway
        self._gone: list[Alarm] = []
        self._calls_again = self._calling.may_call_again(self._places)
        self._unsure: Unsure | None = None

    def change(self, assets: Sequence[Watched]) -> None:
        """Watch ``assets`` from now on. Those that are the same keep all that is known of them.

        Of the others, what stands or is held goes on so where a rule of the new ones stands for it; the next ``tick``
        announces the rest as normal.
        """
        before, standing, chatter = self._places, self._standing.saved(), self._calling.counted()
        same = {watched.asset for watched in assets if self._is_watched(watched)}
        self._places = {w.asset: before[w.asset] if w.asset in same else Place(w, self.config) for w in assets}
        self._calls_again = self._calling.may_call_again(self._places)
        for asset, place in before.items():
            if asset in self._places and asset not in same:
                self._places[asset].measures.restore(place.measures.learned())
        for saved in standing:
            if saved.alarm.asset not in same and saved.alarm.asset in before:
                self._take(saved, 0)
        self._calling.count_on((one for one in chatter if one.asset not in same), self._places, 0)

    def _is_watched(self, watched: Watched) -> bool:
        place = self._places.get(watched.asset)
        return place is not None and place.watched == watched

    def names(self) -> dict[str, str]:
        """Every asset's name for people, in the order of the site file; then the gateway's, while it has an alarm."""
        names = {asset: place.name for asset, place in self._places.items()}
        own = any(entry.asset == self._gateway for entry in self._standing)
        return {**names, self._gateway: self._gateway} if own else names

    def stale(self) -> frozenset[str]:
        """Assets of which nothing current is known: silent, or not heard yet."""
        return frozenset(
            asset for asset, place in self._places.items() if place.silent.is_active or not place.silence.is_heard
        )

    def observe(self, batch: Batch) -> list[Alarm]:
        """Take one poll; return the alarms that changed by it. On the way to the lamp: it formats only what changed."""
        place = self._places[batch.asset]
        place.silence.hear(batch)
        changes: list[Alarm] = []
        if place.flags:
            place.hear_flags(batch)
        place.measures.hear(batch)
        if place.suppressions:
            changes += self._suppressed(place, batch.read_ns, batch.mono_ns)
        by_tag, gauges, mono_ns = place.by_tag, place.measures.gauges, batch.mono_ns
        for tag, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
            for entry in by_tag.get(tag, ()):
                number = usable(value, quality)
                if gauges and number is not None and entry.id in gauges:
                    number = measured(gauges[entry.id], number, mono_ns)
                if number is not None:
                    entry.latest = number
                rule = entry.rule
                assert rule is not None
                condition = holds(rule, number, active=entry.is_active, enabled=place.enabled(rule, mono_ns))
                if entry.step(condition, mono_ns):
                    changes += self._calling.turned(place, entry, batch.read_ns, mono_ns)
        return changes

    def _suppressed(self, place: Place, at_ns: int, mono_ns: int) -> list[Alarm]:
        found = [(entry, is_new) for entry, is_new in place.suppressed(mono_ns) if is_new or not entry.is_calm]
        told = [(self._told(entry, at_ns if is_new else entry.at_ns), is_new) for entry, is_new in found]
        return [alarm for alarm, is_new in told if is_new]

    def judge(self, verdict: Verdict, *, mono_ns: int) -> list[Alarm]:
        """Take one verdict: an anomaly, or a remaining life that asks for action, is an alarm."""
        place = self._places[verdict.asset]
        changes = []
        for finding in judgement.findings(verdict, place.name, place.judged):
            entry = place.judged[finding.rule]
            entry.take(finding)
            if entry.step(finding.holds, mono_ns):
                changes += self._calling.turned(place, entry, verdict.at_ns, mono_ns)
        return changes

    def report_self(self, findings: Iterable[Finding], now_ns: int, *, mono_ns: int) -> list[Alarm]:
        """Take what the gateway has found about itself; each finding is of one of its ``concerns``."""
        changes = []
        for finding in findings:
            entry = self._own[finding.rule]
            entry.take(finding)
            if entry.step(finding.holds, mono_ns):
                changes.append(self._calling.turned_own(entry, now_ns, mono_ns))
        return changes

    def tick(self, now_ns: int, *, mono_ns: int) -> list[Alarm]:
        """Let time pass: delays and shelves elapse, silent assets raise ``no_data``, what nobody answered calls again.

        Call it a few times a second.
        """
        self._calling.pass_time(mono_ns)
        changes = [_ended(alarm, now_ns) for alarm in self._gone]
        self._gone = []
        for place in self._places.values():
            changes += self._suppressed(place, now_ns, mono_ns)
            silent = place.silence.listen(mono_ns)
            place.begin_anew(silent.tags)
            if silent.tags:
                words = silent.words(place.name)
                place.silent.tag, place.silent.sentence, place.silent.cause, place.silent.action = words
            if place.silent.step(silent.holds, mono_ns):
                changes += self._calling.turned(place, place.silent, now_ns, mono_ns)
            for entry in place.stale:
                if place.grow_old(entry, mono_ns):
                    changes += self._calling.turned(place, entry, now_ns, mono_ns)
            place.begin_anew(entry.tag for entry in place.stale if entry.is_active)
            for entry in (*place.limits, *place.judged.values()):
                if entry.elapse(mono_ns):
                    changes += self._calling.turned(place, entry, now_ns, mono_ns)
        for entry in self._own.values():
            if entry.elapse(mono_ns):
                changes.append(self._calling.turned_own(entry, now_ns, mono_ns))
        changes += self._calling.released(self._places, now_ns, mono_ns)
        return [*changes, *self._calling.called_again(now_ns, mono_ns)] if self._calls_again else changes

    # What people do. Each is empty where there is no such alarm, or nothing changes by it.

    def acknowledge(self, asset: str, rule: str, now_ns: int, *, by: str = "", why: str = "") -> list[Alarm]:
        """An operator has seen it."""
        entry = self._entry(asset, rule)
        return [self._told(entry, now_ns)] if entry is not None and entry.acknowledge(by, why) else []

    def reset(self, asset: str, rule: str, now_ns: int, *, by: str = "", why: str = "") -> list[Alarm]:
        """An operator ends a latched alarm, which is acknowledged and whose condition is gone."""
        entry = self._entry(asset, rule)
        return [self._told(entry, now_ns)] if entry is not None and entry.reset(by, why) else []

    def shelve(
        self, asset: str, rule: str, now_ns: int, *, mono_ns: int, by: str, why: str = "", for_s: float | None = None
    ) -> list[Alarm]:
        """Shelve it for a time, or (None) until it next returns, in either way no longer than the site allows."""
        most_s = self.config.shelve_h_max * 3600
        left_ns = round(min(most_s if for_s is None else for_s, most_s) * 1e9)
        shelf = Shelf(mono_ns + left_ns, now_ns + left_ns, for_s is None, by, why)
        return self._hold(asset, rule, now_ns, mono_ns, shelf=shelf)

    def unshelve(self, asset: str, rule: str, now_ns: int, *, mono_ns: int) -> list[Alarm]:
        return self._hold(asset, rule, now_ns, mono_ns, shelf=None)

    def out_of_service(
        self, asset: str, rule: str, now_ns: int, *, mono_ns: int, by: str, why: str = ""
    ) -> list[Alarm]:  # fmt: skip
        """Take it out of service until somebody puts it back."""
        return self._hold(asset, rule, now_ns, mono_ns, out=OutOfService(by, why))

    def in_service(self, asset: str, rule: str, now_ns: int, *, mono_ns: int) -> list[Alarm]:
        return self._hold(asset, rule, now_ns, mono_ns, out=None)

    def _hold(
        self, asset: str, rule: str, now_ns: int, mono_ns: int, **changes: Shelf | OutOfService | None
    ) -> list[Alarm]:  # fmt: skip
        entry = self._entry(asset, rule)
        if entry is None or not entry.hold(replace(entry.holding, **changes)):  # type: ignore[arg-type]
            return []
        entry.called_mono_ns = mono_ns
        return [self._told(entry, now_ns)]

    def _entry(self, asset: str, rule: str) -> Entry | None:
        place = self._places.get(asset)
        if place is not None:
            return place.entry(rule)
        return self._own.get(rule) if asset == self._gateway else None

    # What stands.

    def find(self, asset: str, rule: str) -> Alarm | None:
        """One alarm as it stands; None where there can be no such."""
        entry = self._entry(asset, rule)
        return entry.alarm(entry.at_ns) if entry is not None else None

    def every(self) -> list[Alarm]:
        """Every alarm that there can be, as it stands: by asset, then the gateway's own."""
        entries = [entry for place in self._places.values() for entry in place.entries()]
        return [entry.alarm(entry.at_ns) for entry in (*entries, *self._own.values())]

    def standing(self, most: int | None = None) -> list[Alarm]:
        """Every alarm that wants somebody: not normal, not held, active ones with their latest value.

        By priority, then the oldest first. Of more than ``most`` the first, and of each machine
        one of each kind that would else be missing.
        """
        return self._standing.calling(most)

    def held(self, most: int | None = None) -> list[Alarm]:
        """Every alarm that is held back, whatever its state beneath: in the same order."""
        return self._standing.held(most)

    def sizes(self) -> tuple[int, int]:
        """How many stand, and how many are held."""
        return self._standing.sizes()

    def own(self) -> frozenset[str]:
        """The gateway's own alarms that are active and not held, by rule."""
        return frozenset(rule for rule, entry in self._own.items() if entry.is_active and not entry.is_held)

    def report(self, mono_ns: int) -> dict[str, Any]:
        """The figures of ``figures``, and what stands, is stale, is held and chatters now: plain data."""
        self._calling.pass_time(mono_ns)
        chattering = [f"{asset} {rule}" for asset, place in self._places.items() for rule in place.chatter.names()]
        now = {
            **self._standing.counts(mono_ns, stale_ns=STALE_NS),
            "chattering": chattering,
            "flood": self._calling.flood.active,
        }
        return {**now, **self.figures.report()}

    def _told(self, entry: Entry, at_ns: int) -> Alarm:
        return self._standing.tell(entry, entry.alarm(at_ns))

    def learned(self) -> bytes:
        """What rules have learned of their machines, as JSON: for ``restore_learned`` after a restart."""
        found = {asset: place.measures.learned() for asset, place in self._places.items()}
        return msgspec.json.encode({asset: learned for asset, learned in found.items() if learned})

    def restore_learned(self, learned: bytes) -> None:
        """Continue from ``learned``; what of it cannot be read is learned anew."""
        with contextlib.suppress(msgspec.DecodeError):
            for asset, told in msgspec.json.decode(learned, type=dict[str, dict[str, Any]]).items():
                if asset in self._places:
                    self._places[asset].measures.restore(told)

    def state(self, at: Moment = Moment()) -> dict[str, bytes]:  # noqa: B008 frozen
        """What a restart needs, by name, as JSON: all of it, which must become durable at once."""
        return {memory.HEAD: self._head(at), **self._standing.rows()}

    def changed_state(self, at: Moment) -> dict[str, bytes]:
        """Of ``state`` what is new since this was called last, or since ``restore``: a few kilobytes a change."""
        return {memory.HEAD: self._head(at), **self._standing.changed_rows()}

    def _head(self, at: Moment) -> bytes:
        flood, chatter = self._calling.flood.kept(at.mono_ns), self._calling.counted(at.mono_ns)
        return memory.head(at, self.figures.recent(), memory.packed(flood), memory.packed(chatter))

    def restore(self, kept: Kept, at: Moment = Moment(), *, figures: bytes = b"") -> None:  # noqa: B008 frozen
        """Continue from what was ``kept`` of ``state``: what stood stands, acknowledged or not, until good readings say
        otherwise.

        What no rule stands for any longer is announced as normal by the next ``tick``, so that nobody waits for it.
        Bytes that are no state of a version that is known are logged and passed over: conditions that hold then raise
        anew. A shelf goes on for what is left of it by a clock that can be believed. Where none can, it lasts five
        minutes at most: ``clock_set`` within them may prolong it, else the alarm calls again (OPC 10000-9, 5.8.17.1).
        ``figures`` are the bytes of theirs that were kept last.
        """
        found = memory.read(kept)
        self._standing.restored(kept)
        self.figures.restore(figures, found.recent if found is not None else (), at)
        if found is None:
            return
        self._calling.restore(found.flood, found.later_ns(at), at.mono_ns)
        taken, self._unsure = memory.resumed(found, at)
        for saved, later_ns in taken:
            self._take(saved, later_ns)
        self._calling.count_on(found.chatter, self._places, found.later_ns(at))

    def clock_set(self, at: Moment) -> None:
        """The wall clock can be believed from now on: shelves of a former boot end when they would have."""
        unsure, self._unsure = self._unsure, None
        for (asset, rule), former, shelf in memory.prolonged(unsure, at) if unsure is not None else ():
            entry = self._standing.entry(asset, rule)
            # One that somebody made meanwhile ends as they said.
            lies = entry.holding.shelf if entry is not None else None
            if entry is not None and lies is not None and replace(lies, until_mono_ns=former.until_mono_ns) == former:
                entry.hold(replace(entry.holding, shelf=shelf))
                self._told(entry, entry.at_ns)

    def _take(self, saved: Saved, later_ns: int) -> None:
        """Go on with a saved alarm, whose monotonic times are ``later_ns`` more by now."""
        entry = self._entry(saved.alarm.asset, saved.alarm.rule)
        if entry is None:
            self._standing.forget(saved.alarm.asset, saved.alarm.rule)
            self._gone.append(saved.alarm)
            return
        entry.restore(saved.alarm)
        entry.by, entry.why = saved.by, saved.why
        entry.raised_mono_ns = saved.raised_mono_ns + later_ns
        entry.called_mono_ns = (saved.called_mono_ns or saved.raised_mono_ns) + later_ns
        entry.hold(saved.holding)
        if Suppression.DESIGN in saved.holding.suppressions:
            since_ns = saved.settling_mono_ns
            self._places[entry.asset].settle(entry, None if since_ns is None else since_ns + later_ns)
        if entry.first:
            self._places[entry.asset].was_first(entry)
        self._told(entry, entry.at_ns)


def _ended(alarm: Alarm, at_ns: int) -> Alarm:
    """The last that is told of an alarm that there can no longer be."""
    return replace(alarm, state=AlarmState.NORMAL, at_ns=at_ns, latched=False, held=Held.NOT, until_ns=0)

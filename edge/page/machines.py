"""What the page shows of each machine: its judgement, its alarms, its values. Pure: a look in, plain rows out.

A value is shown as fresh only where the gateway answers now and the reading is good and not late; everything else has
its own word and its age.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.page import words
from edge.page.alarms import AlarmRow, alarms
from edge.page.recent import Recent, path_of
from edge.page.watching import Look

VALUES_SHOWN = 48
"""So many values the overview shows, of all machines; each machine's own page shows all of its."""
REASONS_SHOWN = 4
TITLES_SHOWN = 2


@dataclass(frozen=True, slots=True)
class ValueRow:
    """``mark`` is ok, uncertain, late, bad or none; ``note`` says how old or doubtful it is, and is empty where ok.

    Of a bad one the value is the last good one.
    """

    tag: str
    title: str
    text: str
    unit: str
    mark: str
    note: str
    source: str
    curve: str
    curve_words: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """``values`` are those shown here, of ``values_of``, of which ``troubled`` are bad, late or were never read.

    ``verdict`` is as the gateway told it, or None.
    """

    asset: str
    name: str
    urgency: str
    verdict: Mapping[str, Any] | None
    life: str
    life_words: str
    judged_age: str
    health: float | None
    note: str
    reasons: tuple[str, ...]
    causes: tuple[str, ...]
    sensors: tuple[str, ...]
    alarms: tuple[AlarmRow, ...]
    values: tuple[ValueRow, ...]
    values_of: int
    troubled: int

    @property
    def rank(self) -> int:
        """What needs a person comes first: 0 now, 1 soon, 2 has something to say, 3 is not judged, 4 is well."""
        if self.urgency == "CRITICAL" or any(alarm.calls and alarm.priority == "high" for alarm in self.alarms):
            return 0
        if self.urgency == "WARNING" or any(alarm.calls for alarm in self.alarms):
            return 1
        if self.troubled or any(not alarm.held for alarm in self.alarms):
            return 2
        return 4 if self.urgency == "NORMAL" else 3


def machines(look: Look, recent: Recent) -> list[Machine]:
    """All machines of the site, the worst first, with as many values each as the overview has room for."""
    names = look.of("values").get("assets", {})
    room = VALUES_SHOWN // len(names) if names else 0
    told = _by_asset(look.of("values").get("values", ()))
    own: dict[str, list[AlarmRow]] = {}
    for alarm in alarms(look):
        own.setdefault(alarm.asset, []).append(alarm)
    found = [
        _machine(look, recent, asset, name, told.get(asset, ()), own.get(asset, ()), room)
        for asset, name in names.items()
    ]
    return sorted(found, key=lambda machine: machine.rank)


def machine(look: Look, recent: Recent, asset: str) -> Machine | None:
    """One machine with all of its values; None where there is none of that name."""
    name = look.of("values").get("assets", {}).get(asset)
    if name is None:
        return None
    told = _by_asset(look.of("values").get("values", ())).get(asset, ())
    own = [alarm for alarm in alarms(look) if alarm.asset == asset]
    return _machine(look, recent, asset, name, told, own, len(told))


def _by_asset(values: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in values:
        found.setdefault(one["asset"], []).append(one)
    return found


def _machine(
    look: Look, recent: Recent, asset: str, name: str, told: Sequence[Mapping[str, Any]], own: Sequence[AlarmRow],
    room: int,
) -> Machine:  # fmt: skip
    verdict = next((v for v in look.of("status").get("verdicts", ()) if v["asset"] == asset), None)
    judged = [(one, _judged(look, recent, one)) for one in told]
    reasons = verdict["reasons"][:REASONS_SHOWN] if verdict is not None else ()
    spoken = {alarm.tag for alarm in own} | {reason["tag"] for reason in reasons}
    return Machine(
        asset=asset, name=name, verdict=verdict, urgency=verdict["urgency"] if verdict is not None else "UNKNOWN",
        life=_life(verdict), life_words=_life_words(verdict), judged_age=_judged_age(look, verdict),
        health=verdict["health"] if verdict is not None else None,
        note=verdict["note"] if verdict is not None else "no verdict yet",
        reasons=tuple(f"{reason['words']} ({100 * reason['share']:.0f} %)" for reason in reasons),
        causes=_causes(told), sensors=tuple(sensor["words"] for sensor in (verdict["sensors"] if verdict else ())),
        alarms=tuple(own), values=tuple(_row(look, recent, *one) for one in _chosen(judged, room, spoken)),
        values_of=len(told), troubled=sum(mark in ("bad", "late", "none") for _, (mark, _, _) in judged),
    )  # fmt: skip


Judged = tuple[str, str, Any]
"""How a reading is to be taken, its age or doubt in words, and the value to show: of a bad one the last good."""


def _chosen(
    judged: Sequence[tuple[Mapping[str, Any], Judged]], room: int, spoken: Collection[str]
) -> list[tuple[Mapping[str, Any], Judged]]:
    """What alarms and reasons speak of, and what is not as it should be, goes before the rest."""
    ranked = sorted(
        range(len(judged)), key=lambda i: (judged[i][0]["tag"] not in spoken, judged[i][1][0] == "ok", i)
    )  # fmt: skip
    return [judged[i] for i in sorted(ranked[:room])]


def _row(look: Look, recent: Recent, one: Mapping[str, Any], judged: Judged) -> ValueRow:
    mark, note, value = judged
    drawn = path_of(recent.course(one["asset"], one["tag"], look.now_s), one["decimals"])
    curve, low, high = drawn if drawn is not None else ("", 0.0, 0.0)
    ends = f"{words.number(low, one['decimals'])} to {words.number(high, one['decimals'])}"
    return ValueRow(
        tag=one["tag"], title=one["title"], text=words.measured(value, one["decimals"], one["kind"]),
        unit=words.unit(one["unit"]) if value is not None else "", mark=mark, note=note,
        source=words.clock(one["source_ns"]) if one["source_ns"] is not None else "",
        curve=curve, curve_words=ends if curve else "", is_text=isinstance(value, str),
    )  # fmt: skip


def _judged(look: Look, recent: Recent, one: Mapping[str, Any]) -> Judged:
    if one["age_s"] is None:
        return "none", "never read", None
    age_s = one["age_s"] + look.age_s
    if one["quality"] == "bad":
        last = recent.last_good(one["asset"], one["tag"])
        return ("bad", "no value", None) if last is None else ("bad", words.span(look.now_s - last[1]), last[0])
    if not look.is_live or age_s > one["due_s"]:
        return "late", words.span(age_s), one["value"]
    return ("ok", "", one["value"]) if one["quality"] == "good" else ("uncertain", "says its source", one["value"])


def _causes(told: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Why values are bad, once for all of one cause."""
    titles: dict[str, list[str]] = {}
    for one in told:
        if one["quality"] == "bad":
            cause = words.CAUSES.get(one["cause"], one["cause"] or "no cause told")
            titles.setdefault(cause, []).append(one["title"])
    return tuple(
        f"{', '.join(of)}: {cause}" if len(of) <= TITLES_SHOWN else f"{len(of)} of {len(told)} values: {cause}"
        for cause, of in titles.items()
    )


def _life(verdict: Mapping[str, Any] | None) -> str:
    if verdict is None or verdict["rul_h"] is None:
        return ""
    low, high = verdict["rul_low_h"], verdict["rul_high_h"]
    if low is None or high is None:
        return f"{words.hours(verdict['rul_h'])} h"
    return f"{words.hours(verdict['rul_h'])} h ({words.hours(low)}–{words.hours(high)})"


def _life_words(verdict: Mapping[str, Any] | None) -> str:
    """What the urgency means, what the life rests on, and the chance of a failure before the next stop."""
    if verdict is None:
        return ""
    # A note says itself that there is not enough evidence, and why.
    urgency = words.urgency(verdict["urgency"]) if verdict["urgency"] != "UNKNOWN" or not verdict["note"] else ""
    basis = "by age and papers, not by its condition" if verdict["basis"] == "prior" and verdict["rul_h"] else ""
    chance = ""
    if verdict["failure_p"] is not None and verdict["stop_h"] is not None:
        # The gateway's own words: it knows how finely the chance may be told.
        chance = next((w for w in _parts(verdict["words"]) if "to fail before the stop" in w), "")
    return "; ".join(filter(None, (urgency, basis, chance)))


def _parts(text: str) -> Iterator[str]:
    yield from text.split("; ")


def _judged_age(look: Look, verdict: Mapping[str, Any] | None) -> str:
    """Empty where the verdict is of now."""
    return "" if verdict is None or look.is_live else f"judged {words.span(look.age_s)} ago or longer"

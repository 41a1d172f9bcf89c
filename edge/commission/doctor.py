"""The doctor: what ails a line, in words, from its counts. Pure: facts in, findings out.

Is: a rule an illness, each with what it saw, the likely cause and what to try first; figures that it suggests come with
their arithmetic. Is not: a proof. It says "likely", and the first thing to try is the one that costs least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge.commission.line_facts import LineFacts, UnitFacts
from edge.commission.plan import timeout_plan

Severity = Literal["fault", "warning"]

FEW = 3
"""So many of a kind are no chance."""
SHARE = 0.01
"""From this share of the questions on an illness is worth a word."""
FULL = 0.8
"""A line that is taken up by more than this has no room for a retry."""
GROWS = 2.0
"""Check sum errors that are so much more frequent in long answers than in short ones grow with the length."""

_OF_THE_MAP = {1: "illegal function", 2: "illegal data address", 3: "illegal data value"}
_OF_THE_DEVICE = {4: "device failure", 5: "still working", 6: "busy", 7: "negative acknowledge", 8: "memory parity"}
_OF_THE_WAY = {10: "gateway path unavailable", 11: "gateway target did not answer"}


@dataclass(frozen=True, slots=True)
class Finding:
    """``illness`` names the rule. ``unit`` is None where it is the line's, ``line`` empty where it is the gateway's."""

    illness: str
    line: str
    unit: int | None
    severity: Severity
    saw: str
    likely: str
    advice: str


def findings(line: LineFacts) -> list[Finding]:
    """What ails ``line``, the gravest first. Empty where nothing does, or where nothing was asked yet."""
    if line.shut is not None:
        return [_shut(line, line.shut)]
    found = [finding for rule in _RULES for finding in rule(line)]
    return sorted(found, key=lambda finding: finding.severity != "fault")


def lost_store(lost_s: float | None) -> list[Finding]:
    """What ails the gateway itself, whose former store was found lost so many seconds ago (None: it is not)."""
    if lost_s is None:
        return []
    return [Finding(
        "lost_store", "", None, "warning",
        f"the former store is lost: what was read, decided and written is known of the last {lost_s:,.0f} s alone",
        "it was removed, put back from an older copy, or could not be read: then it lies beside the new one as"
        " store.db.corrupt-…",
        "look after the disk and its supply; take contracts that were replaced or withdrawn out of the site's folder."
        " No command that was given before is taken up; a cloud still has the former audit",
    )]  # fmt: skip


def degraded(why: str) -> list[Finding]:
    """What ails the gateway itself where its store takes nothing now, and why (empty: it does)."""
    if not why:
        return []
    return [Finding(
        "degraded", "", None, "fault", f"nothing is kept but in memory, until it can be: {why}",
        "its disk is full, read-only or failing, or its folder is another user's",
        "make room on the disk, have it mounted for writing, or replace it; it is taken up again within seconds. What"
        " has not gone up by then is lost, and declared; a cut of the power takes it all",
    )]  # fmt: skip


def _shut(line: LineFacts, why: Mapping[str, str]) -> Finding:
    """Nothing else that a line says counts while it is not open."""
    return Finding(
        "not_open", line.name, None, "fault", f"it could not be opened: {why['where']}: {why['problem']}",
        "what it needs is missing here, or another program has it; it is tried again until it is there", why["hint"],
    )  # fmt: skip


def _is_down(line: LineFacts) -> bool:
    """Whether nothing could even be sent: what a unit would say is not known."""
    down = any(unit.counts.line_down for unit in line.units)
    return down and not any(unit.counts.requests for unit in line.units)


def line_down(line: LineFacts) -> Iterator[Finding]:
    down = sum(unit.counts.line_down for unit in line.units)
    asked = sum(unit.counts.requests for unit in line.units)
    if _is_down(line):
        serial = line.baud is not None
        why = next((f"; {unit.detail}" for unit in line.units if unit.detail), "")
        yield Finding(
            "line_down", line.name, None, "fault", f"{down} questions could not even be sent{why}",
            "the serial adapter is unplugged, or another program has it" if serial
            else "nothing accepts connections there",
            "plug the adapter in; `dmesg` says what the system saw, `lsof` who has the device" if serial
            else f"is {line.line.get('host')}:{line.line.get('port')} right, and its power on? try ping",
        )  # fmt: skip
    elif line.reconnects >= FEW or (down and asked):
        yield Finding(
            "line_breaks_off", line.name, None, "warning",
            f"{line.reconnects} reconnects, {down} questions lost to them",
            "the adapter's plug or hub is loose" if line.baud is not None
            else "the other side hangs up: too many masters for it, an idle limit, or the network",
            "another USB port, no hub; a cable with ferrites" if line.baud is not None
            else "how many connections does it take? who else is connected?",
        )  # fmt: skip


def nothing_comes(line: LineFacts) -> Iterator[Finding]:
    """Of lines whose drivers count no questions: those that are listened to."""
    if line.counted:
        return
    dead = [unit for unit in line.units if unit.polls.due >= FEW and unit.polls.failures == unit.polls.due]
    everyone = len(dead) == len(line.units) > 1
    for unit in dead:
        yield Finding(
            "nothing_comes", line.name, None if len(line.units) == 1 else unit.unit, "fault",
            f"{', '.join(unit.assets)}: nothing good in {unit.polls.due} periods; {unit.detail or 'nothing is known'}",
            "the line itself: broker, server or cable, since nobody on it is heard" if everyone
            else "the device is off, speaks under another name, or less often than its period says",
            "look at what the line says of itself; is it reachable, with these credentials?" if everyone
            else "`babbitt gateway check` listens to it; compare its place (`at`) and period with the device",
        )  # fmt: skip
        if everyone:
            return


def all_silent(line: LineFacts) -> Iterator[Finding]:
    asked = [unit for unit in line.units if unit.counts.requests + unit.polls.left_alone >= FEW]
    if (
        not asked
        or _is_down(line)
        or not all(unit.is_silent for unit in asked)
        or (len(asked) == 1 and not _serial_noise(line))
    ):
        return
    requests = sum(unit.counts.requests for unit in asked)
    saw = f"none of {requests} questions to {len(asked)} {'unit' if len(asked) == 1 else 'units'} was answered"
    if _serial_noise(line):
        yield Finding(
            "settings", line.name, None, "fault", f"{saw}, but bytes came that are no frames",
            f"the units speak at other settings than {_settings(line)}",
            f"`babbitt scan serial {line.line.get('device')}` tries baud rates and parities; are A and B swapped?",
        )  # fmt: skip
    elif line.baud is not None:
        yield Finding(
            "all_silent", line.name, None, "fault", f"{saw}, not a byte came",
            "cable, adapter or power of the bus; or A and B swapped; or another baud rate",
            f"swap A and B; measure the bus; `babbitt scan serial {line.line.get('device')}` tries other settings",
        )  # fmt: skip
    else:
        yield Finding(
            "all_silent", line.name, None, "fault", f"{saw}, though the connection stands",
            "the bus behind the gateway is dead, or its unit ids are others",
            "look at the gateway's own page and its serial side: cable, baud rate, power",
        )  # fmt: skip


def one_silent(line: LineFacts) -> Iterator[Finding]:
    asked = [unit for unit in line.units if unit.counts.requests + unit.polls.left_alone >= FEW]
    if _is_down(line) or (len(asked) > 1 and all(unit.is_silent for unit in asked)):
        return
    for unit in asked:
        counts = unit.counts
        lost_way = sum(counts.refusals.get(code, 0) for code in _OF_THE_WAY)
        if unit.is_silent and not counts.late and not _serial_noise(line) and counts.timeouts >= counts.requests - FEW:
            others = "the others answer" if len(asked) > 1 else "it is the only one"
            others += f"; waiting for it takes {counts.busy_ns / 1e9 / line.window_s:.0%} of the line's time"
            yield Finding(
                "one_silent", line.name, unit.unit, "fault",
                f"{unit.name}: none of {counts.requests} questions was answered; {others}",
                "its power, its own wiring, or another unit id than configured",
                "is it on? look at its address switch; `babbitt scan` finds where it is",
            )  # fmt: skip
        elif lost_way and lost_way >= counts.replies - FEW:
            yield Finding(
                "one_silent", line.name, unit.unit, "fault",
                f"{unit.name}: the gateway in between says {lost_way} times that it cannot reach it",
                "its power, its own wiring behind that gateway, or another unit id than configured",
                "is it on? look at its address switch and at the gateway's list of units",
            )  # fmt: skip


def timeout_too_short(line: LineFacts) -> Iterator[Finding]:
    for unit in line.units:
        counts = unit.counts
        if counts.late > 1 and counts.late >= 0.3 * (counts.timeouts + counts.mismatches + counts.foreign):
            plan = timeout_plan(line, unit)
            yield Finding(
                "timeout_too_short", line.name, unit.unit, "fault",
                f"{unit.name}: {counts.late} answers came after they were given up ({counts.timeouts} timeouts)",
                f"it needs longer than {line.timeout_ms:.0f} ms",
                f"timeout_ms = {plan.timeout_ms}: {plan.words}",
            )  # fmt: skip


def answers_now_and_then(line: LineFacts) -> Iterator[Finding]:
    for unit in line.units:
        counts = unit.counts
        if unit.is_silent or counts.late > 1 or counts.timeouts < FEW:
            continue
        if counts.timeouts >= SHARE * counts.requests:
            yield Finding(
                "loses_answers", line.name, unit.unit, "warning",
                f"{unit.name}: {counts.timeouts} of {counts.requests} questions stayed unanswered",
                "a loose contact, a device that is too busy, or questions that follow each other too fast for it",
                "tighten its terminals; a pause in its profile (`quirks.pause_ms`); a longer period",
            )  # fmt: skip


def check_sums(line: LineFacts) -> Iterator[Finding]:
    ill = [u for u in line.units if u.counts.crc_errors >= FEW and u.counts.crc_errors >= SHARE * u.counts.requests]
    sound = [u for u in line.units if u.counts.replies >= FEW and u not in ill]
    if not ill or (all(unit.is_silent for unit in ill) and not sound):
        return
    errors, asked = sum(u.counts.crc_errors for u in ill), sum(u.counts.requests for u in ill)
    saw = f"{errors} check sum errors in {asked} questions"
    short, long = _error_shares(ill)
    if long is not None and short is not None and long > GROWS * short:
        for unit in ill if sound else [None]:
            yield Finding(
                "noise", line.name, unit.unit if unit else None, "fault",
                f"{saw}, {long:.1%} of the long answers and {short:.1%} of the short ones",
                "bits get lost on the way: termination, bias, a long stub, noise beside a drive, or a baud rate that is"
                " a little off",
                "120 Ω at both ends and only there, bias at one point, shield on one side; then half the baud rate",
            )  # fmt: skip
    elif sound:
        for unit in ill:
            yield Finding(
                "duplicate" if _alone(unit) else "garbled", line.name, unit.unit, "fault",
                f"{unit.name}: {unit.counts.crc_errors} check sum errors in {unit.counts.requests} questions, whatever"
                f" their length; the other {'unit has' if len(sound) == 1 else 'units have'} few",
                "two devices with this unit id answer at once; or its own drop has a bad contact",
                "switch it off: if something still answers at its id, that is the other one",
            )  # fmt: skip
    else:
        yield Finding(
            "garbled", line.name, None, "fault", f"{saw}, whatever their length, of all units",
            "two masters on one line, bursts of noise, or settings that are nearly right (parity, stop bits)",
            "is another program or PLC on this bus? does a drive start just then? compare parity and stop bits",
        )  # fmt: skip


def doubles(line: LineFacts) -> Iterator[Finding]:
    for unit in line.units:
        counts = unit.counts
        if counts.doubles >= FEW and counts.doubles >= SHARE * max(1, counts.replies):
            yield Finding(
                "duplicate", line.name, unit.unit, "fault",
                f"{unit.name}: {counts.doubles} questions were answered twice",
                "two devices have this unit id",
                "switch it off: if something still answers at its id, give that one another",
            )  # fmt: skip


def foreign_frames(line: LineFacts) -> Iterator[Finding]:
    for unit in line.units:
        counts = unit.counts
        # What another unit answers too late comes to whoever is asked next: it is that unit's illness, not a stranger.
        others_late = any(other.counts.late > 1 for other in line.units if other is not unit)
        strange = (counts.foreign if not others_late else 0) + (counts.mismatches if not counts.late else 0)
        if strange >= FEW and strange >= SHARE * counts.requests:
            yield Finding(
                "foreign", line.name, unit.unit, "fault",
                f"{unit.name}: {strange} answers that belong to other questions",
                "another master asks on this line, or a gateway in between mixes up its clients",
                "only one master a serial line; let this gateway be the only client of that converter",
            )  # fmt: skip


def refusals(line: LineFacts) -> Iterator[Finding]:
    for unit in line.units:
        counts = unit.counts
        by_map = {code: n for code, n in counts.refusals.items() if code in _OF_THE_MAP}
        by_device = {code: n for code, n in counts.refusals.items() if code in _OF_THE_DEVICE}
        # After a question without a good answer the next one may ask for what is not there, to get into step again.
        faults = counts.requests - counts.replies
        if sum(by_map.values()) >= FEW and sum(by_map.values()) > faults:
            yield Finding(
                "register_map", line.name, unit.unit, "fault",
                f"{unit.name} refuses: {_codes(by_map, _OF_THE_MAP)}",
                "its profile asks for registers that this device does not have: another model or firmware",
                "`babbitt gateway check` shows which tags; compare the profile's map with the device's manual",
            )  # fmt: skip
        if sum(by_device.values()) >= FEW and sum(by_device.values()) >= SHARE * counts.requests:
            yield Finding(
                "device_trouble", line.name, unit.unit, "warning",
                f"{unit.name} answers with: {_codes(by_device, _OF_THE_DEVICE)}",
                "the device itself is in trouble or too busy",
                "look at its own display; ask it less often",
            )  # fmt: skip


def too_full(line: LineFacts) -> Iterator[Finding]:
    due = sum(unit.polls.due for unit in line.units)
    overruns = sum(unit.polls.overruns for unit in line.units)
    answering = sum(unit.counts.answering_ns for unit in line.units) / 1e9 / line.window_s
    if answering < FULL and line.airtime > 2 * answering:
        return  # Waiting for what does not come is the consequence of another illness.
    if due and overruns >= max(FEW, SHARE * due):
        if line.stood_still_s > SHARE * line.window_s and line.airtime_meanwhile <= FULL / 2:
            yield Finding(
                "no_time", line.name, None, "fault",
                f"{overruns} of {due} polls had no time, and the gateway itself stood still for"
                f" {line.stood_still_s:.1f} s of {line.window_s:.0f} s; the line had time",
                "another program on its machine takes the time, or the machine is too slow for what is asked of it",
                "who takes the time? `top`, `babbitt gateway health`; then longer periods, or fewer machines a gateway",
            )  # fmt: skip
            return
        yield Finding(
            "too_full", line.name, None, "fault",
            f"{overruns} of {due} polls had no time; the line was taken up for {100 * line.airtime:.0f} % of it",
            "more is asked than the line has time for" if line.airtime > FULL / 2
            else "polls wait for a unit that answers slowly, or for the pauses that its profile wants",
            f"longer periods, fewer registers{_or_faster(line)}" if line.airtime > FULL / 2
            else "longer periods; the unit's own speed; `quirks.pause_ms` in its profile",
        )  # fmt: skip
    elif line.counted and answering > FULL:
        yield Finding(
            "nearly_full", line.name, None, "warning",
            f"the line is taken up for {100 * line.airtime:.0f} % of the time",
            "there is no room for a retry or for one more unit", f"longer periods{_or_faster(line)}",
        )  # fmt: skip


_RULES: Sequence[Callable[[LineFacts], Iterator[Finding]]] = (
    line_down, nothing_comes, all_silent, one_silent, timeout_too_short, doubles, check_sums, foreign_frames,
    refusals, too_full, answers_now_and_then,
)  # fmt: skip


def _serial_noise(line: LineFacts) -> bool:
    """Bytes came that are no frames: somebody is there."""
    noise = sum(unit.counts.noise + unit.counts.crc_errors for unit in line.units)
    return line.baud is not None and noise >= FEW


def _or_faster(line: LineFacts) -> str:
    return ", a higher baud rate" if line.baud is not None else ""


def _settings(line: LineFacts) -> str:
    return f"{line.baud} baud, parity {line.line.get('parity', 'E')}"


def _alone(unit: UnitFacts) -> bool:
    """Whether most of its answers are spoilt: what two devices at once do, and a bad contact rarely."""
    return unit.counts.crc_errors >= 0.2 * unit.counts.requests


def _error_shares(units: Sequence[UnitFacts]) -> tuple[float | None, float | None]:
    """The share of check sum errors among the shorter answers and among the longer ones; None where there are none."""
    lengths: dict[int, list[int]] = {}
    for unit in units:
        for length, (asked, errors) in unit.counts.lengths.items():
            sums = lengths.setdefault(length, [0, 0])
            sums[0] += asked
            sums[1] += errors
    known = sorted(length for length, (asked, _) in lengths.items() if asked >= 10 and length)
    if len(known) < 2 or known[-1] < 2 * known[0]:
        return None, None
    middle = (known[0] + known[-1]) / 2
    return _share([lengths[n] for n in known if n <= middle]), _share([lengths[n] for n in known if n > middle])


def _share(pairs: Sequence[Sequence[int]]) -> float:
    return sum(errors for _, errors in pairs) / max(1, sum(asked for asked, _ in pairs))


def _codes(counted: dict[int, int], words: dict[int, str]) -> str:
    return ", ".join(f"{n} times {code:02} {words[code]}" for code, n in sorted(counted.items()))

"""What is wrong with a gateway, by what it sees of itself. Pure; delays and the alarms' lives are the alarm desk's.

Each alarm says how bad it is in figures, what is likely behind it and what to do. A figure that raised one must come
back by a tenth of its limit to end it. What cannot be seen neither raises nor clears.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from edge.config.health import Health
from edge.contract.types import Priority
from edge.health.snapshot import Snapshot
from edge.ports import Concern, Finding

MARGIN = 0.1
CALM_S = 30.0
DISK_HANGS_S = 10.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the figures are held against: the table ``[health]``, and the store's own limits in MB."""

    health: Health
    name: str
    free_mb_min: float
    store_mb_max: float


def concerns(health: Health, name: str) -> tuple[Concern, ...]:
    """The alarms that the gateway ``name`` can raise about itself."""
    every = (
        Concern("disk_low", Priority.MEDIUM, f"{name} has room on its disk again", 10.0, CALM_S),
        Concern("disk_full", Priority.HIGH, f"{name} has room for its store again", 0.0, CALM_S),
        Concern("disk_hangs", Priority.HIGH, f"The disk of {name} answers again", 0.0, CALM_S),
        Concern("nothing_kept", Priority.HIGH, f"{name} keeps what it reads again", 0.0, CALM_S),
        Concern("store_near_cap", Priority.LOW, f"The store of {name} is well under its cap again", 0.0, CALM_S),
        Concern("store_thins", Priority.MEDIUM, f"{name} has thinned nothing for an hour"),
        Concern("readings_lost", Priority.HIGH, f"{name} has lost nothing for an hour"),
        Concern("ledger_unbalanced", Priority.HIGH, f"The ledger of {name} balances again", 60.0),
        Concern("clock_unset", Priority.MEDIUM, f"The clock of {name} is set", health.clock_unset_s),
        Concern("clock_stepped", Priority.LOW, f"The clock of {name} was not set for an hour"),
        Concern("backlog_old", Priority.MEDIUM, f"What waited in {name} has gone up", 0.0, CALM_S),
        Concern("board_hot", Priority.MEDIUM, f"The board of {name} is cool again", 60.0, 60.0),
        Concern("memory_low", Priority.MEDIUM, f"{name} has memory again", 60.0, CALM_S),
        Concern("room_restarts", Priority.MEDIUM, f"All of {name} has run for an hour without a break"),
        Concern("judges_hang", Priority.MEDIUM, f"Machines at {name} are judged again"),
    )
    return tuple(one for one in every if one.rule not in health.off)


def findings(
    now: Snapshot, grown: Mapping[str, int], restarted: Mapping[str, int], bounds: Bounds, active: Collection[str]
) -> Iterator[Finding]:
    """What is wrong ``now``. ``grown`` and ``restarted`` are the counts within the last hour, ``active`` those rules
    whose condition held before."""
    for rule, judge in _JUDGES.items():
        if rule not in bounds.health.off:
            yield judge(_Case(rule, now, grown, restarted, bounds, rule in active))


@dataclass(frozen=True, slots=True)
class _Case:
    """What one rule is judged by."""

    rule: str
    now: Snapshot
    grown: Mapping[str, int]
    restarted: Mapping[str, int]
    bounds: Bounds
    active: bool

    @property
    def name(self) -> str:
        return self.bounds.name

    def under(self, value: float, limit: float) -> bool:
        return value < limit * (1.0 + MARGIN * self.active)

    def over(self, value: float, limit: float) -> bool:
        return value > limit * (1.0 - MARGIN * self.active)

    def found(self, holds: bool | None, value: float, sentence: str, cause: str, action: str) -> Finding:
        return Finding(self.rule, holds, "", value, f"{self.name} {sentence}", cause, action)

    def unseen(self) -> Finding:
        return Finding(self.rule, None)


def _disk_low(case: _Case) -> Finding:
    free, limit = case.now.free_mb, case.bounds.health.disk_free_mb
    if free is None:
        return case.unseen()
    return case.found(
        case.under(free, limit), free, f"has {free:.0f} MB free on its disk, less than {limit:g}",
        "logs, updates or other programs fill the disk, or the store grows while nothing goes up",
        "remove what is not needed from the disk, or let the store take less (`store_mb_max`)",
    )  # fmt: skip


def _disk_full(case: _Case) -> Finding:
    free, limit = case.now.free_mb, case.bounds.free_mb_min
    if free is None:
        return case.unseen()
    return case.found(
        case.under(free, limit), free,
        f"has {free:.0f} MB free on its disk, less than {limit:g}: its store grows no more, old readings are thinned",
        "the disk of the store is full, whoever filled it",
        "make room on the disk now; look what has grown there",
    )  # fmt: skip


def _disk_hangs(case: _Case) -> Finding:
    waits_s = case.now.disk_waits_s
    return case.found(
        waits_s > DISK_HANGS_S, waits_s, f"has had no answer from its disk for {waits_s:.0f} s: nothing is kept",
        "the card or disk fails, or it is a share of a network that is gone",
        "copy what matters while it can be read, and replace the disk",
    )  # fmt: skip


def _nothing_kept(case: _Case) -> Finding:
    why = case.now.unkept
    return case.found(
        bool(why), 1.0, f"keeps nothing but in memory: {why}",
        "its disk is full, read-only or failing, or its folder is another user's",
        "make room on the disk, have it mounted for writing, or replace it; a cut of the power takes what is in memory",
    )  # fmt: skip


def _store_near_cap(case: _Case) -> Finding:
    share = 100.0 * case.now.store_mb / case.bounds.store_mb_max
    return case.found(
        case.over(share, case.bounds.health.store_percent), share,
        f"has filled {share:.0f} % of the {case.bounds.store_mb_max:g} MB that its store may take",
        "the uplink has been down for long, or its backlog is slower than what comes in",
        "mend the uplink; raise `store_mb_max` where the disk has room, or the uplink's `backlog_kb_s_max`",
    )  # fmt: skip


def _store_thins(case: _Case) -> Finding:
    count = case.grown.get("thinned", 0)
    return case.found(
        count > 0, float(count), f"has thinned {count:,} readings within the hour",
        "the store is at its cap, or its disk is full: of old readings the extremes alone are kept",
        "mend the uplink, or give the store more room, before readings are dropped",
    )  # fmt: skip


def _readings_lost(case: _Case) -> Finding:
    lost, records = case.grown.get("lost", 0), case.grown.get("lost_records", 0)
    altered = case.grown.get("altered_blocks", 0)
    parts = (
        f"{lost:,} readings" if lost else "", f"{records:,} verdicts or snapshots" if records else "",
        f"{altered:,} blocks that its disk altered" if altered else "",
    )  # fmt: skip
    said = ", ".join(part for part in parts if part) or "nothing"
    return case.found(
        lost + records + altered > 0, float(lost), f"has lost {said} within the hour",
        "its disk is full or failing, or the store is at its cap; the ledger says which",
        "see `babbitt gateway ledger`; make room, or replace the disk if blocks were altered",
    )  # fmt: skip


def _ledger_unbalanced(case: _Case) -> Finding:
    return case.found(
        not case.now.balanced, 0.0, "cannot account for every reading: its ledger does not balance",
        "a fault of the gateway's software or of its disk", "keep `store.db`, and report what `gateway ledger` prints",
    )  # fmt: skip


def _clock_unset(case: _Case) -> Finding:
    return case.found(
        not case.now.clock_trusted, 0.0, "does not know the time: readings are corrected once it does",
        "no time service is reached, and the board has no battery clock",
        "check the network and the time service; fit a battery clock where there is no network",
    )  # fmt: skip


def _clock_stepped(case: _Case) -> Finding:
    steps = case.grown.get("clock_steps", 0)
    often = f", {steps} times within the hour" if steps > 1 else ""
    return case.found(
        steps > 0, float(steps), f"has another time than before: {case.now.clock_words or 'its clock was set'}{often}",
        "somebody set it, the machine slept, or a time service came back after long",
        "compare no times across the step; if it comes again, look at the time service",
    )  # fmt: skip


def _backlog_old(case: _Case) -> Finding:
    waited_s, limit_s = case.now.waiting_s, case.bounds.health.backlog_h * 3600.0
    if waited_s is None:
        return Finding(case.rule, holds=False)
    why = f" ({case.now.uplink_words})" if case.now.uplink_words else ""
    waited = f"{waited_s / 3600:.1f} h" if waited_s >= 3600.0 else f"{waited_s / 60:.0f} min"
    return case.found(
        case.now.waiting > 0 and waited_s > limit_s, float(case.now.waiting),
        f"has {case.now.waiting:,} readings waiting to go up, the oldest for {waited}{why}",
        "the uplink is down or too slow, or the receiver refuses",
        "check network, token and receiver" + ("" if case.now.unkept else "; everything is kept meanwhile"),
    )  # fmt: skip


def _board_hot(case: _Case) -> Finding:
    board, limit = case.now.board_c, case.bounds.health.board_c
    if board is None:
        return case.unseen()
    return case.found(
        case.over(board, limit), board, f"is {board:.0f} °C hot, more than {limit:g}: it slows down to save itself",
        "the cabinet is hot, its fan stands, or the board has no heat sink",
        "check fan, filter and cabinet; move the gateway away from what heats it",
    )  # fmt: skip


def _memory_low(case: _Case) -> Finding:
    free, limit = case.now.memory_percent, case.bounds.health.memory_percent
    if free is None:
        return case.unseen()
    return case.found(
        case.under(free, limit), free, f"has {free:.1f} % of its memory left, less than {limit:g}",
        "another program on the gateway, or too much for a board of this size",
        "look which program grows; end it, or take a board with more memory",
    )  # fmt: skip


def _room_restarts(case: _Case) -> Finding:
    worst = max(case.restarted, key=lambda room: case.restarted[room], default="")
    count = case.restarted.get(worst, 0)
    return case.found(
        count >= case.bounds.health.restarts_an_hour, float(count),
        f"has started its part `{worst}` again {count} times within the hour",
        "a fault of the software; the rest of the gateway goes on",
        "see the gateway's log for the error, and report it",
    )  # fmt: skip


def _judges_hang(case: _Case) -> Finding:
    silent_s, limit_s = case.now.judged_s, case.bounds.health.judges_s
    if silent_s is None:
        return Finding(case.rule, holds=False)
    whom = ", ".join(case.now.late) or "any machine"
    return case.found(
        silent_s > limit_s, silent_s, f"has not judged {whom} for {silent_s:.0f} s; limits and lamps go on without",
        "a model that does not come to an end, or a gateway with too much to do",
        "see the gateway's log; roll back the bundle that came last, or judge less often (`verdict_interval_ms`)",
    )  # fmt: skip


_JUDGES = {
    "disk_low": _disk_low, "disk_full": _disk_full, "disk_hangs": _disk_hangs, "nothing_kept": _nothing_kept,
    "store_near_cap": _store_near_cap, "store_thins": _store_thins, "readings_lost": _readings_lost,
    "ledger_unbalanced": _ledger_unbalanced, "clock_unset": _clock_unset, "clock_stepped": _clock_stepped,
    "backlog_old": _backlog_old, "board_hot": _board_hot, "memory_low": _memory_low,
    "room_restarts": _room_restarts, "judges_hang": _judges_hang,
}  # fmt: skip

"""Whether a write that arrived at a machine was one that its contract allows, by the contract's words alone.

It shares no code with the guard: contracts are read with tomllib, signatures checked with libsodium, conditions are
Python's own, and what the machine said and took is known from the machine itself. It knows the world as the test made
it; what the gateway believes of it does not count here.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import struct
import tomllib
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from math import inf, isfinite
from statistics import fmean
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from edge.contract.commands import Command

S = 10**9
REGRET_MARGIN_PERCENT = 10.0
"""The gateway keeps a mean in parts, whose edges may hold a reading more or less than an exact one."""
AHEAD_S, MINUTE_S = 5.0, 60.0


@dataclass(frozen=True)
class Terms:
    """One contract as it is written, and when (monotonic) it came into force here and went out of it."""

    hash: str
    told: dict[str, Any]
    from_ns: int
    until_ns: int

    @classmethod
    def of(cls, text: str, from_ns: int) -> Terms:
        return cls(hashlib.sha256(text.encode()).hexdigest(), tomllib.loads(text), from_ns, 2**62)

    def wall_ns(self, name: str) -> int:
        found = self.told[name]
        moment = found if isinstance(found, datetime) else datetime.fromisoformat(found)
        return int(moment.timestamp()) * S

    def signers(self, command: Command) -> list[str]:
        """Who really made each signature; empty where it is nobody of the contract's."""
        message, keys = _message(command), {}
        for person in self.told["person"]:
            key = base64.b64decode(person["key"])
            keys[hashlib.sha256(key).hexdigest()[:16]] = str(person["name"]), key
        return [
            keys[one.key][0] if one.key in keys and _is_signed(keys[one.key][1], message, one.signature) else ""
            for one in command.signed
        ]

    def may(self, name: str, what: str) -> bool:
        return any(person["name"] == name and what in person["may"] for person in self.told["person"])


@dataclass
class Told:
    """What the machine said last of one unit, and when."""

    running: float = 0.0
    pressure: float = math.nan
    at_ns: int = -(10**18)


@dataclass(frozen=True)
class Reading:
    """What the machine said; None where it was no number."""

    at_ns: int
    pressure: float
    flow: float


@dataclass
class Delivered:
    """One command as it came to the gateway, with all approvals that came with any copy of it."""

    command: Command
    giver: str
    fresh: bool
    approvers: set[str] = field(default_factory=set)
    written: int = 0


@dataclass(frozen=True)
class Change:
    at_ns: int
    by: float


@dataclass
class Unit:
    """What was written to one machine. ``back`` is where it stood before the last command's write."""

    stood: int
    changes: list[Change] = field(default_factory=list)
    order: int = 0
    back: int | None = None
    began_ns: int = 0
    reasons: set[str] = field(default_factory=set)


class Oracle:
    """``wrong`` says of each write that no contract allows why not."""

    def __init__(self, gateway: str, units: dict[int, str], started_ns: int) -> None:
        self.gateway, self.started_ns = gateway, started_ns
        self.assets = units
        self.contracts: list[Terms] = []
        self.delivered: dict[Command, Delivered] = {}
        self.named: dict[str, Delivered] = {}
        self.units: dict[int, Unit] = {}
        self.told: dict[int, Told] = {unit: Told() for unit in units}
        self.said: dict[int, deque[Reading]] = {unit: deque(maxlen=64) for unit in units}
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.order = 0
        self._in_order, self._order_before = False, 0

    # What the test tells it of the world.

    def contract(self, text: str, now_ns: int) -> None:
        """It came into force, in the place of the one with the same id."""
        terms = Terms.of(text, now_ns)
        self.out_of_force(terms.told["id"], now_ns)
        self.contracts.append(terms)

    def out_of_force(self, name: str, now_ns: int) -> None:
        self.contracts = [
            Terms(one.hash, one.told, one.from_ns, now_ns) if one.told["id"] == name and one.until_ns > now_ns else one
            for one in self.contracts
        ]

    def arrives(self, command: Command, now_ns: int, *, wall_ns: int, trusted: bool) -> bool:
        """A copy of it came to the gateway: whether it is one that somebody gave who may."""
        key = replace(command, signed=())
        known, self._in_order = self.delivered.get(key), False
        terms = self._terms(command.contract, now_ns)
        names = terms.signers(command) if terms is not None else []
        genuine = (
            terms is not None and bool(names) and names[0] == command.by and terms.may(names[0], "command")
            and all(terms.may(name, "approve") for name in names[1:]) and len(set(names)) == len(names)
        )  # fmt: skip
        if known is None or (not known.giver and genuine):
            counts = (
                terms is not None and genuine and command.gateway == self.gateway and trusted
                and (command.asset, command.tag) == (terms.told["asset"], terms.told["tag"])
                and command.issued_ns <= wall_ns + AHEAD_S * S
                and command.order <= max(self.order, command.issued_ns // 10**6) + 60_000
            )  # fmt: skip
            known = Delivered(command, names[0] if genuine else "", counts and command.order > self.order)
            self.delivered[key] = self.named[_id_of(command)] = known
            if counts:
                self._in_order, self._order_before = command.order > self.order, self.order
                self.order = max(self.order, command.order)
        if genuine:
            known.approvers.update(names[1:])
        return genuine

    def not_taken(self, command: Command) -> None:
        """What came last found no room, and may come again as if it never had."""
        if self._in_order:
            self.order = self._order_before
            del self.delivered[replace(command, signed=())]

    def out_of_order(self, words: str) -> None:
        """What came last was refused for its order."""
        if self._in_order:
            self.wrong.append(f"a command in its order was kept out: {words}")

    def serves(self, unit: int, address: int, numbers: tuple[int, ...], now_ns: int) -> None:
        """The machine was read."""
        if address <= 10 and address + len(numbers) >= 16:
            at = 12 - address
            pressure = struct.unpack(">f", struct.pack(">HH", *numbers[at : at + 2]))[0]
            self.told[unit] = Told(float(numbers[10 - address]), pressure, now_ns)
            flow = struct.unpack(">f", struct.pack(">HH", *numbers[14 - address : 16 - address]))[0]
            self.said[unit].append(Reading(now_ns, pressure, flow))
        elif len(numbers) > 1 or address != 0:
            self.told[unit] = Told(at_ns=now_ns)

    def fails(self, unit: int, now_ns: int) -> None:
        """The machine was asked for its readings, and gave none."""
        self.told[unit] = Told(at_ns=now_ns)

    def reason(self, unit: int, why: str) -> None:
        """Something happened after which a write may be taken back."""
        self.units[unit].reasons.add(why)

    # What it says.

    def judge(
        self, unit: int, address: int, numbers: tuple[int, ...], stands: int, *, claim: str, back: bool, now_ns: int,
        wall_ns: int, trusted: bool, enabled: bool,
    ) -> None:  # fmt: skip
        """One write that arrived, where ``stands`` stood.

        ``claim`` is the id of the command that the audit names for it, and ``back`` that it says to put something back.
        """
        here = self.units.setdefault(unit, Unit(stands))
        number, one = numbers[0], self.named.get(claim)
        if address != 0 or len(numbers) != 1 or unit not in self.assets:
            why = "no contract names it"
        elif back:
            why = "" if here.back == number and here.reasons else "nothing was to be put back"
        elif one is None:
            why = "nobody asked for it"
        else:
            why = self._against(
                one, unit, number, stands, here, now_ns=now_ns, wall_ns=wall_ns, trusted=trusted, enabled=enabled
            )
            one.written += 1
            here.order, here.back, here.reasons, here.began_ns = one.command.order, stands, set(), now_ns
        here.changes.append(Change(now_ns, abs(number - stands)))
        if why:
            self.wrong.append(f"{number} to unit {unit}, where {stands} stood: {why}")
        else:
            self.counts["put back" if back else "executed"] += 1

    def _against(
        self, one: Delivered, unit: int, number: int, stands: int, here: Unit, *, now_ns: int, wall_ns: int,
        trusted: bool, enabled: bool,
    ) -> str:  # fmt: skip
        """Why this command does not allow the write; empty where it does."""
        command = one.command
        terms = self._terms(command.contract, now_ns)
        if terms is None:
            return "its contract is not in force"
        told, seen = terms.told, self.told[unit]
        recent = sum(change.by for change in here.changes if now_ns - change.at_ns < MINUTE_S * S)
        last_ns = max((change.at_ns for change in here.changes), default=-(10**18))
        step = abs(number - stands)
        answers = {
            "written before": one.written > 0,
            "another gateway's": command.gateway != self.gateway or told["gateway"] != self.gateway,
            "another machine's": self.assets[unit] != command.asset or command.asset != told["asset"],
            "another tag's": command.tag != "setpoint" or told["tag"] != "setpoint",
            "given by nobody": not one.giver,
            "approved by too few": told["mode"] == "approve" and len(one.approvers) < told["approvals"],
            "a mode that writes nothing": told["mode"] not in ("auto", "approve"),
            "at no known time": not trusted,
            "given in the future": command.issued_ns > wall_ns + AHEAD_S * S,
            "given before anybody remembers": command.issued_ns < self.started_ns,
            "expired": wall_ns >= command.expires_ns,
            "meant for too long": command.expires_ns - command.issued_ns > 7 * 86_400 * S,
            "before its contract": wall_ns < terms.wall_ns("valid_from"),
            "after its contract": wall_ns >= terms.wall_ns("expires"),
            "out of order": not one.fresh or command.order <= here.order,
            "out of bounds": not (
                told["low"] <= number <= told["high"] and told["low"] <= command.value <= told["high"]
            ),
            "not what was asked": abs(number - command.value) > told["tolerance"],
            "too large a step": step > told["step_max"],
            "too much in a minute": recent + step > told["rate_per_min"],
            "too soon": now_ns - last_ns < told["dwell_s"] * S,
            "not enabled": not enabled,
            "nothing known of the machine": now_ns - seen.at_ns > told.get("fresh_s", 10.0) * S,
            "standing": not seen.running,
            "pressure too low": not seen.pressure > 1.0,
            "pressure too high": not seen.pressure <= 6.0,
            "a regretted figure was not measured": any(
                not self._is_measured(unit, regret, now_ns) for regret in told.get("regret", ())
            ),
        }
        return ", ".join(words for words, against in answers.items() if against)

    def kept(self, claim: str, unit: int, stands: int, now_ns: int) -> None:
        """The audit says of the command with this id that it was written, watched and stands, where ``stands`` does."""
        here, one = self.units[unit], self.named[claim]
        told = next((terms.told for terms in self.contracts if terms.hash == one.command.contract), None)
        if told is None:
            return  # That was wrong when it was written already.
        # A device that does not answer at the watch's end is waited for, and nothing that it says then aborts.
        until_ns = min(now_ns - S // 2, here.began_ns + round(told["watch_s"] * S))
        watched = [said for said in self.said[unit] if here.began_ns < said.at_ns < until_ns]
        answers = {
            "it stands elsewhere": abs(stands - one.command.value) > told["tolerance"],
            "the pressure was too high meanwhile": any(6.0 < said.pressure < inf for said in watched),
            "it is regretted": any(self._is_worse(unit, regret, here, now_ns) for regret in told.get("regret", ())),
        }
        why = ", ".join(words for words, against in answers.items() if against)
        if why:
            self.wrong.append(f"{one.command.value:g} at unit {unit} was kept: {why}")

    def _flows(self, unit: int, over_s: float, now_ns: int) -> list[tuple[int, float]]:
        said = [one for one in self.said[unit] if now_ns - over_s * S < one.at_ns <= now_ns]
        return [(one.at_ns, one.flow) for one in said if isfinite(one.flow)]

    def _is_measured(self, unit: int, regret: dict[str, Any], now_ns: int) -> bool:
        """Whether nowhere in its while a third of it passed without a reading."""
        over_s = regret["over_s"]
        times = [now_ns - over_s * S, *(at_ns for at_ns, _ in self._flows(unit, over_s, now_ns)), now_ns]
        return all(later - earlier <= over_s * S / 3 for earlier, later in itertools.pairwise(times))

    def _is_worse(self, unit: int, regret: dict[str, Any], here: Unit, now_ns: int) -> bool:
        """Whether it went down by clearly more than may be."""
        before, now = (
            [flow for _, flow in self._flows(unit, regret["over_s"], at_ns)] for at_ns in (here.began_ns, now_ns)
        )
        if not before or not now:
            return False
        return fmean(now) < fmean(before) * (1.0 - (float(regret["percent"]) + REGRET_MARGIN_PERCENT) / 100.0)

    def _terms(self, digest: str, now_ns: int) -> Terms | None:
        return next((one for one in self.contracts if one.hash == digest and one.until_ns > now_ns), None)


def _message(command: Command) -> bytes:
    told = {name: getattr(command, name) for name in _SIGNED_OVER} | {"value": float(command.value)}
    return f"babbitt command v1\n{json.dumps(told, sort_keys=True, separators=(',', ':'))}\n".encode()


def _id_of(command: Command) -> str:
    return hashlib.sha256(_message(command)).hexdigest()


@lru_cache(4096)
def _is_signed(key: bytes, message: bytes, signature: str) -> bool:
    try:
        VerifyKey(key).verify(message, base64.b64decode(signature))
    except (BadSignatureError, ValueError):
        return False
    return True


_SIGNED_OVER = (
    "gateway", "order", "contract", "asset", "tag", "value", "issued_ns", "expires_ns", "by", "why",
)  # fmt: skip

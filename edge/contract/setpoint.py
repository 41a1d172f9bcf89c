"""A setpoint contract: what may be written to one tag of one machine, as data that an engineer signs.

One TOML file a contract, ``contracts/ID.toml``; its name among machines is the SHA-256 of the file's bytes, which is
what is signed, so no two readings of it can differ. ``edge/contract/README.md`` says what each key means.

Nothing is taken that is unknown, missing, of another type or out of range, and every such thing is told at once, not
the first alone. Whether gateway, asset, tags and bounds fit a site is ``edge.config.setpoint``'s to say.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

from edge.contract.expression import TEXT_MAX, ExpressionError, parse_expression
from edge.contract.lookalikes import looks
from edge.contract.setpoint_file import Table, tables_of
from edge.contract.signature import fingerprint
from edge.contract.terms import Expression, TagRef
from edge.contract.units import sign
from edge.errors import ConfigError

BYTES_MAX = 16 * 1024
CONDITIONS_MAX = 16
REGRETS_MAX = 8
PERSONS_MAX = 16
DAY_S = 86_400.0
OVER_S = 60.0
LIFE_MAX_NS = 5 * 366 * 86_400 * 1_000_000_000
"""Longer than this nobody can answer for a machine."""
ID = r"[a-z0-9][a-z0-9_-]{0,62}"
_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
_TAG = r"[a-z][a-z0-9_]{0,62}"
_FIGURE_MAX = 1e15


class Mode(StrEnum):
    """What a command in order leads to: a line in the audit; a line for the operator, who alone acts; a write once
    enough others have approved; a write at once.
    """

    SHADOW = "shadow"
    ADVISE = "advise"
    APPROVE = "approve"
    AUTO = "auto"

    @property
    def writes(self) -> bool:
        return self in (Mode.APPROVE, Mode.AUTO)


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever may ``command``, ``approve`` or both, by an Ed25519 public key of 32 bytes."""

    name: str
    key: bytes
    may: frozenset[str]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key)


@dataclass(frozen=True, slots=True)
class Regret:
    """A figure that must not get worse: while it is watched, the mean of ``tag`` over the last ``over_s`` against that
    over as long before the write. ``percent`` of that worse, ``up`` or ``down``, is regretted: rolled back.

    ``over_s`` is no longer than the watch: else what was read before the write would be in both, and after a restart
    amid the watch there would be no mean at its end.
    """

    tag: TagRef
    worse: str
    percent: float
    over_s: float


@dataclass(frozen=True, slots=True)
class SetpointContract:
    """``low`` to ``high`` (both allowed) of ``tag``, in ``unit``, under the conditions that follow.

    One write changes it by at most ``step_max``, all writes within any minute by at most ``rate_per_min`` together,
    and from one to the next ``dwell_s`` pass. A write is done when, within ``settle_s``, it reads back within
    ``tolerance``. Every ``precondition`` must hold before, and no ``abort``: what cannot be told (None) refuses, either
    way. For ``watch_s`` after it an ``abort`` that holds rolls back, and so does one that could not be told for
    ``blind_s``.
    In all conditions a reading older than ``fresh_s`` is not known.

    ``approvals`` are wanted in mode ``approve`` besides whoever gave the command, each of another key. It holds from
    ``valid_from_ns`` until before ``expires_ns``. Of one ``id`` the highest ``version`` counts, and no lower one again.
    ``hash`` (64 hex digits) names it, byte for byte.
    """

    hash: str
    id: str
    version: int
    why: str
    gateway: str
    asset: str
    tag: str
    unit: str
    low: float
    high: float
    step_max: float
    rate_per_min: float
    dwell_s: float
    tolerance: float
    settle_s: float
    fresh_s: float
    precondition: tuple[Expression, ...]
    abort: tuple[Expression, ...]
    blind_s: float
    watch_s: float
    regret: tuple[Regret, ...]
    mode: Mode
    approvals: int
    valid_from_ns: int
    expires_ns: int
    person: tuple[Person, ...]

    @property
    def sign(self) -> str:
        """Its unit as people read it."""
        return sign(self.unit)

    @property
    def needs(self) -> tuple[TagRef, ...]:
        """Every tag that it asks about, with its asset, each once: in conditions, in regrets, and its own."""
        told = [ref for expression in (*self.precondition, *self.abort) for ref in expression.tags]
        told += [regret.tag for regret in self.regret]
        return tuple(dict.fromkeys([TagRef(self.tag, self.asset), *(ref.at(self.asset) for ref in told)]))

    def person_of(self, key: str) -> Person | None:
        """Whose key has this fingerprint."""
        return next((person for person in self.person if person.fingerprint == key), None)


def contract_hash(data: bytes) -> str:
    """How machines call the contract whose file holds ``data``: 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def parse_contract(data: bytes, *, where: str) -> SetpointContract:
    """The contract in a file's bytes. Raises ``ConfigError`` with the first of what ``read_contract`` finds."""
    contract, problems = read_contract(data, where=where)
    if contract is None:
        raise problems[0]
    return contract


def read_contract(data: bytes, *, where: str) -> tuple[SetpointContract | None, list[ConfigError]]:
    """The contract, or everything that is wrong with it. ``where`` is the file's name in what is said."""
    if len(data) > BYTES_MAX:
        return None, [ConfigError(where, f"has {len(data):,} bytes", f"a contract has at most {BYTES_MAX:,}")]
    try:
        table = Table(tables_of(data, where), where=where)
    except ConfigError as error:
        return None, [error]
    contract = _contract(table, contract_hash(data))
    _check(contract, table)
    return (None, table.problems) if table.problems else (contract, [])


def _contract(table: Table, found: str) -> SetpointContract:
    contract = SetpointContract(
        hash=found,
        id=table.text("id", ID, "a-z, 0-9, - and _, as the file is named"),
        version=table.whole("version", 1, 10**9, 1),
        why=table.text("why", r"[^\x00-\x1f\x7f]{0,300}", "a line of up to 300 characters", ""),
        gateway=table.text("gateway", _NAME, "`gateway.id` of the site"),
        asset=table.text("asset", _NAME, "the id of an asset of the site"),
        tag=table.text("tag", _TAG, "a writable tag of the asset"),
        unit=table.text("unit", r"[^\x00-\x1f\x7f]{0,20}", "the tag's unit as its profile has it"),
        low=table.real("low", -_FIGURE_MAX, _FIGURE_MAX),
        high=table.real("high", -_FIGURE_MAX, _FIGURE_MAX),
        step_max=table.real("step_max", 0, _FIGURE_MAX, above=True),
        rate_per_min=table.real("rate_per_min", 0, _FIGURE_MAX, above=True),
        dwell_s=table.real("dwell_s", 0, 30 * DAY_S),
        tolerance=table.real("tolerance", 0, _FIGURE_MAX),
        settle_s=table.real("settle_s", 0, 600, above=True),
        fresh_s=table.real("fresh_s", 0, 3600, 10.0, above=True),
        precondition=_conditions(table, "precondition"),
        abort=_conditions(table, "abort"),
        blind_s=table.real("blind_s", 0, 3600, 10.0, above=True),
        watch_s=table.real("watch_s", 0, 7 * DAY_S, 0.0),
        regret=(),
        mode=Mode(table.choice("mode", tuple(Mode))),
        approvals=table.whole("approvals", 0, PERSONS_MAX, 0),
        valid_from_ns=table.moment("valid_from"),
        expires_ns=table.moment("expires"),
        person=tuple(_person(entry) for entry in table.tables("person", PERSONS_MAX)),
    )
    over_s = min(OVER_S, contract.watch_s) if contract.watch_s >= 1 else OVER_S
    regrets = tuple(_regret(entry, over_s) for entry in table.tables("regret", REGRETS_MAX))
    table.nothing_else()
    return replace(contract, regret=regrets)


def _conditions(table: Table, name: str) -> tuple[Expression, ...]:
    found = []
    for i, text in enumerate(table.texts(name, CONDITIONS_MAX, TEXT_MAX)):
        try:
            found.append(parse_expression(text))
        except ExpressionError as error:
            table.wrong(f"{name}[{i}]", str(error))
    return tuple(found)


def _regret(table: Table, over_s: float) -> Regret:
    asset, _, tag = table.text("tag", rf"({_NAME}\.)?{_TAG}", "`tag` or `asset.tag`").rpartition(".")
    found = Regret(
        TagRef(tag, asset), table.choice("worse", ("up", "down")), table.real("percent", 0, 1000, above=True),
        table.real("over_s", 1, DAY_S, over_s),
    )  # fmt: skip
    table.nothing_else()
    return found


def _person(table: Table) -> Person:
    name = table.text("name", r"[^\x00-\x1f\x7f]{1,60}", "what people call them, up to 60 characters")
    found = Person(name, table.key("key"), frozenset(table.texts("may", 2, 10, least=1)))
    if not name.isprintable() or name != name.strip():
        table.wrong("name", f"found {name!a}", "letters that everybody sees")
    if found.may - {"command", "approve"}:
        table.wrong("may", f"found {', '.join(sorted(found.may))}", '"command", "approve" or both')
    table.nothing_else()
    return found


def _check(contract: SetpointContract, table: Table) -> None:
    """What single keys cannot tell. Figures that could not be read are NaN, of which nothing here is said."""
    low, high = contract.low, contract.high
    if low >= high:
        table.wrong("low", f"found {low:g}, `high` is {high:g}", "low < high")
    if contract.step_max > contract.rate_per_min:
        table.wrong(
            "step_max", f"found {contract.step_max:g}, `rate_per_min` is {contract.rate_per_min:g}",
            "a step larger than a minute's change could never be made",
        )  # fmt: skip
    if contract.tolerance >= contract.step_max:
        table.wrong(
            "tolerance", f"found {contract.tolerance:g}, `step_max` is {contract.step_max:g}",
            "what reads back within less than a step proves that it was written",
        )  # fmt: skip
    if contract.expires_ns <= contract.valid_from_ns:
        table.wrong("expires", "is not after `valid_from`", "it holds from the one until before the other")
    elif contract.expires_ns - contract.valid_from_ns > LIFE_MAX_NS:
        table.wrong("expires", "is more than five years after `valid_from`", "sign it anew when its time is over")
    if contract.watch_s == 0 and (contract.abort or contract.regret):
        table.wrong("watch_s", "found 0 with `abort` or `regret`", "say for how many seconds they are watched")
    for i, regret in enumerate(contract.regret):
        if 0 < contract.watch_s < regret.over_s:
            table.wrong(
                f"regret[{i}].over_s", f"found {regret.over_s:g}, `watch_s` is {contract.watch_s:g}",
                "a figure is judged by what was read since the write: watch for longer, or take its mean over less",
            )  # fmt: skip
    if TagRef(contract.tag, contract.asset) in [regret.tag.at(contract.asset) for regret in contract.regret]:
        table.wrong("regret", f"names {contract.tag}, which is what is written", "name a figure that follows from it")
    _check_persons(contract, table)


def _check_persons(contract: SetpointContract, table: Table) -> None:
    names = Counter(looks(person.name) for person in contract.person)
    keys = Counter(person.fingerprint for person in contract.person)
    for what, found in (("name", names), ("key", keys)):
        twice = [value for value, count in found.items() if value and count > 1]
        if twice:
            table.wrong(f"person.{what}", f"{twice[0]!r} stands twice", "two approvals are those of two people")
    if any(problem.problem.startswith("`person") for problem in table.problems):
        return
    commanders = [p for p in contract.person if "command" in p.may]
    approvers = {p.name for p in contract.person if "approve" in p.may}
    if not commanders:
        table.wrong("person", "nobody may command", 'give at least one of them `may = ["command"]`')
    if contract.mode is Mode.APPROVE and contract.approvals < 1:
        table.wrong("approvals", f"found {contract.approvals} in mode approve", "1 or more; mode auto asks nobody")
    if contract.mode is Mode.AUTO and contract.approvals:
        table.wrong(
            "approvals", f"found {contract.approvals} in mode auto", "mode approve waits for them; or leave out"
        )
    for person in commanders:
        others = approvers - {person.name}
        if len(others) < contract.approvals:
            table.wrong(
                "approvals", f"found {contract.approvals}, but besides {person.name} only {len(others)} may approve",
                "whoever gives a command does not approve it: name more persons, or want fewer approvals",
            )  # fmt: skip

"""Whether a setpoint contract fits a site, and others that hold beside it.

A contract is refused as a whole: bounds that a register cannot hold, a condition on a tag that nobody measures, or a
figure that is read too seldom to be known in time, would show themselves only when a machine is about to be written to.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.config.profiles.modbus import Point
from edge.config.profiles.signal import Signal
from edge.config.scans import scans
from edge.config.site import Site
from edge.contract.setpoint import Regret, SetpointContract
from edge.contract.terms import TagRef
from edge.contract.units import ucum
from edge.errors import ConfigError
from edge.registers import pack

NAMED_MAX = 12
READINGS_MIN = 4
_SINGLE = 2.0**-23
"""The spacing of single-precision floats near 1."""

Problem = tuple[str, str, str]
"""Key, what is wrong, and what to do."""


def problems(contract: SetpointContract, site: Site, *, where: str) -> list[ConfigError]:
    """Everything about ``contract`` that does not fit ``site``; ``where`` names its file."""
    found: list[Problem] = []
    if Path(where).stem != contract.id:
        found.append(("id", f"found {contract.id!r}", f"the file's name says {Path(where).stem!r}: name both alike"))
    if contract.gateway != site.file.gateway.id:
        found.append(("gateway", f"found {contract.gateway!r}", f"this site's is {site.file.gateway.id!r}"))
    signals = _signals(site)
    unknown = _unknown(TagRef(contract.tag, contract.asset), signals)
    if unknown is not None:
        found.append(unknown)
    else:
        found += _of_its_point(contract, signals[contract.asset])
    for key, ref, regret in _asked(contract):
        trouble = _unknown(ref, signals)
        if ref.asset == contract.asset and ref.asset not in signals:
            continue  # It was said above.
        if trouble is not None:
            found.append((key, *trouble[1:]))
        elif regret is not None:
            found += _of_its_mean(regret, key, *signals[ref.asset][ref.tag])
        else:
            found += _of_its_age(key, ref, contract, signals[ref.asset][ref.tag][1])
    found += _of_its_words(contract, signals)
    return [ConfigError(where, f"`{key}`: {problem}", hint) for key, problem, hint in found]


def conflicts(contracts: Iterable[tuple[str, SetpointContract]]) -> list[ConfigError]:
    """Contracts, each with its file's name, that would hold for one tag at one time, or bear one id."""
    found = []
    for (_, one), (where, other) in itertools.combinations(contracts, 2):
        if one.hash == other.hash:
            continue
        if one.id == other.id and one.version == other.version:
            hint = "raise `version` of the newer"
            found.append(
                ConfigError(where, f"`id`: another contract is {other.id!r} version {other.version} too", hint)
            )
        overlap = one.valid_from_ns < other.expires_ns and other.valid_from_ns < one.expires_ns
        if one.id != other.id and (one.asset, one.tag) == (other.asset, other.tag) and overlap:
            found.append(ConfigError(
                where, f"`tag`: {one.id} allows writes to {one.asset}.{one.tag} in the same time",
                "one tag has one contract at a time: end one before the other begins, or join them",
            ))  # fmt: skip
    return found


_Signals = dict[str, dict[str, tuple[Signal, int]]]
"""By asset and tag: what the signal is, and how often it is read (ms)."""


def _signals(site: Site) -> _Signals:
    return {
        asset.id: {
            point.tag: (point, scan.period_ms)
            for unit in asset.unit
            for scan in scans(unit, site.profiles[unit.profile])
            for point in scan.profile.point
        }
        for asset in site.file.asset
    }


def _asked(contract: SetpointContract) -> Iterator[tuple[str, TagRef, Regret | None]]:
    """The key of each tag that is asked about beside its own, and the regret that it belongs to."""
    for name, expressions in (("precondition", contract.precondition), ("abort", contract.abort)):
        for i, expression in enumerate(expressions):
            for ref in expression.tags:
                yield f"{name}[{i}]", ref.at(contract.asset), None
    for i, regret in enumerate(contract.regret):
        yield f"regret[{i}].tag", regret.tag.at(contract.asset), regret


def _unknown(ref: TagRef, signals: _Signals) -> Problem | None:
    if ref.asset not in signals:
        return "asset", f"there is no asset {ref.asset!r}", _nearest(ref.asset, signals)
    if ref.tag not in signals[ref.asset]:
        return "tag", f"{ref.asset} has no tag {ref.tag!r}", _nearest(ref.tag, signals[ref.asset])
    return None


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = ", …" if len(names) > NAMED_MAX else ""
    return f"there are: {', '.join(names[:NAMED_MAX])}{more}"


def _of_its_age(key: str, ref: TagRef, contract: SetpointContract, period_ms: int) -> Iterator[Problem]:
    if 2 * period_ms > contract.fresh_s * 1000:
        yield (
            key, f"{ref} is read every {period_ms / 1000:g} s, and is not known any more after {contract.fresh_s:g} s",
            "make `fresh_s` twice that, so that a late reading is no missing one, or read it more often",
        )  # fmt: skip


def _of_its_mean(regret: Regret, key: str, signal: Signal, period_ms: int) -> Iterator[Problem]:
    if _words_of(signal):
        yield key, f"{regret.tag} says words, which have no mean", "name a figure"
    if READINGS_MIN * period_ms > regret.over_s * 1000:
        yield (
            key, f"{regret.tag} is read every {period_ms / 1000:g} s: too seldom for a mean over {regret.over_s:g} s",
            f"raise `over_s`, or read it more often: {READINGS_MIN} readings make a mean",
        )  # fmt: skip


def _of_its_words(contract: SetpointContract, signals: _Signals) -> Iterator[Problem]:
    """A word that a tag never says would make an abort that never comes."""

    def says(ref: TagRef) -> frozenset[str] | None:
        signal = signals.get(ref.at(contract.asset).asset, {}).get(ref.tag)
        return _words_of(signal[0]) if signal is not None else None

    for name, expressions in (("precondition", contract.precondition), ("abort", contract.abort)):
        for i, expression in enumerate(expressions):
            for ref, text in expression.spoken:
                words = says(ref)
                if words is not None and text not in words:
                    hint = f"it says: {', '.join(sorted(words))}" if words else "it is a number: compare it with one"
                    yield f"{name}[{i}]", f"{ref} never says {text!a}", hint
            for ref in expression.counted:
                if words := says(ref):
                    hint = f'compare it by `{ref} == "{min(words)}"`'
                    yield f"{name}[{i}]", f"{ref} says words, and is no number", hint


def _words_of(signal: Signal) -> frozenset[str] | None:
    """The words that it may say, none of a number; None where that cannot be told."""
    values, kind = getattr(signal, "values", None), getattr(signal, "type", None)
    if values:
        words = frozenset(value for value in values.values() if isinstance(value, str))
        return words if len(words) == len(set(values.values())) else None if words else frozenset()
    return None if kind in (None, "string", "text") else frozenset()


def _of_its_point(contract: SetpointContract, signals: dict[str, tuple[Signal, int]]) -> Iterator[Problem]:
    """What the signal that it writes to says against it."""
    signal, _ = signals[contract.tag]
    if not getattr(signal, "writable", False):
        writable = [tag for tag, (s, _) in signals.items() if getattr(s, "writable", False)]
        hint = f"writable here: {', '.join(writable) or 'none'}; a profile says so by `writable = true`"
        yield "tag", f"{contract.tag} of {contract.asset} is not writable", hint
        return
    assert isinstance(signal, Point)
    if signal.type in ("bool", "string") or signal.values:
        what = "words" if signal.values else signal.type
        yield "tag", f"{contract.tag} holds {what}", "a contract is of a number"
        return
    if ucum(contract.unit) != ucum(signal.unit):
        yield "unit", f"found {contract.unit!r}", f"its profile has {signal.unit!r}"
    for key, bound in (("low", contract.low), ("high", contract.high)):
        yield from _of_its_bound(key, bound, signal)
    step = resolution(signal, contract.low, contract.high)
    if contract.tolerance < step / 2:
        yield (
            "tolerance", f"found {contract.tolerance:g}, and {contract.tag} is kept in steps of {step:g}",
            f"{step / 2:g} or more, else what was written well reads back wrong",
        )  # fmt: skip


def _of_its_bound(key: str, bound: float, point: Point) -> Iterator[Problem]:
    if point.write_low is not None and bound < point.write_low:
        yield key, f"found {bound:g}", f"its profile lets nothing below {point.write_low:g} be written (`write_low`)"
    elif point.write_high is not None and bound > point.write_high:
        yield key, f"found {bound:g}", f"its profile lets nothing above {point.write_high:g} be written (`write_high`)"
    else:
        try:
            pack(point, bound)
        except (ValueError, OverflowError) as error:
            yield key, f"found {bound:g}, which its register cannot hold: {error}", "stay within what it holds"


def resolution(point: Point, low: float, high: float) -> float:
    """How far apart the values are that its registers can hold between these, in the tag's unit."""
    if point.type == "float64":
        return 0.0
    if point.type == "float32":
        return max(abs(low - point.offset), abs(high - point.offset)) * _SINGLE
    return abs(point.scale)

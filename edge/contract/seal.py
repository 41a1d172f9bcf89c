"""Chains of hashes: the verdicts of an asset, sealed before anyone knows what comes of them, and a gateway's audit.

``seal = SHA-256(seal of the one before, as 64 hex digits in ASCII, then the record's canonical JSON without seal)``,
as 64 hex digits. The first verdict follows ``genesis``, which binds the chain to gateway, journal and asset; the first
``Outcome`` of a gateway follows ``genesis_of_audit``. The canonical
JSON has the fields of the block's record, less those that came later and are as by default, names sorted, no blanks,
ASCII with ``\\u`` escapes; a number that may have a fraction is the shortest text that means the same double, and has a
point or an exponent (``1.0``, ``0.1``, ``1e-07``).

Numbers count from 1. They may leap, and only on the gateway's own word: after an end without warning it cannot know how
many records it had made since its last commit, goes on beyond them (``LEAP``), and chains what follows to the last
one that is durable. So the link still holds over a leap, and never over a verdict that was taken out or altered.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from edge.contract import records
from edge.contract.commands import Outcome
from edge.contract.types import Verdict

Sealed = TypeVar("Sealed", Verdict, Outcome)

LEAP = 100_000
"""More than a gateway that judges each second makes in a day in which its disk takes nothing."""
NUMBER_MAX = 2**62


def genesis(gateway: str, epoch: str, asset: str) -> str:
    """What the first verdict of an asset in a journal is chained to, as 64 hex digits."""
    return _sha256(f"babbitt verdicts\n{gateway}\n{epoch}\n{asset}".encode())


def genesis_of_audit(gateway: str, epoch: str) -> str:
    """What the first outcome of a gateway in a journal is chained to, as 64 hex digits."""
    return _sha256(f"babbitt audit\n{gateway}\n{epoch}".encode())


def canonical(record: Verdict | Outcome) -> bytes:
    """What a seal is made over, beside the seal before."""
    found = records.to_json(_exact(record) if isinstance(record, Verdict) else _exact_outcome(record), [])
    found.pop("seal", None)
    return json.dumps(found, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def seal_of(before: str, record: Verdict | Outcome) -> str:
    """The seal of a record that follows the one sealed as ``before``; what it bears itself does not matter."""
    return _sha256(before.encode("ascii") + canonical(record))


@dataclass(frozen=True, slots=True)
class Link:
    """The newest end of a chain: the last record's number (0 where there is none) and seal."""

    number: int
    seal: str

    def sealed(self, record: Sealed) -> Sealed:
        """The record as the next one of the chain, numbered and sealed."""
        numbered = replace(record, number=self.number + 1, seal="")
        return replace(numbered, seal=seal_of(self.seal, numbered))

    def after(self, record: Verdict | Outcome) -> Link:
        return Link(record.number, record.seal)

    def holds(self, record: Verdict | Outcome) -> bool:
        """Whether ``record`` follows this end, directly or by a leap, as its gateway has sealed it."""
        return self.number < record.number <= NUMBER_MAX and seal_of(self.seal, record) == record.seal

    def leapt(self) -> Link:
        """Where to go on after an end without warning."""
        return replace(self, number=self.number + LEAP)

    @classmethod
    def resumed(cls, found: object, *, clean: bool) -> Link | None:
        """The end ``[number, seal]`` that a former run kept, with a leap where that did not end ``clean``.

        None for what is no such end.
        """
        match found:
            case [int(number), str(seal)] if 0 <= number <= NUMBER_MAX and not isinstance(number, bool):
                link = cls(number, seal)
                return link if clean or number == 0 else link.leapt()
        return None


def _exact(verdict: Verdict) -> Verdict:
    """Numbers as a block gives them back: a whole one where a fraction may be is a float there."""
    changed: dict[str, Any] = {
        name: float(figure) for name in _FLOATS if type(figure := getattr(verdict, name)) is int
    }  # fmt: skip
    reasons = tuple(replace(r, share=float(r.share)) if type(r.share) is int else r for r in verdict.reasons)
    survival = tuple(replace(p, at_h=float(p.at_h), survives=float(p.survives)) for p in verdict.survival)
    sensors = tuple(replace(s, offset=float(s.offset)) if type(s.offset) is int else s for s in verdict.sensors)
    return replace(verdict, **changed, reasons=reasons, survival=survival, sensors=sensors)


def _exact_outcome(outcome: Outcome) -> Outcome:
    changed: dict[str, Any] = {
        name: float(figure)
        for name in ("value", "before", "read_back")
        if type(figure := getattr(outcome, name)) is int
    }
    return replace(outcome, **changed)


_FLOATS = ("health", "anomaly", "rul_h", "rul_low_h", "rul_high_h", "coverage", "anomaly_p", "failure_p", "stop_h")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

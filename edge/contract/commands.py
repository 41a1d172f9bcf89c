"""What may be asked of a machine, and what came of it. No contract, no write; no outcome, not done.

A command asks for one value of one tag under one signed contract. People sign it with Ed25519 keys (RFC 8032) that the
contract names: first whoever gives it, then whoever approves. What they sign is ``signed_message``, which binds
every field but the signatures, so that nothing between the two ends can alter, redirect or prolong it. Every step that
a gateway takes with it is an ``Outcome``, numbered and chained as verdicts are (``edge.contract.seal``): the audit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.deferred import Deferred

if TYPE_CHECKING:
    import hashlib
else:
    hashlib = Deferred("hashlib")  # OpenSSL comes with it, 3.5 MB; a panel's process has this module and hashes nothing

ORDER_AHEAD_MAX = 60_000
"""So far an order may be ahead: the milliseconds of a minute. No typing error keeps later commands out for longer."""


@dataclass(frozen=True, slots=True)
class Signed:
    """``key`` is the fingerprint of the public key, ``signature`` 64 bytes in base64."""

    key: str
    at_ns: int
    signature: str


@dataclass(frozen=True, slots=True)
class Command:
    """Bring ``tag`` of ``asset`` at ``gateway`` to ``value`` (in the tag's unit), under the contract with this hash.

    ``order`` rises with every command to one gateway: a lower one that comes later is refused, so is the same one again
    once it is decided, and one above ``order_limit``. It is refused from ``expires_ns`` on, too. ``by`` and ``why`` are
    for people. ``signed``: the first is whoever gives it, the others approve.
    """

    gateway: str
    order: int
    contract: str
    asset: str
    tag: str
    value: float
    issued_ns: int
    expires_ns: int
    by: str
    why: str
    signed: tuple[Signed, ...] = ()

    @property
    def id(self) -> str:
        """64 hex digits, the same whoever has signed."""
        return hashlib.sha256(signed_message(self)).hexdigest()


def order_after(last: int, now_ns: int) -> int:
    """An order for a new command: above ``last``, and above that of all that were given elsewhere before ``now_ns``."""
    return max(last + 1, now_ns // 1_000_000)


def order_limit(last: int, issued_ns: int) -> int:
    """The highest order that a command of ``issued_ns`` may have where ``last`` is the highest of those before it.

    Whatever one command says, ``order_after`` of it and of any later time is allowed: none keeps the others out.
    """
    return max(last, issued_ns // 1_000_000) + ORDER_AHEAD_MAX


def signed_message(command: Command) -> bytes:
    """What each signature of a command is made over: its fields as canonical JSON, behind words of its own."""
    told = {name: getattr(command, name) for name in _SIGNED_OVER}
    told["value"] = float(command.value)
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"babbitt command v1\n{text}\n".encode("ascii")


_SIGNED_OVER = tuple(one.name for one in fields(Command) if one.name != "signed")


class CommandStep(StrEnum):
    """What a gateway did with a command, or with a contract (``accepted``, ``refused``, ``expired``, ``withdrawn``).

    Or with a configuration from the cloud: ``accepted`` (it is on trial), ``kept``, ``rolled back``, ``refused`` or
    ``expired``, under its own id and order.

    ``shadowed``: it would have been written. ``advised``: shown to the operator, who alone acts. ``waiting``: for
    approvals, or for its preconditions, as ``words`` say. ``writing``: about to be, and durably noted, before the first
    byte goes out. ``executed``: what was read back agrees; it is watched from now on. ``kept``: the watch ended well.
    ``rolled back``: the value before it was written again and read back. ``failed``: it is not as asked, and ``words``
    say what is known of it.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SHADOWED = "shadowed"
    ADVISED = "advised"
    WAITING = "waiting"
    WRITING = "writing"
    EXECUTED = "executed"
    KEPT = "kept"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"

    @property
    def is_end(self) -> bool:
        """Whether nothing follows for this command."""
        return self in _ENDS


_ENDS = frozenset({
    CommandStep.REFUSED, CommandStep.EXPIRED, CommandStep.WITHDRAWN, CommandStep.SHADOWED, CommandStep.KEPT,
    CommandStep.ROLLED_BACK, CommandStep.FAILED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """One step with a command or a contract, as it is audited. ``command`` is its id, empty for a contract's own step.

    ``before`` is what stood at the machine, ``read_back`` what was read after the write; None where nothing was read.
    ``by`` is whose doing it was: a person, ``gateway``, or the operator at the panel. Outcomes of one gateway are
    numbered from 1 on, and ``seal`` chains each to the one before.
    """

    asset: str
    at_ns: int
    command: str
    order: int
    contract: str
    tag: str
    step: CommandStep
    value: float | None
    before: float | None
    read_back: float | None
    by: str
    words: str
    number: int = field(default=0, repr=False)
    seal: str = field(default="", repr=False)

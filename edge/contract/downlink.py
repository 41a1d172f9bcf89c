"""What goes down to a gateway beside bundles: contracts, commands, a configuration, and acknowledgements of people.

Every one of these but acknowledgements and withdrawals, by which nothing is ever written, bears signatures that the
gateway checks by keys of its own: the cloud carries them, and can neither make nor alter one. It can withhold them,
which is why each says by when it is meant.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from edge.contract.commands import Command, Signed
from edge.contract.fields import Fields
from edge.contract.types import Alarm
from edge.deferred import Deferred

if TYPE_CHECKING:
    import hashlib
else:
    hashlib = Deferred("hashlib")  # OpenSSL comes with it, 3.5 MB; a panel's process has this module and hashes nothing

COMMANDS_MAX = 64
SIGNED_MAX = 16
CONTRACTS_MAX = 32
CONTRACT_CHARS_MAX = 16 * 1024
SIGNATURE_CHARS_MAX = 4096
CONFIGURATION_CHARS_MAX = 256 * 1024
ACKNOWLEDGED_MAX = 256
_BASE64_OF_64 = re.compile(r"[A-Za-z0-9+/]{86}==")


@dataclass(frozen=True, slots=True)
class ContractDocument:
    """A setpoint contract as its engineer wrote it (TOML), and the ``signature`` over it, as text of its own."""

    name: str
    text: str
    signature: str


@dataclass(frozen=True, slots=True)
class WithdrawnContract:
    """No command counts under the contract with this hash any more."""

    contract: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class WithdrawnCommand:
    """A command that may be under way to the gateway already, and that nobody wants any more.

    It comes whole, so that a gateway that never saw it can tell what it is that was withdrawn.
    """

    command: Command
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """``text`` is a whole site file for ``gateway``, to be tried there. ``number`` rises with each.

    ``key`` is the fingerprint of the public key of ``signature`` (64 bytes in base64) over ``configuration_message``,
    which binds every field but these two. It is not begun from ``expires_ns`` on.
    """

    gateway: str
    number: int
    text: str
    by: str
    why: str
    issued_ns: int
    expires_ns: int
    key: str = ""
    signature: str = ""

    @property
    def id(self) -> str:
        """64 hex digits; what came of it is told as of a command with this id."""
        return hashlib.sha256(configuration_message(self)).hexdigest()


def configuration_message(one: Configuration) -> bytes:
    """What a configuration's signature is made over: its fields as canonical JSON, behind words of its own."""
    told = {
        "gateway": one.gateway, "number": one.number, "sha256": hashlib.sha256(one.text.encode()).hexdigest(),
        "by": one.by, "why": one.why, "issued_ns": one.issued_ns, "expires_ns": one.expires_ns,
    }  # fmt: skip
    return f"babbitt configuration v1\n{json.dumps(told, sort_keys=True, separators=(',', ':'))}\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """``by`` has seen the alarm ``rule`` of ``asset`` that was raised at ``since_ns``, and no other raising of it.

    Nor has who saw it after ``repeats`` calls seen a later one; None: whatever it has called for. ``resets``: it was
    acknowledged before and is latched, and ``by`` ends it.
    """

    asset: str
    rule: str
    since_ns: int
    by: str
    at_ns: int
    repeats: int | None = None
    resets: bool = False

    def is_awaited(self, alarm: Alarm) -> bool:
        """Whether ``alarm`` has not had it yet, and may have it."""
        waits = alarm.state.awaits_a_person
        return self.is_of(alarm) and (alarm.latched and not waits if self.resets else waits)

    def is_of(self, alarm: Alarm) -> bool:
        """Whether ``alarm`` has called for nothing since."""
        seen = (alarm.asset, alarm.rule, alarm.since_ns) == (self.asset, self.rule, self.since_ns)
        return seen and (self.repeats is None or alarm.repeats <= self.repeats)


def pack_configuration(one: Configuration) -> bytes:
    """As people hand a configuration to each other to sign: one JSON object."""
    return json.dumps(asdict(one), indent=1).encode("ascii") + b"\n"


def parse_configuration(data: bytes) -> Configuration:
    """What ``pack_configuration`` made, signed or not. Raises ``ValueError``."""
    try:
        found = json.loads(data)
    except RecursionError as error:
        raise ValueError("not JSON that anybody meant") from error
    fields = Fields(found, "configuration")
    return configuration_of(fields) if fields.text("signature") else _unsigned(fields)


def command_of(fields: Fields) -> Command:
    return Command(
        gateway=fields.name("gateway"), order=fields.whole("order"), contract=fields.hex("contract"),
        asset=fields.name("asset"), tag=fields.name("tag"), value=fields.number("value"),
        issued_ns=fields.whole("issued_ns"), expires_ns=fields.whole("expires_ns"), by=fields.text("by"),
        why=fields.text("why"),
        signed=tuple(_signed(one) for one in fields.each("signed", SIGNED_MAX)),
    )  # fmt: skip


def withdrawn_commands_of(fields: Fields, gateway: str) -> tuple[WithdrawnCommand, ...]:
    found = tuple(
        WithdrawnCommand(command_of(one.object("command")), one.text("by"), one.text("why"))
        for one in fields.each("withdrawn_commands", COMMANDS_MAX)
    )
    if any(one.command.gateway != gateway for one in found):
        raise ValueError("withdrawn_commands: one is for another gateway")
    return found


def commands_of(fields: Fields, gateway: str) -> tuple[Command, ...]:
    """In the order in which they are to be taken."""
    found = tuple(command_of(one) for one in fields.each("commands", COMMANDS_MAX))
    if any(command.gateway != gateway for command in found):
        raise ValueError("commands: one is for another gateway")
    if any(before.order >= after.order for before, after in itertools.pairwise(found)):
        raise ValueError("commands: not in their order")
    return found


def document_of(fields: Fields) -> ContractDocument:
    return ContractDocument(
        fields.name("name"), fields.text("text", CONTRACT_CHARS_MAX), fields.text("signature", SIGNATURE_CHARS_MAX)
    )


def withdrawn_contract_of(fields: Fields) -> WithdrawnContract:
    return WithdrawnContract(fields.hex("contract"), fields.text("by"), fields.text("why"))


def configuration_of(fields: Fields) -> Configuration:
    return replace(_unsigned(fields), key=fields.hex("key", 16), signature=_signature(fields))


def _unsigned(fields: Fields) -> Configuration:
    return Configuration(
        gateway=fields.name("gateway"), number=fields.whole("number"),
        text=fields.text("text", CONFIGURATION_CHARS_MAX), by=fields.text("by"), why=fields.text("why"),
        issued_ns=fields.whole("issued_ns"), expires_ns=fields.whole("expires_ns"),
    )  # fmt: skip


def acknowledged_of(fields: Fields) -> Acknowledged:
    return Acknowledged(
        fields.name("asset"),
        fields.name("rule"),
        fields.whole("since_ns"),
        fields.name("by"),
        fields.whole("at_ns"),
        fields.maybe_whole("repeats"),
        fields.flag("resets"),
    )


def _signed(fields: Fields) -> Signed:
    return Signed(fields.hex("key", 16), fields.whole("at_ns"), _signature(fields))


def _signature(fields: Fields) -> str:
    found = fields.text("signature")
    if not _BASE64_OF_64.fullmatch(found):
        raise ValueError("signature: not 64 bytes in base64")
    return found

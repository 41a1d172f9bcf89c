"""What the cloud wants of one gateway, as JSON that the gateway asks for: bundles, contracts, commands, and the rest.

It says what should be, not what to do, so that a gateway that was away for a month needs the last word alone. The
gateway decides: a bundle is tried beside the one that judges, and taken only where it does no worse. ``issued_ns``
never falls, so that an old answer that comes late is known for one.

Keys that this version does not know are passed over; what it knows is checked to the type, the range and the length.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from edge.contract.commands import Command
from edge.contract.downlink import (
    ACKNOWLEDGED_MAX,
    CONTRACTS_MAX,
    Acknowledged,
    Configuration,
    ContractDocument,
    WithdrawnCommand,
    WithdrawnContract,
    acknowledged_of,
    commands_of,
    configuration_of,
    document_of,
    withdrawn_commands_of,
    withdrawn_contract_of,
)
from edge.contract.fields import WORDS_MAX, Fields

FORMAT = 1
BYTES_MAX = 2 * 1024 * 1024
OFFERS_MAX = 256
ASSETS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Offer:
    """The bundle with the hash ``bundle`` (64 hex digits) for ``assets`` of this gateway, all of ``asset_class``.

    ``number`` is the rollout's, which is at ``stage`` of ``stages``. Its files have ``size`` bytes together. It runs
    beside the one that judges for ``watch_s`` before it may take over, and is no longer offered from ``expires_ns`` on.
    """

    number: int
    asset_class: str
    bundle: str
    size: int
    assets: tuple[str, ...]
    stage: int
    stages: int
    watch_s: float
    expires_ns: int
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A bundle that is to judge nothing any more: whoever runs it goes back to what ran before."""

    number: int
    bundle: str
    why: str


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """How often the judgement of one asset was right, for the line that the panel shows.

    ``hits`` are failures that were foretold, ``misses`` those that were not, ``false_alarms`` what was foretold and did
    not come. ``coverage`` is the share (0..1) of failures that fell into their interval, ``median_lead_h`` how long
    before them the first warning came; None where there was none. ``words`` say the same in a line.
    """

    asset: str
    hits: int
    misses: int
    false_alarms: int
    coverage: float | None
    median_lead_h: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Desired:
    """All that is wanted of ``gateway``; at most one offer for each asset.

    ``commands`` are those of which nothing final is known yet, in their order, each with all signatures so far.
    ``contracts`` are those in force, ``withdrawn_*`` what is so no longer and may be held there.
    """

    gateway: str
    issued_ns: int
    offers: tuple[Offer, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()
    records: tuple[TrackRecord, ...] = ()
    commands: tuple[Command, ...] = ()
    withdrawn_commands: tuple[WithdrawnCommand, ...] = ()
    contracts: tuple[ContractDocument, ...] = ()
    withdrawn_contracts: tuple[WithdrawnContract, ...] = ()
    configuration: Configuration | None = None
    acknowledged: tuple[Acknowledged, ...] = ()


def pack_desired(desired: Desired) -> bytes:
    """The same bytes for the same content, so that their hash tells whether anything changed."""
    whole = {"format": FORMAT, **asdict(desired)}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def parse_desired(data: bytes) -> Desired:
    """What ``pack_desired`` was given. Raises ``ValueError`` that says what is wrong with ``data``."""
    if len(data) > BYTES_MAX:
        raise ValueError(f"more than {BYTES_MAX} bytes")
    try:
        found = json.loads(data)
    except RecursionError as error:
        raise ValueError("not JSON that anybody meant") from error
    whole = Fields(found, "desired")
    if whole.whole("format") != FORMAT:
        raise ValueError(f"format {whole.whole('format')}, this version reads {FORMAT}")
    offers = tuple(_offer(one) for one in whole.each("offers", OFFERS_MAX))
    wanted = [asset for offer in offers for asset in offer.assets]
    if len(set(wanted)) != len(wanted):
        raise ValueError("two bundles are offered for one asset")
    gateway, configuration = whole.text("gateway"), whole.maybe("configuration")
    return Desired(
        gateway=gateway,
        issued_ns=whole.whole("issued_ns"),
        offers=offers,
        withdrawn=tuple(_withdrawn(one) for one in whole.each("withdrawn", OFFERS_MAX)),
        records=tuple(_record(one) for one in whole.each("records", ASSETS_MAX)),
        commands=commands_of(whole, gateway),
        withdrawn_commands=withdrawn_commands_of(whole, gateway),
        contracts=tuple(document_of(one) for one in whole.each("contracts", CONTRACTS_MAX)),
        withdrawn_contracts=tuple(
            withdrawn_contract_of(one) for one in whole.each("withdrawn_contracts", CONTRACTS_MAX)
        ),
        configuration=configuration_of(configuration) if configuration is not None else None,
        acknowledged=tuple(acknowledged_of(one) for one in whole.each("acknowledged", ACKNOWLEDGED_MAX)),
    )


def _offer(fields: Fields) -> Offer:
    assets = fields.entries("assets", ASSETS_MAX)
    if not all(isinstance(asset, str) and 0 < len(asset) <= WORDS_MAX for asset in assets):
        raise ValueError("offers.assets: not all are names")
    return Offer(
        number=fields.whole("number"), asset_class=fields.text("asset_class"), bundle=fields.hex("bundle"),
        size=fields.whole("size"), assets=tuple(assets), stage=fields.whole("stage"), stages=fields.whole("stages"),
        watch_s=fields.real("watch_s"), expires_ns=fields.whole("expires_ns"), by=fields.text("by"),
        why=fields.text("why"),
    )  # fmt: skip


def _withdrawn(fields: Fields) -> Withdrawn:
    return Withdrawn(fields.whole("number"), fields.hex("bundle"), fields.text("why"))


def _record(fields: Fields) -> TrackRecord:
    return TrackRecord(
        asset=fields.text("asset"), hits=fields.whole("hits"), misses=fields.whole("misses"),
        false_alarms=fields.whole("false_alarms"), coverage=fields.maybe_real("coverage"),
        median_lead_h=fields.maybe_real("median_lead_h"), words=fields.text("words"),
    )  # fmt: skip

"""What the cloud wants of one gateway, as JSON that the gateway asks for: bundles to try, bundles to give up, records.

It says what should be, not what to do, so that a gateway that was away for a month needs the last word alone. The
gateway decides: a bundle is tried beside the one that judges, and taken only where it does no worse. ``issued_ns``
never falls, so that an old answer that comes late is known for one.

Keys that this version does not know are passed over; what it knows is checked to the type, the range and the length.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
BYTES_MAX = 1024 * 1024
OFFERS_MAX = 256
ASSETS_MAX = 4096
WORDS_MAX = 300
_HASH = re.compile(r"[0-9a-f]{64}")
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character, which JSON may hold and no file."""
_WHOLE_MAX = 2**63 - 1

Json = Any
"""What the json module gives: checked field by field before it is believed."""


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
    """All that is wanted of ``gateway``; at most one offer for each asset."""

    gateway: str
    issued_ns: int
    offers: tuple[Offer, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()
    records: tuple[TrackRecord, ...] = ()


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
    whole = _Fields(found, "desired")
    if whole.whole("format") != FORMAT:
        raise ValueError(f"format {whole.whole('format')}, this version reads {FORMAT}")
    offers = tuple(_offer(_Fields(entry, "offer")) for entry in whole.entries("offers", OFFERS_MAX))
    wanted = [asset for offer in offers for asset in offer.assets]
    if len(set(wanted)) != len(wanted):
        raise ValueError("two bundles are offered for one asset")
    return Desired(
        gateway=whole.text("gateway"),
        issued_ns=whole.whole("issued_ns"),
        offers=offers,
        withdrawn=tuple(_withdrawn(_Fields(entry, "withdrawn")) for entry in whole.entries("withdrawn", OFFERS_MAX)),
        records=tuple(_record(_Fields(entry, "record")) for entry in whole.entries("records", ASSETS_MAX)),
    )


def _offer(fields: _Fields) -> Offer:
    assets = fields.entries("assets", ASSETS_MAX)
    if not all(isinstance(asset, str) and 0 < len(asset) <= WORDS_MAX for asset in assets):
        raise ValueError("offer.assets: not all are names")
    return Offer(
        number=fields.whole("number"), asset_class=fields.text("asset_class"), bundle=fields.hash("bundle"),
        size=fields.whole("size"), assets=tuple(assets), stage=fields.whole("stage"), stages=fields.whole("stages"),
        watch_s=fields.real("watch_s"), expires_ns=fields.whole("expires_ns"), by=fields.text("by"),
        why=fields.text("why"),
    )  # fmt: skip


def _withdrawn(fields: _Fields) -> Withdrawn:
    return Withdrawn(fields.whole("number"), fields.hash("bundle"), fields.text("why"))


def _record(fields: _Fields) -> TrackRecord:
    return TrackRecord(
        asset=fields.text("asset"), hits=fields.whole("hits"), misses=fields.whole("misses"),
        false_alarms=fields.whole("false_alarms"), coverage=fields.maybe_real("coverage"),
        median_lead_h=fields.maybe_real("median_lead_h"), words=fields.text("words"),
    )  # fmt: skip


class _Fields:
    """The fields of one object, each as the type that is wanted. Raises ``ValueError`` naming the field."""

    def __init__(self, found: Json, where: str) -> None:
        if not isinstance(found, Mapping):
            raise ValueError(f"{where}: not an object")  # noqa: TRY004 - it is the data that is wrong, not the program
        self._found, self._where = found, where

    def whole(self, name: str) -> int:
        value: Json = self._found.get(name)
        if type(value) is not int or not 0 <= value <= _WHOLE_MAX:
            raise ValueError(f"{self._where}.{name}: not a whole number from 0 on")
        return int(value)

    def real(self, name: str) -> float:
        value: Json = self._found.get(name)
        if type(value) not in (int, float) or not 0.0 <= value < math.inf:
            raise ValueError(f"{self._where}.{name}: not a finite number from 0 on")
        return float(value)

    def maybe_real(self, name: str) -> float | None:
        return None if self._found.get(name) is None else self.real(name)

    def text(self, name: str) -> str:
        value = self._found.get(name)
        if not isinstance(value, str) or len(value) > WORDS_MAX or _HALF.search(value):
            raise ValueError(f"{self._where}.{name}: not a text of up to {WORDS_MAX} characters")
        return value

    def hash(self, name: str) -> str:
        value = self._found.get(name)
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            raise ValueError(f"{self._where}.{name}: not 64 hex digits")
        return value

    def entries(self, name: str, count_max: int) -> list[Json]:
        value = self._found.get(name, [])
        if not isinstance(value, list) or len(value) > count_max:
            raise ValueError(f"{self._where}.{name}: not a list of up to {count_max}")
        return value

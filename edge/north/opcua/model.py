"""What of the gateway stands where: Objects/Assets/<asset>/<tag>, its verdict beside its tags, and Objects/Gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asyncua import ua

from edge.config.profiles.signal import Signal
from edge.config.site import Site
from edge.config.tables import Asset
from edge.contract.types import Batch, Quality, Value, Verdict
from edge.contract.units import sign
from edge.north.opcua.space import NOT_YET, READ, READ_AND_WRITE, STATUS, Live, Space, when
from edge.north.units import UNECE_URI, unit_id
from edge.ports import WriteGuard

OBJECTS = ua.NodeId(ua.ObjectIds.ObjectsFolder)
_WHOLE = ("uint", "int", "bcd", "hex")
_WORDS = ("string", "text", "ascii")

DOUBLE, BOOLEAN, STRING = ua.ObjectIds.Double, ua.ObjectIds.Boolean, ua.ObjectIds.String
LONG, INSTANT, ANY = ua.ObjectIds.Int64, ua.ObjectIds.DateTime, ua.ObjectIds.BaseDataType
_VARIANT = {
    DOUBLE: ua.VariantType.Double, BOOLEAN: ua.VariantType.Boolean, STRING: ua.VariantType.String,
    LONG: ua.VariantType.Int64, INSTANT: ua.VariantType.DateTime,
}  # fmt: skip


class TagNode:
    """A tag's latest reading, as it came."""

    __slots__ = ("asset", "data_type", "live", "quality", "read_ns", "source_ns", "tag", "value")

    def __init__(self, asset: str, tag: str, data_type: int) -> None:
        self.asset, self.tag, self.data_type = asset, tag, data_type
        self.value: Value = None
        self.quality: Quality | None = None
        self.source_ns = self.read_ns = 0
        self.live: Live | None = None

    def data_value(self) -> ua.DataValue:
        if self.quality is None:
            return NOT_YET
        value = None if self.quality.is_bad else self.value
        return ua.DataValue(
            variant(value, self.data_type), STATUS[self.quality], when(self.source_ns), when(self.read_ns)
        )


class Model:
    """All of the site's nodes, and what was last heard of each. ``gateway`` is the node of the gateway itself."""

    def __init__(self, space: Space, site: Site, guard: WriteGuard) -> None:
        self.space = space
        self.assets: dict[str, ua.NodeId] = {}
        self.writable: dict[ua.NodeId, TagNode] = {}
        self.tags: dict[str, dict[str, TagNode]] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._verdict_nodes: dict[str, list[Live]] = {}
        self._figures: Mapping[str, Any] = {}
        self._figures_ns = 0
        self._gateway_nodes: list[Live] = []
        folder = space.folder(OBJECTS, "Assets", "The machines of this gateway")
        for asset in site.file.asset:
            self._add_asset(folder, asset, site, guard)
        self._add_gateway(site.file.gateway.id)

    def hear(self, batch: Batch) -> list[Live]:
        """Take a poll; what of it somebody watches."""
        nodes = self.tags.get(batch.asset, {})
        watched = []
        for tag, value, quality, source_ns in zip(
            batch.tags, batch.values, batch.quality, batch.source_ns, strict=True
        ):
            node = nodes.get(tag)
            if node is not None:
                node.value, node.quality, node.source_ns, node.read_ns = value, quality, source_ns, batch.read_ns
                assert node.live is not None
                if node.live.watched:
                    watched.append(node.live)
        return watched

    def judge(self, verdict: Verdict) -> list[Live]:
        self._verdicts[verdict.asset] = verdict
        return [live for live in self._verdict_nodes.get(verdict.asset, ()) if live.watched]

    def figure(self, figures: Mapping[str, Any], at_ns: int) -> list[Live]:
        """Take the gateway's figures, by the names in ``FIGURES``."""
        self._figures, self._figures_ns = figures, at_ns
        return [live for live in self._gateway_nodes if live.watched]

    def _add_asset(self, folder: ua.NodeId, asset: Asset, site: Site, guard: WriteGuard) -> None:
        path = f"Assets/{asset.id}"
        title = site.classes[asset.class_].title
        node = self.space.object(
            folder, path, title, title=asset.name or asset.id, by=ua.ObjectIds.Organizes, notifies=True
        )
        self.space.refer(ua.NodeId(ua.ObjectIds.Server), ua.ObjectIds.HasNotifier, node)
        self.assets[asset.id] = node
        points = [point for unit in asset.unit for point in site.profiles[unit.profile].point]
        self.tags[asset.id] = {point.tag: self._add_tag(node, path, asset.id, point, guard) for point in points}
        self._add_verdict(node, path, asset.id)

    def _add_tag(self, parent: ua.NodeId, path: str, asset: str, point: Signal, guard: WriteGuard) -> TagNode:
        data_type = type_of(point)
        tag = TagNode(asset, point.tag, data_type)
        has_unit = bool(point.unit) and data_type in (DOUBLE, LONG)
        allowed = guard.allows(asset, point.tag)
        # No range is known, and AnalogItemType must have one: AnalogUnitType is its sibling with a unit alone.
        kind = ua.ObjectIds.AnalogUnitType if has_unit else ua.ObjectIds.DataItemType
        tag.live = self.space.variable(
            parent, f"{path}/{point.tag}", tag.data_value, type=data_type, kind=kind, title=point.tag,
            description=point.title or point.tag, access=READ_AND_WRITE if allowed else READ,
        )  # fmt: skip
        if has_unit:
            self.space.constant(
                tag.live.node_id, f"{path}/{point.tag}/EngineeringUnits", "EngineeringUnits", _unit(point),
                ua.ObjectIds.EUInformation,
            )  # fmt: skip
        if allowed:
            self.writable[tag.live.node_id] = tag
        return tag

    def _add_verdict(self, parent: ua.NodeId, path: str, asset: str) -> None:
        node = self.space.object(parent, f"{path}/Verdict", "What the gateway judges of this machine")
        self._verdict_nodes[asset] = [
            self.space.variable(
                node, f"{path}/Verdict/{name}", self._of_verdict(asset, take, data_type, array=array), type=data_type,
                description=description, array=array,
            )
            for name, data_type, array, description, take in VERDICT
        ]  # fmt: skip

    def _of_verdict(
        self, asset: str, take: Callable[[Verdict], Any], data_type: int, *, array: bool
    ) -> Callable[[], ua.DataValue]:
        def make() -> ua.DataValue:
            verdict = self._verdicts.get(asset)
            if verdict is None:
                return NOT_YET
            at, value = when(verdict.at_ns), take(verdict)
            if value is None:
                return ua.DataValue(StatusCode=_NO_EVIDENCE, SourceTimestamp=at, ServerTimestamp=at)
            return ua.DataValue(variant(value, data_type, array=array), SourceTimestamp=at, ServerTimestamp=at)

        return make

    def _add_gateway(self, gateway: str) -> None:
        node = self.gateway = self.space.object(
            OBJECTS, "Gateway", "The gateway itself", title=gateway, by=ua.ObjectIds.Organizes, notifies=True
        )
        self.space.refer(ua.NodeId(ua.ObjectIds.Server), ua.ObjectIds.HasNotifier, node)
        folders: dict[str, ua.NodeId] = {}
        for name, (data_type, description) in FIGURES.items():
            folder, _, _ = name.rpartition("/")
            if folder not in folders:
                folders[folder] = self.space.object(node, f"Gateway/{folder}", _GROUPS[folder])
            self._gateway_nodes.append(self.space.variable(
                folders[folder], f"Gateway/{name}", self._of_gateway(name, data_type), type=data_type,
                description=description,
            ))  # fmt: skip

    def _of_gateway(self, name: str, data_type: int) -> Callable[[], ua.DataValue]:
        def make() -> ua.DataValue:
            if name not in self._figures:
                return NOT_YET
            at = when(self._figures_ns)
            return ua.DataValue(variant(self._figures[name], data_type), SourceTimestamp=at, ServerTimestamp=at)

        return make


_NO_EVIDENCE = ua.StatusCode(ua.StatusCodes.BadNoDataAvailable)

VERDICT: tuple[tuple[str, int, bool, str, Callable[[Verdict], Any]], ...] = (
    ("Health", DOUBLE, False, "100 as new, 0 failed", lambda v: v.health),
    ("Anomaly", DOUBLE, False, "The anomaly's score over its threshold", lambda v: v.anomaly),
    ("Anomalous", BOOLEAN, False, "Whether the machine behaves unlike itself", lambda v: v.anomalous),
    ("RemainingLife", DOUBLE, False, "Running hours left", lambda v: v.rul_h),
    ("RemainingLifeLow", DOUBLE, False, "The lower end of its interval, in running hours", lambda v: v.rul_low_h),
    ("RemainingLifeHigh", DOUBLE, False, "The upper end of its interval, in running hours", lambda v: v.rul_high_h),
    ("Urgency", STRING, False, "UNKNOWN, NORMAL, WARNING or CRITICAL", lambda v: v.urgency.value),
    ("Reasons", STRING, True, "What weighs most, in words", lambda v: [reason.words for reason in v.reasons]),
    ("Coverage", DOUBLE, False, "Share of the expected readings that were good, 0 to 1", lambda v: v.coverage),
    ("Bundle", STRING, False, "The hash of the models that judged", lambda v: v.bundle),
    ("Note", STRING, False, "Why there is not enough evidence, where there is not", lambda v: v.note),
)

_GROUPS = {
    "Uplink": "The way to the cloud",
    "Clock": "The wall clock",
    "Store": "The store on the disk",
    "Ledger": "What became of every reading that was due: offered = good + bad, good = kept + unchanged, kept ="
    " acknowledged + pending + thinned + lost",
}
FIGURES: dict[str, tuple[int, str]] = {
    "Uplink/Up": (BOOLEAN, "Whether the last try was acknowledged"),
    "Uplink/Detail": (STRING, "Why not"),
    "Uplink/WaitingReadings": (LONG, "Readings that await acknowledgement"),
    "Uplink/WaitingBlocks": (LONG, "Blocks that await acknowledgement"),
    "Clock/Trusted": (BOOLEAN, "Whether the time is known to be right"),
    "Clock/Steps": (LONG, "How often it jumped"),
    "Store/LostRecords": (LONG, "Verdicts and snapshots dropped with their blocks"),
    "Store/AlteredBlocks": (LONG, "Blocks that the disk altered"),
    "Ledger/Offered": (LONG, "Polls that were due, and messages that came by themselves"),
    "Ledger/Good": (LONG, "Readings of them that were good"),
    "Ledger/Bad": (LONG, "Readings of them that were bad"),
    "Ledger/Unchanged": (LONG, "Good ones held back as nothing new"),
    "Ledger/Kept": (LONG, "Good ones that were stored"),
    "Ledger/Acknowledged": (LONG, "Stored ones that the receiver has"),
    "Ledger/Pending": (LONG, "Stored ones that wait here"),
    "Ledger/Thinned": (LONG, "Stored ones given up on purpose"),
    "Ledger/Lost": (LONG, "Stored ones that were lost, each with its cause in the ledger"),
}
"""The gateway's figures: data type and meaning by name. Whoever hands them in names them so."""


def type_of(point: Signal) -> int:
    """The data type of a point's values: what its protocol declares of it, else a number if it has a unit, or any."""
    declared = getattr(point, "type", None)
    if not isinstance(declared, str):
        return DOUBLE if point.unit else ANY
    if declared == "bool" or getattr(point, "bit", None) is not None:
        return BOOLEAN
    if declared.startswith(_WORDS) or getattr(point, "values", None):
        return STRING
    return LONG if declared.startswith(_WHOLE) and (point.scale, point.offset) == (1.0, 0.0) else DOUBLE


def variant(value: Any, data_type: int, *, array: bool = False) -> ua.Variant:
    """``value`` as ``data_type`` where it fits, else as what it is."""
    if value is None:
        return ua.Variant()
    if array:
        return ua.Variant(value, _VARIANT[data_type], is_array=True)
    if data_type == DOUBLE and isinstance(value, int | float):
        return ua.Variant(float(value), ua.VariantType.Double)
    if data_type == BOOLEAN and isinstance(value, int | float):
        return ua.Variant(bool(value), ua.VariantType.Boolean)
    if isinstance(value, bool):
        return ua.Variant(value, ua.VariantType.Boolean)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return ua.Variant(value, ua.VariantType.Int64)
    return ua.Variant(str(value) if isinstance(value, str) else float(value))


def _unit(point: Signal) -> ua.Variant:
    unit = sign(point.unit, point.kind)
    return ua.Variant(ua.EUInformation(
        NamespaceUri=UNECE_URI, UnitId=unit_id(point.unit, point.kind), DisplayName=ua.LocalizedText(unit),
        Description=ua.LocalizedText(unit),
    ))  # fmt: skip

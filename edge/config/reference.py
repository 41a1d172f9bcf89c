"""Makes the site file's reference from its structs: ``python -m edge.config.reference > edge/config/README.md``."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import msgspec
from msgspec import inspect as types

from edge.config.alarms import Alarms
from edge.config.broker import Broker
from edge.config.command import Commands
from edge.config.health import Health
from edge.config.lines import Breaker, Line
from edge.config.nameplate import Bearing, Geometry, Nameplate, PlannedStop, Tool, Vibration, Winding
from edge.config.north import North, OpcUaServer, SparkplugNode
from edge.config.page import Page
from edge.config.panel import Panel
from edge.config.rule import SiteRule
from edge.config.sensors import Balance, Redundant
from edge.config.tables import Asset, Gateway, Plant, Rate, Report, SiteFile, Uplink
from edge.config.tables import Machine as PlantMachine
from edge.config.tables import Unit as AssetUnit
from edge.config.update import Update

_TABLES: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("the file", SiteFile), ("[gateway]", Gateway), ("[uplink]", Uplink),
    *((f'[[line]] kind = "{kind.__struct_config__.tag}"', kind) for kind in get_args(Line)),
    ("breaker of a line", Breaker), ("broker", Broker), ("[[asset]]", Asset), ("unit of an asset", AssetUnit),
    ("rate of a unit", Rate), ("report of a unit", Report), ("rule of an asset", SiteRule),
    ("redundant sensors of an asset", Redundant),
    ("balance of an asset", Balance), ("nameplate of an asset", Nameplate), ("bearing of a nameplate", Bearing),
    ("geometry of a bearing", Geometry),
    ("tool of a nameplate", Tool), ("winding of a nameplate", Winding), ("vibration of a nameplate", Vibration),
    ("stop of an asset", PlannedStop), ("[alarms]", Alarms), ("[health]", Health), ("[panel]", Panel),
    ("[north]", North), ("[north.opcua]", OpcUaServer), ("[north.sparkplug]", SparkplugNode), ("[page]", Page),
    ("[command]", Commands), ("[update]", Update), ("[plant]", Plant),
    ("machine of the plant", PlantMachine),
)  # fmt: skip

_HEAD = """# The site file

One TOML file runs a gateway, and beside it a simulated plant; a whole one to copy is
[`firmware_profiles/sites/demo.toml`](../../firmware_profiles/sites/demo.toml). A wrong file gives one error that names
the file, the key, what was found and what is accepted. This page is made from the structs in `tables.py`
and `lines.py` by `python -m edge.config.reference`.

The file is the configuration: what stands in it is what a start runs. `babbitt gateway apply NEW SITE` changes a
gateway while it runs: lines that stay the same are polled on; `[[line]]`, `[[asset]]` and profiles may differ, other
tables are read at the start alone. The file (and profiles of your own) are replaced only once a trial is kept; one that
did not hold, was aborted, or was cut short by a crash leaves them as they were. The ten last that were kept lie with
their profiles in `config/` beside the store, for `babbitt gateway versions` and `rollback`.
"""


def reference() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *(_table(title, struct) for title, struct in _TABLES)])


def _table(title: str, struct: type[msgspec.Struct]) -> str:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    rows = [
        f"## {title}\n",
        (inspect.getdoc(struct) or "") + "\n",
        "| key | accepts | default | meaning |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| `{field.encode_name}` | {_accepts(field.type)} | {_default(field)} | {_meaning(field.type)} |"
        for field in info.fields
    ]
    return "\n".join(rows) + "\n"


def _default(field: types.Field) -> str:
    if field.required:
        return "**required**"
    if isinstance(field.default, msgspec.Struct):
        return "its own defaults"
    if field.default is None:
        return "none"
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{default!r}`".replace("'", '"').replace("True", "true").replace("False", "false")


def _meaning(kind: types.Type) -> str:
    schema: dict[str, Any] = getattr(kind, "extra_json_schema", None) or {}
    return str(schema.get("description", ""))


def _accepts(kind: types.Type) -> str:
    match kind:
        case types.Metadata():
            return _accepts(kind.type)
        case types.EnumType():
            return ", ".join(f'`"{member.value}"`' for member in kind.cls)
        case types.LiteralType():
            return ", ".join(f"`{v!r}`".replace("'", '"') for v in kind.values)
        case types.BoolType():
            return "true, false"
        case types.IntType() | types.FloatType():
            return ("whole number" if isinstance(kind, types.IntType) else "number") + _bounds(kind)
        case types.StrType():
            return "text"
        case types.DateTimeType():
            return "date with time and zone"
        case types.UnionType():
            return " or ".join(_accepts(t) for t in kind.types if not isinstance(t, types.NoneType))
        case types.VarTupleType():
            return f"list of {_accepts(kind.item_type)}"
        case types.DictType():
            return f"table of {_accepts(kind.value_type)} by {_accepts(kind.key_type)}"
        case types.StructType():
            return f"table ({kind.cls.__name__})"
        case _:
            raise AssertionError(f"no words for {kind}")


def _bounds(kind: types.IntType | types.FloatType) -> str:
    low = f"≥ {kind.ge:g}" if kind.ge is not None else f"> {kind.gt:g}" if kind.gt is not None else ""
    high = f"≤ {kind.le:g}" if kind.le is not None else ""
    return f" {' and '.join(part for part in (low, high) if part)}" if low or high else ""


if __name__ == "__main__":
    print(reference(), end="")

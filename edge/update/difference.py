"""What differs between two sites by its meaning: lines, machines, units, points and periods, not lines of text.

Pure. It also says which of it cannot be changed while the gateway runs, naming the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from edge.config.lines import Line, place_of
from edge.config.site import Site
from edge.config.tables import Unit

LIVE = frozenset({"line", "asset", "profiles", "plant"})
"""Keys of the site file that may differ. ``plant`` is not the gateway's; all others are read at its start alone."""

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: of ``what`` (line, asset, unit, point, profile, class) with its ``name``.

    ``key`` is what changed of it, ``before`` and ``after`` as JSON has them; of what was added or removed ``key`` is
    empty and they are its short description.
    """

    kind: Kind
    what: str
    name: str
    key: str = ""
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.kind]
        if self.kind == "changed":
            said = f"{self.key} {_short(self.before)} -> {_short(self.after)}"
        else:
            said = str(self.after if self.kind == "added" else self.before)
        return f"{sign} {self.what:8}{self.name:28}{said}".rstrip()


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes; ``refused`` are those keys that only a restart changes; ``anew`` the lines that start anew."""

    changes: tuple[Change, ...]
    refused: tuple[Change, ...]
    anew: tuple[str, ...]
    undisturbed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.refused


def difference(old: Site, new: Site) -> Difference:
    """From ``old`` to ``new``, both as loaded."""
    changes = [
        *_named("line", _by_name(old.file.line), _by_name(new.file.line), _line_words),
        *_assets(old, new),
        *_named("unit", _units(old), _units(new), _unit_words),
        *_profiles(old, new),
        *_named("class", dict(old.classes), dict(new.classes), lambda _: ""),
    ]
    anew, undisturbed = _lines(old, new)
    return Difference(tuple(changes), tuple(_refused(old, new)), anew, undisturbed)


def _refused(old: Site, new: Site) -> Iterator[Change]:
    for field in msgspec.structs.fields(type(old.file)):
        if field.name not in LIVE:
            before, after = getattr(old.file, field.name), getattr(new.file, field.name)
            if before is None or after is None:
                if before is not after:
                    kind: Kind = "added" if before is None else "removed"
                    yield Change(kind, "table", field.encode_name, before="", after="")
            else:
                yield from _changed("table", field.encode_name, before, after, field.encode_name)


def _named(what: str, old: Mapping[str, Any], new: Mapping[str, Any], words: Any) -> Iterator[Change]:
    for name in old.keys() - new.keys():
        yield Change("removed", what, name, before=words(old[name]))
    for name, after in new.items():
        if name not in old:
            yield Change("added", what, name, after=words(after))
        else:
            yield from _changed(what, name, old[name], after)


def _changed(what: str, name: str, old: Any, new: Any, key: str = "") -> Iterator[Change]:
    """The keys of two values of one kind that differ; tables within are followed."""
    if old == new:
        return
    if not isinstance(old, msgspec.Struct) or type(old) is not type(new):
        if isinstance(old, msgspec.Struct) and isinstance(new, msgspec.Struct) and not key:
            key, old, new = "kind", _tag(old), _tag(new)
        yield Change("changed", what, name, key, _plain(old), _plain(new))
        return
    for field in msgspec.structs.fields(type(old)):
        inner = f"{key}.{field.encode_name}" if key else field.encode_name
        yield from _changed(what, name, getattr(old, field.name), getattr(new, field.name), inner)


def _assets(old: Site, new: Site) -> Iterator[Change]:
    """Machines without their units, which are looked at one by one."""
    before = {asset.id: msgspec.structs.replace(asset, unit=()) for asset in old.file.asset}
    after = {asset.id: msgspec.structs.replace(asset, unit=()) for asset in new.file.asset}
    yield from _named("asset", before, after, lambda asset: f"{asset.class_}  {asset.name}".rstrip())


def _units(site: Site) -> dict[str, Unit]:
    return {f"{a.id} {u.line}/{u.at or u.unit} {_nth(a.unit, u)}".rstrip(): u for a in site.file.asset for u in a.unit}


def _nth(units: tuple[Unit, ...], unit: Unit) -> str:
    """Tells apart what one machine has twice at one place: two profiles of one device."""
    same = [u for u in units if (u.line, u.unit, u.at) == (unit.line, unit.unit, unit.at)]
    return unit.profile if len(same) > 1 else ""


def _profiles(old: Site, new: Site) -> Iterator[Change]:
    for profile in sorted(old.profiles.keys() & new.profiles.keys()):
        before, after = old.profiles[profile], new.profiles[profile]
        points = _points(profile, before), _points(profile, after)
        yield from _named("point", *points, lambda point: point.title or point.unit)
        if type(before) is type(after):
            for field in msgspec.structs.fields(type(before)):
                if field.name not in ("point", "sample"):
                    pair = getattr(before, field.name), getattr(after, field.name)
                    yield from _changed("profile", profile, *pair, field.encode_name)


def _points(profile: str, held: Any) -> dict[str, Any]:
    return {f"{profile} {point.tag}": point for point in held.point}


def _lines(old: Site, new: Site) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before, after = _in_use(old), _in_use(new)
    same = tuple(name for name, made_of in after.items() if before.get(name) == made_of)
    return tuple(name for name in after if name not in same), same


def _in_use(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = {line.name: (line, []) for line in site.file.line}
    for asset in site.file.asset:
        for unit in asset.unit:
            found[unit.line][1].append((asset.id, unit, site.profiles[unit.profile]))
    return {name: made_of for name, made_of in found.items() if made_of[1]}


def _by_name(lines: Any) -> dict[str, Any]:
    return {line.name: line for line in lines}


def _line_words(line: Line) -> str:
    return f"{_tag(line)} {place_of(_plain(line))}".rstrip()


def _unit_words(unit: Unit) -> str:
    return f"{unit.profile}, every {unit.period_ms / 1000:g} s"


def _tag(value: msgspec.Struct) -> str:
    return str(value.__struct_config__.tag or type(value).__name__)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."

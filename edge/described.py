"""What the rooms are told of a site: pure, so that two sites can be compared by what they mean to each room."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from edge.alarm import Watched
from edge.config.scans import Deadband, deadbands, scans, told_of
from edge.config.site import Site
from edge.config.tables import Asset as Machine
from edge.contract.types import Asset


def watched(site: Site, asset: Machine) -> Watched:
    """What the alarm desk must know of a machine."""
    polled = [scan for unit in asset.unit for scan in scans(unit, site.profiles[unit.profile])]
    return Watched(
        asset=asset.id,
        name=asset.name or asset.id,
        asset_class=structs.replace(site.classes[asset.class_], rule=site.rules(asset.id)),
        period_ms=min(scan.period_ms for scan in polled),
        tags=told_of(asset.unit, site.profiles)[0],
        tag_period_ms={p.tag: scan.period_ms for scan in polled for p in scan.profile.point},
    )


def deadbands_of(site: Site, asset: Machine) -> dict[str, Deadband]:
    """Of a machine's signals that are kept by exception, by tag."""
    return {tag: band for unit in asset.unit for tag, band in deadbands(unit, site.profiles[unit.profile]).items()}


def shown(site: Site) -> list[Any]:
    """What other systems see of ``site``: no periods."""
    every = [watched(site, asset) for asset in site.file.asset]
    return [(each.asset, each.name, each.asset_class, each.tags) for each in every]


def judged_by(site: Site, asset: Machine) -> object:
    """What the judge of ``asset`` is made of."""
    return (
        site.classes[asset.class_], min(unit.period_ms for unit in asset.unit), told_of(asset.unit, site.profiles)[0],
        asset.redundant, asset.balance, site.services[asset.id],
    )  # fmt: skip


def signals(site: Site, asset: str) -> set[str]:
    """The tags of a machine."""
    machine = next(one for one in site.file.asset if one.id == asset)
    return {tag.tag for tag in told_of(machine.unit, site.profiles)[0]}


def introduction(site: Site, asset: Machine) -> Asset:
    """How the receiver is told of a machine, at no time yet."""
    tags, every_ms = told_of(asset.unit, site.profiles)
    return Asset(
        asset=asset.id, name=asset.name or asset.id, asset_class=asset.class_, tags=tags, period_ms=every_ms, at_ns=0
    )

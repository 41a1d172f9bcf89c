"""Judging on the gateway: a ``Judge`` for each asset, with the bundle that its class names.

Promises: every verdict names its bundle, its coverage and its reasons; too little evidence is said, never guessed over.
Which bundle may judge is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec.structs import replace

from edge.config.asset_class import AssetClass
from edge.config.scans import told_of
from edge.config.site import Site
from edge.config.tables import Asset
from edge.contract.bundle import Bundle
from edge.infer.judge import Judge
from edge.infer.sensors.spec import SensorSpec, spec_of

__all__ = ["Judge", "load_judges", "sensors_of"]


def load_judges(site: Site, bundle_for: Callable[[str], Bundle | None], but: Collection[str] = ()) -> dict[str, Judge]:
    """A judge by asset id for every asset of ``site`` ``but`` some, with the bundle that ``bundle_for`` gives for it.

    Raises ``BundleError`` where one cannot be used.
    """
    judges = {}
    for asset in site.file.asset:
        if asset.id not in but:
            period_ms = min(unit.period_ms for unit in asset.unit)
            judges[asset.id] = Judge(
                asset.id, _class_of(asset, site), bundle_for(asset.id), period_ms, sensors_of(site, asset),
                site.services[asset.id],
            )  # fmt: skip
    return judges


def _class_of(asset: Asset, site: Site) -> AssetClass:
    """Its class, with what the site says of this asset alone."""
    own, asset_class = asset.anomaly_alarms_per_week, site.classes[asset.class_]
    return asset_class if own is None else replace(asset_class, anomaly_alarms_per_week=own)


def sensors_of(site: Site, asset: Asset) -> SensorSpec:
    """What is known of the sensors of ``asset``, from its devices' profiles, its class and the site itself."""
    tags = told_of(asset.unit, site.profiles)[0]
    groups = [group.tags for group in asset.redundant]
    return spec_of(site.classes[asset.class_], tags, groups=groups, balances=asset.balance)

"""Judging on the gateway: a ``Judge`` for each asset, with the bundle that its class names.

Promises: every verdict names its bundle, its coverage and its reasons; too little evidence is said, never guessed over;
a bundle that is missing or altered stops the start with a ``BundleError`` instead of judging wrongly.
"""

from __future__ import annotations

from collections.abc import Collection

from edge.config.site import Site
from edge.contract.bundle import Bundle, load_bundle
from edge.infer.judge import Judge

__all__ = ["Judge", "load_judges"]


def load_judges(site: Site, but: Collection[str] = ()) -> dict[str, Judge]:
    """A judge by asset id for every asset of ``site`` ``but`` some, with the bundle that its class names.

    Raises ``BundleError`` where one cannot be used.
    """
    loaded: dict[str, Bundle] = {}
    judges = {}
    for asset in site.file.asset:
        if asset.id in but:
            continue
        asset_class = site.classes[asset.class_]
        if asset_class.bundle and asset_class.id not in loaded:
            loaded[asset_class.id] = load_bundle(site.bundle(asset_class.bundle), asset_class=asset_class.id)
        period_ms = min(unit.period_ms for unit in asset.unit)
        judges[asset.id] = Judge(asset.id, asset_class, loaded.get(asset_class.id), period_ms)
    return judges

"""Judging on the gateway: a ``Judge`` for each asset, with the bundle that its class names.

Promises: every verdict names its bundle, its coverage and its reasons; too little evidence is said, never guessed over.
Which bundle may judge is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from edge.config.site import Site
from edge.contract.bundle import Bundle
from edge.infer.judge import Judge

__all__ = ["Judge", "load_judges"]


def load_judges(site: Site, bundle_for: Callable[[str], Bundle | None], but: Collection[str] = ()) -> dict[str, Judge]:
    """A judge by asset id for every asset of ``site`` ``but`` some, with the bundle that ``bundle_for`` gives for it.

    Raises ``BundleError`` where one cannot be used.
    """
    judges = {}
    for asset in site.file.asset:
        if asset.id not in but:
            period_ms = min(unit.period_ms for unit in asset.unit)
            judges[asset.id] = Judge(asset.id, site.classes[asset.class_], bundle_for(asset.id), period_ms)
    return judges

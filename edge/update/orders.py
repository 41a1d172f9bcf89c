"""From what is and what the cloud wants to what is to be done about an asset: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.contract.desired import Desired, Offer
from edge.update.seats import Judging


@dataclass(frozen=True, slots=True)
class Begin:
    """Try what is offered beside what judges the asset."""

    asset: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class End:
    """Stop the trial of what does not count yet."""

    asset: str
    words: str


@dataclass(frozen=True, slots=True)
class Back:
    """What counts is withdrawn: ``to`` was good before it, the configured one where that is empty."""

    asset: str
    to: str
    words: str


def orders(
    judging: Judging, desired: Desired, classes: Mapping[str, str], running: Mapping[str, str], now_ns: int | None
) -> list[Begin | End | Back]:
    """At most one for each asset. ``classes`` and ``running`` (bundles that count) are by asset.

    ``now_ns`` is None where the clock cannot be trusted: then no offer has expired.
    """
    withdrawn = {one.bundle: f"withdrawn by the cloud: {one.why}" for one in desired.withdrawn}
    offers = {asset: offer for offer in desired.offers for asset in offer.assets}
    refused = {(one.asset, one.bundle, one.number) for one in judging.ended}
    found: list[Begin | End | Back] = []
    for asset, asset_class in classes.items():
        seat, offer = judging.seat(asset), offers.get(asset)
        if seat.bundle in withdrawn:
            to = next((former for former in reversed(seat.former) if former not in withdrawn), "")
            found.append(Back(asset, to, withdrawn[seat.bundle]))
        elif seat.trial is not None:
            is_offered = offer is not None and offer.bundle == seat.trial.bundle
            if seat.trial.phase == "watched" and not is_offered:
                found.append(End(asset, withdrawn.get(seat.trial.bundle, "the cloud offers it no longer")))
        elif (
            offer is not None
            and offer.asset_class == asset_class
            and offer.bundle not in (running.get(asset), *withdrawn)
            and (asset, offer.bundle, offer.number) not in refused
            and (now_ns is None or now_ns < offer.expires_ns)
        ):
            found.append(Begin(asset, offer))
    return found

"""Having an offered bundle come, file by file, onto the shelf."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from edge.contract.desired import Offer
from edge.contract.signature import SIGNATURE
from edge.errors import BundleError
from edge.ports import Desk
from edge.update.shelf import Shelf

SIGNATURE_BYTES_MAX = 4096


async def fetch(offer: Offer, shelf: Shelf, desk: Desk, on_disk: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
    """Returns once it is there, whole and to be trusted. What has come stays for the next try, if this one is cut.

    The manifest comes first: it is the bundle's hash that was offered, and says which files there are, how large, with
    which digests. Then the signature: whoever has the cloud and no key fills no disk. Raises ``LinkDown``,
    ``BundleError`` or ``StoreError``.
    """
    # Here, as most gateways are never offered one.
    from edge.contract.bundle import BUNDLE_BYTES_MAX, FILE_BYTES_MAX, MANIFEST

    name = offer.bundle
    if await on_disk(partial(shelf.holds, name, offer.asset_class)):
        return
    if offer.size > BUNDLE_BYTES_MAX:
        problem = f"{offer.size} bytes, where {BUNDLE_BYTES_MAX} are the most"
        raise BundleError(name[:16], problem, "train a smaller one")
    manifest = await desk.file(name, MANIFEST, bytes_max=FILE_BYTES_MAX)
    signature = await desk.file(name, SIGNATURE, bytes_max=SIGNATURE_BYTES_MAX)
    for listed in await on_disk(partial(shelf.missing, name, manifest, signature)):
        data = await desk.file(name, listed.name, bytes_max=listed.size)
        await on_disk(partial(shelf.put, name, listed, data))
    await on_disk(partial(shelf.place, name, offer.asset_class))

"""Which bundle judges each asset, why, and what went before: one small file, replaced as a whole.

Without a word from the cloud an asset is judged with the bundle that its class names. Where that one is missing,
altered or signed by nobody trusted, the last good one of the class goes on judging, and this is said loudly; a start
fails only where there never was one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from edge.config.asset_class import AssetClass
from edge.config.site import Site
from edge.contract.types import BundleStep
from edge.errors import BundleError, StoreError
from edge.update.shelf import Shelf
from edge.update.versions import replace_file

if TYPE_CHECKING:
    from edge.contract.bundle import Bundle

FILE = "judging.json"
FORMER_MAX = 4
ENDED_MAX = 64

log = logging.getLogger("babbitt.update")

Phase = Literal["watched", "guarded"]
"""``watched``: the new one judges beside and does not count. ``guarded``: it counts, the old one goes on beside."""


class Trial(msgspec.Struct, frozen=True):
    """``bundle`` of rollout ``number`` on trial, which its rival, ``former``, is measured against."""

    bundle: str
    former: str
    number: int
    phase: Phase
    watch_s: float
    by: str
    why: str
    stage: int = 0
    stages: int = 0


class Seat(msgspec.Struct, frozen=True):
    """Who judges one asset: ``bundle`` by the cloud's word, or the configured one where it is empty, since ``at``.

    ``former`` are those that were good before, the newest last; empty stands for the configured one there too.
    """

    bundle: str = ""
    why: str = "configured"
    at: str = ""
    number: int = 0
    former: tuple[str, ...] = ()
    trial: Trial | None = None


class Ended(msgspec.Struct, frozen=True):
    """A bundle that an asset did not keep, so that the same rollout is not tried again: how it ended, and why."""

    asset: str
    bundle: str
    number: int
    step: BundleStep
    why: str
    at: str


class Judging(msgspec.Struct, frozen=True):
    """The file. ``good`` is the last good bundle of each class as it was configured, ``issued_ns`` the cloud's last
    word."""

    issued_ns: int = 0
    seats: dict[str, Seat] = {}
    good: dict[str, str] = {}
    ended: tuple[Ended, ...] = ()

    def seat(self, asset: str) -> Seat:
        return self.seats.get(asset, _CONFIGURED)

    def seated(self, asset: str, seat: Seat) -> Judging:
        """This, with ``seat`` for ``asset``."""
        return msgspec.structs.replace(self, seats={**self.seats, asset: seat})

    def bundles(self) -> set[str]:
        """All that somebody may still need."""
        named = set(self.good.values())
        for seat in self.seats.values():
            trial = (seat.trial.bundle, seat.trial.former) if seat.trial else ()
            named.update((seat.bundle, *seat.former, *trial))
        return named - {""}


_CONFIGURED = Seat()


class Seats:
    """Touches the disk, but for ``judging``: not for the event loop."""

    def __init__(self, site: Site, shelf: Shelf) -> None:
        self.shelf = shelf
        self.trouble: dict[str, str] = {}
        """Why an asset is not judged by what should judge it, by asset."""
        self._site = site
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, str], Bundle] = {}
        self.judging = self._read()

    def change(self, site: Site) -> None:
        """Judge by ``site`` from now on."""
        self._site = site
        self._taken = {}

    def bundle_for(self, asset: str, site: Site | None = None) -> Bundle | None:
        """What judges ``asset``; None where its class names no bundle. ``site``: one that does not run yet.

        Raises ``BundleError`` where what is configured cannot be used and nothing good was kept.
        """
        site = site or self._site
        asset_class = _class_of(site, asset)
        self.trouble.pop(asset, None)
        seat = self.judging.seat(asset)
        if seat.bundle:
            try:
                return self.of(seat.bundle, asset_class.id)
            except BundleError as error:
                self._say(asset, f"what the cloud gave is lost, the configured bundle judges: {error}")
                self.update(partial(Judging.seated, asset=asset, seat=_CONFIGURED))
        return self._configured(site, asset, asset_class) if asset_class.bundle else None

    def of(self, bundle: str, asset_class: str) -> Bundle:
        """The bundle with this hash, read once for all assets of a class. Raises ``BundleError``."""
        key = (bundle, asset_class)
        if key not in self._taken:
            self._taken[key] = self.shelf.load(bundle, asset_class)
        return self._taken[key]

    def named(self, bundle: str, asset: str) -> Bundle | None:
        """The bundle with this hash for ``asset``; where that is empty what is configured. Raises ``BundleError``."""
        asset_class = _class_of(self._site, asset)
        if bundle:
            return self.of(bundle, asset_class.id)
        return self._configured(self._site, asset, asset_class) if asset_class.bundle else None

    def update(self, change: Callable[[Judging], Judging]) -> None:
        """What ``change`` makes of it holds from now on, and at every start. Raises ``StoreError``: nothing did."""
        with self._lock:
            judging = change(self.judging)
            if judging == self.judging:
                return
            try:
                replace_file(self.shelf.folder / FILE, msgspec.json.format(msgspec.json.encode(judging)))
            except OSError as error:
                raise StoreError(str(self.shelf.folder), f"may not be written to: {error.strerror}") from error
            self.judging = judging

    def sweep(self) -> None:
        """Remove bundles that nobody needs any more."""
        wanted = self.judging.bundles()
        self._taken = {key: bundle for key, bundle in self._taken.items() if key[0] in wanted}
        self.shelf.sweep(wanted)

    def _configured(self, site: Site, asset: str, asset_class: AssetClass) -> Bundle:
        folder = site.bundle(asset_class.bundle)
        key = (str(folder), asset_class.id)
        if key in self._taken:
            return self._taken[key]
        try:
            bundle = self.shelf.take(folder, asset_class.id)
        except BundleError as error:
            bundle = self._last_good(asset_class.id, error)
            self._say(
                asset, f"the configured bundle is refused, the last good one ({bundle.hash[:12]}) judges: {error}"
            )
            return bundle
        self._taken[key] = bundle
        try:
            self.shelf.keep(bundle, folder)
            self.update(lambda judging: msgspec.structs.replace(
                judging, good={**judging.good, asset_class.id: bundle.hash}
            ))  # fmt: skip
        except (BundleError, StoreError) as error:
            log.warning("the bundle of class %s is not kept for worse days: %s", asset_class.id, error)
        return bundle

    def _last_good(self, asset_class: str, refused: BundleError) -> Bundle:
        try:
            return self.of(self.judging.good.get(asset_class, ""), asset_class)
        except BundleError:
            raise refused from None

    def _say(self, asset: str, words: str) -> None:
        self.trouble[asset] = words
        log.error("%s: %s", asset, words)

    def _read(self) -> Judging:
        path = self.shelf.folder / FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=Judging)
        except FileNotFoundError:
            return Judging()
        except (OSError, msgspec.DecodeError) as error:
            log.error("%s cannot be read, assets are judged as configured: %s", path, error)
            return Judging()


def _class_of(site: Site, asset: str) -> AssetClass:
    return site.classes[next(one.class_ for one in site.file.asset if one.id == asset)]

"""The bundles that a gateway has at hand: a folder for each, by hash, beside the store.

Whatever judged here is kept, so that there is a way back: the configured one is copied at the start, one that the cloud
offers comes file by file into a folder of its own, which a cut leaves as it is for the next try. Either becomes visible
by one rename, whole and checked, or not at all. What is taken from here is verified again, as flash ages.

A bundle is taken only where its hash, its class and its signature are right. ``BundleError`` says in words what is not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge.contract.signature import SIGNATURE
from edge.deferred import Deferred
from edge.errors import BundleError, StoreError

if TYPE_CHECKING:
    import shutil

    import edge.contract.bundle as bundles
    from edge.contract.bundle import Bundle, Listed
else:
    # A gateway that judges nothing has no bundle.
    shutil, bundles = Deferred("shutil"), Deferred("edge.contract.bundle")

FOLDER = "bundles"

Check = Callable[[Path, str], None]
"""Whether the bundle in a folder, with this hash, is signed by somebody trusted. Raises ``BundleError``."""


class Shelf:
    """Touches the disk: not for the event loop. What writes raises ``StoreError`` where the disk takes it not."""

    def __init__(self, folder: Path, check: Check) -> None:
        self.folder, self._check = folder, check

    def take(self, folder: Path, asset_class: str) -> Bundle:
        """The bundle in ``folder``, wherever that is, if it is to be trusted. Raises ``BundleError``."""
        bundle = bundles.load_bundle(folder, asset_class=asset_class)
        self._check(folder, bundle.hash)
        return bundle

    def load(self, bundle: str, asset_class: str) -> Bundle:
        """The bundle with this hash from the shelf. Raises ``BundleError``, also where it is not there."""
        if not bundle:
            raise BundleError(str(self.folder), "nothing was kept", "name a bundle that is whole and signed")
        return self._named(self.folder / bundle, bundle, asset_class)

    def holds(self, bundle: str, asset_class: str) -> bool:
        """Whether it is here, whole and to be trusted."""
        try:
            self.load(bundle, asset_class)
        except BundleError:
            return False
        return True

    def keep(self, bundle: Bundle, folder: Path) -> None:
        """Copy a bundle that was taken from ``folder`` to the shelf, unless it is there."""
        if self.holds(bundle.hash, bundle.asset_class):
            return
        with self._writing():
            for name in (*bundle.files, bundles.MANIFEST, SIGNATURE):
                _write(self._coming(bundle.hash) / name, (folder / name).read_bytes())
        self.place(bundle.hash, bundle.asset_class)

    def missing(self, bundle: str, manifest: bytes, signature: bytes) -> list[Listed]:
        """What is still to be fetched of a bundle.

        Raises ``BundleError`` where ``manifest`` is not its, or ``signature`` is nobody's who is trusted.
        """
        listed, coming = bundles.read_listing(manifest, bundle), self._coming(bundle)
        with self._writing(), self._or_nothing(coming):
            _write(coming / SIGNATURE, signature)
            self._check(coming, bundle)
            _write(coming / bundles.MANIFEST, manifest)
            return [one for one in listed if _digest(coming / one.name) != one.sha256]

    def put(self, bundle: str, file: Listed, data: bytes) -> None:
        """A fetched file. Raises ``BundleError`` where it is not what the manifest says."""
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise BundleError(bundle[:16], f"{file.name} is not what the manifest says: altered", "promote it again")
        with self._writing():
            _write(self._coming(bundle) / file.name, data)

    def place(self, bundle: str, asset_class: str) -> None:
        """Take up a bundle whose files have all come. Raises ``BundleError`` for one that is not to be trusted."""
        coming = self._coming(bundle)
        with self._or_nothing(coming):
            self._named(coming, bundle, asset_class)
        with self._writing():
            shutil.rmtree(self.folder / bundle, ignore_errors=True)
            coming.rename(self.folder / bundle)
            _sync(self.folder)

    def sweep(self, wanted: Collection[str]) -> None:
        """Remove what is not ``wanted``, whole or half fetched."""
        for path in self.folder.glob("*"):
            if path.is_dir() and path.name.removesuffix(".coming") not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def _named(self, folder: Path, bundle: str, asset_class: str) -> Bundle:
        found = self.take(folder, asset_class)
        if found.hash != bundle:
            raise BundleError(str(folder), f"another bundle lies there: {found.hash[:16]}", "take it away")
        return found

    def _coming(self, bundle: str) -> Path:
        return self.folder / f"{bundle}.coming"

    @contextmanager
    def _or_nothing(self, coming: Path) -> Iterator[None]:
        """Of what is refused nothing stays."""
        try:
            yield
        except BundleError:
            shutil.rmtree(coming, ignore_errors=True)
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(str(self.folder), f"takes no bundle: {error.strerror}", "make room on its disk") from error


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

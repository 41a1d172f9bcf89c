"""Bundles by their hash, from folders with one in each of their folders."""

from __future__ import annotations

import json
from pathlib import Path

from edge.contract.bundle import Bundle, load_bundle
from edge.errors import BundleError

FOLDERS_MAX = 10_000


class Shelf:
    """Raises ``BundleError`` for a folder that cannot be read; bundles are verified as they are asked for."""

    def __init__(self, folder: Path, *more: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, Bundle] = {}
        try:
            manifests = [path for one in (*more, folder) for path in sorted(one.rglob("manifest.json"))[:FOLDERS_MAX]]
        except OSError as error:
            raise BundleError(str(folder), f"cannot be read: {error.strerror}", "name it with --bundles") from error
        self._found = {hash_: path.parent for path in manifests if (hash_ := _claimed(path))}

    def __call__(self, wanted: str) -> Bundle:
        """The bundle with this hash. Raises ``BundleError`` where it is not here, or altered."""
        if wanted not in self._loaded:
            if wanted not in self._found:
                raise BundleError(str(self._folder), f"has no bundle {wanted[:12]}", "name its folder with --bundles")
            self._loaded[wanted] = load_bundle(self._found[wanted])
        return self._loaded[wanted]


def _claimed(path: Path) -> str:
    """The hash that a manifest claims; empty where it has none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return ""
    claimed = found.get("hash") if isinstance(found, dict) else None
    return claimed if isinstance(claimed, str) else ""

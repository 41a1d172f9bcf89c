"""Bundles for tests: copies of the shipped ones, as they are or slightly changed, signed by test keys."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.dispatch.signing import make_key, sign
from edge.contract.bundle import MANIFEST, load_bundle, save_bundle

SHIPPED = Path(__file__).resolve().parents[1] / "firmware_profiles/bundles"


@dataclass(frozen=True)
class Key:
    private: Path
    public: Path


def key(folder: Path, name: str = "test") -> Key:
    made = Key(folder / f"{name}.pem", folder / f"{name}.pub")
    make_key(made.private, made.public)
    return made


def bundle(folder: Path, by: Key | None, asset_class: str = "cnc_spindle", **changes: Any) -> str:
    """A bundle in ``folder`` and its hash. ``changes`` go into its manifest, so that it is another one."""
    shutil.copytree(SHIPPED / asset_class, folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    plain = {name: value for name, value in manifest.items() if name not in ("hash", "files", "format")}
    save_bundle(folder, plain | changes, load_bundle(folder).files)
    (folder / "signature.json").unlink(missing_ok=True)
    if by is not None:
        sign(folder, by.private)
    return load_bundle(folder).hash

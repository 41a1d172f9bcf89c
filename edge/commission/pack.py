"""A customer's own ``.tflite`` and what a TOML file says of it, made into a bundle's manifest.

Whether the model runs, and takes and gives what the file says, is not found here: that needs the runtime.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contract.own import OwnModel, Unfit, own_model
from edge.errors import BundleError

_BYTES_MAX = 4 * 1024 * 1024
_HINT = "`babbitt bundle pack --help` shows a whole manifest"


@dataclass(frozen=True)
class Packed:
    """What ``save_bundle`` takes: the manifest, and the model by its name."""

    manifest: dict[str, Any]
    files: dict[str, bytes]
    own: OwnModel


def packed(model: Path, description: Path) -> Packed:
    """Raises ``BundleError`` that names the file and the key."""
    if model.suffix != ".tflite":
        raise BundleError(str(model), "not a .tflite file by its name", "convert the model with LiteRT's converter")
    data = _read(description)
    try:
        told = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BundleError(str(description), f"not TOML: {error}", _HINT) from error
    asset_class, created_by = told.pop("class", None), told.pop("created_by", "a customer's own model")
    for key, value in (("class", asset_class), ("created_by", created_by)):
        if not isinstance(value, str) or not value:
            raise BundleError(str(description), f"`{key}`: found {value!r}, wants a text", _HINT)
    try:
        own = own_model(told)
    except Unfit as error:
        raise BundleError(str(description), str(error), _HINT) from error
    manifest = {"asset_class": asset_class, "created_by": created_by, "own": told}
    return Packed(manifest, {_plain(model.name): _read(model)}, own)


def _plain(name: str) -> str:
    """A bundle's files are named in addresses and on any disk: ``Pump (2).tflite`` becomes ``Pump_2_.tflite``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-128:].lstrip("._-")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise BundleError(str(path), f"larger than {_BYTES_MAX} bytes", "a gateway takes small models only")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(str(path), f"cannot be read: {error.strerror}", "name an existing file") from error

"""A bundle: what a gateway judges one class of machine with. A folder of ``manifest.json`` and ``.tflite`` files.

The manifest says which class and features the models are for, how features are scaled and where they are valid, what
fleet the models learned from, how well they did as float and as int8, and the conformal margins of the interval. It
holds the SHA-256 of every file; the bundle's own hash is the SHA-256 of the manifest in canonical form (sorted keys, no
spaces, without the key ``hash``), so that one hash names everything and nothing in it depends on time or place.

What it survives: a missing, truncated or altered file, a manifest of a later version or other class, features that the
running code does not compute, numbers that cannot be. All of these are refused with a ``BundleError`` that says what to
do; nothing is half-loaded.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.own import OwnModel, own_model
from edge.contract.signature import SIGNATURE
from edge.errors import BundleError

FORMAT = 1
MANIFEST = "manifest.json"
FILE_BYTES_MAX = 4 * 1024 * 1024
BUNDLE_BYTES_MAX = 16 * 1024 * 1024
"""Of all files of one that comes from elsewhere."""
_FILES_MAX = 16
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FEATURES_MAX = 1024

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """What a model is fed: ``clip((feature - centre) / spread, -limit, limit)``, each [features]."""

    centre: Array
    spread: Array
    limit: float

    def apply(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Scaled features of one row [features] or many [rows, features]."""
        scaled = (np.asarray(features, dtype=np.float64) - self.centre) / self.spread
        return np.clip(scaled, -self.limit, self.limit).astype(np.float32)

    def as_json(self) -> dict[str, Any]:
        return {"centre": self.centre.tolist(), "spread": self.spread.tolist(), "limit": self.limit}


@dataclass(frozen=True)
class Interval:
    """Conformal margins of the predicted life score, as a function of that prediction: knots ``at``, ascending.

    The interval is ``[score - low(score), score + high(score)]``, interpolated between knots; ``coverage`` is what it
    was calibrated for, by machines and not by rows. While wear is barely visible a life is known far less well than
    later at the same prediction, so a bundle has two of these.
    """

    coverage: float
    at: Array
    low: Array
    high: Array

    def around(self, score: float) -> tuple[float, float]:
        below = float(np.interp(score, self.at, self.low))
        above = float(np.interp(score, self.at, self.high))
        return score - below, score + above

    def as_json(self) -> dict[str, Any]:
        return {"coverage": self.coverage, "at": self.at.tolist(), "low": self.low.tolist(), "high": self.high.tolist()}


@dataclass(frozen=True)
class Inner:
    """How lives lie within the interval: for each of ``levels`` (ascending shares of machines that have failed by then)
    the place of its quantile: -1 at the lower end, 0 at the prediction, 1 at the upper end.

    Places follow an interval that is widened or calibrated anew.
    """

    levels: tuple[float, ...]
    early: tuple[float, ...]
    established: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        return {"levels": list(self.levels), "early": list(self.early), "established": list(self.established)}


@dataclass(frozen=True)
class Ages:
    """At what age machines of the class have failed: lives are Weibull with ``shape`` and ``scale_h``, the logarithm of
    which is known to a standard deviation of ``spread``, from ``failures`` among ``lives``."""

    shape: float
    scale_h: float
    spread: float
    failures: int
    lives: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Detector:
    """An autoencoder: what it cannot reproduce is unlike its training. ``threshold`` of the root mean square error.

    ``healthy`` are the highest errors of machines that it was calibrated on, one each; bundles from before have none.
    """

    model: str
    scaling: Scaling
    threshold: float
    healthy: tuple[float, ...] = ()


@dataclass(frozen=True)
class Bundle(ABC):
    """A verified bundle. ``files`` holds the models' bytes by the manifest's names; ``hash`` names it in verdicts."""

    asset_class: str
    hash: str
    created_by: str
    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]

    @property
    @abstractmethod
    def tags(self) -> tuple[str, ...]:
        """Every tag that must be readable, the hour meter last where there is one."""

    @property
    @abstractmethod
    def hour_meter(self) -> str:
        """The tag of operating hours, empty where the clock's hours count."""


@dataclass(frozen=True)
class TrainedBundle(Bundle):
    """What ``babbitt cloud train`` makes.

    ``features`` is the feature specification as plain data. ``valid`` gives each feature's range in training
    [2, features]. The life score runs from 0 (failed) to 1 (``rul_cap_h`` or more), logarithmic in hours between.
    ``novelty`` tells whether the asset departs from healthy, ``familiar`` whether it does so in a way that the life
    model has seen. The ``early`` interval holds while health is above ``established_below``, ``established`` after.
    ``inner`` tells how lives lie within them; bundles from before it have none.
    ``ages`` are what the fleet showed of ageing, where it showed any.
    """

    features: Mapping[str, Any]
    names: tuple[str, ...]
    valid: Array
    pace_max_h: float
    life_scaling: Scaling
    life_model: str
    rul_cap_h: float
    quiet: tuple[float, float]
    early: Interval
    established: Interval
    established_below: float
    novelty: Detector
    familiar: Detector
    inner: Inner | None = None
    ages: Ages | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        signals = self.features["signals"]
        minus = (s["minus"] for s in signals if s.get("minus"))
        return tuple(
            dict.fromkeys((*(s["tag"] for s in signals), *minus, *self.features["conditions"], self.hour_meter))
        )

    @property
    def hour_meter(self) -> str:
        return str(self.features["hour_meter"])


@dataclass(frozen=True)
class OwnBundle(Bundle):
    """What ``babbitt bundle pack`` makes of a customer's own model: one file, and what the manifest says of it."""

    own: OwnModel

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*(f.tag for f in self.own.features), *filter(None, [self.own.hour_meter]))))

    @property
    def hour_meter(self) -> str:
        return self.own.hour_meter


def life_score(rul_h: Array, cap_h: float) -> Array:
    """Hours to the score that models are trained on: ``log1p(min(rul, cap)) / log1p(cap)``, 0..1."""
    return np.log1p(np.clip(rul_h, 0.0, cap_h)) / math.log1p(cap_h)


def tempered(score: NDArray[Any], anomaly: NDArray[Any], quiet: tuple[float, float]) -> Array:
    """Life scores given how anomalous each row is (score over threshold): without a departure there is no evidence of
    wear, whatever the life model makes of noise. Below ``quiet[0]`` the score is 1, above ``quiet[1]`` the model's own,
    linear between. Intervals are calibrated on tempered scores."""
    below, above = quiet
    share = np.clip((above - np.asarray(anomaly, dtype=np.float64)) / (above - below), 0.0, 1.0)
    return np.asarray(score + (1.0 - np.asarray(score, dtype=np.float64)) * share)


def hours_of(score: float, cap_h: float) -> float:
    """The inverse of ``life_score``; scores outside 0..1 give 0 and the cap."""
    return math.expm1(min(max(score, 0.0), 1.0) * math.log1p(cap_h))


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the canonical form. Raises ``ValueError`` for numbers that are not finite."""
    hashed = {key: value for key, value in manifest.items() if key != "hash"}
    canonical = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def save_bundle(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Write the folder (made if missing; other files in it stay) and return the bundle's hash. Same input, same bytes.

    The manifest is written last and renamed into place: a folder whose writing was cut off does not load.
    """
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    full = {"format": FORMAT, **manifest, "files": listed}
    full["hash"] = manifest_hash(full)
    folder.mkdir(parents=True, exist_ok=True)
    if _former_hash(folder) != full["hash"]:
        # A signature stands for one hash: beside another manifest it would only look like tampering.
        (folder / SIGNATURE).unlink(missing_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    part = folder / f"{MANIFEST}.part"
    part.write_text(json.dumps(full, sort_keys=True, indent=1, ensure_ascii=True) + "\n", encoding="ascii")
    part.replace(folder / MANIFEST)
    return str(full["hash"])


def _former_hash(folder: Path) -> object:
    try:
        return _read_manifest(folder).get("hash")
    except BundleError:
        return None


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that a manifest lists."""

    name: str
    size: int
    sha256: str


def read_listing(data: bytes, bundle: str) -> tuple[Listed, ...]:
    """The files of the bundle with the hash ``bundle`` by its manifest, as whoever fetches it asks for them.

    Raises ``BundleError`` for bytes that are not this bundle's manifest.
    """
    hint = "promote it again"
    try:
        manifest = json.loads(data)
        if not isinstance(manifest, dict) or manifest_hash(manifest) != bundle:
            raise BundleError(bundle[:16], "what was sent is another manifest", hint)
        listed = tuple(Listed(str(name), int(e["bytes"]), str(e["sha256"])) for name, e in manifest["files"].items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(bundle[:16], f"what was sent is no manifest: {error!r}", hint) from error
    if not 0 < len(listed) <= _FILES_MAX or not all(_is_file(one.name) for one in listed):
        raise BundleError(bundle[:16], "its manifest lists what is no file of a bundle", hint)
    if any(not 0 <= one.size <= FILE_BYTES_MAX for one in listed):
        raise BundleError(bundle[:16], f"a file of more than {FILE_BYTES_MAX} bytes", hint)
    if sum(one.size for one in listed) > BUNDLE_BYTES_MAX:
        raise BundleError(bundle[:16], f"more than {BUNDLE_BYTES_MAX} bytes together", "train a smaller one")
    return listed


def _is_file(name: str) -> bool:
    """Whether it may name a model's file: no path leads out of the folder, any disk and any address takes it."""
    return _FILE_NAME.fullmatch(name) is not None and name not in (MANIFEST, SIGNATURE)


def load_bundle(folder: Path, *, asset_class: str | None = None) -> Bundle:
    """Read and verify a bundle; ``asset_class`` is what it must be for. Raises ``BundleError``."""
    manifest = _read_manifest(folder)
    where = str(folder)
    version = manifest.get("format")
    if version != FORMAT:
        later = isinstance(version, int) and version > FORMAT
        hint = "update this gateway first" if later else "train it again with `babbitt cloud train`"
        raise BundleError(where, f"bundle format {version!r}, this version reads {FORMAT}", hint)
    if manifest.get("hash") != _hash_of(where, manifest):
        raise BundleError(where, "the manifest was altered: its hash is another", "copy the whole bundle again")
    files = _read_files(folder, manifest)
    try:
        bundle = _assemble(manifest, files)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(where, f"the manifest cannot mean a bundle: {error!r}", "train it again") from error
    if asset_class is not None and bundle.asset_class != asset_class:
        problem = f"made for class {bundle.asset_class!r}, asked to judge {asset_class!r}"
        raise BundleError(where, problem, "name the right bundle in the asset class")
    return bundle


def load_trained(folder: Path, *, asset_class: str | None = None) -> TrainedBundle:
    """The same for what works on the parts of a trained bundle. Raises ``BundleError`` for a customer's own model."""
    bundle = load_bundle(folder, asset_class=asset_class)
    if not isinstance(bundle, TrainedBundle):
        raise BundleError(str(folder), "a customer's own model", "this works on bundles of `babbitt cloud train` only")
    return bundle


def _read_manifest(folder: Path) -> dict[str, Any]:
    data = _read(folder / MANIFEST)
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(str(folder / MANIFEST), f"not JSON: {error}", "copy the whole bundle again") from error
    if not isinstance(manifest, dict):
        raise BundleError(str(folder / MANIFEST), "not a manifest", "copy the whole bundle again")
    return manifest


def _read(path: Path) -> bytes:
    hint = "copy the whole bundle again, or train it with `babbitt cloud train`"
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BundleError(str(path), f"larger than {FILE_BYTES_MAX} bytes", hint)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(str(path), "no such file", hint) from error
    except OSError as error:
        raise BundleError(str(path), f"cannot be read: {error}", hint) from error


def _hash_of(where: str, manifest: Mapping[str, Any]) -> str:
    try:
        return manifest_hash(manifest)
    except ValueError as error:
        raise BundleError(where, f"the manifest holds a number that is none: {error}", "train it again") from error


def _read_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not 0 < len(listed) <= _FILES_MAX:
        raise BundleError(str(folder), "the manifest lists no files", "train it again")
    files: dict[str, bytes] = {}
    for name, entry in listed.items():
        if not _is_file(name) or not isinstance(entry, dict):
            raise BundleError(str(folder), f"{name!r} is no file of a bundle", "train it again")
        data = _read(folder / name)
        if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
            raise BundleError(str(folder / name), "altered: its SHA-256 is not the manifest's", "copy the bundle again")
        files[name] = data
    return files


def _assemble(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    common: dict[str, Any] = {
        "asset_class": str(manifest["asset_class"]),
        "hash": str(manifest["hash"]),
        "created_by": str(manifest["created_by"]),
        "files": dict(files),
        "manifest": dict(manifest),
    }
    if "own" in manifest:
        if len(files) != 1:
            raise ValueError("a bundle of one's own model has one file")
        return OwnBundle(**common, own=own_model(manifest["own"]))
    names = tuple(str(name) for name in manifest["features"]["names"])
    if not 0 < len(names) <= _FEATURES_MAX:
        raise ValueError("no features, or too many")
    life = manifest["life"]
    for part in ("life", "novelty", "familiar"):
        if manifest[part]["model"] not in files:
            raise ValueError(f"the {part} model is not among the files")
    valid = np.stack([_vector(manifest["features"]["valid"][key], len(names)) for key in ("low", "high")])
    return TrainedBundle(
        **common,
        features=dict(manifest["features"]["spec"]),
        names=names,
        valid=valid,
        pace_max_h=_positive(manifest["features"]["pace_max_h"]),
        life_scaling=_scaling(life["scaling"], len(names)),
        life_model=str(life["model"]),
        rul_cap_h=_positive(life["rul_cap_h"]),
        quiet=(_positive(life["quiet"]["below"]), _positive(life["quiet"]["above"])),
        early=_interval(life["early"]),
        established=_interval(life["established"]),
        established_below=_positive(life["established_below"]),
        novelty=_detector(manifest["novelty"], len(names)),
        familiar=_detector(manifest["familiar"], len(names)),
        inner=_inner(life["inner"]) if "inner" in life else None,
        ages=_ages(manifest["ages"]) if "ages" in manifest else None,
    )


def _scaling(data: Mapping[str, Any], size: int) -> Scaling:
    spread = _vector(data["spread"], size)
    if not (spread > 0.0).all():
        raise ValueError("a spread is not positive")
    return Scaling(_vector(data["centre"], size), spread, _positive(data["limit"]))


def _detector(data: Mapping[str, Any], size: int) -> Detector:
    return Detector(
        str(data["model"]),
        _scaling(data["scaling"], size),
        _positive(data["threshold"]),
        tuple(_vector(data.get("healthy", [])).tolist()),
    )


def _interval(data: Mapping[str, Any]) -> Interval:
    at = _vector(data["at"])
    if at.size == 0 or not (np.diff(at) > 0.0).all():
        raise ValueError("the interval's knots do not ascend")
    low, high = _vector(data["low"], at.size), _vector(data["high"], at.size)
    if not ((low >= 0.0).all() and (high >= 0.0).all()):
        raise ValueError("a margin is negative")
    return Interval(_positive(data["coverage"]), at, low, high)


def _inner(data: Mapping[str, Any]) -> Inner:
    levels = _vector(data["levels"])
    places = [_vector(data[name], levels.size) for name in ("early", "established")]
    if not (levels.size and levels[0] > 0.0 and levels[-1] < 1.0 and (np.diff(levels) > 0.0).all()):
        raise ValueError("levels within the interval do not ascend between 0 and 1")
    if any((np.abs(place) > 1.0).any() or (np.diff(place) < 0.0).any() for place in places):
        raise ValueError("places within the interval do not ascend between its ends")
    return Inner(*(tuple(part.tolist()) for part in (levels, *places)))


def _ages(data: Mapping[str, Any]) -> Ages:
    failures, lives = int(data["failures"]), int(data["lives"])
    if not 0 < failures <= lives:
        raise ValueError(f"{failures} failures among {lives} lives")
    shape, scale_h, spread = (_positive(data[name]) for name in ("shape", "scale_h", "spread"))
    return Ages(shape, scale_h, spread, failures, lives)


def _vector(data: Any, size: int | None = None) -> Array:
    vector = np.asarray(data, dtype=np.float64)
    if vector.ndim != 1 or (size is not None and vector.size != size) or not np.isfinite(vector).all():
        raise ValueError(f"wanted {'some' if size is None else size} finite numbers")
    return vector


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < math.inf:
        raise ValueError(f"{value!r} is no positive number")
    return float(value)

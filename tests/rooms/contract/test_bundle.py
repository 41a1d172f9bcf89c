"""A bundle is whole and for this machine, or it is refused with a word on what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.bundle import (
    FORMAT,
    MANIFEST,
    Interval,
    Scaling,
    hours_of,
    life_score,
    load_bundle,
    load_trained,
    manifest_hash,
    read_listing,
    save_bundle,
    tempered,
)
from edge.errors import BundleError

SHIPPED = Path(__file__).resolve().parents[3] / "firmware_profiles/bundles"
CLASSES = ("centrifugal_pump", "cnc_spindle", "extruder_drive")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / "cnc_spindle", tmp_path / "bundle"))


def manifest_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / MANIFEST).read_text()))


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A manifest that someone changed and hashed again: well formed, but wrong."""
    manifest = manifest_of(folder)
    change(manifest)
    manifest["hash"] = manifest_hash(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", CLASSES)
def test_the_shipped_bundles_load_and_say_what_they_are(name: str) -> None:
    bundle = load_bundle(SHIPPED / name, asset_class=name)
    assert bundle.asset_class == name
    assert len(bundle.hash) == 64
    figures = bundle.manifest["figures"]["life"]
    assert figures["int8"]["rmse_h"] < 0.4 * figures["mean_life"]["rmse_h"]
    assert abs(figures["int8"]["rmse_h"] - figures["float"]["rmse_h"]) < 0.1 * figures["float"]["rmse_h"]
    assert 0.88 <= figures["int8"]["coverage_all"] <= 0.93
    assert figures["int8"]["width_below_48_h"] < 0.2 * figures["int8"]["width_above_168_h"]
    assert len(bundle.manifest["trained_on"]["sha256"]) == 64


def test_all_shipped_bundles_together_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 100_000


def test_saving_what_was_loaded_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    bundle = load_bundle(folder)
    plain = {k: v for k, v in bundle.manifest.items() if k not in ("hash", "files", "format")}
    assert save_bundle(tmp_path / "again", plain, bundle.files) == bundle.hash
    for path in (folder / MANIFEST, *(folder / name for name in bundle.files)):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_another_class_is_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match="made for class 'cnc_spindle', asked to judge 'extruder_drive'"):
        load_bundle(folder, asset_class="extruder_drive")


@pytest.mark.parametrize("name", [MANIFEST, "life.int8.tflite", "novelty.int8.tflite", "familiar.int8.tflite"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match="no such file") as error:
        load_bundle(folder)
    assert name in error.value.where
    assert error.value.hint


@given(st.data())
def test_no_altered_byte_of_any_file_passes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted([MANIFEST, *manifest_of(SHIPPED / "cnc_spindle")["files"]])))
    original = (SHIPPED / "cnc_spindle" / name).read_bytes()
    at = data.draw(st.integers(0, len(original) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[at]))
    folder = Path(shutil.copytree(SHIPPED / "cnc_spindle", tmp_path_factory.mktemp("altered") / "bundle"))
    (folder / name).write_bytes(original[:at] + bytes([new]) + original[at + 1 :])
    try:
        bundle = load_bundle(folder)
    except BundleError:
        return
    # White space between JSON's words carries nothing, so it may differ.
    assert name == MANIFEST
    assert json.loads((folder / name).read_text()) == json.loads(original)
    assert bundle.hash == manifest_of(SHIPPED / "cnc_spindle")["hash"]


def test_a_later_format_asks_for_an_update(folder: Path) -> None:
    rewritten(folder, lambda m: m.update(format=FORMAT + 1))
    with pytest.raises(BundleError, match="update this gateway first"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("life"),
        lambda m: m["features"].update(names=[]),
        lambda m: m["features"].update(names="vibration"),
        lambda m: m["features"]["valid"]["low"].pop(),
        lambda m: m["life"]["scaling"]["spread"].__setitem__(0, 0.0),
        lambda m: m["life"]["early"]["at"].reverse(),
        lambda m: m["life"]["established"]["low"].__setitem__(0, -0.1),
        lambda m: m["life"].update(model="novelty.tflite"),
        lambda m: m["life"].update(inner={"levels": [0.5], "early": [0.0], "established": []}),
        lambda m: m["life"].update(inner={"levels": [0.5, 0.1], "early": [0.0, 0.1], "established": [0.0, 0.1]}),
        lambda m: m["life"].update(inner={"levels": [0.1, 0.5], "early": [0.2, 0.1], "established": [0.0, 0.1]}),
        lambda m: m["life"].update(inner={"levels": [0.5], "early": [1.5], "established": [0.0]}),
        lambda m: m.update(ages={"shape": 1.5, "scale_h": 900.0, "spread": 0.3, "failures": 0, "lives": 9}),
        lambda m: m.update(ages={"shape": 1.5, "scale_h": -900.0, "spread": 0.3, "failures": 3, "lives": 9}),
        lambda m: m["novelty"].update(threshold=0.0),
        lambda m: m["novelty"].update(threshold=True),
        lambda m: m.update(files={}),
        lambda m: m["files"].update({"../../etc/passwd": {"sha256": "0" * 64, "bytes": 1}}),
        lambda m: m.update(features=[]),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    rewritten(folder, change)
    with pytest.raises(BundleError):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', "[" * 100_000, '{"format": 1, "life": NaN}'])
def test_what_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError):
        load_bundle(folder)


@given(st.floats(0.0, 2000.0))
def test_life_scores_and_hours_are_inverse_up_to_the_cap(hours: float) -> None:
    score = float(life_score(np.array([hours]), 1000.0)[0])
    assert 0.0 <= score <= 1.0
    assert hours_of(score, 1000.0) == pytest.approx(min(hours, 1000.0), rel=1e-9, abs=1e-9)


def test_scaling_clips_and_intervals_interpolate() -> None:
    scaling = Scaling(np.array([1.0, 0.0]), np.array([2.0, 0.5]), 4.0)
    assert scaling.apply(np.array([5.0, -9.0])).tolist() == [2.0, -4.0]
    interval = Interval(0.9, np.array([0.0, 1.0]), np.array([0.0, 0.2]), np.array([0.1, 0.3]))
    assert interval.around(0.5) == pytest.approx((0.4, 0.7))


def test_a_bundle_tells_how_lives_lie_within_its_interval_or_is_from_before(folder: Path) -> None:
    inner = {"levels": [0.25, 0.5], "early": [-0.5, 0.1], "established": [-0.3, 0.0]}
    rewritten(folder, lambda m: m["life"].update(inner=inner))
    found = load_trained(folder).inner
    assert found is not None
    assert found.as_json() == inner
    rewritten(folder, lambda m: m["life"].pop("inner"))
    assert load_trained(folder).inner is None


def test_a_bundle_tells_what_its_fleet_showed_of_ageing_where_it_showed_any(folder: Path) -> None:
    ages = {"shape": 1.5, "scale_h": 900.0, "spread": 0.3, "failures": 3, "lives": 9}
    assert load_trained(folder).ages is None
    rewritten(folder, lambda m: m.update(ages=ages))
    found = load_trained(folder).ages
    assert found is not None
    assert found.as_json() == ages


def test_without_a_departure_there_is_no_wear() -> None:
    anomaly = np.array([0.1, 0.25, 0.375, 0.5, 3.0])
    assert tempered(np.full(5, 0.4), anomaly, (0.25, 0.5)) == pytest.approx([1.0, 1.0, 0.7, 0.4, 0.4])


def test_what_works_on_the_parts_of_a_bundle_takes_no_model_of_somebody_else(tmp_path: Path) -> None:
    feature = {"tag": "power_kw", "unit": "kW", "low": 0.0, "high": 1.0}
    own = {"outputs": ["anomaly"], "feature": [feature], "anomaly": {"threshold": 1.0}}
    save_bundle(tmp_path, {"asset_class": "cnc_spindle", "created_by": "x", "own": own}, {"own.tflite": b"x"})
    assert load_bundle(tmp_path).tags == ("power_kw",)
    with pytest.raises(BundleError, match="a customer's own model"):
        load_trained(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "a/b", "a\\b", "a\0b", "a\nb", "a?b", "\ud800", "x" * 300, "manifest.json", "signature.json"],
)
def test_what_no_disk_or_address_takes_names_no_file(folder: Path, name: str) -> None:
    entry = {"bytes": 3, "sha256": "00" * 32}
    offered = {"files": {name: entry}}
    with pytest.raises(BundleError, match="no file of a bundle"):
        read_listing(json.dumps(offered).encode(), manifest_hash(offered))
    rewritten(folder, lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(BundleError, match="no file of a bundle"):
        load_bundle(folder)


def test_files_that_are_small_alone_may_be_too_large_together() -> None:
    offered = {"files": {f"{i}.tflite": {"bytes": 4 * 1024 * 1024, "sha256": "00" * 32} for i in range(5)}}
    with pytest.raises(BundleError, match="together"):
        read_listing(json.dumps(offered).encode(), manifest_hash(offered))

"""``babbitt bundle pack`` as a customer meets it: a model of theirs becomes a bundle, or is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner, Result

from cloud.learn.tflite import Dense, export_float, export_int8
from edge.cli import babbitt
from edge.contract.bundle import MANIFEST, OwnBundle, load_bundle
from edge.errors import BundleError
from edge.infer import Judge
from tests.rooms.infer.machines import asset_class, batch

MANIFEST_TOML = """
class = "centrifugal_pump"
created_by = "plant 2"
hour_meter = "hour_meter_h"
outputs = ["rul_h"]

[[feature]]
tag = "vibration_mm_s"
unit = "mm/s"
over_h = 2.0
centre = 2.0
spread = 0.5
low = 1.0
high = 6.0

[[feature]]
tag = "power_kw"
unit = "kW"
low = 0.0
high = 20.0

[life]
cap_h = 1000.0
coverage = 0.9
at_h = [0.0, 500.0]
below_h = [10.0, 100.0]
above_h = [20.0, 200.0]
"""
LAYERS = (Dense(np.array([[-100.0, 0.0]]), np.array([600.0]), relu=False),)
ROWS = np.random.default_rng(1).uniform([-2.0, 0.0], [8.0, 20.0], (500, 2))
MODELS = {"float": export_float(LAYERS, "own"), "int8": export_int8(LAYERS, ROWS, "own")}


def pack(folder: Path, model: bytes, text: str = MANIFEST_TOML, name: str = "pump.tflite") -> Result:
    (folder / name).write_bytes(model)
    (folder / "pump.toml").write_text(text)
    arguments = [str(folder / name), "--manifest", str(folder / "pump.toml"), "-o", str(folder / "bundle"), "--json"]
    return CliRunner().invoke(babbitt, ["bundle", "pack", *arguments])


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_a_model_becomes_a_bundle_that_a_gateway_judges_with(tmp_path: Path, kind: str) -> None:
    result = pack(tmp_path, MODELS[kind])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    bundle = load_bundle(tmp_path / "bundle", asset_class="centrifugal_pump")
    assert isinstance(bundle, OwnBundle)
    assert told["hash"] == bundle.hash
    assert told["takes"] == ["vibration_mm_s [mm/s] over 2 h", "power_kw [kW]"]
    judge = Judge("asset-1", asset_class("centrifugal_pump"), bundle, 200)
    for i in range(100):
        judge.observe(batch({"vibration_mm_s": 3.0, "power_kw": 5.0, "hour_meter_h": 0.5 * i}, i + 1))
    verdict = judge.verdict(0, mono_ns=100 * 200_000_000)
    assert verdict is not None
    assert verdict.rul_h == pytest.approx(400.0, abs=5.0)
    assert verdict.bundle == told["hash"]


def test_words_say_what_was_made_and_what_is_next(tmp_path: Path) -> None:
    pack(tmp_path, MODELS["float"])
    arguments = [str(tmp_path / "pump.tflite"), "--manifest", str(tmp_path / "pump.toml"), "-o", str(tmp_path / "b")]
    output = CliRunner().invoke(babbitt, ["bundle", "pack", *arguments]).output
    assert "takes vibration_mm_s [mm/s] over 2 h, power_kw [kW]" in output
    assert "gives rul_h" in output
    assert "babbitt cloud sign" in output


def of_two_inputs() -> bytes:
    """The float model with its input named twice."""
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(MODELS["float"])
    graph = model.subgraphs[0]
    graph.inputs = [int(graph.inputs[0]), int(graph.inputs[0])]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("model", "text", "problem"),
    [
        (b"no model", MANIFEST_TOML, "LiteRT cannot run it"),
        (MODELS["float"][: len(MODELS["float"]) // 2], MANIFEST_TOML, "LiteRT cannot run it"),
        (of_two_inputs(), MANIFEST_TOML, "the model has 2 inputs, wanted is one"),
        (export_float((Dense(np.ones((1, 3)), np.ones(1), relu=False),), "own"), MANIFEST_TOML, r"takes \(1, 3\)"),
        (
            MODELS["float"],
            MANIFEST_TOML.replace('["rul_h"]', '["rul_h", "-"]'),
            "gives 1 numbers, the manifest names 2",
        ),
        (MODELS["float"], MANIFEST_TOML.replace('unit = "kW"\n', ""), r"pump.toml: .*`feature\[1\].unit`: missing"),
        (MODELS["float"], MANIFEST_TOML.replace('class = "centrifugal_pump"', ""), "`class`: found None, wants a text"),
        (MODELS["float"], MANIFEST_TOML + "threshold = 3\n", "`life.threshold`: no such key; known here: above_h"),
        (MODELS["float"], MANIFEST_TOML.split("[life]")[0], "nothing of what it answers would be used"),
        (MODELS["float"], "outputs = [", "not TOML"),
    ],
)
def test_what_does_not_fit_is_refused_in_words_and_nothing_is_left(
    tmp_path: Path, model: bytes, text: str, problem: str
) -> None:
    result = pack(tmp_path, model, text)
    assert isinstance(result.exception, BundleError)
    assert result.exception.exit_code == 5
    with pytest.raises(BundleError, match=problem):
        raise result.exception
    assert not (tmp_path / "bundle" / MANIFEST).exists()


def test_a_missing_file_and_a_name_of_something_else_are_said(tmp_path: Path) -> None:
    arguments = ["--manifest", str(tmp_path / "none.toml"), "-o", str(tmp_path / "bundle")]
    missing = CliRunner().invoke(babbitt, ["bundle", "pack", str(tmp_path / "none.tflite"), *arguments])
    assert "none.toml: cannot be read: No such file" in str(missing.exception)
    named = pack(tmp_path, MODELS["float"], name="manifest.json")
    assert "not a .tflite file" in str(named.exception)


@pytest.mark.parametrize("name", ["Pump \u00fcber 40 (2).tflite", "x" * 240 + ".tflite", "-.tflite"])
def test_a_name_that_no_address_takes_is_made_plain(tmp_path: Path, name: str) -> None:
    result = pack(tmp_path, MODELS["float"], name=name)
    assert result.exit_code == 0, result.output
    (made,) = load_bundle(tmp_path / "bundle").files
    assert made.endswith("tflite")

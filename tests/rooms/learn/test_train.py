"""The command makes bundles that gateways take, the same from the same seeds, and says how good they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cloud.cli import cloud
from cloud.learn.command import train_all
from cloud.learn.fleet import KINDS, Recipe, simulate
from cloud.learn.job import Job
from cloud.learn.job import run as trained
from cloud.learn.tflite import Dense, export_float, export_int8, forward, run
from edge.contract.bundle import TrainedBundle, load_bundle, save_bundle
from edge.errors import BundleError

SMALL = Recipe(
    life_h=(100.0, 200.0),
    pace_h=(1.5, 2.0),
    healthy_h=(20.0, 60.0),
    never_share=0.1,
    never_h=100.0,
    rows_per_machine=40,
)


def small(seed: int, folder: Path) -> str:
    result = trained(Job("cnc_spindle", machines=80, seed=seed, recipe=SMALL))
    return save_bundle(folder, result.manifest, result.files)


def test_the_same_seeds_give_the_same_bundle_to_the_byte(tmp_path: Path) -> None:
    assert small(1, tmp_path / "a") == small(1, tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert small(2, tmp_path / "c") != load_bundle(tmp_path / "a").hash


def test_what_was_trained_is_what_a_gateway_loads(tmp_path: Path) -> None:
    small(1, tmp_path)
    bundle = load_bundle(tmp_path, asset_class="cnc_spindle")
    assert isinstance(bundle, TrainedBundle)
    trained_on = bundle.manifest["trained_on"]
    assert trained_on["machines"] == {"fitting": 36, "calibration": 28, "test": 16}
    assert trained_on["seed"] == 1
    assert bundle.names == KINDS["cnc_spindle"].spec.names


def test_parts_of_the_split_share_no_machine_and_life_ends_at_zero() -> None:
    fleet = simulate(KINDS["centrifugal_pump"], SMALL, machines=6, seed=3, each=lambda: None)
    assert fleet.machines == 6
    for machine in range(6):
        one = fleet.where(fleet.machine == machine)
        worn = one.rul_h[np.isfinite(one.rul_h)]
        assert (np.diff(worn) <= 0.0).all()
        if worn.size:
            assert worn[-1] == 0.0
            assert one.wear[-1] == 1.0
    assert np.isfinite(fleet.features).all()


def test_too_few_machines_are_refused_with_a_number() -> None:
    with pytest.raises(BundleError, match="too few") as error:
        trained(Job("cnc_spindle", machines=8, recipe=SMALL))
    assert "or more" in error.value.hint


def test_the_command_refuses_an_unknown_class_and_too_small_a_fleet(tmp_path: Path) -> None:
    train = ["train", "--plant", "-o", str(tmp_path)]
    unknown = CliRunner().invoke(cloud, [*train, "--class", "toaster"])
    assert isinstance(unknown.exception, BundleError)
    assert "cnc_spindle" in unknown.exception.hint
    small = CliRunner().invoke(cloud, [*train, "--fleet", "8"])
    assert small.exit_code == 2
    assert "--fleet" in small.output
    assert ">=80" in small.output


@pytest.mark.parametrize("as_json", [True, False])
def test_figures_are_printed_beside_what_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    train_all(["centrifugal_pump"], machines=80, seed=5, folder=tmp_path, as_json=as_json, recipe=SMALL)
    text, bundle = capsys.readouterr().out, load_bundle(tmp_path / "centrifugal_pump")
    if as_json:
        printed = json.loads(text)["centrifugal_pump"]
        assert printed["hash"] == bundle.hash
        assert printed["life"]["int8"]["rmse_h"] < printed["life"]["mean_life"]["rmse_h"]
    else:
        assert bundle.hash[:16] in text
        assert "(mean life)" in text


def test_export_is_deterministic_and_a_channel_without_weights_keeps_its_bias() -> None:
    layers = (Dense(np.array([[1.0, -2.0], [0.0, 0.0]]), np.array([0.5, 3.0]), relu=False),)
    rows = np.random.default_rng(4).uniform(-1.0, 1.0, (50, 2))
    assert export_int8(layers, rows, "a") == export_int8(layers, rows, "a")
    for model in (export_float(layers, "a"), export_int8(layers, rows, "a")):
        assert run(model, rows) == pytest.approx(forward(layers, rows), abs=0.05)

"""A customer's own model judges like any other: with reasons, an interval, and a word where not to believe it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud.learn.tflite import Dense, export_float, export_int8
from edge.contract.bundle import OwnBundle, load_bundle, save_bundle
from edge.contract.own import Unfit, own_model
from edge.contract.types import Tag, Urgency, Verdict
from edge.errors import BundleError
from edge.infer import Judge
from edge.infer.own import Own
from edge.infer.sensors.spec import spec_of
from tests.rooms.infer.machines import asset_class, batch

LIFE = {
    "hour_meter": "hour_meter_h",
    "outputs": ["rul_h", "health"],
    "feature": [
        {"tag": "vibration_mm_s", "unit": "mm/s", "over_h": 2.0, "centre": 2.0, "spread": 0.5, "low": 1.0, "high": 6.0},
        {"tag": "power_kw", "unit": "kW", "low": 0.0, "high": 20.0},
    ],
    "life": {
        "cap_h": 1000.0, "coverage": 0.9, "at_h": [0.0, 500.0], "below_h": [10.0, 100.0], "above_h": [20.0, 200.0],
    },
}  # fmt: skip
"""Life is 600 h at a vibration of 2 mm/s and 100 h less for each 0.5 mm/s more; health is 1, and 0.1 less for each."""
LAYERS = (Dense(np.array([[-100.0, 0.0], [-0.1, 0.0]]), np.array([600.0, 1.0]), relu=False),)
ANOMALY = {
    "hour_meter": "hour_meter_h",
    "outputs": ["inputs"],
    "feature": LIFE["feature"],
    "anomaly": {"threshold": 2.0},
}
# Gives back nothing: its error is what it was fed.
MIRROR = (Dense(np.zeros((2, 2)), np.zeros(2), relu=False),)
CALIBRATION = np.random.default_rng(1).uniform([-2.0, 0.0], [8.0, 20.0], (500, 2))


def bundle_of(folder: Path, own: dict[str, Any], model: bytes) -> OwnBundle:
    manifest = {"asset_class": "centrifugal_pump", "created_by": "a customer", "own": own}
    save_bundle(folder, manifest, {"own.tflite": model})
    bundle = load_bundle(folder, asset_class="centrifugal_pump")
    assert isinstance(bundle, OwnBundle)
    return bundle


def judge(folder: Path, own: dict[str, Any], model: bytes) -> Judge:
    return Judge("asset-1", asset_class("centrifugal_pump"), bundle_of(folder, own, model), 200)


def fed(judge: Judge, polls: int, vibration: float, power: float = 5.0, *, start: int = 0) -> Verdict:
    """A poll every half an hour of the meter."""
    for i in range(start, start + polls):
        values = {"vibration_mm_s": vibration, "power_kw": power, "hour_meter_h": 0.5 * i}
        judge.observe(batch({k: v for k, v in values.items() if v is not None}, i + 1))
    verdict = judge.verdict(0, mono_ns=(start + polls) * 200_000_000)
    assert verdict is not None
    return verdict


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_a_life_model_alone_gives_life_with_its_interval(tmp_path: Path, kind: str) -> None:
    # int8 has one scale for all outputs: hours and a share of 1 do not go together in one model.
    alone = {**LIFE, "outputs": ["rul_h"]}, (Dense(LAYERS[0].weights[:1], LAYERS[0].bias[:1], relu=False),)
    own, layers = (LIFE, LAYERS) if kind == "float" else alone
    model = export_float(layers, "own") if kind == "float" else export_int8(layers, CALIBRATION, "own")
    verdict = fed(judge(tmp_path, own, model), 200, 3.0)
    assert verdict.rul_h == pytest.approx(400.0, abs=5.0)
    assert verdict.rul_low_h == pytest.approx(400.0 - 82.0, abs=6.0)
    assert verdict.rul_high_h == pytest.approx(400.0 + 164.0, abs=8.0)
    assert verdict.health == (pytest.approx(80.0, abs=2.0) if kind == "float" else None)
    assert verdict.urgency is Urgency.NORMAL
    assert verdict.anomaly is None
    assert verdict.note == ""
    assert verdict.bundle == load_bundle(tmp_path).hash


def test_an_anomaly_model_alone_gives_an_anomaly_and_no_life(tmp_path: Path) -> None:
    verdict = fed(judge(tmp_path, ANOMALY, export_float(MIRROR, "own")), 300, 5.0, power=0.0)
    # Fed are (5 - 2) / 0.5 = 6 and 0, given back is nothing: sqrt(36 / 2) over the threshold of 2.
    assert verdict.anomaly == pytest.approx(np.sqrt(18.0) / 2.0, rel=1e-3)
    assert verdict.rul_h is None
    assert verdict.urgency is Urgency.UNKNOWN
    assert [reason.tag for reason in verdict.reasons] == ["vibration_mm_s"]


def test_beyond_its_training_it_says_so_cuts_and_widens(tmp_path: Path) -> None:
    """At 9 mm/s a straight line would say -800 h; what it was trained on ends at 6, where it says 0."""
    model = export_float(LAYERS, "own")
    within = fed(judge(tmp_path, LIFE, model), 200, 5.9)
    beyond = fed(judge(tmp_path, LIFE, model), 200, 9.0)
    sideways = fed(judge(tmp_path, LIFE, model), 200, 3.0, power=25.0)
    assert "outside" not in within.note
    assert "outside what the model was trained on (vibration)" in beyond.note
    assert "outside what the model was trained on (power)" in sideways.note
    assert beyond.rul_h == pytest.approx(0.0, abs=0.1)
    inside = fed(judge(tmp_path, LIFE, model), 200, 3.0)
    widths = [v.rul_high_h - v.rul_low_h for v in (sideways, inside) if v.rul_high_h and v.rul_low_h]
    assert widths[0] == pytest.approx(1.5 * widths[1], rel=0.01)


def test_too_little_evidence_is_said(tmp_path: Path) -> None:
    model = export_float(LAYERS, "own")
    early = fed(judge(tmp_path, LIFE, model), 3, 3.0)
    assert early.rul_h is None
    assert early.note == "not enough evidence: vibration followed for 1.0 of 2 h"
    mute = judge(tmp_path, LIFE, model)
    for i in range(20):
        mute.observe(batch({"vibration_mm_s": 3.0, "hour_meter_h": 0.5 * i}, i + 1))
    said = mute.verdict(0, mono_ns=20 * 200_000_000)
    assert said is not None
    assert said.note == "not enough evidence: no good reading of power"
    for i in range(20, 60):
        mute.observe(batch({"vibration_mm_s": float("nan"), "power_kw": 5.0, "hour_meter_h": 0.5 * i}, i + 1))
    said = mute.verdict(0, mono_ns=60 * 200_000_000)
    assert said is not None
    assert said.note == "not enough evidence: no good reading of vibration for 20 h"


def test_a_model_in_other_units_than_the_asset_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, LIFE, export_float(LAYERS, "own"))
    units = Tag("vibration_mm_s", "in/s", "vibration", "vibration", 2), Tag("power_kw", "kW", "power", "power", 2)
    spec = spec_of(asset_class("centrifugal_pump"), units)
    with pytest.raises(BundleError, match="takes vibration_mm_s in mm/s, the asset gives it in in/s"):
        Judge("asset-1", asset_class("centrifugal_pump"), bundle, 200, spec)


def test_a_sensor_that_is_not_believed_stops_it(tmp_path: Path) -> None:
    own = Own(bundle_of(tmp_path, LIFE, export_float(LAYERS, "own")))
    for i in range(20):
        own.observe({"vibration_mm_s": 3.0, "power_kw": 5.0, "hour_meter_h": 0.5 * i}, 0, i)
    assert own.opine().life is not None
    own.doubt(frozenset({"power_kw", "flow_m3_h"}))
    assert own.opine().note == "not enough evidence: power not believed, and the model cannot do without"
    own.doubt(frozenset())
    assert own.opine().life is not None


def test_a_restart_changes_no_bit(tmp_path: Path) -> None:
    model = export_int8(LAYERS, CALIBRATION, "own")
    whole, first = judge(tmp_path, LIFE, model), judge(tmp_path, LIFE, model)
    fed(whole, 30, 3.0)
    fed(first, 30, 3.0)
    second = judge(tmp_path, LIFE, model)
    assert second.restore(first.state())
    assert fed(second, 40, 4.0, start=30) == fed(whole, 40, 4.0, start=30)


@pytest.mark.parametrize("hour_meter", ["hour_meter_h", ""])
def test_whoever_has_the_readings_judges_again_to_the_bit(tmp_path: Path, hour_meter: str) -> None:
    own = {**LIFE, "hour_meter": hour_meter}
    bundle = bundle_of(tmp_path, own, export_int8(LAYERS, CALIBRATION, "own"))
    first = Judge("asset-1", asset_class("centrifugal_pump"), bundle, 200)
    fed(first, 30, 3.0)
    second = Judge.resumed(first.checkpoint(), lambda _: bundle)
    assert fed(second, 40, 4.0, start=30) == fed(first, 40, 4.0, start=30)
    assert json.loads(second.checkpoint())["state"]["mind"] == json.loads(first.checkpoint())["state"]["mind"]


def test_state_of_another_bundle_is_not_taken_over(tmp_path: Path) -> None:
    first = judge(tmp_path / "a", LIFE, export_float(LAYERS, "own"))
    fed(first, 30, 3.0)
    assert not judge(tmp_path / "b", LIFE, export_int8(LAYERS, CALIBRATION, "own")).restore(first.state())


def test_without_an_hour_meter_the_clock_counts_and_a_reboot_is_no_time(tmp_path: Path) -> None:
    own = {**LIFE, "hour_meter": ""}
    counting = judge(tmp_path, own, export_float(LAYERS, "own"))
    for i in range(40_000):
        counting.observe(batch({"vibration_mm_s": 3.0, "power_kw": 5.0}, i + 1))
        if i == 20_000:
            counting.observe(batch({"vibration_mm_s": 3.0, "power_kw": 5.0}, 1))
    said = counting.verdict(0, mono_ns=40_000 * 200_000_000)
    assert said is not None
    # 40,000 polls of 0.2 s are 2.2 h, and the hour that a gap counts at most when the clock returns.
    assert said.rul_h == pytest.approx(400.0, abs=1.0)


@pytest.mark.parametrize(
    ("layers", "own", "problem"),
    [
        ((Dense(np.zeros((2, 3)), np.zeros(2), relu=False),), LIFE, r"takes \(1, 3\)"),
        ((Dense(np.zeros((3, 2)), np.zeros(3), relu=False),), LIFE, "gives 3 numbers, the manifest names 2"),
        ((Dense(np.full((2, 2), np.nan), np.zeros(2), relu=False),), LIFE, "no number within its own ranges"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_words(
    tmp_path: Path, layers: tuple[Dense, ...], own: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BundleError, match=problem):
        judge(tmp_path, own, export_float(layers, "own"))


def changed(path: str, value: object) -> dict[str, Any]:
    own: dict[str, Any] = copy.deepcopy(LIFE)
    *way, last = path.split(".")
    at: Any = own
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return own


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("life", None, "neither"),
        ("outputs", ["health"], "belong together"),
        ("outputs", ["rul_h", "rul_h"], "each once at most"),
        ("outputs", ["rul_h", "anomaly"], "anomaly"),
        ("outputs", [], "a list of texts"),
        ("feature", [], "wants 1 to 1024"),
        ("feature.0.unit", None, r"`feature\[0\].unit`: missing"),
        ("feature.0.spread", 0.0, r"`feature\[0\].spread`: found 0.0, wants a positive number"),
        ("feature.1.low", 30.0, "wants less than high"),
        ("feature.1.over_h", -1.0, "0 to 10000 hours"),
        ("feature.1.lowest", 1.0, "`feature\\[1\\].lowest`: no such key; known here: centre"),
        ("life.at_h", [5.0, 1.0], "wants to ascend"),
        ("life.below_h", [5.0], "as many numbers each"),
        ("life.above_h", [1.0, -2.0], "0 or more"),
        ("life.coverage", 90.0, "a share below 1"),
        ("life.cap_h", True, "wants a positive number"),
        ("life", [1], "wants a table"),
    ],
)
def test_a_manifest_that_cannot_be_used_names_the_key(path: str, value: object, problem: str) -> None:
    with pytest.raises(Unfit, match=problem):
        own_model(changed(path, value))


def test_neither_life_nor_anomaly_is_refused() -> None:
    with pytest.raises(Unfit, match="neither"):
        own_model({"outputs": ["-"], "feature": LIFE["feature"]})


def test_what_is_read_survives_json() -> None:
    assert own_model(json.loads(json.dumps(LIFE))).features == own_model(LIFE).features

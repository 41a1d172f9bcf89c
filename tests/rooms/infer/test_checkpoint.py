"""A checkpoint carries a judge to another machine: whoever has it and the polls after it judges the same to the bit."""

from __future__ import annotations

import json

import pytest

from edge.contract.types import Quality
from edge.errors import BundleError
from edge.infer import Judge
from tests.rooms.infer.machines import PERIOD_MS, PERIOD_NS, asset_class, batch, bundle, watched


@pytest.mark.parametrize("stop_h", [5.0, 250.0])
def test_judging_goes_on_from_a_checkpoint_to_the_bit(stop_h: float) -> None:
    asset = watched("extruder_drive", 8, life_h=350.0, onset_h=140.0)
    list(asset.verdicts(until_h=stop_h))
    twin = Judge.resumed(asset.judge.checkpoint(), lambda _: bundle("extruder_drive"))
    for _ in range(40):
        twin.observe(asset.poll())
        assert asset.verdict() == twin.verdict(0, mono_ns=asset.polls * PERIOD_NS)
    assert twin.checkpoint() == asset.judge.checkpoint()
    assert (twin.polls, twin.first_ns, twin.last_ns) == (asset.polls, PERIOD_NS, asset.polls * PERIOD_NS)


def test_one_without_a_bundle_holds_what_a_part_of_the_asset_said_last() -> None:
    judge = Judge("asset-1", asset_class("cnc_spindle"), None, PERIOD_MS)
    for n in range(300):
        judge.observe(batch({"a": n % 7, "b": 0.1 * (n % 5)}, 2 * n))
        judge.observe(batch({"c": n % 3, "state": "on"}, 2 * n + 1))
    twin = Judge.resumed(judge.checkpoint(), lambda _: pytest.fail("there is no bundle"))
    for n in range(300, 330):
        for one in (judge, twin):
            one.observe(batch({"a": n % 7, "b": 0.1}, 2 * n, bad=("b",)))
        assert judge.verdict(n, mono_ns=2 * n * PERIOD_NS) == twin.verdict(n, mono_ns=2 * n * PERIOD_NS)
    assert Quality.BAD_BUS in batch({"b": 1.0}, 1, bad=("b",)).quality


@pytest.mark.parametrize("broken", ["{}", "[]", "null", "nonsense", '{"class": 1}'])
def test_what_is_no_checkpoint_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        Judge.resumed(broken, lambda _: bundle("cnc_spindle"))


def test_one_of_another_version_or_without_its_bundle_is_refused() -> None:
    asset = watched("cnc_spindle", 8)
    asset.poll()
    kept = json.loads(asset.judge.checkpoint())
    kept["state"]["version"] = 99
    with pytest.raises(ValueError, match="another version"):
        Judge.resumed(json.dumps(kept), lambda _: bundle("cnc_spindle"))

    def missing(wanted: str) -> None:
        raise BundleError(wanted, "not here")

    with pytest.raises(BundleError, match=bundle("cnc_spindle").hash):
        Judge.resumed(asset.judge.checkpoint(), missing)  # type: ignore[arg-type]

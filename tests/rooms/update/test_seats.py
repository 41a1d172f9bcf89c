"""Which bundle judges an asset: the configured one if it is to be trusted, else the last good one, loudly."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from edge.config.site import load_site
from edge.contract.bundle import MANIFEST
from edge.errors import BundleError, ConfigError
from edge.trust import trust_of
from edge.update import Seats, Shelf
from edge.update.seats import Judging, Seat
from tests import signed

SITE = """
profiles = "own"
[gateway]
id = "gw"
[[line]]
name = "tcp"
kind = "modbus-tcp"
[[asset]]
id = "spindle-1"
class = "cnc_spindle"
unit = [{ line = "tcp", profile = "plant-spindle" }]
[[asset]]
id = "oven-1"
unit = [{ line = "tcp", unit = 2, profile = "plant-pump" }]
"""


class Plant:
    """A site with a bundle and a key of its own."""

    def __init__(self, folder: Path) -> None:
        self.site, self.bundle = folder / "site.toml", folder / "own/bundles/cnc_spindle"
        self.site.write_text(SITE)
        self.key = signed.key(folder / "own/keys", "plant")
        self.hash = signed.bundle(self.bundle, self.key)

    def seats(self) -> Seats:
        site = load_site(self.site)
        return Seats(site, Shelf(self.site.parent / "var/bundles", trust_of(site).check))


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def judged_by(seats: Seats) -> str:
    bundle = seats.bundle_for("spindle-1")
    assert bundle is not None
    return bundle.hash


def test_what_is_configured_judges_and_is_kept_for_worse_days(plant: Plant) -> None:
    seats = plant.seats()
    assert judged_by(seats) == plant.hash
    assert seats.bundle_for("oven-1") is None
    assert seats.trouble == {}
    assert plant.seats().judging.good == {"cnc_spindle": plant.hash}
    assert seats.shelf.load(plant.hash, "cnc_spindle").hash == plant.hash


def unsigned(plant: Plant) -> None:
    (plant.bundle / "signature.json").unlink()


def altered(plant: Plant) -> None:
    model = plant.bundle / "life.int8.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")


def gone(plant: Plant) -> None:
    (plant.bundle / MANIFEST).unlink()


def foreign(plant: Plant) -> None:
    shutil.rmtree(plant.bundle)
    signed.bundle(plant.bundle, signed.key(plant.site.parent, "theirs"), created_by="them")


def of_another_class(plant: Plant) -> None:
    shutil.rmtree(plant.bundle)
    signed.bundle(plant.bundle, plant.key, "centrifugal_pump")


SPOILT = [
    (unsigned, "is not signed"), (altered, "altered"), (gone, "no such file"), (foreign, "does not trust"),
    (of_another_class, "made for class 'centrifugal_pump'"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
def test_a_bad_one_leaves_the_last_good_one_judging_and_says_so(
    plant: Plant, spoil: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    judged_by(plant.seats())
    assert callable(spoil)
    spoil(plant)
    seats = plant.seats()
    assert judged_by(seats) == plant.hash
    assert said in seats.trouble["spindle-1"]
    assert "the last good one" in caplog.text


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
def test_a_bad_one_stops_the_start_where_there_never_was_a_good_one(plant: Plant, spoil: object, said: str) -> None:
    assert callable(spoil)
    spoil(plant)
    with pytest.raises(BundleError, match=said):
        judged_by(plant.seats())


def test_a_bundle_from_the_cloud_that_was_lost_gives_way_to_the_configured_one(plant: Plant) -> None:
    seats = plant.seats()
    other = plant.site.parent / "other"
    promoted = signed.bundle(other, plant.key, created_by="the cloud")
    seats.shelf.keep(seats.shelf.take(other, "cnc_spindle"), other)
    seats.update(partial(Judging.seated, asset="spindle-1", seat=Seat(promoted, "rollout 1")))
    assert judged_by(plant.seats()) == promoted
    model = seats.shelf.folder / promoted / "life.int8.tflite"
    model.write_bytes(b"rot" + model.read_bytes()[3:])
    again = plant.seats()
    assert judged_by(again) == plant.hash
    assert "what the cloud gave is lost" in again.trouble["spindle-1"]
    assert not again.shelf.holds(promoted, "cnc_spindle"), "so that it is fetched anew"
    assert again.judging.seat("spindle-1") == Seat()


def test_named_keys_are_the_only_ones(plant: Plant) -> None:
    text = SITE.replace('id = "gw"', 'id = "gw"\nbundle_keys = ["only.pub"]')
    plant.site.write_text(text)
    with pytest.raises(ConfigError, match=r"only\.pub"):
        plant.seats()
    only = signed.key(plant.site.parent, "only")
    with pytest.raises(BundleError, match="does not trust"):
        judged_by(plant.seats())
    shutil.rmtree(plant.bundle)
    bundle = signed.bundle(plant.bundle, only)
    assert judged_by(plant.seats()) == bundle


def test_what_nobody_needs_is_removed(plant: Plant) -> None:
    seats = plant.seats()
    judged_by(seats)
    (seats.shelf.folder / ("ab" * 32)).mkdir()
    (seats.shelf.folder / f"{'cd' * 32}.coming").mkdir()
    seats.sweep()
    assert sorted(path.name for path in seats.shelf.folder.iterdir()) == sorted([plant.hash, "judging.json"])


def test_a_file_that_is_none_stops_no_start(plant: Plant) -> None:
    judged_by(plant.seats())
    (plant.site.parent / "var/bundles/judging.json").write_bytes(b"\xff{")
    assert judged_by(plant.seats()) == plant.hash

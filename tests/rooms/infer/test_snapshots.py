"""Snapshots of vibration in a verdict: a damaged part is named in words, by what a mechanic can check."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edge.config.nameplate import Bearing, Geometry, Nameplate, Service
from edge.contract.types import Batch, Quality, Verdict, Waveform
from edge.features.bearing import Place
from edge.infer import Judge
from tests.rooms.features import strikes as made
from tests.rooms.infer.machines import asset_class

GEOMETRY = Geometry(balls=9, ball_mm=7.94, pitch_mm=39.04)
SERVICE = Service(nameplate=Nameplate(bearing=Bearing(c_kn=14.0, rpm=1772.0, geometry=GEOMETRY)))
RPM = 60.0 * made.SHAFT_HZ
SECOND_NS = 1_000_000_000


def judge(service: Service = SERVICE, *, rpm: float | None = RPM) -> Judge:
    """One that has been polled once, at ``rpm``."""
    new = Judge("asset-1", asset_class("centrifugal_pump"), None, 1000, service=service)
    quality = Quality.GOOD if rpm is not None else Quality.BAD_BUS
    new.observe(Batch("asset-1", ("speed_rpm",), (rpm,), (quality,), (0,), SECOND_NS, SECOND_NS))
    return new


def snapshot(place: Place | None, number: int, *, unit: str = "g", tag: str = "front") -> Waveform:
    if place is None:
        samples = np.random.default_rng(number).standard_normal(made.SIZE)
    else:
        carried_hz = made.SHAFT_HZ * made.BEARING.modulation(place)
        hz = made.SHAFT_HZ * made.BEARING.order(place)
        samples = made.strikes(hz, snr_db=0.0, seed=number, carried_hz=carried_hz)
    at_ns = number * SECOND_NS
    return Waveform("asset-1", tag, unit, at_ns, at_ns, True, made.RATE_HZ, samples.astype(np.float32))


def verdict(of: Judge) -> Verdict:
    found = of.verdict(100 * SECOND_NS, mono_ns=SECOND_NS)
    assert found is not None
    return found


def test_a_damaged_race_is_named_once_two_snapshots_agree() -> None:
    one = judge()
    one.observe_waveform(snapshot(Place.OUTER, 1))
    assert verdict(one).reasons == ()
    one.observe_waveform(snapshot(Place.OUTER, 2))
    (reason,) = verdict(one).reasons
    assert reason.tag == "front"
    assert reason.words.startswith("outer race of the bearing: envelope peak at 3.58 x speed with ")
    assert reason.since_ns == SECOND_NS


def test_one_odd_snapshot_neither_names_nor_clears() -> None:
    one = judge()
    for place, number in ((None, 1), (Place.INNER, 2), (None, 3)):
        one.observe_waveform(snapshot(place, number))
    assert verdict(one).reasons == ()
    for place, number in ((Place.INNER, 4), (Place.INNER, 5), (None, 6)):
        one.observe_waveform(snapshot(place, number))
    assert "inner race" in verdict(one).reasons[0].words
    one.observe_waveform(snapshot(None, 7))
    assert verdict(one).reasons == ()


@pytest.mark.parametrize("service", [Service(), Service(nameplate=Nameplate(bearing=Bearing(c_kn=14.0, rpm=1772.0)))])
def test_without_a_geometry_nothing_is_said(service: Service) -> None:
    one = judge(service)
    for number in (1, 2):
        one.observe_waveform(snapshot(Place.OUTER, number))
    assert verdict(one).reasons == ()


def test_without_a_speed_nothing_is_said() -> None:
    one = judge(rpm=None)
    for number in (1, 2):
        one.observe_waveform(snapshot(Place.OUTER, number))
    assert verdict(one).reasons == ()


def test_a_unit_that_is_not_declared_is_said_and_spoils_nothing() -> None:
    one = judge()
    one.observe_waveform(snapshot(Place.OUTER, 1))
    one.observe_waveform(snapshot(Place.OUTER, 2, unit=""))
    assert "front: its unit is not declared" in verdict(one).note
    one.observe_waveform(snapshot(Place.OUTER, 3))
    assert "unit" not in verdict(one).note
    assert len(verdict(one).reasons) == 1


def test_a_snapshot_of_nothing_is_passed_over() -> None:
    one = judge()
    dead = replace(snapshot(None, 1), samples=np.full(made.SIZE, np.nan, np.float32))
    for wave in (dead, replace(dead, samples=np.zeros(0, np.float32)), replace(dead, samples=np.zeros(10, np.int16))):
        one.observe_waveform(wave)
    assert verdict(one).reasons == ()


def test_a_restart_goes_on_where_it_was() -> None:
    one = judge()
    one.observe_waveform(snapshot(Place.OUTER, 1))
    twin = judge()
    assert twin.restore(one.state())
    again = Judge.resumed(one.checkpoint(), lambda _: pytest.fail("it has no bundle"))
    for each in (one, twin, again):
        each.observe_waveform(snapshot(Place.OUTER, 2))
    assert verdict(one) == verdict(twin) == verdict(again)
    assert one.state() == twin.state() == again.state()


def test_a_judge_that_never_saw_a_snapshot_keeps_nothing_of_them() -> None:
    assert "snapshots" not in json.loads(judge().state())


def test_sensors_are_bounded() -> None:
    one = judge()
    wave = snapshot(None, 1)
    for i in range(40):
        one.observe_waveform(replace(wave, tag=f"sensor_{i}"))
    assert len(json.loads(one.state())["snapshots"]["said"]) == 16

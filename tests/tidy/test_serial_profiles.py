"""Every shipped profile of a serial line reads its own samples as it says, cut from the stream by the real framer."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.profiles import load_profile
from edge.config.profiles.serial import AnySerial, SerialProfile, SerialSample, StreamProfile, as_bytes
from edge.config.site import profiles_root
from edge.drivers.serial_framer import Framer
from edge.drivers.serial_messages import Reader, request_bytes
from edge.ports import Answer

FILES = [
    path for path in sorted((profiles_root() / "devices").glob("*.toml"))
    if isinstance(load_profile(path), SerialProfile | StreamProfile)
]  # fmt: skip


def said(profile: AnySerial, sample: SerialSample) -> dict[str, Answer]:
    """The answers to ``sample`` by tag, each byte fed alone."""
    framer, reader = Framer(profile.frame), Reader(profile, sample.unit)
    answers: dict[str, Answer] = {}
    for byte in as_bytes(sample.receives):
        for message in framer.feed(bytes((byte,)), 0):
            found = reader.read(message)
            assert found is not None, f"{message!r} is none of its messages"
            answers |= {profile.point[i].tag: a for i, a in zip(found.places, found.answers, strict=True)}
    return answers


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_cover_every_point_and_decode_to_their_values(path: Path) -> None:
    profile = load_profile(path)
    assert isinstance(profile, SerialProfile | StreamProfile)
    seen: set[str] = set()
    for sample in profile.sample:
        answers = said(profile, sample)
        assert {tag for tag, answer in answers.items() if answer.quality.is_bad} == set(sample.bad)
        values = {tag: answer.value for tag, answer in answers.items() if not answer.quality.is_bad}
        assert set(values) == set(sample.values)
        for tag, value in values.items():
            stated = sample.values[tag]
            assert value == (stated if isinstance(stated, str | bool) else pytest.approx(stated, rel=1e-12)), tag
        seen |= set(values)
    assert seen == {point.tag for point in profile.point}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_sample_sends_is_a_request_of_its_profile(path: Path) -> None:
    profile = load_profile(path)
    assert isinstance(profile, SerialProfile | StreamProfile)
    for sample in profile.sample:
        asked = profile.message if isinstance(profile, SerialProfile) else ()
        requests = {request_bytes(message, profile.frame, sample.unit) for message in asked}
        assert (as_bytes(sample.sends) in requests) == isinstance(profile, SerialProfile)

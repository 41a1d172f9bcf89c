"""Every shipped profile of a serial or BACnet device reads its own samples as it says, by its driver's own decoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.profiles import load_profile
from edge.config.profiles.bacnet import BacnetProfile, BacnetSample
from edge.config.profiles.serial import SerialProfile, SerialSample, StreamProfile, as_bytes
from edge.config.site import profiles_root
from edge.drivers.samples import decode_sample
from edge.drivers.serial_framer import Framer

Proved = SerialProfile | StreamProfile | BacnetProfile
FILES = [p for p in sorted((profiles_root() / "devices").glob("*.toml")) if isinstance(load_profile(p), Proved)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_cover_every_point_and_decode_to_their_values(path: Path) -> None:
    profile = load_profile(path)
    assert isinstance(profile, Proved)
    seen: set[str] = set()
    samples: tuple[SerialSample | BacnetSample, ...] = profile.sample
    for sample in samples:
        answers = decode_sample(profile, sample)
        assert answers is not None
        assert {tag for tag, answer in answers.items() if answer.quality.is_bad} == set(sample.bad)
        values = {tag: answer.value for tag, answer in answers.items() if not answer.quality.is_bad}
        assert set(values) == set(sample.values)
        for tag, value in values.items():
            stated = sample.values[tag]
            assert value == (stated if isinstance(stated, str | bool) else pytest.approx(stated, rel=1e-12)), tag
        seen |= set(values)
    assert seen == {point.tag for point in profile.point}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_of_serial_lines_may_come_byte_by_byte(path: Path) -> None:
    profile = load_profile(path)
    if isinstance(profile, BacnetProfile):
        return
    assert isinstance(profile, SerialProfile | StreamProfile)
    for sample in profile.sample:
        whole, piecewise = Framer(profile.frame), Framer(profile.frame)
        pieces = [bytes((byte,)) for byte in as_bytes(sample.receives)]
        assert [m for one in pieces for m in piecewise.feed(one, 0)] == whole.feed(b"".join(pieces), 0)

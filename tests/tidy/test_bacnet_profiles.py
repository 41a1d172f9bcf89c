"""Every shipped profile of a BACnet device reads its own samples as it says, decoded as the driver decodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from bacpypes3.apdu import APDU, APCISequence
from bacpypes3.pdu import PDU

from edge.config.profiles import load_profile
from edge.config.profiles.bacnet import BacnetProfile
from edge.config.site import profiles_root
from edge.drivers.bacnet_reading import answer_in, ref_of, said_by

FILES = [p for p in sorted((profiles_root() / "devices").glob("*.toml")) if isinstance(load_profile(p), BacnetProfile)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_cover_every_point_and_decode_to_their_values(path: Path) -> None:
    profile = load_profile(path)
    assert isinstance(profile, BacnetProfile)
    seen: set[str] = set()
    for sample in profile.sample:
        said = said_by(APCISequence.decode(APDU.decode(PDU(bytes.fromhex(sample.answer)))))
        answers = {point.tag: answer_in(said, point) for point in profile.point if ref_of(point) in said}
        assert {tag for tag, answer in answers.items() if answer.quality.is_bad} == set(sample.bad)
        values = {tag: answer.value for tag, answer in answers.items() if not answer.quality.is_bad}
        assert values == sample.values
        seen |= set(values)
    assert seen == {point.tag for point in profile.point}

"""`babbitt profile check` proves samples of serial and BACnet profiles as their drivers decode."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.commission.profile_check import check_profile
from edge.config.site import profiles_root
from edge.drivers.samples import decode_sample

DEVICES = profiles_root() / "devices"
ALTERED = [
    ("mettler-toledo-sics", "weight_kg = 0.1,", "weight_kg = 0.2,", "says 0.2, the message decodes to 0.1"),
    ("mettler-toledo-sics", 'receives = "S +\\r\\n"', 'receives = "S + \\r\\n"', "is none of its messages"),
    ("mettler-toledo-sics", 'sends = "TA\\r\\n"', 'sends = "TX\\r\\n"', "which is no request of the profile"),
    (
        "airmar-200wx",
        "air_c = 22.3, humidity_percent",
        "wind = 1.0, humidity_percent",
        "the sample says nothing of it",
    ),
    ("airmar-200wx", 'receives = "$WIMWV,214.8', 'receives = "$WIMWV,214.9', "1 wrong checksums"),
    ("airmar-200wx", "scale = 1000.0", "scale = 100.0", "says 1015.5, the message decodes to 101."),
    ("abb-ach580-bypass", 'answer = "30', 'answer = "20', "is no acknowledged ReadPropertyMultiple"),
    ("abb-ach580-bypass", 'bypass_mode = "auto"', 'bypass_mode = "hand"', "says hand, the message decodes to auto"),
]


@pytest.mark.parametrize("name", sorted({name for name, *_ in ALTERED} | {"honeywell-xenon-1900"}))
def test_shipped_profiles_are_sound_and_prove_every_point(name: str) -> None:
    checked = check_profile(DEVICES / f"{name}.toml", decode_sample)
    assert (checked.problems, checked.proved) == ((), checked.points)


@pytest.mark.parametrize(("name", "old", "new", "words"), ALTERED)
def test_a_sample_that_its_profile_does_not_bear_out_is_told(
    tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    text = (DEVICES / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    checked = check_profile(path, decode_sample)
    assert any(problem.wrong and words in problem.problem for problem in checked.problems), checked.problems

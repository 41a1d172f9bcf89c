"""Everything that is wrong with a profile is said at once, each with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.commission.profile_check import Checked, check_profile
from edge.config.site import profiles_root
from edge.drivers.samples import decode_sample

GOOD = """
[device]
id = "meter"
products = ["A meter"]
source = "its manual"

[[point]]
tag = "a"
function = 3
address = 0
type = "uint16"

[[sample]]
request = "0300000001"
response = "03020005"

[sample.values]
a = 5
"""


def checked(folder: Path, text: str, name: str = "meter") -> Checked:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return check_profile(path, decode_sample)


def keys(found: Checked, *, wrong: bool = True) -> list[str]:
    return [problem.key for problem in found.problems if problem.wrong == wrong]


def test_a_good_one_has_no_problems(tmp_path: Path) -> None:
    found = checked(tmp_path, GOOD)
    assert (found.problems, found.points, found.samples, found.proved) == ((), 1, 1, 1)


@pytest.mark.parametrize("path", sorted((profiles_root() / "devices").glob("*.toml")), ids=lambda path: path.stem)
def test_the_shipped_ones_are_sound(path: Path) -> None:
    found = check_profile(path, decode_sample)
    assert not found.problems
    assert not found.samples or found.proved == found.points


def test_all_problems_of_all_kinds_at_once(tmp_path: Path) -> None:
    found = checked(tmp_path, """
colour = "red"
[device]
id = "other"
products = "no list"
source = "its manual"
[quirks]
registers_max = 1
holes = [[10, 12]]
gapmax = 3
[[point]]
tag = "wide"
function = 3
address = 0
type = "uint32"
[[point]]
tag = "bad type"
function = 7
address = 1
type = "uint61"
scal = 2
[[point]]
tag = "over"
function = 3
address = 1
type = "int16"
[[point]]
tag = "over"
function = 3
address = 11
type = "int16"
scale = 0.0
""")  # fmt: skip
    assert set(keys(found)) == {
        "colour", "device.products", "quirks.gapmax", "point[0]", "point[1].tag", "point[1].function", "point[1].type",
        "point[1].scal", "point[2]", "point[3]",
    }  # fmt: skip
    said = "\n".join(f"{p.key} {p.problem}" for p in found.problems)
    assert "point[3] over: scale is 0" in said
    assert "point[3] over: lies in the hole" in said
    assert "point[0] wide: takes 2 registers" in said
    assert "point[2] over overlaps wide (0–1 and 1)" in said
    assert keys(found, wrong=False) == ["device.id", "sample"]
    assert not found.sound


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("a = 5", "a = 6", "sample[0].values.a", "says 6, the message decodes to 5"),
        ("a = 5", "a = 5\nb = 1", "sample[0].values.b", "says nothing of it"),
        ("03020005", "03040005", "sample[0]", "does not answer the request"),
        ("03020005", "04020005", "sample[0]", "does not answer the request"),
        ("03020005", "0302", "sample[0]", "does not answer the request"),
        ("0300000001", "0300", "sample[0]", "2 bytes"),
        ("0300000001", "no hex", "sample[0]", "hex"),
        ('"uint16"', '"float32"', "sample[0].values.a", "says nothing of it"),
    ],
)
def test_samples_are_decoded(old: str, new: str, key: str, said: str, tmp_path: Path) -> None:
    found = checked(tmp_path, GOOD.replace(old, new))
    assert key in keys(found)
    assert said in next(problem.problem for problem in found.problems if problem.key == key)


def test_what_is_only_worth_a_look_is_no_error(tmp_path: Path) -> None:
    again = '\n[[point]]\ntag = "again"\nfunction = 3\naddress = 0\ntype = "int16"\n'
    bits = '\n[[point]]\ntag = "ready"\nfunction = 3\naddress = 0\ntype = "uint16"\nbit = 1\n'
    found = checked(tmp_path, GOOD + "ready = false" + bits + again)
    assert found.sound
    assert [p.problem for p in found.problems if p.key.startswith("point")] == [
        "again reads the same registers as a (0 and 0)"
    ]


@pytest.mark.parametrize("text", ["", "[device", "device = 3", '[device]\nprotocol = "smoke"\n', "point = 3"])
def test_what_is_no_profile_at_all(text: str, tmp_path: Path) -> None:
    assert not checked(tmp_path, text).sound
    assert not check_profile(tmp_path / "missing.toml").sound


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("abb-ach580-bypass", 'answer = "30', 'answer = "50', "no acknowledged ReadPropertyMultiple"),
        ("abb-ach580-bypass", '04004f1f"', '"', "cannot be decoded"),
        ("abb-ach580-bypass", "current_a = 42.5", "current_a = 43.5", "says 43.5, the message decodes to 42.5"),
        ("shelly-plus-1pm", "power_w = ", "power_w = 1", "the message decodes to"),
        ("mettler-toledo-sics", "weight_kg = ", "weight_kg = 1", "the message decodes to"),
    ],
)  # fmt: skip
def test_samples_of_every_protocol_are_judged_by_its_driver(
    name: str, old: str, new: str, said: str, tmp_path: Path
) -> None:  # fmt: skip
    text = (profiles_root() / "devices" / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    found = checked(tmp_path, text.replace(old, new, 1), name)
    assert any(said in problem.problem for problem in found.problems if problem.wrong), found.problems

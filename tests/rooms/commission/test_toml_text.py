"""A point is added to a profile as a person would: comments stay, and a file that would not load is never written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.commission.toml_text import add_point, new_profile, table_text, with_point, write_whole
from edge.config.profiles import load_profile
from edge.config.site import profiles_root
from edge.errors import ConfigError

POINT = {"tag": "added", "function": 3, "address": 9, "type": "int16", "scale": 0.1, "title": 'It\'s "new"'}


@pytest.mark.parametrize("path", sorted((profiles_root() / "devices").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_profile_takes_one_more_and_keeps_every_line(path: Path) -> None:
    before = path.read_text(encoding="utf-8")
    after = with_point(before, POINT, "why it is here")
    rest = iter(after.splitlines())
    assert all(line in rest for line in before.splitlines())  # each of them, in their order
    old, new = tomllib.loads(before), tomllib.loads(after)
    assert new["point"] == [*old["point"], POINT]
    assert {k: v for k, v in new.items() if k != "point"} == {k: v for k, v in old.items() if k != "point"}


def test_it_stands_after_the_last_point_with_the_comments_where_they_were(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(
        '# head\n[device]\nid = "m"\nproducts = ["m"]\nsource = "s"\n\n[[point]] # first\ntag = "a"\nfunction = 3\n'
        'address = 0\ntype = "uint16" # raw\n\n# A sample\n[[sample]]\nrequest = "0300000001"\nresponse = "03020005"\n'
        "values = { a = 5 }\n"
    )
    path.chmod(0o640)
    add_point(path, POINT, "decoded")
    assert path.read_text().split("# raw\n")[1] == (
        '\n# decoded\n[[point]]\ntag = "added"\nfunction = 3\naddress = 9\ntype = "int16"\nscale = 0.1\n'
        'title = "It\'s \\"new\\""\n\n# A sample\n[[sample]]\nrequest = "0300000001"\nresponse = "03020005"\n'
        "values = { a = 5 }\n"
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert [point.tag for point in load_profile(path).point] == ["a", "added"]


@pytest.mark.parametrize("change", [{"tag": "a"}, {"function": 9}, {"type": "smoke"}, {"address": 70000}])
def test_what_would_not_load_is_not_written(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    new_profile(path, POINT | {"tag": "a"}, "", source="the test")
    before = path.read_bytes()
    with pytest.raises(ConfigError):
        add_point(path, POINT | change)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


INLINE = 'point = [{ tag = "a", function = 3, address = 0, type = "uint16" }]'
IN_A_TEXT = """[[point]]\ntag = "a"\nfunction = 3\naddress = 0\ntype = "uint16"\ntitle = '''\nmany\n[lines]\n'''"""


@pytest.mark.parametrize("points", [INLINE, IN_A_TEXT])
def test_a_file_in_which_it_would_not_stand_alone_is_left_as_it_is(points: str, tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(f'{points}\n[device]\nid = "m"\nproducts = ["m"]\nsource = "s"\n')
    with pytest.raises(ConfigError, match="by hand"):
        add_point(path, POINT)


def test_a_folder_that_cannot_be_written_is_one_error() -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_whole(Path("/proc/none/x.toml"), "")


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_any_value_is_read_back_as_it_was(value: Any) -> None:
    assert tomllib.loads(table_text("[t]", {"v": value}))["t"]["v"] == value

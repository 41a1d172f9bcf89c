"""A register map becomes a profile: every row a point, or an issue with its line and column."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.commission.import_map import Addresses, import_map, profile_text
from edge.config.profiles import load_profile
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.config.site import profiles_root
from edge.errors import ConfigError

SHIPPED = {
    "abb_b23_meter": "abb-b23", "abb_drive_efb": "abb-drive-efb", "banner_qm30vt2": "banner-qm30vt2",
    "eastron_sdm630": "eastron-sdm630", "eastron_sdm72_v2": "eastron-sdm72-v2", "embrasul_md30": "embrasul-md30",
    "schneider_iem3000": "schneider-iem3000",
}  # fmt: skip
HEADER = "device,function_code,address,count,type,byte_order,scale,unit,access,name,description\n"


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "map.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def profile_of(path: Path, folder: Path, **options: Any) -> ModbusProfile:
    """Imported, written and loaded again."""
    out = folder / "imported.toml"
    out.write_text(profile_text(import_map(path, **options), id="imported", source="the test"), encoding="utf-8")
    profile = load_profile(out)
    assert isinstance(profile, ModbusProfile)
    return profile


def where(point: Point) -> tuple[Any, ...]:
    return (point.function, point.address, point.type, point.order, point.scale)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_real_maps_give_what_the_shipped_profiles_say(name: str, data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "register_maps" / f"{name}.csv"
    found = import_map(path)
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert not found.issues
    assert found.rows == len(found.points) == len(rows)
    imported = {where(p) for p in profile_of(path, tmp_path).point}
    shipped = load_profile(profiles_root() / "devices" / f"{SHIPPED[name]}.toml")
    assert isinstance(shipped, ModbusProfile)
    assert {where(p) for p in shipped.point} <= imported
    # Of the vibration sensor the profile takes each value once, in metric units.
    assert len({where(p) for p in shipped.point}) == len(rows) - (5 if name == "banner_qm30vt2" else 0)


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ('X,3,0,1,uint16,AB,"0,1",V,r,a,', "scale", "decimal point"),
        ("X,3,0,1,uint16,AB,nan,V,r,a,", "scale", "finite"),
        ("X,3,0,1,uint16,AB,0,V,r,a,", "scale", "raw * scale"),
        ("X,5,1,1,uint16,AB,1,V,r,a,", "function_code", "1, 2, 3, 4"),
        ("X,3,70000,1,uint16,AB,1,V,r,a,", "address", "modicon"),
        ("X,3,-1,1,uint16,AB,1,V,r,a,", "address", "0 to 65535"),
        ("X,3,4o1,1,uint16,AB,1,V,r,a,", "address", "whole number"),
        ("X,3,65535,2,uint32,ABCD,1,V,r,a,", "address", "0-based"),
        ("X,3,2,1,uint12,AB,1,V,r,a,", "type", "uint16"),
        ("X,3,3,2,uint16,AB,1,V,r,a,", "count", "one row"),
        ("X,3,3,0,string,AB,1,,r,a,", "count", "1 to 125"),
        ("X,3,4,2,float32,ABDC,1,V,r,a,", "byte_order", "ABCD, CDAB, BADC, DCBA"),
        ("X,3,4,1,uint16,AB,1,V,w,a,", "access", "is read"),
        ("X,3,4,1,uint16,AB,1,V,sometimes,a,", "access", "rw"),
        ("X,1,7,1,uint16,AB,1,V,r,a,", "type", "give bool"),
        ("X,3,8,1,uint16,AB,1,,r,,", "name", "tag"),
    ],
)
def test_what_cannot_be_mapped_is_listed_with_line_and_column(
    row: str, column: str, said: str, tmp_path: Path
) -> None:  # fmt: skip
    found = import_map(written(tmp_path, "X,3,100,1,uint16,AB,1,V,r,good,", row))
    assert [(issue.line, issue.column) for issue in found.issues] == [(3, column)]
    assert said in found.issues[0].hint
    assert [point["tag"] for point in found.points] == ["good"]
    assert f"NOT MAPPED: line 3, {column}" in profile_text(found, id="x", source="s")


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        ("a,b\n", (), "no column function_code"),
        (HEADER.replace("unit", "units"), (), "unknown column 'units'"),
        (HEADER, (), "holds no row"),
        (HEADER, ("X,3,0,1,uint16,AB,1,V,r,a,text, with a comma",), "12 cells under 11"),
        (HEADER, ("X,3,0,1,uint16,AB,1,V,r,a,", "Y,3,0,1,uint16,AB,1,V,r,a,"), "2 devices: X, Y"),
    ],
)
def test_what_is_no_such_table_is_one_error(header: str, rows: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        import_map(written(tmp_path, *rows, header=header))


@pytest.mark.parametrize(
    ("addresses", "cell", "function", "address"),
    [
        ("pdu", "0", 3, 0), ("pdu", "0x1F40", 3, 8000), ("pdu", "1F40h", 3, 8000), ("pdu", "0010", 3, 10),
        ("one-based", "1", 3, 0), ("one-based", "65536", 3, 65535), ("modicon", "40001", 3, 0),
        ("modicon", "465536", 3, 65535), ("modicon", "30012", 4, 11), ("modicon", "300012", 4, 11),
    ],
)  # fmt: skip
def test_conventions_of_addressing(
    addresses: Addresses, cell: str, function: int, address: int, tmp_path: Path
) -> None:  # fmt: skip
    found = import_map(written(tmp_path, f"X,{function},{cell},1,uint16,AB,1,,r,a,"), addresses=addresses)
    assert not found.issues
    assert (found.points[0]["function"], found.points[0]["address"]) == (function, address)


def test_a_modicon_number_of_another_table_is_asked_about(tmp_path: Path) -> None:
    found = import_map(written(tmp_path, "X,3,30001,1,uint16,AB,1,,r,a,"), addresses="modicon")
    assert "function 4" in found.issues[0].problem
    doubtful = import_map(written(tmp_path, "X,3,40001,1,uint16,AB,1,,r,a,", "X,3,40002,1,uint16,AB,1,,r,b,"))
    assert any("--addresses modicon" in note for note in doubtful.notes)


def test_names_that_stand_twice_stay_apart_and_writing_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "X,3,1,1,uint16,AB,1,rpm,rw,Speed (n),", "X,3,2,1,uint16,AB,1,rpm,r,speed n,")
    found = import_map(path)
    assert [point["tag"] for point in found.points] == ["speed_n", "speed_n_2"]
    assert all(point["unit"] == "/min" and point["kind"] == "speed" for point in found.points)
    assert len(found.notes) == 2
    assert not any(p.writable for p in profile_of(path, tmp_path).point)
    assert [p.writable for p in profile_of(path, tmp_path, writable=True).point] == [True, False]


@given(st.lists(st.lists(st.text(max_size=8), min_size=4, max_size=4), max_size=5))
def test_any_cells_give_points_or_issues_never_a_crash(tmp_path_factory: Any, cells: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("maps") / "map.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["function_code", "address", "type", "name"], *cells])
    try:
        found = import_map(path)
    except ConfigError:
        return
    assert found.rows == len(found.points) + len(found.issues)

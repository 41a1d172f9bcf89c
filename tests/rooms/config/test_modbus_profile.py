"""What a Modbus profile may say of its points, and what it may not: each with a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.profiles import load_profile
from edge.config.profiles.modbus import ModbusProfile
from edge.errors import ConfigError

HEAD = '[device]\nid = "d"\nproducts = ["d"]\nsource = "this test"\n'


def loaded(folder: Path, point: str, quirks: str = "") -> ModbusProfile:
    path = folder / "d.toml"
    path.write_text(f'{HEAD}[quirks]\n{quirks}\n[[point]]\ntag = "t"\n{point}\n')
    profile = load_profile(path)
    assert isinstance(profile, ModbusProfile)
    return profile


@pytest.mark.parametrize(
    ("point", "quirks"),
    [
        ('function = 3\naddress = 7\ntype = "bcd32"\nscale = 0.01\nwritable = true', ""),
        ('function = 4\naddress = 7\ntype = "string"\nlength = 8\norder = "BADC"', ""),
        ('function = 3\naddress = 7\ntype = "int16"\nwritable = true\nwrite_low = -20\nwrite_high = 80.5', ""),
        ('function = 4\naddress = 7\ntype = "uint16"\nbit = 15', ""),
        ('function = 4\naddress = 7\ntype = "uint32"\nbits = [16, 31]\nscale = 0.1', ""),
        ('function = 4\naddress = 7\ntype = "uint16"\nvalues = { 0 = "stopped", 1 = "running" }', ""),
        ('function = 1\naddress = 7\ntype = "bool"\nvalues = { 0 = "closed", 1 = "open" }\nwritable = true', ""),
        ('function = 3\naddress = 7\ntype = "int32"\nnot_available = [0x80000000]', "holes = [[0, 6], [9, 65535]]"),
        ('function = 1\naddress = 7\ntype = "bool"', "holes = [[7, 7]]\nwrite_multiple_only = true"),
    ],
)
def test_what_a_point_may_be(tmp_path: Path, point: str, quirks: str) -> None:
    assert not list(loaded(tmp_path, point, quirks).problems())


@pytest.mark.parametrize(
    ("point", "quirks", "words"),
    [
        ('function = 3\naddress = 7\ntype = "string"', "", "a string without `length`"),
        ('function = 3\naddress = 7\ntype = "uint16"\nlength = 1', "", "`length` with type uint16"),
        ('function = 3\naddress = 7\ntype = "string"\nlength = 20', "registers_max = 16", "takes 20 registers"),
        ('function = 3\naddress = 7\ntype = "bool"', "", "type bool with function 3.*a bool in a register is"),
        ('function = 3\naddress = 7\ntype = "uint16"\nbit = 16', "", "bits 16 to 16 of a uint16.*to 15"),
        ('function = 3\naddress = 7\ntype = "uint16"\nbits = [7, 4]', "", "bits 7 to 4 of a uint16"),
        ('function = 3\naddress = 7\ntype = "int16"\nbit = 1', "", "`bit` or `bits` with type int16"),
        ('function = 3\naddress = 7\ntype = "uint16"\nbit = 1\nbits = [0, 1]', "", "`bit` and `bits`"),
        ('function = 3\naddress = 7\ntype = "uint16"\nbit = 1\nwritable = true', "", "writable with `bit`"),
        ('function = 4\naddress = 7\ntype = "uint16"\nwritable = true', "", "writable with function 4"),
        ('function = 3\naddress = 7\ntype = "string"\nlength = 124\nwritable = true', "", "with 124 registers"),
        ('function = 3\naddress = 7\ntype = "string"\nlength = 2\nscale = 2.0', "", "of what is no number"),
        ('function = 3\naddress = 7\ntype = "float32"\nvalues = { 0 = "a" }', "", "`values` with type float32"),
        ('function = 3\naddress = 7\ntype = "uint16"\nvalues = { 0 = "a", 1 = "a" }', "", "stands twice"),
        ('function = 3\naddress = 7\ntype = "uint16"\nwrite_low = 1', "", "of what is not writable"),
        ('function = 1\naddress = 7\ntype = "bool"\nwritable = true\nwrite_high = 1', "", "of what is no number"),
        ('function = 3\naddress = 7\ntype = "int16"\nwritable = true\nwrite_low = 2\nwrite_high = 2', "", "low < high"),
        ('function = 3\naddress = 7\ntype = "int16"\nwritable = true\nwrite_high = nan', "", "finite"),
        ('function = 3\naddress = 7\ntype = "uint16"\nvalues = { off = "a" }', "", "Expected `int`"),
        ('function = 3\naddress = 7\ntype = "int16"\nnot_available = [-1]', "", "-1 does not fit into int16.*0xffff"),
        ('function = 3\naddress = 7\ntype = "int16"\nnot_available = [0x10000]', "", "does not fit into int16"),
        ('function = 3\naddress = 7\ntype = "string"\nlength = 2\nnot_available = [0]', "", "with type string"),
        ('function = 3\naddress = 7\ntype = "uint32"', "holes = [[8, 9]]", r"lies in the hole \[8, 9\]"),
        ('function = 3\naddress = 7\ntype = "uint16"', "holes = [[9, 8]]", r"\[9, 8\] ends before it begins"),
        ('function = 3\naddress = 65534\ntype = "string"\nlength = 3', "", "ends past register 65535"),
    ],
)
def test_what_a_point_may_not_be(tmp_path: Path, point: str, quirks: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        loaded(tmp_path, point, quirks)

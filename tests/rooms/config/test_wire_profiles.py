"""Profiles of serial and BACnet devices, and lines for them: each mistake is one error that says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.config.profiles import load_profile
from edge.config.site import load_site, profiles_root
from edge.errors import ConfigError

DEVICES = profiles_root() / "devices"
SCALE, STATION, BYPASS = "mettler-toledo-sics", "airmar-200wx", "abb-ach580-bypass"


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (SCALE, 'request = "TA\\r\\n"', "", "missing required field `request`"),
        (STATION, 'name = "fix"', 'name = "fix"\nrequest = "?"', "unknown field `request`"),
        (SCALE, 'end = "\\r\\n"', 'end = "€"', "frame.end"),
        (SCALE, 'end = "\\r\\n"\n', "", "nothing says where a message ends"),
        (SCALE, 'request = "SI\\r\\n"', 'request = "S{unit:3}\\r\\n"', "accepted in braces: unit, unit:02d"),
        (SCALE, 'request = "SI\\r\\n"', 'request = "SI{checksum}"', "a checksum, but the frame has none"),
        (SCALE, "[-+.0-9]+) (?P<measure>", "[-+.0-9 ]+) (?P<measure>", "may begin as it goes on (with ' ', say)"),
        (SCALE, "(?P<state>[SD])", "(?P<state>[SD]", "`(` without `)`"),
        (SCALE, "'S -' = \"underload\"", "'S (-+)+' = \"underload\"", "refusal"),
        (SCALE, 'field = "weight"', 'field = "wight"', "has no field 'wight' (fields: measure, state, weight)"),
        (SCALE, 'message = "tare"', 'message = "tara"', "there is no message 'tara' (messages: weight, tare)"),
        (SCALE, 'name = "tare"', 'name = "weight"', "'weight' stands twice"),
        (SCALE, 'field = "state"\nuncertain', 'field = "stat"\nuncertain', "status has no field 'stat'"),
        (SCALE, "values = { S = true", "scale = 2.0\nvalues = { S = true", "these are for numbers"),
        (STATION, 'kind = "xor8"', 'kind = "xor"', "crc16-modbus"),
        (STATION, 'end = "\\r\\n"', 'end = "$"', "start and end are the same"),
        (
            STATION,
            'after = "*"',
            'after = "*"\nplace = "after-end"',
            "behind the end it needs an `end` and has no `after`",
        ),
        (STATION, 'end = "\\r\\n"', "bytes = 500", "more than `frame.bytes_max`"),
        (BYPASS, 'object = "analog-value"', 'object = "analogue-value"', "accepted here: analog-input, analog-output"),
        (BYPASS, "instance = 0", 'instance = 0\nproperty = "presentValue"', "accepted here: change-of-state-count"),
        (BYPASS, "instance = 0", "instance = 4194303", "4194302"),
        (BYPASS, 'object = "analog-value"', 'object = "binary-value"\nstates = ["a"]', "name inactive and active"),
    ],
)
def test_a_wrong_profile_says_what_is_wrong_and_what_is_accepted(
    tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    text = (DEVICES / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text, "the test's own premise"
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        load_profile(path)
    assert caught.value.where == str(path)


SITE = """
[gateway]
id = "g"
[[line]]
name = "l"
{line}
[[asset]]
id = "a"
unit = [{{ line = "l", {unit} }}]
"""
STREAM = 'kind = "serial-stream"\ndevice = "tty"'
BACNET = 'kind = "bacnet"\ninterface = "192.168.1.20/24"'


@pytest.mark.parametrize(
    ("line", "unit", "words"),
    [
        (STREAM, f'profile = "{SCALE}"', f"{SCALE} speaks serial, line 'l' serial-stream"),
        (
            'kind = "serial"\ndevice = "tty"',
            f'profile = "{STATION}"',
            f"{STATION} speaks serial-stream, line 'l' serial",
        ),
        (STREAM, f'profile = "{STATION}", unit = 256', "found 256 (accepted here: 0 to 255)"),
        (STREAM + "\nbits = 6", f'profile = "{STATION}"', "accepted here: 7, 8"),
        (BACNET, f'profile = "{BYPASS}", unit = 4194303', "accepted here: 0 to 4194302"),
        (BACNET, f'profile = "{BYPASS}", at = "bypass.local"', "an address, address:port, or network:station"),
        (BACNET.replace("/24", ""), f'profile = "{BYPASS}"', "line[0].interface"),
    ],
)
def test_a_unit_on_a_line_that_does_not_fit_it_is_said_so(tmp_path: Path, line: str, unit: str, words: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE.format(line=line, unit=unit), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_site(path)


@pytest.mark.parametrize("at", ["", ', at = "192.168.1.7"', ', at = "192.168.1.7:47809"', ', at = "2001:5"'])
def test_a_bacnet_unit_may_say_where_it_is(tmp_path: Path, at: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE.format(line=BACNET, unit=f'profile = "{BYPASS}", unit = 4194302{at}'), encoding="utf-8")
    assert load_site(path).file.asset[0].unit[0].unit == 4_194_302

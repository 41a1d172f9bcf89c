"""A setpoint contract: every figure is checked, all that is wrong is told, and nothing that is odd gets through."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.expression import TEXT_MAX
from edge.contract.setpoint import BYTES_MAX, Mode, SetpointContract, parse_contract, read_contract
from edge.contract.terms import TagRef
from edge.errors import ConfigError
from tests.rooms.contract.contracts import contract_text, key_of

ADA = f'{{ name = "ada", key = "{key_of("ada")}", may = ["command", "approve"] }}'
BOB = f'{{ name = "bob", key = "{key_of("bob")}", may = ["approve"] }}'


def parsed(**changed: str) -> SetpointContract:
    return parse_contract(contract_text(**changed).encode(), where="c.toml")


def problems(**changed: str) -> list[ConfigError]:
    contract, found = read_contract(contract_text(**changed).encode(), where="c.toml")
    assert (contract is None) == bool(found)
    return found


def test_it_says_what_may_be_written_and_its_hash_names_it() -> None:
    contract = parsed()
    assert contract.hash == hashlib.sha256(contract_text().encode()).hexdigest()
    assert (contract.low, contract.high, contract.step_max, contract.mode) == (2400.0, 3000.0, 100.0, Mode.APPROVE)
    assert [str(e) for e in contract.precondition] == ["running", "motor_temp_c < 80", "age(flow_m3_h) < 5"]
    assert contract.expires_ns - contract.valid_from_ns == 184 * 86_400 * 10**9
    assert contract.needs == tuple(
        TagRef(tag, "pump-1")
        for tag in ("speed_setpoint_rpm", "running", "motor_temp_c", "flow_m3_h", "vibration_mm_s", "power_kw")
    )
    ada = contract.person[0]
    assert contract.person_of(ada.fingerprint) is ada
    assert contract.person_of("0" * 16) is None


def test_times_may_be_texts_and_always_have_a_zone() -> None:
    contract = parsed(valid_from='"2026-03-01T01:00:00+01:00"')
    assert contract.valid_from_ns == parsed().valid_from_ns
    for odd in ("2026-03-01T00:00:00", '"2026-03-01"', "2026-03-01", "17", '"soon"', '"9999-12-31T00:00:00-23:59"'):
        assert any("with its zone" in p.hint or "five years" in str(p) for p in problems(expires=odd)), odd


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"low": "3000.0"}, "low"), ({"low": "nan"}, "low"), ({"high": "inf"}, "high"), ({"low": '"2400"'}, "low"),
        ({"low": "true"}, "low"), ({"low": ""}, "low"), ({"step_max": "0"}, "step_max"),
        ({"step_max": "-1"}, "step_max"),
        ({"step_max": "300"}, "step_max"), ({"rate_per_min": "0"}, "rate_per_min"), ({"dwell_s": "-1"}, "dwell_s"),
        ({"dwell_s": ""}, "dwell_s"), ({"tolerance": "100"}, "tolerance"), ({"tolerance": "-0.1"}, "tolerance"),
        ({"settle_s": "0"}, "settle_s"), ({"settle_s": "1e9"}, "settle_s"), ({"fresh_s": "0"}, "fresh_s"),
        ({"blind_s": "0"}, "blind_s"), ({"watch_s": "0"}, "watch_s"), ({"watch_s": "1e7"}, "watch_s"),
        ({"precondition": '["motor_temp_c <"]'}, "precondition[0]"), ({"precondition": '"running"'}, "precondition"),
        ({"precondition": "[1]"}, "precondition"), ({"abort": f"{['a > 1'] * 17}"}, "abort"),
        ({"abort": '[""]'}, "abort"),
        ({"regret": '[{ tag = "power_kw", worse = "bigger", percent = 10 }]'}, "regret[0].worse"),
        ({"regret": '[{ tag = "power_kw", worse = "up", percent = 0 }]'}, "regret[0].percent"),
        ({"regret": '[{ tag = "Power", worse = "up", percent = 1 }]'}, "regret[0].tag"),
        ({"regret": '[{ tag = "speed_setpoint_rpm", worse = "up", percent = 1 }]'}, "regret"),
        ({"regret": '[{ tag = "power_kw", worse = "up", percent = 1, per = 2 }]'}, "regret[0].per"),
        ({"regret": "[1]"}, "regret"), ({"mode": '"write"'}, "mode"), ({"mode": "1"}, "mode"), ({"mode": "[]"}, "mode"),
        ({"approvals": "0"}, "approvals"), ({"approvals": "-1"}, "approvals"), ({"approvals": "1.0"}, "approvals"),
        ({"approvals": "3"}, "approvals"), ({"mode": '"auto"'}, "approvals"),
        ({"expires": "2026-01-01T00:00:00Z"}, "expires"),
        ({"expires": "2036-01-01T00:00:00Z"}, "expires"), ({"expires": ""}, "expires"), ({"id": '"Pump 1"'}, "id"),
        ({"id": '"../x"'}, "id"), ({"gateway": '""'}, "gateway"), ({"asset": '"a/b"'}, "asset"),
        ({"tag": '"X"'}, "tag"),
        ({"unit": ""}, "unit"), ({"version": "0"}, "version"), ({"why": '"a\\nb"'}, "why"), ({"person": ""}, "person"),
        ({"person": f"[{BOB}]"}, "person"), ({"person": f"[{ADA}, {ADA}]"}, "person.key"),
        ({"person": f"[{ADA}, {BOB.replace('bob', 'ada')}]"}, "person.name"),
        *(
            ({"person": f"[{ADA}, {BOB.replace('bob', name)}]"}, "person.name")
            for name in ("Ada", "ADA", "\u0430d\u0430", "\uff41da", "a\u0501\u03b1", "\u0410DA")
        ),
        *(
            ({"person": f"[{ADA}, {BOB.replace('bob', name)}]"}, "person[1].name")
            for name in ("ada ", " bob", "ada\u200b", "\u202ead\u0061", "a\u00adda", "a\u009bda")
        ),
        ({"person": f"[{ADA}, {BOB}]"}, "approvals"),
        ({"person": f"[{ADA.replace('command', 'sign')}]"}, "person[0].may"),
        ({"person": '[{ name = "x", key = "AAAA", may = ["command"] }]'}, "person[0].key"),
        ({"person": '[{ name = "x", key = "ä", may = ["command"] }]'}, "person[0].key"),
        ({"person": f'[{{ name = "", key = "{key_of("ada")}", may = [] }}]'}, "person[0].name"),
        ({"speed": "1"}, "speed"),
    ],
)  # fmt: skip
def test_every_figure_is_checked_and_the_key_is_named(changed: dict[str, str], key: str) -> None:
    found = problems(**changed)
    assert f"`{key}`: " in "\n".join(p.problem for p in found), [str(p) for p in found]
    assert all(p.where == "c.toml" for p in found)


@pytest.mark.parametrize(
    "changed",
    [
        {"step_max": "200"}, {"valid_from": "2026-03-01T00:00:00Z", "expires": "2031-03-05T00:00:00Z"},
        {"dwell_s": "0"},
        {"watch_s": "0", "abort": "", "regret": ""}, {"watch_s": "1", "regret": ""}, {"tolerance": "0"},
        {"approvals": "1"}, {"regret": '[{ tag = "power_kw", worse = "up", percent = 10.0, over_s = 600 }]'},
        {"version": "1"}, {"low": "-5", "high": "5"}, {"mode": '"shadow"', "approvals": ""}, {"step_max": "1.0000001"},
    ],
)  # fmt: skip
def test_what_is_just_allowed_is(changed: dict[str, str]) -> None:
    assert not problems(**changed)


@pytest.mark.parametrize(("watch_s", "over_s"), [(30.0, 30.0), (60.0, 60.0), (600.0, 60.0)])
def test_a_figure_is_judged_over_a_minute_or_as_long_as_it_is_watched(watch_s: float, over_s: float) -> None:
    assert [regret.over_s for regret in parsed(watch_s=str(watch_s)).regret] == [over_s]


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"expires": "2026-03-01T00:00:00Z"}, "expires"), ({"low": "3000", "high": "3000"}, "low"),
        ({"expires": "2031-03-05T00:00:00.000001Z"}, "expires"), ({"watch_s": "0", "regret": ""}, "watch_s"),
        ({"watch_s": "0", "abort": ""}, "watch_s"),
        ({"regret": '[{ tag = "power_kw", worse = "up", percent = 10.0, over_s = 600.1 }]'}, "regret[0].over_s"),
        ({"tolerance": "100"}, "tolerance"),
        ({"person": '[{ name = "x", key = "AAAA", may = ["command"] }]'}, "person[0].key"),
    ],
)  # fmt: skip
def test_what_is_just_not_allowed_is_told_once(changed: dict[str, str], key: str) -> None:
    assert [p.problem.split("`")[1] for p in problems(**changed)] == [key]


@pytest.mark.parametrize(
    "key",
    [
        "id", "gateway", "asset", "tag", "unit", "low", "high", "step_max", "rate_per_min", "dwell_s", "tolerance",
        "settle_s", "mode", "valid_from", "expires",
    ],
)  # fmt: skip
def test_what_is_missing_is_told_once_with_what_is_wanted(key: str) -> None:
    assert [p.problem for p in problems(**{key: ""}) if "missing" in p.problem] == [f"`{key}`: is missing"]
    assert not [p for p in problems(**{key: ""}) if "found None" in p.problem]
    assert problems(**{key: ""})[0].hint


@pytest.mark.parametrize(("key", "most"), [("precondition", 16), ("abort", 16), ("regret", 8), ("person", 16)])
def test_lists_are_bounded(key: str, most: int) -> None:
    one = {
        "regret": '{ tag = "power_kw", worse = "up", percent = 1 }',
        "person": '{ name = "N", key = "K", may = ["command", "approve"] }',
    }.get(key, '"running"')

    def listed(count: int) -> str:
        keys = [base64.b64encode(bytes([i]) * 32).decode() for i in range(count)]
        return "[" + ", ".join(one.replace("N", str(i)).replace("K", k) for i, k in enumerate(keys)) + "]"

    assert not problems(**{key: listed(most)})
    assert any(f"`{key}`" in p.problem for p in problems(**{key: listed(most + 1)}))
    for odd in ("7", '"running"', "{ a = 1 }", "[1]", "[[]]"):
        assert [p.problem.split("`")[1] for p in problems(**{key: odd}) if "found" in p.problem][:1] == [key], odd


def test_a_condition_may_have_500_characters() -> None:
    assert not problems(precondition=f'["running{" " * (TEXT_MAX - 7)}"]')
    assert problems(precondition=f'["running{" " * (TEXT_MAX - 6)}"]')


def test_a_file_may_have_16_kb_and_no_byte_more() -> None:
    text = contract_text().encode()
    for more, sound in ((0, True), (1, False)):
        data = text + b"#" * (BYTES_MAX - len(text) + more)
        assert (read_contract(data, where="c.toml")[0] is not None) == sound


def test_an_unknown_key_is_told_with_what_is_accepted() -> None:
    (found,) = problems(rate_per_minute="3")
    assert found.problem == "`rate_per_minute`: is no key here"
    assert "rate_per_min, dwell_s" in found.hint


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = problems(low="4000", mode='"now"', tolerance="", speed="1", precondition='["a <", "b >"]')
    assert [p.problem.partition(":")[0] for p in found] == [
        "`tolerance`", "`precondition[0]`", "`precondition[1]`", "`mode`", "`speed`", "`low`",
    ]  # fmt: skip


def test_a_condition_that_is_wrong_is_pointed_at() -> None:
    (found,) = problems(precondition='["motor_temp_c << 80"]')
    assert str(found).splitlines()[1:] == ["    motor_temp_c << 80", "                  ^"]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff", b"id = ", b"[a", b"#" * (BYTES_MAX + 1), b"x = " + b"[" * 8000, b"x = " + b"9" * 8000,
        b"low = 0x" + b"f" * 9000, b"mode = [0x" + b"f" * 9000 + b"]",
        b"a." * 4000 + b"b = 1", b"person = [[]]", b"id = {}\nlow = []\n",
    ],
)  # fmt: skip
def test_what_is_no_contract_is_refused_in_words(data: bytes) -> None:
    contract, found = read_contract(data, where="c.toml")
    assert contract is None
    assert all(str(p) for p in found)
    with pytest.raises(ConfigError):
        parse_contract(data, where="c.toml")


SOUND = contract_text().encode()
values = st.sampled_from([
    b"nan", b"-inf", b"1e308", b"true", b'""', b"[]", b"{}", b"[{}]", b"0", b"-1", b'"a"', b"2026-01-01",
    b"1979-05-27T07:32:00Z",
    b'["a > 1"]', b"12:30:00", b"99999999999999999999",
])  # fmt: skip


@given(
    st.integers(0, 21).flatmap(lambda i: values.map(lambda v: _with_value(i, v)))
    | st.binary(max_size=200)
    | st.tuples(st.integers(0, len(SOUND) - 1), st.binary(min_size=1, max_size=4)).map(
        lambda change: SOUND[: change[0]] + change[1] + SOUND[change[0] + len(change[1]) :]
    )
)
def test_whatever_the_bytes_it_is_a_sound_contract_or_it_is_refused_in_words(data: bytes) -> None:
    contract, found = read_contract(data, where="c.toml")
    assert (contract is None) == bool(found)
    assert all(str(p) for p in found)
    if contract is not None:
        assert contract.low < contract.high
        assert 0 < contract.step_max <= contract.rate_per_min
        assert contract.valid_from_ns < contract.expires_ns
        assert len({p.key for p in contract.person}) == len(contract.person)


def _with_value(index: int, value: bytes) -> bytes:
    lines = SOUND.split(b"\n")
    index %= 21
    lines[index] = lines[index].partition(b" = ")[0] + b" = " + value
    return b"\n".join(lines)

"""What one MQTT message says of one point: maps, types, times, and whatever a hostile device may publish."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.config.json_pointer import MISSING, parse_pointer, resolve
from edge.config.profiles.mqtt import Point
from edge.contract.types import Quality, Value
from edge.drivers.mqtt_payload import Arrival, Meaning
from edge.ports import Answer

S = 10**9
NOW = 1_800_000_000 * S


def told(
    message: str | bytes, *, came_on: str = "plant/a/t", retained: bool = False, at: str = "plant/a",
    now_ns: int | None = NOW, limit: int = 1024, **point: Any,
) -> tuple[Answer, int | None] | None:  # fmt: skip
    data = message.encode() if isinstance(message, str) else message
    meaning = Meaning(Point(**{"tag": "t", "topic": "{at}/t", **point}), at)
    return meaning.of(Arrival(came_on, data, retained, now_ns, limit))


def value(message: str | bytes, **more: Any) -> Value:
    found = told(message, **more)
    assert found is not None
    assert found[0].quality == Quality.GOOD, found
    return found[0].value


def bad(message: str | bytes, quality: Quality = Quality.BAD_DECODE, **more: Any) -> str:
    found = told(message, **more)
    assert found is not None
    assert found[0].quality == quality, found
    assert found[0].value is None
    return found[0].detail


class TestPointers:
    # The examples of RFC 6901, section 5.
    DOCUMENT = json.loads(r"""{
        "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
    }""")

    @pytest.mark.parametrize(("pointer", "expected"), [
        ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3), ("/g|h", 4),
        ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8), ("", DOCUMENT),
    ])  # fmt: skip
    def test_the_examples_of_the_rfc(self, pointer: str, expected: object) -> None:
        assert resolve(self.DOCUMENT, parse_pointer(pointer)) == expected

    @pytest.mark.parametrize("pointer", ["/foo/2", "/foo/-", "/foo/00", "/foo/x", "/nothing", "/a~1b/c", "/foo/0/0"])
    def test_what_is_not_there_is_missing(self, pointer: str) -> None:
        assert resolve(self.DOCUMENT, parse_pointer(pointer)) is MISSING

    @pytest.mark.parametrize("pointer", ["foo", "/a~", "/a~2b"])
    def test_what_is_no_pointer_is_refused(self, pointer: str) -> None:
        with pytest.raises(ValueError, match="not a JSON pointer"):
            parse_pointer(pointer)


class TestValues:
    @pytest.mark.parametrize(("payload", "expected"), [("21.5", 21.5), (" -3e2 ", -300.0), ("7", 7), ('"7.25"', 7.25)])
    def test_numbers(self, payload: str, expected: float) -> None:
        assert value(payload) == expected
        assert value(payload.strip('"'), payload="raw") == expected

    def test_a_number_is_scaled(self) -> None:
        assert value('{"E": {"P": 250}}', pointer="/E/P", scale=0.1, offset=-5.0) == 20.0

    def test_whole_numbers_stay_whole(self) -> None:
        found = value("9007199254740993", type="integer")
        assert found == 9007199254740993
        assert type(found) is int
        assert value("3.0", type="integer") == 3
        assert "no whole number" in bad("3.5", type="integer")
        assert "no whole number" in bad(str(2**63), type="integer")

    @pytest.mark.parametrize(("payload", "expected"), [("true", True), ("0", False), ('"ON"', True), ('"off"', False)])
    def test_truth(self, payload: str, expected: bool) -> None:
        assert value(payload, type="bool") is expected
        assert value(payload.strip('"'), type="bool", payload="raw") is expected

    def test_text(self) -> None:
        assert value('{"state": "läuft"}', pointer="/state", type="text") == "läuft"
        assert value("läuft", payload="raw", type="text") == "läuft"
        assert value("12", type="text") == "12"
        assert "1200 characters" in bad("x" * 1200, payload="raw", type="text", limit=2000)

    def test_words_mean_what_the_profile_says_and_no_others_do(self) -> None:
        words: dict[str, Any] = {"type": "integer", "values": {"idle": 0, "run": 1, "3": 2}}
        assert value('"run"', **words) == 1
        assert value("3.0", **words) == 2
        assert value("run\n", payload="raw", **words) == 1
        assert "'stop' is none of idle, run, 3" in bad('"stop"', **words)

    def test_a_level_of_the_topic_is_a_value(self) -> None:
        level: dict[str, Any] = {"payload": "level", "topic": "{at}/state/+", "type": "text"}
        assert value(b"\xff", came_on="plant/a/state/idle", **level) == "idle"
        level |= {"type": "integer", "values": {"idle": 0}}
        assert value(b"", came_on="plant/a/state/idle", **level) == 0
        assert "none of" in bad(b"", came_on="plant/a/state/lost", **level)

    def test_null_and_an_empty_payload_mean_that_the_device_has_no_value(self) -> None:
        assert "null" in bad('{"a": null}', Quality.BAD_DEVICE, pointer="/a")
        assert "empty" in bad("", Quality.BAD_DEVICE)
        assert "empty" in bad("", Quality.BAD_DEVICE, payload="raw", type="text")

    def test_what_is_not_there_is_bad_unless_it_is_optional(self) -> None:
        assert "nothing at /b" in bad('{"a": 1}', pointer="/b")
        assert told('{"a": 1}', pointer="/b", optional=True) is None
        assert "not JSON" in bad("{", pointer="/b", optional=True)

    def test_devices_that_share_a_topic_are_told_apart(self) -> None:
        shared: dict[str, Any] = {"topic": "gw/all", "where": {"/id": "{at}", "/n": "3"}, "pointer": "/v"}
        assert value('{"id": "plant/a", "n": 3, "v": 5}', **shared) == 5.0
        for other in ('{"id": "b", "n": 3, "v": 5}', '{"id": "plant/a", "n": 4}', '{"id": {}, "n": 3}', "{", "[]", ""):
            assert told(other, **shared) is None

    @pytest.mark.parametrize("payload", [
        "NaN", "Infinity", "1e999", "0x10", "1_000", '"1,5"', "true", "[]", "{}", '"nan"', '""', "[" * 100_000,
        b"\xff", b'"\xff"', '"\\ud800"', "1" * 5000, '"' + "1" * 500 + '"',
    ])  # fmt: skip
    def test_what_is_no_number_says_so(self, payload: str | bytes) -> None:
        detail = bad(payload, limit=200_000)
        assert detail
        assert detail.isprintable()
        assert len(detail) < 120

    def test_a_payload_over_the_limit_is_not_decoded(self) -> None:
        assert "1025 bytes" in bad("1" * 1025)
        assert "1025 bytes" in bad("1" * 1025, payload="raw")


class TestTimes:
    @pytest.mark.parametrize(("stamp", "unit", "expected"), [
        ("1799999000", "s", 1_799_999_000 * S), ('"1799999000"', "s", 1_799_999_000 * S),
        ("1799999000.25", "s", 1_799_999_000 * S + S // 4),
        ("1799999000250", "ms", 1_799_999_000 * S + S // 4),
        ("1799999000250001", "us", 1_799_999_000 * S + 250_001_000),
        ("1799999000250001003", "ns", 1_799_999_000_250_001_003),
        ('"2027-01-15T07:43:20Z"', "iso", 1_799_999_000 * S), ('"2027-01-15T07:43:20"', "iso", 1_799_999_000 * S),
        ('"2027-01-15 09:43:20.5+02:00"', "iso", 1_799_999_000 * S + S // 2),
    ])  # fmt: skip
    @pytest.mark.parametrize("retained", [True, False])
    def test_a_message_is_dated_by_its_own_time_however_late_it_comes(
        self, stamp: str, unit: str, expected: int, retained: bool
    ) -> None:
        found = told(f'{{"v": 5, "ts": {stamp}}}', pointer="/v", time="/ts", time_unit=unit, retained=retained)
        assert found == (Answer(5.0, Quality.GOOD), expected)

    def test_without_a_time_of_its_own_it_is_dated_at_its_arrival(self) -> None:
        assert told("5") == (Answer(5.0, Quality.GOOD), None)

    def test_a_retained_message_without_a_time_is_of_unknown_age(self) -> None:
        found = told("5", retained=True)
        assert found == (Answer(5.0, Quality.UNCERTAIN, "retained, its age is unknown"), None)

    def test_a_clock_that_was_never_set_leaves_the_value_and_doubts_its_time(self) -> None:
        found = told('{"v": 5, "ts": 17}', pointer="/v", time="/ts", time_unit="s")
        assert found is not None
        assert (found[0].value, found[0].quality, found[1]) == (5.0, Quality.UNCERTAIN, None)

    def test_a_far_future_is_refused_and_a_device_that_is_a_little_fast_is_not(self) -> None:
        point: dict[str, Any] = {"pointer": "/v", "time": "/ts", "time_unit": "s"}
        ahead = NOW // S
        assert told(f'{{"v": 5, "ts": {ahead + 3600}}}', **point) == (Answer(5.0, Quality.GOOD), NOW + 3600 * S)
        assert "in the future: 2027-01-15 09:00:01 UTC" in bad(f'{{"v": 5, "ts": {ahead + 3601}}}', **point)
        # A gateway whose own clock was never set cannot say what the future is, but for what no stamp can hold.
        assert told(f'{{"v": 5, "ts": {ahead + 3601}}}', now_ns=None, **point) is not None
        assert "after the year 2200" in bad('{"v": 5, "ts": 8000000000}', now_ns=None, **point)

    @pytest.mark.parametrize("stamp", ['"yesterday"', "[]", "{}", "true", "1e300", '"1"', "null", '"99999-01-01"'])
    @pytest.mark.parametrize("unit", ["iso", "ns"])
    def test_what_is_no_time_makes_the_value_bad(self, stamp: str, unit: str) -> None:
        if (stamp, unit) != ('"1"', "ns"):
            assert bad(f'{{"v": 5, "ts": {stamp}}}', pointer="/v", time="/ts", time_unit=unit)
        assert "no time" in bad('{"v": 5}', pointer="/v", time="/ts", time_unit=unit)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["v", "ts", "id"]), inner, max_size=3),
    max_leaves=6,
)
POINTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    payload=st.just("json"), type=st.sampled_from(["number", "integer", "bool", "text"]),
    pointer=st.sampled_from(["", "/v", "/0", "/v/0"]), time=st.sampled_from(["", "/ts"]),
    time_unit=st.sampled_from(["iso", "s", "ms", "us", "ns"]), optional=st.booleans(),
    values=st.sampled_from([{}, {"1": 1}]), scale=st.sampled_from([1.0, 1e300]),
    where=st.sampled_from([{}, {"/id": "1"}]),
) | st.builds(dict, payload=st.sampled_from(["raw", "level"]), topic=st.just("+/t"), type=st.sampled_from(
    ["number", "integer", "bool", "text"]))  # fmt: skip


@settings(deadline=None)
@given(POINTS, JSONISH.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=60), st.booleans(), st.booleans())
@example({"type": "integer", "time": "/ts"}, b'{"v":1,"ts":"0001-01-01T00:00:00+23:59"}', False, True)
@example({"type": "text"}, b'"\\udc00"', False, False)
def test_whatever_is_published_gives_an_answer_or_nothing(
    point: dict[str, Any], payload: bytes, retained: bool, trusted: bool
) -> None:
    found = told(payload, came_on="a/t", retained=retained, now_ns=NOW if trusted else None, limit=50, **point)
    if found is None:
        assert point.get("optional") or point.get("where")
        return
    answer, at_ns = found
    assert (answer.value is None) == answer.quality.is_bad
    assert bool(answer.detail) == (answer.quality != Quality.GOOD)
    assert at_ns is None or 946_684_800 * S <= at_ns <= (NOW + 3600 * S if trusted else 7_258_118_400 * S)
    match answer.value:
        case bool() | None:
            pass
        case int():
            assert -(2**63) <= answer.value < 2**63
        case float():
            assert math.isfinite(answer.value)
        case str():
            assert len(answer.value.encode()) <= 4000

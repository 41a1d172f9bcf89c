"""What a serial profile may match by costs linear time on any bytes: patterns that may not are refused when loaded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge.config.profiles.patterns import PATTERN_CHARACTERS_MAX, PatternError, compiled


@pytest.mark.parametrize(
    ("pattern", "matches", "fields"),
    [
        (r"S (?P<s>[SD]) +(?P<w>[-+.0-9]+) (?P<u>[a-z]+)", b"S S     100.00 g", {"s": b"S", "w": b"100.00", "u": b"g"}),
        (r"GP(?:RMC|GGA),([^,*]*,){2}(?P<x>\d*)", b"GPGGA,1,,7", {"x": b"7"}),
        (r"\](?P<a>[A-Za-z]\d)(?P<code>.+)", b"]E04006", {"a": b"E0", "code": b"4006"}),
        (r"(?P<a>\d{3})(?:\.(?P<b>\d+))?", b"123.4", {"a": b"123", "b": b"4"}),
        (r"\x02(?P<a>[\x00-\xff]{4})\x03", b"\x02\xff\n\x00a\x03", {"a": b"\xff\n\x00a"}),
    ],
)
def test_patterns_of_real_devices_are_accepted(pattern: str, matches: bytes, fields: dict[str, bytes]) -> None:
    found = compiled(pattern).fullmatch(matches)
    assert found is not None
    assert found.groupdict() == fields


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(a+)+b", "may begin as it goes on"),
        (r"(a|a)*b", "may begin alike"),
        (r"(a|aa)+b", "may begin alike"),
        (r"(a*)*b", "repeats what may be empty"),
        (r".*.*.*=.*", "may begin as it goes on"),
        (r"\s*(\s*\d+)", "may begin as it goes on"),
        (r"(x?){1,30}x{30}", "repeats what may be empty"),
        (r"a?a", "may begin as it goes on (with 'a', say)"),
        (r"(?=a)a", "is not accepted"),
        (r"(?P<x>a)(?P=x)", "is not accepted"),
        (r"(a)\1", "is not accepted"),
        (r"a+?b", "lazy"),
        (r"^a$", "is not accepted"),
        (r"(a", "without"),
        (r"a)", "without"),
        (r"[", "is not accepted"),
        (r"a{5000}b|" * 60, "longer than"),
        ("(" * 30 + "a" + ")" * 30, "deep"),
        ("€", "codec can't encode"),
    ],
)
def test_what_may_take_long_or_is_not_known_is_refused_with_its_reason(pattern: str, words: str) -> None:
    with pytest.raises(PatternError, match=re.escape(words)):
        compiled(pattern)


atoms = st.sampled_from(["a", "b", r"\d", "[ab]", "[^a]", ".", "1", ","])
rows = st.recursive(
    atoms,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=4).map("".join),
        st.tuples(parts, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
        st.lists(parts, min_size=2, max_size=3).map(lambda p: f"(?:{'|'.join(p)})"),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(pattern=rows, unit=st.text("ab1,", min_size=1, max_size=4), tail=st.sampled_from(["", "a", "!", ",!"]))
def test_an_accepted_pattern_is_fast_on_the_longest_message(pattern: str, unit: str, tail: str) -> None:
    assume(len(pattern) <= PATTERN_CHARACTERS_MAX)
    try:
        accepted = compiled(pattern)
    except PatternError:
        assume(False)
    data = (unit * 1024)[:1024].encode() + tail.encode()
    assert min(seconds(lambda: accepted.fullmatch(data)) for _ in range(3)) < 0.1


def seconds(do: Callable[[], object]) -> float:
    """Of this process; the garbage of others may be collected meanwhile."""
    started = time.process_time()
    do()
    return time.process_time() - started

"""A command's file: what was packed comes back, whatever else is refused; contracts and commands can always be told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.contract.command_file import BYTES_MAX, pack_command, parse_command
from edge.contract.commands import Command, Signed, order_after, order_limit
from edge.contract.setpoint import Mode, Regret
from edge.contract.setpoint_words import command_words, contract_words, span, utc
from edge.contract.terms import TagRef
from tests.rooms.contract.contracts import command_for, sound

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
name = text.filter(bool)
whole = st.integers(0, 2**63 - 1)
digits = st.text("0123456789abcdef", min_size=64, max_size=64)
signed = st.builds(
    Signed, key=st.text("0123456789abcdef", min_size=16, max_size=16), at_ns=whole,
    signature=st.just(command_for(sound()).signed[0].signature),
)  # fmt: skip
commands = st.builds(
    Command, gateway=name, order=whole, contract=digits, asset=name, tag=name,
    value=st.floats(allow_nan=False, allow_infinity=False), issued_ns=whole, expires_ns=whole, by=text, why=text,
    signed=st.lists(signed, max_size=3).map(tuple),
)  # fmt: skip


@given(commands)
def test_what_was_packed_comes_back_with_its_id(command: Command) -> None:
    found = parse_command(pack_command(command))
    assert found == command
    assert found.id == command.id


@given(st.binary(max_size=300), st.integers(0, 600), st.binary(max_size=3))
def test_any_bytes_are_a_command_or_refused_in_words(data: bytes, at: int, more: bytes) -> None:
    packed = pack_command(command_for(sound()))
    for odd in (data, packed[:at] + more + packed[at + len(more) :]):
        try:
            found = parse_command(odd)
        except ValueError as error:
            assert str(error)  # noqa: PT017
        else:
            assert parse_command(pack_command(found)) == found


def test_a_file_has_limits() -> None:
    with pytest.raises(ValueError, match=f"more than {BYTES_MAX} bytes"):
        parse_command(b" " * (BYTES_MAX + 1))
    with pytest.raises(ValueError, match="signed"):
        parse_command(pack_command(replace(command_for(sound()), signed=command_for(sound()).signed * 17)))


def test_an_order_is_above_the_last_one_and_above_those_given_elsewhere_before() -> None:
    assert order_after(0, 1_700_000_000_000_000_000) == 1_700_000_000_000
    assert order_after(1_700_000_000_005, 1_700_000_000_000_000_000) == 1_700_000_000_006
    assert order_after(41, 0) == 42


@given(whole, whole, st.integers(0, 10**18))
def test_an_order_that_may_be_keeps_no_later_one_out(last: int, issued_ns: int, later_ns: int) -> None:
    highest = order_limit(last, issued_ns)
    after = order_after(highest, issued_ns + later_ns)
    assert highest < after <= order_limit(highest, issued_ns + later_ns)


@given(commands, st.integers(-(2**70), 2**70))
@example(command_for(sound()), 0)
def test_whatever_a_file_says_it_is_told_in_lines_that_a_terminal_prints(command: Command, now_ns: int) -> None:
    for line in [*command_words(command, sound(), now_ns=now_ns), *contract_words(sound())]:
        assert line.isprintable()


def test_what_a_contract_allows_in_words() -> None:
    contract = sound()
    assert contract_words(contract)[1] == (
        "pump-1.speed_setpoint_rpm may be set to 2400 to 3000 rpm, by at most 100 a step and 200 a minute, 1 min apart"
    )
    for mode, words in ((Mode.SHADOW, "nothing is written"), (Mode.ADVISE, "the operator"), (Mode.AUTO, "at once")):
        assert words in contract_words(replace(contract, mode=mode))[2]
    bare = replace(contract, precondition=(), abort=(), regret=())
    assert contract_words(bare)[-1] == "not watched afterwards: nothing rolls it back"
    worse = replace(contract, abort=(), regret=(Regret(TagRef("flow", "pump-2"), "down", 2.5, 90.0),))
    assert (
        contract_words(worse)[-1] == "rolled back if pump-2.flow goes down by 2.5 % (mean of 90 s) in the 10 min after"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 s"), (90, "90 s"), (60, "1 min"), (600, "10 min"), (5400, "90 min"), (129_600, "36 h"),
     (1.6e7, "185 d"), (1e12, "11574074 d")],
)  # fmt: skip
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_times() -> None:
    assert utc(1_772_323_200 * 10**9) == "2026-03-01 00:00 UTC"
    assert utc(2**80) == f"{2**80} ns"

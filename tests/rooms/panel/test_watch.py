"""A panel shows what it hears now: green only of a gateway that said so within two seconds, and watches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.panel.state import PanelState
from edge.panel.watch import SILENT_S, Watch
from edge.panel.wire import FRAME_BYTES_MAX, Frames, Goodbye, Told, frame, to_gateway, to_panel
from edge.ports import Pattern
from tests.rooms.panel.situations import HIGH, UNACK, alarm

CALM = PanelState(
    alarms=(), verdicts={}, names={"pump-1": "Pump 1"}, stale=(), uplink_up=True, backlog_readings=0, elapsed_s=0.0
)
WORDS = "line hall stands still"


def watch() -> Watch:
    return Watch("20x4", 0.0)


def test_before_a_gateway_was_heard_nobody_watches() -> None:
    view = watch().view(0.0)
    assert (view.green, view.amber, view.red) == (Pattern.OFF, Pattern.DOUBLE, Pattern.DOUBLE)


def test_silence_has_a_sign_and_a_gateway_that_is_back_takes_it_away() -> None:
    panel = watch()
    panel.hear(Told(CALM), 10.0)
    assert panel.view(10.0 + SILENT_S).green is Pattern.ON
    assert panel.view(10.1 + SILENT_S).green is Pattern.OFF
    assert "SILENT" in panel.view(20.0).lines[0]
    panel.hear(Told(CALM), 21.0)
    assert panel.view(21.0).green is Pattern.ON


def test_a_gateway_that_says_that_it_does_not_watch_is_as_good_as_none_and_its_words_are_shown() -> None:
    panel = watch()
    panel.hear(Told(CALM), 10.0)
    panel.hear(Told(CALM, WORDS), 10.5)
    view = panel.view(10.6)
    assert (view.green, view.red) == (Pattern.OFF, Pattern.DOUBLE)
    assert WORDS[:20].upper() in view.lines[-1]


def test_a_goodbye_is_no_silence() -> None:
    panel = watch()
    panel.hear(Told(CALM), 10.0)
    panel.end()
    view = panel.view(100.0)
    assert "STOPPED" in view.lines[0]
    assert {view.green, view.amber, view.red, view.blue} == {Pattern.OFF}


@given(st.lists(st.tuples(st.sampled_from(["told", "trouble", "lose", "end", "wait"]), st.floats(0.01, 5.0))))
def test_green_is_never_shown_but_of_a_gateway_that_was_heard_just_now(story: list[tuple[str, float]]) -> None:
    panel, now_s, sound_s = watch(), 0.0, -10.0
    for act, passed_s in story:
        if act == "told":
            panel.hear(Told(CALM), now_s)
            sound_s = now_s
        elif act == "trouble":
            panel.hear(Told(CALM, WORDS), now_s)
            sound_s = -10.0
        elif act in ("lose", "end"):
            panel.lose() if act == "lose" else panel.end()
            sound_s = -10.0
        for at_s in (now_s, now_s + passed_s):
            heard = at_s - sound_s <= SILENT_S
            assert (panel.view(at_s).green is Pattern.ON) == heard
        now_s += passed_s


@given(st.lists(st.binary(max_size=3000), max_size=5), st.integers(1, 1000))
def test_frames_come_back_whatever_pieces_they_come_in(found: list[bytes], piece: int) -> None:
    data = b"".join(len(one).to_bytes(4, "big") + one for one in found)
    frames = Frames()
    assert [one for i in range(0, len(data), piece) for one in frames.feed(data[i : i + piece])] == found


def test_what_is_no_frame_of_this_version_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame of"):
        list(Frames().feed((FRAME_BYTES_MAX + 1).to_bytes(4, "big")))
    for data in (b"", b"\xc1", b"\x80", frame(Goodbye())[4:-1]):
        with pytest.raises(ValueError):  # noqa: PT011 - msgspec's own
            to_panel(data)
        with pytest.raises(ValueError):  # noqa: PT011
            to_gateway(data)
    assert to_panel(frame(Goodbye())[4:]) == Goodbye()


def test_a_state_that_is_too_large_is_told_shorter_and_lamps_stay_right() -> None:
    many = [alarm(f"r{number}", HIGH, UNACK, "x" * 1000) for number in range(6000)]
    data = frame(Told(replace(CALM, alarms=many)))
    assert len(data) < FRAME_BYTES_MAX
    told = to_panel(data[4:])
    assert isinstance(told, Told)
    assert 0 < len(told.state.alarms) < len(many)

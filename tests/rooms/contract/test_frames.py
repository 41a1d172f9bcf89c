"""Several blocks in one body, within limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.block import pack_frames, unpack_frames
from edge.errors import BlockError


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_frames_come_back(blocks: list[bytes]) -> None:
    assert unpack_frames(pack_frames(blocks), frames_max=8, frame_bytes_max=50) == blocks


@given(st.binary(max_size=100))
def test_arbitrary_bodies(body: bytes) -> None:
    try:
        frames = unpack_frames(body, frames_max=5, frame_bytes_max=20)
    except BlockError:
        return
    assert pack_frames(frames) == body


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (pack_frames([b"a"] * 4), "more than 3"),
        (pack_frames([b"a" * 11]), "11 bytes"),
        (b"\xff\xff\xff\xff", "4294967295 bytes"),
        (pack_frames([b"abc"])[:-1], "within a block"),
        (pack_frames([b"abc"]) + b"\0\0", "within a length"),
    ],
)
def test_a_body_beyond_its_limits(body: bytes, what: str) -> None:
    with pytest.raises(BlockError, match=what):
        unpack_frames(body, frames_max=3, frame_bytes_max=10)

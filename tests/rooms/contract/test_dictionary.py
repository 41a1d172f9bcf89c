"""A dictionary is what its digest says, or refused; a block that refers to one opens with that one only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.contract.block import (
    Dictionary,
    decode_block,
    encode_block,
    is_dictionary,
    open_dictionary,
    pack_dictionary,
    peek,
)
from edge.contract.dictionary import CONTENT_BYTES_MAX, GROUPS_MAX
from edge.contract.types import Batch, Lane, Quality
from edge.errors import BlockError, UnknownDictionaryError
from tests.reference_decoder import groups_of
from tests.rooms.contract.samples import (
    BOOT,
    KEY,
    batch_lists,
    checked,
    grouped,
    named,
    plain,
    plant,
    resealed,
    sealed,
    texts,
)

NAMES = Dictionary((("machine-0", ("speed_rpm", "load_percent")), ("Säge", ()), ("machine-1", ("speed_rpm",))))
PACKED = pack_dictionary(NAMES)
groups = st.lists(st.tuples(texts, st.lists(texts, max_size=4).map(tuple)), max_size=6, unique=True).map(tuple)


def framed(content: bytes, *, digest: bytes | None = None, frame: bytes | None = None, version: int = 1) -> bytes:
    """A dictionary of any content, with a checksum that is right."""
    name = hashlib.blake2b(content, digest_size=16).digest() if digest is None else digest
    packed = zstandard.ZstdCompressor().compress(content) if frame is None else frame
    return checked(b"BABD" + bytes([version]) + name + packed)


def spelled(found: Any) -> bytes:
    return json.dumps(found, separators=(",", ":")).encode()


@settings(max_examples=100, deadline=None)
@given(groups)
def test_a_dictionary_comes_back_and_a_stranger_reads_it_too(found: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    made = Dictionary(found)
    packed = pack_dictionary(made)
    assert is_dictionary(packed)
    back = open_dictionary(packed)
    assert (back, back.digest) == (made, made.digest)
    assert [(asset, tuple(tags)) for asset, tags in groups_of(packed, made.digest)] == list(found)


def test_what_it_says_names_it_and_nothing_else() -> None:
    assert Dictionary(NAMES.groups).digest == NAMES.digest == PACKED[5:21]
    assert Dictionary(NAMES.groups[::-1]).digest != NAMES.digest
    assert open_dictionary(framed(spelled(NAMES.groups))) == NAMES


def test_every_truncation_and_every_flipped_bit() -> None:
    for length in range(len(PACKED)):
        with pytest.raises(BlockError):
            open_dictionary(PACKED[:length])
    for bit in range(len(PACKED) * 8):
        data = bytearray(PACKED)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BlockError):
            open_dictionary(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(lambda rest: checked(b"BABD\x01" + rest))))
@example(b"BABD")
@example(checked(b"BABD\x01"))
def test_arbitrary_bytes(data: bytes) -> None:
    with pytest.raises(BlockError):
        open_dictionary(data)


def test_a_later_version_is_named() -> None:
    with pytest.raises(BlockError, match=r"version 9 .*reads version 1 \(update it\)"):
        open_dictionary(framed(b"[]", version=9))


REFUSED: dict[str, tuple[bytes, str]] = {
    "a group twice": (framed(spelled([["a", ["t"]], ["b", []], ["a", ["t"]]])), "twice"),
    "another digest than its own": (framed(b"[]", digest=bytes(16)), "digest"),
    "spelled in another way": (framed(b'[["a", ["t"]]]'), "digest"),
    "no list": (framed(b"{}"), "no list"),
    "more groups than it may have": (framed(spelled([[str(i), []] for i in range(GROUPS_MAX + 1)])), "no list of"),
    "an asset that is a number": (framed(spelled([[1, ["t"]]])), "an asset and its tags"),
    "a tag that is a number": (framed(spelled([["a", [1]]])), "an asset and its tags"),
    "tags that are text": (framed(spelled([["a", "tags"]])), "an asset and its tags"),
    "a group with a part too many": (framed(spelled([["a", ["t"], 1]])), "an asset and its tags"),
    "no JSON": (framed(b"\xff"), "not JSON"),
    "nothing": (framed(b""), "not JSON"),
    "JSON without end": (framed(b"[" * 100_000), "not JSON"),
    "larger than it may be": (framed(b"[" + b" " * CONTENT_BYTES_MAX + b"]"), str(CONTENT_BYTES_MAX)),
    "a bomb": (framed(b"[]", frame=zstandard.ZstdCompressor().compress(bytes(2**28))), "the limit"),
    "a frame that does not state its size": (
        framed(b"[]", frame=zstandard.ZstdCompressor(write_content_size=False).compress(b"[]")), "the limit",
    ),
    "two frames": (framed(b"[]", frame=zstandard.ZstdCompressor().compress(b"[]") * 2), "does not decompress"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_a_dictionary_that_cannot_be(data: bytes, what: str) -> None:
    with pytest.raises(BlockError, match=what):
        open_dictionary(data)


def test_a_bomb_that_states_less_than_it_unfolds_to() -> None:
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(2**26)))
    at = frame.index((2**26).to_bytes(4, "little"))
    frame[at : at + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(BlockError, match="does not decompress"):
        open_dictionary(framed(b"[]", frame=bytes(frame)))


def test_a_dictionary_that_is_too_large_is_not_made() -> None:
    with pytest.raises(BlockError, match="the limits are"):
        pack_dictionary(Dictionary(tuple((str(number), ()) for number in range(GROUPS_MAX + 1))))
    with pytest.raises(BlockError, match="the limits are"):
        pack_dictionary(Dictionary((("a" * CONTENT_BYTES_MAX, ()),)))
    with pytest.raises(AssertionError):
        Dictionary((("a", ("t",)),) * 2)


@settings(max_examples=100, deadline=None)
@given(batch_lists, st.data())
def test_a_block_opens_with_its_dictionary_whatever_part_of_its_names_is_in_it(
    batches: list[Batch], data: st.DataObject
) -> None:
    known = named(batches)
    kept = tuple(group for group in known.groups if data.draw(st.booleans()))
    dictionary = Dictionary((*kept, ("elsewhere", ("t",))))
    block = sealed(batches, dictionary=dictionary)
    assert peek(block).dictionary == (dictionary.digest if kept else b"")
    opened = decode_block(block, {dictionary.digest: dictionary})
    assert [plain(b) for b in opened.batches()] == [plain(b) for b in grouped(batches)]
    assert opened.series == () or {(s.asset, s.tags) for s in opened.series} == set(known.groups)


def test_without_it_the_header_can_still_be_read() -> None:
    names = named(plant())
    block = sealed(plant(), dictionary=names, thinned=True)
    header = peek(block)
    assert (header.dictionary, header.thinned, header.readings) == (names.digest, True, 120)
    for others in ({}, {NAMES.digest: NAMES}):
        with pytest.raises(UnknownDictionaryError, match=names.digest.hex()) as error:
            decode_block(block, others)
        assert error.value.digest == names.digest


def test_a_dictionary_that_is_not_the_one_it_names() -> None:
    names = named(plant())
    with pytest.raises(BlockError, match="not the one it names"):
        decode_block(sealed(plant(), dictionary=names), {names.digest: NAMES})


def test_a_group_that_is_not_in_its_dictionary() -> None:
    names = named(plant())
    fewer = Dictionary(names.groups[:1])
    block = resealed(sealed(plant(), dictionary=names), dictionary=fewer.digest)
    with pytest.raises(BlockError, match="in no dictionary"):
        decode_block(block, {fewer.digest: fewer})


def test_a_dictionary_keeps_names_out_of_the_block() -> None:
    tag = "boiler_feed_water_pump_outboard_bearing_temperature"
    batch = Batch("feed-water-pump-3", (tag,), (1.5,), (Quality.GOOD,), (1,), 2, 3)
    names = named([batch])

    def size(dictionary: Dictionary | None) -> int:
        return len(
            encode_block(
                KEY, boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=9, batches=[batch], records=[], dictionary=dictionary
            )
        )

    assert size(names) < 130
    assert size(None) - size(names) > len(tag)


def test_a_dictionary_is_plain_data() -> None:
    assert dataclasses.replace(NAMES) == NAMES
    assert len({NAMES, Dictionary(NAMES.groups)}) == 1

"""The receiver over real HTTP: stored once by key, durable before it is acknowledged, never harmed by what is bad."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sqlite3
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import zstandard

from cloud.ingest.admission import GATEWAY_REQUESTS_MAX, Admission, TurnedAwayError
from cloud.ingest.group import Told
from cloud.ingest.receive import BODY_BYTES_MAX
from cloud.ingest.tokens import make
from cloud.ingest.worker import Worker
from cloud.store.dictionaries import PER_GATEWAY_MAX
from cloud.store.reader import Reader
from cloud.store.schema import BUSY_TIMEOUT_MS
from cloud.store.writer import Seen, StoreBusyError, Writer
from edge.contract.block import Dictionary, decode_block, encode_block, pack_dictionary, pack_frames
from edge.contract.types import Key, Lane
from tests.rooms.cloud.sending import (
    BOOT,
    EPOCH,
    GATEWAY,
    READINGS_PER_POLL,
    START_NS,
    TAGS,
    Sender,
    batch,
    block,
    cloud,
    telemetry,
)
from tests.waiting import DEADLINE_S

Story = Callable[[Sender], Coroutine[Any, Any, None]]


def tell(tmp_path: Path, story: Story) -> None:
    async def whole() -> None:
        async with cloud(tmp_path) as sender:
            await story(sender)

    asyncio.run(whole())


def test_a_block_sent_twice_is_stored_once_and_counted_as_a_duplicate(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        first = await sender.send(telemetry(1), telemetry(2))
        again = await sender.send(telemetry(2), telemetry(3))
        assert (first.status_code, first.json()["through"]) == (200, 2)
        assert again.json() == {"epoch": EPOCH, "through": 3, "also": [], "refused": [], "unreadable": [], "wants": []}
        stats = await sender.stats()
        assert stats["received"] == stats["received_good"] == 3 * 5 * READINGS_PER_POLL
        assert stats["duplicates"] == 5 * READINGS_PER_POLL
        assert (stats["blocks"], stats["duplicate_blocks"], stats["duplicate_readings_stored"]) == (3, 1, 0)

    tell(tmp_path, story)


def test_blocks_out_of_order_are_acknowledged_one_by_one_until_the_gap_closes(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        gap = (await sender.send(telemetry(4), telemetry(2), telemetry(5))).json()
        assert (gap["through"], gap["also"]) == (0, [2, 4, 5])
        assert (await sender.send(telemetry(3))).json()["also"] == [3]
        assert (await sender.send(telemetry(1))).json()["through"] == 5

    tell(tmp_path, story)


def test_two_epochs_of_one_gateway_do_not_collide(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        await sender.send(telemetry(1))
        later = block(1, [batch(100, 1.0)], epoch="ef" * 16)
        answer = await sender.send(later, Babbitt_Epoch="ef" * 16)
        assert (answer.json()["epoch"], answer.json()["through"]) == ("ef" * 16, 1)
        assert (await sender.stats())["blocks"] == 2

    tell(tmp_path, story)


def flipped(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 0x10]) + data[201:]


def bomb(seq: int) -> bytes:
    """A sound header and checksum around 512 MB of zeros in a few kilobytes, whose header admits to 1 MB."""
    stream = zstandard.ZstdCompressor().compressobj(size=2**29)
    packed = b"".join(stream.compress(bytes(2**20)) for _ in range(2**9)) + stream.flush()
    name = GATEWAY.encode()
    head = struct.pack(
        "<4sBBBB16s16sQqIIIII", b"BABT", 1, 0, 1, len(name), bytes.fromhex(EPOCH), bytes(16), seq, 0, 3, 3, 0, 2**20,
        len(packed),
    )  # fmt: skip
    body = head + name + packed
    return body + hashlib.blake2b(body, digest_size=16).digest()


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("malformed", telemetry(2)[:-7]),
        ("malformed", flipped(telemetry(2))),
        ("malformed", bomb(2)),
        ("version", telemetry(2)[:4] + b"\x07" + telemetry(2)[5:]),
        ("foreign", b"GIF89a" + bytes(100)),
        ("foreign", b""),
    ],
    ids=["truncated", "flipped", "bomb", "future version", "another format", "empty"],
)
def test_an_unreadable_block_is_named_and_counted_and_its_neighbours_are_stored(
    tmp_path: Path, kind: str, bad: bytes
) -> None:
    async def story(sender: Sender) -> None:
        answer = (await sender.send(telemetry(1), bad, telemetry(3))).json()
        assert (answer["through"], answer["also"]) == (1, [3])
        assert [place for place, _ in answer["unreadable"]] == [1]
        assert answer["unreadable"][0][1]
        stats = await sender.stats()
        assert (stats["blocks"], stats["refused"], stats["refused_by"]) == (2, 1, {kind: 1})

    tell(tmp_path, story)


def test_damage_on_the_way_is_asked_for_again_and_damage_at_the_source_is_refused_for_good(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        damaged = flipped(telemetry(1))
        assert (await sender.send(damaged)).json()["refused"] == []
        once_more = (await sender.send(damaged)).json()
        assert [seq for seq, _ in once_more["refused"]] == [1]
        sound = (await sender.send(telemetry(1))).json()
        assert (sound["through"], sound["refused"]) == (1, [])
        # Its number is held now, so damaged bytes that claim it no longer speak for it.
        assert (await sender.send(damaged)).json()["refused"] == []

    tell(tmp_path, story)


def test_a_second_block_under_a_number_is_refused_and_the_first_is_kept(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        await sender.send(telemetry(1))
        answer = (await sender.send(block(1, [batch(0, 99.0)]))).json()
        assert [seq for seq, _ in answer["refused"]] == [1]
        stats = await sender.stats()
        assert (stats["received"], stats["refused_by"]) == (5 * READINGS_PER_POLL, {"conflict": 1})

    tell(tmp_path, story)


def test_a_block_of_another_gateway_or_epoch_stores_nothing_of_its_request(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        for foreign in (block(2, [batch(0, 1.0)], gateway="gateway-2"), block(2, [batch(0, 1.0)], epoch="12" * 16)):
            answer = await sender.send(telemetry(1), foreign)
            assert answer.status_code == 403
            assert "a request of" in answer.json()["error"]
        stats = await sender.stats()
        assert (stats["blocks"], stats["refused_by"]) == (0, {"another gateway's": 2})
        (refusal,) = stats["refusals"]
        assert (refusal["gateway"], refusal["kind"], refusal["blocks"]) == ("gateway-1", "another gateway's", 2)
        assert "a request of" in refusal["detail"]

    tell(tmp_path, story)


def test_who_may_send(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        assert (await sender.send(telemetry(1), Authorization="")).status_code == 401
        assert (await sender.send(telemetry(1), Authorization="Bearer wrong")).status_code == 401
        assert (await sender.send(telemetry(1), Authorization=f"Basic {sender.token}")).status_code == 401
        # Made while the server runs: valid at once, but not for the first gateway.
        other = make(tmp_path / "tokens", "gateway-2")
        assert (await sender.send(telemetry(1), Authorization=f"Bearer {other}")).status_code == 403
        theirs = block(1, [batch(0, 1.0)], gateway="gateway-2")
        accepted = await sender.send(theirs, Authorization=f"Bearer {other}", Babbitt_Gateway="gateway-2")
        assert accepted.status_code == 200
        stats = await sender.stats()
        assert (stats["blocks"], stats["gateways"], stats["unauthorised"]) == (1, 1, 4)

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (pack_frames([telemetry(1)])[:-3], {}),
        (b"\x01", {}),
        (pack_frames([telemetry(1)]), {"Content_Type": "application/json"}),
        (pack_frames([telemetry(1)]), {"Babbitt_Epoch": "tomorrow"}),
        (pack_frames([telemetry(1)]), {"Babbitt_Backlog_Readings": "-1"}),
    ],
    ids=["cut short", "half a length", "content type", "epoch", "backlog"],
)
def test_a_malformed_request_is_a_400_with_a_reason(tmp_path: Path, body: bytes, headers: dict[str, str]) -> None:
    async def story(sender: Sender) -> None:
        answer = await sender.post(body, **headers)
        assert answer.status_code == 400
        assert answer.json()["error"]
        assert (await sender.stats())["refused_by"] == {"malformed body": 1}

    tell(tmp_path, story)


def test_an_oversized_body_is_refused_by_its_length_and_while_it_streams(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 2**16 + 2):
            yield bytes(2**16)

    async def story(sender: Sender) -> None:
        assert (await sender.post(bytes(BODY_BYTES_MAX + 1))).status_code == 413
        assert (await sender.post(endless())).status_code == 413
        stats = await sender.stats()
        assert (stats["blocks"], stats["refused_by"]) == (0, {"oversized": 2})

    tell(tmp_path, story)


async def until(status: int, sender: Sender) -> httpx.Response:
    """The first answer with that status."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = await sender.send(telemetry(1))
            if answer.status_code == status:
                return answer


def test_a_gateway_with_too_many_requests_at_once_is_asked_to_come_back(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        where = urlsplit(sender.url)
        lines = [f"{name}: {value}" for name, value in sender.headers(Host="x", Content_Length="1000").items()]
        request = "\r\n".join(["POST /api/v1/blocks HTTP/1.1", *lines, "", ""]).encode()
        stalled = [socket.create_connection((where.hostname, where.port)) for _ in range(GATEWAY_REQUESTS_MAX)]
        try:
            for connection in stalled:
                connection.sendall(request)
            answer = await until(429, sender)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        finally:
            for connection in stalled:
                connection.close()
        assert (await until(200, sender)).status_code == 200

    tell(tmp_path, story)


def test_a_locked_store_acknowledges_nothing_and_takes_the_block_later(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        other = sqlite3.connect(tmp_path / "data/cloud.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = await sender.send(telemetry(1))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        other.execute("ROLLBACK")
        other.close()
        assert (await sender.send(telemetry(1))).json()["through"] == 1

    tell(tmp_path, story)


def test_a_full_disk_stores_all_of_a_request_or_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count={pages + 2}")
    big = [block(seq, [batch(seq * 500 + i, i * 0.37) for i in range(500)]) for seq in range(1, 9)]
    blocks = [(data, decode_block(data)) for data in big]
    with pytest.raises(StoreBusyError, match="full"):
        writer.store(GATEWAY, EPOCH, blocks, Seen(1))
    assert writer.holds(blocks[0][1].header.key, big[0]) == "no"
    writer._connection.execute("PRAGMA max_page_count=100000")
    assert writer.store(GATEWAY, EPOCH, blocks, Seen(1)) == 8
    writer.close()


def test_a_request_that_would_unfold_to_too_much_is_taken_in_part(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        # The same value for ever packs into almost nothing: five of these are more than a request may unfold to.
        wide = tuple(f"tag_{i}" for i in range(100))
        first = batch(0, 1.0)
        many = [
            type(first)("line-1", wide, (1.5,) * 100, (first.quality[1],) * 100, (at,) * 100, at, at)
            for at in range(10**18, 10**18 + 2500 * 10**9, 10**9)
        ]
        blocks = [block(seq, many) for seq in range(1, 6)]
        assert sum(map(len, blocks)) < BODY_BYTES_MAX // 8
        assert (await sender.send(*blocks)).json()["through"] == 4
        assert (await sender.send(*blocks[4:])).json()["through"] == 5

    tell(tmp_path, story)


NAMES = Dictionary((("spindle-1", TAGS),))


def named(seq: int, *, names: Dictionary = NAMES) -> bytes:
    """A block whose names are in a dictionary."""
    return encode_block(
        Key(GATEWAY, EPOCH, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=START_NS, batches=[batch(seq, 1.0)],
        records=[], dictionary=names,
    )  # fmt: skip


def test_a_dictionary_that_is_missing_is_asked_for_and_then_kept(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        first = (await sender.send(named(1), telemetry(2), named(3))).json()
        assert first == {
            "epoch": EPOCH, "through": 0, "also": [2], "refused": [], "unreadable": [], "wants": [NAMES.digest.hex()],
        }  # fmt: skip
        assert (await sender.stats())["refused"] == 0
        both = (await sender.send(pack_dictionary(NAMES), named(1))).json()
        assert (both["through"], both["wants"]) == (2, [])
        assert (await sender.send(named(3))).json()["through"] == 3

    tell(tmp_path, story)
    reader = Reader(tmp_path / "data")
    assert [row.tag for row in reader.latest(1)] == list(TAGS)
    reader.close()


def bent(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x21]) + data[place + 1 :]


def dictionary_bomb() -> bytes:
    """A sound head and checksum around 512 MB of zeros in some kilobytes."""
    stream = zstandard.ZstdCompressor().compressobj(size=2**29)
    packed = b"".join(stream.compress(bytes(2**20)) for _ in range(2**9)) + stream.flush()
    body = pack_dictionary(NAMES)[:21] + packed
    return body + hashlib.blake2b(body, digest_size=16).digest()


@pytest.mark.parametrize(
    "bad",
    [
        dictionary_bomb(),
        pack_dictionary(NAMES)[:-5],
        bent(pack_dictionary(NAMES), 12),
        bent(pack_dictionary(NAMES), 30),
        pack_dictionary(NAMES)[:4] + b"\x09" + pack_dictionary(NAMES)[5:],
        b"BABD",
    ],
    ids=["bomb", "truncated", "digest", "content", "future version", "empty"],
)
def test_a_damaged_dictionary_is_named_and_counted_and_its_neighbours_are_stored(tmp_path: Path, bad: bytes) -> None:
    async def story(sender: Sender) -> None:
        answer = (await sender.send(bad, telemetry(1), named(2))).json()
        assert (answer["through"], [place for place, _ in answer["unreadable"]]) == (1, [0])
        assert (answer["refused"], answer["wants"]) == ([], [NAMES.digest.hex()])
        assert (await sender.stats())["refused_by"] == {"dictionary": 1}

    tell(tmp_path, story)


def test_a_gateway_may_have_so_many_dictionaries_and_no_more(tmp_path: Path) -> None:
    many = [Dictionary(((f"asset-{number}", TAGS),)) for number in range(PER_GATEWAY_MAX + 2)]

    async def story(sender: Sender) -> None:
        half = len(many) // 2
        for part in (many[:half], many[half:]):
            answer = (await sender.send(*map(pack_dictionary, part))).json()
        assert [why for _, why in answer["unreadable"]] == ["this gateway has sent more of them than are kept"] * 2
        assert (await sender.send(pack_dictionary(many[0]))).json()["unreadable"] == []

    tell(tmp_path, story)


def test_a_thinned_block_and_its_original_stand_for_each_other(tmp_path: Path) -> None:
    def thinned(seq: int) -> bytes:
        return encode_block(
            Key(GATEWAY, EPOCH, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=START_NS, batches=[batch(1, 1.0)],
            records=[], thinned=True,
        )  # fmt: skip

    async def story(sender: Sender) -> None:
        await sender.send(telemetry(1), thinned(2))
        answer = (await sender.send(thinned(1), telemetry(2))).json()
        assert (answer["through"], answer["refused"]) == (2, [])
        assert (await sender.send(telemetry(3), thinned(3))).json()["refused"] == []
        stats = await sender.stats()
        assert (stats["blocks"], stats["duplicate_blocks"], stats["refused"]) == (3, 3, 0)
        assert stats["received"] == (5 + 1 + 5) * READINGS_PER_POLL

    tell(tmp_path, story)


def test_what_lies_below_the_oldest_is_not_waited_for(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        assert (await sender.send(telemetry(5), Babbitt_Oldest="4")).json()["through"] == 3
        assert (await sender.send(telemetry(7), Babbitt_Oldest="5")).json()["through"] == 5
        assert (await sender.send(telemetry(6))).json()["through"] == 7
        assert (await sender.send(telemetry(2))).json()["through"] == 7
        assert (await sender.stats())["blocks"] == 4

    tell(tmp_path, story)


@pytest.mark.parametrize("header", [{"Babbitt_Oldest": "x"}, {"Babbitt_Lane": "fast"}])
def test_headers_that_cannot_be_are_refused(tmp_path: Path, header: dict[str, str]) -> None:
    async def story(sender: Sender) -> None:
        assert (await sender.send(telemetry(1), **header)).status_code == 400

    tell(tmp_path, story)


def test_what_is_live_goes_before_the_backlog(tmp_path: Path) -> None:
    """A live request that comes while large ones of the backlog are worked on has its answer long before them."""
    wide = [batch(second / 4, second / 3) for second in range(20_000)]
    backlog = [pack_frames([block(seq, wide), block(seq + 1, wide)]) for seq in (1, 3, 5)]
    answered: list[str] = []
    arrived: list[int] = []

    async def story() -> None:
        writer = Writer(tmp_path)
        worker = Worker(writer, lambda found: arrived.append(len(found.blocks)))

        async def send(name: str, told: Told, body: bytes) -> None:
            answer = await worker.submit(told, body)
            assert answer.ack.through > 0
            answered.append(name)

        async with asyncio.TaskGroup() as group:
            for body in backlog:
                group.create_task(send("backlog", Told(GATEWAY, EPOCH, live=False), body))
            live = Told("gateway-2", "ef" * 16)
            one = block(1, [batch(1, 1.0)], gateway="gateway-2", epoch="ef" * 16)
            group.create_task(send("live", live, pack_frames([one])))
        worker.close()
        writer.close()

    asyncio.run(story())
    assert answered.index("live") <= 1
    assert sum(arrived) == 7
    reader = Reader(tmp_path)
    assert reader.stats().received == (6 * 20_000 + 1) * READINGS_PER_POLL
    reader.close()


def test_too_many_bytes_are_told_whose_they_are() -> None:
    admission = Admission(requests_max=3, bytes_max=100, gateway_requests_max=2, gateway_bytes_max=60)
    with admission.enter("a") as first, admission.enter("b") as other:
        first.hold(50)
        with admission.enter("a") as second, pytest.raises(TurnedAwayError) as own:
            second.hold(20)
        assert own.value.status == 429
        with pytest.raises(TurnedAwayError) as all_together:
            other.hold(60)
        assert all_together.value.status == 503
        other.hold(50)
        with admission.enter("a"), pytest.raises(TurnedAwayError) as third:
            admission.enter("a")
        assert third.value.status == 429
        with admission.enter("c"), pytest.raises(TurnedAwayError) as fourth:
            admission.enter("d")
        assert fourth.value.status == 503
    with admission.enter("a") as again:
        again.hold(60)


def test_whoever_has_waited_too_long_for_the_store_is_sent_away(tmp_path: Path) -> None:
    """A store that another program holds: requests queue, and none of them is left to wait for ever."""

    async def story(sender: Sender) -> None:
        other = sqlite3.connect(tmp_path / "data/cloud.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        took: list[float] = []
        while not took or (min(took) >= 3 * BUSY_TIMEOUT_MS / 1000 + 1 and len(took) < 3):
            began_s = time.monotonic()
            answers = await asyncio.gather(*(sender.send(telemetry(seq)) for seq in (1, 2, 3)))
            took.append(time.monotonic() - began_s)
            assert {answer.status_code for answer in answers} == {503}
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert min(took) < 3 * BUSY_TIMEOUT_MS / 1000 + 1
        other.execute("ROLLBACK")
        other.close()
        assert (await sender.send(telemetry(1), telemetry(2), telemetry(3))).json()["through"] == 3

    tell(tmp_path, story)
